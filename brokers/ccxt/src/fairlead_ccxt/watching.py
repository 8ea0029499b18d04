"""How each kind of feed is had from ccxt.

Which method, which of its caches is tapped, what is asked where none streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from fairlead_ccxt import taps


@attrs.frozen
class Way:
    """One way to have a feed. `watch` gives a method's name and arguments, `tap` puts a cache of ours in and
    returns it.

    A way without a tap tells the state that ccxt keeps at each wake: a book, of which only the last state
    counts.
    """

    has: str
    watch: Callable[[str, str], tuple[str, tuple[Any, ...]]]
    tap: Callable[[Any, str, str, taps.Seen], Any] | None = None
    held: Callable[[Any, str, str], Any] | None = None


def _tap_trades(exchange: Any, symbol: str, _: str, seen: taps.Seen) -> Any:
    exchange.trades[symbol] = made = taps.cache("ArrayCache", seen)
    return made


def _tap_bars(exchange: Any, symbol: str, timeframe: str, seen: taps.Seen) -> Any:
    made = taps.cache("ArrayCacheByTimestamp", seen)
    exchange.ohlcvs.setdefault(symbol, {})[timeframe] = made
    return made


def _table(name: str) -> Callable[[Any, str, str, taps.Seen], Any]:
    def tap(exchange: Any, symbol: str, _: str, seen: taps.Seen) -> Any:
        table = getattr(exchange, name)
        if not isinstance(table, taps.Table):
            table = taps.Table({})
            setattr(exchange, name, table)
        table.seen[symbol] = seen
        return table

    return tap


def _of_table(name: str) -> Callable[[Any, str, str], Any]:
    return lambda exchange, _symbol, _timeframe: getattr(exchange, name)


_TRADES = Way(
    "watchTrades", lambda symbol, _: ("watch_trades", (symbol,)), _tap_trades,
    lambda exchange, symbol, _: exchange.trades.get(symbol),
)  # fmt: skip
_BIDS_ASKS = Way(
    "watchBidsAsks",
    lambda symbol, _: ("watch_bids_asks", ([symbol],)),
    _table("bidsasks"),
    _of_table("bidsasks"),
)
_TICKER = Way(
    "watchTicker", lambda symbol, _: ("watch_ticker", (symbol,)), _table("tickers"), _of_table("tickers")
)
_BOOK = Way("watchOrderBook", lambda symbol, _: ("watch_order_book", (symbol,)))
_BARS = Way(
    "watchOHLCV", lambda symbol, timeframe: ("watch_ohlcv", (symbol, timeframe)), _tap_bars,
    lambda exchange, symbol, timeframe: exchange.ohlcvs.get(symbol, {}).get(timeframe),
)  # fmt: skip

STREAMED = {"trade": (_TRADES,), "quote": (_BIDS_ASKS, _BOOK, _TICKER), "book": (_BOOK,), "bar": (_BARS,)}
ASKED = {
    "trade": ("fetchTrades", "fetch_trades"),
    "quote": ("fetchOrderBook", "fetch_order_book"),
    "book": ("fetchOrderBook", "fetch_order_book"),
    "bar": ("fetchOHLCV", "fetch_ohlcv"),
}
"""What is asked for again and again where nothing streams."""


def way_of(exchange: Any, kind: str) -> Way | None:
    """The best way to have a kind of feed; None where it has to be asked for."""
    return next((way for way in STREAMED[kind] if exchange.has.get(way.has)), None)


def has(exchange: Any, kind: str) -> bool:
    """Whether there is any way."""
    return way_of(exchange, kind) is not None or bool(exchange.has.get(ASKED[kind][0]))
