"""Limits and breakers at work: what they refuse, what trips them, and how a person lets trading go on.

    python examples/03_safety_controls.py

A careless strategy trades an invented market on paper. One of its breakers is a class of this script. Offline, in
virtual time: an hour and a half passes within seconds.
"""

import asyncio
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fairlead import Bar, LiveTradingEngine, OrderIntent, Strategy, TradingState
from fairlead.facts import BreakerReset, BreakerTripped, Filled, LimitChanged, OrderDenied
from fairlead.hookspecs import hookimpl
from fairlead.ports import Trip, View
from fairlead.testing import VirtualClock, run_virtual
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Careless(Strategy):
    """Buys a little each minute; now and then it slips on a key, or sends one order again and again."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bars = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars == 5:
            self.buy(30)  # 0.03 was meant
        elif self.bars == 10:
            for _ in range(20):
                self.buy("0.001")
        elif self.bars % 12 == 0:
            self.close()
        else:
            self.buy("0.03")


class TooManyFills:
    """Makes an account reduce-only after so many fills, until a person has looked at them."""

    wants = (Filled, BreakerReset)

    def __init__(self, most: int, name: str = "TooManyFills") -> None:
        self.name = name
        self.most = most
        self.count = 0

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Judge an order: the trading state says it all already."""
        return None

    def watch(self, item: Any, view: View) -> Trip | None:
        """See a fill, or that somebody has reset a breaker."""
        if isinstance(item, BreakerReset):
            self.count = 0 if item.breaker == self.name else self.count
            return None
        self.count += 1
        if self.count < self.most:
            return None
        return Trip(f"{self.count} fills and nobody has looked", TradingState.REDUCE_ONLY)

    def save(self) -> bytes:
        """What must survive a restart."""
        return json.dumps(self.count).encode()

    def load(self, saved: bytes) -> None:
        """Take it back."""
        self.count = json.loads(saved)


class Narrator:
    """Tells what happens to orders and trading, each kind of refusal once."""

    name = "narrator"

    def __init__(self) -> None:
        self.start = 0
        self.refused: Counter[str] = Counter()

    @hookimpl
    def fairlead_fact(self, fact: Any) -> None:
        self.start = self.start or fact.now
        match fact:
            case OrderDenied():
                kind = re.split(r"[\d(]", fact.reasons[0])[0].rstrip(": ")  # up to the first figure
                if not self.refused[kind]:
                    self.say(
                        fact, f"refused: {fact.intent.side} {fact.intent.quantity}: {'; '.join(fact.reasons)}"
                    )
                self.refused[kind] += 1
            case BreakerTripped():
                self.say(fact, f"TRIPPED: {fact.breaker}: {fact.reason}; {fact.scope} is {fact.state} now")
            case BreakerReset():
                self.say(fact, f"reset: {fact.breaker}, by {fact.who}: {fact.why}")
            case LimitChanged():
                self.say(
                    fact, f"limit: {fact.limit} from {fact.old} to {fact.new}, by {fact.who}: {fact.why}"
                )

    def say(self, fact: Any, text: str) -> None:
        print(f"{(fact.now - self.start) // 60_000_000_000:>3} min  {text}")


def make_engine(run: str | Path, *plugins: Any) -> LiveTradingEngine:
    return LiveTradingEngine(
        Careless("BTC/USDT:USDT"),
        plugins=[
            PaperBroker(cash="100_000 USDT"),
            SyntheticStream("BTC/USDT:USDT", seed=11, volatility="40%", every="5s"),
            Limits(max_order_value="5_000 USDT", max_leverage=2, max_order_rate="10/1s", price_collar="1%"),
            DailyLoss("2_000 USDT"),
            Drawdown("10%"),
            StaleData(after="30s"),
            TooManyFills(50),
            *plugins,
        ],
        run=run,
    )


async def person(engine: LiveTradingEngine) -> None:
    """What somebody does who sits beside it; each of these is a fact with a name and a reason."""
    await asyncio.sleep(25 * 60)
    engine.limit("max_order_value", "200 USDT", "news at noon", who="you")
    await asyncio.sleep(10 * 60)
    engine.limit("max_order_value", "5_000 USDT", "the news were none", who="you", confirm=True)
    await asyncio.sleep(20 * 60)
    engine.reset("TooManyFills", "looked at them, they are what was wanted", who="you")


async def main(run: str | Path) -> Narrator:
    """An hour and a half of trading."""
    narrator = Narrator()
    engine = make_engine(run, narrator, VirtualClock())
    beside = asyncio.create_task(person(engine))
    await engine.run(until="90m")
    await beside
    print("\norders refused, by the first reason:")
    for reason, times in narrator.refused.most_common():
        print(f"{times:>5}  {reason}")
    return narrator


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run_virtual(main(folder))
