"""The account's own streams, as reports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal

import msgspec

from fairlead.ports import (
    Accepted,
    AccountChanged,
    Canceled,
    DeadManFired,
    Expired,
    OutcomeUnknown,
    Rejected,
    Replaced,
    Report,
    Triggered,
)
from fairlead_hyperliquid import codes, frames
from fairlead_hyperliquid.commands import id_of
from fairlead_hyperliquid.frames import Delta, Fill, Update
from fairlead_hyperliquid.instruments import MONEY, ZERO, Listing
from fairlead_hyperliquid.known import Known
from fairlead_hyperliquid.reports import MS, fill_id, fill_report, filled_of

log = logging.getLogger("fairlead.hyperliquid")

_SIGNS = {"deposit": 1, "withdraw": -1, "rewardsClaim": 1, "vaultDeposit": -1, "vaultWithdraw": 1}
_CAUSES = {"deposit": "deposit", "withdraw": "withdrawal"}
_BY_DESTINATION = frozenset({"internalTransfer", "subAccountTransfer", "send", "spotTransfer"})


class Events:
    """Takes frames, and emits reports.

    `whose` is asked to find out whose a number is, and to call `learned`; `verify` whether an order that ended without
    our asking lives on under another number; `missing` to look for executions of a number that were not told.
    """

    def __init__(
        self, listing: Listing, known: Known, address: str, emit: Callable[[Report], None], *, perps: bool
    ) -> None:  # fmt: skip
        self.whose: Callable[[int], None]
        self.verify: Callable[[Update], None]
        self.missing: Callable[[Update], None]
        self.touch: dict[str, tuple[float | None, float | None]] = {}
        """Best bid and ask by coin."""
        self.fired = False
        """Whether the dead-man switch has fired since it was set."""
        self.paid_ns = 0
        self._listing = listing
        self._known = known
        self._address = address
        self._emit = emit
        self._perps = perps
        self._waiting: dict[int, list[Fill]] = {}
        self._ledger_seen: dict[str, None] = {}

    def take(self, channel: str, data: msgspec.Raw) -> None:
        """One frame. Raises msgspec.DecodeError."""
        match channel:
            case "orderUpdates":
                for update in frames.updates.decode(data):
                    self.update(update)
            case "userFills":
                found = frames.fills.decode(data)
                if not found.is_snapshot:  # what was before is asked for
                    for fill in found.fills:
                        self._fill(fill)
            case "bbo":
                self._quote(_quotes.decode(data))
            case "userFundings":
                self._fundings(frames.fundings.decode(data))
            case "userNonFundingLedgerUpdates":
                self._ledger(frames.ledger.decode(data))

    # --- orders -------------------------------------------------------------------------------------------------

    def update(self, update: Update) -> None:
        """An order changed its state."""
        order, status = update.order, update.status
        if self._listing.of_coin(order.coin) is None:
            return
        name = id_of(order.cloid, order.oid)
        self.learned(order.oid, name)
        line = self._known.line(name)
        at = update.status_timestamp * MS
        if (code := codes.rejection(status)) is not None:
            self.refused(name, code, status, order.oid, at)
        elif status == "open":
            self._opened(update, name)
        elif status == "triggered":
            self._emit(Triggered(client_order_id=name, event_ns=at))
        elif status == "filled":
            line.ended = line.numbers[-1] == order.oid
            self.missing(update)
            if order.sz:
                self._emit(self._expired(update, name))
        elif codes.ended(status) is None:
            log.warning("Hyperliquid has a new status, %r: the order is looked up", status)
            self._emit(
                OutcomeUnknown(
                    client_order_id=name, event_ns=at, reason=f"the status {status!r} is not known"
                )
            )
        elif line.numbers[-1] == order.oid:
            if status == "canceled" and not line.canceling:
                self.verify(update)
            else:
                self.canceled(update)

    def _opened(self, update: Update, name: str) -> None:
        """It works; under a number that is not its first it was modified by somebody else."""
        order, at = update.order, update.status_timestamp * MS
        told = self._known.line(name).told
        if not told:
            self.accepted(name, order.oid, at)
        elif order.oid > max(told):
            told.append(order.oid)
            self._known.line(name).ended = False
            self._emit(
                Replaced(
                    client_order_id=name, event_ns=at, broker_order_id=str(order.oid), limit_price=order.limit_px,
                    quantity=self._known.before(name, order.oid) + order.orig_sz,
                )
            )  # fmt: skip

    def accepted(self, name: str, number: int, at: int = 0) -> None:
        """It is there; answer and stream both tell of that."""
        told = self._known.line(name).told
        if number not in told:
            told.append(number)
            self._emit(Accepted(client_order_id=name, event_ns=at, broker_order_id=str(number)))

    def refused(self, name: str, code: str, reason: str, number: int = 0, at: int = 0) -> None:
        """An order was refused, by its answer or its state; one that had to trade at once has expired."""
        if code == codes.UNTAKEN:
            theirs = str(number) if number else ""
            self._emit(
                Expired(
                    client_order_id=name,
                    event_ns=at,
                    reason=reason,
                    filled_quantity=ZERO,
                    broker_order_id=theirs,
                )
            )
        else:
            self._emit(Rejected(client_order_id=name, event_ns=at, code=code, reason=reason))

    def canceled(self, update: Update) -> None:
        """An order has ended before it was filled."""
        order, name = update.order, id_of(update.order.cloid, update.order.oid)
        self._known.line(name).ended = True
        if update.status == "scheduledCancel" and not self.fired:
            self.fired = True
            self._emit(DeadManFired(reason="the scheduled cancel came due"))
        self._emit(
            Canceled(
                client_order_id=name, event_ns=update.status_timestamp * MS, reason=update.status,
                filled_quantity=self._total(update, name), broker_order_id=str(order.oid),
            )
        )  # fmt: skip

    def _expired(self, update: Update, name: str) -> Expired:
        return Expired(
            client_order_id=name, event_ns=update.status_timestamp * MS, reason="nothing more to trade with",
            filled_quantity=self._total(update, name), broker_order_id=str(update.order.oid),
        )  # fmt: skip

    def _total(self, update: Update, name: str) -> Decimal | None:
        filled = filled_of(update.order, update.status)
        return None if filled is None else self._known.before(name, update.order.oid) + filled

    # --- executions ---------------------------------------------------------------------------------------------

    def learned(self, number: int, name: str) -> None:
        """Whose a number is: executions that waited for that are told now."""
        self._known.number(number, name)
        for fill in self._waiting.pop(number, ()):
            self._tell(fill, name)

    def _fill(self, fill: Fill) -> None:
        if self._listing.of_coin(fill.coin) is None:
            return
        name = id_of(fill.cloid, fill.oid) if fill.cloid is not None else self._known.name(fill.oid)
        if name is not None:
            self._tell(fill, name)
            return
        waiting = self._waiting.setdefault(fill.oid, [])
        waiting.append(fill)
        if len(waiting) == 1:
            self.whose(fill.oid)

    def _tell(self, fill: Fill, name: str) -> None:
        report = fill_report(self._listing, fill, name, self._address)
        if report is not None:
            self._known.fill(fill_id(fill), fill.oid, fill.sz)
            self._emit(report)

    # --- money --------------------------------------------------------------------------------------------------

    def _fundings(self, found: frames.Fundings) -> None:
        """The first frame ever is what is in the balance already; a later snapshot has what was missed."""
        if not self._perps:
            return
        first = found.is_snapshot and not self.paid_ns
        before = self.paid_ns
        for row in sorted(found.fundings, key=lambda row: row.time):
            at, rule = row.time * MS, self._listing.of_coin(row.coin)
            self.paid_ns = max(self.paid_ns, at)
            if first or (found.is_snapshot and at <= before):
                continue
            name = rule.id if rule is not None else ""
            self._emit(
                AccountChanged(cause="funding", currency=MONEY, amount=row.usdc, instrument=name, event_ns=at)
            )
        self.paid_ns = max(self.paid_ns, 1)

    def _ledger(self, found: frames.Ledger) -> None:
        first = found.is_snapshot and not self._ledger_seen
        for row in found.non_funding_ledger_updates:
            key = f"{row.hash}{row.time}"
            if key in self._ledger_seen:
                continue
            self._ledger_seen[key] = None
            amount = self._moved(row.delta)
            if amount and not first:
                cause = _CAUSES.get(row.delta.type, "transfer")
                self._emit(AccountChanged(cause=cause, currency=MONEY, amount=amount, event_ns=row.time * MS))
        self._ledger_seen[""] = None

    def _moved(self, delta: Delta) -> Decimal:
        """The change of this account's money."""
        if not self._perps:
            return ZERO  # spot has tokens: its balances are compared as a whole
        if delta.type == "accountClassTransfer":
            return delta.usdc if delta.to_perp else -delta.usdc
        if delta.type in _BY_DESTINATION:
            return delta.usdc if delta.destination.lower() == self._address else -delta.usdc - delta.fee
        if delta.type in _SIGNS:
            return delta.usdc * _SIGNS[delta.type] - delta.fee
        log.warning("Hyperliquid moved money by %r, which is not known: balances will show it", delta.type)
        return ZERO

    def _quote(self, found: Touch) -> None:
        bid, ask = found.bbo
        self.touch[found.coin] = (bid.px if bid else None, ask.px if ask else None)


class Level(msgspec.Struct):
    """A level of a book."""

    px: float
    sz: float


class Touch(msgspec.Struct):
    """Best bid and ask of a coin."""

    coin: str
    time: int
    bbo: tuple[Level | None, Level | None]


_quotes = msgspec.json.Decoder(Touch, strict=False)
