"""Recovery, which is the only way to start: the journal has given the state, the venue gives an account's first books.

What happened to our orders meanwhile is found out by the kernel's resolver.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fairlead._engine.assembly import settle_of
from fairlead._engine.door import Door
from fairlead._engine.parts import Parts
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.unfinished import carried_on
from fairlead._models.reports import FillReport
from fairlead._storage.run import RunFolder
from fairlead._storage.tape import read_tape
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import BarProgress
from fairlead.ports import BrokerAdapter, Snapshot

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


async def first_books(
    broker: BrokerAdapter, since_ns: int, door: Door | None = None
) -> tuple[Snapshot, tuple[str, ...]]:
    """What a new account has, and the ids of the fills since `since_ns` that are contained in it.

    A fill may reach us as a report, in the list of fills and in the totals, in any order. So totals are believed when
    the list was the same before and after them, and no other movement of cash was reported meanwhile: then they
    contain what the list contains, and nothing newer. Movements that `door` has kept until then are contained as
    well, and dropped. Raises ConfigurationError where an account does not come to rest.
    """
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
