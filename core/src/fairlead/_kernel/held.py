"""Held orders: what the engine keeps because the venue has no such order, and when each is let go.

One state machine: HELD → (trigger) → SUBMITTED, or CANCELED, EXPIRED. Stops, stop-limits and trailing stops wait
for a price; linked exits wait for each other; DAY and GTD orders wait for their end. All of it is in the
journal: after a restart `arm` is called for every order that is HELD, and it goes on where it stood.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.desk import Desk
from fairlead._kernel.equity import next_day
from fairlead._kernel.gate import rests_at
from fairlead._kernel.market import HELD, Lane, Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import ZERO
from fairlead._models.market import Bar, Quote, Trade
from fairlead._models.orders import AT_VENUE, STOPS, Order, OrderStatus, OrderType, Side, TimeInForce
from fairlead._models.venue import VenueProfile
from fairlead.facts import HeldResized, OrderReleased, OrderTriggered, TrailMoved
from fairlead.units import SECOND

AGAIN_NS = SECOND
"""After so long, what a venue or the gate refused and must be done is tried again."""

_LONGEST = 256
"""So many times as long it takes at most, for one that makes another order leave its place each time."""

_KINDS = ("quote", "trade", "bar")


class _Watch:
    """A held order watching its market. Prices are floats made from the order's Decimals."""

    def __init__(self, held: Held, order: Order, lane: Lane) -> None:
        self._held = held
        self._lane = lane
        self.order = order
        self._selling = order.side is Side.SELL
        self._takes_profit = order.type is OrderType.LIMIT
        self.level = float(order.limit_price or 0) if self._takes_profit else float(order.stop_price or 0)

    def start(self) -> None:
        for kind in _KINDS:
            self._lane.attach(kind, HELD, self.see)

    def stop(self) -> None:
        for kind in _KINDS:
            self._lane.detach(kind, self.see)

    def see(self, event: object) -> None:
        """Judge one event: the price this order would trade at, or the range of a bar."""
        if isinstance(event, Quote):
            price = event.bid if self._selling else event.ask
            self._range(price, price)
        elif isinstance(event, Trade):
            self._range(event.price, event.price)
        elif isinstance(event, Bar):
            self._range(event.low, event.high)

    def _range(self, low: float, high: float) -> None:
        if self.order.status is not OrderStatus.HELD or self.order.after or self.order.triggered:
            return
        if self.level and self._met(low, high):
            self._held.triggered(self.order, low if self._selling != self._takes_profit else high)
        elif self.order.intent.trail is not None:
            self.follow(high if self._selling else low)

    def _met(self, low: float, high: float) -> bool:
        if self._selling:
            return high >= self.level if self._takes_profit else low <= self.level
        return low <= self.level if self._takes_profit else high >= self.level

    def follow(self, price: float) -> None:
        """Go after a better price; never back."""
        extreme = self.order.extreme
        if extreme is None or (price > extreme if self._selling else price < extreme):
            stop, now = trail_stop(self.order, self._lane, price), self.order.stop_price
            if now is None or (stop > now if self._selling else stop < now):
                self._held.trailed(self.order, price, stop)
                self.level = float(stop)


class Held:
    """All held orders of an engine."""

    def __init__(
        self, recorder: Recorder, market: Market, schedule: Schedule, profiles: dict[str, VenueProfile]
    ) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._market = market
        self._schedule = schedule
        self._profiles = profiles
        self._watches: dict[str, _Watch] = {}
        self._due: set[str] = set()
        self._taken: dict[str, int] = {}
        self.desk: Desk

    def arm(self, order: Order) -> None:
        """Watch the market for a held order; what should be at the venue already is tried again a little later."""
        if order.triggered or not self.desk.keeps(order.intent):
            self._later(order)
        if order.triggered or order.client_order_id in self._watches or order.intent.style:
            return
        lane = self._market.lanes[order.instrument]
        watch = self._watches[order.client_order_id] = _Watch(self, order, lane)
        watch.start()
        if order.intent.trail is not None and order.extreme is None and lane.mark:
            watch.follow(lane.price(buying=order.side is Side.BUY))

    def _later(self, order: Order) -> None:
        if order.client_order_id not in self._due:
            self._due.add(order.client_order_id)
            pause = AGAIN_NS * min(2 ** self._taken.get(order.client_order_id, 0), _LONGEST)
            self._schedule(self._recorder.now + pause, lambda: self._once_more(order), TIMER, 0)

    def _once_more(self, order: Order) -> None:
        self._due.discard(order.client_order_id)
        if order.triggered or not self.desk.keeps(order.intent):
            self._again(order)

    def expire_later(self, order: Order) -> None:
        """See to it that a DAY or GTD order ends, where its venue does not."""
        wanted = order.intent.time_in_force
        if order.closed or self._state.carried_out(order) is not None:  # a part ends with the whole
            return
        if wanted is TimeInForce.DAY:
            due = next_day(self._profiles[order.account].zone, order.created_ns)
        elif wanted is TimeInForce.GTD:
            due = order.intent.expires_ns
        else:
            return
        if order.status is OrderStatus.HELD or wanted not in self._profiles[order.account].time_in_force:
            self._schedule(due, lambda: self._expire(order), TIMER, 0)

    def _expire(self, order: Order) -> None:
        if not order.closed:
            self.desk.cancel(order, "its time in force ended", expired=True)

    def trailed(self, order: Order, extreme: float, stop: Decimal) -> None:
        """A trailing stop follows."""
        self._recorder.record(
            TrailMoved, client_order_id=order.client_order_id, extreme=extreme, stop_price=stop
        )

    def triggered(self, order: Order, price: float) -> None:
        """A held order's price was reached: send it, once nothing stands in its way any more."""
        others = self._in_the_way(order)
        if others and not self._may_take(order, price, others):
            return
        self._recorder.record(
            OrderTriggered,
            client_order_id=order.client_order_id,
            price=price,
            after=tuple(other.client_order_id for other in others),
        )
        for other in others:
            if other.type in STOPS and order.type is OrderType.LIMIT:
                # The stop comes back here, so that it still guards what the take-profit leaves over.
                if not self._comes_back(other):
                    self.desk.replace(other, other.quantity, other.limit_price, other.stop_price)
            else:
                linked = order.intent.group and other.intent.group == order.intent.group
                self.desk.cancel(other, "a linked order triggered" if linked else "in the way of a stop")
        if not others:
            self.desk.send_held(order)
            self.settle(order)

    def _comes_back(self, stop: Order) -> bool:
        """Whether another stop waits for the end of this one, which somebody has changed just now."""
        name, group = stop.client_order_id, stop.intent.group
        waiting = [
            order for order in self._state.open.values() if name in order.after and order.type in STOPS
        ]
        return any(order.intent.group == group for order in waiting)

    def _may_take(self, order: Order, price: float, others: list[Order]) -> bool:
        """Whether others make way for an order: a take-profit that could not be sent must not cost its stop the place.

        The gate may refuse it all the same when the stop is gone: each try of that kind waits longer.
        """
        if order.type in STOPS or not order.intent.reduce_only:
            return True
        name = order.client_order_id
        if self.desk.may_send(order, [other.client_order_id for other in others]):
            self._taken[name] = self._taken.get(name, 0) + 1
            return True
        if order.status is OrderStatus.HELD:
            if not order.triggered:
                self._recorder.record(OrderTriggered, client_order_id=name, price=price)
            self._later(order)
        return False

    def ended(self, order: Order) -> None:
        """An order is closed: let go what waited for the end of this one, and of no other."""
        name, still = order.client_order_id, self._state.open
        for waiting in [o for o in still.values() if name in o.after]:
            if waiting.status is not OrderStatus.HELD or any(other in still for other in waiting.after):
                continue
            self._recorder.record(OrderReleased, client_order_id=waiting.client_order_id)
            if waiting.triggered or not self.desk.keeps(waiting.intent):
                self._again(waiting)
            else:
                self.arm(waiting)

    def _again(self, order: Order) -> None:
        if order.status is not OrderStatus.HELD or order.after:
            return
        if order.triggered and self._in_the_way(order):
            self.triggered(order, self._market.lanes[order.instrument].mark)
        else:
            self.desk.send_held(order)
            self.settle(order)

    def _in_the_way(self, order: Order) -> list[Order]:
        """What must be gone before an order is sent.

        Linked orders; and for a stop that protects, what its strategy has in the book that it would trade with, or
        that leaves it too little to close.
        """
        group, protects = order.intent.group, order.intent.reduce_only and order.type in STOPS
        selling = order.side is Side.SELL
        price = self._market.lanes[order.instrument].price(buying=not selling)

        def crosses(other: Order) -> bool:
            limit = rests_at(other)
            return other.side is not order.side and (price <= limit if selling else 0 < limit <= price)

        key = (order.strategy, order.instrument, order.account)
        at_venue = [o for o in self._state.open.values() if o.status in AT_VENUE]
        mine = [o for o in at_venue if (o.strategy, o.instrument, o.account) == key]
        crowding = self._crowding(order, mine) if protects else ()
        return [
            other
            for other in at_venue
            if (group and other.intent.group == group)
            or (protects and other in mine and (crosses(other) or other in crowding))
        ]

    def _crowding(self, order: Order, mine: list[Order]) -> list[Order]:
        """What on the side of a stop leaves it too little of the position: plain orders first, the newest first."""
        held = self._state.quantity(order.account, order.instrument, order.strategy)
        if not held or (held > 0) == (order.side is Side.BUY):
            return []
        excess = min(order.remaining_quantity, abs(held)) - abs(held)
        group = order.intent.group or order.client_order_id
        groups: dict[str, list[Order]] = {}
        for other in mine:
            name = other.intent.group or other.client_order_id
            if other.side is order.side and name != group:
                groups.setdefault(name, []).append(other)
        sizes = {name: max(o.remaining_quantity for o in legs) for name, legs in groups.items()}
        excess += sum(sizes.values(), ZERO)
        found: list[Order] = []
        newest_first = reversed(groups.items())
        for name, legs in sorted(newest_first, key=lambda item: _worth(item[1][0])):
            if excess <= 0:
                break
            excess -= sizes[name]
            found += legs
        return found

    def settle(self, order: Order) -> None:
        """Forget the watch of an order that is held no more."""
        if order.status is not OrderStatus.HELD:
            self._taken.pop(order.client_order_id, None)
            watch = self._watches.pop(order.client_order_id, None)
            if watch is not None:
                watch.stop()

    def filled(self, order: Order, quantity: Decimal) -> None:
        """An order filled: what is linked to it, or is to replace it, has so much less left to do."""
        if not quantity:
            return
        group, name = order.intent.group, order.client_order_id
        links = self._profiles[order.account].oco
        for other in list(self._state.open.values()):
            linked = bool(group) and other.intent.group == group and other is not order
            if not linked and other.intent.replaces != name:
                continue
            left = other.quantity - quantity
            if other.status is OrderStatus.HELD and left <= 0:
                self.desk.cancel(other, "the order it is linked to filled")
            elif other.status is OrderStatus.HELD or (linked and links):
                left = max(left, other.filled_quantity)
                self._recorder.record(HeldResized, client_order_id=other.client_order_id, quantity=left)


def _worth(order: Order) -> int:
    """How late an order makes way: what is leaving already first of all, what protects last."""
    if order.status is OrderStatus.PENDING_CANCEL:
        return 0
    return 3 if order.intent.exits else 2 if order.type in STOPS else 1


def trail_stop(order: Order, lane: Lane, extreme: float) -> Decimal:
    """Where a trailing stop stands when the best price was `extreme`, never nearer than asked for."""
    trail = order.intent.trail
    assert trail is not None
    best = lane.instrument.price(extreme)
    distance = best * trail.distance if trail.percent else trail.distance
    tick = lane.instrument.tick
    if order.side is Side.SELL:
        return ((best - distance) / tick).to_integral_value(ROUND_FLOOR) * tick
    return ((best + distance) / tick).to_integral_value(ROUND_CEILING) * tick
