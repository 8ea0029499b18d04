"""Trade on Hyperliquid: first in a box on this machine, then on its testnet, then with real money.

python examples/12_hyperliquid.py            a venue in a box: no key, no network, a few seconds
python examples/12_hyperliquid.py --testnet  Hyperliquid's testnet: HYPERLIQUID_ACCOUNT and HYPERLIQUID_AGENT_KEY
python examples/12_hyperliquid.py --live     real money, with the same two of a live account
"""

import asyncio
import hashlib
import os
import sys
import tempfile

from fairlead import LiveTradingEngine, Order, Quote, Secret, Strategy
from fairlead_breakers import DailyLoss, Limits, StaleData
from fairlead_hyperliquid import HyperliquidBroker, HyperliquidStream
from fairlead_reconcile import HaltOnMismatch

BTC = "BTC/USDC:USDC"


class Swing(Strategy):
    """It buys a little at the market with a stop below it, sells it again after a while, and rests a bid meanwhile."""

    def __init__(self, rounds: int = 3, hold: str = "1s") -> None:
        super().__init__(on_exit="flatten")
        self.rounds, self.hold = rounds, hold
        self.done = 0

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)
        self.every(self.hold, self.turn)

    def on_quote(self, quote: Quote) -> None:
        """The price is all that is wanted of it."""

    def turn(self) -> None:
        price = self.price()
        if price is None:
            return
        if self.position():
            self.close()
            self.done += 1
        elif self.done < self.rounds:
            self.buy("0.001", stop_loss=price * 0.98)
            self.buy("0.001", limit_price=price * 0.97, post_only=True)

    def on_order(self, order: Order) -> None:
        print(f"{order.side:4} {order.quantity} {order.type}: {order.status}")


def make_engine(
    account: str,
    key: Secret | str,
    *,
    environment: str = "testnet",
    url: str = "",
    run: str = "runs/hyperliquid",
) -> LiveTradingEngine:
    return LiveTradingEngine(
        Swing(),
        plugins=[
            HyperliquidBroker(BTC, account=account, key=key, environment=environment, url=url),
            HyperliquidStream(BTC, environment=environment, url=url),
            Limits(max_order_value="500 USDC"),
            DailyLoss("100 USDC"),
            StaleData(after="10s"),
            HaltOnMismatch(every="1m"),
        ],
        run=run,
        live=environment == "live",
    )


def in_a_box(seconds: int = 7) -> None:
    """The same engine at a venue on this machine, which speaks Hyperliquid's protocol and checks the signatures."""
    from fairlead_venue import Venue

    with (
        Venue("hyperliquid", cash="10_000 USDC", synthetic=True) as venue,
        tempfile.TemporaryDirectory() as folder,
    ):
        where = venue.addresses
        agent = Secret.of(hashlib.sha256(venue.secret.encode()).hexdigest())
        engine = make_engine(where["account"], agent, url=where["rest"], run=f"{folder}/run")
        print(engine.describe())
        print(asyncio.run(engine.run(until=f"{seconds}s")))
        books = venue.books()["perps"]
        print(f"{len(books['executions'])} executions; left: {books['positions'] or 'no position'}")


def main(words: list[str]) -> None:
    if not words:
        in_a_box()
        return
    environment = "live" if words == ["--live"] else "testnet"
    engine = make_engine(
        os.environ["HYPERLIQUID_ACCOUNT"], "secret:HYPERLIQUID_AGENT_KEY", environment=environment
    )
    print(engine.describe())
    print(asyncio.run(engine.run()))


if __name__ == "__main__":
    main(sys.argv[1:])
