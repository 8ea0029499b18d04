"""The suite for circuit breakers."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from fairlead import LiveTradingEngine, OrderIntent, Side, TradingState
from fairlead.facts import AnyFact, BreakerReset, BreakerTripped, Fact, OrderDenied, StrategyHalted
from fairlead.ports import EQUITY, Bar, Book, CircuitBreaker, Funding, Mark, Quote, Trade
from fairlead.testing import Bench, Recorder
from fairlead_conformance.cases import Case, Tier, Unscripted, case
from fairlead_conformance.checks import looks_like_port, makes_nothing
from fairlead_conformance.meter import BlindView, Meter, guard, kept, plain
from fairlead_conformance.rough import BTC, ETH, Account, Rough, day, events, live_through
from fairlead_conformance.suite import Conformance
from fairlead_streams import ReplayStream

PLAIN = (
    "check", "watch", "due", "clean", "save", "load", "quiet", "allows", "gauge", "limits", "looser", "change", "used",
    "calm", "probe", "refers",
)  # fmt: skip
MARKET = (Quote, Trade, Bar, Book, Mark, Funding)
LARGEST = 64 * 1024
"""What a breaker may save, in bytes."""

SLACK = 4096
"""By how much more than double that may grow from one day to three."""

DEAREST = 400
"""So many function calls one look may take, in the mean."""

FEW = 120
"""So many events are enough for orders to be sent."""

LOWERING = (TradingState.REDUCE_ONLY, TradingState.HALTED, TradingState.KILLED)


class BreakerConformance(Conformance):
    """Proves a circuit breaker: write `make`, with limits tight enough that a rough day trips it.

    The day has a long fall, a jump, gaps, late, wide, crossed and impossible quotes, and a trader who loses, is refused
    and sends bursts. A breaker that looks for something else is given it by `provoke(bench)`.
    """

    kind = "breaker"
    _idle: ClassVar[list[str]]
    _lived: ClassVar[tuple[Meter, Bench] | None]
    _found: ClassVar[list[tuple[Any, ...]] | None]
    _lived_long: ClassVar[tuple[Meter, bytes, bytes] | None]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._idle = []
        cls._lived = cls._found = cls._lived_long = None

    def make(self) -> CircuitBreaker:
        """A new breaker."""
        breaker: CircuitBreaker = super().make()
        return breaker

    def provoke(self, bench: Bench) -> None:
        """What trips it, where a rough day does not: called when that is over."""

    def perform(self, info: Case, body: Callable[..., Any]) -> None:
        """Try a case on a new breaker."""
        __tracebackhide__ = True
        breaker = self.make()
        self.known(breaker)
        body(self, breaker)

    @property
    def lived(self) -> tuple[Meter, Bench]:
        """One day with a meter on a new breaker, the same for all cases that only look at it."""
        lived = type(self)._lived
        if lived is None:
            breaker = self.make()
            lived = type(self)._lived = (Meter(breaker), self.live_through(breaker))
        return lived

    @property
    def found(self) -> list[tuple[Any, ...]]:
        """What a new breaker finds on one day without a meter, which would have every order shown to it."""
        if type(self)._found is None:
            breaker = self.make()
            type(self)._found = _findings(self.live_through(breaker), breaker.name)
        return type(self)._found or []

    @property
    def lived_long(self) -> tuple[Meter, bytes, bytes]:
        """Three such days: the meter, and what is saved after the first and the last."""
        lived = type(self)._lived_long
        if lived is None:
            breaker = self.make()
            guard(breaker)
            meter, bench = Meter(breaker), day(breaker)
            live_through(bench)
            first = kept(breaker)
            for _ in range(2):
                live_through(bench)
            lived = type(self)._lived_long = (meter, first, kept(breaker))
        return lived

    def live_through(self, breaker: CircuitBreaker) -> Bench:
        """A bench on which the rough day is over, and what provokes the breaker has happened."""
        idle = guard(breaker)
        bench = day(breaker)
        live_through(bench)
        self.provoke(bench)
        self._idle.extend(idle)
        return bench

    # --- the object -----------------------------------------------------------------------------------------

    @case(Tier.CONTRACT)
    def test_it_fills_the_port(self, breaker: Any) -> None:
        """It has a name, plain methods, and wants facts, market events or EQUITY."""
        looks_like_port(breaker, CircuitBreaker, PLAIN, ())
        assert breaker.name == self.make().name, (
            "its name differs from one object to the next, and stands in journals"
        )
        for wanted in breaker.wants:
            known = (
                wanted == EQUITY
                or wanted in MARKET
                or (isinstance(wanted, type) and issubclass(wanted, Fact))
            )
            assert known, f"it wants {wanted!r}, and there are facts, market events and EQUITY"
        halves = hasattr(breaker, "save") == hasattr(breaker, "load")
        assert halves, "it has one of save and load, and needs both"

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_making_it_opens_nothing(self, breaker: Any) -> None:
        """A breaker that is only made opens no file, socket or thread."""
        makes_nothing(self.make)

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_it_can_be_copied(self, breaker: Any) -> None:
        """A backtest works on a copy, so there are no locks, threads or files in it."""
        try:
            copied = copy.deepcopy(breaker)
        except Exception as error:  # whatever cannot be copied raises what it likes
            raise AssertionError(f"it cannot be copied, and a backtest works on a copy: {error}") from error
        assert kept(copied) == kept(breaker), "a copy of it saves something else"

    # --- an ordinary day ------------------------------------------------------------------------------------

    @case(Tier.CORE, after="it_fills_the_port")
    def test_it_finds_something(self, breaker: Any) -> None:
        """On a rough day, or by what provokes it, it trips or refuses."""
        if not self.found:
            raise Unscripted("a rough day does not trip it: make it with tighter limits, or write `provoke`")

    @case(Tier.CORE, after="it_finds_something")
    def test_it_looks_ahead(self, breaker: Any) -> None:
        """The time at which it wants to look next is after now, or it would look for ever."""
        assert not self._idle, self._idle[0]

    @case(Tier.CORE, after=("it_finds_something", "it_looks_ahead"))
    def test_what_it_finds_says_why(self, breaker: Any) -> None:
        """Each finding has a reason in one line, and lowers trading or only refuses: it never raises it."""
        meter, _ = self.lived
        for found in meter.trips:
            assert found.reason.strip(), "a finding has no reason"
            assert "\n" not in found.reason, f"a reason has more than one line: {found.reason!r}"
            assert found.state is None or found.state in LOWERING, (
                f"it sets trading to {found.state}: it may lower it"
            )

    @case(Tier.CORE, after=("it_finds_something", "it_looks_ahead"))
    def test_checking_changes_nothing(self, breaker: Any) -> None:
        """Asked twice about an order it says the same, and what it saves stays: a person may only have asked."""
        meter, _ = self.lived
        assert not meter.unsteady, meter.unsteady[0]

    @case(Tier.CORE, after=("it_finds_something", "it_looks_ahead"))
    def test_two_of_them_share_nothing(self, breaker: Any) -> None:
        """What one has seen is nothing to another: two engines may run in one process."""
        other = self.make()
        before, memory = kept(other), repr(vars(other)) if hasattr(other, "__dict__") else ""
        self.live_through(breaker)
        assert kept(other) == before, "what one has seen is saved by another"
        assert not memory or repr(vars(other)) == memory, "what one has seen is kept by another"
        again = _findings(self.live_through(other), breaker.name)
        assert again == self.found, "after one, another finds something else on the same day"

    @case(Tier.CORE, after=("it_finds_something", "it_looks_ahead"))
    def test_it_costs_little(self, breaker: Any) -> None:
        """A look takes few calls, at the end of a long day no more than at its beginning."""
        costs = self.lived_long[0].costs
        part = max(1, len(costs) // 4)
        mean = sum(costs) / max(1, len(costs))
        assert mean <= DEAREST, f"a look takes {mean:.0f} calls in the mean, more than {DEAREST}"
        early, late = sum(costs[part : 2 * part]) / part, sum(costs[-part:]) / part
        assert late <= 2 * early + 50, f"a look took {early:.0f} calls at first, and takes {late:.0f} later"

    # --- when things go wrong -------------------------------------------------------------------------------

    @case(Tier.FAULTS, after="it_fills_the_port", unless="it_looks_ahead")
    def test_it_fails_closed(self, breaker: Any) -> None:
        """Where its `check` raises the order is refused, and where its `watch` raises it trips."""
        bench = day(_raising(self.make(), "check"))
        live_through(bench, FEW)
        fills = [order for order in bench.of(OrderDenied) if not order.intent.reduce_only]
        assert fills and not bench.broker.venue.desk.fills, "its check raises, and an order passes"  # type: ignore[attr-defined]
        if breaker.wants:
            bench = day(_raising(self.make(), "watch"))
            live_through(bench, FEW)
            looked = bench.of(BreakerTripped)
            wanted = {wanted for wanted in breaker.wants if wanted == EQUITY or wanted in (Quote, Trade)}
            assert looked or not wanted, "its watch raises, and it does not trip"

    @case(Tier.FAULTS, after="it_fills_the_port", unless="it_looks_ahead")
    def test_what_is_not_known_is_not_fine(self, breaker: Any) -> None:
        """Where it wants to know what is not known yet it refuses, and does not fall over."""
        blind = BlindView(BTC)
        intent = OrderIntent(
            strategy="s", account="blind", instrument=BTC.id, side=Side.BUY, quantity=Decimal(1)
        )
        try:
            found = breaker.check(intent, blind)
        except Exception as error:  # whatever it raises is the finding
            raise AssertionError(
                f"with nothing known yet its check raises {type(error).__name__}: {error}"
            ) from error
        asked = ", ".join(dict.fromkeys(blind.asked))
        assert found is not None or not asked, f"{asked} is not known, and it has nothing against an order"
        if EQUITY in breaker.wants:
            try:
                breaker.watch("blind", blind)
            except Exception as error:
                raise AssertionError(
                    f"with nothing known its watch raises {type(error).__name__}: {error}"
                ) from error

    @case(Tier.FAULTS, after=("it_finds_something", "it_looks_ahead"))
    def test_it_survives_a_restart(self, breaker: Any) -> None:
        """What it has tripped is tripped in the next process, whatever limits it is made with."""
        bench = self.live_through(breaker)
        before = dict(bench.state.tripped)
        saved = kept(breaker)
        bench.breakers = [self.make()]
        bench.restart(down="1s")
        bench.advance("2s")
        missing = [key for key in before if key not in bench.state.tripped]
        assert not missing, f"{missing[0]} was tripped, and after a restart it is not"
        if saved:
            again = self.make()
            again.load(saved)  # type: ignore[attr-defined]
            assert kept(again) == saved, "what it loads is not what it saved"

    @case(Tier.FAULTS, after=("it_finds_something", "it_looks_ahead"))
    def test_only_its_rule_or_a_person_resets_it(self, breaker: Any) -> None:
        """Without a rule of its own it stays tripped until a person with a reason resets it; then it is."""
        bench = self.live_through(breaker)
        if not hasattr(breaker, "clean"):
            assert not bench.of(BreakerReset), "it has no `clean`, and is reset by itself"
        if any(name == breaker.name for name, _ in map(_key, bench.state.tripped)):
            bench.kernel.command("reset", "ann", "looked at it", breaker=breaker.name)
            last = bench.of(BreakerReset)[-1]
            assert (last.who, last.why) == ("ann", "looked at it"), "a person resets it, and no fact says so"
        bench.check()

    @case(Tier.FAULTS, after=("it_finds_something", "it_looks_ahead"))
    def test_what_it_saves_is_small(self, breaker: Any) -> None:
        """It is bytes of at most 64 KiB, no pickle, and does not grow from day to day."""
        _, first, later = self.lived_long
        assert not later.startswith(b"\x80"), "it saves a pickle: write JSON"
        assert len(later) <= LARGEST, f"it saves {len(later)} bytes, more than {LARGEST}"
        grown = len(later) - 2 * len(first)
        assert grown <= SLACK, f"it saved {len(first)} bytes after a day, and {len(later)} after three"

    # --- everywhere the same --------------------------------------------------------------------------------

    @case(Tier.MODEL, after=("it_finds_something", "it_looks_ahead"))
    def test_its_short_cuts_hide_nothing(self, breaker: Any) -> None:
        """With `allows`, `calm` and `quiet` it finds what it finds when it is shown every order and event."""
        if not any(hasattr(breaker, name) for name in ("allows", "calm", "quiet")):
            return
        short = self.found
        whole = _findings(self.live_through(plain(self.make())), breaker.name)
        assert short == whole, f"by its short cuts it misses {_first_difference(short, whole)}"

    @case(Tier.MODEL, after=("it_finds_something", "it_looks_ahead"))
    def test_live_and_backtest_find_the_same(self, breaker: Any) -> None:
        """On the same day it finds the same in the live engine as in a backtest, at the same times."""
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder()
            stream = ReplayStream.of(events(), instrument=[BTC, ETH])
            plugins = [Account(), stream, breaker, recorder]
            engine = LiveTradingEngine(Rough(), plugins, run=Path(folder) / "run")
            backtest = list(engine.backtest().facts())
            asyncio.run(asyncio.wait_for(engine.run(), 50))
        for facts in (backtest, recorder.facts):
            halted = [fact.reason for fact in facts if isinstance(fact, StrategyHalted)]
            assert not halted, f"the day's trader is halted, so nothing is proven: {halted[0]}"
        tested, traded = _told(backtest), _told(recorder.facts)
        assert tested == traded, f"live and backtest differ in {_first_difference(tested, traded)}"


def _findings(bench: Bench, name: str) -> list[tuple[Any, ...]]:
    return [
        told for told in _told(bench.journal.facts) if told[0] == "tripped" or told[-1].startswith(f"{name}:")
    ]


def _told(facts: Iterable[Fact | AnyFact]) -> list[tuple[Any, ...]]:
    """What breakers did, with its time, and what was refused by which reason."""
    told: list[tuple[Any, ...]] = []
    for fact in facts:
        match fact:
            case BreakerTripped():
                told.append(("tripped", fact.now, fact.scope, str(fact.state), fact.reason))
            case BreakerReset():
                told.append(("reset", fact.now, fact.scope, fact.breaker, fact.why))
            case OrderDenied():
                told.extend(("denied", fact.now, reason) for reason in fact.reasons)
    return told


def _first_difference(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> str:
    for first, second in zip(one, other, strict=False):
        if first != second:
            return f"{first}, which is {second}"
    longer = max(one, other, key=len)
    return str(longer[min(len(one), len(other))]) if len(one) != len(other) else "nothing"


def _raising(breaker: CircuitBreaker, method: str) -> CircuitBreaker:
    """The same breaker with a fault in a method."""

    def fail(*_: object) -> None:
        raise RuntimeError("a fault in the breaker")

    kind: Any = type(breaker)
    breaker.__class__ = type(kind.__name__, (kind,), {method: fail})
    return breaker


def _key(key: Any) -> tuple[str, str]:
    return (key[0], key[1]) if isinstance(key, tuple) else (str(key), "")
