"""Recovery, which is the only way to start: the journal gives the state, the venue what happened since."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from fairlead._engine.door import Door
from fairlead._kernel.apply import apply
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.state import State
from fairlead._models.orders import AT_VENUE, OrderStatus
from fairlead._models.reports import Accepted, Canceled, NotSent
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import repair_tail
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, JournalDamaged
from fairlead.ports import BrokerAdapter, Cancel, OrderReport

_OVERLAP_NS = 60_000_000_000
"""Fills are asked for from this long before the last fact; those that are known already change nothing."""


def restore(folder: RunFolder) -> State:
    """The state of a run's journal, all of it verified. Raises JournalDamaged after moving it to quarantine."""
    lost = folder.lost_journal
    if lost is not None:
        raise ConfigurationError(
            f"the journal of {folder.path} was damaged and lies in {lost}: nothing starts here until a person has "
            f"looked at it; use another run=, or put a good copy back"
        )
    repair_tail(folder.journal)
    state = State()
    try:
        for fact in read_facts(folder.journal):
            apply(state, fact)
    except JournalDamaged as damage:
        folder.quarantine_journal(damage)
    return state


async def catch_up(
    kernel: Kernel,
    brokers: Mapping[str, BrokerAdapter],
    *,
    since_ns: int | None = None,
    door: Door | None = None,
) -> None:
    """Learn what happened to our orders while nobody listened: fills first, then how each order stands.

    `since_ns` is the time of the last fact before this start; `door` takes the reports, the kernel where there is
    none. A cancel whose answer never came is sent again: it may not have left.
    """
    since = kernel.state.now if since_ns is None else since_ns
    for name, broker in brokers.items():
        report = functools.partial(kernel.report, name) if door is None else door.reporter(name)
        known = [o for o in kernel.state.open.values() if o.account == name and o.status in AT_VENUE]
        if kernel.state.epoch <= 1 and not known:
            continue
        for fill in await broker.fills(max(0, since - _OVERLAP_NS)):
            if not _is_forgotten(kernel.state, fill.client_order_id):
                report(fill)
        if not known:
            continue
        found = await broker.lookup([o.client_order_id for o in known])
        for order in known:
            if order.client_order_id in found and not order.closed:
                report(_standing(order.client_order_id, found[order.client_order_id]))
            if order.status is OrderStatus.PENDING_CANCEL:
                deadline = kernel.agenda.now() + broker.profile.validity_ns
                broker.send(Cancel(order.client_order_id, order.broker_order_id, order.instrument, deadline))


def _is_forgotten(state: State, name: str) -> bool:
    """Whether an order of an earlier start was closed so long ago that the state has let it go: its fills are booked.

    An id tells whose order it is, of which start, and its number; the journal has given out numbers up to `intents`.
    """
    if name in state.orders or len(name) != 32 or not name.startswith(f"{state.namespace:04x}"):
        return False
    return int(name[4:8], 16) < state.epoch and int(name[8:30], 16) <= state.intents


def _standing(client_order_id: str, found: OrderReport | None) -> Accepted | Canceled | NotSent:
    if found is None:
        return NotSent(client_order_id=client_order_id, reason="the venue has never seen it")
    if found.open:
        return Accepted(client_order_id=client_order_id, broker_order_id=found.broker_order_id)
    return Canceled(
        client_order_id=client_order_id, reason=found.status or "ended", filled_quantity=found.filled_quantity
    )
