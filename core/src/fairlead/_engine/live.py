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
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead._engine.answers import Answers
from fairlead._engine.assembly import Parts, build, introduce, kind_of, open_accounts, stream_for
from fairlead._engine.backtest import moment
from fairlead._engine.distributions import core_version
from fairlead._engine.intake import Intake
from fairlead._engine.observers import Observers
from fairlead._engine.pacing import Pacer, time_for
from fairlead._engine.recovery import catch_up, restore
from fairlead._engine.stall import StallSampler
from fairlead._kernel.clock import END, Agenda
from fairlead._kernel.kernel import Kernel
from fairlead._models.market import Bar, History
from fairlead._storage.home import AccountHome, fairlead_home
from fairlead._storage.journal import Journal
from fairlead._storage.segments import boot_id
from fairlead._storage.tape import Tape
from fairlead.errors import JournalError
from fairlead.facts import EngineStopped, Fact
from fairlead.ports import Snapshot, Subscription
from fairlead.units import duration

if TYPE_CHECKING:
    from fairlead._engine.engine import LiveTradingEngine

T = TypeVar("T")

log = logging.getLogger("fairlead.engine")


class Session:
    """One run of an engine, from the lock on its folder to the last fact."""

    def __init__(self, engine: LiveTradingEngine, parts: Parts) -> None:
        self._engine = engine
        self._folder = engine.folder
        self._parts = parts
        self._homes: list[AccountHome] = []
        self._time = time_for(engine.wiring.clock, parts.streams.values())
        self._agenda = Agenda(self._time)
        self._ended: asyncio.Event | None = None
        self._reason = ""
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open_streams = 0
        self._pacer: Pacer | None = None
        self.kernel: Kernel | None = None
        self.started = threading.Event()

    # --- from start to end ----------------------------------------------------------------------------------

    async def run(self, until: str | datetime | None) -> str:
        """Everything between `engine.run()` and its return; gives the reason for the end."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._ended = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            self._folder.lock()
            stack.callback(self._folder.unlock)
            journal, kernel = self._open(stack)
            kernel.failed = self._journal_failed
            kernel.alarm = log.error
            observers = Observers(self._engine.wiring.manager)
            stack.callback(lambda: observers.stopped(self._reason))
            kernel.observers.append(observers.facts)
            await self._connect_brokers(kernel, stack)
            self._pacer = pacer = Pacer(
                self._agenda, self._time, self._loop, self._failed, busy=self._engine.busy_poll
            )
            stack.callback(pacer.stop)
            stack.enter_context(StallSampler(kernel, self._thread, self._stalled))
            await self._start(kernel)
            await self._connect_streams(kernel, stack)
            observers.started(self._engine)
            self._stop_at(until)
            with self._signals():
                pacer.start()
                self.started.set()
                await self._ended.wait()
            pacer.stop()
            self._end(kernel, journal)
        if self._error is not None:
            raise self._error
        return self._reason

    def _open(self, stack: contextlib.AsyncExitStack) -> tuple[Journal, Kernel]:
        """Lock the accounts, restore the state, and put the kernel together."""
        epoch = 0
        for name, broker in self._parts.brokers.items():
            paper = broker.profile.environment == "paper"
            root = self._folder.paper if paper else fairlead_home()
            key = (
                f"{broker.profile.venue}.{broker.profile.environment}.{getattr(broker, 'fingerprint', name)}"
            )
            home = AccountHome(root, key, run=self._folder.path)
            epoch = max(epoch, home.acquire()[0])
            stack.callback(home.release)
        state = restore(self._folder)
        journal = Journal.open(self._folder.journal, boot_id=boot_id(), durability=self._engine.durability)  # type: ignore[arg-type]
        stack.callback(journal.close)
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
        )
        self._restored = state.seq > 0
        self._epoch = epoch
        state_now = state.now
        if self._engine.durability == "full":
            kernel = build(self._parts, state=state, agenda=self._agenda, journal=_Synced(journal), tape=tape)
        else:
            kernel = build(self._parts, state=state, agenda=self._agenda, journal=journal, tape=tape)
        kernel.recorder.seq = max(kernel.recorder.seq, tape.last_seq)
        self._time.reach(state_now)
        self.kernel = kernel
        return journal, kernel

    async def _connect_brokers(self, kernel: Kernel, stack: contextlib.AsyncExitStack) -> None:
        """Connect the private streams; what they report waits until recovery has read the snapshot."""
        for broker in self._parts.brokers.values():
            persist = getattr(broker, "persist", None)
            if persist is not None:
                persist(self._folder.paper)
        await introduce(kernel, self._parts)
        for name, broker in self._parts.brokers.items():
            kernel.outbox.senders[name] = broker.send
            await broker.connect(self._reporter(kernel, name), self._agenda)
            stack.push_async_callback(broker.close)

    def _reporter(self, kernel: Kernel, account: str) -> Callable[[Any], None]:
        def emit(report: Any) -> None:
            if threading.get_ident() == self._thread:
                kernel.report(account, report)
            elif self._loop is not None:
                self._loop.call_soon_threadsafe(kernel.report, account, report)

        return emit

    async def _start(self, kernel: Kernel) -> None:
        """The only start path: the state is restored, now the venue's view of it, then strategies."""
        kernel.recorder.now = max(kernel.recorder.now, self._time.now())
        snapshots: dict[str, Snapshot] = {n: await b.snapshot() for n, b in self._parts.brokers.items()}
        key = str(self._folder.path).encode()
        namespace = kernel.state.namespace or zlib.crc32(key) % 0xFFFF + 1

        def begin() -> None:
            open_accounts(kernel, self._parts, snapshots, namespace=namespace, epoch=self._epoch)
            kernel.start_accounts()

        kernel.turn(begin)
        await catch_up(kernel, self._parts.brokers)
        answers = Answers(kernel, self._tasks)
        for runner in kernel.runners.values():
            runner.ask_outside = answers.ask
        self._wanted: list[tuple[Subscription, int]] = []
        kernel.feeds.subscribe = lambda subscription, warmup: self._wanted.append((subscription, warmup))
        kernel.turn(lambda: kernel.start_strategies(restored=self._restored))

    async def _connect_streams(self, kernel: Kernel, stack: contextlib.AsyncExitStack) -> None:
        intake = Intake(kernel, self._agenda, self._parts.brokers.values())
        for stream in self._parts.streams.values():
            if hasattr(stream, "on_end"):
                stream.on_end = self._stream_ended
                self._open_streams += 1
            await stream.connect(intake.take, self._agenda)
            stack.push_async_callback(stream.close)
        wanted, self._wanted = self._wanted, []
        for subscription, warmup in wanted:
            await self._subscribe(kernel, subscription, warmup)
        kernel.feeds.subscribe = self._subscribe_later

    async def _subscribe(self, kernel: Kernel, subscription: Subscription, warmup: int) -> None:
        stream = stream_for(self._parts.streams.values(), subscription)
        if stream is None:
            return
        if warmup:
            await self._warm(kernel, subscription, warmup)
        confirmed = await stream.subscribe([subscription])
        if subscription not in confirmed:
            log.warning(
                "%s did not confirm %s of %s", stream.name, subscription.kind, subscription.instrument
            )

    async def _warm(self, kernel: Kernel, subscription: Subscription, warmup: int) -> None:
        """Fetch what came before, in the feed that bars are made from, and hand it over as history."""
        stream = stream_for(self._parts.streams.values(), subscription)
        assert stream is not None
        now = self._time.now()
        for interval in kernel.feeds.cold(subscription):
            end = now - now % int(interval.size)
            start = end - int(interval.size) * warmup
            if subscription.kind == f"bar:{interval.text}":
                events = await stream.history(subscription, start, end)
                bars = [event for event in events if isinstance(event, Bar)]
            else:
                events = await stream.history(subscription, start, end)
                bars = kernel.feeds.bars_of(subscription, interval, events)
            if bars:
                history = History(subscription.instrument, interval.text, tuple(bars), end, self._time.now())
                kernel.event(history)

    def _subscribe_later(self, subscription: Subscription, warmup: int) -> None:
        assert self.kernel is not None
        self._spawn(self._subscribe(self.kernel, subscription, warmup))

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

    # --- ending ---------------------------------------------------------------------------------------------

    def _stop_at(self, until: str | datetime | None) -> None:
        if until is None:
            return
        if isinstance(until, datetime):
            due = moment(until, "until") or 0
        else:
            due = self._time.now() + duration(until)
        self._agenda.call_at(due, lambda: self.stop("the time was up"))

    def _stream_ended(self) -> None:
        self._open_streams -= 1
        if self._open_streams == 0:
            self._agenda.call_at(self._time.now(), lambda: self.stop("the data ended"), END)

    def stop(self, reason: str) -> None:
        """Ask for the end; may be called from any thread."""
        if self._loop is None or self._ended is None:
            return
        if threading.get_ident() != self._thread:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self.stop, reason)
            return
        self._reason = self._reason or reason
        if self._pacer is not None:
            self._pacer.stop()  # nothing more comes due, even if the loop is slow to notice
        self._ended.set()

    def _end(self, kernel: Kernel, journal: Journal) -> None:
        """Let strategies stop and write the last fact; on a full disk the journal has room for that one."""
        if self._error is None:
            kernel.turn(kernel.stop_strategies)
        if self._error is None:
            kernel.turn(lambda: kernel.recorder.record(EngineStopped, reason=self._reason))
            journal.sync()
            return
        recorder = kernel.recorder
        end = EngineStopped(
            seq=recorder.seq + 1, now=recorder.now, cause=recorder.seq + 1, reason=self._reason
        )
        with contextlib.suppress(JournalError):
            journal.append([end], last_words=True)
            journal.sync()

    def _journal_failed(self, reason: str) -> None:
        """Nothing can be written any more, so nothing may be sent: end, and say why."""
        self._failed(JournalError(reason))

    def _failed(self, error: Exception) -> None:
        """Something failed that trading cannot go on without: end, and raise it from `run`."""
        self._error = self._error or error
        log.critical("the engine stops: %s", error, exc_info=error)
        self.stop(f"it failed: {error}")

    @contextlib.contextmanager
    def _signals(self) -> Any:
        """Ctrl-C and SIGTERM end the run in good order, where this thread owns them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        assert self._loop is not None
        added = []
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, ValueError):
                self._loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
                added.append(number)
        try:
            yield
        finally:
            for number in added:
                self._loop.remove_signal_handler(number)

    def _stalled(self, text: str) -> None:
        from fairlead.facts import Noted

        log.error("%s", text)
        assert self.kernel is not None
        assert self._loop is not None
        kernel = self.kernel
        self._loop.call_soon_threadsafe(
            kernel.turn, lambda: kernel.recorder.record(Noted, source="stall", text=text)
        )

    # --- from other threads ---------------------------------------------------------------------------------

    def query(self, question: Callable[[Kernel], T]) -> T:
        """Ask the kernel something from any thread; the answer must be a copy."""
        assert self.kernel is not None
        kernel = self.kernel
        if self._loop is None or threading.get_ident() == self._thread:
            return question(kernel)
        done: list[T] = []
        ready = threading.Event()

        def ask() -> None:
            try:
                done.append(question(kernel))
            finally:
                ready.set()

        self._loop.call_soon_threadsafe(ask)
        ready.wait(10)
        return done[0]

    def command(self, verb: str, who: str, why: str, arguments: dict[str, str]) -> None:
        """Hand a command to the kernel from any thread."""
        self.query(lambda kernel: kernel.command(verb, who, why, **arguments))


class _Synced:
    """A journal whose every record survives a power cut before its commands leave."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, facts: list[Fact]) -> None:
        """Write one record and sync it."""
        self._journal.append(facts)
        self._journal.barrier()
