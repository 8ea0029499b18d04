"""Admission: why the venue refuses an order on arrival, each reason with a code."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from fairlead import Instrument, OrderType, TimeInForce
from fairlead.ports import Submit
from fairlead_sim.desk import Desk
from fairlead_sim.margin import value
from fairlead_sim.market import Market
from fairlead_sim.orders import WorkingOrder

_ZERO = Decimal(0)
_ONE = Decimal(1)
_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_UNSUPPORTED = frozenset({TimeInForce.OPG, TimeInForce.CLS})

Refusal = tuple[str, str]
"""A code, and a sentence."""


def malformed(command: Submit, rules: Instrument) -> Refusal | None:
    """What is wrong with an order whatever the market and the account."""
    intent = command.intent
    quantity = command.quantity
    if not _on_grid(quantity, rules.lot):
        return "bad_lot", f"quantity {quantity} is not a positive multiple of the lot {rules.lot}"
    if quantity < rules.min_quantity and not command.reduce_only:
        return "min_quantity", f"quantity {quantity} is below the minimum {rules.min_quantity}"
    if rules.max_quantity is not None and quantity > rules.max_quantity:
        return "max_quantity", f"quantity {quantity} is above the maximum {rules.max_quantity}"
    needs = (
        ("limit price", intent.limit_price, intent.type in _LIMITED),
        ("stop price", intent.stop_price, intent.type in _STOPPED),
    )
    for name, price, needed in needs:
        if price is None:
            if needed:
                return "bad_order", f"a {intent.type} order needs a {name}"
        elif not _on_grid(price, rules.tick):
            return "bad_tick", f"{name} {price} is not a positive multiple of the tick {rules.tick}"
    if intent.type is OrderType.TRAILING_STOP and (
        intent.trail is None or not _on_grid(intent.trail.distance, intent.trail.distance)
    ):
        return "bad_order", "a trailing stop needs a positive distance"
    if intent.time_in_force in _UNSUPPORTED:
        return "unsupported", f"time in force {intent.time_in_force} is not known here"
    if intent.post_only and (intent.type is not OrderType.LIMIT or intent.time_in_force in {"IOC", "FOK"}):
        return "bad_order", "post-only is for limit orders that may rest"
    return None


def _on_grid(value: Decimal, grid: Decimal) -> bool:
    try:
        return value > 0 and not value % grid
    except InvalidOperation:  # not a number, infinite, or beyond any precision
        return False


def refusal(order: WorkingOrder, market: Market, desk: Desk) -> Refusal | None:
    """What is wrong with a well-formed order here and now."""
    rules = market.rules
    intent = order.intent
    bid, ask = market.touch()
    price = ask if order.buy else bid
    if price is None:
        return "no_market", f"no price of {market.id} is known yet"
    held = desk.ledger.quantity(market.id)
    if order.reduce_only and (held >= 0 if order.buy else held <= 0):
        return "would_not_reduce", f"reduce-only {order.side}, and the position is {held}"
    if intent.post_only and order.limit is not None:
        exact = market.top is not None
        through = order.limit - price if order.buy else price - order.limit
        if through > 0 or (exact and through == 0):
            return "would_cross", f"post-only at {intent.limit_price}, and the other side is at {price}"
    own = intent.limit_price or intent.stop_price or rules.price(price)
    if own <= 0:
        return "no_market", f"the price of {market.id} is below one tick"
    if not order.reduce_only and rules.notional(order.quantity, own) < rules.min_notional:
        return "min_notional", f"value {rules.notional(order.quantity, own)} is below {rules.min_notional}"
    if rules.spot and not desk.borrow:
        return _unpaid(order, market, desk, own)
    return None if order.reduce_only else _unmargined(order, market, desk, own)


def _unpaid(order: WorkingOrder, market: Market, desk: Desk, price: Decimal) -> Refusal | None:
    """Spot: a buy needs its cost in quote, a sell its quantity in base, beyond what open orders have reserved."""
    rules = market.rules
    currency = rules.quote if order.buy else rules.base
    need = _reserve(order, rules, price)
    free = desk.ledger.balance(currency)
    groups: dict[str, Decimal] = {}
    for other in desk.orders.values():
        home = desk.markets[other.instrument]
        if not home.rules.spot or currency != (home.rules.quote if other.buy else home.rules.base):
            continue
        own = other.intent.limit_price or other.intent.stop_price or home.rules.price(home.price or 0)
        amount = _reserve(other, home.rules, own)
        if other.intent.group:
            groups[other.intent.group] = max(amount, groups.get(other.intent.group, _ZERO))
        else:
            free -= amount
    linked = groups.pop(order.intent.group, _ZERO) if order.intent.group else _ZERO
    free -= sum(groups.values(), _ZERO)
    if max(need, linked) > free:
        return "insufficient_funds", f"{need} {currency} needed, {free} free"
    return None


def _reserve(order: WorkingOrder, rules: Instrument, price: Decimal) -> Decimal:
    if not order.buy:
        return order.remaining * rules.contract_size
    return rules.notional(order.remaining, price) * (1 + max(rules.taker_fee, _ZERO))


def _unmargined(order: WorkingOrder, market: Market, desk: Desk, price: Decimal) -> Refusal | None:
    """Margin: equity must cover the initial margin of the worst that open orders can do, and the fee."""
    margin = desk.margin
    rate = margin.rate(market.rules.settle)
    after, equity = margin.initial(order), margin.equity()
    if rate is None or after is None or equity is None:
        return "no_rate", f"no rate of exchange is known from {market.rules.settle} to the account's currency"
    cost = (
        abs(value(market.rules, float(order.quantity), float(price))) * float(market.rules.taker_fee) * rate
    )
    if after + max(cost, 0.0) > equity * (1 + 1e-12):
        before = margin.initial()
        if before is not None and after > before:
            need = f"initial margin {after:.8g} and fee {cost:.8g} needed"
            return "insufficient_margin", f"{need}, equity {equity:.8g}"
    return None
