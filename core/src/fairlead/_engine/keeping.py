"""Keeping snapshots fresh while an engine runs: made in a process of their own, so that the kernel never waits.

`python -m fairlead._engine.keeping RUN` makes one and ends: 0, or 3 where the journal is damaged, with the damage on
its standard output.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from fairlead._engine.folding import take_snapshot
from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.errors import FairleadError, JournalDamaged

log = logging.getLogger("fairlead.journal")

SNAPSHOT_BYTES = 8 << 20
"""So much journal, about 50,000 facts, and it is time for another snapshot."""

SNAPSHOT_SECONDS = 3600.0
"""So long, and it is time for another one if at least `WORTHWHILE_BYTES` have come."""

WORTHWHILE_BYTES = 256 << 10
"""A start folds less than this faster than it finds a snapshot."""

_LOOK_SECONDS = 1.0
_MAKE_SECONDS = 600.0
_DAMAGED = 3


class SnapshotKeeper:
    """Looks once a second whether a snapshot is due, and has it made; `damaged` is told where that finds damage.

    It is a thread that sleeps and waits; the work is another process's.
    """

    def __init__(self, folder: RunFolder, journal: Journal, damaged: Callable[[str], None]) -> None:
        self._folder = folder
        self._journal = journal
        self._damaged = damaged
        self._kept = 0
        self._stopped = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="fairlead-snapshots", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and a snapshot that is being made: half of one does no harm."""
        self._stopped.set()
        child = self._child
        if child is not None:
            child.kill()
        self._thread.join()

    def finish(self) -> None:
        """The last one, at the end of a run: in this process, and only where a start would gain by it."""
        if self._journal.written - self._kept < WORTHWHILE_BYTES:
            return
        try:
            take_snapshot(self._folder)
        except (FairleadError, OSError) as error:  # a snapshot only saves time
            log.warning("no snapshot was made at the end: %s", error)

    def _run(self) -> None:
        waited = 0.0
        while not self._stopped.wait(_LOOK_SECONDS):
            waited += _LOOK_SECONDS
            new = self._journal.written - self._kept
            if new >= SNAPSHOT_BYTES or (waited >= SNAPSHOT_SECONDS and new >= WORTHWHILE_BYTES):
                written = self._journal.written
                self._make()
                self._kept, waited = written, 0.0

    def _make(self) -> None:
        words = [sys.executable, "-m", "fairlead._engine.keeping", str(self._folder.path)]
        try:
            self._child = child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            said, _ = child.communicate(timeout=_MAKE_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            if self._child is not None:
                self._child.kill()
                self._child.communicate()
            log.warning("no snapshot was made: %s", error)
            return
        finally:
            self._child = None
        if child.returncode == _DAMAGED:
            self._damaged(said.strip())
        elif child.returncode and not self._stopped.is_set():
            log.warning("no snapshot was made: %s", said.strip() or f"code {child.returncode}")


def main(run: str) -> int:
    """Make one snapshot, out of the way of trading; what went wrong is printed."""
    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        take_snapshot(RunFolder(run))
    except JournalDamaged as damage:
        print(damage)
        return _DAMAGED
    except (FairleadError, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
