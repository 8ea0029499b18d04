"""Carries out orders that have an execution style: asks the style for its plan, and does what it says."""

from __future__ import annotations

import msgspec

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.desk import Desk
from fairlead._kernel.market import Market
from fairlead._kernel.recorder import Recorder
from fairlead._models.orders import Order, OrderIntent, OrderStatus, OrderType
from fairlead._strategy.styles import Again, GiveUp, Place, Step, Style, Withdraw, Work, rebuild
from fairlead.units import SECOND


class Styles:
    """The orders at work. A style is built from the order's own record, so a restart needs nothing else."""

    def __init__(self, recorder: Recorder, desk: Desk, market: Market, schedule: Schedule) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._desk = desk
        self._market = market
        self._schedule = schedule
        self._styles: dict[str, Style] = {}
        self._tried: set[str] = set()
        self._due: dict[str, int] = {}
        self._planning = False

    def work(self, order: Order) -> None:
        """Begin to carry an order out, or go on after a restart."""
        self._styles[order.client_order_id] = rebuild(order.intent.style)
        if any(not child.intent.exits for child in self._state.children.get(order.client_order_id, ())):
            self._tried.add(order.client_order_id)
        self._plan(order)

    def changed(self, order: Order) -> None:
        """An order changed: it may be the child of one at work, or be done."""
        if not order.closed:
            return
        if self._styles.pop(order.client_order_id, None) is not None:
            self._tried.discard(order.client_order_id)
            self._due.pop(order.client_order_id, None)
        parent = self._state.carried_out(order)
        if parent is None or parent.closed:
            return
        if order.status in (OrderStatus.DENIED, OrderStatus.REJECTED) and not order.intent.post_only:
            self._desk.cancel(parent, f"its part was {order.status}: {'; '.join(order.reasons)}")
        elif not self._planning:
            self._plan(parent)

    def _plan(self, order: Order) -> None:
        style = self._styles.get(order.client_order_id)
        lane = self._market.lanes[order.instrument]
        if style is None or order.closed:
            return
        if not lane.mark:  # after a restart, before the first price
            self._plan_at(order, self._recorder.now + SECOND)
            return
        children = tuple(self._desk.children(order))
        work = Work(
            order,
            children,
            lane.instrument,
            lane.price(buying=False),
            lane.price(buying=True),
            self._recorder.now,
            order.client_order_id in self._tried,
        )
        self._planning = True
        try:
            for step in style.plan(work):
                self._do(order, step)
        finally:
            self._planning = False

    def _do(self, order: Order, step: Step) -> None:
        if isinstance(step, Place):
            self._place(order, step)
        elif isinstance(step, Withdraw):
            if step.order.status is not OrderStatus.PENDING_CANCEL:
                self._desk.cancel(step.order, "its style withdrew it")
        elif isinstance(step, Again):
            self._plan_at(order, step.at_ns)
        elif isinstance(step, GiveUp):
            self._desk.cancel(order, step.reason)

    def _plan_at(self, order: Order, when: int) -> None:
        """Plan again then; the last time asked for counts."""
        name = order.client_order_id
        if self._due.get(name) == when:
            return
        self._due[name] = when

        def due() -> None:
            if self._due.get(name) == when:
                del self._due[name]
                self._plan(order)

        self._schedule(when, due, TIMER, 0)

    def _place(self, order: Order, step: Place) -> None:
        if order.closed or step.quantity <= 0:
            return
        self._tried.add(order.client_order_id)
        intent: OrderIntent = msgspec.structs.replace(
            order.intent,
            quantity=step.quantity,
            limit_price=step.limit_price,
            post_only=step.post_only,
            type=OrderType.MARKET if step.limit_price is None else OrderType.LIMIT,
            style="",
            parent=order.client_order_id,
            take_profit=None,
            stop_loss=None,
        )
        self._desk.place(intent)
