"""What a broker's report means for an order: from reports to facts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairlead import facts as f
from fairlead._kernel.deadman import CAUSE
from fairlead._kernel.desk import on_the_wire
from fairlead._kernel.fills import OVERLAP_NS, Fills
from fairlead._kernel.replacing import Replacements
from fairlead._models import reports as r
from fairlead._models.orders import AT_VENUE, Order, OrderStatus, OrderType

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

_ASKED = (OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
"""Orders whose venue is asked what became of them in any case."""

_UNACKNOWLEDGED = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.REJECTED)

Ending = tuple[type[f.Fact], str]
"""How an order ends: OrderCanceled or OrderExpired, and why."""


class Reports:
    """One method for each kind of report. A report of an order that nobody here knows changes no order.

    `ending` are the orders that are over at their venue, and whose fills are not all known yet.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self.fills = fills = Fills(kernel)
        self.replacements = replacements = Replacements(kernel)
        self.ending: dict[str, Ending] = {}
        self._handlers: dict[type, Callable[[str, Any], None]] = {
            r.Accepted: self._accepted,
            r.Rejected: self._rejected,
            r.NotSent: self._not_sent,
            r.OutcomeUnknown: self._unknown,
            r.Canceled: self._canceled,
            r.CancelRejected: self._cancel_rejected,
            r.Replaced: replacements.replaced,
            r.ReplaceRejected: replacements.rejected,
            r.Expired: self._expired,
            r.Triggered: self._triggered,
            r.FillReport: fills.take,
            r.FillVoided: fills.take_back,
            r.AccountChanged: fills.move_cash,
            r.LookedUp: self._looked_up,
            r.Backfilled: self._backfilled,
            r.SnapshotTaken: self._snapshot_taken,
            r.Unanswered: self._unanswered,
            r.StreamDown: self._stream_down,
            r.StreamUp: self._stream_up,
            r.DeadManSet: kernel.dead_men.is_set,
            r.DeadManFired: kernel.dead_men.has_fired,
        }

    def handle(self, account: str, report: r.Report) -> None:
        """Turn one report into facts and their consequences."""
        self._handlers[type(report)](account, report)

    def _order(self, report: Any) -> Order | None:
        return self._state.orders.get(report.client_order_id)

    def _record(self, kind: type[f.Fact], order: Order, **fields: Any) -> None:
        self._recorder.record(kind, client_order_id=order.client_order_id, **fields)
        self._kernel.changed(order)

    def _working(self, report: Any) -> Order | None:
        """The order that a report is about, if it may be at the venue."""
        order = self._order(report)
        return order if order is not None and order.status in AT_VENUE else None

    # --- what became of an order ----------------------------------------------------------------------------

    def accept(self, order: Order, broker_order_id: str) -> None:
        """The venue has it. One that had been given up works after all: it is adopted, and taken back."""
        if order.closed and order.status is not OrderStatus.REJECTED:
            return
        known = order.status not in _UNACKNOWLEDGED
        adopted = order.status is OrderStatus.REJECTED
        if broker_order_id in order.former_ids:  # told late, or twice: it has another one by now
            broker_order_id = ""
        if not known or (broker_order_id and broker_order_id != order.broker_order_id):
            self._record(f.OrderAccepted, order, broker_order_id=broker_order_id)
        if adopted:
            self.fills.note(
                f"{order.client_order_id} was given up, and works at its venue: it is canceled there"
            )
            self._kernel.desk.cancel(order, "it had been given up")

    def sent_unheard(self, order: Order) -> None:
        """The venue knows an order that is held here: it was sent, and the journal lost that."""
        profile = self._kernel.profiles[order.account]
        intent = on_the_wire(order, profile)
        self._record(
            f.OrderSubmitted,
            order,
            intent=intent,
            quantity=intent.quantity,
            deadline_ns=self._recorder.now,
            reduce_only=intent.reduce_only and profile.reduce_only,
        )
        name = order.client_order_id
        what = f"the order {name}, which is held here"
        self._kernel.reconciliation.lost(order.account, name, what)

    def refuse(self, order: Order, code: str, reason: str) -> None:
        """It is not at the venue, and never will be."""
        self._record(f.OrderRejected, order, code=code, reason=reason)

    def give_up(self, order: Order, reason: str) -> None:
        """A person vouches that it is not at the venue. Should it appear after all, it is adopted and canceled."""
        self.refuse(order, f.NOT_ACCEPTED, reason)

    def lapse(self, order: Order, reason: str) -> None:
        """An order that nobody here placed is over, whatever it filled: fills are booked as they are listed."""
        self._record(f.OrderCanceled, order, reason=reason)

    def doubt(self, order: Order, reason: str) -> None:
        """Nobody knows whether it works: it is reserved for, and its venue is asked."""
        if order.status not in _ASKED:
            self._record(f.OrderUnknown, order, reason=reason)

    def end(self, order: Order, reason: str, filled: Decimal | None, *, expired: bool = False) -> None:
        """It is over at its venue, and here once all that it filled is known.

        What waits for its end must not run ahead of its fills.

        `filled` is the venue's own figure; without one an exact venue has told all, and another one is asked.
        """
        name = order.client_order_id
        if filled is not None:
            self.fills.tell(order, filled, self._recorder.now)
        elif not self._kernel.profiles[order.account].exact:
            self._wait(order, reason, expired=expired)
            return
        if self.fills.missing(order):
            self._wait(order, reason, expired=expired)
            return
        self.ending.pop(name, None)
        asked = order.status is OrderStatus.PENDING_CANCEL
        if not asked and not expired and self._kernel.dead_men.explains(order):
            reason = f"{CAUSE} ({reason})" if reason else CAUSE
        self._record(f.OrderExpired if expired or order.expiring else f.OrderCanceled, order, reason=reason)
        self._kernel.exits.filled(order)  # what was too little to protect alone is all there will be
        if not asked:
            self._kernel.exits.lost(order)

    def _wait(self, order: Order, reason: str, *, expired: bool) -> None:
        name = order.client_order_id
        if name not in self.ending:
            self.ending[name] = (f.OrderExpired if expired else f.OrderCanceled, reason)
            left = self.fills.missing(order)
            what = (
                f"{left} of its fills is not known yet"
                if left
                else "its venue did not say how much it filled"
            )
            self.fills.note(f"{name} ended, and {what}: waiting for the rest")
            self._kernel.resolver.look_up(order)

    def filled(self, order: Order) -> None:
        """One more of its fills is booked: it may be all that its end waited for."""
        name = order.client_order_id
        if order.status not in AT_VENUE:
            self.ending.pop(name, None)
        elif self.fills.missing(order):
            self._kernel.resolver.look_up(order)
        elif name in self.ending and name in self.fills.told:
            kind, reason = self.ending[name]
            self.end(order, reason, order.filled_quantity, expired=kind is f.OrderExpired)

    # --- reports --------------------------------------------------------------------------------------------

    def _accepted(self, account: str, report: r.Accepted) -> None:
        order = self._order(report)
        if order is not None:
            self.accept(order, report.broker_order_id)

    def _rejected(self, account: str, report: r.Rejected) -> None:
        order = self._working(report)
        if order is None:
            return
        definitive = self._kernel.profiles[account].definitive_codes
        if report.code == r.DUPLICATE_ID:
            why = "its venue has an order of this id already"
        elif definitive is not None and report.code not in definitive:
            why = f"its venue said {report.code} ({report.reason}), which proves nothing"
        elif _acknowledged(order) and not self._kernel.profiles[account].exact:
            why = f"its venue refused it ({report.code or report.reason}) after it had taken it"
        else:
            self.refuse(order, report.code, report.reason)
            return
        self.doubt(order, why)
        self._kernel.resolver.look_up(order)

    def _not_sent(self, account: str, report: r.NotSent) -> None:
        order = self._order(report)
        if order is None:
            return
        if order.status is OrderStatus.PENDING_REPLACE:
            self.replacements.refuse(order, "not_sent", f"not sent: {report.reason}")
            return
        if order.status is OrderStatus.PENDING_CANCEL:  # the order itself, or its cancel alone?
            self._kernel.resolver.look_up(order)
            return
        unanswered = order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)
        if unanswered and not order.broker_order_id and not order.filled_quantity:
            self.refuse(order, "not_sent", f"not sent: {report.reason}")

    def _unknown(self, account: str, report: r.OutcomeUnknown) -> None:
        """No answer to a command says nothing against an answer that came."""
        order = self._working(report)
        if order is None:
            return
        if order.status is OrderStatus.SUBMITTED:
            self.doubt(order, report.reason)
        if order.status in _ASKED:
            self._kernel.resolver.look_up(order)

    def _canceled(self, account: str, report: r.Canceled) -> None:
        order = self._working(report)
        if order is not None and not self.replacements.superseded(order, report):
            self.end(order, report.reason, report.filled_quantity)

    def _expired(self, account: str, report: r.Expired) -> None:
        order = self._working(report)
        if order is not None and not self.replacements.superseded(order, report):
            self.end(order, report.reason, report.filled_quantity, expired=True)

    def _cancel_rejected(self, account: str, report: r.CancelRejected) -> None:
        """A refused cancel proves nothing: the order is looked up, and canceled again where it still works."""
        order = self._order(report)
        if order is None or order.status is not OrderStatus.PENDING_CANCEL:
            return
        if report.code == r.UNKNOWN_ORDER and self._kernel.profiles[account].exact:
            self.end(
                order, f"there was none to cancel: {report.reason or report.code}", order.filled_quantity
            )
            return
        self._record(f.CancelRefused, order, code=report.code, reason=report.reason)
        self._kernel.resolver.look_up(order)

    def _triggered(self, account: str, report: r.Triggered) -> None:
        """A stop that rests at the venue was set off: a stop-limit stands in the book now."""
        order = self._working(report)
        if order is not None and order.type is OrderType.STOP_LIMIT and not order.triggered:
            self._record(f.OrderTriggered, order, price=float(order.stop_price or 0), after=())

    def _looked_up(self, account: str, report: r.LookedUp) -> None:
        self._kernel.resolver.looked_up(account, report)

    def _backfilled(self, account: str, report: r.Backfilled) -> None:
        # What others did so long ago is booked, even if its id is remembered no more.
        floor = self._state.accounts[account].fills_until_ns - OVERLAP_NS
        floor -= self._kernel.profiles[account].query_lag_ns
        for fill in report.fills:
            if fill.client_order_id in self._state.orders or not 0 < fill.event_ns < floor:
                self.fills.take(account, fill)
        self._recorder.record(f.FillsListed, account=account, until_ns=report.asked_ns)
        self._kernel.resolver.backfilled(account, report)

    def _snapshot_taken(self, account: str, report: r.SnapshotTaken) -> None:
        self._kernel.reconciliation.taken(account, report)

    def _unanswered(self, account: str, report: r.Unanswered) -> None:
        asker = self._kernel.reconciliation if report.snapshot else self._kernel.resolver
        asker.unanswered(account, report)

    # --- the private stream ---------------------------------------------------------------------------------

    def _stream_down(self, account: str, report: r.StreamDown) -> None:
        self._recorder.record(f.StreamChanged, account=account, up=False, reason=report.reason)

    def _stream_up(self, account: str, report: r.StreamUp) -> None:
        self._recorder.record(f.StreamChanged, account=account, up=True)
        self._kernel.dead_men.reconnected(account)
        self._kernel.resolver.reconnected(account)
        self._kernel.reconciliation.reconnected(account)


def _acknowledged(order: Order) -> bool:
    """Whether the venue has shown that it has an order."""
    return bool(order.broker_order_id or order.filled_quantity)
