"""The desk: it books fills, ends orders, keeps linked orders in step, and liquidates; it writes every report."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from fairlead import Liquidity, Side
from fairlead.ports import Canceled, Expired, FillReport, OrderReport, Report, Triggered
from fairlead_sim.ledger import Ledger
from fairlead_sim.margin import Margin
from fairlead_sim.market import Market
from fairlead_sim.models import FeeModel
from fairlead_sim.orders import WorkingOrder

_ZERO = Decimal(0)


class Placed(msgspec.Struct, tag_field="t"):
    """An order was accepted."""

    order: WorkingOrder


class Changed(msgspec.Struct, tag_field="t"):
    """A working order's trigger moved or went off, or what remains of it shrank."""

    client_order_id: str
    remaining: Decimal
    stop: float | None
    triggered: bool


class Ended(msgspec.Struct, tag_field="t"):
    """An order works no more."""

    client_order_id: str
    status: str


class Executed(msgspec.Struct, tag_field="t"):
    """A fill."""

    fill: FillReport


class Funded(msgspec.Struct, tag_field="t"):
    """A funding payment."""

    instrument: str
    amount: Decimal


Entry = Placed | Changed | Ended | Executed | Funded
"""What changes the venue's books, as a persistent venue logs it."""


class Desk:
    """The books of one account at the venue, and the only place that changes them."""

    def __init__(
        self, ledger: Ledger, currency: str, *, fees: FeeModel, borrow: bool, keep: int,
        emit: Callable[[Report], None], now: Callable[[], int],
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.markets: dict[str, Market] = {}
        self.margin = Margin(ledger, self.markets, currency, borrow=borrow)
        self.borrow = borrow
        self.orders: dict[str, WorkingOrder] = {}
        self.closed: dict[str, OrderReport] = {}
        self.fills: deque[FillReport] = deque(maxlen=keep)
        self.sequence = 0
        self.fill_count = 0
        self.log: Callable[[Entry], None] | None = None
        self.emit = emit
        self.now = now
        self._fees = fees
        self._keep = keep
        self._groups: dict[str, list[WorkingOrder]] = {}

    # --- orders -------------------------------------------------------------------------------------------------

    def place(self, order: WorkingOrder) -> None:
        """Take an accepted order in."""
        self.attach(order)
        if self.log is not None:
            self.log(Placed(order))

    def attach(self, order: WorkingOrder) -> None:
        """Put an order where it is found; used when books are restored, too."""
        self.sequence = max(self.sequence, order.sequence)
        self.orders[order.client_order_id] = order
        self.markets[order.instrument].orders[order.client_order_id] = order
        if order.intent.group:
            self._groups.setdefault(order.intent.group, []).append(order)

    def changed(self, order: WorkingOrder) -> None:
        """Log that an order's trigger or remainder changed."""
        if self.log is not None:
            self.log(Changed(order.client_order_id, order.remaining, order.stop, order.triggered))

    def trigger(self, order: WorkingOrder) -> None:
        """Set a stop off."""
        order.triggered = order.fresh = True
        self.changed(order)
        self.emit(Triggered(client_order_id=order.client_order_id, event_ns=self.now()))

    def cancel(self, order: WorkingOrder, reason: str) -> None:
        """End an order and say so."""
        self.detach(order, "canceled")
        self.emit(
            Canceled(
                client_order_id=order.client_order_id, event_ns=self.now(), reason=reason,
                filled_quantity=order.filled,
            )
        )  # fmt: skip

    def expire(self, order: WorkingOrder, reason: str) -> None:
        """End an order whose time is over."""
        self.detach(order, "expired")
        self.emit(Expired(client_order_id=order.client_order_id, event_ns=self.now(), reason=reason))

    def detach(self, order: WorkingOrder, status: str) -> None:
        """Take an order out of the books, leaving what a look-up needs."""
        order.open = False
        del self.orders[order.client_order_id]
        del self.markets[order.instrument].orders[order.client_order_id]
        group = self._groups.get(order.intent.group)
        if group is not None:
            group.remove(order)
            if not group:
                del self._groups[order.intent.group]
        self.remember(order.report(status))
        if self.log is not None:
            self.log(Ended(order.client_order_id, status))

    def remember(self, report: OrderReport) -> None:
        """Keep a closed order for look-ups; the oldest go when there are too many."""
        self.closed[report.client_order_id] = report
        if len(self.closed) > self._keep:
            del self.closed[next(iter(self.closed))]

    # --- fills --------------------------------------------------------------------------------------------------

    def allowed(self, order: WorkingOrder, market: Market, quantity: Decimal, price: Decimal) -> Decimal:
        """What of a quantity may fill now: a reduce-only order only reduces, and spot is paid in full."""
        rules = market.rules
        if order.reduce_only:
            held = self.ledger.quantity(market.id)
            quantity = min(quantity, max(-held if order.buy else held, _ZERO))
        if rules.spot and not self.borrow and quantity > 0:
            if not order.buy:
                most = self.ledger.balance(rules.base) / rules.contract_size
                return rules.quantity(min(quantity, max(most, _ZERO)))
            fee, currency = self._fees.fee(order, price, quantity, self.liquidity(order), rules)
            cost = rules.notional(quantity, price)
            cash = self.ledger.balance(rules.quote)
            total = cost + fee if currency == rules.quote else cost
            if total > cash:
                return rules.quantity(max(quantity * cash / total, _ZERO))
        return quantity

    @staticmethod
    def liquidity(order: WorkingOrder) -> Liquidity:
        """Whether the order makes or takes at this moment."""
        return Liquidity.TAKER if order.fresh or order.limit is None else Liquidity.MAKER

    def fill(
        self, order: WorkingOrder, market: Market, quantity: Decimal, price: Decimal, cause: str = ""
    ) -> None:
        """Book one execution, report it, and shrink the orders linked to it."""
        rules = market.rules
        liquidity = self.liquidity(order)
        fee, currency = self._fees.fee(order, price, quantity, liquidity, rules)
        self.fill_count += 1
        order.filled += quantity
        order.remaining -= quantity
        report = FillReport(
            client_order_id=order.client_order_id, event_ns=self.now(), fill_id=f"F{self.fill_count}",
            instrument=market.id, side=order.side, quantity=quantity, price=price, fee=fee, fee_currency=currency,
            liquidity=liquidity, cumulative_quantity=None if cause else order.filled, cause=cause,
        )  # fmt: skip
        self.book(report)
        if self.log is not None:
            self.log(Executed(report))
        if not cause and order.remaining <= 0 and order.filled >= order.quantity:
            self.detach(order, "filled")
        self.emit(report)
        if order.intent.group:
            self._shrink(order, quantity)

    def book(self, report: FillReport) -> None:
        """Enter a fill into the ledger; used when books are restored, too."""
        self.fills.append(report)
        rules = self.markets[report.instrument].rules
        signed = report.quantity if report.side is Side.BUY else -report.quantity
        self.ledger.fill(rules, signed, report.price, report.fee, report.fee_currency)

    def _shrink(self, order: WorkingOrder, quantity: Decimal) -> None:
        for other in list(self._groups.get(order.intent.group, ())):
            if other is order or not other.open:
                continue
            other.remaining -= quantity
            if other.remaining <= 0:
                self.cancel(other, f"linked order {order.client_order_id} filled")
            else:
                self.changed(other)
            self.markets[other.instrument].arm()

    def settle(self, order: WorkingOrder) -> None:
        """End an order of which nothing remains though it did not fill whole."""
        if order.open and order.remaining <= 0:
            self.cancel(order, "a linked order filled the rest")

    def snapshot(self) -> Mapping[str, Decimal]:
        """Signed positions by instrument, spot included: the net of our fills."""
        return self.ledger.positions()
