"""What reconciliation speaks of: how an account's books and its venue differ, and what is done about it."""

from __future__ import annotations

from decimal import Decimal

import attrs

from fairlead._models.venue import OrderReport
from fairlead._models.words import Word


class DiscrepancyKind(Word):
    """How two views of an account differ.

    Of a position: its `quantity`, its `side`, or that it is `missing_here` or `missing_there`; `cash` is of a currency.
    An `external_order` works at the venue and nobody here placed it; a `lost_order` has an id of ours that the journal
    never gave out; `order_status` is one that is over here and works there, `order_terms` one whose quantity or price
    is another there. `mode` is a setting of the account that its profile wants otherwise.
    """

    QUANTITY = "quantity"
    SIDE = "side"
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    CASH = "cash"
    EXTERNAL_ORDER = "external_order"
    LOST_ORDER = "lost_order"
    ORDER_STATUS = "order_status"
    ORDER_TERMS = "order_terms"
    MODE = "mode"


POSITIONS = frozenset(
    {
        DiscrepancyKind.QUANTITY,
        DiscrepancyKind.SIDE,
        DiscrepancyKind.MISSING_HERE,
        DiscrepancyKind.MISSING_THERE,
    }
)
"""The kinds that are about a position."""

ORDERS = frozenset(
    {
        DiscrepancyKind.EXTERNAL_ORDER,
        DiscrepancyKind.LOST_ORDER,
        DiscrepancyKind.ORDER_STATUS,
        DiscrepancyKind.ORDER_TERMS,
    }
)
"""The kinds that are about an order."""


class Severity(Word):
    """How much a discrepancy matters: below 1 % of the larger figure it is minor, below 5 % moderate, else critical.

    A position that is missing or on the wrong side, an order and a setting are critical whatever their size.
    """

    MINOR = "minor"
    MODERATE = "moderate"
    CRITICAL = "critical"


class Action(Word):
    """What is done about a discrepancy.

    `warn` tells; `ignore` tells once and lives with it; `adopt` takes the venue's figure over; `trade_back` adopts,
    then trades until the venue has what was here; `flatten` adopts, then closes what nobody here wanted; `cancel`
    takes an order at the venue back; `halt` halts the account; `ask` waits for a person.
    """

    WARN = "warn"
    IGNORE = "ignore"
    ADOPT = "adopt"
    TRADE_BACK = "trade_back"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    HALT = "halt"
    ASK = "ask"


TRADING = frozenset({Action.TRADE_BACK, Action.FLATTEN, Action.CANCEL})
"""The actions that send something."""

BOOKING = TRADING | {Action.ADOPT}
"""The actions that change the books."""


def fitting(kind: DiscrepancyKind) -> frozenset[Action]:
    """The actions that make sense for a kind: cash cannot be traded back, nor a setting be booked."""
    if kind in POSITIONS:
        booking = BOOKING - {Action.CANCEL}
    elif kind is DiscrepancyKind.CASH:
        booking = frozenset({Action.ADOPT})
    elif kind is DiscrepancyKind.ORDER_STATUS:
        booking = frozenset({Action.CANCEL})
    elif kind in ORDERS:
        booking = frozenset({Action.ADOPT, Action.CANCEL})
    else:
        booking = frozenset()
    return booking | {Action.WARN, Action.IGNORE, Action.HALT, Action.ASK}


@attrs.frozen(kw_only=True)
class Discrepancy:
    """One difference, seen twice.

    `subject` is an instrument, a currency, an order or a setting; `ours` and `theirs` are the figures, of a setting
    `expected` and `actual` its values. `id` stays the same for as long as the difference is about the same thing.
    `order` is the venue's view of an order.
    """

    id: str
    account: str
    kind: DiscrepancyKind
    subject: str
    ours: Decimal
    theirs: Decimal
    severity: Severity
    order: OrderReport | None = None
    expected: str = ""
    actual: str = ""

    @property
    def change(self) -> Decimal:
        """What the books lack to agree with the venue, signed."""
        return self.theirs - self.ours

    def same(self, other: Discrepancy | None) -> bool:
        """Whether another is this difference still, though both sides have moved by as much meanwhile."""
        return other is not None and self._essence == other._essence

    @property
    def _essence(self) -> tuple[object, ...]:
        return self.id, self.kind, self.change, self.severity, self.order, self.actual

    def __str__(self) -> str:
        figures = f"{self.ours} here, {self.theirs} there"
        if self.kind is DiscrepancyKind.MODE:
            figures = f"{self.expected} wanted, {self.actual} there"
        return f"{self.kind} of {self.subject} on account {self.account}: {figures} ({self.severity})"


@attrs.frozen
class Resolution:
    """What a reconciler wants done; `cause` names what explains an adjustment (fee, funding, deposit, manual trade)."""

    action: Action
    cause: str = ""
    reason: str = ""


def severity(ours: Decimal, theirs: Decimal) -> Severity:
    """How much a difference of two figures matters."""
    larger = max(abs(ours), abs(theirs))
    ratio = abs(ours - theirs) / larger if larger else Decimal(0)
    if ratio < Decimal("0.01"):
        return Severity.MINOR
    return Severity.MODERATE if ratio < Decimal("0.05") else Severity.CRITICAL
