"""The desk: a connected broker with its venue, in the words of the cases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar

from fairlead import FairleadError, Instrument, OrderIntent, OrderType, Side, TimeInForce
from fairlead.ports import (
    Accepted,
    ArmDeadMan,
    BrokerAdapter,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    Expired,
    FillReport,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Rejected,
    Replace,
    Report,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_conformance.cases import Unscripted
from fairlead_conformance.venue import Fault, Venue

R = TypeVar("R")

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
_ENDS = (Canceled, Expired, Rejected, NotSent)
_ABOUT_ORDERS = (Accepted, FillReport, Rejected, NotSent, OutcomeUnknown, Canceled, CancelRejected, Expired)


class Desk:
    """One account, its instrument at a price around `mid`, and everything that the broker `said`, in order.

    What is waited for comes within `patience_ns`; what shall not come is waited for `settle_ns`.
    """

    def __init__(
        self,
        broker: BrokerAdapter,
        venue: Venue,
        *,
        mid: float,
        patience_ns: int,
        settle_ns: int,
        first_id: int,
    ) -> None:
        self.broker = broker
        self.profile = broker.profile
        self.venue = venue
        self.clock = venue.clock
        self.mid = mid
        self.said: list[Report] = []
        self.when: list[int] = []
        self.errors: list[str] = []
        self.instrument: Instrument
        self.other: Instrument | None = None
        self._patience, self._settle = patience_ns, settle_ns
        self._next_id = first_id
        self.began_ns = 0

    async def connect(self, symbol: str = "") -> None:
        """Connect, choose the instrument, and put its market at `mid`."""
        await self.broker.connect(self.hear, self.clock)
        listed = await self.broker.instruments()
        assert listed, "it lists no instrument"
        named = [found for found in listed if symbol in (found.id, found.symbol)] if symbol else listed
        assert named, f"it lists no {symbol}: there are {', '.join(found.id for found in listed[:8])}"
        self.instrument = named[0]
        others = [
            found
            for found in listed
            if found.id != self.instrument.id and found.quote == self.instrument.quote
        ]
        self.other = others[0] if others else None
        self.began_ns = self.clock.now()
        await self.market()

    def hear(self, report: Report) -> None:
        """Keep a report."""
        self.said.append(report)
        self.when.append(self.clock.now())

    async def leave(self) -> None:
        """Close the broker."""
        await self.broker.close()

    # --- the market -----------------------------------------------------------------------------------------

    async def market(self, mid: float = 0.0, size: float = 1e6) -> None:
        """The market of the instrument is there now, one tick wide on either side."""
        bid, ask = self.price(mid or self.mid, -1), self.price(mid or self.mid, 1)
        await self.venue.quote(self.instrument.id, float(bid), float(ask), size)

    def price(self, near: float, ticks: int = 0) -> Decimal:
        """A price of the instrument, so many ticks from another one."""
        return self.instrument.price(near) + ticks * self.instrument.tick

    def quantity(self, times: int = 1) -> Decimal:
        """What can be ordered and is worth ten of the instrument's currency at least, so many times."""
        rules = self.instrument
        worth = rules.notional(Decimal(1), rules.price(self.mid))
        least = max(
            rules.lot * 10, rules.min_quantity, max(Decimal(10), rules.min_notional * Decimal("1.5")) / worth
        )
        return (least / rules.lot).to_integral_value(ROUND_CEILING) * rules.lot * times

    # --- orders ---------------------------------------------------------------------------------------------

    def order(
        self,
        type: OrderType = OrderType.LIMIT,
        side: Side = Side.BUY,
        quantity: Decimal | None = None,
        *,
        away: float = 0.05,
        deadline_ns: int | None = None,
        **fields: Any,
    ) -> Submit:
        """A new order of ours, not sent. A limit lies `away` on its own side of the market unless a price is given."""
        if type in (OrderType.LIMIT, OrderType.STOP_LIMIT) and "limit_price" not in fields:
            fields["limit_price"] = self.price(self.mid * (1 - away if side is Side.BUY else 1 + away))
        fields.setdefault("instrument", self.instrument.id)
        intent = OrderIntent(
            strategy="conformance",
            account=self.broker.name,
            side=side,
            quantity=self.quantity() if quantity is None else quantity,
            type=type,
            **fields,
        )
        self._next_id += 1
        deadline = self.clock.now() + self.profile.patience_ns if deadline_ns is None else deadline_ns
        return Submit(f"c0ffee00{self._next_id:024x}", intent, intent.quantity, intent.reduce_only, deadline)

    def send(self, submit: Submit) -> Submit:
        """Send an order."""
        if isinstance(orders := getattr(self.venue, "orders", None), dict):
            orders[submit.client_order_id] = submit
        self.broker.send(submit)
        return submit

    async def place(self, *words: Any, **fields: Any) -> Submit:
        """Send a new order and wait until the venue has it."""
        submit = self.send(self.order(*words, **fields))
        await self.until(lambda: self.of(submit, Accepted), f"{_what(submit)} is never Accepted")
        return submit

    def cancel(self, submit: Submit, *, deadline_ns: int | None = None) -> None:
        """Send a cancel of an order."""
        found = self.of(submit, Accepted)
        deadline = self.clock.now() + self.profile.patience_ns if deadline_ns is None else deadline_ns
        name, instrument = submit.client_order_id, submit.intent.instrument
        self.broker.send(Cancel(name, found[0].broker_order_id if found else "", instrument, deadline))

    def replace(
        self,
        submit: Submit,
        total: Decimal,
        *,
        attempt: int = 1,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        deadline_ns: int | None = None,
    ) -> None:
        """Send a replace of an order: the new total, and its prices."""
        found = self.of(submit, Accepted)
        deadline = self.clock.now() + self.profile.patience_ns if deadline_ns is None else deadline_ns
        name, theirs = submit.client_order_id, found[0].broker_order_id if found else ""
        instrument = submit.intent.instrument
        self.broker.send(Replace(name, theirs, instrument, attempt, total, limit_price, stop_price, deadline))

    def arm(self, timeout_ns: int) -> None:
        """Arm the dead-man switch, or call it off by 0."""
        deadline = self.clock.now() + self.profile.patience_ns
        self.broker.send(ArmDeadMan(timeout_ns, (self.instrument.id,), deadline))

    def cancel_all(self, instrument: str = "") -> None:
        """Send a cancel of all orders, or of those of one instrument."""
        self.broker.send(CancelAll(instrument, self.clock.now() + self.profile.patience_ns))

    async def fill(self, submit: Submit, quantity: Decimal) -> None:
        """Let the venue fill a part of an order that rests. Raises Unscripted where it cannot."""
        fill = getattr(self.venue, "fill", None)
        if fill is None:
            raise Unscripted("the venue under test cannot fill a part of an order")
        await fill(submit.client_order_id, quantity)

    # --- what was said --------------------------------------------------------------------------------------

    def of(self, submit: Submit, *kinds: type[R]) -> list[R]:
        """What was said of an order, of these kinds."""
        name = submit.client_order_id
        return [
            said
            for said in self.said
            if isinstance(said, kinds) and getattr(said, "client_order_id", "") == name
        ]

    def about(self, submit: Submit) -> list[Any]:
        """All that was said of an order."""
        return self.of(submit, *_ABOUT_ORDERS)

    def fills(self, submit: Submit) -> list[FillReport]:
        """Its executions, each once."""
        return list({fill.fill_id: fill for fill in self.of(submit, FillReport)}.values())

    def filled(self, submit: Submit) -> Decimal:
        """How much of it has filled."""
        return sum((fill.quantity for fill in self.fills(submit)), Decimal(0))

    def ended(self, submit: Submit) -> list[Any]:
        """What ended it, besides fills."""
        return self.of(submit, *_ENDS)

    def heard(self, kind: type[R]) -> list[R]:
        """Everything of one kind that was said."""
        return [said for said in self.said if isinstance(said, kind)]

    async def until(self, holds: Callable[[], object], else_: str, within_ns: int = 0) -> None:
        """Wait until something holds, and fail with these words where it does not within the time."""
        end = self.clock.now() + (within_ns or self._patience)
        step = MILLISECOND
        while not holds():
            assert self.clock.now() < end, f"{else_}; it said {self.words()}"
            await asyncio.sleep(step / 1e9)
            step = min(step * 5 // 4, 50 * MILLISECOND)

    async def until_filled(self, submit: Submit, quantity: Decimal | None = None) -> None:
        """Wait until so much of an order has filled, all of it unless told otherwise, and fail where it never has."""
        wanted = submit.quantity if quantity is None else quantity
        await self.until(
            lambda: self.filled(submit) == wanted,
            f"{wanted} of {_what(submit)} has filled at the venue, and {self.filled(submit)} is reported",
        )

    async def quiet(self) -> None:
        """Wait for as long as what is under way may take."""
        await asyncio.sleep(self._settle / 1e9)

    def words(self) -> str:
        """The last reports in a line."""
        return ", ".join(map(_short, self.said[-6:])) or "nothing"

    # --- questions ------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """The account, with every part there."""
        taken = await self.broker.snapshot()
        for part in ("orders", "positions", "balances"):
            assert getattr(taken, part) is not None, (
                f"the snapshot's {part} could not be had, and nothing is wrong"
            )
        return taken

    async def look(self, submit: Submit) -> OrderReport | None:
        """How an order stands at the venue; None where it knows none."""
        name = submit.client_order_id
        return (await self.broker.lookup([name])).get(name)

    async def executed(self, submit: Submit, since_ns: int = -1) -> list[FillReport]:
        """The executions of an order that `fills` lists."""
        listed = await self.broker.fills(self.began_ns if since_ns < 0 else since_ns)
        return [fill for fill in listed if fill.client_order_id == submit.client_order_id]

    async def asks(self) -> Sequence[str]:
        """Ask every question once; gives what was raised, in words. Anything but our own errors is passed on."""
        raised = []
        for ask in (
            self.broker.snapshot,
            lambda: self.broker.lookup(["0" * 32]),
            lambda: self.broker.fills(0),
        ):
            try:
                await ask()
            except FairleadError as error:
                raised.append(f"{type(error).__name__}: {error}")
                self.errors.append(str(error))
        return raised

    # --- after a fault --------------------------------------------------------------------------------------

    async def fault(self, fault: Fault) -> None:
        """Let the venue do it."""
        await self.venue.fault(fault)

    async def reconnect(self) -> None:
        """Do what an engine does after a StreamDown: connect again until it holds; StreamUp must have been said."""
        ups = len(self.heard(StreamUp))
        await self.broker.connect(self.hear, self.clock)
        await self.until(
            lambda: len(self.heard(StreamUp)) > ups,
            "connected again after a StreamDown, it never says StreamUp",
        )

    async def recover(self, submit: Submit) -> OrderReport | None:
        """Do what an engine does about doubt: reconnect if the stream is down, wait for the lag, look, backfill."""
        downs = [index for index, said in enumerate(self.said) if isinstance(said, StreamDown)]
        ups = [index for index, said in enumerate(self.said) if isinstance(said, StreamUp)]
        if downs and (not ups or ups[-1] < downs[-1]):
            await self.reconnect()
        await asyncio.sleep(self.profile.query_lag_ns / 1e9)
        found = await self.look(submit)
        if self.profile.own_fills:
            for fill in await self.executed(submit):
                self.hear(fill)
        return found


def _what(submit: Submit) -> str:
    intent = submit.intent
    more = "" if intent.time_in_force is TimeInForce.GTC else f" {intent.time_in_force}"
    return f"a {intent.type} order to {intent.side}{more}"


def _short(report: Report) -> str:
    code = getattr(report, "code", "")
    reason = getattr(report, "reason", "")
    more = "".join(f" {part}" for part in (code, f"({reason})" if reason else "") if part)
    return f"{type(report).__name__}{more}"
