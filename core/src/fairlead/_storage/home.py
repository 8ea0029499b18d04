"""The home of an account: who may trade it, from which run, in which epoch, and how far its journal has come."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fairlead._storage.files import FileLock, make_folder, sync_folder, write_whole
from fairlead.errors import ConfigurationError, LeaseLost

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


LAST_EPOCH = 0xFFFF
"""What fits into the id of an order: a larger one would make ids longer than venues take."""


def fairlead_home(environ: Mapping[str, str] = os.environ) -> Path:
    """`$FAIRLEAD_HOME`, else `$XDG_STATE_HOME/fairlead`, else `~/.local/state/fairlead`."""
    if own := environ.get("FAIRLEAD_HOME"):
        return Path(own).expanduser().absolute()
    state = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "fairlead"


class Mark(msgspec.Struct, frozen=True):
    """How far the journal of an account had come when it was last synced: a shorter one is not the whole.

    `account` is the broker's name in that journal. `chain` is the checksum of record `seq` where the journal ended
    with it in good order, else 0.
    """

    account: str
    epoch: int
    seq: int
    chain: int = 0


class Move(msgspec.Struct, frozen=True):
    """An account on its way from one run to another, by their folders: begun, and not known to have ended."""

    source: str
    to: str


class AccountHome:
    """The lease of one account for one run, in `<root>/accounts/<key>/{lock, epoch, owner, mark, move}`.

    `root` is `fairlead_home()`, and a folder of the run for an account on paper. `run` is the run's folder. The lock
    ends with the process; `owner` stays and names the run whose journal holds the account.
    """

    def __init__(self, root: Path, key: str, *, run: Path) -> None:
        if not _KEY.fullmatch(key):
            raise ConfigurationError(
                f"the account key {key!r} must be letters, digits and . _ - only: it names a folder"
            )
        self.key = key
        self.root = root
        self.folder = root / "accounts" / key
        self._run = run.absolute()
        self._lock = FileLock(self.folder / "lock")

    @property
    def owner(self) -> Path | None:
        """The run whose journal holds the account; None before the first."""
        path = self.folder / "owner"
        return Path(path.read_text(encoding="utf-8").rstrip("\n")) if path.exists() else None

    @property
    def epoch(self) -> int:
        """The epoch that was last begun, 0 before the first. Raises ConfigurationError where it is lost."""
        path = self.folder / "epoch"
        text = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        if text.isdecimal():
            return int(text)
        if not path.exists() and self.owner is None:
            return 0
        # Beginning again at 1 would give new orders the ids of old ones.
        raise ConfigurationError(
            f"{path} does not hold the account's epoch any more: write into it a number above every epoch in the "
            f"journal of {self.owner or self._run}"
        )

    @property
    def mark(self) -> Mark | None:
        """How far its journal had come; None before the first start, or where it cannot be read."""
        try:
            return msgspec.json.decode((self.folder / "mark").read_bytes(), type=Mark)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def set_mark(self, mark: Mark) -> None:
        """Remember how far the journal has come. It must be synced that far."""
        write_whole(self.folder / "mark", msgspec.json.encode(mark) + b"\n")

    def raise_epoch(self, epoch: int) -> None:
        """Go on from a higher epoch, which a journal already holds."""
        if epoch > self.epoch:
            write_whole(self.folder / "epoch", f"{epoch}\n".encode())

    def hand_over(self, run: Path) -> None:
        """Make another run the owner; the caller has the lock, and that run's journal holds the account."""
        write_whole(self.folder / "owner", f"{run.absolute()}\n".encode())

    @property
    def moving(self) -> Move | None:
        """The move that was begun and not ended, None without. Raises ConfigurationError for a spoilt file."""
        path = self.folder / "move"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Move)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise ConfigurationError(
                f"{path} does not tell which move was begun ({error}): look which of its runs {self.folder / 'owner'} "
                f"names, and delete it"
            ) from None

    def begin_move(self, source: Path, to: Path) -> None:
        """Say that the account is about to change runs: until `end_move` no engine starts with it."""
        move = Move(str(source.absolute()), str(to.absolute()))
        write_whole(self.folder / "move", msgspec.json.encode(move) + b"\n")

    def end_move(self) -> None:
        """The account is where it was to go."""
        (self.folder / "move").unlink(missing_ok=True)
        sync_folder(self.folder)

    @property
    def holder(self) -> int:
        """The pid of the process that has it now, 0 while nobody has."""
        return self._lock.pid()

    def lock(self) -> None:
        """Keep engines out without beginning an epoch. Raises LeaseLost where one is trading the account."""
        make_folder(self.folder, 0o700)
        if not self._lock.take():
            raise LeaseLost(
                f"the account {self.key} is being traded by {self._lock.holder()}: stop that engine first"
            )

    def acquire(self) -> tuple[int, int | None]:
        """Lock the account and begin its next epoch, which survives a power cut before this returns.

        There is no deadline. Raises LeaseLost where another engine has the account, ConfigurationError where the
        journal of another run holds it, or where it is on its way to one.
        """
        self.lock()
        try:
            self._refuse_while_moving()
            self._refuse_other_run()
            epoch = self.epoch + 1
            if epoch > LAST_EPOCH:
                raise ConfigurationError(
                    f"the account {self.key} has been started {LAST_EPOCH:,} times, and the ids of its orders have no "
                    f"room for more: once nothing works there any more, move {self.folder} away and begin a new run, "
                    f"in another folder"
                )
            write_whole(self.folder / "epoch", f"{epoch}\n".encode())
            if self.owner is None:
                write_whole(self.folder / "owner", f"{self._run}\n".encode())
        except BaseException:  # whatever stopped it, the account must not stay locked
            self._lock.release()
            raise
        return epoch, None

    async def renew(self) -> None:
        """There is nothing to renew: the lock holds until the process ends."""

    def release(self) -> None:
        """Let another engine have it; harmless to repeat."""
        self._lock.release()

    def _refuse_while_moving(self) -> None:
        move = self.moving
        if move is not None:
            raise ConfigurationError(
                f"the account {self.key} is on its way from the run {move.source} to {move.to}, and that was "
                f"interrupted: finish it, `fairlead account move {self.key} --to {move.to}`"
            )

    def _refuse_other_run(self) -> None:
        owner = self.owner
        if owner is not None and owner != self._run:
            raise ConfigurationError(
                f"the account {self.key} belongs to the run {owner}, whose journal holds its orders and limits: go on "
                f"in that run, with run={str(owner)!r}, or hand it over, `fairlead account move {self.key} --to RUN`"
            )


def homes(root: Path) -> list[AccountHome]:
    """The accounts that have a home below `root`, by their keys; as they are seen from the runs that own them."""
    folders = sorted(path for path in (root / "accounts").glob("*") if path.is_dir())
    found = [AccountHome(root, path.name, run=root) for path in folders if _KEY.fullmatch(path.name)]
    return [AccountHome(root, home.key, run=home.owner or root) for home in found]
