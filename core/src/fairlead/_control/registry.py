"""The engines of this user on this host: a small file for each, which is locked for as long as its engine lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fairlead._control.places import run_key
from fairlead._storage.files import make_folder
from fairlead._storage.home import fairlead_home

_MOST_BYTES = 1 << 20


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """One engine as it announced itself when it started; `socket` is empty where it has none."""

    run: str
    pid: int
    host: str
    kind: str
    socket: str
    started_ns: int
    version: str = ""
    strategies: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its run."""
        return Path(self.run).name


class Announcement:
    """An engine's file among those of the others. The system unlocks it when the process ends, however it ends."""

    def __init__(self, engine: Engine) -> None:
        folder = _folder()
        make_folder(folder, 0o700)
        self._path = folder / f"{run_key(Path(engine.run))}-{engine.pid}-{engine.started_ns}.json"
        new = self._path.with_suffix(".new")
        self._handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            os.write(self._handle, msgspec.json.encode(engine))
            new.replace(self._path)  # whoever reads it finds it whole, and locked
        except BaseException:  # whatever stopped it: nobody may take the half for an engine
            os.close(self._handle)
            new.unlink(missing_ok=True)
            raise

    def withdraw(self) -> None:
        """Take it away: the engine has ended."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def engines() -> list[Engine]:
    """The living engines of this host in fairlead's home, the oldest first. The files of dead ones are deleted."""
    host = socket.gethostname()
    found = [engine for path in _files() if (engine := _living(path, host)) is not None]
    return sorted(found, key=lambda engine: (engine.started_ns, engine.run))


def _folder() -> Path:
    return fairlead_home() / "engines"


def _files() -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(_folder().glob("*.json"))


def _living(path: Path, host: str) -> Engine | None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(handle, _MOST_BYTES)
        try:
            engine = msgspec.json.decode(data, type=Engine)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # nothing of ours
        if engine.host != host:  # a home that hosts share: whether it lives can be told there only
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return engine
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    finally:
        os.close(handle)
