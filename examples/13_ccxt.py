"""Trade at any exchange that ccxt supports: Binance in a box first, then a testnet, then for real. One script.

    python examples/13_ccxt.py                                      a box on this machine: an invented market, no key
    python examples/13_ccxt.py --testnet --exchange bybit           a testnet, with a key of it
    python examples/13_ccxt.py --live --exchange binance            real money

A key and its secret are in the environment, or in a .env file beside this script (chmod 600): CCXT_KEY and CCXT_SECRET,
and CCXT_PASSWORD where the exchange wants one. Give a key no permission but to trade, and a list of your addresses.
ccxt pins what it needs: install fairlead-ccxt into an environment of its own.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator

from fairlead import Fill, LiveTradingEngine, Secret, Strategy
from fairlead_breakers import DailyLoss, Disconnect, Limits, StaleData
from fairlead_ccxt import CcxtBroker, CcxtStream
from fairlead_reconcile import HaltOnMismatch

SYMBOL = "BTC/USDT"


class Turn(Strategy):
    """Is long for one interval and flat for the next: no idea to earn with, and every part of the way is used."""

    def __init__(self, symbol: str, quantity: float, interval: str) -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.interval = interval
        self.fills = 0

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=True)
        self.every(self.interval, self.turn)

    def turn(self) -> None:
        price = self.price()
        if price is None or self.orders():
            return
        if self.position() > self.quantity / 2:  # a fee in coins may leave a little
            self.close()
        else:
            self.buy(self.quantity, limit_price=price * 1.001)

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1
        print(f"{fill.side} {fill.quantity} at {fill.price}, fee {fill.fee} {fill.fee_currency}")


def compose(
    exchange: str, environment: str, secrets: dict[str, Secret], url: str = ""
) -> tuple[Turn, LiveTradingEngine]:
    """The engine; nothing is opened before it runs. `url` is where the venue in a box is."""
    strategy = Turn(SYMBOL, quantity=0.004, interval="500ms" if url else "1m")
    engine = LiveTradingEngine(
        strategy,
        plugins=[
            CcxtBroker(exchange, SYMBOL, environment=environment, url=url, **secrets),
            CcxtStream(exchange, SYMBOL, environment=environment, url=url),
            Limits(max_order_value="500 USDT", max_leverage=1),
            DailyLoss("50 USDT"),
            StaleData(after="30s"),
            Disconnect(after="30s"),
            HaltOnMismatch(every="1m"),
        ],
        run=f"runs/ccxt-{exchange}-{'box' if url else environment}-{os.getpid() if url else 'run'}",
        live=environment == "live",
    )
    return strategy, engine


@contextlib.contextmanager
def box() -> Iterator[tuple[str, dict[str, Secret]]]:
    """Binance in a box, in a process of its own: its address, and a key there."""
    from fairlead_venue import Venue

    with Venue("binance", cash="100_000 USDT", pairs=[SYMBOL], process=True, synthetic=True) as venue:
        yield (
            venue.addresses["rest"],
            {"key": Secret.of(venue.key, "box-key"), "secret": Secret.of(venue.secret, "box")},
        )


async def trade(engine: LiveTradingEngine, seconds: float) -> str:
    """Run it, for so long at most; 0 is until it is stopped."""
    if seconds:
        asyncio.get_running_loop().call_later(seconds, engine.stop, "that is enough of a box")
    return await engine.run()


def main() -> int:
    """Choose where to trade, and do it."""
    parser = argparse.ArgumentParser(description="trade by ccxt: in a box, on a testnet, for real")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--testnet", action="store_true", help="a testnet, with a key of it")
    where.add_argument("--live", action="store_true", help="real money")
    parser.add_argument("--exchange", default="binance", help="by ccxt's name of it")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long in a box")
    words = parser.parse_args()
    if importlib.util.find_spec("ccxt") is None:
        print(
            "ccxt is not installed: pip install fairlead-ccxt fairlead-venue, in an environment of its own",
            file=sys.stderr,
        )
        return 2
    if words.testnet or words.live:
        secrets = {"key": Secret("CCXT_KEY"), "secret": Secret("CCXT_SECRET")}
        if os.environ.get("CCXT_PASSWORD"):
            secrets["password"] = Secret("CCXT_PASSWORD")
        strategy, engine = compose(words.exchange, "live" if words.live else "testnet", secrets)
        reason = asyncio.run(trade(engine, 0))
    else:
        with box() as (url, secrets):
            strategy, engine = compose("binance", "testnet", secrets, url)
            reason = asyncio.run(trade(engine, words.seconds))
    print(f"{reason}: {strategy.fills} fills")
    return 0


if __name__ == "__main__":
    sys.exit(main())
