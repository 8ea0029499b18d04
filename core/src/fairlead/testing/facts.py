"""Collecting facts: an in-memory journal for a kernel, a plugin for an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from fairlead import facts as f
from fairlead._kernel.apply import apply
from fairlead._kernel.packing import pack, unpack
from fairlead._kernel.state import State
from fairlead._models.market import MarketEvent
from fairlead.errors import JournalError
from fairlead.facts import Fact
from fairlead.hookspecs import hookimpl

F = TypeVar("F", bound=Fact)


class FactList:
    """A journal in memory. Facts go through the journal's bytes, so what is read back is what a restart reads.

    While `broken` holds a reason, nothing can be written.
    """

    def __init__(self) -> None:
        self.records: list[list[bytes]] = []
        self.broken = ""

    def append(self, facts: list[Fact]) -> None:
        """Write one record. Raises JournalError while it is broken."""
        if self.broken:
            raise JournalError(self.broken)
        self.records.append([f.encode(fact) for fact in facts])

    @property
    def facts(self) -> list[f.AnyFact]:
        """Everything written so far, in order."""
        return [f.decode(data) for record in self.records for data in record]

    def of(self, kind: type[F]) -> list[F]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def fold(self, snapshot: int | None = None) -> State:
        """The state that these facts give: what a restart begins with, from a snapshot after so many facts or none."""
        state = State()
        for count, fact in enumerate(self.facts):
            if count == snapshot:
                state = unpack(pack(state))
            apply(state, fact)
        return state


class EventList:
    """A tape in memory."""

    def __init__(self) -> None:
        self.events: list[tuple[int, MarketEvent]] = []

    def append(self, seq: int, event: MarketEvent) -> None:
        """Write one event down."""
        self.events.append((seq, event))

    def since(self, seq: int) -> list[MarketEvent]:
        """The events after this number."""
        return [event for number, event in self.events if number > seq]


class Recorder:
    """A plugin that keeps all facts of an engine: `plugins=[..., recorder]`, then `recorder.facts`."""

    name = "recorder"

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.stopped = ""

    @hookimpl
    def fairlead_fact(self, fact: Fact) -> None:
        """One more."""
        self.facts.append(fact)

    @hookimpl
    def fairlead_stopped(self, reason: str) -> None:
        """The end, and why."""
        self.stopped = reason

    def of(self, kind: type[F]) -> Sequence[F]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def plain(fact: Fact) -> dict[str, Any]:
    """A fact's own fields, without sequence number, time and cause: for comparing runs."""
    common = ("seq", "now", "cause")
    return {name: getattr(fact, name) for name in type(fact).__struct_fields__ if name not in common}
