"""The way in for market events, and the one rule of order at equal time.

Reports come before bars that close then, these before timers (small intervals before large), and other market
events last. A simulated venue sees an event before the kernel does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from fairlead._kernel.clock import REPORT, TIMER, Agenda, ManualTime
from fairlead._kernel.market import in_turn
from fairlead._models.market import Bar, MarketEvent
from fairlead.ports import BrokerAdapter


class Sees(Protocol):
    """A kernel, or whatever else events are for."""

    def event(self, event: MarketEvent) -> None:
        """Take one event, all that was due before it being done."""
        ...


class Intake:
    """Hands each event to whoever must see it, after what was due before it."""

    def __init__(self, kernel: Sees, agenda: Agenda, brokers: Iterable[BrokerAdapter]) -> None:
        self._agenda = agenda
        self._moved = agenda.time if isinstance(agenda.time, ManualTime) else None
        self._see = kernel.event
        self._simulate = in_turn([broker.market for broker in brokers if hasattr(broker, "market")])

    def take(self, event: MarketEvent) -> None:
        """One event, stamped with the time it was received at."""
        now = event.received_ns
        agenda = self._agenda
        if agenda.due < now:
            agenda.run(now - 1)
        moved = self._moved
        if moved is not None and now > moved.ns:
            moved.ns = now  # as `reach` does: a time that is moved by hand moves with each event
        simulate, see = self._simulate, self._see
        if simulate is not None:
            simulate(event)
        if agenda.due <= now:
            agenda.run(now, REPORT if type(event) is Bar else TIMER)
        see(event)
