"""Interactive Brokers: at a venue in a box, on a paper account, or, when you say so twice, for real.

python examples/14_ib.py                            a TWS in a box: offline, nothing to install or log in to
python examples/14_ib.py --account DU1234567        the paper account that a TWS on this machine is logged in to
python examples/14_ib.py --account U1234567 --live  real money
"""

import argparse
import asyncio
import tempfile
import threading
import time

from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead.facts import EngineStopped, Filled
from fairlead_breakers import DailyLoss, Limits, StaleData
from fairlead_ib import IbBroker, IbStream

SYMBOL = "AAPL.NASDAQ"


class OneShare(Strategy):
    """Buys one share, and sells it again a few quotes later."""

    def __init__(self) -> None:
        super().__init__(allocation="10_000 USD")
        self.seen = 0

    def on_start(self) -> None:
        self.watch(SYMBOL, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.seen == 3:
            self.buy(quantity=1, limit_price=quote.ask + 0.05)
        elif self.seen == 8:
            self.close()


def make(account: str, *, url: str = "", live: bool = False, run: str = "") -> LiveTradingEngine:
    environment = "live" if live else "paper"
    return LiveTradingEngine(
        OneShare(),
        plugins=[
            IbBroker(SYMBOL, account=account, environment=environment, url=url),
            IbStream(SYMBOL, environment=environment, url=url),
            Limits(max_order_value="1_000 USD"),
            DailyLoss("100 USD"),
            StaleData(after="30s"),
        ],
        run=run or f"runs/ib-{account}",
        live=live,
    )


def in_a_box(seconds: float = 6.0) -> list[Filled]:
    """A TWS in a box, its market moved from here; returns what was filled."""
    from fairlead_venue import Venue

    with tempfile.TemporaryDirectory() as folder, Venue("tws", pairs={SYMBOL: "0.01"}) as venue:
        venue.quote(SYMBOL, 199.99, 200.01)
        engine = make("DU1234567", url=venue.addresses["tws"], run=f"{folder}/run")
        print(engine.describe())
        fills: list[Filled] = []
        with engine.background():
            listening = threading.Thread(target=lambda: asyncio.run(listen(engine, fills)), daemon=True)
            listening.start()
            ends = time.monotonic() + seconds
            while len(fills) < 2 and time.monotonic() < ends:
                price = 200 + int(time.monotonic() * 10) % 5 * 0.01
                venue.quote(SYMBOL, price - 0.01, price + 0.01)
                time.sleep(0.1)
        listening.join(5)
        for done in venue.executions("tws"):
            print(f"the venue says: {done['side']} {done['quantity']} at {done['price']}, fee {done['fee']}")
        return fills


async def listen(engine: LiveTradingEngine, fills: list[Filled]) -> None:
    """Follow the journal."""
    async for fact in engine.events():
        if isinstance(fact, Filled):
            fills.append(fact)
            print(f"  fill: {fact.fill.side} {fact.fill.quantity} at {fact.fill.price}")
        elif isinstance(fact, EngineStopped):
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--account", default="", help="the number of the account that TWS is logged in to")
    parser.add_argument("--live", action="store_true", help="it is real money")
    chosen = parser.parse_args()
    if chosen.account:
        asyncio.run(make(chosen.account, live=chosen.live).run())
    else:
        in_a_box()
