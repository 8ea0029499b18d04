"""The suite for reconcilers."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from fairlead import duration_text
from fairlead import facts as f
from fairlead.ports import Action, Discrepancy, DiscrepancyKind, Reconciler, Resolution, View
from fairlead.testing import Bench
from fairlead_conformance.cases import Case, Tier, case
from fairlead_conformance.checks import looks_like_port, makes_nothing
from fairlead_conformance.divergences import DIVERGENCES, Divergence, story
from fairlead_conformance.suite import Conformance

TRADING = frozenset({Action.TRADE_BACK, Action.FLATTEN, Action.CANCEL})
BOOKING = TRADING | {Action.ADOPT}
DAYS = 300


class Spy:
    """A reconciler that asks another one, and keeps each question with its answers, the second time asked as well."""

    def __init__(self, asked: Reconciler) -> None:
        self.name = asked.name
        self.every_ns = asked.every_ns
        self.asked = asked
        self.answers: list[tuple[Discrepancy, Resolution | None, Resolution | None]] = []
        self.raised: list[str] = []
        self.changed = False

    def resolve(self, discrepancy: Discrepancy, view: View) -> Resolution | None:
        """Ask, twice."""
        before = memory(self.asked)
        try:
            first, second = self.asked.resolve(discrepancy, view), self.asked.resolve(discrepancy, view)
        except Exception as error:  # whatever it raises is the finding
            self.raised.append(f"{type(error).__name__} about {discrepancy}: {error}")
            raise
        self.changed = self.changed or memory(self.asked) != before
        self.answers.append((discrepancy, first, second))
        return first


@attrs.frozen
class Told:
    """What came of one divergence."""

    divergence: Divergence
    spy: Spy
    bench: Bench
    sent: int
    sent_again: int
    booked_again: int

    @property
    def found(self) -> list[Discrepancy]:
        """The differences that were found."""
        return [fact.discrepancy for fact in self.bench.of(f.DiscrepancyFound)]

    @property
    def decided(self) -> list[f.DiscrepancyResolved]:
        """What was decided."""
        return self.bench.of(f.DiscrepancyResolved)

    def __str__(self) -> str:
        return f"of {self.divergence.name!r}"


class ReconcilerConformance(Conformance):
    """Proves a reconciler: write `make`. `actions` are those that it may answer with; None is all of them."""

    kind = "reconciler"
    actions: frozenset[Action] | None = None
    _told: ClassVar[list[Told] | None]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._told = None

    def make(self) -> Reconciler:
        """A new reconciler."""
        reconciler: Reconciler = super().make()
        return reconciler

    def perform(self, info: Case, body: Callable[..., Any]) -> None:
        """Try a case on a new reconciler."""
        __tracebackhide__ = True
        reconciler = self.make()
        self.known(reconciler)
        body(self, reconciler)

    @property
    def told(self) -> list[Told]:
        """Every divergence, played once for all cases."""
        if type(self)._told is None:
            type(self)._told = [tell(divergence, Spy(self.make())) for divergence in DIVERGENCES]
        return type(self)._told or []

    # --- the object -----------------------------------------------------------------------------------------

    @case(Tier.CONTRACT)
    def test_it_fills_the_port(self, reconciler: Any) -> None:
        """It has a name, an interval in ns that is not below 0, and a plain `resolve`."""
        looks_like_port(reconciler, Reconciler, ("resolve",), ())
        every = reconciler.every_ns
        assert isinstance(every, int) and every >= 0, (
            f"every_ns is {every!r}: integer ns, 0 for as often as venues say"
        )
        assert reconciler.name == self.make().name, "its name differs from one object to the next"

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_making_it_opens_nothing(self, reconciler: Any) -> None:
        """A reconciler that is only made opens no file, socket or thread."""
        makes_nothing(self.make)

    # --- its answers ----------------------------------------------------------------------------------------

    @case(Tier.CORE, after="it_fills_the_port")
    def test_every_divergence_is_answered(self, reconciler: Any) -> None:
        """To each it says a Resolution, or None, and never raises."""
        for told in self.told:
            assert not told.spy.raised, f"it raises {told.spy.raised[0]}"
            for _, answer, _ in told.spy.answers:
                assert answer is None or isinstance(answer, Resolution), f"{told} it says {answer!r}"

    @case(Tier.CORE, after="every_divergence_is_answered")
    def test_each_divergence_becomes_facts(self, reconciler: Any) -> None:
        """It is found with its kind and severity, and what was decided stands in the journal with who did."""
        for told in self.told:
            kinds = [(found.kind, found.severity) for found in told.found[:1]]
            wanted = (
                [] if told.divergence.kind is None else [(told.divergence.kind, told.divergence.severity)]
            )
            assert kinds == wanted, f"{told}: {kinds} was found"
            for fact in told.decided:
                assert fact.who in (reconciler.name, "engine"), f"{told} {fact.who!r} has decided"

    @case(Tier.CORE, after="every_divergence_is_answered")
    def test_it_is_pure(self, reconciler: Any) -> None:
        """Asked again it says the same, asking changes nothing in it, and another object of it says the same."""
        other = self.make()
        for told in self.told:
            assert not told.spy.changed, f"{told} it remembers something, and a restart would forget it"
            for discrepancy, first, second in told.spy.answers:
                assert first == second, f"{told} it says {first}, and asked again {second}"
                view = told.bench.kernel.view
                assert other.resolve(discrepancy, view) == first, (
                    f"{told} another object of it says otherwise"
                )

    @case(Tier.CORE, after="it_is_pure")
    def test_its_answers_can_be_carried_out(self, reconciler: Any) -> None:
        """What it says is what is decided: no action that makes no sense for a kind, such as trading cash back."""
        for told in self.told:
            said = [answer.action for _, answer, _ in told.spy.answers if answer is not None]
            for fact in told.decided:
                assert fact.who == "engine" or fact.action in said, (
                    f"{told} it says {said}, and {fact.action} is done"
                )
            mine = [fact for fact in told.decided if fact.who == reconciler.name]
            without_side = told.found and told.found[0].order is not None and told.found[0].order.side is None
            assert not said or mine or without_side, f"{told} it says {said[0]}, which makes no sense for it"

    @case(Tier.CORE, after="its_answers_can_be_carried_out")
    def test_adjustments_have_a_cause(self, reconciler: Any) -> None:
        """What changes the books names what explains it."""
        for told in self.told:
            for _, answer, _ in told.spy.answers:
                named = answer is None or answer.action not in BOOKING or answer.cause
                assert named, f"{told} it says {answer}, without a cause"

    @case(Tier.CORE, after="every_divergence_is_answered")
    def test_it_trades_only_where_it_says_so(self, reconciler: Any) -> None:
        """Nothing is sent but what an answer asks for, and no answer asks for what its strategy does not do."""
        for told in self.told:
            said = {answer.action for _, answer, _ in told.spy.answers if answer is not None}
            assert not told.sent or said & TRADING, f"{told} something was sent, and it says {sorted(said)}"
            allowed = self.actions is None or said <= self.actions
            assert allowed, f"{told} it says {sorted(said)}, and may {sorted(self.actions or ())}"

    @case(Tier.CORE, after="it_is_pure")
    def test_a_second_pass_changes_nothing(self, reconciler: Any) -> None:
        """Once it is decided, comparing again books and sends nothing more, and the journal gives the same state."""
        for told in self.told:
            assert not told.booked_again, f"{told} it is booked again at the next comparison"
            assert not told.sent_again, f"{told} something is sent again at the next comparison"
            told.bench.check()

    @case(Tier.MODEL, after="it_is_pure")
    def test_random_differences_are_answered_alike(self, reconciler: Any) -> None:
        """Whatever the figures are, it answers, twice the same."""
        view = self.told[0].bench.kernel.view
        for discrepancy in differences(random.Random(7)):
            first = reconciler.resolve(discrepancy, view)
            assert first is None or isinstance(first, Resolution), f"to {discrepancy} it says {first!r}"
            assert reconciler.resolve(discrepancy, view) == first, f"to {discrepancy} it answers in two ways"


def tell(divergence: Divergence, spy: Spy) -> Told:
    """Play a divergence: it comes about, is found and decided, and is compared once more."""
    bench, venue = story(divergence, spy)
    divergence.make(bench, venue)
    sent = len(venue.commands)
    long_enough = duration_text(2 * spy.every_ns + 30_000_000_000)
    bench.advance(long_enough)
    first, sent_then = booked(bench, spy), len(venue.commands)
    bench.advance(long_enough)
    again, sent_again = booked(bench, spy) - first, len(venue.commands) - sent_then
    return Told(divergence, spy, bench, sent_then - sent, sent_again, again)


def booked(bench: Bench, spy: Spy) -> int:
    """How often something was adopted or traded back by it."""
    return sum(fact.who == spy.name and fact.action in BOOKING for fact in bench.of(f.DiscrepancyResolved))


def memory(reconciler: Any) -> Any:
    """What it holds, comparable."""
    try:
        return copy.deepcopy(vars(reconciler))
    except (TypeError, ValueError):  # no plain attributes, or what cannot be copied
        return repr(vars(reconciler)) if hasattr(reconciler, "__dict__") else repr(reconciler)


def differences(dice: random.Random) -> list[Discrepancy]:
    """Differences of every kind with any figures, those without an order left out of orders' kinds."""
    plain = [told for told in DIVERGENCES if told.kind is not None]
    found = []
    for number in range(DAYS):
        chosen = dice.choice(plain)
        ours, theirs = (Decimal(dice.randint(-(10**6), 10**6)) / 1000 for _ in range(2))
        kind = chosen.kind if chosen.kind in _FIGURES else DiscrepancyKind.CASH
        subject = "USDT" if kind is DiscrepancyKind.CASH else "BTC/USDT:USDT@fake"
        found.append(
            Discrepancy(
                id=f"d{number}",
                account="fake",
                kind=kind or DiscrepancyKind.CASH,
                subject=subject,
                ours=ours,
                theirs=theirs,
                severity=chosen.severity,
            )
        )
    return found


_FIGURES = (
    DiscrepancyKind.QUANTITY,
    DiscrepancyKind.SIDE,
    DiscrepancyKind.MISSING_HERE,
    DiscrepancyKind.MISSING_THERE,
    DiscrepancyKind.CASH,
)
