"""Replacement in place: a working order gets new terms in one step, or stays as it is."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.ports import Canceled, Replace, Replaced, ReplaceRejected, Submit
from fairlead_sim.admission import Refusal, malformed, refusal
from fairlead_sim.desk import Desk
from fairlead_sim.orders import WorkingOrder
from fairlead_sim.profile import REPLACES


def replace(desk: Desk, command: Replace) -> WorkingOrder | None:
    """Change an order and report it, or why not; gives the order where it has to queue anew."""
    name, attempt, now = command.client_order_id, command.attempt, desk.now()
    order = desk.orders.get(name)
    if now > command.deadline_ns:
        wrong: Refusal | None = ("expired", "it arrived after its deadline")
    elif order is None:
        wrong = ("too_late" if name in desk.closed else "unknown_order", "no such working order")
    else:
        wrong = _unfit(order, command, desk)
    if order is None or wrong is not None:
        code, reason = wrong or ("", "")
        desk.emit(
            ReplaceRejected(client_order_id=name, attempt=attempt, event_ns=now, code=code, reason=reason)
        )
        return None
    former, place = order.broker_order_id, order.sequence
    desk.renew(order, _renewed(order, command, desk.sequence + 1, renames=desk.renames))
    theirs = order.broker_order_id
    desk.emit(Replaced(client_order_id=name, attempt=attempt, event_ns=now, broker_order_id=theirs))
    if former != theirs:
        ended = order.filled
        desk.emit(
            Canceled(
                client_order_id=name,
                event_ns=now,
                reason="replaced",
                filled_quantity=ended,
                broker_order_id=former,
            )
        )
    if order.sequence != place:
        return order
    desk.markets[order.instrument].arm()
    return None


def _unfit(order: WorkingOrder, command: Replace, desk: Desk) -> Refusal | None:
    """Why an order cannot be changed like this: what is refused of a new one, as if the old one were gone."""
    market, intent = desk.markets[order.instrument], order.intent
    if intent.type not in REPLACES:
        return "unsupported", f"a {intent.type} order cannot be replaced here"
    if intent.group:
        return "linked", "an order that is linked to others cannot be replaced here"
    if command.quantity <= order.filled:
        return "filled", f"{order.filled} of it has filled"
    new = _renewed(order, command, order.sequence, renames=False)
    wanted = Submit(command.client_order_id, new.intent, new.quantity, order.reduce_only, command.deadline_ns)
    wrong = malformed(wanted, market.rules)
    if wrong is not None:
        return wrong
    left, order.remaining, new.quantity = order.remaining, Decimal(0), new.remaining
    try:
        return refusal(new, market, desk)
    finally:
        order.remaining = left


def _renewed(order: WorkingOrder, command: Replace, sequence: int, *, renames: bool) -> WorkingOrder:
    """What an order becomes: it queues anew, unless all that changes is that it is smaller."""
    limit, stop, old = command.limit_price, command.stop_price, order.intent
    stays = (old.limit_price, old.stop_price) == (limit, stop) and command.quantity <= order.quantity
    return msgspec.structs.replace(
        order,
        intent=msgspec.structs.replace(old, quantity=command.quantity, limit_price=limit, stop_price=stop),
        quantity=command.quantity,
        remaining=command.quantity - order.filled,
        limit=None if limit is None else float(limit),
        stop=None if stop is None else float(stop),
        sequence=order.sequence if stays and not renames else sequence,
        broker_order_id=f"V{sequence}" if renames else order.broker_order_id,
        fresh=order.fresh if stays else not old.post_only,
        ahead=order.ahead if stays else 0.0,
    )
