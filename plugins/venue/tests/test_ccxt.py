"""ccxt and ccxt.pro, unmodified, trade at the venue, where they are installed.

They pin what other distributions need in newer versions, so the lock leaves them out.
"""

import asyncio
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ccxt = pytest.importorskip("ccxt.pro", reason="ccxt is not installed: its pins do not go with the lock")


def pointed(exchange, venue):
    """The same exchange, its addresses the venue's: host and scheme replaced, paths kept."""

    def walk(urls):
        for name, found in urls.items():
            if isinstance(found, dict):
                walk(found)
            elif "://" in found:
                scheme, _, rest = found.partition("://")
                base = venue.addresses["ws" if scheme.startswith("ws") else "rest"]
                urls[name] = f"{base}/{rest.partition('/')[2]}"

    walk(exchange.urls["api"])
    exchange.urls["api"]["ws"]["spot"] = venue.addresses["spot_stream"] + "/ws"
    return exchange


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "symbol", "stream"),
    [("binance", "BTC/USDT", "/ws-api/v3"), ("binanceusdm", "BTC/USDT:USDT", "/private/ws")],
)
def test_it_trades_and_watches(venue, name, symbol, stream):
    """Orders of each kind, an edit, a cancel, balances and trades; fills come on the stream."""

    async def story():
        words = {"apiKey": venue.key, "secret": venue.secret, "enableRateLimit": False}
        words["options"] = {"fetchMarkets": {"types": ["spot" if name == "binance" else "linear"]}}
        exchange = pointed(getattr(ccxt, name)(words), venue)
        try:
            await exchange.load_markets()
            watching = asyncio.ensure_future(exchange.watch_my_trades(symbol))
            await asyncio.to_thread(venue.wait, "user", what="streams")
            bought = await exchange.create_order(symbol, "market", "buy", 0.01)
            assert (bought["status"], bought["filled"]) == ("closed", 0.01)
            assert [trade["price"] for trade in await asyncio.wait_for(watching, 5)] == [50_001.0]
            placed = await exchange.create_order(
                symbol, "limit", "buy", 0.01, 49_000, {"clientOrderId": "mine"}
            )
            edited = await exchange.edit_order(placed["id"], symbol, "limit", "buy", 0.02, 48_500)
            assert (edited["id"] == placed["id"]) is (name == "binanceusdm"), (
                "spot replaces, futures modifies"
            )
            [still] = await exchange.fetch_open_orders(symbol)
            assert (still["amount"], still["price"]) == (0.02, 48_500.0)
            assert (await exchange.cancel_order(still["id"], symbol))["status"] == "canceled"
            assert len(await exchange.fetch_my_trades(symbol)) == 1
            stop = await exchange.create_order(symbol, "market", "sell", 0.01, None, {"triggerPrice": 48_000})
            assert stop["status"] == "open"
            shown = await exchange.fetch_open_orders(symbol)
            assert bool(shown) is (name == "binance"), (
                "conditional futures orders have an id space of their own"
            )
        finally:
            await exchange.close()

    asyncio.run(story())
