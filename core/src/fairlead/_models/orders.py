"""Orders and fills: what was wanted, what exists, what was done."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from fairlead._models.words import Word


class Side(Word):
    """Direction of an order; quantities are always positive."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Word):
    """How an order's price is found."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(Word):
    """How long an order works."""

    GTC = "GTC"
    DAY = "DAY"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    OPG = "OPG"
    CLS = "CLS"


class Liquidity(Word):
    """Whether a fill made or took liquidity."""

    MAKER = "maker"
    TAKER = "taker"
    UNKNOWN = "unknown"


class OrderStatus(Word):
    """Where an order stands. DENIED is our refusal, REJECTED the venue's, UNKNOWN a lost answer."""

    DENIED = "denied"
    HELD = "held"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


CLOSED = frozenset(
    {OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
)
"""The terminal statuses."""

AT_VENUE = frozenset(
    {
        OrderStatus.SUBMITTED,
        OrderStatus.UNKNOWN,
        OrderStatus.ACCEPTED,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.PENDING_REPLACE,
    }
)
"""The statuses in which the venue may fill the order: their exposure is reserved."""


EXIT = "exit:"
"""What the group of a bracket's legs begins with."""

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
"""The types that wait for a price."""


class Trail(msgspec.Struct, frozen=True):
    """How far a trailing stop follows: a price distance, or a ratio of the price (`percent=True`)."""

    distance: Decimal
    percent: bool = False


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody wants: every field of an order before anybody approved it.

    Quantities and prices are on the instrument's grid already; `quantity` is positive. With `closes` it is the
    whole position on the other side, whatever that is when the order is sent. `parent` is the order
    whose fills this one protects or carries out, `group` joins orders of which only one may fill (OCO), `style`
    is the execution style (JSON) of an order that is carried out by child orders, `replaces` the order whose
    remainder this one is, `repeats` the order of the same intent that came to nothing, for certain, before this one.
    `who` is the person who asked for it, empty where a strategy did; `sweep` is the number of the sweep that closes a
    position by it, 0 for none.
    """

    strategy: str
    account: str
    instrument: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Trail | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_ns: int = 0
    post_only: bool = False
    reduce_only: bool = False
    closes: bool = False
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    parent: str = ""
    replaces: str = ""
    group: str = ""
    tag: str = ""
    style: str = ""
    repeats: str = ""
    venue_options: Mapping[str, str] = {}
    who: str = ""
    sweep: int = 0

    @property
    def exits(self) -> bool:
        """Whether it protects what an entry has bought or sold: the leg of a bracket."""
        return self.group.startswith(EXIT)

    @property
    def wants_exits(self) -> bool:
        """Whether what it buys or sells is to be protected: an entry with a take-profit, a stop-loss or both."""
        return self.take_profit is not None or self.stop_loss is not None


class Verdict(msgspec.Struct, frozen=True):
    """What would become of an order that is only checked: every reason against it, none where it is approved."""

    intent: OrderIntent
    reasons: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether it would be sent, or held."""
        return not self.reasons


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is being changed to at its venue: `quantity` is the total, `before` what that was.

    `attempt` is the number of the change, `deadline_ns` when it could last have been written.
    """

    attempt: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    before: Decimal
    deadline_ns: int


class Order(msgspec.Struct, eq=False, kw_only=True):
    """An order and its life so far; only the engine changes it, everybody may read it at any time.

    `client_order_id` is ours and exists before anything is sent; `broker_order_id` is the venue's and may be
    empty for a while. `reasons` says why it was denied, rejected, expired or canceled. While it is held,
    `after` are the orders whose end releases it, `triggered` says that its condition was met, and `extreme` is
    the best price a trailing stop has followed. `sent_ns` is when it was sent, `deadline_ns` when it could last
    have been, `cancel_ns` when its cancel was last asked for, 0 for never, `inferred` are
    those of its fills that the venue has not listed yet, `totals` what it had filled after each of its fills, with
    their quantity and price, where the venue says; `given_up` says that it was never found at its venue.

    `replacing` is what it is being changed to, in place: until it is known whether it was, `quantity` is the larger of
    the old and the new one. `replacements` counts these changes, `replace_ns` is when the last one was asked for, and
    `former_ids` are the ids that the venue gave it before them.
    """

    client_order_id: str
    intent: OrderIntent
    status: OrderStatus
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    broker_order_id: str = ""
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    fee: Decimal = Decimal(0)
    reasons: tuple[str, ...] = ()
    created_ns: int = 0
    updated_ns: int = 0
    fill_ids: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    triggered: bool = False
    extreme: float | None = None
    expiring: bool = False
    deadline_ns: int = 0
    inferred: tuple[Fill, ...] = ()
    totals: tuple[tuple[Decimal, Decimal, Decimal], ...] = ()
    given_up: bool = False
    sent_ns: int = 0
    cancel_ns: int = 0
    replacing: Terms | None = None
    replacements: int = 0
    replace_ns: int = 0
    former_ids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        price = f" @{self.limit_price}" if self.limit_price is not None else ""
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return (
            f"<Order {self.side} {self.quantity} {self.instrument} {self.type}{price} "
            f"{self.status} filled {self.filled_quantity}{why}>"
        )

    @property
    def instrument(self) -> str:
        """Long form of what it trades."""
        return self.intent.instrument

    @property
    def strategy(self) -> str:
        """Name of the strategy that wanted it."""
        return self.intent.strategy

    @property
    def account(self) -> str:
        """The account it trades on."""
        return self.intent.account

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self.intent.side

    @property
    def type(self) -> OrderType:
        """Market, limit, stop, stop-limit or trailing stop."""
        return self.intent.type

    @property
    def tag(self) -> str:
        """The user's own word for it."""
        return self.intent.tag

    @property
    def remaining_quantity(self) -> Decimal:
        """What may still fill, in base units."""
        return self.quantity - self.filled_quantity

    @property
    def closed(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in CLOSED

    @property
    def denied(self) -> bool:
        """Whether the gate refused it; `reasons` says why."""
        return self.status is OrderStatus.DENIED


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of ours. Idempotent by `fill_id`; a negative fee is a rebate."""

    fill_id: str
    client_order_id: str
    strategy: str
    account: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity = Liquidity.UNKNOWN
    event_ns: int = 0
