"""The accounts of a run: locked for as long as it goes on, in an epoch that never goes back."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping

from fairlead._storage.home import AccountHome, Mark, fairlead_home
from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError
from fairlead.ports import BrokerAdapter, Lease


def home_of(name: str, broker: BrokerAdapter, folder: RunFolder) -> AccountHome:
    """The home of a broker's account: in the run's folder on paper, else where this user's accounts live.

    Raises ConfigurationError for a broker off paper that does not tell its account from others: its name is chosen
    anew in every configuration, and one account under two names would be traded twice.
    """
    profile = broker.profile
    paper = profile.environment == "paper"
    account = getattr(broker, "fingerprint", name if paper else "")
    if not account:
        raise ConfigurationError(
            f"the broker {name} does not say which {profile.environment} account it trades, so nothing keeps another "
            f"engine out of it: give {type(broker).__qualname__} a fingerprint, a text that the venue has for this "
            f"account alone"
        )
    root = folder.paper if paper else fairlead_home()
    return AccountHome(root, f"{profile.venue}.{profile.environment}.{account}", run=folder.path)


class Ownership:
    """Takes every account of a run, and the lease if one is among its plugins; gives all back with the stack.

    `epoch` is above every epoch that any of them has seen, `deadline_ns` the lease's, None where it has none.
    """

    def __init__(
        self,
        brokers: Mapping[str, BrokerAdapter],
        folder: RunFolder,
        lease: Lease | None,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self.homes = {name: home_of(name, broker, folder) for name, broker in brokers.items()}
        self.epoch = 0
        self.deadline_ns: int | None = None
        for home in self.homes.values():
            self.epoch = max(self.epoch, home.acquire()[0])
            stack.callback(home.release)
        if lease is not None:
            epoch, self.deadline_ns = lease.acquire()
            stack.callback(lease.release)
            self.epoch = max(self.epoch, epoch)
        self._record_epoch()

    def go_beyond(self, epoch: int) -> None:
        """Rise above the epoch that a journal holds: one that was brought here may know more than the home does."""
        self.epoch = max(self.epoch, epoch + 1)
        self._record_epoch()

    def mark(self, journal: Journal, *, doubted: Collection[str] = (), ended: bool = False) -> None:
        """Sync the journal and remember how far it has come; with `ended`, that it ended there. Raises JournalError.

        The mark of a `doubted` account stays where its last trusted journal had come to: this one is not it, and that
        one may be put back. The epoch has risen all the same, so no id is given out twice.
        """
        journal.sync()
        for name, home in self.homes.items():
            if name not in doubted:
                home.set_mark(Mark(name, self.epoch, journal.last_seq, journal.last_chain if ended else 0))
            elif home.mark is None:  # whatever is put back is as good as any; the name is needed to adopt it
                home.set_mark(Mark(name, 0, 0))

    def _record_epoch(self) -> None:
        for home in self.homes.values():
            home.raise_epoch(self.epoch)
