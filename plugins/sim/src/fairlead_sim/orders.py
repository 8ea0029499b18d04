"""An order as the venue holds it: exact numbers for money, floats made from them for matching."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead import OrderIntent, OrderType, Side
from fairlead.ports import OrderReport, Submit

_ZERO = Decimal(0)


class WorkingOrder(msgspec.Struct, eq=False, kw_only=True, omit_defaults=True):
    """One order at the venue.

    `remaining` may still fill; a linked order's fill or a shrunken position can make it less than `quantity -
    filled`. `limit` and `stop` are floats of the exact prices. `fresh` says that it has not met the market yet:
    it then takes at the market's price, and afterwards makes at its own. `peak` is the price that a trailing stop
    followed last. `ahead` is the size queueing before it.
    """

    client_order_id: str
    broker_order_id: str
    intent: OrderIntent
    buy: bool
    quantity: Decimal
    remaining: Decimal
    filled: Decimal = _ZERO
    reduce_only: bool = False
    sequence: int = 0
    accepted_ns: int = 0
    expires_ns: int = 0
    limit: float | None = None
    stop: float | None = None
    trail: float = 0.0
    trail_percent: bool = False
    peak: float = 0.0
    triggered: bool = True
    fresh: bool = True
    ahead: float = 0.0
    open: bool = True

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return Side.BUY if self.buy else Side.SELL

    @property
    def type(self) -> OrderType:
        """Its type as it was sent."""
        return self.intent.type

    @property
    def instrument(self) -> str:
        """Long form of what it trades."""
        return self.intent.instrument

    def report(self, status: str) -> OrderReport:
        """The order as a snapshot or a look-up shows it."""
        return OrderReport(
            client_order_id=self.client_order_id, broker_order_id=self.broker_order_id, open=self.open,
            instrument=self.intent.instrument, quantity=self.quantity, filled_quantity=self.filled, status=status,
            side=self.side, limit_price=self.intent.limit_price, stop_price=self.intent.stop_price,
        )  # fmt: skip

    def follow(self, price: float) -> bool:
        """Move a trailing stop after a price; says whether it moved."""
        distance = price * self.trail if self.trail_percent else self.trail
        wanted = price + distance if self.buy else price - distance
        if self.stop is not None and (wanted >= self.stop if self.buy else wanted <= self.stop):
            return False
        self.stop, self.peak = wanted, price
        return True


_TERMS = ("intent", "quantity", "remaining", "limit", "stop", "sequence", "broker_order_id", "fresh", "ahead")


def renew(order: WorkingOrder, new: WorkingOrder) -> None:
    """Give an order the terms, and the place in the queue, of another one."""
    for name in _TERMS:
        setattr(order, name, getattr(new, name))


def working(command: Submit, sequence: int, now: int, expires_ns: int) -> WorkingOrder:
    """The order that an accepted command becomes."""
    intent = command.intent
    trail = intent.trail
    return WorkingOrder(
        client_order_id=command.client_order_id, broker_order_id=f"V{sequence}", intent=intent,
        buy=intent.side is Side.BUY, quantity=command.quantity, remaining=command.quantity,
        reduce_only=command.reduce_only, sequence=sequence, accepted_ns=now,
        expires_ns=expires_ns,
        limit=None if intent.limit_price is None else float(intent.limit_price),
        stop=None if intent.stop_price is None else float(intent.stop_price),
        trail=float(trail.distance) if trail else 0.0, trail_percent=trail.percent if trail else False,
        triggered=intent.type in {OrderType.MARKET, OrderType.LIMIT},
    )  # fmt: skip
