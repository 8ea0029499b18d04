"""The broker, proven by the conformance suite against Hyperliquid in a box."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from fairlead import Secret
from fairlead_conformance import BrokerConformance, Fault
from fairlead_hyperliquid import HyperliquidBroker
from fairlead_venue import Venue

KEY = hashlib.sha256(b"venue-secret").hexdigest()
_FAULTS = {
    Fault.LOSE: [{"kind": "lose", "on": "/exchange"}],
    Fault.LOSE_ANSWER: [{"kind": "lose_answer", "on": "/exchange"}, {"kind": "lose", "on": "event:order"}],
    Fault.DUPLICATE: [{"kind": "duplicate", "on": "event:order"}, {"kind": "duplicate", "on": "event:fill"}],
    Fault.BAN: [{"kind": "rate_limit", "on": "/exchange", "lasts": "1ms"}],
    Fault.GARBAGE: [{"kind": "garbage", "on": "event:order"}],
    Fault.UNKNOWN_WORD: [{"kind": "unknown_enum", "on": "event:order"}],
}


class Box:
    """A venue in a box as the suite wants it: in real time, over sockets."""

    virtual = False
    faults = frozenset({*_FAULTS, Fault.CUT, Fault.STALL, Fault.SKEW})

    def __init__(self) -> None:
        self.clock = _Clock()
        self.venue: Venue

    async def open(self) -> None:
        self.venue = Venue("hyperliquid", cash="10_000_000 USDC", variants={"weight": "1000000"})
        self.venue.quote("BTC/USDC", 49_999.0, 50_001.0)

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        self.venue.quote("BTC/USDC", bid, ask, bid_size=size, ask_size=size)

    async def fill(self, client_order_id: str, quantity: Decimal) -> None:
        [order] = [row for row in self.venue.orders("perps") if row["client_id"] == f"0x{client_order_id}"]
        price, size = float(order["limit_price"]), float(quantity)
        if order["side"] == "buy":
            await self.quote("", price * 0.98, price, size)
        else:
            await self.quote("", price, price * 1.02, size)
        away = price * (1.02 if order["side"] == "buy" else 0.98)
        await self.quote("", away - 1, away + 1, 1e6)

    async def fault(self, fault: Fault) -> None:
        match fault:
            case Fault.CUT:
                self.venue.strike("drop")
            case Fault.STALL:
                self.venue.strike("half_open")
                self.venue.fault("lose", on="/info", times=3)
            case Fault.SKEW:
                self.venue.skew(10_000_000_000)
            case _:
                for words in _FAULTS[fault]:
                    self.venue.fault(**words)

    async def close(self) -> None:
        self.venue.close()


class _Clock:
    def now(self) -> int:
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, (when_ns - self.now()) / 1e9), callback)


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestHyperliquid(BrokerConformance):
    """Perpetuals."""

    mid = 50_000.0
    settle = "60ms"
    secrets = (KEY,)

    def make_venue(self) -> Box:
        return Box()

    def make(self) -> HyperliquidBroker:
        box = self.venue.venue if self.venue is not None else None
        places = {"account": box.addresses["account"], "url": box.addresses["rest"]} if box else {
            "account": "0x" + "1" * 40}  # fmt: skip
        return HyperliquidBroker("BTC/USDC:USDC", key=Secret.of(KEY), **places)
