"""The desk: it books fills, ends orders, keeps linked orders in step; it writes down, then reports, every change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from fairlead import Instrument, Liquidity, Side
from fairlead.ports import AccountChanged, Canceled, Expired, FillReport, OrderReport, Report, Triggered
from fairlead_sim.entries import Changed, Ended, Entry, Executed, Funded, Listed, NewTerms, Placed, Refused
from fairlead_sim.ledger import Ledger
from fairlead_sim.margin import Margin
from fairlead_sim.market import Market
from fairlead_sim.models import FeeModel
from fairlead_sim.orders import WorkingOrder, renew

_ZERO = Decimal(0)


class Desk:
    """The books of one account at the venue, and the only place that changes them.

    `moved` says that money moved since margin was looked at; `renames` that a replaced order gets a new id.
    `log` takes each change before anybody is told of it; `on_end` is told the id of an order that works no more.
    The `enter_…` methods change the books and say nothing: they are what a ledger file is replayed through.
    """

    def __init__(
        self,
        ledger: Ledger,
        currency: str,
        *,
        fees: FeeModel,
        borrow: bool,
        keep: int,
        emit: Callable[[Report], None],
        now: Callable[[], int],
    ) -> None:
        self.ledger = ledger
        self.currency = currency
        self.markets: dict[str, Market] = {}
        self.margin = Margin(ledger, self.markets, currency, borrow=borrow)
        self.borrow = borrow
        self.orders: dict[str, WorkingOrder] = {}
        self.closed: dict[str, OrderReport] = {}
        self.fills: deque[FillReport] = deque(maxlen=keep)
        self.sequence = 0
        self.fill_count = 0
        self.moved = True
        self.renames = False
        self.log: Callable[[Entry], None] = _unlogged
        self.on_end: Callable[[str], None] = _unheard
        self.emit = emit
        self.now = now
        self._fees = fees
        self._keep = keep
        self._groups: dict[str, list[WorkingOrder]] = {}
        self._linked: dict[str, Decimal] = {}

    def learn(self, instrument: Instrument) -> None:
        """List an instrument, or change its rules."""
        market = self.markets.get(instrument.id)
        if market is None:
            market = self.markets[instrument.id] = Market(instrument.id)
        if market.instrument != instrument:
            market.instrument = instrument
            self.margin.learn(instrument)
            self.log(Listed(instrument))

    # --- orders -------------------------------------------------------------------------------------------------

    def place(self, order: WorkingOrder) -> None:
        """Take an accepted order in; what filled of those it is linked to before it came is not left to it."""
        intent = order.intent
        if (
            intent.group and not intent.repeats and not intent.replaces
        ):  # those were cut to what is left already
            order.remaining -= self._linked.get(intent.group, _ZERO)
        self.enter_order(order)
        self.log(Placed(order))

    def enter_order(self, order: WorkingOrder) -> None:
        """Put an order where it is found."""
        self.sequence = max(self.sequence, order.sequence)
        self.orders[order.client_order_id] = order
        self.markets[order.instrument].orders[order.client_order_id] = order
        if order.intent.group:
            self._groups.setdefault(order.intent.group, []).append(order)

    def changed(self, order: WorkingOrder) -> None:
        """Write down that an order's trigger, remainder or place in the queue changed."""
        self.log(
            Changed(
                order.client_order_id, order.remaining, order.stop, order.triggered, order.peak, order.ahead
            )
        )

    def renew(self, order: WorkingOrder, new: WorkingOrder) -> None:
        """Give an order the terms of another one."""
        self.log(NewTerms(new))
        self.enter_terms(new)

    def enter_terms(self, new: WorkingOrder) -> None:
        """Change the terms of an order where it is."""
        self.sequence = max(self.sequence, new.sequence)
        renew(self.orders[new.client_order_id], new)

    def queue(self, order: WorkingOrder, market: Market) -> None:
        """Note what is shown ahead of an order that begins to rest."""
        if order.limit is not None:
            order.ahead = market.displayed(buy=order.buy, price=order.limit)
            if order.ahead:
                self.changed(order)

    def trigger(self, order: WorkingOrder) -> None:
        """Set a stop off."""
        order.triggered = order.fresh = True
        self.changed(order)
        self.emit(Triggered(client_order_id=order.client_order_id, event_ns=self.now()))

    def refuse(self, order: OrderReport) -> None:
        """Remember a rejected order: its id is used."""
        self.enter_closed(order)
        self.log(Refused(order))

    def cancel(self, order: WorkingOrder, reason: str) -> None:
        """End an order and say so."""
        self._end(order, "canceled")
        report = Canceled(
            client_order_id=order.client_order_id,
            event_ns=self.now(),
            reason=reason,
            filled_quantity=order.filled,
            broker_order_id=order.broker_order_id if self.renames else "",
        )
        self.emit(report)

    def expire(self, order: WorkingOrder, reason: str) -> None:
        """End an order whose time is over."""
        self._end(order, "expired")
        theirs = order.broker_order_id if self.renames else ""
        self.emit(
            Expired(
                client_order_id=order.client_order_id,
                event_ns=self.now(),
                reason=reason,
                broker_order_id=theirs,
            )
        )

    def settle(self, order: WorkingOrder) -> None:
        """End an order of which nothing remains though it did not fill whole."""
        if order.open and order.remaining <= 0:
            self.cancel(order, "a linked order filled the rest")

    def _end(self, order: WorkingOrder, status: str) -> None:
        self.enter_end(order, status)
        self.log(Ended(order.client_order_id, status))

    def enter_end(self, order: WorkingOrder, status: str) -> None:
        """Take an order out, leaving what a look-up needs."""
        order.open = False
        del self.orders[order.client_order_id]
        del self.markets[order.instrument].orders[order.client_order_id]
        group = self._groups.get(order.intent.group)
        if group is not None:
            group.remove(order)
            if not group:
                del self._groups[order.intent.group]
        self.enter_closed(order.report(status))
        self.on_end(order.client_order_id)

    def enter_closed(self, report: OrderReport) -> None:
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
            fee, currency = self._fees.fee(order, price, quantity, _liquidity(order), rules)
            total = rules.notional(quantity, price) + (fee if currency == rules.quote else _ZERO)
            cash = self.ledger.balance(rules.quote)
            if total > cash:
                return rules.quantity(max(quantity * cash / total, _ZERO))
        return quantity

    def fill(
        self, order: WorkingOrder, market: Market, quantity: Decimal, price: Decimal, cause: str = ""
    ) -> None:
        """Book one execution, report it, and shrink the orders linked to it."""
        liquidity = _liquidity(order)
        fee, currency = self._fees.fee(order, price, quantity, liquidity, market.rules)
        report = FillReport(
            client_order_id=order.client_order_id,
            event_ns=self.now(),
            fill_id=f"F{self.fill_count + 1}",
            instrument=market.id,
            side=order.side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_currency=currency,
            liquidity=liquidity,
            cumulative_quantity=None if cause else order.filled + quantity,
            cause=cause,
        )
        self.log(Executed(report))
        linked = self.enter_fill(report, order)
        self.emit(report)
        for other in linked:
            if not other.open:
                continue  # whoever heard of the fill has canceled it already
            if other.remaining <= 0:
                self.cancel(other, f"linked order {order.client_order_id} filled")
            else:
                self.changed(other)
            self.markets[other.instrument].arm()

    def enter_fill(self, report: FillReport, order: WorkingOrder | None) -> list[WorkingOrder]:
        """Enter a fill in the ledger, its order and the orders linked to it; returns those that shrank."""
        self.moved = True
        self.fill_count += 1
        self.fills.append(report)
        signed = report.quantity if report.side is Side.BUY else -report.quantity
        rules = self.markets[report.instrument].rules
        self.ledger.fill(rules, signed, report.price, report.fee, report.fee_currency)
        if order is None:
            return []
        order.filled += report.quantity
        order.remaining -= report.quantity
        if order.intent.group:
            self._remember_linked(order.intent.group, report.quantity)
        linked = [other for other in self._groups.get(order.intent.group, ()) if other is not order]
        for other in linked:
            other.remaining -= report.quantity
        if order.filled >= order.quantity and order.client_order_id in self.orders:
            self.enter_end(order, "filled")
        return linked

    def _remember_linked(self, group: str, quantity: Decimal) -> None:
        self._linked[group] = self._linked.pop(group, _ZERO) + quantity
        if len(self._linked) > self._keep:
            del self._linked[next(iter(self._linked))]

    # --- money --------------------------------------------------------------------------------------------------

    def fund(self, market: Market, amount: Decimal) -> None:
        """Book a funding payment and report it."""
        self.log(Funded(market.id, amount))
        self.moved = True
        self.ledger.fund(market.rules, amount)
        report = AccountChanged(
            cause="funding",
            currency=market.rules.settle,
            amount=amount,
            instrument=market.id,
            event_ns=self.now(),
        )
        self.emit(report)


def _liquidity(order: WorkingOrder) -> Liquidity:
    return Liquidity.TAKER if order.fresh or order.limit is None else Liquidity.MAKER


def _unlogged(entry: Entry) -> None:
    """Where changes go that nobody keeps."""


def _unheard(client_order_id: str) -> None:
    """Nobody asked to hear of it."""
