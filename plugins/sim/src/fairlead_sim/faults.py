"""Faults on the way between an adapter and its venue, scripted or by chance. The venue itself stays honest."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

import attrs

from fairlead import ConfigurationError, duration, percent
from fairlead.ports import (
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    OutcomeUnknown,
    Rejected,
    Replace,
    Replaced,
    ReplaceRejected,
    Report,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_sim.venue import SimulatedVenue

_ANSWERS = (Accepted, Rejected, Canceled, CancelRejected, Replaced, ReplaceRejected)


class FaultKind(enum.StrEnum):
    """What goes wrong with a command.

    `reject`: refused on the way. `lose`: never arrives. `lose_answer`: arrives, its answer does not. `delay`:
    its reports come late. `duplicate`: its reports come twice. `reorder`: its first two reports change places.
    `drop`: the private stream goes down, every report of that time is missed, and it comes up again.
    """

    REJECT = "reject"
    LOSE = "lose"
    LOSE_ANSWER = "lose_answer"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DROP = "drop"


@attrs.frozen
class Fault:
    """One fault: what happens to which command (1 is the first), and for how long where it lasts."""

    kind: FaultKind
    command: int
    lasts_ns: int = 1_000_000_000


@attrs.frozen(kw_only=True)
class FaultPlan:
    """Faults by the number of the command, and chances for all others, under a seed.

    An adapter that gets no answer within `patience_ns` says that the outcome is unknown.
    """

    faults: tuple[Fault, ...] = ()
    chances: Mapping[FaultKind, float] = attrs.field(factory=dict)
    seed: int = 0
    patience_ns: int = 1_000_000_000

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `"reject@3 delay@4:200ms lose:1% seed=7 patience=500ms"`; lines from # on are left out.

        Raises ConfigurationError.
        """
        faults: list[Fault] = []
        chances: dict[FaultKind, float] = {}
        options: dict[str, int] = {}
        words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
        for word in words:
            try:
                if word.startswith("seed="):
                    options["seed"] = int(word[5:])
                elif word.startswith("patience="):
                    options["patience_ns"] = duration(word[9:])
                elif "@" in word:
                    kind, _, where = word.partition("@")
                    number, _, lasts = where.partition(":")
                    faults.append(Fault(FaultKind(kind), int(number), duration(lasts or "1s")))
                else:
                    kind, _, chance = word.partition(":")
                    chances[FaultKind(kind)] = float(percent(chance))
            except (ValueError, ConfigurationError) as error:
                kinds = ", ".join(FaultKind)
                raise ConfigurationError(
                    f"{word!r} is no fault: write KIND@COMMAND[:DURATION], KIND:CHANCE%, seed=N or patience=DURATION, "
                    f"with a kind of {kinds}"
                ) from error
        return cls(faults=tuple(faults), chances=chances, **options)


class Wire:
    """Carries commands to a venue and reports back, with the faults of a plan on the way."""

    def __init__(self, venue: SimulatedVenue, plan: FaultPlan) -> None:
        self._venue = venue
        self._plan = plan
        self._scripted = {fault.command: fault for fault in plan.faults}
        self._random = random.Random(plan.seed)
        self._count = 0
        self._marked: dict[str, Fault] = {}
        self._held: dict[str, Report] = {}
        self._waiting: dict[str, int] = {}
        self._down = False
        self._epoch = 1

    def open(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Connect both ends."""
        self._emit = emit
        self._clock = clock
        self._venue.open(self._return, clock)

    def send(self, command: Command) -> None:
        """Carry a command, or fail to."""
        self._count += 1
        fault = self._scripted.get(self._count) or self._by_chance()
        name = getattr(command, "client_order_id", "")
        if name:
            self._expect(name)
        if fault is not None:
            if fault.kind is FaultKind.LOSE:
                return
            if fault.kind is FaultKind.REJECT:
                self._refuse(command)
                return
            if fault.kind is FaultKind.DROP:
                self._drop(fault.lasts_ns)
            else:
                self._marked[name] = fault
        self._venue.send(command)

    def _by_chance(self) -> Fault | None:
        for kind, chance in self._plan.chances.items():
            if self._random.random() < chance:
                return Fault(kind, self._count)
        return None

    def _expect(self, name: str) -> None:
        """Wait for an answer, and give up after a while."""
        until = self._waiting[name] = self._clock.now() + self._plan.patience_ns
        self._clock.call_at(until, partial(self._give_up, name, until))

    def _give_up(self, name: str, until: int) -> None:
        if self._waiting.get(name) == until:
            del self._waiting[name]
            self._emit(
                OutcomeUnknown(client_order_id=name, event_ns=self._clock.now(), reason="no answer came")
            )

    def _refuse(self, command: Command) -> None:
        match command:
            case Submit(client_order_id=name):
                self._deliver(
                    Rejected(
                        client_order_id=name,
                        event_ns=self._clock.now(),
                        code="fault",
                        reason="the plan says so",
                    )
                )
            case Cancel(client_order_id=name):
                self._deliver(
                    CancelRejected(
                        client_order_id=name,
                        event_ns=self._clock.now(),
                        code="fault",
                        reason="the plan says so",
                    )
                )

            case Replace(client_order_id=name, attempt=attempt):
                why = "the plan says so"
                self._deliver(
                    ReplaceRejected(client_order_id=name, attempt=attempt, code="fault", reason=why)
                )

    def _drop(self, lasts_ns: int) -> None:
        if not self._down:
            self._down = True
            self._emit(StreamDown(reason="the plan says so"))
            self._clock.call_at(self._clock.now() + lasts_ns, self._restore)

    def _restore(self) -> None:
        self._down = False
        self._epoch += 1
        self._emit(StreamUp(epoch=self._epoch))

    # --- reports --------------------------------------------------------------------------------------------------

    def _return(self, report: Report) -> None:
        """Carry a report back, or fail to."""
        if self._down:
            return
        name: str = getattr(report, "client_order_id", "")
        fault = self._marked.get(name) if name else None
        if fault is None:
            self._deliver(report)
            return
        match fault.kind:
            case FaultKind.LOSE_ANSWER:
                if isinstance(report, _ANSWERS):
                    del self._marked[name]
                else:
                    self._deliver(report)
            case FaultKind.DELAY:
                self._clock.call_at(self._clock.now() + fault.lasts_ns, partial(self._deliver, report))
            case FaultKind.DUPLICATE:
                self._deliver(report)
                self._deliver(report)
            case _:
                self._swap(name, report, fault)

    def _swap(self, name: str, report: Report, fault: Fault) -> None:
        """Hold a report until the next one has gone, or for as long as the fault lasts."""
        if name in self._held:
            del self._marked[name]
            self._deliver(report)
            self._release(name)
        else:
            self._held[name] = report
            self._clock.call_at(self._clock.now() + fault.lasts_ns, partial(self._release, name))

    def _release(self, name: str) -> None:
        report = self._held.pop(name, None)
        if report is not None:
            self._deliver(report)

    def _deliver(self, report: Report) -> None:
        if isinstance(report, _ANSWERS):
            self._waiting.pop(report.client_order_id, None)
        self._emit(report)
