"""Brackets: a take-profit and a stop-loss around whatever part of an entry has filled."""

from __future__ import annotations

from decimal import Decimal

from fairlead._kernel.desk import Desk
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import ZERO
from fairlead._models.orders import Order, OrderIntent, OrderStatus, OrderType
from fairlead.facts import HeldResized


class Exits:
    """Protects the filled part of an entry at once, and resizes the protection on each fill."""

    def __init__(self, recorder: Recorder, desk: Desk) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._desk = desk

    def filled(self, entry: Order) -> None:
        """An order filled: where it was an entry with exits, see that all of it is covered."""
        intent = entry.intent
        if intent.take_profit is None and intent.stop_loss is None:
            return
        need = entry.filled_quantity - self._covered(entry)
        least = self._state.instruments[intent.instrument].min_quantity
        if need <= 0 or (need < least and not entry.closed):
            return
        grown = [o for o in self._exits(entry) if o.status is OrderStatus.HELD and not o.after]
        if grown and len(grown) == len(self._exits(entry)):
            for order in grown:
                self._recorder.record(
                    HeldResized, client_order_id=order.client_order_id, quantity=order.quantity + need
                )
        else:
            self._place(entry, need)

    def position_closed(self, account: str, instrument: str, strategy: str) -> None:
        """A strategy's position is flat: exits that protected it have nothing left to do."""
        if self._state.quantity(account, instrument, strategy):
            return
        for order in [o for o in self._state.open.values() if o.intent.parent and o.intent.reduce_only]:
            if (order.account, order.instrument, order.strategy) == (account, instrument, strategy):
                parent = self._state.orders.get(order.intent.parent)
                if parent is None or not parent.intent.style:
                    self._desk.cancel(order, "the position is closed")

    def _exits(self, entry: Order) -> list[Order]:
        return [
            o
            for o in self._state.open.values()
            if o.intent.parent == entry.client_order_id and o.intent.reduce_only
        ]

    def _covered(self, entry: Order) -> Decimal:
        """What of an entry its exits cover, or have closed already; linked ones once."""
        groups: dict[str, Decimal] = {}
        for order in self._state.orders.values():
            if order.intent.parent == entry.client_order_id and order.intent.reduce_only:
                name = order.intent.group
                size = order.filled_quantity if order.closed else order.quantity
                groups[name] = max(groups.get(name, ZERO), size)
        return sum(groups.values(), ZERO)

    def _place(self, entry: Order, quantity: Decimal) -> None:
        intent = entry.intent
        group = f"exit:{entry.client_order_id}:{len(entry.fill_ids)}"

        def leg(kind: OrderType, limit: Decimal | None, stop: Decimal | None) -> OrderIntent:
            return OrderIntent(
                strategy=intent.strategy,
                account=intent.account,
                instrument=intent.instrument,
                side=intent.side.opposite,
                quantity=quantity,
                type=kind,
                limit_price=limit,
                stop_price=stop,
                reduce_only=True,
                parent=entry.client_order_id,
                group=group,
                tag=intent.tag,
            )

        if intent.stop_loss is not None:  # the protection first, the profit after it
            self._desk.place(leg(OrderType.STOP, None, intent.stop_loss))
        if intent.take_profit is not None:
            self._desk.place(leg(OrderType.LIMIT, intent.take_profit, None))
