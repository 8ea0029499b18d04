"""One wallet at the venue: the simulated venue keeps its books, this keeps what clients may ask about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import attrs

from fairlead import Instrument, Liquidity, OrderIntent, OrderType, Side
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Cancel,
    Canceled,
    Expired,
    FillReport,
    MarketEvent,
    Rejected,
    Report,
    Submit,
    Triggered,
)
from fairlead_sim import Holding, InstrumentFees, SimulatedVenue, WorkingOrder
from fairlead_venue.clock import VenueClock
from fairlead_venue.orders import ZERO, Execution, VenueOrder, Wanted

_NEVER = 1 << 62


@attrs.frozen
class OrderEvent:
    """Something happened to an order: `kind` is new, trade, canceled, expired, rejected, triggered, amended or busted.

    `execution` is the one that a trade or bust is about.
    """

    kind: str
    order: VenueOrder
    execution: Execution | None = None


@attrs.frozen
class BalanceEvent:
    """Money that no order moved: `cause` is funding, deposit or another word of `AccountChanged`."""

    account: str
    currency: str
    amount: Decimal
    cause: str
    instrument: str = ""


class Numbers:
    """The venue's counters of orders and executions, shared by its accounts."""

    def __init__(self) -> None:
        self.orders = count(1001)
        self.executions = count(501)


class Account:
    """One wallet: its cash, positions and orders.

    Events are published while a method that causes them still runs: whoever calls `place` finds the order as it then
    stands, and those who listen have heard all of it. `margined` wallets sell what they do not own.
    """

    def __init__(
        self,
        name: str,
        cash: Mapping[str, Decimal],
        *,
        clock: VenueClock,
        numbers: Numbers,
        publish: Callable[[OrderEvent | BalanceEvent], None],
        margined: bool = False,
        fees_in_base: bool = False,
    ) -> None:
        self.name = name
        self.orders: dict[int, VenueOrder] = {}
        self.executions: list[Execution] = []
        self.cash = dict(cash)
        """What it began with, and what was paid in or out since."""
        self._clock = clock
        self._numbers = numbers
        self._publish = publish
        self._working: dict[str, VenueOrder] = {}
        self._held: dict[int, VenueOrder] = {}
        self._realised: dict[str, Decimal] = {}
        self._silent = False
        self._venue = SimulatedVenue(
            cash, fees=InstrumentFees(spot_buys_in_base=fees_in_base), fill_at="close", borrow=margined
        )
        self._venue.open(self._heard, clock)

    # --- what there is ------------------------------------------------------------------------------------------

    def learn(self, instrument: Instrument) -> None:
        """List an instrument, or change its rules."""
        self._venue.learn(instrument)

    def instrument(self, name: str) -> Instrument:
        """The rules that hold for this account. Raises KeyError."""
        found = self._venue.desk.markets[name].instrument
        if found is None:
            raise KeyError(name)
        return found

    def balance(self, currency: str) -> Decimal:
        """All of a currency."""
        return self._venue.desk.ledger.balance(currency)

    def balances(self) -> dict[str, Decimal]:
        """All currencies."""
        return dict(self._venue.desk.ledger.balances)

    def locked(self) -> dict[str, Decimal]:
        """What open spot orders have reserved, by currency; of linked orders the largest."""
        groups: dict[tuple[str, str], Decimal] = {}
        for order in self.open_orders():
            rules = order.wanted.instrument
            if not rules.spot:
                continue
            left = order.wanted.quantity - order.filled
            price = order.wanted.limit_price or order.wanted.stop_price or self.price(rules.id)
            buy = order.wanted.side is Side.BUY
            amount = rules.notional(left, price) if buy else left * rules.contract_size
            key = (order.wanted.group or str(order.number), rules.quote if buy else rules.base)
            groups[key] = max(groups.get(key, ZERO), amount)
        locked: dict[str, Decimal] = {}
        for (_, currency), amount in groups.items():
            locked[currency] = locked.get(currency, ZERO) + amount
        return locked

    def holding(self, instrument: str) -> Holding:
        """A position; an empty one where there is none."""
        return self._venue.desk.ledger.holdings.get(instrument) or Holding()

    def holdings(self) -> dict[str, Holding]:
        """All positions that there were."""
        return self._venue.desk.ledger.holdings

    def price(self, instrument: str) -> Decimal:
        """What values a position now, on its tick grid; 0 where nothing is known."""
        market = self._venue.desk.markets[instrument]
        return market.rules.price(market.price) if market.price is not None else ZERO

    def touch(self, instrument: str) -> tuple[float | None, float | None]:
        """Best bid and best ask, None where there is none."""
        return self._venue.desk.markets[instrument].touch()

    def initial_margin(self) -> Decimal:
        """What positions and open orders take of the first currency; 0 where no rate is known."""
        return Decimal(str(round(self._venue.desk.margin.initial() or 0.0, 8)))

    def equity(self) -> Decimal:
        """Cash and open profit in the first currency."""
        return Decimal(str(round(self._venue.desk.margin.equity() or 0.0, 8)))

    def open_orders(self) -> Iterator[VenueOrder]:
        """Orders that work, oldest first."""
        found = [order for order in (*self._working.values(), *self._held.values()) if order.open]
        return iter(sorted(found, key=lambda order: order.number))

    # --- what clients do ----------------------------------------------------------------------------------------

    def order(self, wanted: Wanted, *, extra: Mapping[str, object] | None = None) -> VenueOrder:
        """A new order that is not at work yet: `submit` it, or not."""
        now = self._clock.now()
        order = VenueOrder(next(self._numbers.orders), self.name, wanted, now, now, extra=dict(extra or {}))
        self.orders[order.number] = order
        return order

    def place(self, wanted: Wanted, *, extra: Mapping[str, object] | None = None) -> VenueOrder:
        """Make an order and put it to work; a refusal stands on it as `rejected`, with its `code`."""
        order = self.order(wanted, extra=extra)
        self.submit(order)
        return order

    def hold(self, order: VenueOrder) -> None:
        """Take an order in without putting it to work: `submit` it when its trigger is reached."""
        order.held = order.announced = True
        self._held[order.number] = order
        self._note(order, "new")

    def submit(self, order: VenueOrder) -> None:
        """Put what remains of an order to work; one that was held is told of as triggered first."""
        if order.held:
            order.held, order.triggered = False, True
            del self._held[order.number]
            self._note(order, "triggered")
        self._send(order, str(order.number))

    def _send(self, order: VenueOrder, name: str) -> None:
        wanted = order.wanted
        order.working = name
        self._working[name] = order
        intent = OrderIntent(
            strategy="", account="", instrument=wanted.instrument.id, side=wanted.side,
            quantity=wanted.quantity - order.filled, type=wanted.type, limit_price=wanted.limit_price,
            stop_price=wanted.stop_price, trail=wanted.trail, time_in_force=wanted.time_in_force,
            expires_ns=wanted.expires_ns, post_only=wanted.post_only, reduce_only=wanted.reduce_only,
            group=wanted.group,
        )  # fmt: skip
        self._venue.send(Submit(name, intent, intent.quantity, wanted.reduce_only, _NEVER))

    def cancel(self, order: VenueOrder) -> bool:
        """Take an order back; says whether it was there to take."""
        if order.held:
            self._finish(order, "canceled", "canceled", "canceled on request")
            return True
        if not order.open or order.working not in self._working:
            return False
        self._venue.send(Cancel(order.working, "", order.wanted.instrument.id, _NEVER))
        return not order.open

    def end(self, order: VenueOrder, status: str, reason: str = "") -> None:
        """End an order for the venue's own reasons: `canceled`, `expired` or `rejected`."""
        if not order.held:
            self._withdraw(order)
        self._finish(order, status, status, reason)

    def amend(self, order: VenueOrder, **changes: Any) -> str:
        """Change a working order, its number kept; returns why not, in the simulated venue's word, or nothing.

        Less of it keeps its place in the queue. `changes` are fields of `Wanted`.
        """
        old = order.wanted
        new = attrs.evolve(old, **changes)
        if not order.open:
            return "too_late"
        if new.quantity <= order.filled:
            self.end(order, "canceled", "less than has filled")
            return ""
        if order.held:
            order.wanted = new
            self._note(order, "amended")
            return ""
        if new == attrs.evolve(old, quantity=new.quantity) and new.quantity < old.quantity:
            self._shrink(order, old.quantity - new.quantity)
            order.wanted = new
            self._note(order, "amended")
            return ""
        self._withdraw(order)
        order.wanted = new
        self._send(order, f"{order.number}/{next(self._numbers.orders)}")
        if order.status != "rejected":
            return ""
        code = order.code
        order.wanted, order.status, order.code = old, "partially_filled" if order.filled else "new", ""
        self._silent = True
        self._send(order, f"{order.number}/{next(self._numbers.orders)}")
        self._silent = False
        return code

    def reduce(self, order: VenueOrder, by: Decimal) -> None:
        """Make an order smaller that is not at work yet."""
        order.wanted = attrs.evolve(order.wanted, quantity=order.wanted.quantity - by)

    def _shrink(self, order: VenueOrder, by: Decimal) -> None:
        working = self._at_work(order)
        working.quantity -= by
        working.remaining -= by
        self._venue.desk.changed(working)

    def _at_work(self, order: VenueOrder) -> WorkingOrder:
        return self._venue.desk.orders[order.working]

    def _withdraw(self, order: VenueOrder) -> None:
        """Take the books' order back without a word."""
        self._working.pop(order.working, None)
        self._venue.send(Cancel(order.working, "", order.wanted.instrument.id, _NEVER))

    # --- what the venue does ------------------------------------------------------------------------------------

    def market(self, event: MarketEvent) -> None:
        """Match an event."""
        self._venue.market(event)

    def deposit(self, currency: str, amount: Decimal, cause: str = "deposit") -> None:
        """Pay in, or out where the amount is negative."""
        desk = self._venue.desk
        desk.ledger.change(currency, amount)
        desk.moved = True
        self.cash[currency] = self.cash.get(currency, ZERO) + amount
        self._publish(BalanceEvent(self.name, currency, amount, cause))

    def bust(self, execution: Execution) -> None:
        """Take an execution back, its fee too."""
        order = execution.order
        side = ZERO - execution.quantity if order.wanted.side is Side.BUY else execution.quantity
        self._venue.desk.ledger.fill(
            order.wanted.instrument, side, execution.price, -execution.fee, execution.fee_currency
        )
        self._venue.desk.moved = True
        self._realised[order.wanted.instrument.id] = self.holding(order.wanted.instrument.id).realised
        execution.busted = True
        self._note(order, "busted", execution)

    def correct(self, execution: Execution, price: Decimal) -> Execution:
        """Correct an execution's price: it is taken back and made again."""
        self.bust(execution)
        order = execution.order
        signed = execution.quantity if order.wanted.side is Side.BUY else -execution.quantity
        rules = order.wanted.instrument
        realised = self._venue.desk.ledger.fill(rules, signed, price, execution.fee, execution.fee_currency)
        again = attrs.evolve(
            execution, number=next(self._numbers.executions), price=price, realised=realised, busted=False
        )
        self._realised[rules.id] = self.holding(rules.id).realised
        order.executions.append(again)
        self.executions.append(again)
        self._note(order, "trade", again)
        return again

    # --- what the books say -------------------------------------------------------------------------------------

    def _heard(self, report: Report) -> None:
        if isinstance(report, AccountChanged):
            self._publish(
                BalanceEvent(self.name, report.currency, report.amount, report.cause, report.instrument)
            )
            return
        if isinstance(report, FillReport):
            self._filled(report)
            return
        order = self._working.get(getattr(report, "client_order_id", ""))
        if order is None:
            return
        match report:
            case Accepted():
                amended = "/" in order.working
                if amended and not self._silent:
                    self._note(order, "amended")
                elif not order.announced:
                    order.announced = True
                    self._note(order, "new")
            case Rejected(code=code, reason=reason):
                order.code = code
                if "/" in order.working:
                    order.status = "rejected"
                    self._working.pop(order.working, None)
                else:
                    self._finish(order, "rejected", "rejected", reason)
            case Canceled(reason=reason):
                self._finish(order, "canceled", "canceled", reason)
            case Expired(reason=reason):
                self._finish(order, "expired", "expired", reason)
            case Triggered():
                order.triggered = True
                self._note(order, "triggered")

    def _filled(self, report: FillReport) -> None:
        order = self._working.get(report.client_order_id) or self._ordered_by_nobody(report)
        realised = self.holding(report.instrument).realised
        execution = Execution(
            next(self._numbers.executions), order, report.quantity, report.price, report.fee, report.fee_currency,
            report.liquidity is Liquidity.MAKER, report.event_ns,
            realised - self._realised.get(report.instrument, ZERO),
        )  # fmt: skip
        self._realised[report.instrument] = realised
        order.executions.append(execution)
        self.executions.append(execution)
        if order.filled >= order.wanted.quantity:
            order.status = "filled"
            self._working.pop(order.working, None)
        else:
            order.status = "partially_filled"
        self._note(order, "trade", execution)

    def _ordered_by_nobody(self, report: FillReport) -> VenueOrder:
        rules = self.instrument(report.instrument)
        order = self.order(
            Wanted(instrument=rules, side=report.side, type=OrderType.MARKET, quantity=report.quantity)
        )
        order.cause, order.announced = report.cause or "venue", True
        self._note(order, "new")
        return order

    def _finish(self, order: VenueOrder, status: str, kind: str, reason: str) -> None:
        order.status, order.reason, order.held = status, reason, False
        self._working.pop(order.working, None)
        self._held.pop(order.number, None)
        self._note(order, kind)

    def _note(self, order: VenueOrder, kind: str, execution: Execution | None = None) -> None:
        order.updated_ns = self._clock.now()
        self._publish(OrderEvent(kind, order, execution))
