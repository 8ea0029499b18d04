"""Matching: what an event does to the working orders of its instrument.

Every event becomes points, pairs of bid and ask at which orders trigger and fill. A quote, book or trade is one
point. A bar is a path, open → the extreme that hurts the account's position (flat: the one nearer the open) → the
other extreme → close, walked from trigger to trigger, so that each order is met in the order of the path. An order
that was gapped over at the open triggers there and gets the open.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf

from fairlead import Bar, OrderIntent, OrderType, Side, TimeInForce, Trade
from fairlead_sim.desk import Desk
from fairlead_sim.market import INFINITE, Market
from fairlead_sim.models import FillModel, SlippageModel
from fairlead_sim.orders import WorkingOrder

_ZERO = Decimal(0)
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Matcher:
    """Matches one account's orders against market data; own orders never meet each other."""

    def __init__(self, desk: Desk, *, slippage: SlippageModel, fills: FillModel) -> None:
        self._desk = desk
        self._slippage = slippage
        self._fills = fills

    def tick(self, market: Market) -> None:
        """Match at the market's present bid and ask."""
        self._point(market)
        self._watch(market)

    def enter(self, market: Market, order: WorkingOrder) -> None:
        """Let a new order meet the market as it stands; what rests then queues behind the size shown."""
        bid, ask = market.touch()
        price = ask if order.buy else bid
        if not order.triggered and price is not None:
            self._pull(order, price)
        if order.triggered and order.fresh:
            self.execute(order, market)
        if order.triggered and order.open:
            self._desk.queue(order, market)
        self._watch(market)

    def trade(self, market: Market, event: Trade) -> None:
        """Match against a public trade: the price itself where no quotes are known, else resting limits only."""
        if market.top is None:
            self.tick(market)
            return
        for order in _by_priority(market):
            if order.open and order.limit is not None and not order.fresh:
                self.execute(order, market)
        self._watch(market)

    def bar(self, market: Market, bar: Bar) -> None:
        """Walk a bar's path."""
        market.walk = bar.open
        self._point(market)
        self._watch(market)
        held = self._desk.ledger.quantity(market.id)
        low_first = held > 0 or (not held and bar.open - bar.low <= bar.high - bar.open)
        path = (bar.low, bar.high, bar.close) if low_first else (bar.high, bar.low, bar.close)
        for target in path:
            self._segment(market, target)
        market.walk = None

    def _segment(self, market: Market, target: float) -> None:
        while market.walk is not None and market.walk != target:
            here = market.walk
            safe = market.margin_low < target < market.margin_high
            limits = (-inf, inf) if safe else self._desk.margin.limits(market)
            market.walk = _next(market, here, target, limits)
            self._point(market)
            self._watch(market)

    # --- one point ------------------------------------------------------------------------------------------------

    def _point(self, market: Market) -> None:
        bid, ask = market.touch()
        for order in list(market.orders.values()):
            if order.triggered:
                continue
            price = ask if order.buy else bid
            if price is not None:
                self._pull(order, price)
        for order in _by_priority(market):
            if order.open:
                self.execute(order, market)

    def _pull(self, order: WorkingOrder, price: float) -> None:
        """Trigger a stop that the price has reached, or let a trailing one follow it."""
        stop = order.stop
        if stop is not None and (price >= stop if order.buy else price <= stop):
            self._desk.trigger(order)
        elif order.trail and order.follow(price):
            self._desk.changed(order)

    def execute(self, order: WorkingOrder, market: Market) -> None:
        """Let one triggered order trade with what the market offers now."""
        take = order.fresh or order.limit is None
        levels = market.levels(buy=order.buy) if take else market.prints(buy=order.buy)
        at_once = order.intent.time_in_force in _AT_ONCE
        if levels:
            if order.intent.time_in_force is not TimeInForce.FOK or self._whole(order, market):
                step = self._take if take else self._make
                for price, size in levels:
                    if not order.open or order.remaining <= 0 or _worse(order, price):
                        break
                    if not step(order, market, price, size):
                        break
            order.fresh = False
        self._desk.settle(order)
        if order.open and at_once and levels:
            self._desk.expire(order, f"{order.intent.time_in_force}: the rest could not fill at once")

    def _whole(self, order: WorkingOrder, market: Market) -> bool:
        """Whether all of a fill-or-kill order could trade now."""
        total = _ZERO
        for price, size in market.levels(buy=order.buy):
            if _worse(order, price):
                break
            left = market.left(buy=order.buy, price=price, size=size)
            total += min(self._fills.quantity(order, left, market), left)
        exact = market.rules.price(market.levels(buy=order.buy)[0][0])
        return min(total, self._desk.allowed(order, market, order.remaining, exact)) >= order.remaining

    def _take(self, order: WorkingOrder, market: Market, price: float, size: float) -> bool:
        rules = market.rules
        exact = rules.price(self._slippage.price(order, price, market))
        limit = order.intent.limit_price
        if limit is not None and (exact > limit if order.buy else exact < limit):
            exact = limit
        return self._trade(order, market, price, size, max(exact, rules.tick))

    def _make(self, order: WorkingOrder, market: Market, price: float, size: float) -> bool:
        """Fill a resting order, at its own price."""
        exact = order.intent.limit_price
        return exact is not None and self._trade(order, market, price, size, exact)

    def _trade(self, order: WorkingOrder, market: Market, level: float, size: float, price: Decimal) -> bool:
        """Fill what model, position and funds allow at one level; False where this order can go no further."""
        desk = self._desk
        left = market.left(buy=order.buy, price=level, size=size)
        wanted = min(self._fills.quantity(order, left, market), order.remaining)
        quantity = market.rules.quantity(wanted)
        if quantity <= 0:
            return left != INFINITE
        allowed = desk.allowed(order, market, quantity, price)
        if allowed > 0:
            market.use(buy=order.buy, price=level, quantity=allowed)
            desk.fill(order, market, allowed, price)
        if allowed < quantity and order.open:
            why = "reduce-only: nothing is left to reduce" if order.reduce_only else "insufficient funds"
            desk.cancel(order, why)
        return True

    # --- liquidation ------------------------------------------------------------------------------------------------

    def _watch(self, market: Market) -> None:
        """Liquidate if equity no longer covers maintenance, then note where to look again."""
        desk = self._desk
        if desk.moved or market.strained:
            if desk.margin.short():
                self._liquidate()
            desk.moved = False
            for other in desk.margin.arm():
                other.arm()
        market.arm()

    def check(self, market: Market) -> None:
        """Look at margin alone, after a mark or a payment."""
        self._watch(market)

    def _liquidate(self) -> None:
        """Cancel every order, then close positions, the largest first, until equity covers what is left."""
        desk = self._desk
        for order in list(desk.orders.values()):
            desk.cancel(order, "liquidation")
        by_size = sorted(
            ((market, quantity, price) for market, quantity, price in desk.margin.margined()),
            key=lambda item: (-abs(float(item[1]) * item[2]), item[0].id),
        )
        for market, quantity, price in by_size:
            if not desk.margin.short():
                return
            rules = market.rules
            side = Side.SELL if quantity > 0 else Side.BUY
            amount = abs(quantity)
            intent = OrderIntent(
                strategy="",
                account="",
                instrument=market.id,
                side=side,
                quantity=amount,
                type=OrderType.MARKET,
            )
            order = WorkingOrder(
                client_order_id="", broker_order_id="", intent=intent, buy=side is Side.BUY, quantity=amount,
                remaining=amount,
            )  # fmt: skip
            levels = market.levels(buy=order.buy)
            reference = levels[0][0] if levels else price
            exact = max(rules.price(self._slippage.price(order, reference, market)), rules.tick)
            desk.fill(order, market, amount, exact, cause="liquidation")


def _worse(order: WorkingOrder, price: float) -> bool:
    """Whether a price is beyond the order's limit."""
    limit = order.limit
    return limit is not None and (price > limit if order.buy else price < limit)


def _by_priority(market: Market) -> list[WorkingOrder]:
    """Working orders that may fill: at market first, then by price on each side, then by time."""
    orders = [order for order in market.orders.values() if order.triggered]
    if len(orders) > 1:
        orders.sort(key=_priority)
    return orders


def _priority(order: WorkingOrder) -> tuple[bool, float, int]:
    limit = order.limit
    return (limit is not None, 0.0 if limit is None else -limit if order.buy else limit, order.sequence)


def _next(market: Market, here: float, target: float, margin: tuple[float, float]) -> float:
    """The next price between here and the target at which anything happens, else the target."""
    down = target < here
    best = target
    prices = [margin[0] if down else margin[1]]
    for order in market.orders.values():
        if not order.triggered:
            if order.stop is not None and order.buy is not down:
                prices.append(order.stop)
        elif order.limit is not None and order.buy is down:
            prices.append(order.limit)
    for price in prices:
        if (best < price < here) if down else (here < price < best):
            best = price
    return best
