"""A broker that answers as a test says, and remembers every command."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar, MarketEvent, Quote, Trade
from fairlead._models.orders import Order, OrderType, Side, TimeInForce
from fairlead.ports import (
    Accepted,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    Clock,
    Command,
    DeadManSet,
    FillReport,
    OrderReport,
    OutcomeUnknown,
    Rejected,
    Replace,
    Replaced,
    ReplaceRejected,
    Report,
    Snapshot,
    Submit,
    VenueProfile,
)
from fairlead.testing.market import make_instrument
from fairlead.units import Money, Number, decimal

Script = Callable[["FakeBroker", Any], Iterable[Report]]
"""What a broker answers to one command: reports, in the order in which they are given."""

MARKET_AND_LIMIT = VenueProfile(venue="fake", environment="paper", exact=True, reduce_only=True)
"""A venue with market and limit orders only: everything else is held by the engine."""

EVERYTHING = VenueProfile(
    venue="fake",
    environment="paper",
    exact=True,
    order_types=frozenset(OrderType),
    time_in_force=frozenset(TimeInForce) - {TimeInForce.OPG, TimeInForce.CLS},
    post_only=True,
    reduce_only=True,
    oco=True,
)
"""A venue that has every kind of order, linked ones included."""


def accept() -> Script:
    """Take the order and let it rest."""

    def script(broker: FakeBroker, submit: Submit) -> Iterator[Report]:
        yield broker.accepted(submit.client_order_id)

    return script


def fill(price: Number | None = None, quantity: Number | None = None) -> Script:
    """Take the order and fill it, or `quantity` of it, at `price` (its own limit, else the last price seen)."""

    def script(broker: FakeBroker, submit: Submit) -> Iterator[Report]:
        yield broker.accepted(submit.client_order_id)
        yield broker.executed(submit.client_order_id, quantity, price)

    return script


def reject(code: str = "refused", reason: str = "the venue said no") -> Script:
    """Refuse the order, definitively."""

    def script(broker: FakeBroker, submit: Submit) -> Iterator[Report]:
        broker.working.pop(submit.client_order_id, None)
        yield Rejected(client_order_id=submit.client_order_id, code=code, reason=reason)

    return script


def lose(reason: str = "no answer came", *, arrived: bool = True) -> Script:
    """Lose the answer; the order rests at the venue all the same, unless it never `arrived`."""

    def script(broker: FakeBroker, submit: Submit) -> Iterator[Report]:
        if not arrived:
            broker.working.pop(submit.client_order_id, None)
        yield OutcomeUnknown(client_order_id=submit.client_order_id, reason=reason)

    return script


def silence() -> Script:
    """Say nothing: the test answers by hand."""
    return lambda *_: ()


def duplicated(script: Script) -> Script:
    """Give every report twice."""

    def twice(broker: FakeBroker, command: Any) -> Iterator[Report]:
        for report in script(broker, command):
            yield report
            yield report

    return twice


def reordered(script: Script) -> Script:
    """Give the reports last first: the fill before the acceptance."""
    return lambda broker, command: reversed(list(script(broker, command)))


def ordinary() -> Script:
    """Fill market orders at the last price seen, let everything else rest."""
    filling, resting = fill(), accept()

    def script(broker: FakeBroker, submit: Submit) -> Iterable[Report]:
        return (filling if submit.intent.type is OrderType.MARKET else resting)(broker, submit)

    return script


def obey(broker: FakeBroker, cancel: Cancel) -> Iterator[Report]:
    """Cancel what rests, and refuse what does not."""
    yield broker.canceled(cancel.client_order_id)


def change(broker: FakeBroker, replace: Replace) -> Iterator[Report]:
    """Give what rests its new terms, and refuse where nothing rests or more has filled already."""
    yield broker.replaced(replace)


@attrs.define
class Resting:
    """An order as this venue holds it, on the terms of its last replacement."""

    submit: Submit
    filled: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    renamed: int = 0

    def __attrs_post_init__(self) -> None:
        intent = self.submit.intent
        self.quantity, self.limit_price, self.stop_price = (
            self.submit.quantity,
            intent.limit_price,
            intent.stop_price,
        )

    @property
    def left(self) -> Decimal:
        """What may still fill."""
        return self.quantity - self.filled


class FakeBroker:
    """An account at a venue that a test plays.

    Every command is in `commands`. What a new order is answered with is the next of `answers`, else `script`
    (market orders fill, others rest); a cancel is answered by `cancels`, a replacement by `replaces`. Besides, a test
    makes the venue act by hand: `accept`, `fill`, `cancel`, and `emit` for any report at all. `working` are the orders
    it holds, `executions` its fills, `positions` what they add up to; balances move only where a test says so. With
    `cumulative` off its fills do not say what their order has filled in all, as those of many venues do not.
    `fingerprint`, its name at first, is the account that it is. Its dead-man switch, where its profile has one, is set
    to `dead_man_ns`, 0 while it is not.
    """

    def __init__(
        self,
        *instruments: Instrument,
        cash: str = "100_000 USDT",
        profile: VenueProfile = MARKET_AND_LIMIT,
        name: str = "fake",
        cumulative: bool = True,
    ) -> None:
        self.name = name
        self.fingerprint = name
        self.profile = profile
        self.listed = instruments or (make_instrument(),)
        money = Money.parse(cash)
        self.balances: dict[str, Decimal] = {money.currency: money.amount}
        self.commands: list[Command] = []
        self.answers: deque[Script] = deque()
        self.script: Script = ordinary()
        self.cancels: Script = obey
        self.replaces: Script = change
        self.dead_man_ns = 0
        self.working: dict[str, Resting] = {}
        self.executions: list[FillReport] = []
        self.positions: dict[str, Decimal] = {}
        self.prices: dict[str, float] = {}
        self.fee = Decimal(0)
        self.cumulative = cumulative
        self.emit: Callable[[Report], None] = _nobody
        self._clock: Clock | None = None
        self._orders: dict[str, Resting] = {}

    # --- what the engine did --------------------------------------------------------------------------------

    @property
    def submits(self) -> list[Submit]:
        """The orders sent here, oldest first."""
        return [command for command in self.commands if isinstance(command, Submit)]

    @property
    def canceling(self) -> list[Cancel]:
        """The cancels sent here, oldest first."""
        return [command for command in self.commands if isinstance(command, Cancel)]

    @property
    def replacing(self) -> list[Replace]:
        """The replacements sent here, oldest first."""
        return [command for command in self.commands if isinstance(command, Replace)]

    # --- what the venue does, by hand -----------------------------------------------------------------------

    def accept(self, order: Order | str) -> None:
        """Say that an order is there."""
        self.emit(self.accepted(_name(order)))

    def fill(
        self, order: Order | str, quantity: Number | None = None, price: Number | None = None
    ) -> FillReport:
        """Fill an order, or part of it, and report it."""
        report = self.executed(_name(order), quantity, price)
        self.emit(report)
        return report

    def cancel(self, order: Order | str) -> None:
        """End an order, as an answer to a cancel or of the venue's own accord."""
        self.emit(self.canceled(_name(order)))

    # --- reports, made but not given ------------------------------------------------------------------------

    def accepted(self, client_order_id: str) -> Accepted:
        """The order is there."""
        return Accepted(client_order_id=client_order_id, broker_order_id=self._their_id(client_order_id))

    def _their_id(self, client_order_id: str) -> str:
        resting = self._orders.get(client_order_id)
        again = f".{resting.renamed}" if resting is not None and resting.renamed else ""
        return f"b{client_order_id[-6:-2]}{again}"

    def replaced(self, replace: Replace) -> Report:
        """The order works on its new terms, or it is too late for that."""
        name, attempt = replace.client_order_id, replace.attempt
        resting = self.working.get(name)
        if resting is None or replace.quantity <= resting.filled:
            return ReplaceRejected(
                client_order_id=name, attempt=attempt, code="too_late", reason="it has filled"
            )
        resting.quantity, resting.limit_price, resting.stop_price = (
            replace.quantity,
            replace.limit_price,
            replace.stop_price,
        )
        resting.renamed += self.profile.replace_renames
        theirs = self._their_id(name)
        return Replaced(client_order_id=name, attempt=attempt, broker_order_id=theirs)

    def executed(
        self, client_order_id: str, quantity: Number | None = None, price: Number | None = None
    ) -> FillReport:
        """The order traded: all that is left of it, at its limit or the last price seen, unless told otherwise."""
        resting = self._orders[client_order_id]
        intent = resting.submit.intent
        size = resting.left if quantity is None else decimal(quantity)
        at = resting.limit_price if price is None else decimal(price)
        if at is None:
            at = decimal(self.prices[intent.instrument])
        resting.filled += size
        if resting.left <= 0:
            self.working.pop(client_order_id, None)
        signed = size if intent.side is Side.BUY else -size
        self.positions[intent.instrument] = self.positions.get(intent.instrument, Decimal(0)) + signed
        report = FillReport(
            client_order_id=client_order_id,
            fill_id=f"f{len(self.executions) + 1}",
            instrument=intent.instrument,
            side=intent.side,
            quantity=size,
            price=at,
            fee=size * at * self.fee,
            fee_currency=self._settle(intent.instrument),
            cumulative_quantity=resting.filled if self.cumulative else None,
            event_ns=self._clock.now() if self._clock is not None else 0,
        )
        self.executions.append(report)
        return report

    def canceled(self, client_order_id: str) -> Report:
        """The order is gone, or there was none to cancel."""
        resting = self.working.pop(client_order_id, None)
        if resting is None:
            return CancelRejected(client_order_id=client_order_id, reason="no such order rests here")
        theirs = self._their_id(client_order_id) if self.profile.replace_renames else ""
        return Canceled(
            client_order_id=client_order_id, filled_quantity=resting.filled, broker_order_id=theirs
        )

    # --- the port -------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What it lists."""
        return self.listed

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """From now on reports reach the engine."""
        self.emit, self._clock = emit, clock

    def send(self, command: Command) -> None:
        """Remember the command, and answer as told."""
        self.commands.append(command)
        if isinstance(command, Submit):
            name = command.client_order_id
            self.working[name] = self._orders[name] = Resting(command)
            script = self.answers.popleft() if self.answers else self.script
            self._say(script(self, command))
        elif isinstance(command, Cancel):
            self._say(self.cancels(self, command))
        elif isinstance(command, Replace):
            self._say(self.replaces(self, command))
        elif isinstance(command, ArmDeadMan):
            now = self._clock.now() if self._clock is not None else 0
            self.dead_man_ns = now + command.timeout_ns if command.timeout_ns else 0
            self.emit(DeadManSet(until_ns=self.dead_man_ns))
        else:
            self._cancel_all(command)

    def _cancel_all(self, command: CancelAll) -> None:
        for name, resting in list(self.working.items()):
            if command.instrument in ("", resting.submit.intent.instrument):
                self.emit(self.canceled(name))

    def _say(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self.emit(report)

    def market(self, event: MarketEvent) -> None:
        """Remember the last price, for fills that name none."""
        if isinstance(event, Quote):
            self.prices[event.instrument] = event.mid
        elif isinstance(event, Trade):
            self.prices[event.instrument] = event.price
        elif isinstance(event, Bar):
            self.prices[event.instrument] = event.close

    async def snapshot(self) -> Snapshot:
        """Open orders, positions and balances."""
        orders = tuple(self._report(name) for name in self.working)
        return Snapshot(orders=orders, positions=dict(self.positions), balances=dict(self.balances))

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What it knows of these orders."""
        return {name: self._report(name) if name in self._orders else None for name in client_order_ids}

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Its executions since then."""
        return [report for report in self.executions if report.event_ns >= since_ns]

    async def close(self) -> None:
        """Reach nobody any more."""
        self.emit = _nobody

    def _report(self, client_order_id: str) -> OrderReport:
        resting = self._orders[client_order_id]
        intent = resting.submit.intent
        return OrderReport(
            client_order_id=client_order_id,
            broker_order_id=self._their_id(client_order_id),
            instrument=intent.instrument,
            open=client_order_id in self.working,
            quantity=resting.quantity,
            filled_quantity=resting.filled,
            side=intent.side,
            limit_price=resting.limit_price,
            stop_price=resting.stop_price,
        )

    def _settle(self, instrument: str) -> str:
        return next(i.settle for i in self.listed if i.id == instrument)


def _name(order: Order | str) -> str:
    return order if isinstance(order, str) else order.client_order_id


def _nobody(_: Report) -> None:
    raise RuntimeError("the broker is not connected: nobody gets this report")
