"""A clock moved by hand, and a desk: a paper account with one instrument and a list of reports."""

import heapq
import itertools
from decimal import Decimal

import pytest

from fairlead import Bar, Contract, Instrument, OrderIntent, OrderType, Quote, Side
from fairlead.ports import Cancel, FillReport, Submit
from fairlead_paper import PaperBroker

MINUTE = 60_000_000_000


class HandClock:
    """Time stands still until a test moves it."""

    def __init__(self):
        self.time = 0
        self._calls = []
        self._count = itertools.count()

    def now(self):
        return self.time

    def call_at(self, when_ns, callback):
        call = [when_ns, next(self._count), callback]
        heapq.heappush(self._calls, call)
        return type("Handle", (), {"cancel": lambda self: call.__setitem__(2, lambda: None)})()

    def advance(self, to):
        while self._calls and self._calls[0][0] <= to:
            when, _, callback = heapq.heappop(self._calls)
            self.time = max(self.time, when)
            callback()
        self.time = max(self.time, to)


def run(coroutine):
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def make_instrument(symbol):
    linear = ":" in symbol
    return Instrument(
        symbol=symbol, venue="x", base=symbol.partition("/")[0], quote="USDT", settle="USDT", tick=Decimal("0.1"),
        lot=Decimal("0.001"), contract=Contract.LINEAR if linear else Contract.SPOT, taker_fee=Decimal("0.001"),
    )  # fmt: skip


class Desk:
    """A connected paper broker; `folder` keeps its books there."""

    def __init__(
        self, folder=None, symbol="BTC/USDT:USDT", cash="10_000 USDT", learn=True, clock=None, **options
    ):
        self.instrument = make_instrument(symbol)
        self.clock = clock or HandClock()
        self.reports = []
        self.broker = PaperBroker(cash, **options)
        if folder is not None:
            self.broker.persist(folder)
        if learn:
            self.broker.learn(self.instrument)
        run(self.broker.connect(self.reports.append, self.clock))

    @property
    def fills(self):
        return [report for report in self.reports if isinstance(report, FillReport)]

    @property
    def kinds(self):
        return [type(report).__name__ for report in self.reports]

    @property
    def ledger(self):
        return self.broker.venue.desk.ledger

    def order(
        self,
        name,
        side,
        quantity,
        *,
        kind=OrderType.MARKET,
        limit=None,
        stop=None,
        reduce_only=False,
        **fields,
    ):
        intent = OrderIntent(
            strategy="s", account="paper", instrument=self.instrument.id, side=Side(side), quantity=Decimal(quantity),
            type=kind, limit_price=limit and Decimal(limit), stop_price=stop and Decimal(stop), **fields,
        )  # fmt: skip
        self.broker.send(Submit(name, intent, Decimal(quantity), reduce_only, 10**19))

    def cancel(self, name):
        self.broker.send(Cancel(name, "", self.instrument.id, 10**19))

    def quote(self, bid, ask, size=1000):
        now = self.clock.time
        self.broker.market(Quote(self.instrument.id, bid, ask, size, size, now, now))

    def bar(self, open_, high, low, close):
        start = self.clock.time
        self.clock.advance(start + MINUTE)
        self.broker.market(
            Bar(self.instrument.id, "1m", open_, high, low, close, 9, start, self.clock.time, self.clock.time)
        )

    def state(self):
        """All that a venue tells of an account."""
        names = [*self.broker.venue.desk.orders, *self.broker.venue.desk.closed]
        snapshot = run(self.broker.snapshot())
        return (
            {order.client_order_id: order for order in snapshot.orders}, snapshot.positions, snapshot.balances,
            run(self.broker.lookup(names)), run(self.broker.fills(0)), self.ledger.holdings,
        )  # fmt: skip


@pytest.fixture(scope="session")
def desk():
    """Makes a desk: a paper account with one instrument."""
    return Desk


@pytest.fixture(scope="session")
def settled():
    """Runs a coroutine that never waits."""
    return run
