"""A clock moved by hand, and a bench: one account at the simulated venue with one instrument and a list of reports."""

import heapq
import itertools
from decimal import Decimal

import pytest

from fairlead import Bar, Book, Contract, Instrument, OrderIntent, OrderType, Quote, Side, Trade
from fairlead.ports import Cancel, CancelAll, FillReport, Submit
from fairlead_sim import SimulatedBroker

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NEVER = 10**19


class HandClock:
    """Time stands still until a test moves it."""

    class _Call:
        def __init__(self, callback):
            self.callback = callback

        def cancel(self):
            self.callback = None

    def __init__(self):
        self.time = 0
        self._calls = []
        self._count = itertools.count()

    def now(self):
        return self.time

    def call_at(self, when_ns, callback):
        call = self._Call(callback)
        heapq.heappush(self._calls, (when_ns, next(self._count), call))
        return call

    def advance(self, to):
        while self._calls and self._calls[0][0] <= to:
            when, _, call = heapq.heappop(self._calls)
            self.time = max(self.time, when)
            if call.callback is not None:
                call.callback()
        self.time = max(self.time, to)

    @property
    def pending(self):
        return sum(call.callback is not None for _, _, call in self._calls)


def plain(number):
    return f"{number.normalize():f}"


def make_instrument(symbol="BTC/USDT:USDT", **changes):
    settle = symbol.partition(":")[2] or "USDT"
    kind = Contract.SPOT if ":" not in symbol else Contract.INVERSE if settle == "BTC" else Contract.LINEAR
    base, _, quote = symbol.partition(":")[0].partition("/")
    rules = {"tick": Decimal("0.1"), "lot": Decimal("0.001"), "venue": "x", "contract": kind, **changes}
    return Instrument(symbol=symbol, base=base, quote=quote, settle=settle, **rules)


def run(coroutine):
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


class Bench:
    """Sends orders and market events in one word each."""

    def __init__(self, cash="10_000 USDT", symbol="BTC/USDT:USDT", rules=None, broker=None, **options):
        self.instrument = make_instrument(symbol, **(rules or {}))
        self.clock = HandClock()
        self.reports = []
        self.broker = broker or SimulatedBroker(cash, **options)
        self.broker.learn(self.instrument)
        run(self.broker.connect(self.reports.append, self.clock))
        self._ids = itertools.count(1)
        self._bars = itertools.count()

    @property
    def desk(self):
        return self.broker.venue.desk

    @property
    def fills(self):
        return [report for report in self.reports if isinstance(report, FillReport)]

    @property
    def trades(self):
        return [(fill.side.value, plain(fill.quantity), plain(fill.price)) for fill in self.fills]

    @property
    def kinds(self):
        return [type(report).__name__ for report in self.reports]

    @property
    def position(self):
        return self.desk.ledger.quantity(self.instrument.id)

    def cash(self, currency="USDT"):
        return self.desk.ledger.balance(currency)

    # --- orders

    def order(self, side, quantity, *, kind=OrderType.MARKET, limit=None, stop=None, reduce_only=False, deadline=NEVER,
              name=None, instrument=None, **fields):  # fmt: skip
        name = name or f"c{next(self._ids)}"
        intent = OrderIntent(
            strategy="s", account="sim", instrument=instrument or self.instrument.id, side=Side(side),
            quantity=Decimal(quantity), type=kind, limit_price=None if limit is None else Decimal(limit),
            stop_price=None if stop is None else Decimal(stop), reduce_only=reduce_only, **fields,
        )  # fmt: skip
        self.broker.send(Submit(name, intent, Decimal(quantity), reduce_only, deadline))
        return name

    def buy(self, quantity, **fields):
        return self.order("buy", quantity, **fields)

    def sell(self, quantity, **fields):
        return self.order("sell", quantity, **fields)

    def limit(self, side, quantity, price, **fields):
        return self.order(side, quantity, kind=OrderType.LIMIT, limit=price, **fields)

    def stop(self, side, quantity, price, **fields):
        return self.order(side, quantity, kind=OrderType.STOP, stop=price, **fields)

    def cancel(self, name):
        self.broker.send(Cancel(name, "", self.instrument.id, NEVER))

    def cancel_all(self, instrument=""):
        self.broker.send(CancelAll(instrument, NEVER))

    # --- the market

    def quote(self, bid, ask, bid_size=1000, ask_size=1000, instrument=None):
        now = self.clock.time
        self.broker.market(Quote(instrument or self.instrument.id, bid, ask, bid_size, ask_size, now, now))

    def trade(self, price, size=1000, aggressor=""):
        now = self.clock.time
        self.broker.market(Trade(self.instrument.id, price, size, now, now, aggressor))

    def book(self, bids, asks):
        now = self.clock.time
        self.broker.market(Book(self.instrument.id, tuple(bids), tuple(asks), now, now))

    def bar(self, open_, high, low, close, volume=1000, interval="1m"):
        start = next(self._bars) * MINUTE
        self.clock.advance(start + MINUTE)
        self.broker.market(
            Bar(
                self.instrument.id,
                interval,
                open_,
                high,
                low,
                close,
                volume,
                start,
                start + MINUTE,
                start + MINUTE,
            )
        )

    # --- the account

    def snapshot(self):
        return run(self.broker.snapshot())

    def lookup(self, *names):
        return run(self.broker.lookup(names))


@pytest.fixture(scope="session")
def bench():
    """Makes a bench: an account with one instrument at the simulated venue."""
    return Bench


@pytest.fixture(scope="session")
def hand_clock():
    """Makes a clock that a test moves."""
    return HandClock


@pytest.fixture(scope="session")
def instrument():
    """Makes an instrument from its symbol."""
    return make_instrument


@pytest.fixture(scope="session")
def settled():
    """Runs a coroutine that never waits."""
    return run
