"""The Binance broker, proven against a venue in a box that is made to do what Binance does."""

import asyncio
import threading
import time
from decimal import Decimal
from typing import Any

import attrs
import pytest

from fairlead import OrderType, Secret, Side
from fairlead_binance import BinanceBroker
from fairlead_conformance import BrokerConformance, Fault, Tier, case
from fairlead_venue import Venue


class RealClock:
    """The time of this machine, and timers in the loop."""

    def now(self) -> int:
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Any) -> Any:
        delay = max(0.0, (when_ns - self.now()) / 1e9)
        return asyncio.get_running_loop().call_later(delay, callback)


ORDERS = {
    Fault.LOSE: {"kind": "lose", "on": "order"},
    Fault.LOSE_ANSWER: {"kind": "lose_answer", "on": "order"},
    Fault.DUPLICATE: {"kind": "duplicate", "on": "event:order", "times": 2},
    Fault.BAN: {"kind": "refuse", "on": "order", "code": -1015, "status": 429},
    Fault.GARBAGE: {"kind": "garbage", "on": "event:order"},
    Fault.UNKNOWN_WORD: {"kind": "unknown_enum", "on": "event:order"},
}


class Box:
    """A Binance in a thread."""

    virtual = False
    faults = frozenset({*ORDERS, Fault.CUT, Fault.SKEW})

    def __init__(self, product: str) -> None:
        self.clock = RealClock()
        self.wallet = "spot" if product == "spot" else "futures"
        self._venue: Venue | None = None

    async def open(self) -> None:
        opening = threading.Thread(target=self._open)
        opening.start()
        while opening.is_alive():  # noqa: ASYNC110  # a thread tells no loop when it ends
            await asyncio.sleep(0.005)

    def _open(self) -> None:
        cash = ["10_000_000 USDT", "100 BTC"]
        self._venue = Venue("binance", cash=cash, variants={"orders_10s": "100000"})

    @property
    def box(self) -> Venue:
        assert self._venue is not None
        return self._venue

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        self.box.quote(instrument, bid, ask, bid_size=size, ask_size=size)
        self.box.trade(instrument, (bid + ask) / 2, 1e-6)

    async def fault(self, fault: Fault) -> None:
        if fault is Fault.CUT:
            self.box.disconnect()
        elif fault is Fault.SKEW:
            self.box.skew(10_000_000_000)
        else:
            self.box.fault(**ORDERS[fault])
            if fault is Fault.LOSE_ANSWER:  # and with it what the stream would have told
                self.box.fault("lose", on="event:order")

    async def close(self) -> None:
        if self._venue is not None:
            self._venue.close()


class Account(BrokerConformance):
    """What both products have in common."""

    product = "spot"
    mid = 50_000.0
    patience = "3s"
    settle = "60ms"
    secrets = ("venue-key", "venue-secret")
    test_a_long_day_leaves_no_more_than_a_short_one = None  # thousands of orders in real time

    def make_venue(self) -> Any:
        return Box(self.product)

    def make(self) -> BinanceBroker:
        url = (
            self.venue.box.addresses["rest"]
            if self.venue is not None and self.venue._venue is not None
            else ""
        )
        key, secret = Secret.of("venue-key"), Secret.of("venue-secret")
        words = {"product": self.product, "url": url, "valid": "1s"}
        broker = BinanceBroker(self.symbol, key=key, secret=secret, **words)
        broker.profile = attrs.evolve(broker.profile, answer_ns=1_000_000_000, query_lag_ns=0)
        return broker

    @case(Tier.CORE, of="venue_option:selfTradePreventionMode", after="a_limit_order_rests")
    async def test_self_trade_prevention_is_passed_on(self, desk: Any) -> None:
        """It is taken, and rests."""
        await desk.place(venue_options={"selfTradePreventionMode": "EXPIRE_TAKER"})


@pytest.mark.full
class TestSpot(Account):
    """Spot, which has balances (with a case of their own) and no positions that could be compared with fills."""

    product = "spot"
    symbol = "BTC/USDT"
    test_positions_equal_the_fills = None
    test_random_days_add_up = None


@pytest.mark.full
class TestUsdm(Account):
    """USD-M futures."""

    product = "usdm"
    symbol = "BTC/USDT:USDT"

    @case(Tier.CORE, of="venue_option:workingType", after="a_limit_order_rests")
    async def test_a_stop_may_wait_for_the_mark_price(self, desk: Any) -> None:
        """It is taken, and rests."""
        await self._stop(desk, {"workingType": "MARK_PRICE"})

    @case(Tier.CORE, of="venue_option:priceProtect", after="a_limit_order_rests")
    async def test_a_stop_may_be_protected(self, desk: Any) -> None:
        """It is taken, and rests."""
        await self._stop(desk, {"priceProtect": "TRUE"})

    async def _stop(self, desk: Any, options: dict[str, str]) -> None:
        await desk.place(OrderType.STOP, Side.SELL, stop_price=Decimal(45_000), venue_options=options)
