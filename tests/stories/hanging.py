"""An engine at a venue in another process, whose strategy hangs for ever when it is told to, and trades all the time.

`VENUE` is the venue's address and `RUN` the run's folder; a file `RUN.hang` makes the strategy hang. `DEAD_MAN` is the
time of the venue's dead-man switch.
"""

import asyncio
import os
from pathlib import Path

from fairlead import LiveTradingEngine, Strategy
from fairlead_breakers import Limits
from fairlead_sim import RemoteBroker
from fairlead_streams import SyntheticStream


class Restless(Strategy):
    """Holds something behind a stop, and has entries in the book, of which it replaces one again and again."""

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)
        self.every("50ms", self.work)

    def work(self):
        if Path(os.environ["RUN"] + ".hang").exists():
            while True:
                pass
        quote = self.quote()
        if quote is None:
            return
        entries = [order for order in self.orders() if order.tag == "entry"]
        if not self.position() and not any(order.tag == "first" for order in self.orders()):
            self.buy(0.001, stop_loss=quote.bid * 0.5, tag="first")
        elif len(entries) < 3:
            self.buy(0.001, limit_price=quote.bid * (0.7 + len(entries) / 100), tag="entry")
        else:
            self.replace(entries[0], limit_price=quote.bid * 0.6)


engine = LiveTradingEngine(
    Restless(),
    plugins=[
        RemoteBroker(os.environ.get("VENUE", "tcp://127.0.0.1:1"), name="venue", patience="2s"),
        SyntheticStream("BTC/USDT:USDT", every="50ms"),
        Limits(max_leverage=5),
    ],
    run=os.environ.get("RUN", "run"),
    stop_within="2s",
    dead_man=os.environ.get("DEAD_MAN"),
)

if __name__ == "__main__":
    asyncio.run(engine.run())
