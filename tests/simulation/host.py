"""A process that holds an engine, and the machine under it: what `kill -9`, a power cut or a full disk leave.

A killed process does nothing any more: nothing that it still runs reaches the venue, the journal or a lock. Its
files stay as they were at that moment, its locks are free. The engine's own unwinding is then let run, in a world
where it has no effect, so that nothing of it stays in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from fairlead import LiveTradingEngine
from fairlead._engine import live, ownership, wiring
from fairlead._storage.home import AccountHome, Mark
from fairlead._storage.journal import SYNC_EVERY_SECONDS, Journal
from fairlead._storage.tape import Tape as TapeWriter
from fairlead.errors import JournalError
from fairlead.facts import Fact, OrderSubmitted
from fairlead.testing import VirtualClock

if TYPE_CHECKING:
    from simulation.adapter import SimexBroker
    from simulation.network import Connection

SEGMENT_BYTES = 96 << 10
"""Small files: a day has tens of starts, and each makes its own."""

MOST_OFF = 30_000_000_000
"""Nanoseconds. Fills are asked for with an overlap of a minute: an error above that is another promise."""

_HOST: contextvars.ContextVar[Host] = contextvars.ContextVar("host")


class Killed(KeyboardInterrupt):
    """SIGKILL, in the middle of a call. A KeyboardInterrupt, because only these leave an event loop at once."""


class HostClock(VirtualClock):
    """The clock of one process: the venue's, and so much off."""

    def __init__(self, off_ns: int) -> None:
        super().__init__()
        self.off = off_ns

    def leap(self, seconds: int) -> None:
        """Go ahead, never further than what a clock may be wrong by and still be called right to a minute."""
        self.off = min(self.off + seconds * 1_000_000_000, MOST_OFF)

    def now(self) -> int:
        return super().now() + self.off

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return super().call_at(when_ns - self.off, callback)

    def delay(self, when_ns: int) -> float:
        return (when_ns - self.now()) / 1e9


class Host:
    """One process. `killer` may end it at a labelled point: it is told of each label that is passed."""

    def __init__(self, clock: HostClock, killer: Callable[[Host, str], None]) -> None:
        self.clock = clock
        self.dead = False
        self.failing = ""
        self.stopping = False
        self.committed: set[str] = set()
        self.stream: Connection | None = None
        self.unsubscribed = False
        self.engine: LiveTradingEngine
        self.broker: SimexBroker
        self.task: asyncio.Task[str] | None = None
        self.journal: JournalOfHost | None = None
        self.tape: TapeOfHost | None = None
        self.session: Any = None
        self._killer = killer

    def at(self, label: str) -> None:
        """A labelled point of the code is passed. Raises Killed where the process ends here."""
        if not self.dead:
            self._killer(self, label)

    def start(self, engine: LiveTradingEngine, done: Callable[[Host], None]) -> None:
        """Begin to run an engine."""
        context = contextvars.copy_context()
        context.run(_HOST.set, self)
        self.engine = engine
        self.session = engine.session()
        self.task = asyncio.get_running_loop().create_task(self._run(), context=context)
        self.task.add_done_callback(lambda _: done(self))

    async def _run(self) -> str:
        return await self.session.run(None)  # type: ignore[no-any-return]

    @property
    def started(self) -> bool:
        """Whether its strategies trade."""
        return not self.dead and self.session is not None and self.session.started.is_set()

    @property
    def epoch(self) -> int:
        """The epoch of its engine's start, as the state has it; that of the run before until it is written down."""
        kernel = self.session.kernel
        return 0 if kernel is None else int(kernel.state.epoch)

    @property
    def kernel(self) -> Any:
        """The engine's kernel."""
        return self.session.kernel

    def die(self, *, torn: bool = False) -> None:
        """SIGKILL: from now on nothing of it has an effect."""
        if self.dead:
            return
        self.dead = True
        if self.stream is not None:
            self.stream.open = False
        for log in (self.journal, self.tape):
            if log is not None:
                log.abandon(torn=torn and log is self.journal)
        if self.task is not None and self.task is not asyncio.current_task(asyncio.get_running_loop()):
            self.task.cancel()


class _LogOfHost:
    """A writer of segments that its process can lose at any moment."""

    writer: Any

    def __init__(self, host: Host) -> None:
        self._host = host

    def abandon(self, *, torn: bool) -> None:
        """Let go of the file as it is: zeros behind the data, perhaps half a record."""
        writer = self.writer
        if writer._file < 0:
            return
        if torn and writer._offset + 64 < writer._room:
            at = writer._offset
            writer._map[at : at + 24] = b"\x40\0\0\0" + bytes(range(1, 21))
        writer._map.close()
        os.close(writer._file)
        writer._file, writer._room = -1, 0


class JournalOfHost(_LogOfHost):
    """The journal of one process: the real one, on a disk that can fill up, break, or lose its power."""

    def __init__(self, host: Host, journal: Journal, sync_every: float) -> None:
        super().__init__(host)
        self.writer = journal._writer
        self._journal = journal
        self._synced_at = 0.0
        self._sync_every = sync_every

    @property
    def synced(self) -> tuple[Path, int]:
        """The last file, and how much of it would survive a power cut."""
        return self.writer.folder / f"{self.writer._number:06d}.seg", self.writer._synced

    def append(self, facts: list[Fact], *, last_words: bool = False) -> None:
        host = self._host
        host.at("append")
        if host.dead:
            return
        if host.failing and not (last_words and host.failing == "full"):
            raise JournalError(f"the disk is {host.failing}")
        if (now := asyncio.get_running_loop().time()) > self._synced_at + self._sync_every:
            self._synced_at = now  # the thread that syncs behind, on virtual time
            self.writer.sync()
        self._journal.append(facts, last_words=last_words)
        host.committed.update(f.client_order_id for f in facts if isinstance(f, OrderSubmitted))
        host.at("appended")

    @property
    def last_seq(self) -> int:
        return self._journal.last_seq

    @property
    def last_chain(self) -> int:
        return self._journal.last_chain

    @property
    def written(self) -> int:
        return self._journal.written

    def barrier(self) -> None:
        if not self._host.dead:
            self._journal.barrier()

    def sync(self) -> None:
        if not self._host.dead and not self._host.failing:
            self._journal.sync()

    def close(self) -> None:
        if not self._host.dead:
            self._journal.close()


class TapeOfHost(_LogOfHost):
    """The tape of one process."""

    def __init__(self, host: Host, tape: TapeWriter) -> None:
        super().__init__(host)
        self.writer = tape._writer
        self._tape = tape
        self.last_seq = tape.last_seq

    def append(self, seq: int, event: Any) -> None:
        if not self._host.dead:
            self._tape.append(seq, event)

    def close(self) -> None:
        if not self._host.dead:
            self._tape.close()


class _NoSampler:
    """Stalls are looked for by a thread, and there is none here."""

    def __init__(self, *_: object) -> None:
        """As the real one is made."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing runs."""


@contextlib.contextmanager
def _no_signals(*_: object) -> Iterator[None]:
    yield


# What is installed does not change while days are played, and reading it takes longer than trading for a minute.
_entry_points = functools.cache(metadata.entry_points)
_version = functools.cache(metadata.version)
_check_version = functools.cache(wiring.check_version)
_metadata = functools.cache(metadata.Distribution.metadata.fget)


class _NoKeeper:
    """Snapshots of the state are made by a thread and a process, and there is none here: a start folds everything."""

    def __init__(self, *_: object) -> None:
        """As the real one is made."""

    def finish(self) -> None:
        """No snapshot."""

    def stop(self) -> None:
        """Nothing runs."""


class Machine:
    """What the processes of a day stand on. `boot` changes with a power cut, `sync_every` is how lazy the disk is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.run = folder / "run"
        self.boot = 1
        self.sync_every = SYNC_EVERY_SECONDS

    def cut(self, path: Path, keep: int) -> None:
        """A power cut: what was not synced is gone from a file, and the machine has booted again."""
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(keep)
            file.write(bytes(max(0, size - keep)))
        self.boot += 1

    def _boot_id(self) -> str:
        return f"boot-{self.boot}"

    @contextlib.contextmanager
    def seams(self) -> Iterator[None]:
        """Threads inline or off, files small, the account's home here: the engine's seams, for one day."""

        def open_journal(folder: Path, *, boot_id: str, durability: Any) -> JournalOfHost:
            host = _HOST.get()
            host.at("open")
            journal = Journal.open(
                folder,
                boot_id=boot_id,
                durability=durability,
                sync_behind=False,
                segment_bytes=SEGMENT_BYTES,
            )
            host.journal = JournalOfHost(host, journal, self.sync_every)
            return host.journal

        def open_tape(folder: Path, *, boot_id: str) -> TapeOfHost:
            host = _HOST.get()
            host.tape = TapeOfHost(host, TapeWriter(folder, boot_id=boot_id, segment_bytes=SEGMENT_BYTES))
            return host.tape

        opener = type("JournalSeam", (), {"open": staticmethod(open_journal)})
        set_mark = AccountHome.set_mark

        def mark(home: AccountHome, found: Mark) -> None:
            if not _HOST.get().dead:
                set_mark(home, found)

        with (
            mock.patch.object(AccountHome, "set_mark", mark),
            mock.patch.object(metadata, "entry_points", _entry_points),
            mock.patch.object(metadata, "version", _version),
            mock.patch.object(metadata.Distribution, "metadata", property(_metadata)),
            mock.patch.object(wiring, "check_version", _check_version),
            mock.patch.object(live, "Journal", opener),
            mock.patch.object(live, "Tape", open_tape),
            mock.patch.object(live, "StallSampler", _NoSampler),
            mock.patch.object(live, "SnapshotKeeper", _NoKeeper),
            mock.patch.object(ownership, "fairlead_home", return_value=self.home),
            mock.patch.object(live, "boot_id", self._boot_id),
            mock.patch.object(live, "signals", _no_signals),
            # The namespace of ids comes from the folder's path, and the path of this one is by chance.
            mock.patch.object(live, "zlib", SimpleNamespace(crc32=lambda _: 0x5EA)),
        ):
            yield
