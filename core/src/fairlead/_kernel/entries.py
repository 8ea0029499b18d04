"""Entries: what each order with exits still has in its strategy's position, so that its exits cover that alone.

What an entry fills is its own as far as it makes the position larger; what its exits fill is its own no more. What
anything else takes from the position comes from what no entry has, and then from the entries, the newest first.
"""

from __future__ import annotations

from decimal import Decimal

from fairlead._kernel.state import ZERO, State
from fairlead._models.orders import Fill, Order, Side


def follow(state: State, fill: Fill, order: Order | None, *, back: bool = False) -> None:
    """A fill was booked, or taken back: its order's part grows or shrinks, and no part exceeds the position."""
    if order is not None:
        if order.intent.exits:
            _add(state, order.intent.parent, fill.quantity if back else -fill.quantity)
        elif (entry := state.carried_out(order) or order).intent.wants_exits:
            _add(state, entry.client_order_id, -fill.quantity if back else fill.quantity)
        elif back:
            _give_back(state, fill)
    if state.entries:
        _cut(state, fill)


def _add(state: State, name: str, quantity: Decimal) -> None:
    part = state.entries.get(name, ZERO) + quantity
    if part <= 0:
        state.entries.pop(name, None)
    elif name in state.orders:
        state.entries[name] = part


def _cut(state: State, fill: Fill) -> None:
    held = state.quantity(fill.account, fill.instrument, fill.strategy)
    room = {Side.BUY: max(held, ZERO), Side.SELL: max(-held, ZERO)}
    mine = [name for name in state.entries if _same(state.orders[name], fill)]
    for name in mine:  # the oldest keep theirs
        side = state.orders[name].side
        left = min(state.entries[name], room[side])
        room[side] -= left
        _add(state, name, left - state.entries[name])


def _give_back(state: State, fill: Fill) -> None:
    """What an order took that was no exit is there again: it belongs to those from whom it was taken."""
    left = fill.quantity
    for order in [o for o in reversed(state.orders.values()) if o.intent.wants_exits and _same(o, fill)]:
        exits = (o.filled_quantity for o in state.children.get(order.client_order_id, ()) if o.intent.exits)
        has = sum(exits, state.entries.get(order.client_order_id, ZERO))
        part = min(left, order.filled_quantity - has) if order.side is fill.side.opposite else ZERO
        if part > 0:
            left -= part
            _add(state, order.client_order_id, part)


def _same(order: Order, fill: Fill) -> bool:
    """Whether an order and a fill are of the same position."""
    return (order.account, order.instrument, order.strategy) == (fill.account, fill.instrument, fill.strategy)
