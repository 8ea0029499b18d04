"""Broker and stream, proven by the kit against Bybit in a box."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import attrs
import pybit.unified_trading  # noqa: F401  # its import takes long, which is none of a case's doing
import pytest

from fairlead import Bar, Funding, Secret, duration
from fairlead_bybit import BybitBroker, BybitStream
from fairlead_bybit.history import INTERVALS
from fairlead_conformance import BrokerConformance, Fault, StreamConformance, Tier, case
from fairlead_sim.serve import LoopClock
from fairlead_venue import Venue

# It tries 190 cases in real time, and watches for callbacks that hold the loop: it needs a quiet machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SKEW_NS = 10_000_000_000
MINUTE_NS = 60_000_000_000
_STRIKES: dict[Fault, list[tuple[str, dict[str, Any]]]] = {
    Fault.LOSE: [("lose", {"on": "socket:*"})],
    Fault.LOSE_ANSWER: [("lose_answer", {"on": "socket:*"}), ("lose", {"on": "event:order"})],
    Fault.DUPLICATE: [("duplicate", {"on": "event:order"}), ("duplicate", {"on": "event:execution"})],
    Fault.REORDER: [("reorder", {"on": "event:order"})],
    Fault.BAN: [("refuse", {"on": "socket:*", "code": 10006})],
    Fault.GARBAGE: [("garbage", {"on": "event:execution"})],
    Fault.UNKNOWN_WORD: [("unknown_enum", {"on": "event:order"})],
}


_POOL = ThreadPoolExecutor(1, "harness")
"""Whoever waits for the venue's control line does not hold the loop."""


class Box:
    """Bybit in a box as a venue under test: one process for all cases, cleared before each."""

    virtual = False
    faults = frozenset(_STRIKES) | {Fault.CUT, Fault.STALL, Fault.SKEW}
    shared: Any = None

    def __init__(self, *, prints: bool = True) -> None:
        self.clock: Any = None
        self._prints = prints

    @property
    def venue(self) -> Venue:
        if Box.shared is None:
            cash, scale = ["10_000_000 USDT", "10_000 BTC"], {"limit_scale": "100"}
            Box.shared = Venue("bybit", cash=cash, variants=scale, process=True)
        found: Venue = Box.shared
        return found

    async def away(self, work: Any, *words: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(_POOL, work, *words)

    async def open(self) -> None:
        self.clock = LoopClock()
        await self.away(self._clear)

    def _clear(self) -> None:
        venue = self.venue
        venue.clear()
        venue.skew(0)
        venue.disconnect()
        for symbol in ("BTC/USDT", "ETH/USDT"):
            venue.quote(symbol, 99.99, 100.01, bid_size=1e6, ask_size=1e6)
            venue.trade(symbol, 100.0)
        account = venue.books()["unified"]
        for order in account["orders"]:
            if order["status"] in ("new", "partially_filled"):
                venue.cancel("unified", order["number"])
        for name, held in account["positions"].items():
            if ":" in name and (much := Decimal(held["quantity"])):
                venue.order("unified", name, "sell" if much > 0 else "buy", str(abs(much)))

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        await self.away(self._quote, instrument, bid, ask, size)

    def _quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        self.venue.quote(instrument, bid, ask, bid_size=size, ask_size=size)
        if self._prints:  # stops look at the last price
            self.venue.trade(instrument, (bid + ask) / 2, 0.001)

    async def trade(self, instrument: str, price: float, size: float) -> None:
        """A print, and of each interval the bar that closed last."""
        await self.away(self._trade, instrument, price, size)

    def _trade(self, instrument: str, price: float, size_of_print: float) -> None:
        now = self.clock.now()
        bars = []
        for interval in INTERVALS:
            size = duration(interval)
            closed = now // size * size
            bars.append(
                Bar(instrument, interval, price, price, price, price, 1.0, closed - size, closed, now)
            )
        self.venue.trade(instrument, price, size_of_print)
        self.venue.push(*bars)

    async def fill(self, client_order_id: str, quantity: Decimal) -> None:
        """The market meets the order with just this size, and goes away again."""
        await self.away(self._fill, client_order_id, quantity)

    def _fill(self, client_order_id: str, quantity: Decimal) -> None:
        venue = self.venue
        order = next(one for one in venue.orders("unified") if one["client_id"] == client_order_id)
        price, size, name = float(order["limit_price"]), float(quantity), order["instrument"]
        if order["side"] == "buy":
            venue.quote(name, price * 0.98, price, bid_size=1e6, ask_size=size)
            self._quote(name, price * 1.01, price * 1.02, 1e6)
        else:
            venue.quote(name, price, price * 1.02, bid_size=size, ask_size=1e6)
            self._quote(name, price * 0.98, price * 0.99, 1e6)

    async def fault(self, fault: Fault) -> None:
        await self.away(self._fault, fault)

    def _fault(self, fault: Fault) -> None:
        if fault is Fault.CUT:
            self.venue.disconnect()
        elif fault is Fault.STALL:
            self.venue.strike("half_open")
            self.venue.fault("lose", on="* /v5/*", times=5)
        elif fault is Fault.SKEW:
            self.venue.skew(SKEW_NS)
        elif not self._prints:
            self.venue.fault(_STRIKES[fault][0][0], on="event:*")
        else:
            for kind, words in _STRIKES[fault]:
                self.venue.fault(kind, **words)

    async def close(self) -> None:
        """It is there for the next case."""


@pytest.fixture(autouse=True, scope="module")
def box_ends():
    """The venue begins before the first case, and ends with the module."""
    _POOL.submit(lambda: Box().venue).result()
    yield
    if Box.shared is not None:
        Box.shared.close()
        Box.shared = None


class Bybit(BrokerConformance):
    """What both products have in common."""

    settle = "60ms"
    secrets = ("venue-secret",)

    def make_venue(self) -> Box:
        return Box()

    def make(self) -> BybitBroker:
        url = self.venue.venue.addresses["rest"] if self.venue is not None else ""
        broker = BybitBroker(
            *self.symbols, key=Secret.of("venue-key"), secret=Secret.of("venue-secret"), valid="1s", url=url,
            orders_per_second=1000,
        )  # fmt: skip
        broker.profile = attrs.evolve(broker.profile, answer_ns=500_000_000, query_lag_ns=0)
        return broker

    symbols: tuple[str, ...] = ()


class TestLinear(Bybit):
    """Linear contracts."""

    symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT")
    symbol = "BTC/USDT:USDT"

    @case(Tier.CORE, of="mode:position_mode", after="it_connects")
    async def test_one_way_is_what_it_has(self, desk):
        """The snapshot says that the account has one position for each contract."""
        modes = (await desk.broker.snapshot()).modes
        assert modes is not None
        assert modes["position_mode"] == "net"

    @case(Tier.CORE, of="venue_option:triggerBy", after="a_stop_waits_and_fills")
    async def test_a_stop_looks_at_the_mark(self, desk):
        """`triggerBy` chooses the price that a stop waits for."""
        await desk.place(venue_options={"triggerBy": "MarkPrice"})

    @case(Tier.CORE, of="venue_option:smpType", after="a_limit_order_rests")
    async def test_self_match_prevention_is_passed_on(self, desk):
        """`smpType` goes to the venue."""
        await desk.place(venue_options={"smpType": "CancelMaker"})


class TestSpot(Bybit):
    """Spot."""

    symbols = ("BTC/USDT",)
    symbol = "BTC/USDT"

    @case(Tier.CORE, of="venue_option:triggerBy", after="a_limit_order_rests")
    async def test_an_option_of_triggers_is_passed_on(self, desk):
        """`triggerBy` goes to the venue."""
        await desk.place(venue_options={"triggerBy": "LastPrice"})

    @case(Tier.CORE, of="venue_option:smpType", after="a_limit_order_rests")
    async def test_self_match_prevention_is_passed_on(self, desk):
        """`smpType` goes to the venue."""
        await desk.place(venue_options={"smpType": "CancelMaker"})


class TestStream(StreamConformance):
    """The stream of linear contracts."""

    symbol = "BTC/USDT:USDT"

    def make_venue(self) -> Box:
        return Box(prints=False)

    def make(self) -> BybitStream:
        url = self.venue.venue.addresses["rest"] if self.venue is not None else ""
        return BybitStream(self.symbol, url=url)

    @case(Tier.CORE, of="feed:funding", after="it_connects")
    async def test_funding_is_told_when_its_time_comes(self, feed):
        """The rate that was due, at the time when it was."""
        await feed.connect()
        await feed.subscribe("funding")
        await feed.listen(feed.span_ns)
        await self.venue.away(self.venue.venue.skew, 8 * 60 * MINUTE_NS)
        await feed.listen(feed.span_ns)
        [paid] = feed.events
        assert isinstance(paid, Funding)
        assert paid.event_ns % (8 * 60 * MINUTE_NS) == 0
