"""Trade at Binance: in a box on this machine first, then on its testnet, then for real. One script, one strategy.

    python examples/10_binance.py                       Binance in a box: its protocol and an invented market, no key
    python examples/10_binance.py --product usdm        the same with perpetual futures
    python examples/10_binance.py --testnet             Binance's testnet, with a key of it
    python examples/10_binance.py --live                real money

A key and what signs for it are in the environment, or in a .env file beside this script (chmod 600): BINANCE_KEY and
BINANCE_SECRET. Keys of the testnet are others than real ones: https://testnet.binance.vision for spot,
https://testnet.binancefuture.com for futures. Give a key no permission but to trade, and a list of your addresses.
"""

import argparse
import asyncio
import contextlib
import os
from collections.abc import Iterator

from fairlead import Fill, LiveTradingEngine, Secret, Strategy
from fairlead_binance import BinanceBroker, BinanceStream
from fairlead_breakers import DailyLoss, Disconnect, Drawdown, Limits, StaleData
from fairlead_reconcile import HaltOnMismatch

SYMBOLS = {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"}


class Turn(Strategy):
    """Is long for one interval and flat for the next: no idea to earn with, and every part of the way is used."""

    def __init__(self, symbol: str, quantity: float, interval: str) -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.interval = interval
        self.fills = 0

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=True, bars="1m", warmup=5)
        self.every(self.interval, self.turn)

    def turn(self) -> None:
        price = self.price()
        if price is None or self.orders():
            return
        if self.position() > self.quantity / 2:  # a fee in coins may leave a little
            self.close()
        else:
            self.buy(self.quantity, limit_price=price * 1.001, time_in_force="IOC")

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1
        print(f"{fill.side} {fill.quantity} at {fill.price}, fee {fill.fee} {fill.fee_currency}")


def compose(
    product: str, environment: str, key: Secret, secret: Secret, url: str = ""
) -> tuple[Turn, LiveTradingEngine]:
    """The engine; nothing is opened before it runs. `url` is where the venue in a box is."""
    symbol = SYMBOLS[product]
    strategy = Turn(symbol, quantity=0.004, interval="500ms" if url else "1m")
    engine = LiveTradingEngine(
        strategy,
        plugins=[
            BinanceBroker(symbol, key=key, secret=secret, product=product, environment=environment, url=url),
            BinanceStream(symbol, product=product, environment=environment, url=url),
            Limits(max_order_value="500 USDT", max_leverage=1),
            DailyLoss("50 USDT"),
            Drawdown("10%"),
            StaleData(after="30s"),
            Disconnect(after="30s"),
            HaltOnMismatch(every="1m"),
        ],
        run=f"runs/binance-{product}-{'box' if url else environment}-{os.getpid() if url else 'run'}",
        live=environment == "live",
    )
    return strategy, engine


@contextlib.contextmanager
def somewhere(words: argparse.Namespace) -> Iterator[tuple[str, Secret, Secret, str]]:
    """Environment, key, secret and address: of a venue in a box for as long as it is needed, or of Binance."""
    if words.testnet or words.live:
        environment = "live" if words.live else "testnet"
        yield environment, Secret("BINANCE_KEY"), Secret("BINANCE_SECRET"), ""
        return
    from fairlead_venue import Venue  # in a process of its own, as a venue is

    with Venue(
        "binance",
        process=True,
        synthetic=True,
        cash="10_000 USDT",
        pairs=["BTC/USDT"],
        latency="3ms",
        key=f"box-{os.getpid()}",  # an account is one by its key: each box is a new one
    ) as venue:
        yield "testnet", Secret.of(venue.key), Secret.of(venue.secret), venue.addresses["rest"]


async def main(words: argparse.Namespace) -> None:
    """Trade until Ctrl-C, or for some seconds in a box."""
    with somewhere(words) as (environment, key, secret, url):
        strategy, engine = compose(words.product, environment, key, secret, url)
        print(engine.describe())
        if url:
            asyncio.get_running_loop().call_later(words.seconds, engine.stop, "that is enough of a box")
        reason = await engine.run()
        print(f"{reason}: {strategy.fills} fills, equity {strategy.equity:,.2f} USDT")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trade at Binance: in a box, on its testnet, or for real.")
    parser.add_argument("--product", choices=SYMBOLS, default="spot")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long in a box")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--testnet", action="store_true", help="Binance's testnet, with BINANCE_KEY and _SECRET"
    )
    place.add_argument("--live", action="store_true", help="real money")
    asyncio.run(main(parser.parse_args()))
