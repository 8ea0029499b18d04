"""The desk: places, cancels and replaces orders, and lets go those that waited for others to end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from fairlead._kernel.gate import Approved, Gate, Refused
from fairlead._kernel.outbox import Outbox
from fairlead._kernel.recorder import Recorder
from fairlead._models.orders import CLOSED, Order, OrderIntent, OrderStatus, OrderType
from fairlead._models.venue import VenueProfile
from fairlead.facts import HeldResized, OrderCanceled, OrderDenied, OrderExpired, OrderHeld

Changed = Callable[[Order], None]


def client_order_id(namespace: int, epoch: int, intent: int, attempt: int = 1) -> str:
    """128 bits as 32 hex digits: namespace 16, epoch 16, intent 88, attempt 8.

    Whose order it is, of which start of the engine and which try can be read off any venue's order list.
    """
    return f"{namespace:04x}{epoch:04x}{intent:022x}{attempt:02x}"


class Desk:
    """Everything that can be done with an order, for strategies, held orders and operators alike.

    `held` is told of every order that the engine keeps, `changed` of every order that changed without a report.
    """

    def __init__(
        self,
        recorder: Recorder,
        gate: Gate,
        outbox: Outbox,
        profiles: dict[str, VenueProfile],
        held: Callable[[Order], None],
        changed: Changed,
    ) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._gate = gate
        self._outbox = outbox
        self._profiles = profiles
        self._held = held
        self._changed = changed

    def place(self, intent: OrderIntent, after: tuple[str, ...] = ()) -> Order:
        """Make an order of an intent: denied, held, or on its way. `after` are orders that must end first."""
        state = self._state
        name = client_order_id(state.namespace, state.epoch, state.intents + 1)
        if after:
            self._recorder.record(OrderHeld, client_order_id=name, intent=intent, after=after)
            return state.orders[name]
        verdict = self._gate.review(intent)
        if isinstance(verdict, Refused):
            self._recorder.record(OrderDenied, client_order_id=name, intent=intent, reasons=verdict.reasons)
            order = state.orders[name]
            self._changed(order)
        elif self._keeps(intent):
            self._recorder.record(OrderHeld, client_order_id=name, intent=intent)
            order = state.orders[name]
            self._held(order)
        else:
            self._outbox.submit(name, verdict)
            order = state.orders[name]
        return order

    def _keeps(self, intent: OrderIntent) -> bool:
        """Whether the engine holds the order because its venue has no such type (or it is carried out in parts)."""
        profile = self._profiles[intent.account]
        if intent.style or intent.type not in profile.order_types:
            return True
        # Of two linked exits at a venue that cannot link them, the take-profit stays here.
        return bool(intent.group) and not profile.oco and intent.type is OrderType.LIMIT

    def send_held(self, order: Order) -> None:
        """A held order's moment has come: judge what goes on the wire, and send it or say why not."""
        intent = on_the_wire(order, self._profiles[order.account])
        verdict = self._gate.review(intent)
        if isinstance(verdict, Approved):
            self._outbox.submit(order.client_order_id, verdict)
        else:
            self._recorder.record(
                OrderDenied, client_order_id=order.client_order_id, intent=intent, reasons=verdict.reasons
            )
        self._changed(order)

    def cancel(self, order: Order, reason: str = "", *, expired: bool = False) -> None:
        """Take an order back: at once where the engine holds it, else by a command. A closed order stays so."""
        if order.status in CLOSED:
            return
        if order.status is OrderStatus.HELD:
            kind = OrderExpired if expired else OrderCanceled
            self._recorder.record(kind, client_order_id=order.client_order_id, reason=reason)
            self._changed(order)
            for child in self.children(order):
                self.cancel(child, reason)
        else:
            self._outbox.cancel(order)

    def children(self, parent: Order) -> list[Order]:
        """The open orders that carry a styled order out."""
        if not parent.intent.style:
            return []
        return [o for o in self._state.open.values() if o.intent.parent == parent.client_order_id]

    def replace(self, order: Order, quantity: Decimal, limit: Decimal | None, stop: Decimal | None) -> Order:
        """Cancel, confirm, submit the remainder: the new order waits for the end of the old.

        `quantity` is the new total, fills of the old order included.
        """
        intent = msgspec.structs.replace(
            order.intent,
            quantity=quantity,
            limit_price=limit,
            stop_price=stop,
            replaces=order.client_order_id,
        )
        new = self.place(intent, after=(order.client_order_id,))
        self.cancel(order, "replaced")
        return new

    def ended(self, order: Order) -> None:
        """An order is closed: let go what waited for it."""
        for waiting in [o for o in self._state.open.values() if order.client_order_id in o.after]:
            if all(self._is_closed(name) for name in waiting.after):
                self._let_go(waiting, order)

    def _is_closed(self, name: str) -> bool:
        return name not in self._state.open

    def _let_go(self, waiting: Order, ended: Order) -> None:
        if waiting.intent.replaces == ended.client_order_id:
            remaining = waiting.quantity - ended.filled_quantity
            if remaining <= 0:
                self.cancel(waiting, f"nothing left to replace: {ended.filled_quantity} filled first")
                return
            if ended.filled_quantity:
                self._recorder.record(
                    HeldResized, client_order_id=waiting.client_order_id, quantity=remaining
                )
        if self._keeps(waiting.intent) and not waiting.intent.group:
            self._held(waiting)
        else:
            self.send_held(waiting)


def on_the_wire(order: Order, profile: VenueProfile) -> OrderIntent:
    """What is sent for a held order: a plain order where the venue has no stops, of the quantity still wanted."""
    intent = order.intent
    kind, stop, trail = intent.type, order.stop_price, intent.trail
    if kind not in profile.order_types:
        kind = OrderType.LIMIT if kind is OrderType.STOP_LIMIT else OrderType.MARKET
        stop = trail = None
    return msgspec.structs.replace(
        intent,
        type=kind,
        stop_price=stop,
        trail=trail,
        quantity=order.remaining_quantity,
        limit_price=order.limit_price,
        style="",
    )
