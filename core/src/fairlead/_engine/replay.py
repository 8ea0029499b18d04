"""Replay: the inputs of a run once more through a fresh kernel, which must come to the same facts, byte for byte.

Inputs are the market events on the tape and the facts that are their own cause. Everything else is decided again:
what strategies do, what breakers find, when timers fire. Nothing is sent, and nothing is asked.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from fairlead import facts as f
from fairlead._engine.assembly import build
from fairlead._engine.parts import Parts, fresh, spec
from fairlead._kernel.apply import apply
from fairlead._kernel.clock import NEVER, REPORT, TIMER, Agenda, ManualTime
from fairlead._kernel.state import State
from fairlead._models.market import Bar, History, MarketEvent
from fairlead._storage.journal import read_facts
from fairlead._storage.run import RunFolder
from fairlead._storage.tape import read_tape
from fairlead.errors import ConfigurationError
from fairlead.ports import Command

if TYPE_CHECKING:
    from fairlead._engine.engine import LiveTradingEngine


_LEARNED = (f.JournalCut, f.AccountDoubted, f.StateChanged, f.AccountOpened)
"""What a start writes down of its journal and its venues before anything is decided."""


@attrs.frozen
class Difference:
    """Where a replay parts from its journal: the first fact that is not the same, None where one ends early."""

    seq: int
    journal: f.Fact | None
    replayed: f.Fact | None

    def __str__(self) -> str:
        return f"at {self.seq} the journal has {self.journal or 'nothing'}, the replay {self.replayed or 'nothing'}"


@attrs.frozen
class Replayed:
    """What a replay gave: its facts, up to the first difference if there is one.

    `starts` and `events` are how many starts of the engine and market events it went through.
    """

    facts: list[f.Fact] = attrs.field(repr=False)
    first_difference: Difference | None
    starts: int
    events: int


def replay(engine: LiveTradingEngine, folder: str | Path | None = None) -> Replayed:
    """Decide again everything that a run of this engine decided, and compare it with the run's journal.

    `folder` is the run's, the engine's own if it is not given. Strategies and breakers are built anew at each
    start of the run, as they were then. Raises ConfigurationError where the run is of other strategies or its tape
    does not reach back to its beginning, JournalDamaged where it cannot be read.
    """
    run = engine.folder if folder is None else RunFolder(folder)
    starts = list(_starts(read_facts(run.journal)))
    if not starts:
        raise ConfigurationError(f"the run {run.path} has no journal: there is nothing to replay")
    count = sum(isinstance(facts[0], f.EngineStarted) for facts in starts)
    state, tape = State(), _Tape(read_tape(run.tape))
    done: list[f.Fact] = []
    for facts in starts:
        began = facts[0]
        if not isinstance(began, f.EngineStarted):  # what a person decided while no engine ran
            for fact in facts:
                apply(state, fact)
            done += facts
            continue
        _check_strategies(engine, began, run)
        parts = Parts(
            [fresh(strategy) for strategy in engine.strategies],
            engine.wiring.brokers,
            engine.wiring.streams,
            engine.wiring.fresh_breakers(),
            list(engine.wiring.reconcilers.values()),
            waived=began.waived,
            dead_man=engine.dead_man,
        )
        again = _Start(parts, copy.deepcopy(state), facts)
        difference = again.run(tape)
        done += again.facts
        if difference is not None:
            return Replayed(done, difference, count, tape.count)
        for fact in facts:
            apply(state, fact)
    return Replayed(done, None, count, tape.count)


def _starts(facts: Iterator[f.AnyFact]) -> Iterator[list[f.AnyFact]]:
    """The facts of each start of the engine."""
    current: list[f.AnyFact] = []
    for fact in facts:
        if isinstance(fact, f.EngineStarted | f.AccountAdopted | f.AccountMoved) and current:
            yield current
            current = []
        current.append(fact)
    if current:
        yield current


def _check_strategies(engine: LiveTradingEngine, began: f.EngineStarted, run: RunFolder) -> None:
    for mine, theirs in zip(map(spec, engine.strategies), began.strategies, strict=False):
        if (mine.name, mine.arguments) != (theirs.name, theirs.arguments):
            raise ConfigurationError(
                f"the run {run.path} traded {theirs.name}{theirs.arguments}, and this engine has "
                f"{mine.name}{mine.arguments}: replay it with the script that ran"
            )
    if len(engine.strategies) != len(began.strategies):
        raise ConfigurationError(
            f"the run {run.path} had {len(began.strategies)} strategies, and this engine has "
            f"{len(engine.strategies)}: replay it with the script that ran"
        )


class _Tape:
    """The tape, read once from front to back."""

    def __init__(self, records: Iterator[tuple[int, MarketEvent]]) -> None:
        self._records = records
        self._next = next(records, None)
        self.count = 0

    def between(self, after: int, last: int) -> Iterator[tuple[int, Any]]:
        """Events with numbers in (after, last]; those before are passed over."""
        while self._next is not None and self._next[0] <= last:
            found, self._next = self._next, next(self._records, None)
            if found[0] > after:
                self.count += 1
                yield found


class _Differs(Exception):
    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


class _Start:
    """One start of the engine, up to its end or its death.

    It is the kernel's journal, and compares what is written.
    """

    def __init__(self, parts: Parts, state: State, facts: Sequence[f.AnyFact]) -> None:
        self.facts: list[f.Fact] = []
        self._wanted = facts
        began = facts[0]
        self._agenda = agenda = _Agenda(ManualTime(began.now))
        self._kernel = kernel = build(parts, state=state, agenda=agenda, journal=self, tape=None)
        kernel.unfinished.kept = True
        kernel.catalogue.update(state.instruments)
        for fact in facts:
            if isinstance(fact, f.InstrumentDefined):
                kernel.catalogue[fact.instrument.id] = fact.instrument
        for account in parts.brokers:
            kernel.outbox.senders[account] = _send_nothing
        for runner in kernel.runners.values():
            runner.ask_outside = _ask_nothing
        kernel.recorder.seq, kernel.recorder.now = began.seq - 1, began.now

    def append(self, facts: Sequence[f.Fact]) -> None:
        """Compare a turn's facts with the journal's. What a dying engine did not write any more is left out."""
        for fact in facts:
            place = len(self.facts)
            if place == len(self._wanted):
                if isinstance(self._wanted[-1], f.EngineStopped):
                    raise _Differs(Difference(fact.seq, None, fact))
                return
            wanted = self._wanted[place]
            if f.encode(fact) != f.encode(wanted):
                raise _Differs(Difference(min(fact.seq, wanted.seq), wanted, fact))
            self.facts.append(fact)

    def run(self, tape: _Tape) -> Difference | None:
        """From the start to the last fact; the first difference, if there is one."""
        try:
            self._run(tape)
        except _Differs as found:
            return found.difference
        if len(self.facts) < len(self._wanted):
            missing = self._wanted[len(self.facts)]
            return Difference(missing.seq, missing, None)
        return None

    def _run(self, tape: _Tape) -> None:
        first, last = self._wanted[0].seq, self._wanted[-1].seq
        self._kernel.turn(self._begin)
        inputs = [(fact.seq, fact) for fact in self._wanted[1:] if _is_input(fact)]
        events = tape.between(first, last)
        for seq, item in heapq.merge(inputs, events, key=lambda pair: pair[0]):
            if isinstance(item, f.Fact):
                self._until(seq, item.now)
                self._agenda.time.reach(item.now)
                self._enter(item)
            else:
                self._event(seq, item)
        self._until(last + 1, self._wanted[-1].now, through=True)

    def _event(self, seq: int, event: MarketEvent) -> None:
        now = event.received_ns
        self._agenda.run(now - 1)
        if type(event) is not History:
            self._agenda.run(now, REPORT if type(event) is Bar else TIMER)
        self._until(seq, now)
        self._agenda.time.reach(now)
        self._kernel.event(event)

    def _until(self, seq: int, now: int, *, through: bool = False) -> None:
        """Run what came due before input `seq` of time `now`; at that very time, as far as facts lead up to it."""
        if not through:
            self._agenda.run(now - 1)
        recorder = self._kernel.recorder
        while recorder.seq < seq - 1 and self._agenda.due <= now:
            self._agenda.run_one()
        if recorder.seq != seq - 1:
            place = len(self.facts)
            missing = self._wanted[place] if place < len(self._wanted) else None
            raise _Differs(Difference(recorder.seq + 1, missing, None))

    # --- inputs ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The start itself, with what the engine learned from its brokers then."""
        recorder, began = self._kernel.recorder, self._wanted[0]
        recorder.cause = began.seq
        self._copy(began)
        for fact in self._wanted[1:]:
            if isinstance(fact, _LEARNED) and fact.cause == began.seq:
                self._copy(fact)
        self._kernel.start_accounts()

    def _copy(self, fact: f.Fact) -> None:
        fields = msgspec.structs.asdict(fact)
        for known in ("seq", "now", "cause"):
            del fields[known]
        self._kernel.recorder.record(type(fact), **fields)

    def _enter(self, fact: f.Fact) -> None:
        kernel = self._kernel
        match fact:
            case f.ReportReceived():
                kernel.report(fact.account, fact.report)
            case f.Answered():
                kernel.answer(fact.strategy, fact.ask, fact.value, fact.error)
            case f.Commanded():
                kernel.command(fact.verb, fact.who, fact.why, fact.request, **fact.arguments)
            case f.BarState():
                kernel.turn(lambda: kernel.unfinished.restore(fact.bars))
            case f.StrategiesStarted():
                restored, stand_by = fact.restored, fact.stand_by
                kernel.turn(lambda: kernel.start_strategies(restored=restored, stand_by=stand_by))
            case f.EngineStopping():
                within = fact.until_ns - fact.now
                kernel.turn(lambda: kernel.ending.begin(fact.reason, within, leaves=fact.leaves))
            case f.StrategiesStopped():
                kernel.turn(kernel.ending.finish)
            case f.EngineStopped() if fact.cause == fact.seq:
                self.append([fact])  # written past a kernel that could write no more
            case f.EngineStopped():
                kernel.turn(lambda: self._copy(fact))
            case _:
                kernel.turn(lambda: self._noted(fact))

    def _noted(self, fact: f.Fact) -> None:
        self._kernel.recorder.cause = fact.seq
        self._copy(fact)


class _Agenda(Agenda):
    """An agenda that can run one entry alone."""

    __slots__ = ()

    def run_one(self) -> None:
        """Run the earliest entry."""
        entry = heapq.heappop(self._heap)[4]
        self.due = self._heap[0][0] if self._heap else NEVER
        if entry.callback is not None:
            self.time.reach(entry.due_ns)
            self.moment = entry.due_ns
            entry.callback()
            self.moment = 0


def _is_input(fact: f.Fact) -> bool:
    return (fact.cause == fact.seq and not isinstance(fact, f.TimerFired)) or isinstance(
        fact, f.EngineStopped
    )


def _send_nothing(command: Command) -> None:
    """What was sent then is not sent again."""


def _ask_nothing(runner: Any, number: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """The answer is in the journal."""
