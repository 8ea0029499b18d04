"""An order as the venue's fronts see it: all that was asked, and all that happened to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, OrderType, Side, TimeInForce, Trail

ZERO = Decimal(0)
OPEN = frozenset({"new", "partially_filled"})
"""The states of an order that works."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What a client asks for, in the venue's own terms; `group` links orders that share their cover."""

    instrument: Instrument
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Trail | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_ns: int = 0
    post_only: bool = False
    reduce_only: bool = False
    group: str = ""
    client_id: str = ""


@attrs.define(eq=False)
class Execution:
    """One execution; `realised` is the profit that it realised in the instrument's settlement currency."""

    number: int
    order: VenueOrder = attrs.field(repr=False)
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    at_ns: int
    realised: Decimal = ZERO
    busted: bool = False

    @property
    def value(self) -> Decimal:
        """What it was worth in the quote currency."""
        return self.order.wanted.instrument.notional(self.quantity, self.price)


@attrs.define(eq=False)
class VenueOrder:
    """An order and its life.

    `status` is new, partially_filled, filled, canceled, expired or rejected. `code` is why it was rejected: the
    simulated venue's word for it. `extra` belongs to the front. `cause` is set where no client asked for it.
    `held` says that it is not in the books, since its trigger was not reached; `announced` that it was told of.
    """

    number: int
    account: str
    wanted: Wanted
    created_ns: int
    updated_ns: int
    status: str = "new"
    code: str = ""
    reason: str = ""
    triggered: bool = False
    held: bool = False
    announced: bool = False
    cause: str = ""
    executions: list[Execution] = attrs.Factory(list)
    extra: dict[str, Any] = attrs.Factory(dict)
    working: str = ""

    @property
    def open(self) -> bool:
        """Whether it can still trade."""
        return self.status in OPEN

    @property
    def filled(self) -> Decimal:
        """How much of it has traded."""
        return sum((done.quantity for done in self.executions if not done.busted), ZERO)

    @property
    def value(self) -> Decimal:
        """What its executions were worth."""
        return sum((done.value for done in self.executions if not done.busted), ZERO)

    @property
    def average_price(self) -> Decimal:
        """Average price of its executions, 0 before the first."""
        filled = self.filled
        if not filled:
            return ZERO
        total = sum((done.price * done.quantity for done in self.executions if not done.busted), ZERO)
        return total / filled
