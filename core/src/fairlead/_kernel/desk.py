"""The desk: places, cancels and replaces orders, and sends those that the engine held."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from decimal import Decimal

import msgspec

from fairlead._kernel.gate import Approved, Gate, Refused
from fairlead._kernel.outbox import Outbox
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import ZERO
from fairlead._models.orders import (
    AT_VENUE,
    CLOSED,
    STOPS,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from fairlead._models.venue import VenueProfile
from fairlead.facts import (
    HeldResized,
    Noted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderHeld,
)

Changed = Callable[[Order], None]

_FIGURES = re.compile(r"\d[\d,._]*")


def client_order_id(namespace: int, epoch: int, intent: int, attempt: int = 1) -> str:
    """128 bits as 32 hex digits: namespace 16, epoch 16, intent 88, attempt 8.

    Whose order it is, of which start of the engine and which try can be read off any venue's order list.
    """
    bits = (namespace << 16 | epoch) << 96 | intent << 8 | attempt
    return bits.to_bytes(16, "big").hex()


def number_of(name: str) -> int:
    """The number of the intent that a client_order_id is of."""
    return int(name[8:30], 16)


def _after(name: str, epoch: int) -> str:
    """The id of the next attempt at the same intent."""
    bits = int(name, 16)
    return client_order_id(bits >> 112, epoch, bits >> 8 & (1 << 88) - 1, (bits & 0xFF) + 1)


class Desk:
    """Everything that can be done with an order, for strategies, held orders and operators alike.

    `held` is told of every order that the engine keeps, `ends` of every one that does not work until it is
    canceled, `changed` of every order that changed without a report,
    `recalled` of every order that the venue was asked to cancel.
    """

    def __init__(
        self,
        recorder: Recorder,
        gate: Gate,
        outbox: Outbox,
        profiles: dict[str, VenueProfile],
        held: Changed,
        ends: Changed,
        changed: Changed,
    ) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._gate = gate
        self._outbox = outbox
        self._profiles = profiles
        self._held = held
        self._ends = ends
        self._changed = changed
        self._refused: dict[str, tuple[str, ...]] = {}
        self.recalled: Changed = lambda _: None

    def place(self, intent: OrderIntent, after: tuple[str, ...] = ()) -> Order:
        """Make an order of an intent: denied, held, or on its way. `after` are orders that must end first.

        The exit of a position is never denied: what the gate or a breaker has against it is said aloud, and it is
        held and tried again, watched meanwhile. One that is held anyway is judged when it is sent.
        """
        order = self._place(intent, after)
        if intent.time_in_force is not TimeInForce.GTC:
            self._ends(order)
        return order

    def _place(self, intent: OrderIntent, after: tuple[str, ...]) -> Order:
        state = self._state
        name = self._name(intent)
        if after:
            self._recorder.record(OrderHeld, client_order_id=name, intent=intent, after=after)
            return state.orders[name]
        if intent.group and intent.exits and self.keeps(intent):
            return self._hold(name, intent)
        verdict = self._gate.review(intent)
        if isinstance(verdict, Refused):
            if intent.exits:
                return self._hold(name, intent, verdict.reasons)
            return self.refuse(intent, verdict.reasons)
        if self.keeps(intent):
            return self._hold(name, intent)
        self._outbox.submit(name, verdict)
        return state.orders[name]

    def refuse(self, intent: OrderIntent, reasons: tuple[str, ...]) -> Order:
        """Make a denied order of an intent."""
        return self._deny(self._name(intent), intent, reasons)

    def _name(self, intent: OrderIntent) -> str:
        state = self._state
        if intent.repeats:
            return _after(intent.repeats, state.epoch)
        return client_order_id(state.namespace, state.epoch, state.intents + 1)

    def _hold(self, name: str, intent: OrderIntent, refused: tuple[str, ...] = ()) -> Order:
        self._recorder.record(OrderHeld, client_order_id=name, intent=intent)
        order = self._state.orders[name]
        if refused:
            self._alarm(order, refused)
        self._held(order)
        return order

    def _deny(self, name: str, intent: OrderIntent, reasons: tuple[str, ...]) -> Order:
        self._recorder.record(OrderDenied, client_order_id=name, intent=intent, reasons=reasons)
        order = self._state.orders[name]
        self._changed(order)
        return order

    def keeps(self, intent: OrderIntent) -> bool:
        """Whether the engine holds the order because its venue has no such type (or it is carried out in parts)."""
        profile = self._profiles[intent.account]
        if intent.style or intent.type not in profile.order_types:
            return True
        if not intent.group or profile.oco:
            return False
        # Of linked orders at a venue that cannot link them, one is there at a time: the stop rather than the limit.
        return intent.type is OrderType.LIMIT or self._there(intent)

    def _there(self, intent: OrderIntent) -> bool:
        return any(o.intent.group == intent.group and o.status in AT_VENUE for o in self._state.open.values())

    def send_held(self, order: Order) -> None:
        """A held order's moment has come: judge what goes on the wire, and send it or say why not.

        One that protects a position is kept when it is refused, and watched or tried again: nothing else does.
        """
        if not self._fit(order):
            return
        intent = on_the_wire(order, self._profiles[order.account])
        verdict = self._gate.review(intent, protects=order.type in STOPS)
        if isinstance(verdict, Approved):
            self._outbox.submit(order.client_order_id, verdict)
            self._changed(order)
        elif order.intent.exits or (order.triggered and order.intent.reduce_only):
            self._alarm(order, verdict.reasons)
            self._held(order)
        else:
            self._deny(order.client_order_id, intent, verdict.reasons)

    def may_send(self, order: Order, gone: Collection[str]) -> bool:
        """Whether an exit's moment has come, once others are gone; what is said against it is said aloud."""
        if not self._fit(order):
            return False
        verdict = self._gate.review(on_the_wire(order, self._profiles[order.account]), gone=gone)
        if isinstance(verdict, Approved):
            return True
        self._alarm(order, verdict.reasons)
        return False

    def _alarm(self, order: Order, reasons: tuple[str, ...]) -> None:
        """Say once what is against an order, and again when it is something else, not merely another figure."""
        said = tuple(_FIGURES.sub("", reason) for reason in reasons)
        if self._refused.get(order.client_order_id) != said:
            self._refused[order.client_order_id] = said
            text = f"{order.client_order_id} protects a position, is refused and stays held: {'; '.join(reasons)}"
            self._recorder.record(Noted, source="protection", text=text)

    def _fit(self, order: Order) -> bool:
        """Bring a reduce-only order to what is there to reduce; False, and canceled, where nothing is."""
        if not order.intent.reduce_only or order.intent.style:
            return True
        held = self._state.quantity(order.account, order.instrument, order.strategy)
        there = abs(held) if (held > 0) == (order.side is Side.SELL) else ZERO
        there = self._state.instruments[order.instrument].quantity(there)
        wanted = there if order.intent.closes and not order.intent.sweep else min(order.quantity, there)
        if not wanted:
            self.cancel(order, "there is no position left to reduce")
            return False
        if wanted != order.quantity:
            self._recorder.record(HeldResized, client_order_id=order.client_order_id, quantity=wanted)
        return True

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
            self._outbox.cancel(order, expires=expired)
            self.recalled(order)

    def children(self, parent: Order) -> list[Order]:
        """The open orders that carry a styled order out."""
        if not parent.intent.style:
            return []
        children = self._state.children.get(parent.client_order_id, ())
        return [order for order in children if not order.closed and not order.intent.exits]

    def replace(self, order: Order, quantity: Decimal, limit: Decimal | None, stop: Decimal | None) -> Order:
        """Change an order in place where its venue can, else cancel, confirm and submit the remainder.

        In place the order stays the same one, and is returned; else the new order waits for the end of the old.
        `quantity` is the new total, fills of the old order included.
        """
        intent = self.replacement(order, quantity, limit, stop)
        if order.closed or intent.quantity <= 0:
            reason = f"{order.status}, with {order.filled_quantity} filled: nothing is left to replace"
            return self.refuse(intent, (reason,))
        if self.changes_in_place(order):
            return self._change(order, intent)
        new = self.place(intent, after=(order.client_order_id, *order.after))
        self.cancel(order, "replaced")
        return new

    @staticmethod
    def replacement(
        order: Order, quantity: Decimal, limit: Decimal | None, stop: Decimal | None
    ) -> OrderIntent:
        """What is wanted in the place of an order: of the new total `quantity` what has not filled yet."""
        return msgspec.structs.replace(
            order.intent,
            quantity=quantity - order.filled_quantity,
            limit_price=limit,
            stop_price=stop,
            replaces=order.client_order_id,
            repeats="",  # what it replaces may be a repetition: it is an intent of its own, with an id of its own
        )

    def changes_in_place(self, order: Order) -> bool:
        """Whether a venue replaces an order by one request: linked ones it shrinks by itself, and they are left out.

        So are stops that were set off: what rests there is a plain order.
        """
        rests = order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED) and not order.triggered
        return rests and not order.intent.group and order.type in self._profiles[order.account].replaces

    def _change(self, order: Order, intent: OrderIntent) -> Order:
        """Have an order replaced in place. Refused, it stays as it is, and what was wanted is denied."""
        wanted = (intent.quantity, intent.limit_price, intent.stop_price)
        if wanted == (order.remaining_quantity, order.limit_price, order.stop_price):
            return order
        verdict = self._gate.review(intent, protects=order.type in STOPS, gone=(order.client_order_id,))
        if isinstance(verdict, Refused):
            return self.refuse(intent, verdict.reasons)
        self._outbox.replace(order, verdict)
        return order

    def again(self, order: Order, quantity: Decimal) -> None:
        """Place an order of the same terms once more, as the next attempt at the same intent."""
        before = order.client_order_id
        if before.endswith("ff"):  # its id has no room for another attempt: it becomes a new intent
            before = ""
        wanted = min(order.quantity, quantity)
        self.place(msgspec.structs.replace(order.intent, quantity=wanted, repeats=before))


def on_the_wire(order: Order, profile: VenueProfile) -> OrderIntent:
    """What is sent for a held order, of the quantity still wanted.

    It is a plain order where the venue has no stops, or the price of a stop was reached before it got there.
    """
    intent = order.intent
    kind, stop, trail = intent.type, order.stop_price, intent.trail
    if kind not in profile.order_types or (order.triggered and kind in STOPS):
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
