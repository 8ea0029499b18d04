"""An engine inside a program of your own: it runs in a thread, and the program asks, listens and stops it.

    python examples/06_inside_your_application.py

The market is invented and runs 600 times as fast as the clock on the wall, so this ends within seconds.
"""

import asyncio
import tempfile
import threading
import time

from fairlead import Bar, LiveTradingEngine, Strategy
from fairlead.facts import EngineStopped, Filled
from fairlead_breakers import Drawdown, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Momentum(Strategy):
    """Holds what has risen over the last five minutes."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=10)

    def on_bar(self, bar: Bar) -> None:
        rising = bar.close > self.history(6)[0].open
        if rising and not self.position():
            self.buy(percent="20%")
        elif not rising and self.position():
            self.close()


def make_engine(run: str) -> LiveTradingEngine:
    return LiveTradingEngine(
        Momentum("ETH/USDT"),
        plugins=[
            PaperBroker(cash="50_000 USDT"),
            SyntheticStream("ETH/USDT", seed=3, speed="600x"),
            Limits(max_order_value="20_000 USDT"),
            Drawdown("5%"),
        ],
        run=run,
    )


async def listen(engine: LiveTradingEngine, fills: list[Filled]) -> None:
    """Follow the journal as the engine writes it; any number of listeners may, in any process."""
    async for fact in engine.events():
        if isinstance(fact, Filled):
            fills.append(fact)
            print(f"  fill: {fact.fill.side} {fact.fill.quantity} at {fact.fill.price}")
        elif isinstance(fact, EngineStopped):
            return


def main(run: str, seconds: float = 3.0) -> list[Filled]:
    """Run the engine beside this program for a while; returns the fills that were heard of."""
    engine = make_engine(run)
    fills: list[Filled] = []
    with engine.background() as trading:  # its own thread and event loop; leaving the block stops it
        listener = threading.Thread(target=lambda: asyncio.run(listen(engine, fills)))
        listener.start()
        ends = time.monotonic() + seconds
        while trading.running and time.monotonic() < ends:
            time.sleep(0.5)  # your program does its own work here
            profit = engine.pnl()
            held = ", ".join(f"{p.quantity} {p.key.instrument}" for p in engine.positions()) or "flat"
            print(f"{held}; {profit.total:+.2f} {profit.currency} in all, fees {profit.fees:.2f}")
    listener.join()
    print(f"stopped after {len(fills)} fills")
    return fills


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # a run of your own keeps its folder, and goes on where it ended
        main(folder)
