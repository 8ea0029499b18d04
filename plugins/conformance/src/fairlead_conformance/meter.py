"""What a breaker is asked, what it answers, and what that costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf
from typing import Any

from fairlead import Instrument, Order, OrderIntent, Position
from fairlead.facts import Fact
from fairlead.ports import CircuitBreaker, Trip, View

PATIENCE = 50
"""So often in a row a breaker may want to look at once: some report one thing at each look."""

LEAST_NS = 1_000_000
"""What is wanted sooner than this is wanted at once."""

REST_NS = 3600 * 10**9
"""How long one that does so is kept quiet."""

SAMPLE = 7
"""Of so many looks one is counted: counting makes each dear."""


class Meter:
    """Listens to a breaker from now on: `trips` are its findings, `costs` the calls that each look took.

    A cost counts function calls, so it is the same on every machine. `unsteady` are checks that answered otherwise when
    they were asked again, or changed what is saved. It is asked about every order, whatever `allows` says.
    """

    def __init__(self, breaker: Any) -> None:
        self.trips: list[Trip] = []
        self.costs: list[int] = []
        self.unsteady: list[str] = []
        self._looks = 0
        check, watch = breaker.check, breaker.watch

        def metered_check(intent: OrderIntent, view: View) -> Trip | None:
            before = kept(breaker)
            found = self._cost(check, intent, view)
            again = check(intent, view)
            if again != found or kept(breaker) != before:
                self.unsteady.append(
                    f"about {intent.side} {intent.quantity} it says {found}, and asked again {again}"
                )
            return self._note(found)

        def metered_watch(item: Any, view: View) -> Trip | None:
            return self._note(self._cost(watch, item, view))

        breaker.check, breaker.watch = metered_check, metered_watch

    def _note(self, found: Trip | None) -> Trip | None:
        if found is not None:
            self.trips.append(found)
        return found

    def _cost(self, function: Callable[..., Trip | None], *words: Any) -> Trip | None:
        self._looks += 1
        if self._looks % SAMPLE:
            return function(*words)
        calls = 0

        def count(_: Any, event: str, __: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            return function(*words)
        finally:
            sys.setprofile(before)
            self.costs.append(calls)


def guard(breaker: Any) -> list[str]:
    """Keep a breaker that wants to look at one moment over and over from ending the day there; gives what it wanted."""
    idle: list[str] = []
    due = getattr(breaker, "due", None)
    again = 0

    def guarded(view: View) -> int:
        nonlocal again
        when = int(due(view))  # type: ignore[misc]
        again = again + 1 if when < view.now + LEAST_NS else 0
        if again > PATIENCE:
            idle.append(f"at {view.now} it wants to look at {when}, over and over")
            return view.now + REST_NS
        return when

    if due is not None:
        breaker.due = guarded
    return idle


def kept(breaker: Any) -> bytes:
    """What it saves; nothing where it saves nothing."""
    save = getattr(breaker, "save", None)
    return b"" if save is None else bytes(save())


def plain(breaker: CircuitBreaker) -> CircuitBreaker:
    """The same breaker without its short cuts: `check` sees each order, `watch` each event and change of equity."""
    kind: Any = type(breaker)
    own: dict[str, Any] = {"check": kind.check, "watch": kind.watch}
    if hasattr(kind, "quiet"):
        own["quiet"] = lambda *_: (inf, -inf)
    breaker.__class__ = type(kind.__name__, (kind,), own)
    return breaker


class BlindView:
    """A view of an account of which nothing is known yet; `asked` is what somebody wanted to know."""

    now = 1_700_020_800_000_000_000

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self.asked: list[str] = []

    def _unknown(self, what: str) -> None:
        self.asked.append(what)

    def accounts(self) -> Sequence[str]:
        """One."""
        return ("blind",)

    def currency(self, account: str) -> str:
        """That of the instrument."""
        return self._instrument.settle

    def equity(self, account: str) -> None:
        """Not known."""
        return self._unknown("equity")

    def day_start(self, account: str) -> None:
        """Not known."""
        return self._unknown("day_start")

    def high_water(self, account: str) -> None:
        """Not known."""
        return self._unknown("high_water")

    def exposure(self, account: str) -> None:
        """Not known."""
        return self._unknown("exposure")

    def value(self, intent: OrderIntent) -> None:
        """Not known."""
        return self._unknown("value")

    def exposure_with(self, intent: OrderIntent) -> None:
        """Not known."""
        return self._unknown("exposure_with")

    def margin(self, account: str) -> None:
        """Not known."""
        return self._unknown("margin")

    def margin_with(self, intent: OrderIntent) -> None:
        """Not known."""
        return self._unknown("margin_with")

    def instrument(self, name: str) -> Instrument:
        """The only one."""
        return self._instrument

    def price(self, intent: OrderIntent) -> None:
        """Not known."""
        return self._unknown("price")

    def market_value(self, account: str, instrument: str, quantity: Decimal) -> None:
        """Not known."""
        return self._unknown("market_value")

    def reach(
        self, account: str, instrument: str, strategy: str | None = None, more: OrderIntent | None = None
    ) -> tuple[Decimal, Decimal]:
        """What is asked about, and nothing else."""
        none = Decimal(0)
        return (more.quantity, none) if more is not None else (none, none)

    def mark(self, instrument: str) -> None:
        """Not known."""
        return self._unknown("mark")

    def age(self, instrument: str) -> None:
        """Not known."""
        return self._unknown("age")

    def cadence(self, instrument: str) -> int:
        """Ticks."""
        return 0

    def watched(self) -> Sequence[str]:
        """The only one."""
        return (self._instrument.id,)

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Decimal:
        """Flat."""
        return Decimal(0)

    def positions(self, account: str) -> Sequence[Position]:
        """None."""
        return ()

    def orders(self, account: str) -> Sequence[Order]:
        """None."""
        return ()

    def recent(self, since_ns: int) -> Sequence[Order]:
        """None."""
        return ()

    def facts(self, after: int) -> Sequence[Fact]:
        """None."""
        return ()

    def order(self, client_order_id: str) -> Order | None:
        """Not known."""
        return None
