"""The home of an account: who may trade it, from which run, and in which epoch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from fairlead._storage.files import FileLock, make_folder, write_whole
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


class AccountHome:
    """The lease of one account for one run, in `<root>/accounts/<key>/{lock, epoch, owner}`.

    `root` is `fairlead_home()`, and a folder of the run for an account on paper. `run` is the run's folder. The lock
    ends with the process; `owner` stays and names the run whose journal holds the account.
    """

    def __init__(self, root: Path, key: str, *, run: Path) -> None:
        if not _KEY.fullmatch(key):
            raise ConfigurationError(
                f"the account key {key!r} must be letters, digits and . _ - only: it names a folder"
            )
        self.key = key
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

    def acquire(self) -> tuple[int, int | None]:
        """Lock the account and begin its next epoch, which survives a power cut before this returns.

        There is no deadline. Raises LeaseLost where another engine has the account, ConfigurationError where the
        journal of another run holds it.
        """
        make_folder(self.folder, 0o700)
        if not self._lock.take():
            raise LeaseLost(
                f"the account {self.key} is being traded by {self._lock.holder()}: stop that engine first"
            )
        try:
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

    def release(self) -> None:
        """Let another engine have it; harmless to repeat."""
        self._lock.release()

    def _refuse_other_run(self) -> None:
        owner = self.owner
        if owner is not None and owner != self._run:
            raise ConfigurationError(
                f"the account {self.key} belongs to the run {owner}, whose journal holds its orders and limits: go on "
                f"in that run, with run={str(owner)!r}"
            )
