"""Self-trade prevention: what happens when an order would meet another of the same account.

https://developers.binance.com/docs/binance-spot-api-docs/faqs/stp_faq
"""

from __future__ import annotations

from decimal import Decimal

from fairlead import Side
from fairlead_venue.account import Account
from fairlead_venue.orders import VenueOrder
from fairlead_venue.tape import Tape


def prevent(account: Account, taker: VenueOrder, tape: Tape) -> bool:
    """Apply the taker's mode to what it would meet of its own; says whether it may go to work.

    An own order is met where it stands before the best of the market.
    """
    mode = taker.extra["stp"]
    if mode == "NONE":
        return True
    for maker in _met(account, taker, tape):
        match mode:
            case "EXPIRE_TAKER":
                _end_new(account, taker)
                return False
            case "EXPIRE_MAKER":
                _end(account, maker)
            case "EXPIRE_BOTH":
                _end(account, maker)
                _end_new(account, taker)
                return False
            case _:
                left = min(taker.wanted.quantity, maker.wanted.quantity - maker.filled)
                _shrink(account, maker, left)
                if left == taker.wanted.quantity:
                    _end_new(account, taker)
                    return False
                account.reduce(taker, left)
    return True


def _met(account: Account, taker: VenueOrder, tape: Tape) -> list[VenueOrder]:
    wanted = taker.wanted
    buy = wanted.side is Side.BUY
    best = (tape.asks if buy else tape.bids)[:1]
    met = []
    for maker in account.open_orders():
        price = maker.wanted.limit_price
        if maker.held or price is None or maker.wanted.side is wanted.side:
            continue
        if maker.wanted.instrument.id != wanted.instrument.id:
            continue
        crossed = wanted.limit_price is None or (
            wanted.limit_price >= price if buy else wanted.limit_price <= price
        )
        first = not best or (float(price) <= best[0][0] if buy else float(price) >= best[0][0])
        if crossed and first:
            met.append(maker)
    return met


def _end(account: Account, order: VenueOrder) -> None:
    order.extra["prevented"] = True
    account.end(order, "expired", "self-trade prevention")


def _end_new(account: Account, order: VenueOrder) -> None:
    account.hold(order)
    _end(account, order)


def _shrink(account: Account, order: VenueOrder, by: Decimal) -> None:
    left = order.wanted.quantity - order.filled
    if by == left:
        _end(account, order)
    else:
        account.amend(order, quantity=order.wanted.quantity - by)
