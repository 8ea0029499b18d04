"""Killed in the middle of its orders, and started again: nothing is lost, nothing is sent twice.

    python examples/04_crash_and_resume.py

It starts itself as a child, kills that with SIGKILL, starts it again, and reads from the journal what became of it.
The market is invented; all of it takes a few seconds.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead import LiveTradingEngine, Strategy
from fairlead.facts import EngineStarted, EngineStopped, Filled, Noted, OrderSubmitted
from fairlead_breakers import Drawdown, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Ladder(Strategy):
    """Ten times a second it buys a little with a stop below, works a bid lower down, or sells half of what it has."""

    def __init__(self) -> None:
        super().__init__(
            on_exit="cancel"
        )  # at the end its bids are taken back; the position and its stops stay
        self.steps = 0

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", quotes=True)
        self.every("100ms", self.step)

    def step(self) -> None:
        price = self.price()
        if price is None:  # no quote yet
            return
        self.note(
            f"step {self.steps}: holds {self.position()}, {len(self.orders())} orders, equity {self.equity:,.2f}"
        )
        self.steps += 1
        if self.steps % 7 == 0:
            self.sell(self.position() / 2, reduce_only=True)
        elif self.steps % 2:
            self.buy("0.02", stop_loss=price * 0.97)
        else:
            self.buy("0.01", limit_price=price * 0.98)

    def save(self) -> Any:
        return {"steps": self.steps}  # kept in one record with the orders of a step: both, or neither

    def load(self, saved: Any) -> None:
        self.steps = saved["steps"]


def make_engine(run: str | Path) -> LiveTradingEngine:
    return LiveTradingEngine(
        Ladder(),
        plugins=[
            PaperBroker(cash="100_000 USDT"),
            SyntheticStream("BTC/USDT:USDT", seed=5, every="20ms"),
            Limits(max_order_value="10_000 USDT"),
            Drawdown("10%"),
        ],
        run=run,
    )


def start(run: str) -> "subprocess.Popen[bytes]":
    """The engine in a process of its own."""
    return subprocess.Popen([sys.executable, __file__, run])


async def follow(run: str, seen: list[Any], steps: int) -> None:
    """Read the journal as the child writes it, until it has made so many steps more."""
    wanted = steps
    async for fact in make_engine(run).events(since=seen[-1].seq if seen else 0):
        seen.append(fact)
        if isinstance(fact, Noted) and fact.source == "Ladder":
            wanted -= 1
            if not wanted:
                return


def held(facts: list[Any]) -> Decimal:
    """The position, by adding the fills."""
    fills = [fact.fill for fact in facts if isinstance(fact, Filled)]
    return sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills), Decimal(0))


def notes(facts: list[Any]) -> list[str]:
    return [fact.text for fact in facts if isinstance(fact, Noted) and fact.source == "Ladder"]


def main(run: str, steps: int = 12) -> list[Any]:
    """Live, die, live again; returns the facts of both lives."""
    facts: list[Any] = []
    child = start(run)
    asyncio.run(follow(run, facts, steps))
    child.send_signal(signal.SIGKILL)
    child.wait()
    print(f"killed with SIGKILL after   {notes(facts)[-1]}")

    child = start(run)
    before = len(facts)
    asyncio.run(follow(run, facts, steps))
    child.send_signal(signal.SIGTERM)
    child.wait()
    asyncio.run(until_stopped(run, facts))
    print(f"the second life began with  {notes(facts[before:])[0]}")
    print(f"and ended with              {notes(facts)[-1]}")

    sent = Counter(fact.client_order_id for fact in facts if isinstance(fact, OrderSubmitted))
    twice = [name for name, times in sent.items() if times > 1]
    lives = [fact.epoch for fact in facts if isinstance(fact, EngineStarted)]
    numbers = [int(text.split()[1].rstrip(":")) for text in notes(facts)]
    print(f"\n{len(sent)} orders sent in lives {lives}, sent twice: {twice or 'none'}")
    print(f"steps counted on: {numbers}")
    print(f"position by the fills: {held(facts)}; the run ended: {facts[-1].reason}")
    return facts


async def until_stopped(run: str, seen: list[Any]) -> None:
    """Read the rest of the journal."""
    async for fact in make_engine(run).events(since=seen[-1].seq):
        seen.append(fact)
        if isinstance(fact, EngineStopped):
            return


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(make_engine(sys.argv[1]).run())  # the child
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(folder)
