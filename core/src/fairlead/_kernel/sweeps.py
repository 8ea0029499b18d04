"""Sweeps: withdraws the orders of a scope step by step, and closes what it holds where that was asked for.

Entries go first, and what protects a position only when its entries have ended: meanwhile one may still fill. A
position is closed by one reduce-only market order at a time, which is sent when nothing else can shrink the position
any more: so the sum of what is on its way is never more than what is held. What the gate refuses is cut in halves,
and tried again. A reduction closes what is above its targets in the same way; what protects the rest is made smaller
first. All of it is read off the state, so a restart goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from fairlead._kernel.clock import TIMER
from fairlead._kernel.desk import number_of
from fairlead._kernel.gate import Approved, rests_at
from fairlead._kernel.reducing import REDUCE, in_the_way, plan, surplus
from fairlead._kernel.state import ZERO, Sweep, scopes_of
from fairlead._models.accounts import PositionKey
from fairlead._models.orders import Order, OrderIntent, OrderStatus, Side
from fairlead.facts import BreakerTripped, Noted, PositionTarget, SweepEnded, SweepStarted
from fairlead.ports import reduction
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

LOOK_NS = SECOND
"""How often a sweep looks again, and how long all must be flat before it believes it."""

PATIENCE_NS = 10 * SECOND
"""For so long what protects a position waits for the end of its entries."""

_LONGEST_NS = 60 * SECOND
_HALVINGS = 12

EXIT = "exit"
"""The verb of the sweep that a strategy's `on_exit` asks for at the end of a run."""

_Key = tuple[str, str, str]


class Sweeps:
    """All sweeps of an engine. `finished` is told why the engine is to end."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self.finished: Callable[[str], None] = lambda _: None
        self._ready = self._ticking = self._busy = self._again = False
        self._asked: dict[str, int] = {}
        self._swept: set[tuple[int, str]] = set()
        self._flat: dict[int, int] = {}
        self._refused: dict[_Key, tuple[int, int]] = {}
        self._said: dict[_Key, tuple[str, ...]] = {}

    def start(self) -> None:
        """All is known that happened before: go on with what was under way."""
        self._ready = True
        self._go_on()

    def begin(
        self,
        verb: str,
        scope: str,
        who: str,
        why: str,
        *,
        closes: bool = False,
        until_ns: int = 0,
        targets: tuple[PositionTarget, ...] = (),
    ) -> Sweep:
        """Write a sweep down and take its first steps."""
        fact = self._recorder.record(
            SweepStarted,
            verb=verb,
            scope=scope,
            who=who,
            why=why,
            closes=closes,
            until_ns=until_ns,
            targets=targets,
        )
        sweep = self._state.sweeps[fact.seq]
        if until_ns:
            self._kernel.schedule(until_ns, self._go_on, TIMER, 0)
        self._go_on()
        return sweep

    def _go_on(self) -> None:
        if self._ready:
            self._step()
            self._tick_later()

    def changed(self, order: Order) -> None:
        """An order changed: there may be a next step. A closing order that came to nothing is tried again later."""
        if order.intent.sweep and order.closed:
            key = _key(order)
            if order.status is OrderStatus.FILLED:
                self._refused.pop(key, None)
            else:
                self._put_off(key)
        if self._ready:
            self._step()

    def trip(self, found: BreakerTripped) -> None:
        """What a tripped breaker wants done besides; once, as long as it is under way."""
        share, scope = reduction(found.action), found.scope
        verb = found.action if share is None else REDUCE
        if any(sweep.verb == verb and sweep.scope == scope for sweep in self._state.sweeps.values()):
            return
        targets: tuple[PositionTarget, ...] = ()
        if share is not None:
            targets = plan(self._kernel, scope, lambda *key: scope in scopes_of(*key), share)
        self.begin(verb, scope, found.breaker, found.reason, closes=verb == "flatten", targets=targets)

    def call_off(self, scope: str, reason: str, *verbs: str) -> None:
        """End the sweeps of a scope that began with one of these verbs, as they stand."""
        for sweep in list(self._state.sweeps.values()):
            if sweep.scope == scope and sweep.verb in verbs:
                self._end(sweep, reason)

    def _finish(self, sweep: Sweep, reason: str) -> None:
        self._end(sweep, reason)
        if sweep.verb == "stop":
            self.finished(f"{sweep.why} ({sweep.who}): {reason}")

    # --- what is left ---------------------------------------------------------------------------------------

    def open(self, sweep: Sweep) -> list[Order]:
        """The open orders that a sweep withdraws, oldest first."""
        return [order for order in self._state.open.values() if self._takes(sweep, order)]

    def held(self, sweep: Sweep) -> list[PositionKey]:
        """The positions of a sweep that are large enough to be closed; of a reduction those above their target."""
        return [
            key
            for key, position in self._state.positions.items()
            if key.strategy
            and position.quantity
            and sweep.covers(key.account, key.instrument, key.strategy)
            and self._over(sweep, key[:3])
        ]

    def _over(self, sweep: Sweep, key: _Key) -> Decimal:
        """How much of a position is to go."""
        if sweep.verb == REDUCE:
            return surplus(self._state, key, sweep.target(*key))
        return self._state.instruments[key[1]].quantity(abs(self._state.quantity(*key)))

    def left(self, sweep: Sweep) -> list[str]:
        """What a sweep still waits for, in words."""
        held = [
            f"{key.strategy} holds {self._state.quantity(*key[:3]).normalize():f} "
            f"{key.instrument} on {key.account}"
            + (f", of which {self._over(sweep, key[:3]).normalize():f} is to go" * (sweep.verb == REDUCE))
            for key in (() if self._withdraws(sweep) else self.held(sweep))
        ]
        return held + [in_words(order) for order in self.open(sweep)]

    def _takes(self, sweep: Sweep, order: Order) -> bool:
        if order.intent.sweep or not sweep.covers(order.account, order.instrument, order.strategy):
            return False
        cancels = sweep.verb == "cancel_entries" or (sweep.verb == EXIT and not sweep.closes)
        if (cancels or sweep.verb in ("stop", REDUCE)) and self._reduces(order):
            return False
        since = cancels or sweep.verb == "cancel_all"  # what a strategy places later is not meant
        return not since or number_of(order.client_order_id) <= sweep.mark

    def _reduces(self, order: Order) -> bool:
        """Whether all that an order can do is shrink a position."""
        if order.intent.reduce_only or order.intent.exits:
            return True
        held = self._state.quantity(order.account, order.instrument, order.strategy)
        against = held != 0 and (held > 0) == (order.side is Side.SELL)
        return against and order.remaining_quantity <= abs(held)

    def _of(self, key: _Key) -> list[Order]:
        return [order for order in self._state.open.values() if _key(order) == key]

    # --- steps ----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """All that can be done now; what changes meanwhile is looked at before it returns."""
        self._again = True
        if self._busy:
            return
        self._busy = True
        try:
            while self._again:
                self._again = False
                for sweep in list(self._state.sweeps.values()):
                    self._advance(sweep)
        finally:
            self._busy = False

    def _advance(self, sweep: Sweep) -> None:
        now = self._recorder.now
        if sweep.until_ns and now >= sweep.until_ns and (left := self.left(sweep)):
            self._finish(sweep, f"its time is over, and this is left: {'; '.join(left)}")
            return
        orders = self.open(sweep)
        opening = [order for order in orders if not self._reduces(order)]
        self._withdraw(opening, sweep)
        patient = now < sweep.since_ns + PATIENCE_NS
        waited_for = [order for order in opening if not order.closed] if patient else []
        if sweep.verb in ("cancel_all", "kill"):
            self._withdraw_protection(sweep, orders, waited_for)
            self._cancel_all(sweep, {order.account for order in waited_for})
        if sweep.closes or sweep.verb == REDUCE:
            self._close(sweep)
        if _flattens(sweep):
            self._withdraw_protection(sweep, orders, waited_for)
        self._end_if_done(sweep)

    def _withdraw(self, orders: Iterable[Order], sweep: Sweep) -> None:
        """Ask for the end of orders; one whose cancel was refused is asked again a while later."""
        now = self._recorder.now
        for order in orders:
            name, whole = order.client_order_id, self._state.carried_out(order)
            asked = self._asked.get(name)
            if order.closed or (asked is not None and order.status is OrderStatus.PENDING_CANCEL):
                continue
            if whole is not None and not whole.closed:  # a part ends with the whole
                continue
            if asked is not None and now < asked + LOOK_NS:
                continue
            self._asked[name] = now
            self._kernel.desk.cancel(order, f"canceled by {sweep.who}: {sweep.why}")

    def _withdraw_protection(self, sweep: Sweep, orders: list[Order], waited_for: list[Order]) -> None:
        """What only reduces, once its position has no entry left; in a flatten only for an order that closes it."""
        bare_soon = {_key(order) for order in waited_for}
        for order in orders:
            key = _key(order)
            if order.closed or key in bare_soon or not self._reduces(order):
                continue
            if _flattens(sweep) and self._state.quantity(*key) and not self._closing(key):
                continue
            self._withdraw([order], sweep)

    def _cancel_all(self, sweep: Sweep, not_yet: set[str]) -> None:
        """Have each venue cancel what it has besides: what is not known here."""
        kind, _, name = sweep.scope.partition(":")
        accounts = [name] if kind == "account" else [] if kind == "strategy" else list(self._state.accounts)
        for account in accounts:
            if account not in not_yet and (sweep.number, account) not in self._swept:
                self._swept.add((sweep.number, account))
                self._kernel.outbox.cancel_all(account, name if kind == "instrument" else "")

    def _end_if_done(self, sweep: Sweep) -> None:
        number, now = sweep.number, self._recorder.now
        if self.open(sweep) or self._closing_of(sweep) or (not self._withdraws(sweep) and self.held(sweep)):
            self._flat.pop(number, None)
        elif (
            not (sweep.closes or sweep.verb == REDUCE) or now >= self._flat.setdefault(number, now) + LOOK_NS
        ):
            done = "reduced" if sweep.verb == REDUCE else "flat"
            self._finish(sweep, "all is withdrawn" if self._withdraws(sweep) else done)

    def _end(self, sweep: Sweep, reason: str) -> None:
        """End a sweep as it stands; what waits for its end does not come."""
        self._recorder.record(SweepEnded, sweep=sweep.number, reason=reason)
        self._flat.pop(sweep.number, None)
        self._swept = {pair for pair in self._swept if pair[0] != sweep.number}
        if not self._state.sweeps:
            self._asked.clear()
            self._refused.clear()
            self._said.clear()

    @staticmethod
    def _withdraws(sweep: Sweep) -> bool:
        """Whether it is done when the orders are gone, whatever is held."""
        return not sweep.closes and sweep.verb not in ("stop", REDUCE)

    def _tick_later(self) -> None:
        if not self._ticking and self._state.sweeps:
            self._ticking = True
            self._kernel.schedule(self._recorder.now + LOOK_NS, self._tick, TIMER, 0)

    def _tick(self) -> None:
        self._ticking = False
        self._step()
        self._tick_later()

    # --- closing --------------------------------------------------------------------------------------------

    def _closing(self, key: _Key) -> bool:
        return any(order.intent.sweep for order in self._of(key))

    def _closing_of(self, sweep: Sweep) -> list[Order]:
        return [order for order in self._state.open.values() if order.intent.sweep == sweep.number]

    def _close(self, sweep: Sweep) -> None:
        """Place what closes, one order for each position; one that is more than what is left is taken back."""
        for order in self._closing_of(sweep):
            held = self._state.quantity(*_key(order))
            there = self._over(sweep, _key(order)) if (held > 0) == (order.side is Side.SELL) else ZERO
            if order.status is OrderStatus.HELD:  # it is fitted when it is sent
                if sweep.verb == REDUCE:
                    self._withdraw([self._state.open[o] for o in order.after if o in self._state.open], sweep)
            elif order.remaining_quantity > there:
                self._withdraw([order], sweep)
        for position in self.held(sweep):
            key = (position.account, position.instrument, position.strategy)
            if sweep.verb == "kill" and (sweep.number, position.account) not in self._swept:
                continue  # it would be canceled with the rest
            due, _ = self._refused.get(key, (0, 0))
            if self._recorder.now >= due and not self._closing(key):
                self._close_one(sweep, key)

    def _close_one(self, sweep: Sweep, key: _Key) -> None:
        """Send what closes a position or a part of it, or have it wait for the end of what could close it too."""
        held, found, over = (
            self._state.quantity(*key),
            self._state.instruments[key[1]],
            self._over(sweep, key),
        )
        side, beside = Side.SELL if held > 0 else Side.BUY, self._of(key)
        whole = over == found.quantity(abs(held))
        if not whole and self._makes_room(
            [order for order in beside if order.side is side], abs(held) - over
        ):
            return
        intent = OrderIntent(
            strategy=key[2],
            account=key[0],
            instrument=key[1],
            side=side,
            quantity=over if found.max_quantity is None else min(over, found.quantity(found.max_quantity)),
            reduce_only=True,
            closes=whole,
            tag=sweep.verb,
            who=sweep.who,
            sweep=sweep.number,
        )
        quantity, reasons = self._passes(intent, [o.client_order_id for o in beside] if whole else [])
        if not quantity:
            self._put_off(key)
            self._alarm(key, reasons)
            return
        price = self._kernel.market.lanes[key[1]].price(buying=side is Side.BUY)
        first = [order for order in beside if order.side is side or _crosses(order, price)] if whole else []
        self._kernel.place(
            msgspec.structs.replace(intent, quantity=quantity),
            tuple(order.client_order_id for order in first),
        )

    def _makes_room(self, resting: list[Order], room: Decimal) -> bool:
        """Whether what rests against a position is still too much for a part of it to be sold; it is made smaller."""
        now, crowded = self._recorder.now, False
        for order, left in in_the_way(resting, room):
            crowded, asked = True, self._asked.get(order.client_order_id, -LOOK_NS)
            if order.status is OrderStatus.PENDING_CANCEL or now < asked + LOOK_NS:
                continue
            self._asked[order.client_order_id] = now
            if left <= 0:
                self._kernel.desk.cancel(order, "makes room for a reduction")
            else:
                total = order.filled_quantity + left
                self._kernel.desk.replace(order, total, order.limit_price, order.stop_price)
        return crowded

    def _passes(self, intent: OrderIntent, gone: list[str]) -> tuple[Decimal, tuple[str, ...]]:
        """The largest part of an order that the gate lets through, halved again and again; else why none."""
        found, quantity = self._state.instruments[intent.instrument], intent.quantity
        why: tuple[str, ...] = ()
        with self._kernel.board.rehearsal():
            for _ in range(_HALVINGS):
                part = msgspec.structs.replace(intent, quantity=quantity)
                verdict = self._kernel.gate.review(part, gone=gone)
                if isinstance(verdict, Approved):
                    return quantity, ()
                why = why or verdict.reasons
                quantity = found.quantity(quantity / 2)
                if not quantity or quantity < found.min_quantity:
                    break
        return ZERO, why

    def _put_off(self, key: _Key) -> None:
        """The next try comes after twice as long as the last one."""
        _, pause = self._refused.get(key, (0, LOOK_NS // 2))
        pause = min(2 * pause, _LONGEST_NS)
        self._refused[key] = (self._recorder.now + pause, pause)

    def _alarm(self, key: _Key, reasons: tuple[str, ...]) -> None:
        if self._said.get(key) != reasons:
            self._said[key] = reasons
            text = f"{key[2]} cannot close its {key[1]} on {key[0]} yet: {'; '.join(reasons)}"
            self._recorder.record(Noted, source="flatten", text=text)


def in_words(order: Order) -> str:
    """How an open order stands."""
    return (
        f"{order.client_order_id} is {order.status}: {order.side} {order.remaining_quantity.normalize():f} "
        f"{order.instrument} of {order.strategy}"
    )


def _flattens(sweep: Sweep) -> bool:
    """Whether what protects a position stays until an order closes it."""
    return sweep.closes and sweep.verb in ("flatten", EXIT)


def _key(order: Order) -> _Key:
    return order.account, order.instrument, order.strategy


def _crosses(order: Order, price: float) -> bool:
    """Whether an order in the book would trade with a market order of the other side."""
    limit = rests_at(order)
    return limit > 0 and (limit >= price if order.side is Side.BUY else limit <= price)
