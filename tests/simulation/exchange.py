"""The venue: the simulated one of fairlead-sim behind a counter of its own, with a ledger that nobody else writes.

The ledger is a list of plain tuples in the order in which things happened; the checker reads nothing else of the
venue. Rules of venues that differ are here in both forms: ids that are taken once or again, lists that lag or
forget, fills that are taken back or too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, OrderType, Side
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    FillReport,
    FillVoided,
    Funding,
    Handle,
    OrderReport,
    Quote,
    Rejected,
    Replace,
    ReplaceRejected,
    Report,
    Submit,
)
from fairlead.testing import VirtualClock
from fairlead_sim import FillBySize, SimulatedVenue
from simulation.faults import Weather

STOPS = {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP}
SECOND = 1_000_000_000
ZERO = Decimal(0)


class _Fees:
    """Rate times notional; now and then in a third currency."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather

    def __deepcopy__(self, memo: object) -> _Fees:
        return self

    def fee(
        self, order: Any, price: Decimal, quantity: Decimal, liquidity: Any, instrument: Instrument
    ) -> tuple[Decimal, str]:
        fee = instrument.notional(quantity, price) * instrument.taker_fee
        if self._weather.strikes("acct.fee"):
            return (fee / 512).quantize(Decimal("1e-8")), "BNB"
        return fee, instrument.settle


class _VenueClock:
    """The venue's own clock, which is never wrong."""

    def __init__(self) -> None:
        self._clock = VirtualClock()

    def now(self) -> int:
        return self._clock.now()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Handle:
        return self._clock.call_at(when_ns, callback)


class Exchange:
    """One account at the venue. `push` is given every message of the private stream."""

    def __init__(self, weather: Weather, listed: list[Instrument], cash: dict[str, Decimal]) -> None:
        self.weather = weather
        self.listed = list(listed)
        self.ledger: list[tuple[Any, ...]] = []
        self.push: Callable[[Report], None] = lambda report: None
        self.clock: Clock = _VenueClock()
        self.ids_open_only = False
        self.forgets = False
        self.tells_totals = True
        self.void_next = False
        self.renamed: set[str] = set()
        self.certainly: Callable[[Callable[[], object]], bool] = lambda act: bool(act())
        self.delisted: set[str] = set()
        self.lies: set[str] = set()
        self.venue = SimulatedVenue(cash, instruments=listed, fees=_Fees(weather), fills=FillBySize())
        self.venue.open(self._reported, self.clock)
        self._answers: list[Report] | None = None
        self._former: dict[str, tuple[int, OrderReport]] = {}
        self._asked = ""
        self.opening = dict(cash)

    # --- what comes from the network ------------------------------------------------------------------------

    def handle(self, command: Command, *, committed: bool, late: bool) -> list[Report]:
        """Take a request that arrived; gives what is answered to it. The stream says the rest."""
        now = self.clock.now()
        if isinstance(command, Submit):
            return self._submit(now, command, committed=committed, late=late)
        if isinstance(command, Cancel):
            return self._cancel(now, command)
        if isinstance(command, Replace):
            return self._replace(now, command)
        assert isinstance(command, CancelAll)
        self.ledger.append(("cancel_all", now, command.instrument))
        self.venue.send(command)
        return []

    def _submit(self, now: int, command: Submit, *, committed: bool, late: bool) -> list[Report]:
        intent, name = command.intent, command.client_order_id
        self.ledger.append(("submit", now, name, committed, command.deadline_ns, command.quantity))
        code = ""
        if intent.instrument in self.delisted:
            code = "delisted"
            self.weather.fire("inst.delist")
        elif intent.type in STOPS and self.weather.strikes("stop.reject"):
            code = "would_trigger"
        elif self.weather.strikes("reject"):
            code = "halted"
        if self.ids_open_only and not code:
            self.venue.desk.closed.pop(name, None)
        if code:
            self.ledger.append(("refuse", now, name, code))
            return [Rejected(client_order_id=name, event_ns=now, code=code, reason="the venue says no")]
        return self._do(command)

    def _cancel(self, now: int, command: Cancel) -> list[Report]:
        name = command.client_order_id
        order = self.venue.desk.orders.get(name)
        self.ledger.append(("cancel", now, name))
        if order is not None:
            replaced = "replace.race" if order.intent.replaces else "fill.race"
            if order.limit is not None and self.weather.strikes(replaced):
                half = self.venue.desk.markets[order.instrument].rules.quantity(order.remaining / 2)
                self._execute(name, half if half and self.weather.dice.random() < 0.5 else order.remaining)
            elif self.weather.strikes("cancel.lie"):
                return []
        return self._do(command)

    def _replace(self, now: int, command: Replace) -> list[Report]:
        """Change an order in place; it may fill on the way, and its former id end before the new one is told."""
        name = command.client_order_id
        order = self.venue.desk.orders.get(name)
        self.ledger.append(("replace", now, name, command.quantity))
        if order is None:
            return self._do(command)
        if order.limit is not None and self.weather.strikes("replace.race"):
            half = self.venue.desk.markets[order.instrument].rules.quantity(order.remaining / 2)
            self._execute(name, half if half and self.weather.dice.random() < 0.5 else order.remaining)
        self._former[name] = (now, order.report("open"))
        if not self.venue.desk.renames or not self.weather.strikes("replace.old"):
            return self._do(command)
        push, said = self.push, list[Report]()
        self.push = said.append
        try:
            return self._do(command)
        finally:
            self.push = push
            for report in sorted(said, key=lambda report: not isinstance(report, Canceled)):
                push(report)

    def as_of(self, order: OrderReport, newest: int) -> OrderReport:
        """An order as a look-up that lags shows it: with the terms that it had."""
        changed, former = self._former.get(order.client_order_id, (0, order))
        if changed <= newest:
            return order
        return attrs.evolve(order, quantity=former.quantity, limit_price=former.limit_price)

    def _do(self, command: Submit | Cancel | Replace) -> list[Report]:
        """What the venue says at once is its answer; acceptances, cancels and fills are on the stream as well."""
        self._answers, self._asked = [], command.client_order_id
        try:
            self.venue.send(command)
            return [r for r in self._answers if not isinstance(r, FillReport)]
        finally:
            self._answers = None

    def _reported(self, report: Report) -> None:
        now = self.clock.now()
        match report:
            case Accepted():
                self.ledger.append(("accept", now, report.client_order_id))
            case Canceled(reason="replaced"):
                self.ledger.append(("say", now, report.client_order_id, "Canceled"))
            case Canceled():
                self.ledger.append(("end", now, report.client_order_id, "canceled"))
            case Rejected():
                self.ledger.append(("refuse", now, report.client_order_id, report.code))
            case CancelRejected() | ReplaceRejected():
                pass
            case FillReport():
                report = self._filled(now, report)
            case AccountChanged():
                self._money(now, report)
            case _:
                if hasattr(report, "client_order_id"):
                    self.ledger.append(("say", now, report.client_order_id, type(report).__name__))
        mine = self._answers is not None and getattr(report, "client_order_id", "") == self._asked
        if mine:
            assert self._answers is not None
            self._answers.append(report)
        if isinstance(report, Rejected | CancelRejected | ReplaceRejected):
            return
        self.push(self.told(report))

    # --- fills ----------------------------------------------------------------------------------------------

    def _filled(self, now: int, report: FillReport) -> FillReport:
        self._book(now, report)
        if report.client_order_id and self.weather.strikes("fill.ids"):
            self.renamed.add(report.fill_id)
            return _changed(report, fill_id=f"ws-{report.fill_id}")
        if self.void_next and report.client_order_id:
            self.void_next = False
            asyncio.get_running_loop().call_soon(self._void_at_once)
        if report.client_order_id and self.weather.rolls("fill.over"):
            extra = self.venue.desk.markets[report.instrument].rules.lot
            asyncio.get_running_loop().call_soon(self._overfill, report, extra)
        return report

    def told(self, report: Report) -> Report:
        """A message as this venue says it: with the total of its order, or without."""
        if self.tells_totals or not isinstance(report, FillReport):
            return report
        return _changed(report, cumulative_quantity=None)

    def _book(self, now: int, report: FillReport) -> None:
        signed = report.quantity if report.side is Side.BUY else -report.quantity
        self.ledger.append(
            ("fill", now, report.client_order_id, report.fill_id, report.instrument, signed, report.price,
             report.fee, report.fee_currency, report.cause)
        )  # fmt: skip

    def _foreign(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal,
        *,
        cause: str = "",
        name: str = "",
        filled: Decimal | None = None,
    ) -> None:
        """A fill that no request led to."""
        desk = self.venue.desk
        market = desk.markets[instrument]
        price = market.rules.price(market.price or 0.0)
        report = FillReport(
            client_order_id=name, event_ns=self.clock.now(), fill_id=f"F{desk.fill_count + 1}",
            instrument=instrument, side=side, quantity=quantity, price=price,
            fee=market.rules.notional(quantity, price) * market.rules.taker_fee,
            fee_currency=market.rules.settle, cumulative_quantity=filled, cause=cause,
        )  # fmt: skip
        desk.enter_fill(report, None)
        self._book(self.clock.now(), report)
        self.push(self.told(report))

    def _overfill(self, report: FillReport, extra: Decimal) -> None:
        filled = report.cumulative_quantity or ZERO
        order = self.venue.lookup([report.client_order_id])[report.client_order_id]
        if order is not None and not order.open and order.filled_quantity == order.quantity == filled:
            name = report.client_order_id
            self.weather.fire("fill.over")
            self.venue.desk.closed[name] = attrs.evolve(order, filled_quantity=filled + extra)
            self._foreign(report.instrument, report.side, extra, name=name, filled=filled + extra)

    def _execute(self, name: str, quantity: Decimal) -> None:
        """Fill an order that rests, at its own price."""
        desk = self.venue.desk
        order = desk.orders[name]
        market = desk.markets[order.instrument]
        price = order.intent.limit_price or market.rules.price(market.price or 0.0)
        quantity = desk.allowed(order, market, quantity, price)
        if quantity > 0:
            desk.fill(order, market, quantity, price)
            market.arm()

    def trade_by_hand(self, instrument: str, quantity: Decimal) -> None:
        """Somebody else trades on this account."""
        side = Side.BUY if quantity > 0 else Side.SELL
        self._foreign(instrument, side, abs(quantity))

    def reduce_by_force(self, instrument: str, cause: str) -> bool:
        """The venue closes half of a position; says whether there was one."""
        held = self.venue.desk.ledger.quantity(instrument)
        part = self.venue.desk.markets[instrument].rules.quantity(abs(held) / 2)
        if part:
            self._foreign(instrument, Side.SELL if held > 0 else Side.BUY, part, cause=cause)
        return bool(part)

    def _void_at_once(self) -> None:
        if self.certainly(lambda: self.void(0)):
            self.weather.fire("void.early")

    def void(self, older_than_ns: int = 15 * SECOND) -> bool:
        """Take the last fill of an ended order back, of those that have been told; says whether there was one."""
        newest = self.clock.now() - older_than_ns
        voided = {entry[2] for entry in self.ledger if entry[0] == "void"}
        for report in reversed(self.venue.desk.fills):
            name = report.client_order_id
            told = report.event_ns <= newest and report.fill_id not in voided | self.renamed
            if name in self.venue.desk.closed and told:
                break
        else:
            return False
        desk, now = self.venue.desk, self.clock.now()
        signed = -report.quantity if report.side is Side.BUY else report.quantity
        desk.ledger.fill(
            desk.markets[report.instrument].rules, signed, report.price, -report.fee, report.fee_currency
        )
        desk.fills.remove(report)
        order = desk.closed[name]
        desk.closed[name] = attrs.evolve(order, filled_quantity=order.filled_quantity - report.quantity)
        self.ledger.append(("void", now, report.fill_id, report.client_order_id))
        self.push(
            FillVoided(
                client_order_id=report.client_order_id, event_ns=now, fill_id=report.fill_id,
                instrument=report.instrument, side=report.side, quantity=report.quantity, price=report.price,
                fee=report.fee, fee_currency=report.fee_currency,
            )
        )  # fmt: skip
        return True

    # --- money, and the market --------------------------------------------------------------------------------

    def _money(self, now: int, report: AccountChanged) -> None:
        self.ledger.append(("money", now, report.currency, report.amount, report.cause))

    def move_money(self, amount: Decimal) -> None:
        """A deposit, or a withdrawal."""
        self.venue.desk.ledger.change("USDT", amount)
        cause = "deposit" if amount > 0 else "withdrawal"
        report = AccountChanged(cause=cause, currency="USDT", amount=amount, event_ns=self.clock.now())
        self._money(self.clock.now(), report)
        self.push(report)

    def pay_funding(self, instrument: str, rate: float) -> None:
        """Longs pay shorts, or the other way round."""
        now = self.clock.now()
        self.venue.market(Funding(instrument, rate, now, now))

    def change_rules(self, instrument: Instrument) -> None:
        """From now on an instrument has these rules."""
        self.listed = [instrument if i.id == instrument.id else i for i in self.listed]
        self.venue.learn(instrument)

    def market(self, quote: Quote) -> None:
        """The market moves."""
        self.venue.market(quote)


def _changed(report: FillReport, **fields: Any) -> FillReport:
    import msgspec

    return msgspec.structs.replace(report, **fields)
