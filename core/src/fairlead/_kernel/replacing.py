"""Orders that are changed in place: what their venue's answers, and its silence, say about it.

A change is asked for once. The order is reserved for as the larger of what it was and what it is to be, until an
answer or a look-up tells which it is. What shows the new terms proves them, once the look-up cannot be of an earlier
moment; the old terms prove that nothing was changed only when the request can arrive no more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairlead import facts as f
from fairlead._kernel.clock import TIMER
from fairlead._kernel.fills import CLOCK_ERROR_NS
from fairlead._models import reports as r
from fairlead._models.orders import AT_VENUE, Order, OrderStatus, Terms
from fairlead._models.venue import OrderReport

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

_PROOFS = 2

_Terms = tuple[Decimal, Decimal | None, Decimal | None]
"""Quantity, limit price, stop price."""


class Replacements:
    """What became of each change, by report or by evidence."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._proofs: dict[str, int] = {}

    # --- reports --------------------------------------------------------------------------------------------

    def replaced(self, account: str, report: r.Replaced) -> None:
        """The order works on new terms. An answer to an attempt before the last one says nothing any more."""
        order = self._state.orders.get(report.client_order_id)
        if order is None or order.status not in AT_VENUE or _stale(order, report.attempt):
            return
        asked = order.replacing
        if asked is None and report.quantity is None:
            self._kernel.resolver.look_up(order)  # it was not known to be changed: what is it now?
            return
        quantity = (
            report.quantity if report.quantity is not None else asked.quantity if asked else order.quantity
        )
        limit, stop = (
            (asked.limit_price, asked.stop_price) if asked else (order.limit_price, order.stop_price)
        )
        self._take(
            order,
            quantity,
            limit if report.limit_price is None else report.limit_price,
            stop if report.stop_price is None else report.stop_price,
            report.broker_order_id,
        )

    def rejected(self, account: str, report: r.ReplaceRejected) -> None:
        """The order was not changed; where it may have ended, which can be why, it is looked up."""
        order = self._state.orders.get(report.client_order_id)
        if order is None or order.replacing is None or _stale(order, report.attempt):
            return
        profile = self._kernel.profiles[account]
        definitive = profile.definitive_codes
        if report.code != "not_sent" and definitive is not None and report.code not in definitive:
            self._kernel.resolver.look_up(order)
            return
        self.refuse(order, report.code, report.reason)
        if report.code != "not_sent" and not profile.exact and not order.closed:
            self._kernel.resolver.look_up(order)

    def refuse(self, order: Order, code: str, reason: str) -> None:
        """It stands as it did, and never will be what was asked for in this attempt."""
        self._record(f.ReplaceRefused, order, attempt=order.replacements, code=code, reason=reason)

    def superseded(self, order: Order, report: r.Canceled | r.Expired) -> bool:
        """Whether an ending is of what was replaced, or may be: then it is no ending of the order, or is looked up."""
        theirs = report.broker_order_id
        if theirs and theirs in order.former_ids:
            return True
        if order.replacing is None or not self._kernel.profiles[order.account].replace_renames:
            return False
        if theirs and theirs != order.broker_order_id:
            return False  # of the new one, which so has been there
        self._kernel.resolver.look_up(order)
        return True

    # --- evidence -------------------------------------------------------------------------------------------

    def found(self, order: Order, found: OrderReport, asked_ns: int) -> None:
        """What a look-up, asked for at a time, shows of an order that is being changed, or was."""
        asked, profile = order.replacing, self._kernel.profiles[order.account]
        if asked is None:
            self._settled(order, found, asked_ns)
            return
        old = (asked.before, order.limit_price, order.stop_price)
        new = (asked.quantity, asked.limit_price, asked.stop_price)
        if _shows(found, new, old):
            if profile.exact or asked_ns > order.replace_ns + profile.query_lag_ns:
                self._take(order, *new, found.broker_order_id)
        elif _shows(found, old, new):
            if not found.open:
                self.refuse(order, "closed", "the order has ended as it was")
            elif profile.exact or self._is_proof(order, asked, asked_ns):
                self.refuse(
                    order, f.NOT_ACCEPTED, "its venue never got it: it was valid no longer when asked"
                )
        elif found.open and _differs(order, found) and self._is_proof(order, asked, asked_ns):
            self._adopt(order, found)  # neither: somebody else has changed it

    def _settled(self, order: Order, found: OrderReport, asked_ns: int) -> None:
        """A look-up of an order whose changes are all answered: one that had counted as refused can have been made."""
        if not (order.replacements and found.open and order.status in AT_VENUE and _differs(order, found)):
            return
        profile = self._kernel.profiles[order.account]
        told_ns = order.updated_ns + profile.query_lag_ns + CLOCK_ERROR_NS
        if profile.exact or asked_ns > told_ns:
            self._adopt(order, found)
        else:  # that can be of before it was changed
            self._kernel.schedule(told_ns + 1, lambda: self._kernel.resolver.look_up(order), TIMER, 0)

    def _is_proof(self, order: Order, asked: Terms, asked_ns: int) -> bool:
        """Whether the old terms prove that the new ones will not come: seen twice after the request could arrive."""
        profile, name = self._kernel.profiles[order.account], order.client_order_id
        late = profile.validity_ns is not None and asked_ns > (
            asked.deadline_ns + profile.query_lag_ns + CLOCK_ERROR_NS
        )
        if not late or not self._state.accounts[order.account].stream_up:
            self._proofs.pop(name, None)
            return False
        self._proofs[name] = self._proofs.get(name, 0) + 1
        return self._proofs[name] >= _PROOFS

    def _adopt(self, order: Order, found: OrderReport) -> None:
        self._kernel.reports.fills.note(f"{order.client_order_id} was changed at its venue after all")
        limit = order.limit_price if found.limit_price is None else found.limit_price
        stop = order.stop_price if found.stop_price is None else found.stop_price
        self._take(order, found.quantity, limit, stop, found.broker_order_id)

    # --- what is known --------------------------------------------------------------------------------------

    def _take(
        self,
        order: Order,
        quantity: Decimal,
        limit: Decimal | None,
        stop: Decimal | None,
        broker_order_id: str,
    ) -> None:
        leaving, known_as = order.status is OrderStatus.PENDING_CANCEL, order.broker_order_id
        self._record(
            f.OrderReplaced,
            order,
            attempt=order.replacements,
            quantity=quantity,
            limit_price=limit,
            stop_price=stop,
            broker_order_id=broker_order_id,
        )
        if leaving and not order.closed and order.broker_order_id != known_as:
            self._kernel.desk.cancel(order, "canceled again under its new id")

    def _record(self, kind: type[f.Fact], order: Order, **fields: Any) -> None:
        self._proofs.pop(order.client_order_id, None)
        self._recorder.record(kind, client_order_id=order.client_order_id, **fields)
        self._kernel.reports.fills.measure(order)  # more may have filled than it is to be now
        if order.closed:  # what was too little to protect alone is all there will be
            self._kernel.exits.filled(order)
        self._kernel.changed(order)
        self._kernel.reports.filled(order)


def _stale(order: Order, attempt: int) -> bool:
    return attempt not in (0, order.replacements)


def _shows(found: OrderReport, these: _Terms, those: _Terms) -> bool:
    """Whether a venue shows these terms and not those: in what it tells of them, which may be less than all."""
    told = (found.quantity, found.limit_price, found.stop_price)
    same = all(theirs is None or theirs == mine for theirs, mine in zip(told, these, strict=True))
    return same and any(
        theirs is not None and theirs != other for theirs, other in zip(told, those, strict=True)
    )


def _differs(order: Order, found: OrderReport) -> bool:
    return found.quantity != order.quantity or any(
        mine is not None and theirs is not None and mine != theirs
        for mine, theirs in ((order.limit_price, found.limit_price), (order.stop_price, found.stop_price))
    )
