"""What moves money: fills, fills that are taken back, and cash that no fill moved."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead import facts as f
from fairlead._kernel.apply import VOIDED, reached
from fairlead._kernel.identity import Origin, origin
from fairlead._kernel.state import REMEMBERED_FILLS, ZERO, State
from fairlead._models import reports as r
from fairlead._models.accounts import EXTERNAL, TradingState
from fairlead._models.orders import Fill, Liquidity, Order, OrderStatus, Side
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

OVERLAP_NS = 60 * SECOND
"""Fills are asked for from this long before what is booked; those that are known already change nothing."""

CLOCK_ERROR_NS = SECOND // 2
"""How far our clock and a venue's may be apart."""

INFERRED = "inferred:"
"""What the id of a fill begins with that stands in for one that the venue has not listed."""


class Fills:
    """Books each execution once.

    What the venue says an order has filled in all is kept in `told`: a fill beyond it is one that is known under
    another id, and what is missing up to it is still to come.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self.told: dict[str, Decimal] = {}
        self._restored = frozenset(kernel.state.open)
        self._told_ns: dict[str, int] = {}
        self._strange: dict[str, Decimal] = {}
        self._moved: dict[tuple[str, str], int] = {}

    def moved_since(self, account: str, since_ns: int, instrument: str = "") -> bool:
        """Whether a fill or a movement of cash was booked since then, of one instrument or any."""
        return any(
            when >= since_ns and where == account and (not instrument or what == instrument)
            for (where, what), when in self._moved.items()
        )

    def adjust(self, account: str, report: r.FillReport, *, shared: bool) -> None:
        """Book what the venue has and no execution explains, over those whose position it shrinks, or as EXTERNAL."""
        if self.ensure_known(report.instrument):
            alone = [self._make(account, report, EXTERNAL, report.quantity, ZERO, report.fill_id)]
            self._book(account, self._shared_out(account, report) if shared else alone, report.cause)

    def tell(self, order: Order, total: Decimal, as_of_ns: int) -> None:
        """The venue says that an order had filled so much in all, at a time."""
        name = order.client_order_id
        if total >= self.told.get(name, ZERO):
            self.told[name] = total
            self._told_ns[name] = max(as_of_ns, self._told_ns.get(name, 0))

    def strange(self, client_order_id: str) -> Decimal:
        """How much is booked of an order that nobody here knows, as far as this process has heard of it."""
        return self._strange.get(client_order_id, ZERO)

    def missing(self, order: Order) -> Decimal:
        """What the venue has told of an order's fills and not listed.

        0 where some were voided: venues count those, or not.
        """
        told = self.told.get(order.client_order_id, ZERO)
        return ZERO if _voided(order) else max(told - order.filled_quantity, ZERO)

    def known(self, report: r.FillReport) -> bool:
        """Whether an execution is booked already, or was taken back."""
        order = self._state.orders.get(report.client_order_id)
        if order is None:
            return forgotten(self._state, report.client_order_id) or self._booked_as_strange(report)
        if order.strategy == EXTERNAL and self._booked_as_strange(report):
            return True  # before the order was adopted
        return report.fill_id in order.fill_ids or VOIDED + report.fill_id in order.fill_ids

    def _booked_as_strange(self, report: r.FillReport) -> bool:
        """Whether a fill of an order that nobody here knows is booked, under this id or another one."""
        booked, total = self._state.external_fills, report.cumulative_quantity
        if report.fill_id in booked:
            return True
        return total is not None and reached(report, total) in booked

    def take(self, account: str, report: r.FillReport) -> None:
        """Book one execution, unless it is known."""
        order = self._state.orders.get(report.client_order_id)
        if forgotten(self._state, report.client_order_id):
            self.note(
                f"fill {report.fill_id} is of {report.client_order_id}, which ended long ago with all its fills: it "
                f"counts as told again, and is not booked"
            )
        elif (order is not None and order.denied) or not self.ensure_known(report.instrument):
            self._doubt(account, report)
        elif self.known(report):
            return
        elif order is None:
            fills = self._shared_out(account, report)
            total = report.cumulative_quantity if len(fills) == 1 and report.client_order_id else None
            self._book(account, fills, report.cause, total=total)
            if report.client_order_id:
                booked = self._strange.pop(report.client_order_id, ZERO) + report.quantity
                self._strange[report.client_order_id] = booked
                while len(self._strange) > REMEMBERED_FILLS:
                    del self._strange[next(iter(self._strange))]
            if origin(self._state, report.client_order_id) is Origin.LOST:
                self._kernel.reconciliation.lost(
                    account,
                    report.client_order_id,
                    f"a fill of {report.client_order_id}, which the journal never gave out",
                )
        else:
            self._take_ours(order, report)

    def _take_ours(self, order: Order, report: r.FillReport) -> None:
        total = report.cumulative_quantity
        name = order.client_order_id
        if order.status is OrderStatus.HELD:
            self._kernel.reports.sent_unheard(order)
        if total is not None and (name in self.told or name not in self._restored):
            # A fill from before a restart says less than later ones that are booked: only a look-up knows the sum.
            self.tell(order, total, report.event_ns)
        if self._retold(order, report):
            self.note(f"fill {report.fill_id} of {name} is known under another id, and is not booked")
            return
        fill = self._make(order.account, report, order.strategy, report.quantity, report.fee, report.fill_id)
        removed = order.inferred
        for stand_in in removed:
            self._recorder.record(f.FillReversed, fill=stand_in)
        stood_in = sum((one.quantity for one in removed), ZERO)
        self._book(order.account, [fill], report.cause, order, total=total, counted=stood_in)
        self.measure(order)
        if removed and (left := self.missing(order)):
            worth = sum((one.quantity * one.price for one in removed), ZERO) - fill.quantity * fill.price
            price = worth / left if worth > 0 else removed[-1].price
            self._infer(order, left, price, counted=max(stood_in - fill.quantity, ZERO))

    def measure(self, order: Order) -> None:
        """Say it where an order has filled more than was ordered."""
        ordered = order.quantity
        if order.intent.group and self._kernel.profiles[order.account].oco:  # its venue shrinks linked orders
            ordered = max(ordered, order.intent.quantity)
        if order.filled_quantity > ordered:
            self.lower(
                order.account,
                f"{order.client_order_id} filled {order.filled_quantity}, more than the {ordered} ordered; "
                f"all of it is booked",
            )

    def _retold(self, order: Order, report: r.FillReport) -> bool:
        """Whether an execution is booked already, under another id.

        Where the venue numbers executions by the order's total, the total tells; else a sum that it told later than the
        execution, which must contain it. One that may be newer than that sum is booked.
        """
        total = report.cumulative_quantity
        if total is not None:
            return (total, report.quantity, report.price) in order.totals
        told = self.told.get(order.client_order_id)
        inferred = sum((fill.quantity for fill in order.inferred), ZERO)
        listed = order.filled_quantity - inferred + report.quantity
        contained = 0 < report.event_ns < self._told_ns.get(order.client_order_id, 0) - CLOCK_ERROR_NS
        return told is not None and contained and listed > told and not _voided(order)

    def infer(self, order: Order, average: Decimal | None) -> bool:
        """Book what the venue has told of and does not list, so that all of it costs `average`.

        False where there is no such price.
        """
        left = self.missing(order)
        if not left or average is None or average <= 0:
            return not left
        total = order.filled_quantity + left
        worth = total * average - order.filled_quantity * (order.average_price or ZERO)
        self._infer(order, left, worth / left if worth > 0 else average)
        return True

    def _infer(self, order: Order, quantity: Decimal, price: Decimal, *, counted: Decimal = ZERO) -> None:
        rules = self._state.instruments[order.instrument]
        fill = Fill(
            fill_id=f"{INFERRED}{order.client_order_id}:{order.filled_quantity + quantity}:{len(order.fill_ids)}",
            client_order_id=order.client_order_id,
            strategy=order.strategy,
            account=order.account,
            instrument=order.instrument,
            side=order.side,
            quantity=quantity,
            price=price,
            fee=ZERO,
            fee_currency=rules.settle,
            event_ns=self._recorder.now,
        )
        self._book(order.account, [fill], "", order, inferred=True, counted=counted)

    def _book(
        self,
        account: str,
        fills: list[Fill],
        reason: str,
        order: Order | None = None,
        *,
        inferred: bool = False,
        total: Decimal | None = None,
        counted: Decimal = ZERO,
    ) -> None:
        """Book fills. Of an order's fill `counted` has been booked before, by what stood in for it."""
        kernel = self._kernel
        for fill in fills:
            self._moved[account, fill.instrument] = self._recorder.now
            self._recorder.record(f.Filled, fill=fill, reason=reason, inferred=inferred, total=total)
        kernel.valuer.rebuild(account)
        if order is not None:
            kernel.held.filled(order, max(fills[0].quantity - counted, ZERO))
            kernel.exits.filled(order)
        for fill in fills:
            kernel.exits.trim(account, fill.instrument, fill.strategy)
            runner = kernel.runners.get(fill.strategy)
            if runner is not None:
                runner.deliver(runner.strategy.on_fill, fill)
        if order is not None:
            kernel.changed(order)
            parent = self._state.carried_out(order)
            if parent is not None:
                kernel.exits.filled(parent)
                kernel.changed(parent)
            kernel.reports.filled(order)

    def ensure_known(self, instrument: str) -> bool:
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
        self.lower(account, why)

    def lower(self, account: str, why: str) -> None:
        """What should not be is said aloud, and takes no new risk until a person has looked."""
        self.note(why)
        scope = f"account:{account}"
        if scope not in self._state.lowered:
            self._recorder.record(
                f.StateChanged, scope=scope, state=TradingState.REDUCE_ONLY, reason=why, who="engine"
            )

    def note(self, text: str) -> None:
        """Write something down that a person should read."""
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

    def take_back(self, account: str, report: r.FillVoided) -> None:
        """The venue took an execution back."""
        order = self._state.orders.get(report.client_order_id)
        if order is None or (order.strategy == EXTERNAL and report.fill_id in self._state.external_fills):
            self._take_back_strange(account, report)
            return
        if report.fill_id not in order.fill_ids:
            if VOIDED + report.fill_id not in order.fill_ids:
                name = order.client_order_id
                self._recorder.record(f.FillDisowned, client_order_id=name, fill_id=report.fill_id)
            return
        fill = self._make(account, report, order.strategy, report.quantity, report.fee, report.fill_id)
        self._recorder.record(f.FillReversed, fill=fill)
        self._kernel.valuer.rebuild(account)
        left = self._state.quantity(account, order.instrument, order.strategy)
        text = f"a fill of {fill.quantity} {order.instrument} was taken back: {order.strategy} holds {left}"
        self._recorder.record(f.Noted, source="reports", text=text)
        self._kernel.exits.voided(order)
        self._kernel.changed(order)

    def _take_back_strange(self, account: str, report: r.FillVoided) -> None:
        """Nobody here ordered what was taken back, or the journal lost who did: it was booked as EXTERNAL."""
        booked = self._state.external_fills
        if report.fill_id not in booked or VOIDED + report.fill_id in booked:
            return
        fill = self._make(account, report, EXTERNAL, report.quantity, report.fee, report.fill_id)
        self._recorder.record(f.FillReversed, fill=fill)
        self._kernel.valuer.rebuild(account)
        self.note(f"a fill of {fill.quantity} {fill.instrument} that nobody here ordered was taken back")

    def move_cash(self, account: str, report: r.AccountChanged) -> None:
        """Book money that no fill moved."""
        instrument, flow, valued, shares = report.instrument, 0.0, True, {}
        if instrument and not self.ensure_known(instrument):
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
        self._moved[account, instrument] = self._recorder.now
        self._kernel.books.flowed(account, flow)
        self._kernel.valuer.rebuild(account)


def _voided(order: Order) -> bool:
    stand_in = VOIDED + INFERRED
    return any(name.startswith(VOIDED) and not name.startswith(stand_in) for name in order.fill_ids)


def forgotten(state: State, client_order_id: str) -> bool:
    """Whether an id is of an order of ours that the state has let go, so long ago it ended: its fills are booked."""
    if client_order_id in state.orders or client_order_id in state.orphans:
        return False
    return origin(state, client_order_id) is Origin.OURS
