"""A live run: folders and locks, recovery, connections, time, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead._engine.answers import Answers
from fairlead._engine.asking import ask
from fairlead._engine.assembly import build, currency_of, introduce, open_accounts
from fairlead._engine.claims import claim
from fairlead._engine.clockwatch import ClockWatch
from fairlead._engine.connecting import connect_brokers, connect_streams
from fairlead._engine.control import Control, about
from fairlead._engine.deadman import call_off
from fairlead._engine.distributions import core_version
from fairlead._engine.door import Door
from fairlead._engine.heap import FrozenHeap
from fairlead._engine.inquiries import Inquiries
from fairlead._engine.keeping import SnapshotKeeper
from fairlead._engine.lagwatch import LagWatch
from fairlead._engine.lastwords import say_last_words
from fairlead._engine.leasing import LeaseKeeper
from fairlead._engine.moments import moment
from fairlead._engine.observers import Observers, speak
from fairlead._engine.outside import Outside, learn_kills
from fairlead._engine.ownership import Ownership
from fairlead._engine.pacing import Pacer, not_before, time_for
from fairlead._engine.parts import Parts, kind_of
from fairlead._engine.recovery import OVERLAP_NS, Recovery, first_books, unfinished_bars
from fairlead._engine.references import refuse_unknown, refuse_unlisted, unlisted
from fairlead._engine.reopening import doubts, learn, reopen
from fairlead._engine.risk import RiskKeeper
from fairlead._engine.shutdown import CLOSE_SECONDS, Shutdown, Watchdog
from fairlead._engine.signals import leave_at_once, signals
from fairlead._engine.stall import StallSampler
from fairlead._engine.subscribing import Subscriber
from fairlead._engine.supervision import Supervisor
from fairlead._kernel.clock import END, Agenda, ManualTime, ScaledTime, SystemTime
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.remedies import ADOPT
from fairlead._models.instrument import Instrument
from fairlead._secrets.scrub import scrub
from fairlead._storage.journal import Journal, Synced
from fairlead._storage.segments import boot_id
from fairlead._storage.tape import Tape
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import ClockStepped, EngineLagged, Noted
from fairlead.ports import Command, Report, Snapshot, Subscription
from fairlead.units import duration

if TYPE_CHECKING:
    from fairlead._engine.engine import LiveTradingEngine

T = TypeVar("T")

log = logging.getLogger("fairlead.engine")

LATE_SECONDS = 1.0
"""How late a run may be for its own end, on the clock on the wall, before it ends whatever is due."""


def listed(kernel: Kernel) -> list[Instrument]:
    """What can be traded, and what the journal knows besides: it may be held still, though nobody lists it any more."""
    return [*kernel.catalogue.values(), *kernel.state.instruments.values()]


class Session:
    """One run of an engine, from the lock on its folder to the last fact."""

    def __init__(self, engine: LiveTradingEngine, parts: Parts) -> None:
        self._engine = engine
        self._folder = engine.folder
        self._parts = parts
        self._time = time_for(engine.wiring.clock, parts.streams.values())
        self._agenda = Agenda(self._time)
        self._feeds = Agenda(self._time)
        self._ended: asyncio.Event | None = None
        self._reason = ""
        self._interrupted = False
        self._task: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open_streams = 0
        self._pacer: Pacer | None = None
        self._shutdown: Shutdown | None = None
        self._watchdog: Watchdog | None = None
        self._owns_process = False
        self.overdue = False
        """Whether it cannot end, because something blocks its thread that cannot be interrupted."""
        self.kernel: Kernel | None = None
        self.started = threading.Event()

    # --- from start to end ----------------------------------------------------------------------------------

    async def run(self, until: str | datetime | None) -> str:
        """Everything between `engine.run()` and its return; gives the reason for the end."""
        self._refuse_over(until)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._ended = asyncio.Event()
        self._task = asyncio.current_task()
        self._watchdog = Watchdog(lambda: self.kernel, self._engine.stop_within_ns / 1e9, self._hopeless)
        with (
            self._watchdog as watchdog,
            signals(self._loop, self._signaled, watchdog.begin) as self._owns_process,
        ):
            try:
                await self._trade(until)
            except asyncio.CancelledError:
                if not self._interrupted or self._task is None or self._task.uncancel():
                    raise
        if self._error is not None:
            raise self._error
        return self._reason

    async def _trade(self, until: str | datetime | None) -> None:
        assert self._loop is not None
        assert self._ended is not None
        async with contextlib.AsyncExitStack() as stack:
            self._folder.lock()
            stack.callback(self._folder.unlock)
            stack.enter_context(claim(self._parts, str(self._folder.path)))
            journal, kernel = self._open(stack)
            self._outside = stack.enter_context(Outside(kernel, self._owned.homes, self._loop))
            self._door = Door(kernel, self._agenda, self._parts.brokers.values(), self._loop, self._failed)
            kernel.failed = self._journal_failed
            kernel.sweeps.finished = self.stop
            observers = Observers(self._engine.wiring.manager)
            stack.callback(lambda: observers.stopped(self._reason))
            self._supervisor = supervisor = Supervisor(
                kernel, self._door, self._agenda, self._feeds, self._tasks, self._parts.brokers
            )
            stack.callback(supervisor.stop)
            kernel.observers += [speak, observers.facts, supervisor.facts]
            stack.push_async_callback(self._leave_no_task)
            known = about(self._folder, self._parts, started_ns=self._time.now())
            await stack.enter_async_context(Control(self, kernel, known))
            await self._connect_brokers(kernel, stack)
            self._pacer = pacer = Pacer(
                self._agenda, self._feeds, self._loop, self._failed, busy=self._engine.busy_poll
            )
            stack.callback(pacer.stop)
            stack.enter_context(StallSampler(kernel, self._thread, self._stalled))
            if isinstance(self._time, SystemTime):
                stack.enter_context(ClockWatch(self._time, self._loop, self._clock_stepped))
                stack.enter_context(LagWatch(self._loop, self._lagged))
            await self._start(kernel, journal)
            await self._connect_streams(kernel, stack)
            stack.enter_context(RiskKeeper(kernel, self._folder.path, self._loop))
            observers.started(self._engine)
            self._stop_at(until, stack)
            self._shutdown = shutdown = Shutdown(
                kernel, self._door, self._agenda, self._engine.stop_within_ns
            )
            if isinstance(self._time, SystemTime):  # on any other nobody counts microseconds
                stack.enter_context(FrozenHeap())
            try:
                pacer.start()
                self.started.set()
                await self._ended.wait()
                await shutdown.settle(self._reason, pacer)
                if self._error is None:
                    await call_off(kernel, self._door)
            finally:
                self._reason = self._reason or "its task was canceled"
                pacer.stop()
                self._end(kernel, journal)
                await self._leave_no_task()

    def _open(self, stack: contextlib.AsyncExitStack) -> tuple[Journal, Kernel]:
        """Lock the accounts, restore the state, and put the kernel together."""
        brokers, folder = self._parts.brokers, self._folder
        self._owned = owned = Ownership(brokers, folder, self._engine.wiring.lease, stack)
        self.opened = opened = reopen(folder, boot_id())
        state = opened.state
        owned.go_beyond(state.epoch)
        journal = Journal.open(folder.journal, boot_id=boot_id(), durability=self._engine.durability)
        keeper = SnapshotKeeper(folder, journal, self._journal_rots)
        stack.callback(keeper.finish)
        stack.callback(journal.close)
        stack.callback(keeper.stop)
        tape = Tape(self._folder.tape, boot_id=boot_id())
        stack.callback(tape.close)
        self._folder.write_info(
            script=sys.argv[0] if sys.argv else "",
            versions={"fairlead": core_version()},
            created_ns=self._time.now(),
            pid=os.getpid(),
            argv=sys.argv,
            kind=kind_of(self._parts.brokers.values()),
            data=[str(getattr(s, "label", name)) for name, s in self._parts.streams.items()],
            own_time=not isinstance(self._time, SystemTime),
        )
        self._restored = state.seq > 0
        self._last_ns = state.now
        self._time = not_before(self._time, state.now)
        for agenda in (self._agenda, self._feeds):
            agenda.use(self._time)
        limit = self._engine.crash_limit
        self._learned = learn(opened, owned.homes, now=max(self._time.now(), state.now), crash_limit=limit)
        self._learned += learn_kills(owned.homes)
        self._tail_lost = opened.explains_missing_tail(self._engine.durability)
        written = Synced(journal) if self._engine.durability == "full" else journal
        kernel = build(self._parts, state=state, agenda=self._agenda, journal=written, tape=tape)
        kernel.recorder.seq = max(kernel.recorder.seq, tape.last_seq)
        kernel.unfinished.kept = True
        self.kernel = kernel
        return journal, kernel

    async def _connect_brokers(self, kernel: Kernel, stack: contextlib.AsyncExitStack) -> None:
        """Connect the private streams; what they report waits until recovery has read the snapshot."""
        for broker in self._parts.brokers.values():
            persist = getattr(broker, "persist", None)
            if persist is not None:
                persist(self._folder.paper)
        await introduce(kernel, self._parts)
        refuse_unlisted(self._parts.breakers, listed(kernel))
        self._connected_ns = max(0, self._time.now() - OVERLAP_NS)
        self._lease = self._keep_lease()
        await connect_brokers(
            self._parts.brokers, kernel.outbox, self._door, self._agenda, self._guarded, stack
        )

    def _guarded(
        self, name: str, send: Callable[[Command], None], emit: Callable[[Report], None]
    ) -> Callable[[Command], None]:
        """A broker's `send` behind the lease, if there is one, and behind a kill from outside."""
        if self._lease is not None:
            send = self._lease.guard(send, emit)
        return self._outside.guard(name, send, emit)

    def _keep_lease(self) -> LeaseKeeper | None:
        lease, deadline = self._engine.wiring.lease, self._owned.deadline_ns
        if lease is None or deadline is None:
            return None
        keeper = LeaseKeeper(lease, deadline, self._time, self._failed)
        self._spawn(keeper.keep())
        return keeper

    async def _start(self, kernel: Kernel, journal: Journal) -> None:
        """The only start path: the state is restored, now the venue's view of it, then strategies."""
        kernel.recorder.now = max(kernel.recorder.now, self._time.now())
        snapshots: dict[str, Snapshot] = {}
        contained: dict[str, tuple[str, ...]] = {}
        for name, broker in self._parts.brokers.items():
            if name not in kernel.state.accounts:
                snapshots[name], contained[name] = await first_books(broker, self._connected_ns, self._door)
        kept = {account.currency for account in kernel.state.accounts.values()}
        brokers = self._parts.brokers
        kept |= {currency_of(brokers[name], snapshot) for name, snapshot in snapshots.items()}
        refuse_unknown(self._parts.breakers, currencies=kept)
        key = str(self._folder.path).encode()
        namespace = kernel.state.namespace or zlib.crc32(key) % 0xFFFF + 1

        def begin() -> None:
            open_accounts(
                kernel,
                self._parts,
                snapshots,
                namespace=namespace,
                epoch=self._owned.epoch,
                contained=contained,
                learned=self._learned,
                tail_lost=self._tail_lost,
            )
            kernel.start_accounts()

        self._wanted: list[tuple[Subscription, int]] = []
        kernel.feeds.subscribe = lambda subscription, warmup: self._wanted.append((subscription, warmup))
        self._inquiries = Inquiries(
            self._parts.brokers, self._door, self._agenda, kernel.reports.fills, self._tasks
        )
        kernel.resolver.inquire = self._inquiries.ask
        assert self._pacer is not None
        known = [name for name in kernel.state.accounts if name in self._parts.brokers]
        recovery = Recovery(known, self._pacer, self._inquiries)
        kernel.resolver.recovered = recovery.told
        self._door.put(kernel.turn, begin)
        if not kernel.fatal:
            self._owned.mark(journal, doubted=kernel.state.doubted)
        self._door.open()
        await recovery.wait()
        answers = Answers(self._door, self._tasks, in_order=isinstance(self._time, ManualTime))
        for runner in kernel.runners.values():
            runner.ask_outside = answers.ask
        doubted = doubts(kernel.state)
        for text in doubted:
            log.critical("%s; no strategy runs: %s", text, ADOPT)
        bars = unfinished_bars(kernel, self._folder, self._parts)
        if not doubted and bars != kernel.state.bars:
            self._door.put(kernel.turn, lambda: kernel.unfinished.restore(bars))
        self._door.put(
            kernel.turn,
            lambda: kernel.start_strategies(restored=self._restored, stand_by=bool(doubted)),
        )
        for text in unlisted(self._parts.breakers, listed(kernel)):
            log.warning("%s", text)
        self._outside.started(self._door)

    async def _connect_streams(self, kernel: Kernel, stack: contextlib.AsyncExitStack) -> None:
        streams = self._parts.streams.values()
        for stream in streams:
            if hasattr(stream, "on_end"):
                stream.on_end = self._stream_ended
                self._open_streams += 1
        resume_ns = self._last_ns if self._restored else None
        await connect_streams(streams, self._supervisor, self._door, self._feeds, resume_ns, stack)
        subscriber = Subscriber(kernel, self._door, self._supervisor, streams, self._time, self._spawn)
        wanted, self._wanted = self._wanted, []
        kernel.feeds.subscribe = subscriber.subscribe_later
        kernel.feeds.unsubscribe = subscriber.unsubscribe_later
        longest: dict[Subscription, int] = {}
        for subscription, warmup in wanted:
            longest[subscription] = max(warmup, longest.get(subscription, 0))
        for subscription, warmup in longest.items():
            await subscriber.subscribe(subscription, warmup)

    def _spawn(self, coroutine: Any) -> None:
        assert self._loop is not None
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            self._failed(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    async def _leave_no_task(self) -> None:
        """End what still runs for this session: questions, subscriptions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    # --- ending ---------------------------------------------------------------------------------------------

    def _refuse_over(self, until: str | datetime | None) -> None:
        """Open nothing for a run that would be over at once."""
        if isinstance(until, datetime):
            past = isinstance(self._time, SystemTime) and (moment(until, "until") or 0) <= self._time.now()
        else:
            past = until is not None and duration(until) <= 0
        if past:
            raise ConfigurationError(
                f"until {str(until)!r} is over already: write a duration above 0, such as '8h', or a time to come"
            )

    def _stop_at(self, until: str | datetime | None, stack: contextlib.AsyncExitStack) -> None:
        if until is None:
            return
        if isinstance(until, datetime):
            due = moment(until, "until") or 0
        else:
            due = self._time.now() + duration(until)
        self._agenda.call_at(due, lambda: self.stop("the time was up"))
        if not isinstance(
            self._time, ManualTime | ScaledTime
        ):  # however late the agenda is on the clock on the wall
            assert self._loop is not None
            patience = self._time.delay(due) + LATE_SECONDS
            handle = self._loop.call_later(patience, self.stop, "the time was up")
            stack.callback(handle.cancel)

    def _stream_ended(self) -> None:
        self._open_streams -= 1
        if self._open_streams == 0:
            self._agenda.call_at(self._time.now(), lambda: self.stop("the data ended"), END)

    def stop(self, reason: str) -> None:
        """Ask for the end; may be called from any thread."""
        if self._loop is None or self._ended is None or self._watchdog is None:
            return
        self._watchdog.begin()
        if threading.get_ident() != self._thread:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self.stop, reason)
            return
        self._reason = self._reason or reason
        if self._pacer is not None:
            self._pacer.stop()  # nothing more comes due, even if the loop is slow to notice
        self._ended.set()

    def _end(self, kernel: Kernel, journal: Journal) -> None:
        """Write the last facts; on a full disk the journal has room for a few."""
        assert self._shutdown is not None
        if self._error is None:
            self._reason = self._shutdown.finish(self._reason)
        if self._error is None:
            self._owned.mark(journal, doubted=kernel.state.doubted, ended=True)
            self._outside.in_good_order = True
            return
        self._door.close()
        say_last_words(kernel, journal, self._reason)

    def _journal_failed(self, reason: str) -> None:
        """Nothing can be written any more, so nothing may be sent: end, and say why."""
        self._failed(JournalError(reason))

    def _failed(self, error: BaseException) -> None:
        """Something failed that trading cannot go on without: end, and raise it from `run`."""
        self._error = self._error or error
        log.critical("the engine stops: %s", error, exc_info=error)
        self.stop(f"it failed: {scrub(str(error))}")
        if self._shutdown is not None:
            self._shutdown.wake()

    def _signaled(self, name: str) -> None:
        """Ctrl-C or SIGTERM: the end in good order; a start that hangs is given up."""
        if self.started.is_set():
            self.stop(name)
        elif self._task is not None and not self._interrupted:
            self._interrupted, self._reason = True, name
            self._task.cancel()

    def _hopeless(self) -> None:
        """Nothing ends what blocks the thread: the process, where it is this engine's, ends as it stands."""
        self.overdue = True
        if self._owns_process:
            leave_at_once(signal.SIGTERM)

    def _stalled(self, text: str, stack: str) -> None:
        log.error("%s\n%s", text, stack)
        assert self.kernel is not None
        assert self._loop is not None
        kernel = self.kernel

        def note() -> None:
            kernel.recorder.input(Noted, source="stall", text=text)

        self._loop.call_soon_threadsafe(self._door.note, kernel.turn, note)

    def _journal_rots(self, damage: str) -> None:
        """What is on the disk is not what was written: protect what is held, and let a person look."""
        log.critical("the journal is damaged, and the engine halts: %s", damage)
        assert self._loop is not None

        def halt() -> None:
            with contextlib.suppress(
                ConfigurationError, JournalError
            ):  # ending: the next start finds it itself
                self.command("halt", "engine", f"the journal is damaged: {damage}", {"scope": "engine"})

        with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended
            self._loop.call_soon_threadsafe(
                halt
            )  # however long that takes, nobody waits and nothing is withdrawn

    def _clock_stepped(self, step_ns: int) -> None:
        assert self.kernel is not None
        kernel = self.kernel
        self._door.note(kernel.turn, lambda: kernel.recorder.input(ClockStepped, step_ns=step_ns))

    def _lagged(self, lag_ns: int) -> None:
        assert self.kernel is not None
        kernel = self.kernel
        self._door.note(kernel.turn, lambda: kernel.recorder.input(EngineLagged, lag_ns=lag_ns))

    @property
    def phase(self) -> str:
        """starting, running or stopping."""
        if not self.started.is_set():
            return "starting"
        return "stopping" if self._ended is not None and self._ended.is_set() else "running"

    # --- from other threads ---------------------------------------------------------------------------------

    def query(self, question: Callable[[Kernel], T]) -> T:
        """Ask the kernel something from any thread; the answer must be a copy.

        Raises ConfigurationError where no engine runs, and ConnectivityError where it does not answer in time: the
        message says whether the question was withdrawn, or is in hand and may yet be carried out.
        """
        kernel, loop = self.kernel, self._loop
        if kernel is None or loop is None:
            raise ConfigurationError("the engine has not started yet: ask once it runs")
        if threading.get_ident() == self._thread:
            return question(kernel)
        return ask(lambda: question(kernel), loop)

    def command(
        self, verb: str, who: str, why: str, arguments: Mapping[str, str], request: str = ""
    ) -> dict[str, Any]:
        """Have the kernel carry out what a person asks for; may be called from any thread.

        The answer has `seq`, the number of the Commanded fact (0 where a handler of the engine's own asks: it is
        carried out after that handler), `repeated`, and what the verb adds. A `request` id that was seen before
        is not carried out again. Raises ConfigurationError for a wrong request, which leaves no fact, and
        ConnectivityError as `query` does.
        """

        def act(kernel: Kernel) -> dict[str, Any]:
            if self._door.closed:
                raise ConfigurationError(f"the engine is ending ({self._reason}): {verb} needs one that runs")
            answers: list[dict[str, Any]] = []

            def ask() -> None:
                answers.append(kernel.command(verb, who, why, request, **arguments))

            try:
                self._door.put(ask)
            except (ConfigurationError, JournalError):
                raise
            except BaseException as error:  # as for every turn that raises
                self._door.fail(error)
                raise
            return answers[0]

        return self.query(act)
