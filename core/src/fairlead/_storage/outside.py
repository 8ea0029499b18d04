"""What was done to an account from outside its engine: left in the account's home, for the engine to take up."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from fairlead._storage.files import make_folder, write_whole
from fairlead.errors import ConfigurationError


class OutsideKill(msgspec.Struct, frozen=True, kw_only=True):
    """A kill by a process of its own, at `at_ns`: who, why, and what it did, once it is `done`.

    `canceled` are the ids of the orders that it canceled, ours where the venue knows it; `closed` the orders that it
    sent to close positions, `left` what it could not do, in words. `pid` is that process.
    """

    at_ns: int
    who: str
    why: str
    pid: int
    canceled: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    done: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether it is still being carried out."""
        if self.done:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it lives, and is another user's
        return True


def latch_reason(kill: OutsideKill) -> str:
    """The reason of the latch that a kill closes."""
    return f"{kill.why} ({kill.who}, from outside the engine)"


def write_kill(folder: Path, kill: OutsideKill) -> None:
    """Leave word of a kill in an account's home; it survives a power cut before this returns."""
    make_folder(folder, 0o700)
    write_whole(folder / "killed", msgspec.json.format(msgspec.json.encode(kill)) + b"\n")


def read_kill(folder: Path) -> OutsideKill | None:
    """The word of a kill that is in an account's home; None without one. Raises ConfigurationError for another text."""
    path = folder / "killed"
    try:
        return msgspec.json.decode(path.read_bytes(), type=OutsideKill)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"{path} says that the account was killed from outside, and cannot be read ({error}): find out what was "
            f"done, cancel what must not stand, and move the file away"
        ) from error


def archive_kill(folder: Path, kill: OutsideKill) -> None:
    """It is in the journal: keep the word under another name."""
    path = folder / "killed"
    if path.exists():
        path.replace(folder / f"killed.{kill.at_ns}")
