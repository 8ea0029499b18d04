"""Our own book of the orders that we have there: what TWS says, as it says it, made into reports.

The SDKs derive an order's status from message codes too, and call orders that work canceled. Here an order ends by its
status, by its executions, or by a code that answers what we have just asked and nobody has confirmed yet.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import attrs

from fairlead import TimeInForce
from fairlead.ports import (
    UNKNOWN_ORDER,
    Accepted,
    Canceled,
    CancelRejected,
    Expired,
    OutcomeUnknown,
    Rejected,
    Replace,
    Replaced,
    ReplaceRejected,
    Report,
    Triggered,
)
from fairlead_ib import codes
from fairlead_ib.instruments import exact

log = logging.getLogger("fairlead.ib")

_WORKS = frozenset({"PreSubmitted", "Submitted"})
_ENDED = frozenset({"Cancelled", "ApiCancelled"})
_STOPS = frozenset({"STP", "STP LMT", "TRAIL"})
_KEPT = 20_000
"""So many orders are remembered; of those that have ended the oldest are let go."""

_LASTS = (TimeInForce.GTC.value, "")


@attrs.define(eq=False)
class Working:
    """One of our orders: how it was written last, and what has been heard of it.

    `refused` is the last code that may have ended it; `changing` are new terms that are not confirmed, and `next` the
    order with them.
    """

    name: str
    order_id: int
    contract: Any
    order: Any
    perm_id: int = 0
    accepted: bool = False
    triggered: bool = False
    done: bool = False
    canceling: bool = False
    changing: Replace | None = None
    next: Any = None
    refused: tuple[int, str] | None = None


class Book:
    """Our orders by our id and by theirs. `after` puts what ends an order behind its executions."""

    def __init__(
        self, emit: Callable[[Report], None], after: Callable[[int, Callable[[], None]], None]
    ) -> None:
        self._emit = emit
        self._after = after
        self._by_name: dict[str, Working] = {}
        self._by_id: dict[int, Working] = {}

    def find(self, name: str) -> Working | None:
        """By our id."""
        return self._by_name.get(name)

    def open_at(self, con_id: int) -> list[Working]:
        """Orders of a contract that may still work."""
        return [row for row in self._by_name.values() if not row.done and row.contract.conId == con_id]

    def add(self, row: Working) -> None:
        """An order that is about to be written, or that was found there."""
        if len(self._by_name) >= _KEPT:
            for old in [old for old in self._by_name.values() if old.done][: _KEPT // 2]:
                self.drop(old)
        self._by_name[row.name] = row
        self._by_id[row.order_id] = row

    def drop(self, row: Working) -> None:
        """An order that was not written after all."""
        del self._by_name[row.name], self._by_id[row.order_id]

    # --- what is heard ------------------------------------------------------------------------------------------

    def opened(self, contract: Any, order: Any, state: Any, client_id: int) -> None:
        """An order's terms, as they stand at the venue."""
        row = self._by_name.get(order.orderRef)
        if row is None:
            if order.clientId == client_id and order.orderId > 0 and order.orderRef:
                self.add(Working(order.orderRef, order.orderId, contract, order, order.permId, accepted=True))
            return
        row.perm_id = order.permId or row.perm_id
        if state.status in _WORKS:
            self._accept(row)
        change = row.changing
        if change is None:
            row.order.totalQuantity, row.order.lmtPrice = order.totalQuantity, order.lmtPrice
            row.order.auxPrice = order.auxPrice
        elif _stands(order, change):
            row.changing, row.order = None, row.next
            self._emit(
                Replaced(
                    client_order_id=row.name, attempt=change.attempt, broker_order_id=str(row.perm_id),
                    quantity=change.quantity, limit_price=change.limit_price, stop_price=change.stop_price,
                )
            )  # fmt: skip

    def stands(self, number: int, status: str, perm_id: int, filled: float) -> None:
        """An order's status."""
        row = self._by_id.get(number)
        if row is None or row.done:
            return
        row.perm_id = perm_id or row.perm_id
        if status in _WORKS:
            self._accept(row)
            if status == "Submitted" and row.order.orderType in _STOPS and not row.triggered:
                row.triggered = True
                self._emit(Triggered(client_order_id=row.name))
        elif status == "Filled":
            row.done = True  # its executions say the rest
        elif status in _ENDED:
            self._end(row, filled)
        elif status == "Inactive" and row.refused is not None:
            # By itself Inactive may be held, and wait: with a refusal it is one that came late.
            self._end(row, filled)

    def said(self, number: int, code: int, text: str) -> None:
        """A message about an order."""
        row = self._by_id.get(number)
        if row is None:
            return
        if row.done:
            self._late(row, code, text)
        elif row.changing is not None and code in codes.NOT_CHANGED:
            self._unchanged(row, code, text)
        elif row.canceling and code in codes.NOT_CANCELED:
            self._uncanceled(row, code, text)
        elif not row.accepted and not row.perm_id and code in codes.REFUSED:
            row.done = True
            self._emit(Rejected(client_order_id=row.name, code=str(code), reason=text))
        else:
            if code in codes.REFUSED:
                row.refused = (code, text)
            log.warning("TWS says of order %s, which stays as it is: %s %s", row.name, code, text)

    def lost(self) -> None:
        """The connection is gone: what was not confirmed is in doubt."""
        for row in self._by_name.values():
            if row.done:
                continue
            if not row.accepted or row.canceling or row.changing is not None:
                row.changing, row.canceling = None, False
                self._emit(OutcomeUnknown(client_order_id=row.name, reason="the connection was lost"))

    # --- what it means ------------------------------------------------------------------------------------------

    def _accept(self, row: Working) -> None:
        if not row.accepted:
            row.accepted = True
            self._emit(Accepted(client_order_id=row.name, broker_order_id=str(row.perm_id or "")))

    def _end(self, row: Working, filled: float) -> None:
        row.done = True
        reason = " ".join(map(str, row.refused)) if row.refused else ""
        kind = Canceled if row.canceling or row.refused or row.order.tif in _LASTS else Expired
        report = kind(
            client_order_id=row.name,
            reason=reason,
            filled_quantity=exact(filled),
            broker_order_id=str(row.perm_id),
        )
        self._after(row.order_id, lambda: self._emit(report))

    def _unchanged(self, row: Working, code: int, text: str) -> None:
        assert row.changing is not None
        attempt, row.changing = row.changing.attempt, None
        self._emit(ReplaceRejected(client_order_id=row.name, attempt=attempt, code=str(code), reason=text))

    def _uncanceled(self, row: Working, code: int, text: str) -> None:
        row.canceling = False
        known = UNKNOWN_ORDER if code in codes.UNKNOWN_HERE else str(code)
        self._emit(CancelRejected(client_order_id=row.name, code=known, reason=text))

    def _late(self, row: Working, code: int, text: str) -> None:
        """An answer that comes after the end: a change or a cancel came too late."""
        if row.changing is not None and code in codes.NOT_CHANGED:
            self._unchanged(row, code, text)
        elif row.canceling and code in codes.NOT_CANCELED:
            self._uncanceled(row, code, text)
        elif code != codes.CANCELED:
            log.info("TWS says of order %s, which has ended: %s %s", row.name, code, text)


def written(order: Any) -> Any:
    """A copy of an order, to be changed without changing what is known of it."""
    return copy.copy(order)


def _stands(order: Any, change: Replace) -> bool:
    prices = ((change.limit_price, order.lmtPrice), (change.stop_price, order.auxPrice))
    return exact(order.totalQuantity) == change.quantity and all(
        wanted is None or exact(found) == wanted for wanted, found in prices
    )
