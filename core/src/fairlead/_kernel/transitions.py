"""The one table of order transitions. A fill is never discarded because of a status."""

from __future__ import annotations

from fairlead._models.orders import Order, OrderStatus
from fairlead.errors import InvariantViolation

_S = OrderStatus

_TERMINAL = (_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED)

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.HELD: frozenset(
        {_S.SUBMITTED, _S.DENIED, _S.CANCELED, _S.EXPIRED, _S.FILLED}
    ),  # filled: by its children
    _S.SUBMITTED: frozenset({_S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, *_TERMINAL}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, *_TERMINAL}),
    _S.ACCEPTED: frozenset(
        {_S.UNKNOWN, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_REPLACE, *_TERMINAL}
    ),
    _S.PARTIALLY_FILLED: frozenset({_S.UNKNOWN, _S.PENDING_CANCEL, _S.PENDING_REPLACE, *_TERMINAL}),
    _S.PENDING_CANCEL: frozenset({_S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED, *_TERMINAL}),
    _S.PENDING_REPLACE: frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, *_TERMINAL}),
    # What the venue tells late is believed: evidence of life or of a fill corrects an ending.
    _S.CANCELED: frozenset({_S.FILLED}),
    _S.EXPIRED: frozenset({_S.FILLED}),
    _S.REJECTED: frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED}),
    _S.FILLED: frozenset(),
    _S.DENIED: frozenset(),
}


def allowed(before: OrderStatus, after: OrderStatus) -> bool:
    """Whether an order may go from one status to another; staying is always allowed."""
    return before is after or after in TRANSITIONS[before]


def move(order: Order, after: OrderStatus) -> None:
    """Change an order's status. Raises InvariantViolation where the table has no such step."""
    if not allowed(order.status, after):
        raise InvariantViolation(
            f"order {order.client_order_id} cannot go from {order.status} to {after}: no such transition"
        )
    order.status = after
