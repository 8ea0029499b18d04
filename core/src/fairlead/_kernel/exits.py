"""Brackets: a take-profit and a stop-loss around whatever part of an entry has filled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.desk import Desk
from fairlead._kernel.market import Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import ZERO
from fairlead._models.orders import AT_VENUE, EXIT, STOPS, Order, OrderIntent, OrderStatus, OrderType, Side
from fairlead.facts import HeldResized, Noted
from fairlead.units import SECOND

UNPROTECTED_NS = 10 * SECOND
"""A position without the stop it should have, for longer than this, is an alarm."""

_AGAIN_NS = SECOND
_ATTEMPTS = 3
_WORKED_NS = 60 * SECOND
"""A stop that the venue rejected or ended is placed again after a second, so often in all; one that had worked for
longer than a minute is a new beginning."""


class Exits:
    """Protects the filled part of an entry at once, grows with each fill, and shrinks with the position.

    What an entry needs is what it still has in its strategy's position, less what its live exits cover; and never
    more than what exits of others leave of that position. Of linked legs only one can fill: they count once.
    """

    def __init__(self, recorder: Recorder, market: Market, desk: Desk, schedule: Schedule) -> None:
        self._recorder = recorder
        self._market = market
        self._state = recorder.state
        self._desk = desk
        desk.recalled = self._recalled
        self._schedule = schedule
        self._checking: set[str] = set()
        self._recovered = False
        self._waiting: set[str] = set()
        self._tries: dict[str, int] = {}

    def start(self) -> None:
        """After a restart: see whether all is protected that should be."""
        for entry in self._entries():
            self._check_later(entry)

    def recovered(self) -> None:
        """All is known that happened meanwhile: protect what it left. Until then alarms run, and nothing is placed."""
        self._recovered = True
        for entry in self._entries():
            if entry.client_order_id in self._waiting or self._was_left_bare(entry):
                self.filled(entry)
        self._waiting.clear()
        for order in list(self._state.open.values()):
            if order.intent.exits:
                self.trim(order.account, order.instrument, order.strategy)

    def filled(self, entry: Order) -> None:
        """An order filled or ended: where it was an entry with exits, see that all of it is covered."""
        intent = entry.intent
        if not intent.wants_exits or not entry.filled_quantity:
            return
        if not self._recovered:
            self._waiting.add(entry.client_order_id)
            self._check_later(entry)
            return
        mine = self._live(entry)
        beside = [order for order in self._beside(entry) if _stays(order)]
        need = min(self._open(entry) - _size(mine), self._left(entry) - _size(beside))
        found = self._state.instruments[intent.instrument]
        need = found.quantity(need)
        if need > 0 and (need >= found.min_quantity or entry.closed):
            growing = self._growing(mine)
            for order in growing:
                self._resize(order, order.quantity + need)
            if not growing:
                self._place(entry, need)
        self._check_later(entry)

    def trim(self, account: str, instrument: str, strategy: str) -> None:
        """A strategy traded: its exits never do more than close what their entries still have in its position."""
        if not self._recovered:
            return
        held = self._state.quantity(account, instrument, strategy)
        live: dict[str, list[Order]] = {}
        for order in list(self._state.open.values()):
            if not order.intent.exits or not _stays(order):
                continue
            if (order.account, order.instrument, order.strategy) != (account, instrument, strategy):
                continue
            if held and (held > 0) == (order.side is Side.SELL):
                live.setdefault(order.intent.group, []).append(order)
            else:
                self._desk.cancel(order, "the position is closed")
        key = (account, instrument, strategy)
        parts = [self._open(e) for e in self._entries() if (e.account, e.instrument, e.strategy) == key]
        excess = sum((_size(legs) for legs in live.values()), ZERO) - min(abs(held), sum(parts, ZERO))
        self._cut(live, excess)

    def voided(self, order: Order) -> None:
        """A fill was taken back: exits of what is no more shrink, and what is there again is covered again."""
        if order.intent.exits:
            entry = self._state.orders.get(order.intent.parent)
        else:
            entry = self._state.carried_out(order) or order
        if entry is not None and self._recovered:
            live: dict[str, list[Order]] = {}
            for leg in self._live(entry):
                live.setdefault(leg.intent.group, []).append(leg)
            self._cut(live, sum((_size(legs) for legs in live.values()), ZERO) - self._open(entry))
        self.trim(order.account, order.instrument, order.strategy)
        self._protect(order)

    def changed(self, order: Order) -> None:
        """An exit that ended without closing its part may leave that part bare; so may a close that came to nothing."""
        closes = order.intent.closes or order.intent.sweep
        if closes and order.closed and order.status is not OrderStatus.FILLED:
            self._restore(order)
        if not order.intent.exits or not order.closed or order.status is OrderStatus.FILLED:
            return
        entry = self._state.orders.get(order.intent.parent)
        if entry is None:
            return
        self._check_later(entry)
        if order.status is OrderStatus.REJECTED:
            self.lost(order)

    def lost(self, order: Order) -> None:
        """A stop that the venue rejected, or ended of its own accord, is placed again a second later if need be."""
        entry = self._state.orders.get(order.intent.parent)
        if entry is None or not order.intent.exits or order.type not in STOPS:
            return
        if self._recorder.now - order.created_ns > _WORKED_NS:
            self._tries.pop(entry.client_order_id, None)
        self._schedule(self._recorder.now + _AGAIN_NS, lambda: self._again(entry, order), TIMER, 0)

    def _restore(self, close: Order) -> None:
        """What a closing order had to make way for protects again, unless another one is closing the position."""
        if not self._recovered:
            self._schedule(self._recorder.now + _AGAIN_NS, lambda: self._restore(close), TIMER, 0)
            return
        if not any(o.intent.closes and _same(o, close) for o in self._state.open.values()):
            self._protect(close)

    def _protect(self, order: Order) -> None:
        """See that whoever has a part of the position that an order is of has it covered."""
        for entry in self._entries():
            if _same(entry, order):
                self.filled(entry)

    # --- what there is --------------------------------------------------------------------------------------

    def _entries(self) -> list[Order]:
        """The orders with exits that still have something in a position, in the order in which they filled."""
        return [self._state.orders[name] for name in self._state.entries]

    def _was_left_bare(self, entry: Order) -> bool:
        """Whether a start broke off before an entry had its exits, or one of them was taken back."""
        exits = list(self._exits(entry))
        taken_back = any(o.status is OrderStatus.FILLED and o.remaining_quantity > 0 for o in exits)
        return taken_back or _ever(exits) - _closed(exits) < self._open(entry)

    def _exits(self, entry: Order) -> Iterable[Order]:
        return (o for o in self._state.children.get(entry.client_order_id, ()) if o.intent.exits)

    def _live(self, entry: Order) -> list[Order]:
        return [order for order in self._exits(entry) if _stays(order)]

    def _open(self, entry: Order) -> Decimal:
        """What an entry still has in the position."""
        return self._state.entries.get(entry.client_order_id, ZERO)

    def _left(self, entry: Order) -> Decimal:
        """What is left of the position that an entry opened."""
        held = self._state.quantity(entry.account, entry.instrument, entry.strategy)
        return max(held if entry.side is Side.BUY else -held, ZERO)

    def _beside(self, entry: Order) -> list[Order]:
        """The open exits of the same position, whichever entry they belong to."""
        key = (entry.account, entry.instrument, entry.strategy, entry.side.opposite)
        return [
            o
            for o in self._state.open.values()
            if o.intent.exits and (o.account, o.instrument, o.strategy, o.side) == key
        ]

    @staticmethod
    def _growing(live: list[Order]) -> list[Order]:
        """The newest legs, if all of them are still here and can simply grow."""
        legs = [order for order in live if order.intent.group == live[-1].intent.group]
        idle = all(o.status is OrderStatus.HELD and not o.after and not o.triggered for o in legs)
        return legs if idle else []

    # --- what is done ---------------------------------------------------------------------------------------

    def _resize(self, order: Order, quantity: Decimal) -> None:
        self._recorder.record(HeldResized, client_order_id=order.client_order_id, quantity=quantity)

    def _shrink(self, order: Order, cut: Decimal) -> None:
        if order.remaining_quantity <= cut:
            self._desk.cancel(order, "the position is closed")
        elif order.status is OrderStatus.HELD:
            self._resize(order, order.quantity - cut)
        else:
            self._desk.replace(order, order.quantity - cut, order.limit_price, order.stop_price)

    def _place(self, entry: Order, quantity: Decimal) -> None:
        intent = entry.intent
        placed = len(self._state.children.get(entry.client_order_id, ()))
        group = f"{EXIT}{entry.client_order_id}:{placed}"

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

        leaving = tuple(o.client_order_id for o in self._beside(entry) if not _stays(o))
        if intent.stop_loss is not None:  # the protection first, the profit after it
            self._desk.place(leg(OrderType.STOP, None, intent.stop_loss), leaving)
        if intent.take_profit is not None:
            self._desk.place(leg(OrderType.LIMIT, intent.take_profit, None), leaving)

    def _cut(self, live: dict[str, list[Order]], excess: Decimal) -> None:
        """Take an excess away from linked legs, the newest first."""
        for legs in reversed(live.values()):
            if excess <= 0:
                return
            cut = min(excess, _size(legs))
            excess -= cut
            for order in legs:
                self._shrink(order, cut)

    # --- alarms ---------------------------------------------------------------------------------------------

    def _bare(self, entry: Order) -> Decimal:
        """What of a position should have a stop by this entry, and has none by any."""
        if entry.intent.stop_loss is None:
            return ZERO
        return self._uncovered(entry, _relied_on)

    def _uncovered(self, entry: Order, counts: Callable[[Order], bool]) -> Decimal:
        mine = [order for order in self._exits(entry) if order.type in STOPS and counts(order)]
        all_stops = [order for order in self._beside(entry) if order.type in STOPS and counts(order)]
        return min(self._open(entry) - _size(mine), self._left(entry) - _size(all_stops))

    def _again(self, entry: Order, stop: Order) -> None:
        if not self._recovered:
            self._schedule(self._recorder.now + _AGAIN_NS, lambda: self._again(entry, stop), TIMER, 0)
            return
        bare = self._uncovered(entry, _open)
        tries = self._tries.get(entry.client_order_id, 1)
        if bare > 0 and tries < _ATTEMPTS:
            self._tries[entry.client_order_id] = tries + 1
            self._desk.again(stop, bare)

    def _recalled(self, order: Order) -> None:
        """A stop that is being replaced protects for certain when the new one is there, and not before."""
        entry = self._state.orders.get(order.intent.parent)
        if entry is not None and order.intent.exits and order.type in STOPS:
            self._check_later(entry)

    def _check_later(self, entry: Order) -> None:
        name = entry.client_order_id
        if entry.intent.stop_loss is None or name in self._checking or self._bare(entry) <= 0:
            return
        self._checking.add(name)
        self._check_at(entry, self._recorder.now + UNPROTECTED_NS)

    def _check_at(self, entry: Order, when: int) -> None:
        self._schedule(when, lambda: self._check(entry), TIMER, 0)

    def _check(self, entry: Order) -> None:
        bare = self._bare(entry)
        leaving = [o.updated_ns for o in self._exits(entry) if o.status is OrderStatus.PENDING_CANCEL]
        until = max([*leaving, self._closing_until(entry)], default=0) + UNPROTECTED_NS
        if bare > 0 and until > self._recorder.now:  # another one is being replaced just now
            self._check_at(entry, until)
            return
        self._checking.discard(entry.client_order_id)
        if bare > 0:
            text = f"{bare} {entry.instrument} of {entry.strategy} has been without its stop for 10s"
            self._recorder.record(Noted, source="unprotected", text=text)

    def _closing_until(self, entry: Order) -> int:
        """Until when what closes the position may rest unfilled: where there are only bars, for one of them."""
        key = (entry.account, entry.instrument, entry.strategy)
        closing = [o for o in self._state.open.values() if o.intent.closes and o.status in AT_VENUE]
        sent = [o.created_ns for o in closing if (o.account, o.instrument, o.strategy) == key]
        cadence = self._market.lanes[entry.instrument].cadence
        return max(sent) + cadence if sent and cadence else 0


def _stays(order: Order) -> bool:
    """Whether an order will go on working, as far as is known."""
    return not order.closed and order.status is not OrderStatus.PENDING_CANCEL


def _open(order: Order) -> bool:
    return not order.closed


def _relied_on(order: Order) -> bool:
    """Whether a stop is there for certain: none that is leaving, and none that waits for the end of another."""
    return _stays(order) and not order.after


def _size(orders: Iterable[Order]) -> Decimal:
    """What may still fill of these orders, linked ones once."""
    return _sum((order.intent.group, order.remaining_quantity) for order in orders)


def _ever(orders: Iterable[Order]) -> Decimal:
    """What these orders were for, whatever became of them, linked ones once."""
    return _sum((order.intent.group, order.quantity) for order in orders)


def _closed(orders: Iterable[Order]) -> Decimal:
    """What these orders have closed."""
    return sum((order.filled_quantity for order in orders), ZERO)


def _same(one: Order, other: Order) -> bool:
    """Whether two orders are of the same position."""
    return (one.account, one.instrument, one.strategy) == (other.account, other.instrument, other.strategy)


def _sum(sizes: Iterable[tuple[str, Decimal]]) -> Decimal:
    groups: dict[str, Decimal] = {}
    for group, size in sizes:
        groups[group] = max(groups.get(group, ZERO), size)
    return sum(groups.values(), ZERO)
