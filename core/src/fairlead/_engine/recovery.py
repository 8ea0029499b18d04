"""Recovery, which is the only way to start: the journal gives the state, the venue what happened since."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead._kernel.apply import apply
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.state import State
from fairlead._models.orders import AT_VENUE
from fairlead._models.reports import Accepted, Canceled, NotSent
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import repair_tail
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, JournalDamaged
from fairlead.ports import BrokerAdapter, OrderReport

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


async def catch_up(kernel: Kernel, brokers: Mapping[str, BrokerAdapter]) -> None:
    """Learn what happened to our orders while nobody listened: fills first, then how each order stands."""
    for name, broker in brokers.items():
        known = [o for o in kernel.state.open.values() if o.account == name and o.status in AT_VENUE]
        if kernel.state.epoch <= 1 and not known:
            continue
        for fill in await broker.fills(max(0, kernel.state.now - _OVERLAP_NS)):
            kernel.report(name, fill)
        if not known:
            continue
        found = await broker.lookup([o.client_order_id for o in known])
        for order in known:
            if order.client_order_id in found and not order.closed:
                kernel.report(name, _standing(order.client_order_id, found[order.client_order_id]))


def _standing(client_order_id: str, found: OrderReport | None) -> Accepted | Canceled | NotSent:
    if found is None:
        return NotSent(client_order_id=client_order_id, reason="the venue has never seen it")
    if found.open:
        return Accepted(client_order_id=client_order_id, broker_order_id=found.broker_order_id)
    return Canceled(
        client_order_id=client_order_id, reason=found.status or "ended", filled_quantity=found.filled_quantity
    )
