"""Two watchers beside an engine, and an emergency stop from another thread: what it does, and what is left.

    python examples/09_watchers_and_emergency_stop.py

One watcher is called by the engine with each fact, the other one reads the journal as it is written, as any other
process could. When the second has seen enough it pulls the switch: everything is withdrawn and closed, and stays so
through a restart until a person says otherwise. The market is invented and runs 600 times as fast as the clock on the
wall, so all of it takes a few seconds.
"""

import asyncio
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fairlead import Bar, LiveTradingEngine, Strategy
from fairlead.facts import BreakerTripped, EngineStopped, Filled, OrderSubmitted
from fairlead.hookspecs import hookimpl
from fairlead_breakers import Drawdown, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Grid(Strategy):
    """Buys a little each minute with a stop below, and works bids further down."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m")

    def on_bar(self, bar: Bar) -> None:
        self.buy("0.1", stop_loss=bar.close * 0.9)
        self.buy("0.1", limit_price=bar.close * 0.95)


class Counts:
    """A watcher in the engine's own thread: it must be quick, and decides nothing."""

    name = "counts"

    def __init__(self) -> None:
        self.sent = self.filled = 0

    @hookimpl
    def fairlead_fact(self, fact: Any) -> None:
        self.sent += isinstance(fact, OrderSubmitted)
        self.filled += isinstance(fact, Filled)


async def read(engine: LiveTradingEngine, enough: threading.Event, fills: int) -> None:
    """A watcher of the journal: however slow it is, or if it fails, trading does not notice."""
    async for fact in engine.events():
        if isinstance(fact, Filled):
            fills -= 1
            if fills == 0:
                enough.set()
        elif isinstance(fact, BreakerTripped):
            print(f"  tripped: {fact.breaker}: {fact.reason}")
        elif isinstance(fact, EngineStopped):
            return


def make_engine(run: str | Path, *plugins: Any) -> LiveTradingEngine:
    return LiveTradingEngine(
        Grid("ETH/USDT:USDT"),
        plugins=[
            PaperBroker(cash="50_000 USDT"),
            SyntheticStream("ETH/USDT:USDT", seed=4, speed="600x"),
            Limits(max_order_value="5_000 USDT", max_leverage=3),
            Drawdown("20%"),
            *plugins,
        ],
        run=run,
    )


def show(engine: LiveTradingEngine, when: str) -> tuple[int, int]:
    """What is held and what works now."""
    positions, orders = engine.positions(), engine.orders()
    held = ", ".join(f"{one.quantity} {one.key.instrument}" for one in positions) or "nothing"
    print(f"{when}: {held} held, {len(orders)} orders open")
    return len(positions), len(orders)


def wait_until_flat(engine: LiveTradingEngine, seconds: float = 10.0) -> None:
    """A kill is asked for in a moment, and carried out as its orders end."""
    ends = time.monotonic() + seconds
    while (engine.positions() or engine.orders()) and time.monotonic() < ends:
        time.sleep(0.05)


def main(run: str | Path, fills: int = 6) -> list[tuple[int, int]]:
    """Trade, be stopped, start again; returns how much was held and open before, after, and at the end."""
    seen, enough, counts = [], threading.Event(), Counts()
    engine = make_engine(run, counts)
    with engine.background():  # the engine in a thread of its own
        reader = threading.Thread(target=lambda: asyncio.run(read(engine, enough, fills)))
        reader.start()
        enough.wait(20)
        seen.append(show(engine, f"after {fills} fills"))
        engine.kill("six fills are enough for a drill", who="watchdog", flatten=True)  # from any thread
        wait_until_flat(engine)
        seen.append(show(engine, "killed"))
    reader.join()
    print(f"the other watcher counted {counts.sent} orders sent and {counts.filled} fills")

    again = make_engine(run)
    with again.background():
        time.sleep(0.5)
        answer = again.check(instrument="ETH/USDT:USDT", side="buy", quantity="0.1")
        print(f"started again, an order would be {answer['status']}: {'; '.join(answer['reasons'])}")
        seen.append(show(again, "and nothing has happened"))
        again.reset("kill", "the drill is over", who="you")
        answer = again.check(instrument="ETH/USDT:USDT", side="buy", quantity="0.1")
        print(f"reset, and it would be {answer['status']}")
    return seen


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
