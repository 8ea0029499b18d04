"""The folder of one run: where everything that belongs to it lies."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairlead._secrets.scrub import scrub
from fairlead._storage.files import FileLock, make_folder, sync_folder, write_whole
from fairlead.errors import ConfigurationError


class RunFolder:
    """`runs/<name>/` with `run.json`, `journal/`, `tape/` and the rest.

    Making this object touches nothing; a folder appears when its user makes it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self.info = self.path / "run.json"
        self.journal = self.path / "journal"
        self.tape = self.path / "tape"
        self.snapshots = self.path / "snapshots"
        self.quarantine = self.path / "quarantine"
        self.index = self.path / "index.sqlite"
        self.logs = self.path / "logs"
        self.reports = self.path / "reports"
        self.paper = self.path / "paper"
        self.backtests = self.path / "backtests"
        self._lock = FileLock(self.path / "lock")

    @property
    def name(self) -> str:
        """The name of the run: its folder's."""
        return self.path.name

    def lock(self) -> None:
        """Create the folder and keep other engines out of it, until `unlock` or the end of the process.

        Raises ConfigurationError where one is in it, or where it cannot be written.
        """
        with self._writable():
            make_folder(self.path)
            taken = self._lock.take()
        if not taken:
            raise ConfigurationError(
                f"the run {self.path} is in use by {self._lock.holder()}: stop it, or give this engine another run="
            )

    def unlock(self) -> None:
        """Let other engines in; harmless to repeat."""
        self._lock.release()

    def write_info(
        self,
        *,
        script: str,
        versions: Mapping[str, str],
        created_ns: int,
        pid: int | None = None,
        argv: Sequence[str] | None = None,
        kind: str = "",
        data: Sequence[str] = (),
        own_time: bool = False,
    ) -> None:
        """Write `run.json` in one step; `pid` and `argv` are this process's unless given. No secret in `argv` is kept.

        `kind` is PAPER, TESTNET or LIVE, `data` the labels of the streams. `own_time` says that the
        run's time, `created_ns` too, is another than that of the clock on the wall: a recording's, for one.
        """
        info = {
            "script": script,
            "versions": dict(versions),
            "pid": os.getpid() if pid is None else pid,
            "argv": [scrub(word) for word in (sys.argv if argv is None else argv)],
            "created_ns": created_ns,
            "kind": kind,
            "data": list(data),
            "own_time": own_time,
        }
        make_folder(self.path)
        write_whole(self.info, msgspec.json.format(msgspec.json.encode(info)) + b"\n")

    def read_info(self) -> dict[str, Any]:
        """What `run.json` says, {} before it was written. Raises ConfigurationError where it is not JSON."""
        try:
            return msgspec.json.decode(self.info.read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise ConfigurationError(
                f"{self.info} is not what an engine wrote ({error}): delete it"
            ) from error

    def new_backtest(self) -> RunFolder:
        """A fresh numbered folder under `backtests/`, created. Raises ConfigurationError where it cannot be."""
        with self._writable():
            self.backtests.mkdir(parents=True, exist_ok=True)
            return RunFolder(_new_numbered(self.backtests))

    def discard(self) -> None:
        """Delete the folder with all that is in it: for what was begun and came to nothing."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"the run {self.path} cannot be written ({error.strerror}): make it writable, or give this engine "
                f"another run="
            ) from error

    def quarantine_journal(self) -> Path:
        """Move a damaged journal with its snapshots to `quarantine/<n>` and return where it is.

        What took its place knows nothing of what stood in it: `quarantined` names it for good.
        """
        make_folder(self.quarantine)
        kept = _new_numbered(self.quarantine)
        self.journal.rename(kept)  # onto the empty folder that took the number
        if self.snapshots.is_dir():
            self.snapshots.rename(kept / "snapshots")
        sync_folder(kept)
        sync_folder(self.quarantine)
        sync_folder(self.path)
        return kept

    @property
    def quarantined(self) -> Path | None:
        """The journal that was moved away last, None where none ever was."""
        kept = _numbers(self.quarantine)
        return self.quarantine / f"{kept[-1]:04d}" if kept else None


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def _new_numbered(folder: Path) -> Path:
    """Create and return the next of `0001`, `0002`, …; another process may be doing the same."""
    number = max(_numbers(folder), default=0)
    while True:
        number += 1
        path = folder / f"{number:04d}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
