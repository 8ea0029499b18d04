"""Raw frames to reports: the order topic is the only truth of an order's state, the execution topic of its fills.

https://bybit-exchange.github.io/docs/v5/enum#orderstatus
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fairlead import Liquidity, Side, VenueError
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Canceled,
    Expired,
    FillReport,
    OrderReport,
    Rejected,
    Replaced,
    Report,
    Triggered,
)
from fairlead_bybit import codes, frames
from fairlead_bybit.frames import ExecutionRow, OrderRow
from fairlead_bybit.instruments import SPOT, Listing
from fairlead_bybit.known import Known, Terms

log = logging.getLogger("fairlead.bybit")

WORKS = frozenset({"New", "PartiallyFilled", "Untriggered", "Triggered"})
ENDED = frozenset({"Filled", "Cancelled", "PartiallyFilledCanceled", "Deactivated", "Rejected"})
_AT_ONCE = frozenset({"IOC", "FOK"})
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_CAUSES = {
    "Trade": "", "BlockTrade": "", "FutureSpread": "", "BustTrade": "liquidation", "AdlTrade": "adl",
    "Delivery": "delivery", "Settle": "delivery", "MovePosition": "transfer",
}  # fmt: skip
FUNDING = "Funding"
_MS = 1_000_000


class Reports:
    """Turns rows into reports and hands them to `emit`. `take` raises Unreadable for what cannot be understood."""

    def __init__(self, listing: Listing, known: Known, emit: Callable[[Report], None]) -> None:
        self._listing = listing
        self._known = known
        self._emit = emit

    def take(self, topic: str, data: bytes | msgspec.Raw) -> None:
        """All rows of a frame. Raises Unreadable, after the rows before it were told of."""
        try:
            if topic == "order":
                for row in frames.orders.decode(data):
                    self.order(row)
            elif topic == "execution":
                for done in frames.executions.decode(data):
                    self.execution(done)
        except (msgspec.DecodeError, InvalidOperation, ValueError, KeyError) as error:
            raise Unreadable(f"Bybit's topic {topic} has what cannot be read ({error!r})") from error

    # --- orders -------------------------------------------------------------------------------------------------

    def order(self, row: OrderRow) -> None:
        """How an order stands now."""
        name, status = name_of(row.order_link_id, row.order_id), row.order_status
        if status not in WORKS and status not in ENDED:
            raise Unreadable(f"Bybit has a status {status!r} of orders that is not known here")
        at = int(row.updated_time or 0) * _MS
        waited = name in self._known.waiting
        self._known.order(name, self._listing.id(row.category, row.symbol), waits=status == "Untriggered")
        if status == "Rejected" or (row.reject_reason == codes.POST_ONLY and not self._known.told(name)):
            self._emit(
                Rejected(client_order_id=name, event_ns=at, code=row.reject_reason, reason=row.reject_reason)
            )
            return
        if self._known.accepts(name):
            self._emit(Accepted(client_order_id=name, broker_order_id=row.order_id, event_ns=at))
        if waited and status in ("Triggered", "New", "PartiallyFilled", "Filled"):
            self._emit(Triggered(client_order_id=name, event_ns=at))
        self._change(name, row, at)
        if status in ENDED:
            self._known.ended(name)
            if status != "Filled":
                self._end(name, row, at)

    def _change(self, name: str, row: OrderRow, at: int) -> None:
        terms = Terms(
            row.qty, _price(row.price) if row.order_type == "Limit" else None, _price(row.trigger_price)
        )
        attempt = self._known.changed(name, terms)
        if attempt is not None and row.order_status in WORKS:
            self._emit(
                Replaced(
                    client_order_id=name, event_ns=at, attempt=attempt, quantity=terms.quantity,
                    limit_price=terms.limit_price, stop_price=terms.stop_price,
                )
            )  # fmt: skip

    def _end(self, name: str, row: OrderRow, at: int) -> None:
        filled = Decimal(row.cum_exec_qty or "0")
        at_once = row.time_in_force in _AT_ONCE and row.cancel_type != "CancelByUser"
        ended = Expired if at_once or row.reject_reason == codes.NO_QUANTITY else Canceled
        reason = row.reject_reason if row.reject_reason not in ("", "EC_NoError") else row.cancel_type
        self._emit(ended(client_order_id=name, event_ns=at, reason=reason, filled_quantity=filled))

    # --- executions ---------------------------------------------------------------------------------------------

    def execution(self, row: ExecutionRow) -> None:
        """One execution, or a payment of funding."""
        if row.exec_type == FUNDING:
            self.funding(row)
        else:
            self._emit(self.fill(row, row.category))

    def fill(self, row: ExecutionRow, product: str) -> FillReport:
        """A fill, the same from the stream and from the list. Raises Unreadable for a type that is not known."""
        if row.exec_type not in _CAUSES:
            raise Unreadable(f"Bybit has a type {row.exec_type!r} of executions that is not known here")
        cause = _CAUSES[row.exec_type]
        return FillReport(
            client_order_id="" if cause else name_of(row.order_link_id, row.order_id),
            event_ns=int(row.exec_time) * _MS, fill_id=f"{product}:{row.exec_id}",
            instrument=self._listing.id(product, row.symbol), side=_SIDES[row.side], quantity=row.exec_qty,
            price=Decimal(row.exec_price), fee=Decimal(row.exec_fee or "0"),
            fee_currency=row.fee_currency or self._fee_currency(row, product),
            liquidity=Liquidity.MAKER if row.is_maker else Liquidity.TAKER, cause=cause,
        )  # fmt: skip

    def _fee_currency(self, row: ExecutionRow, product: str) -> str:
        """Where it is not told: https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction"""
        instrument = self._listing.find(self._listing.id(product, row.symbol))
        if instrument is None:
            return ""
        if product != SPOT:
            return instrument.settle
        rebate = row.is_maker and Decimal(row.fee_rate or "0") < 0
        bought = (row.side == "Buy") is not rebate
        return instrument.base if bought else instrument.quote

    def funding(self, row: ExecutionRow) -> None:
        """A payment, once however often it is told of: a fee that is paid, or got where it is below 0."""
        if not self._known.pays(row.exec_id):
            return
        name = self._listing.id("linear", row.symbol)
        self._emit(
            AccountChanged(
                cause="funding", currency=row.fee_currency or self._fee_currency(row, "linear"),
                amount=-Decimal(row.exec_fee or "0"), instrument=name, event_ns=int(row.exec_time) * _MS,
            )
        )  # fmt: skip


class Unreadable(VenueError):
    """Bybit told of the account what cannot be understood: nobody may go on as if it had not."""


def report_of(row: Mapping[str, Any], product: str, listing: Listing, known: Known) -> OrderReport:
    """An order as Bybit lists it. Raises Unreadable."""
    try:
        name, status = name_of(row.get("orderLinkId", ""), row["orderId"]), row["orderStatus"]
        if status not in WORKS and status not in ENDED:
            raise Unreadable(f"Bybit has a status {status!r} of orders that is not known here")
        instrument = listing.id(product, row["symbol"])
        known.order(name, instrument, waits=status == "Untriggered")
        return OrderReport(
            client_order_id=name,
            broker_order_id=row["orderId"],
            instrument=instrument,
            open=status in WORKS,
            quantity=Decimal(row["qty"]),
            filled_quantity=Decimal(row["cumExecQty"] or "0"),
            status=status,
            average_price=_price(row.get("avgPrice", "")),
            side=_SIDES[row["side"]],
            limit_price=_price(row.get("price", "")) if row.get("orderType") == "Limit" else None,
            stop_price=_price(row.get("triggerPrice", "")),
        )
    except (KeyError, TypeError, InvalidOperation) as error:
        raise Unreadable(f"Bybit's list of orders cannot be read: {error!r}") from error


def name_of(link: str, number: str) -> str:
    """What an order goes by: our id, or theirs where somebody placed it without one."""
    return link or number


def _price(text: str) -> Decimal | None:
    return (Decimal(text) or None) if text else None
