"""What an engine and a broker say to each other besides reports: the profile, commands and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs
import msgspec

from fairlead._models.orders import OrderIntent, OrderType, Side, TimeInForce
from fairlead.units import SECOND


@attrs.frozen
class RateLimit:
    """So much `weight` a venue takes in any `window_ns`; `order` and `cancel` are what one of each weighs.

    `reserve` of it, a tenth unless it says otherwise, is kept for cancels: new orders leave it alone.
    """

    name: str
    weight: int
    window_ns: int
    order: int = 1
    cancel: int = 1
    reserve: int | None = None

    @property
    def kept(self) -> int:
        """What is kept for cancels."""
        return -(-self.weight // 10) if self.reserve is None else self.reserve


@attrs.frozen(kw_only=True)
class VenueProfile:
    """What a venue can do, as its adapter declares it and the engine obeys it.

    What is not listed is held by the engine (stops, trails, linked exits, DAY and GTD) or refused by the gate
    (post-only, IOC, FOK). `oco` says that the venue itself cancels or shrinks the other orders of a group
    when one fills. `environment` is paper, testnet or live; live needs `live=True` on the engine.
    `equivalents` are pairs of currencies that count as one, `zone` the IANA zone of the account's trading day.
    `venue_options` are the names that an order's own `venue_options` may use; the gate refuses any other.

    What the venue's silence means, all in ns:

    - `validity_ns` bounds how late a command may still be written, and the venue takes none that reaches it later.
      None where no venue-side bound exists: an order that it does not know may then still be on its way for ever.
    - `query_lag_ns` is the longest that its look-ups and lists of fills lag behind its own books.
    - `answer_ns` is how long an answer may take before the engine asks for what became of a command.
    - `backfill_ns` is how often the list of fills is compared with what was reported; 0 is never.
    - `watch_ns` is how often the account as a whole is compared with our books; 0 is only when asked for.
    - `exact` says that it lives in the engine's process: what it does not know is not there, and was never sent.
    - `own_fills` is False where it lists no executions: fills are then inferred from cumulative quantities.
    - `definitive_codes` are the codes of a Rejected that prove that the order is not there; after any other one the
      order is looked up. None where each Rejected is definitive.

    `modes` are the settings that the account must have, such as `{"position_mode": "net", "margin_mode": "cross",
    "leverage": "5"}`; reconciliation compares them with those of a snapshot.

    `rate_limits` are the venue's own numbers, or lower ones: beyond them new orders are denied and cancels wait.

    `replaces` are the types of order that it changes by one request: either the order works on its new terms or, as
    before, on the old ones, and never both. A quantity is then the new total, what has filled included: a venue that
    takes it for what is still to fill must leave its orders out, since a fill on the way would come on top. With
    `replace_renames` an order gets a new id of the venue's by it, and what ends is told of by `broker_order_id`. Other
    orders are canceled first, and what is left of them is submitted anew.

    `dead_man` says that it has a switch which cancels all orders of the account when it is not heard of, and the
    shortest and the longest time in ns that it takes; `dead_man_spares_stops` that stops stay where they are then.
    """

    venue: str
    environment: str = "live"
    order_types: frozenset[OrderType] = frozenset({OrderType.MARKET, OrderType.LIMIT})
    time_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC})
    post_only: bool = False
    reduce_only: bool = False
    oco: bool = False
    validity_ns: int | None = 5 * SECOND
    query_lag_ns: int = 2 * SECOND
    answer_ns: int = 5 * SECOND
    backfill_ns: int = 45 * SECOND
    watch_ns: int = 15 * SECOND
    exact: bool = False
    own_fills: bool = True
    definitive_codes: frozenset[str] | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    base_currency: str = ""
    equivalents: tuple[tuple[str, str], ...] = ()
    zone: str = "UTC"
    venue_options: frozenset[str] = frozenset()
    modes: Mapping[str, str] = attrs.Factory(dict)
    replaces: frozenset[OrderType] = frozenset()
    replace_renames: bool = False
    dead_man: tuple[int, int] | None = None
    dead_man_spares_stops: bool = False

    @property
    def patience_ns(self) -> int:
        """How long a command may wait to be written."""
        return self.answer_ns if self.validity_ns is None else self.validity_ns


class Submit(msgspec.Struct, frozen=True):
    """Put an order to work. `deadline_ns` is checked against the clock by whoever writes it, last of all.

    `reduce_only` is what goes on the wire: it may differ from the intent's, which is judged per strategy.
    """

    client_order_id: str
    intent: OrderIntent
    quantity: Decimal
    reduce_only: bool
    deadline_ns: int


class Cancel(msgspec.Struct, frozen=True):
    """Take one order back; harmless to repeat."""

    client_order_id: str
    broker_order_id: str
    instrument: str
    deadline_ns: int


class CancelAll(msgspec.Struct, frozen=True):
    """Take every order of the account back, or of one instrument where it is named."""

    instrument: str
    deadline_ns: int


class Replace(msgspec.Struct, frozen=True):
    """Change an order that rests, in one step: `quantity` is the new total, what has filled included.

    A price that is None stays as it is: the order has none. `attempt` numbers the changes of one order; the answer
    repeats it.
    """

    client_order_id: str
    broker_order_id: str
    instrument: str
    attempt: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    deadline_ns: int


class ArmDeadMan(msgspec.Struct, frozen=True):
    """Have the venue cancel every order unless it hears of this again within `timeout_ns`; 0 calls that off.

    `instruments` are those that are traded on the account, for a venue that has one switch for each.
    """

    timeout_ns: int
    instruments: tuple[str, ...]
    deadline_ns: int


Command = Submit | Cancel | CancelAll | Replace | ArmDeadMan


@attrs.frozen(kw_only=True)
class OrderReport:
    """An order as the venue sees it, in a snapshot or a look-up.

    `average_price` is that of `filled_quantity`; `side` and prices tell of an order that nobody here placed. All are
    None where the venue does not say.
    """

    client_order_id: str
    broker_order_id: str
    instrument: str
    open: bool
    quantity: Decimal
    filled_quantity: Decimal
    status: str = ""
    average_price: Decimal | None = None
    side: Side | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@attrs.frozen(kw_only=True)
class Snapshot:
    """The venue's view of an account. A part that could not be had is None, never empty.

    `orders` are the open ones, `positions` signed quantities by instrument (both legs of a hedged account together),
    `balances` totals by currency, `entry_prices` average prices of positions, as far as the venue tells. `modes` are
    settings of the account (`position_mode`) or of one instrument (`leverage BTC/USDT:USDT@venue`), of which a profile
    may want certain ones.
    """

    orders: tuple[OrderReport, ...] | None
    positions: Mapping[str, Decimal] | None
    balances: Mapping[str, Decimal] | None
    entry_prices: Mapping[str, Decimal] = attrs.Factory(dict)
    modes: Mapping[str, str] | None = None


# --- inquiries: what the kernel wants to know of a venue; the answers are reports ---------------------------------


@attrs.frozen
class Lookup:
    """How these orders stand."""

    client_order_ids: tuple[str, ...]


@attrs.frozen
class FillsSince:
    """Our executions since then."""

    since_ns: int


@attrs.frozen
class TakeSnapshot:
    """The account as a whole."""


Inquiry = Lookup | FillsSince | TakeSnapshot
