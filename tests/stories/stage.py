"""A stage for stories: a running engine in virtual time, at a venue and in a market that a test plays by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._kernel.clock import SystemTime
from fairlead._storage.journal import read_facts
from fairlead.ports import CircuitBreaker, VenueProfile
from fairlead.testing import (
    MARKET_AND_LIMIT,
    FakeBroker,
    FakeStream,
    VirtualClock,
    make_instrument,
    run_virtual,
)
from fairlead_sim import SimulatedBroker
from fairlead_streams import ReplayStream

BTC = "BTC/USDT:USDT"
START = 1_700_006_400_000_000_000
HOUR = 3_600_000_000_000
CASH = "100_000 USDT"

F = TypeVar("F", bound=f.Fact)
Step = tuple[int, str, dict[str, Any]]
"""At which quote (1 is the first) which of a strategy's methods is called with what."""


class Acting(Strategy):
    """Does what a test says at the next quote, or at every one; keeps the orders."""

    def __init__(self, name: str | None = None, allocation: str | None = None) -> None:
        super().__init__(name=name, allocation=allocation)
        self.act: Callable[[Strategy], Any] | None = None
        self.always = False
        self.placed: list[Any] = []

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if self.act is not None:
            found = self.act(self)
            self.placed += found if isinstance(found, list) else [found]
            if not self.always:
                self.act = None


class Scripted(Strategy):
    """Does what its script says at each quote: the same in every run."""

    def __init__(
        self, script: Sequence[Step], name: str | None = None, allocation: str | None = None
    ) -> None:
        super().__init__(name=name, allocation=allocation)
        self.script = script
        self.seen = 0

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        for number, verb, arguments in self.script:
            if number == self.seen:
                getattr(self, verb)(**arguments)


def real_time(begin: int = START, stepped: Callable[[], int] = lambda: 0) -> SystemTime:
    """The clock of a machine, on virtual time: `stepped` says how far the clock on its wall has been moved."""
    return SystemTime(wall=lambda: begin + _loop_ns() + stepped(), monotonic=_loop_ns)


def _loop_ns() -> int:
    try:
        return round(asyncio.get_running_loop().time() * 1e9)
    except RuntimeError:  # no loop runs yet, and virtual ones begin at 0
        return 0


class Stage:
    """A running engine, its venue, its market, and what happened so far."""

    def __init__(
        self,
        folder: Path,
        breakers: CircuitBreaker | Sequence[CircuitBreaker],
        *strategies: Strategy,
        broker: FakeBroker | None = None,
        later: int = 0,
        clock: Any = None,
    ) -> None:
        self.strategies: Sequence[Any] = strategies or (Acting(),)
        self.broker = broker or FakeBroker(make_instrument(BTC), cash=CASH)
        self.stream = FakeStream(*self.broker.listed, kinds=("quote",))
        self.clock = clock or VirtualClock(START + later)
        self.quotes: list[Quote] = []
        listed = breakers if isinstance(breakers, Sequence) else [breakers]
        self.engine = LiveTradingEngine(
            list(self.strategies), plugins=[self.broker, self.stream, self.clock, *listed], run=folder
        )

    async def price(self, price: float, *, after: float = 0.1) -> None:
        """A quote without a spread, and what time it takes to be acted on."""
        now = self.clock.now()
        quote = Quote(self.stream.listed[0].id, price, price, 1_000.0, 1_000.0, now, now)
        self.quotes.append(quote)
        self.stream.emit(quote)
        await asyncio.sleep(after)

    async def do(self, act: Callable[[Strategy], Any], strategy: int = 0, price: float = 100.0) -> Any:
        chosen = self.strategies[strategy]
        chosen.act = act
        await self.price(price)
        return chosen.placed[-1]

    def play(
        self, story: Callable[["Stage"], Awaitable[None]], *, first: float | None = 100, agrees: bool = True
    ) -> list[Any]:
        """The facts of a story told to its end, which its venue has to agree with."""
        before = len(self.facts())
        run_virtual(self.tell(story, first=first))
        facts = self.facts()
        if agrees:
            self.agrees(facts)
        return facts[before:]

    async def tell(self, story: Callable[["Stage"], Awaitable[None]], *, first: float | None = 100) -> None:
        """Run the engine until its story is told."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.engine.run())
            await asyncio.sleep(1)
            if first is not None:
                await self.price(first)
            await story(self)
            self.engine.stop("the story ended")
            await running

    def facts(self) -> list[Any]:
        """All facts of the run so far, those of earlier starts too."""
        journal = self.engine.folder.journal
        return list(read_facts(journal)) if journal.is_dir() else []

    def agrees(self, facts: Sequence[Any]) -> None:
        """Assert that the venue's own books have the same orders, fills and positions as the whole journal."""
        venue = self.broker
        unsent = {fact.client_order_id for fact in of(facts, f.OrderRejected) if fact.code == "not_sent"}
        sent = [o.client_order_id for o in of(facts, f.OrderSubmitted) if o.client_order_id not in unsent]
        assert [submit.client_order_id for submit in venue.submits] == sent
        fills = [fact.fill for fact in of(facts, f.Filled)]
        assert [fill.fill_id for fill in fills] == [one.fill_id for one in venue.executions]
        held = dict[str, Decimal]()
        for fill in fills:
            signed = fill.quantity if fill.side == "buy" else -fill.quantity
            held[fill.instrument] = held.get(fill.instrument, Decimal(0)) + signed
        assert {n: q for n, q in held.items() if q} == {n: q for n, q in venue.positions.items() if q}

    @property
    def held(self) -> Decimal:
        """What the venue says is held."""
        return sum(self.broker.positions.values(), Decimal(0))


def of(facts: Sequence[Any], kind: type[F]) -> list[F]:
    """The facts of one kind."""
    return [fact for fact in facts if isinstance(fact, kind)]


def tell(
    folder: Path,
    breakers: Callable[[], Sequence[CircuitBreaker]],
    prices: Sequence[float | tuple[float, float]],
    *scripts: Sequence[Step],
    profile: VenueProfile = MARKET_AND_LIMIT,
    later: int = 0,
) -> tuple[list[Any], Stage]:
    """Prices, a tenth of a second apart or as said, and what strategies do at them: live, then again as a backtest.

    Asserts that both sent, refused, tripped and reset the same at the same time. Gives the live facts and its stage.
    """
    strategies = [
        Scripted(script, name=f"s{number}", allocation=f"{100 // len(scripts)}%")
        for number, script in enumerate(scripts)
    ]
    broker = FakeBroker(make_instrument(BTC), cash=CASH, profile=profile)
    stage = Stage(folder / "live", breakers(), *strategies, broker=broker, later=later)

    async def story(stage: Stage) -> None:
        for one in prices:
            price, after = one if isinstance(one, tuple) else (one, 0.1)
            await stage.price(price, after=after)

    facts = stage.play(story, first=None)
    venue = SimulatedBroker(CASH, name=broker.name, profile=profile)
    data = ReplayStream.of(stage.quotes, instrument=broker.listed)
    engine = LiveTradingEngine(strategies, plugins=[venue, data, *breakers()], run=folder / "tested")
    for tested, traded in zip_longest(outcomes(engine.backtest().facts()), outcomes(facts)):
        assert tested == traded
    return facts, stage


def outcomes(facts: Any) -> list[tuple[Any, ...]]:
    """What was decided about orders and trading, and when; without ids, which no two runs share."""
    found: list[tuple[Any, ...]] = []
    for fact in facts:
        match fact:
            case f.OrderSubmitted() | f.OrderDenied():
                intent, reasons = fact.intent, getattr(fact, "reasons", ())
                found.append(
                    (fact.now, type(fact).__name__, intent.strategy, intent.side, intent.quantity, reasons)
                )
            case f.BreakerTripped():
                found.append((fact.now, fact.breaker, fact.reason, fact.scope, fact.state))
            case f.BreakerReset():
                found.append((fact.now, fact.breaker, fact.why, fact.scope))
    return found
