"""Recovery, which is the only way to start: the journal has given the state, the venue tells what happened since."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence

from fairlead._engine.door import Door
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.reports import forgotten
from fairlead._models.orders import AT_VENUE, Order, OrderStatus
from fairlead._models.reports import Accepted, Canceled, FillReport, NotSent, OutcomeUnknown
from fairlead._models.venue import VenueProfile
from fairlead.errors import ConfigurationError
from fairlead.ports import BrokerAdapter, Cancel, OrderReport, Snapshot

OVERLAP_NS = 60_000_000_000
"""Fills are asked for from this long before the last fact; those that are known already change nothing."""

_TRIES = 10

_ANSWERED = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE)


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


async def catch_up(
    kernel: Kernel,
    brokers: Mapping[str, BrokerAdapter],
    since_ns: int,
    *,
    door: Door | None = None,
    opened: Collection[str] = (),
) -> None:
    """Learn what happened to our orders while nobody listened: fills first, then how each order stands.

    `since_ns` is the time of the last fact before this start; `door` takes the reports, the kernel where there is
    none; `opened` are accounts whose books begin with this start. Fills are asked for since then, or since the oldest
    order at the venue was made: its fill may have been lost long before. A cancel whose answer never came is sent
    again: it may not have left.
    """
    for name, broker in brokers.items():
        if name in opened:
            continue
        report = functools.partial(kernel.report, name) if door is None else door.reporter(name)
        known = [
            o
            for o in kernel.state.open.values()
            if o.account == name and o.status in AT_VENUE and not _just_sent(o, since_ns)
        ]
        first = min([since_ns, *(o.created_ns for o in known)])
        for fill in await broker.fills(max(0, first - OVERLAP_NS)):
            if not forgotten(kernel.state, fill.client_order_id):
                report(fill)
        if not known:
            continue
        found = await broker.lookup([o.client_order_id for o in known])
        for order in known:
            if order.client_order_id in found and not order.closed:
                standing = found[order.client_order_id]
                report(_standing(order, standing) if standing else _missing(order, broker.profile, kernel))
            if order.status is OrderStatus.PENDING_CANCEL:
                deadline = kernel.agenda.now() + broker.profile.validity_ns
                broker.send(Cancel(order.client_order_id, order.broker_order_id, order.instrument, deadline))


def _just_sent(order: Order, since_ns: int) -> bool:
    """Whether it was sent by this very start, so that its venue cannot be expected to know it yet."""
    return order.status is OrderStatus.SUBMITTED and order.updated_ns > since_ns


def _missing(order: Order, profile: VenueProfile, kernel: Kernel) -> NotSent | Canceled | OutcomeUnknown:
    """What it means that the venue knows no such order, once all its fills are told.

    A venue on paper is exact. Another one may be slow: what was sent may yet arrive for as long as it is valid, and
    as long again; and what was accepted is not gone because it is not found.
    """
    name = order.client_order_id
    answered = bool(order.broker_order_id or order.filled_quantity) or order.status in _ANSWERED
    if profile.environment == "paper":
        if answered:
            return Canceled(client_order_id=name, reason="the venue does not know it any more")
        return NotSent(client_order_id=name, reason="the venue has never seen it")
    if not answered and kernel.agenda.now() > order.updated_ns + 2 * profile.validity_ns:
        return NotSent(client_order_id=name, reason="the venue has never seen it")
    return OutcomeUnknown(client_order_id=name, reason="its venue does not know it", looked_up=True)


def _standing(order: Order, found: OrderReport) -> Accepted | Canceled:
    if found.open:
        return Accepted(client_order_id=order.client_order_id, broker_order_id=found.broker_order_id)
    return Canceled(
        client_order_id=order.client_order_id,
        reason=found.status or "ended",
        filled_quantity=found.filled_quantity,
    )
