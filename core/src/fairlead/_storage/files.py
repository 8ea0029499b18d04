"""Files that must never be half there, and a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut; syncing a file does not do that for its name."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder and those above it so that they survive a power cut; harmless to repeat."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader sees all of the old or all of the new, also after a power cut."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


class FileLock:
    """An exclusive lock on a file. The system lets go of it when the process ends, however it ends.

    The file holds the pid of the process that has it and is never deleted: whoever deletes a lock's file
    lets two processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def take(self) -> bool:
        """Take it, or say False at once where it is taken, by this object too."""
        if self._handle >= 0:
            return False
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle
        return True

    def holder(self) -> str:
        """Who has it, for a message: `process 123`."""
        pid = self.path.read_text(encoding="ascii", errors="replace").strip() if self.path.exists() else ""
        return f"process {pid}" if pid.isdecimal() else "another process"

    def pid(self) -> int:
        """The process that has it, 0 where none seems to. For showing only: to be sure, take it."""
        text = self.path.read_text(encoding="ascii", errors="replace").strip() if self.path.exists() else ""
        pid = int(text) if text.isdecimal() else 0
        if pid:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return 0  # it died without letting go
            except PermissionError:
                pass  # it lives, and is another user's
        return pid

    def release(self) -> None:
        """Let go; harmless to repeat."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1
