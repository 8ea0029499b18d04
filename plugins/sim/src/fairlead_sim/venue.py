"""The simulated venue: market events and commands in, reports out, with its own books."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from math import inf, isfinite
from typing import TypeVar

from fairlead import (
    Bar,
    Book,
    ConfigurationError,
    Funding,
    Instrument,
    Mark,
    Quote,
    TimeInForce,
    Trade,
    decimal,
    duration,
)
from fairlead.ports import (
    Accepted,
    ArmDeadMan,
    Cancel,
    CancelRejected,
    Clock,
    Command,
    FillReport,
    Handle,
    MarketEvent,
    OrderReport,
    Rejected,
    Replace,
    Report,
    Snapshot,
    Submit,
)
from fairlead_sim.admission import malformed, refusal
from fairlead_sim.deadman import DeadMan
from fairlead_sim.desk import Desk
from fairlead_sim.ledger import Ledger
from fairlead_sim.market import Market
from fairlead_sim.matching import Matcher
from fairlead_sim.models import (
    FeeModel,
    FillBySize,
    FillModel,
    FixedLatency,
    InstrumentFees,
    LatencyModel,
    NoSlippage,
    SlippageModel,
)
from fairlead_sim.orders import WorkingOrder, working
from fairlead_sim.replacing import replace

_DAY = 86_400_000_000_000
Model = TypeVar("Model")


class SimulatedVenue:
    """One account at a simulated venue.

    `cash` is what it starts with, by currency; the first is the currency that margin is measured in. Models
    default to the instruments' own fees, no slippage, no latency and fills by the size shown. `fill_at` says where
    a market order trades when bars are the finest data: at the next bar's "open" or at the "close" just seen.
    `report_delay` is how long answers travel. `borrow` allows selling spot that is not owned, against margin.
    `keep` is how many fills and closed orders it remembers, `renames` gives replaced orders new ids. Nothing here reads
    a clock but the one of `open`.
    """

    def __init__(
        self,
        cash: Mapping[str, Decimal],
        *,
        instruments: Iterable[Instrument] = (),
        fees: FeeModel | None = None,
        slippage: SlippageModel | None = None,
        latency: LatencyModel | None = None,
        fills: FillModel | None = None,
        fill_at: str = "open",
        report_delay: str | int = 0,
        borrow: bool = False,
        keep: int = 100_000,
        renames: bool = False,
    ) -> None:
        if not cash:
            raise ConfigurationError("a simulated account needs cash: pass an amount such as '100_000 USDT'")
        if fill_at not in {"open", "close"}:
            raise ConfigurationError(f"fill_at is {fill_at!r}: write 'open' (the next bar's) or 'close'")
        self._emit: Callable[[Report], None] = _nowhere
        self._clock: Clock | None = None
        self.desk = Desk(
            Ledger.of(cash), next(iter(cash)), fees=_own(fees, InstrumentFees), borrow=borrow, keep=keep,
            emit=self._report, now=self._now,
        )  # fmt: skip
        self._matcher = Matcher(
            self.desk,
            slippage=_own(slippage, NoSlippage),
            fills=_own(fills, FillBySize),
        )
        self.desk.renames = renames
        self._dead_man = DeadMan(self._report, partial(self._cancel_all, "", "the dead-man switch"))
        self._latency = _own(latency, FixedLatency)
        self._delay = duration(report_delay)
        self._at_close = fill_at == "close"
        self.desk.on_end = self._forget_end
        self._markets = self.desk.markets
        self._arrival = 0
        self._travelling = 0
        self._expiries: dict[str, Handle] = {}
        for instrument in instruments:
            self.learn(instrument)

    def open(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Begin to report, by this clock; orders restored from earlier get their ends of time again."""
        self._emit = emit
        self._clock = clock
        self._arrival = self._travelling = 0  # what travelled when an earlier clock stopped never arrives
        for order in list(self.desk.orders.values()):
            self._schedule_end(order)

    def learn(self, instrument: Instrument) -> None:
        """List an instrument, or change its rules."""
        self.desk.learn(instrument)

    @property
    def instruments(self) -> list[Instrument]:
        """What is listed."""
        return [market.instrument for market in self._markets.values() if market.instrument is not None]

    # --- market events ----------------------------------------------------------------------------------------

    def market(self, event: MarketEvent) -> None:
        """Match one market event; without a working order or a position near its limit this only remembers it."""
        market = self._markets.get(event.instrument)
        if market is None:
            market = self._markets[event.instrument] = Market(event.instrument)
        kind = type(event)
        if kind is Quote:
            if market.low < event.bid and event.ask < market.high:  # type: ignore[union-attr]
                market.top = event  # type: ignore[assignment]
                return
        elif kind is Bar:
            if not market.finest(event):  # type: ignore[arg-type]
                return
            if market.low < event.low and event.high < market.high:  # type: ignore[union-attr]
                market.bar = event  # type: ignore[assignment]
                return
        elif kind is Trade and market.low < event.price < market.high:  # type: ignore[union-attr]
            market.trade = event  # type: ignore[assignment]
            return
        self._match(market, event)

    def _match(self, market: Market, event: MarketEvent) -> None:
        market.event = event
        match event:
            case Quote(bid=bid, ask=ask):
                if bid <= ask:
                    market.top = event
                    self._matcher.tick(market)
            case Book():
                market.top = event
                if market.low != -inf or market.high != inf:
                    self._matcher.tick(market)
            case Bar():
                if event.low > 0 and isfinite(event.open + event.high + event.low + event.close):
                    market.bar = event
                    self._matcher.bar(market, event)
            case Trade(price=price):
                if 0 < price < inf:
                    market.trade = event
                    self._matcher.trade(market, event)
            case Mark(price=price) if 0 < price < inf:
                market.mark = price
                if not market.margin_low < price < market.margin_high:
                    self._matcher.check(market)
            case Funding() if isfinite(event.rate):
                self._fund(market, event)

    def _fund(self, market: Market, event: Funding) -> None:
        """Longs pay rate × notional at the mark, shorts receive it; the other way round when the rate is negative."""
        quantity = self.desk.ledger.quantity(market.id)
        price = market.price
        if not quantity or price is None or market.rules.spot:
            return
        rules = market.rules
        amount = -rules.notional(quantity, rules.price(price)) * decimal(event.rate, "funding rate")
        self.desk.fund(market, amount)
        self._matcher.check(market)

    # --- commands ---------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Take a command; it arrives after the latency, never before one that was sent earlier."""
        delay = self._latency.delay(command)
        if delay <= 0 and not self._travelling:
            self._arrive(command)
            return
        clock = self._running()
        self._arrival = max(clock.now() + delay, self._arrival)
        self._travelling += 1
        clock.call_at(self._arrival, partial(self._land, command))

    def _land(self, command: Command) -> None:
        self._travelling -= 1
        self._arrive(command)

    def _arrive(self, command: Command) -> None:
        match command:
            case Submit():
                self._submit(command)
            case Cancel(client_order_id=name):
                order = self.desk.orders.get(name)
                if order is not None:
                    self.desk.cancel(order, "canceled on request")
                    self._markets[order.instrument].arm()
                else:
                    code = "too_late" if name in self.desk.closed else "unknown_order"
                    self._report(
                        CancelRejected(
                            client_order_id=name,
                            event_ns=self._now(),
                            code=code,
                            reason="no such working order",
                        )
                    )
            case Replace():
                order = replace(self.desk, command)
                if order is not None:
                    self._meet(order, self._markets[order.instrument])
            case ArmDeadMan(timeout_ns=timeout):
                self._dead_man.arm(self._running(), timeout)
            case _:
                self._cancel_all(command.instrument, "canceled on request")

    def _cancel_all(self, instrument: str, reason: str) -> None:
        for order in list(self.desk.orders.values()):
            if instrument in {"", order.instrument}:
                self.desk.cancel(order, reason)
                self._markets[order.instrument].arm()

    def _submit(self, command: Submit) -> None:
        now = self._now()
        desk = self.desk
        market = self._markets.get(command.intent.instrument)
        if now > command.deadline_ns:
            self._reject(command, "expired", "it arrived after its deadline")
        elif command.client_order_id in desk.orders or command.client_order_id in desk.closed:
            self._reject(command, "duplicate_id", "an order of this id was sent before")
        elif market is None or market.instrument is None:
            self._reject(command, "unknown_instrument", f"{command.intent.instrument} is not listed here")
        elif (wrong := malformed(command, market.instrument)) is not None:
            self._reject(command, *wrong)
        else:
            ends = _end_of(command, now)
            order = working(command, desk.sequence + 1, now, ends)
            if ends and ends <= now:
                self._reject(command, "expired", "its time in force ended before it arrived")
            elif (wrong := refusal(order, market, desk)) is not None:
                self._reject(command, *wrong)
            else:
                self._place(order, market)

    def _place(self, order: WorkingOrder, market: Market) -> None:
        order.fresh = not order.intent.post_only
        if order.trail:
            bid, ask = market.touch()
            order.follow((ask if order.buy else bid) or 0.0)
        self.desk.place(order)
        self._report(
            Accepted(
                client_order_id=order.client_order_id, broker_order_id=order.broker_order_id,
                event_ns=order.accepted_ns,
            )
        )  # fmt: skip
        if order.remaining <= 0:
            self.desk.settle(order)
            return
        self._meet(order, market)
        self._schedule_end(order)

    def _meet(self, order: WorkingOrder, market: Market) -> None:
        """Let an order that is new, or as good as new, meet the market."""
        if not market.bars_only or self._at_close:
            market.event = market.top or market.trade or market.bar
            self._matcher.enter(market, order)
        else:
            market.arm()

    def _reject(self, command: Submit, code: str, reason: str) -> None:
        name = command.client_order_id
        if code != "duplicate_id":
            self.desk.refuse(
                OrderReport(
                    client_order_id=name,
                    broker_order_id="",
                    instrument=command.intent.instrument,
                    open=False,
                    quantity=command.quantity,
                    filled_quantity=Decimal(0),
                    status="rejected",
                )
            )
        self._report(Rejected(client_order_id=name, event_ns=self._now(), code=code, reason=reason))

    # --- time ---------------------------------------------------------------------------------------------------

    def _schedule_end(self, order: WorkingOrder) -> None:
        """An order ends just after its last moment, so that a bar which closes then still meets it."""
        if order.expires_ns and order.open:
            name = order.client_order_id
            self._expiries[name] = self._running().call_at(order.expires_ns + 1, partial(self._end, name))

    def _end(self, name: str) -> None:
        self._expiries.pop(name, None)
        order = self.desk.orders.get(name)
        if order is not None:
            self.desk.expire(order, f"{order.intent.time_in_force}: its time ended")
            self._markets[order.instrument].arm()

    def _forget_end(self, name: str) -> None:
        handle = self._expiries.pop(name, None)
        if handle is not None:
            handle.cancel()

    def _now(self) -> int:
        return self._running().now()

    def _running(self) -> Clock:
        if self._clock is None:
            raise ConfigurationError("the simulated venue is not connected: call connect (or open) first")
        return self._clock

    # --- answers ------------------------------------------------------------------------------------------------

    def _report(self, report: Report) -> None:
        if self._delay:
            clock = self._running()
            clock.call_at(clock.now() + self._delay, partial(self._emit, report))
        else:
            self._emit(report)

    def snapshot(self) -> Snapshot:
        """Open orders, net positions with their entry prices, and balances; only balances that are not zero."""
        ledger = self.desk.ledger
        return Snapshot(
            orders=tuple(order.report("open") for order in self.desk.orders.values()),
            positions=ledger.positions(),
            balances={name: amount for name, amount in ledger.balances.items() if amount},
            entry_prices={
                name: held.average_price for name, held in ledger.holdings.items() if held.quantity
            },
        )

    def lookup(self, client_order_ids: Sequence[str]) -> dict[str, OrderReport | None]:
        """What is known of these orders; None where nothing is."""
        found: dict[str, OrderReport | None] = {}
        for name in client_order_ids:
            order = self.desk.orders.get(name)
            found[name] = order.report("open") if order is not None else self.desk.closed.get(name)
        return found

    def fills(self, since_ns: int) -> list[FillReport]:
        """Executions since then, oldest first."""
        return [fill for fill in self.desk.fills if fill.event_ns >= since_ns]


def _end_of(command: Submit, now: int) -> int:
    match command.intent.time_in_force:
        case TimeInForce.DAY:
            return (now // _DAY + 1) * _DAY
        case TimeInForce.GTD:
            return command.intent.expires_ns
        case _:
            return 0


def _own(model: Model | None, default: Callable[[], Model]) -> Model:
    return default() if model is None else copy.deepcopy(model)


def _nowhere(report: Report) -> None:
    """Where reports go before anybody listens."""
