"""Reports: what a broker adapter says happened. They are inputs of the kernel and are journaled as they came."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from fairlead._models.orders import Liquidity, Side
from fairlead._models.venue import OrderReport, Snapshot


class _OrderReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    client_order_id: str
    event_ns: int = 0


UNKNOWN_ORDER = "unknown_order"
"""The code of a CancelRejected that says: there is no such order."""

DUPLICATE_ID = "duplicate_id"
"""The code of a Rejected that says: an order of this id is there already. It is looked up and adopted."""


class Accepted(_OrderReport, frozen=True, kw_only=True):
    """The venue has the order."""

    broker_order_id: str = ""


class Rejected(_OrderReport, frozen=True, kw_only=True):
    """The venue refused the order; `code` is its own, DUPLICATE_ID where it has one of this id.

    Definitive, unless the profile's `definitive_codes` leaves the code out.
    """

    code: str = ""
    reason: str = ""


class NotSent(_OrderReport, frozen=True, kw_only=True):
    """The order never left: its deadline had passed or there was no connection. Definitive.

    Of a cancel, CancelRejected says so, and of a replacement ReplaceRejected, with the code "not_sent".
    """

    reason: str = ""


class OutcomeUnknown(_OrderReport, frozen=True, kw_only=True):
    """The command left and no answer came; only evidence can resolve it."""

    reason: str = ""


class Canceled(_OrderReport, frozen=True, kw_only=True):
    """The order works no more. `filled_quantity` is the venue's cumulative figure where it gives one.

    `broker_order_id` says what of it ended, where the venue gives an order a new id when it is replaced.
    """

    reason: str = ""
    filled_quantity: Decimal | None = None
    broker_order_id: str = ""


class CancelRejected(_OrderReport, frozen=True, kw_only=True):
    """The venue would not cancel: the order is filled, unknown to it, or it says why.

    `code` is its own, UNKNOWN_ORDER where it knows no such order.
    """

    code: str = ""
    reason: str = ""


class Replaced(_OrderReport, frozen=True, kw_only=True):
    """The order works on new terms: as asked for in this attempt, unless the venue tells others.

    `attempt` is 0 where the venue does not repeat it. `broker_order_id` is a new one where it gives one.
    """

    attempt: int = 0
    broker_order_id: str = ""
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class ReplaceRejected(_OrderReport, frozen=True, kw_only=True):
    """The order was not changed, and stands as it did, or has ended; `code` is the venue's own.

    "not_sent" is the code of a request that never left. Definitive, unless the profile's `definitive_codes` leaves the
    code out.
    """

    attempt: int = 0
    code: str = ""
    reason: str = ""


class Expired(_OrderReport, frozen=True, kw_only=True):
    """The order's time in force ended it; `filled_quantity` and `broker_order_id` as in Canceled."""

    reason: str = ""
    filled_quantity: Decimal | None = None
    broker_order_id: str = ""


class Triggered(_OrderReport, frozen=True, kw_only=True):
    """A stop that rested at the venue was set off."""


class FillReport(_OrderReport, frozen=True, kw_only=True):
    """One execution. `client_order_id` is empty where nobody here ordered it; `cause` then says what did.

    `cumulative_quantity` is what the order had filled with this execution and all before it; None where the venue tells
    only a total of the moment, which may contain later ones. Without it, `fill_id` has to be the same on the private
    stream and in the list of fills: nothing else tells one execution from two.
    """

    fill_id: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity = Liquidity.UNKNOWN
    cumulative_quantity: Decimal | None = None
    cause: str = ""


class FillVoided(_OrderReport, frozen=True, kw_only=True):
    """The venue took an execution back; the figures are those of the execution."""

    fill_id: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str


class DeadManSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """The venue cancels all orders at `until_ns` unless it is told again; 0 where it does not, for a `reason` or none.

    Where it was asked to and does not, the reason says why.
    """

    until_ns: int = 0
    reason: str = ""


class DeadManFired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """The venue cancels all orders, because it was not told in time. What ends is reported one by one besides."""

    reason: str = ""


class AccountChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """Money that no fill moved: `cause` is funding, fee, interest, deposit, withdrawal, liquidation or transfer.

    `amount` is the signed change of `currency`; `instrument` names the position it belongs to, if any.
    """

    cause: str
    currency: str
    amount: Decimal
    instrument: str = ""
    event_ns: int = 0


class LookedUp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """How orders stood when the venue was asked, at `asked_ns`: None where it knows none, absent where it is silent.

    The engine makes it from what `BrokerAdapter.lookup` returns.
    """

    asked_ns: int
    orders: Mapping[str, OrderReport | None]


class Backfilled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """Every execution since `since_ns`, as listed by the venue when it was asked, at `asked_ns`.

    The engine makes it from what `BrokerAdapter.fills` returns.
    """

    asked_ns: int
    since_ns: int
    fills: tuple[FillReport, ...] = ()


class SnapshotTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """The account as its venue saw it when asked, at `asked_ns`; no `snapshot` means that it was the last one again.

    The engine makes it from what `BrokerAdapter.snapshot` returns.
    """

    asked_ns: int
    snapshot: Snapshot | None = None


class Unanswered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """A question that the engine asked at `asked_ns` failed, for a snapshot if `snapshot`: that proves nothing.

    The engine makes it from what the adapter raised, or where no answer came in time.
    """

    asked_ns: int
    snapshot: bool = False
    reason: str = ""


class StreamDown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """The private stream is gone: fills may be missed until it is up and backfilled."""

    reason: str = ""


class StreamUp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """The private stream is connected; `epoch` counts its connections."""

    epoch: int = 0


Report = (
    Accepted
    | Rejected
    | NotSent
    | OutcomeUnknown
    | Canceled
    | CancelRejected
    | Replaced
    | ReplaceRejected
    | Expired
    | Triggered
    | FillReport
    | FillVoided
    | AccountChanged
    | LookedUp
    | Backfilled
    | SnapshotTaken
    | Unanswered
    | StreamDown
    | StreamUp
    | DeadManSet
    | DeadManFired
)

CASH_FLOWS = frozenset({"deposit", "withdrawal", "transfer"})
"""Causes of AccountChanged that are nobody's profit or loss."""
