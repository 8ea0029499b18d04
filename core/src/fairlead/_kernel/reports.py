"""What a broker's report means for the account: from reports to facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairlead import facts as f
from fairlead._kernel.apply import VOIDED
from fairlead._kernel.state import ZERO, State
from fairlead._models import reports as r
from fairlead._models.accounts import EXTERNAL, TradingState
from fairlead._models.orders import AT_VENUE, Fill, Liquidity, Order, OrderStatus, OrderType, Side

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

_UNACKNOWLEDGED = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.REJECTED)


_ID = re.compile("[0-9a-f]{32}")


class Reports:
    """One method for each kind of report. A report of an order that nobody here knows changes no order."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._ending: dict[str, r.Canceled] = {}
        self._handlers: dict[type, Callable[[str, Any], None]] = {
            r.Accepted: self._accepted,
            r.Rejected: self._rejected,
            r.NotSent: self._not_sent,
            r.OutcomeUnknown: self._unknown,
            r.Canceled: self._canceled,
            r.CancelRejected: self._cancel_rejected,
            r.Expired: self._expired,
            r.Triggered: self._triggered,
            r.FillReport: self._fill,
            r.FillVoided: self._voided,
            r.AccountChanged: self._account_changed,
            r.StreamDown: self._stream_down,
            r.StreamUp: self._stream_up,
        }

    def handle(self, account: str, report: r.Report) -> None:
        """Turn one report into facts and their consequences."""
        self._handlers[type(report)](account, report)

    def _order(self, report: Any) -> Order | None:
        return self._state.orders.get(report.client_order_id)

    def _record(self, kind: type[f.Fact], order: Order | None, **fields: Any) -> None:
        if order is None:
            return
        self._recorder.record(kind, client_order_id=order.client_order_id, **fields)
        self._kernel.changed(order)

    def _working(self, report: Any) -> Order | None:
        """The order that a report is about, if it may be at the venue."""
        order = self._order(report)
        return order if order is not None and order.status in AT_VENUE else None

    def _accepted(self, account: str, report: r.Accepted) -> None:
        order = self._order(report)
        if order is None or (order.closed and order.status is not OrderStatus.REJECTED):
            return
        known = order.status not in _UNACKNOWLEDGED
        if not known or (report.broker_order_id and report.broker_order_id != order.broker_order_id):
            self._record(f.OrderAccepted, order, broker_order_id=report.broker_order_id)

    def _rejected(self, account: str, report: r.Rejected) -> None:
        self._record(f.OrderRejected, self._working(report), code=report.code, reason=report.reason)

    def _not_sent(self, account: str, report: r.NotSent) -> None:
        order = self._order(report)
        if order is None:
            return
        unanswered = order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL)
        if unanswered and not order.broker_order_id and not order.filled_quantity:
            self._record(f.OrderRejected, order, code="not_sent", reason=f"not sent: {report.reason}")

    def _unknown(self, account: str, report: r.OutcomeUnknown) -> None:
        """No answer to a command says nothing against an answer that came; not to be found at the venue does."""
        order = self._order(report)
        if order is None:
            return
        if order.status is OrderStatus.SUBMITTED:
            self._record(f.OrderUnknown, order, reason=report.reason)
        elif report.looked_up and order.status in AT_VENUE:
            if order.status is not OrderStatus.UNKNOWN:
                self._record(f.OrderUnknown, order, reason=report.reason)
            self._note(f"{order.client_order_id} was {_stood(order)}, and it is unknown now: {report.reason}")

    def _canceled(self, account: str, report: r.Canceled) -> None:
        """An order is over once all that it filled is known: what waits for its end must not run ahead of it."""
        order = self._working(report)
        if order is None:
            return
        name = order.client_order_id
        filled = report.filled_quantity
        voided = any(i.startswith(VOIDED) for i in order.fill_ids)  # venues count those, or not
        if filled is None or filled <= order.filled_quantity or voided:
            self._ending.pop(name, None)
            self._end(f.OrderExpired if order.expiring else f.OrderCanceled, order, report.reason)
        elif name not in self._ending:
            self._ending[name] = report
            self._note(
                f"{name} ended with {filled} filled, and {order.filled_quantity} is known: waiting for the rest"
            )

    def _cancel_rejected(self, account: str, report: r.CancelRejected) -> None:
        """An order that its venue does not know has ended on paper, where that is exact; else nobody knows how."""
        order = self._order(report)
        if order is None or order.status is not OrderStatus.PENDING_CANCEL:
            return
        if report.code == r.UNKNOWN_ORDER and self._kernel.profiles[order.account].environment == "paper":
            reason = f"there was none to cancel: {report.reason or report.code}"
            self._end(f.OrderExpired if order.expiring else f.OrderCanceled, order, reason)
            return
        self._record(f.CancelRefused, order, code=report.code, reason=report.reason)
        self._kernel.held.insist(order)

    def _expired(self, account: str, report: r.Expired) -> None:
        self._end(f.OrderExpired, self._working(report), report.reason)

    def _end(self, kind: type[f.Fact], order: Order | None, reason: str) -> None:
        asked = order is not None and order.status is OrderStatus.PENDING_CANCEL
        self._record(kind, order, reason=reason)
        if order is not None:
            self._kernel.exits.filled(order)  # what was too little to protect alone is all there will be
            if not asked:
                self._kernel.exits.lost(order)

    def _triggered(self, account: str, report: r.Triggered) -> None:
        """A stop that rests at the venue was set off: a stop-limit stands in the book now."""
        order = self._working(report)
        if order is not None and order.type is OrderType.STOP_LIMIT and not order.triggered:
            self._record(f.OrderTriggered, order, price=float(order.stop_price or 0), after=())

    # --- money ----------------------------------------------------------------------------------------------

    def _fill(self, account: str, report: r.FillReport) -> None:
        order = self._order(report)
        if forgotten(self._state, report.client_order_id):
            self._note(
                f"fill {report.fill_id} is of {report.client_order_id}, which ended long ago with all its fills: it "
                f"counts as told again, and is not booked"
            )
            return
        if (order is not None and order.denied) or not self._known(report.instrument):
            self._doubt(account, report)
            return
        if order is not None:
            if report.fill_id in order.fill_ids or VOIDED + report.fill_id in order.fill_ids:
                return
            strategy = order.strategy
            fills = [self._make(account, report, strategy, report.quantity, report.fee, report.fill_id)]
        else:
            if report.fill_id in self._state.external_fills:
                return
            fills = self._shared_out(account, report)
        for fill in fills:
            self._recorder.record(f.Filled, fill=fill, reason=report.cause)
        self._kernel.valuer.rebuild(account)
        if order is not None:
            self._kernel.held.filled(order, report.quantity)
            self._kernel.exits.filled(order)
        for fill in fills:
            self._kernel.exits.trim(account, fill.instrument, fill.strategy)
            runner = self._kernel.runners.get(fill.strategy)
            if runner is not None:
                runner.deliver(runner.strategy.on_fill, fill)
        if order is not None:
            self._kernel.changed(order)
            parent = self._state.carried_out(order)
            if parent is not None:
                self._kernel.exits.filled(parent)
                self._kernel.changed(parent)
            ending = self._ending.get(order.client_order_id)
            if ending is not None:
                self._canceled(account, ending)

    def _known(self, instrument: str) -> bool:
        """Whether an instrument is known, or was in the catalogue and is from now on."""
        if instrument in self._state.instruments:
            return True
        found = self._kernel.catalogue.get(instrument)
        if found is None:
            return False
        self._kernel.feeds.follow(self._kernel.define(found))
        return True

    def _doubt(self, account: str, report: r.FillReport | r.AccountChanged) -> None:
        """Something moved that cannot be booked: the books are not the venue's any more, so no new risk."""
        why = (
            f"{report.instrument} moved on account {account}, and it cannot be booked, so the account may only reduce "
            f"until a person has compared it with its venue: {report}"
        )
        self._note(why)
        scope = f"account:{account}"
        if scope not in self._state.lowered:
            self._recorder.record(
                f.StateChanged, scope=scope, state=TradingState.REDUCE_ONLY, reason=why, who="engine"
            )

    def _note(self, text: str) -> None:
        self._recorder.record(f.Noted, source="reports", text=text)

    def _make(
        self,
        account: str,
        report: r.FillReport | r.FillVoided,
        strategy: str,
        quantity: Decimal,
        fee: Decimal,
        fill_id: str,
    ) -> Fill:
        liquidity = report.liquidity if isinstance(report, r.FillReport) else Liquidity.UNKNOWN
        return Fill(
            fill_id=fill_id,
            client_order_id=report.client_order_id,
            strategy=strategy,
            account=account,
            instrument=report.instrument,
            side=report.side,
            quantity=quantity,
            price=report.price,
            fee=fee,
            fee_currency=report.fee_currency,
            liquidity=liquidity,
            event_ns=report.event_ns or self._recorder.now,
        )

    def _shared_out(self, account: str, report: r.FillReport) -> list[Fill]:
        """What nobody here ordered, split over those whose positions it shrinks; the remainder is EXTERNAL."""
        shares = self._shares(account, report) if report.cause else {}
        shares[EXTERNAL] = shares.get(EXTERNAL, ZERO) + report.quantity - sum(shares.values(), ZERO)
        split = [(strategy, quantity) for strategy, quantity in shares.items() if quantity]
        fills, fee_left = [], report.fee
        for strategy, quantity in split[:-1]:
            fee = report.fee * quantity / report.quantity
            fee_left -= fee
            fills.append(self._make(account, report, strategy, quantity, fee, f"{report.fill_id}:{strategy}"))
        strategy, quantity = split[-1]  # the last one carries the venue's own id, and what rounding left
        fills.append(self._make(account, report, strategy, quantity, fee_left, report.fill_id))
        return fills

    def _shares(self, account: str, report: r.FillReport) -> dict[str, Decimal]:
        """A fill split in proportion to the positions that it shrinks, on the lot grid."""
        found = self._state.instruments[report.instrument]
        selling = report.side is Side.SELL
        held = {
            key.strategy: abs(position.quantity)
            for key, position in self._state.positions.items()
            if (key.account, key.instrument) == (account, report.instrument)
            and key.strategy
            and position.quantity
            and (position.quantity > 0) == selling
        }
        total = sum(held.values(), ZERO)
        if not total:
            return {}
        names = sorted(held)
        amount = min(report.quantity, total)
        shares = {name: found.quantity(amount * held[name] / total) for name in names}
        shares[names[-1]] += amount - sum(shares.values(), ZERO)
        return shares

    def _voided(self, account: str, report: r.FillVoided) -> None:
        order = self._order(report)
        if order is None or report.fill_id not in order.fill_ids:
            return
        fill = self._make(account, report, order.strategy, report.quantity, report.fee, report.fill_id)
        self._recorder.record(f.FillReversed, fill=fill)
        self._kernel.valuer.rebuild(account)
        left = self._state.quantity(account, order.instrument, order.strategy)
        text = f"a fill of {fill.quantity} {order.instrument} was taken back: {order.strategy} holds {left}"
        self._recorder.record(f.Noted, source="reports", text=text)
        self._kernel.exits.voided(order)
        self._kernel.changed(order)

    def _account_changed(self, account: str, report: r.AccountChanged) -> None:
        instrument, flow, valued, shares = report.instrument, 0.0, True, {}
        if instrument and not self._known(instrument):
            self._doubt(account, report)
            instrument = ""  # the money is there all the same
        if report.cause in r.CASH_FLOWS:
            rate = self._kernel.valuer.rate(report.currency, self._state.accounts[account].currency)
            valued = rate is not None
            flow = float(report.amount) * (rate or 0.0)
        if instrument:
            held = {
                key.strategy: position.quantity
                for key, position in self._state.positions.items()
                if key.account == account and key.instrument == instrument and key.strategy
            }
            net = sum(held.values(), ZERO)
            shares = {name: report.amount * part / net for name, part in held.items() if net and part}
            rest = report.amount - sum(shares.values(), ZERO)
            if rest:
                last = next(reversed(shares), EXTERNAL)
                shares[last] = shares.get(last, ZERO) + rest
        self._recorder.record(
            f.CashChanged,
            account=account,
            reason=report.cause,
            currency=report.currency,
            amount=report.amount,
            flow=flow,
            valued=valued,
            instrument=instrument,
            shares=shares,
        )
        self._kernel.books.flowed(account, flow)
        self._kernel.valuer.rebuild(account)

    # --- the private stream ---------------------------------------------------------------------------------

    def _stream_down(self, account: str, report: r.StreamDown) -> None:
        self._recorder.record(f.StreamChanged, account=account, up=False, reason=report.reason)

    def _stream_up(self, account: str, report: r.StreamUp) -> None:
        self._recorder.record(f.StreamChanged, account=account, up=True)


def forgotten(state: State, client_order_id: str) -> bool:
    """Whether an id is of an order of ours that ended so long ago that the state has let it go: its fills are booked.

    An id tells whose order it is, of which start, and its number; the journal has given out numbers up to `intents`.
    """
    if client_order_id in state.orders or not _ID.fullmatch(client_order_id):
        return False
    namespace, epoch, number = (
        int(part, 16) for part in (client_order_id[:4], client_order_id[4:8], client_order_id[8:30])
    )
    return namespace == state.namespace and epoch <= state.epoch and 0 < number <= state.intents


def _stood(order: Order) -> str:
    return f"accepted as {order.broker_order_id}" if order.broker_order_id else "sent"
