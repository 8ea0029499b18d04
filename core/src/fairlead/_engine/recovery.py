"""Recovery, which is the only way to start: the journal has given the state, the venue gives an account's first books.

What happened to our orders meanwhile is found out by the kernel's resolver.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from fairlead._engine.assembly import settle_of
from fairlead._engine.door import Door
from fairlead._engine.inquiries import Inquiries
from fairlead._engine.pacing import Pacer
from fairlead._engine.parts import Parts
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.resolver import RECOVERY_NS
from fairlead._kernel.unfinished import carried_on
from fairlead._models.reports import FillReport
from fairlead._storage.run import RunFolder
from fairlead._storage.tape import read_tape
from fairlead.errors import ConfigurationError, ConnectivityError, JournalError
from fairlead.facts import BarProgress
from fairlead.ports import BrokerAdapter, Snapshot
from fairlead.units import SECOND

log = logging.getLogger("fairlead.engine")

OVERLAP_NS = 60_000_000_000
"""Fills are asked for from this long before an account is opened: its totals contain them."""

_TRIES = 10


def unfinished_bars(kernel: Kernel, folder: RunFolder, parts: Parts) -> tuple[BarProgress, ...]:
    """How far the bars in progress had got by the end of the tape; as the journal has them where it cannot be read."""
    bars = kernel.state.bars
    if not bars:
        return bars
    since = kernel.state.bars_seq
    try:
        return carried_on(
            bars,
            (event for _, event in read_tape(folder.tape, since)),
            lambda name: settle_of(parts.streams.values(), name),
        )
    except JournalError as error:
        log.warning("bars in progress go on without what the tape had of them: %s", error)
        return bars


class Recovery:
    """Waits until it is known what happened on each account since the last run."""

    def __init__(self, accounts: Iterable[str], pacer: Pacer, inquiries: Inquiries) -> None:
        self._waiting = set(accounts)
        self._pacer = pacer
        self._inquiries = inquiries
        self._reached: dict[str, bool] = {}
        self._ended = asyncio.Event()

    def told(self, name: str, reached: bool) -> None:
        """An account is known, or its venue could not be asked in time."""
        self._reached[name] = reached
        self._waiting.discard(name)
        if not self._waiting or not reached:
            self._pacer.stop()  # nothing else comes due before strategies have started
            self._ended.set()

    async def wait(self) -> None:
        """Let time go on until all is known. Raises ConnectivityError for a venue that cannot be asked."""
        if self._waiting:
            self._pacer.start()
            await self._ended.wait()
        for name, reached in self._reached.items():
            if not reached:
                raise ConnectivityError(
                    f"account {name} could not be recovered within {RECOVERY_NS // SECOND} s "
                    f"({self._inquiries.why(name) or 'no answer came'}): nothing was sent: "
                    f"start again once its venue answers"
                )


async def first_books(
    broker: BrokerAdapter, since_ns: int, door: Door | None = None
) -> tuple[Snapshot, tuple[str, ...]]:
    """What a new account has, and the ids of the fills since `since_ns` that are contained in it.

    A fill may reach us as a report, in the list of fills and in the totals, in any order. So totals are believed when
    the list was the same before and after them, and no other movement of cash was reported meanwhile: then they
    contain what the list contains, and nothing newer. Movements that `door` has kept until then are contained as
    well, and dropped. Raises ConfigurationError where an account does not come to rest.
    """
    since_ns = max(0, since_ns - broker.profile.query_lag_ns)  # as far back as later lists go
    before = _ids(await broker.fills(since_ns))
    for _ in range(_TRIES):
        moved = 0 if door is None else door.movements(broker.name)
        snapshot = await broker.snapshot()
        after = _ids(await broker.fills(since_ns))
        if before == after and (door is None or door.movements(broker.name) == moved):
            if door is not None:
                door.drop_movements(broker.name)
            return snapshot, after
        before = after
    raise ConfigurationError(
        f"account {broker.name} is being traded by somebody else so fast that its books cannot be opened: begin when "
        f"it is quiet"
    )


def _ids(fills: Sequence[FillReport]) -> tuple[str, ...]:
    return tuple(fill.fill_id for fill in fills)
