"""A venue in a box to each test, and a broker at it that a test drives by hand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from fairlead import OrderIntent, OrderType, Secret, Side
from fairlead.ports import Cancel, Report, Submit
from fairlead_hyperliquid import HyperliquidBroker
from fairlead_venue import Venue

BTC = "BTC/USDC:USDC@hyperliquid"
KEY = hashlib.sha256(b"venue-secret").hexdigest()
SECOND = 1_000_000_000
R = TypeVar("R", bound=Any)


class WallClock:
    """The time of this machine, and of the venue in a box."""

    def now(self) -> int:
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, (when_ns - self.now()) / 1e9), callback)


class Desk:
    """A broker at a venue; `said` is everything that it reported."""

    def __init__(self, venue: Venue, *symbols: str, **words: Any) -> None:
        self.venue = venue
        self.broker = broker_at(venue, *symbols, **words)
        self.clock = WallClock()
        self.said: list[Report] = []
        self._changed = asyncio.Event()

    async def connect(self) -> None:
        await self.broker.connect(self._emit, self.clock)

    def _emit(self, report: Report) -> None:
        self.said.append(report)
        self._changed.set()

    def limit(self, number: int, price: str = "49000", **words: Any) -> str:
        """Send a limit buy of 0.01 BTC, unless said otherwise; returns its id."""
        return self.order(number, type=OrderType.LIMIT, limit_price=Decimal(price), **words)

    def order(self, number: int, side: Side = Side.BUY, quantity: str = "0.01", **words: Any) -> str:
        """Send an order; returns its id."""
        name, deadline = f"{number:032x}", words.pop("deadline_ns", self.clock.now() + 5 * SECOND)
        reduce = words.get("reduce_only", False)
        intent = OrderIntent(
            strategy="s", account="hyperliquid", instrument=words.pop("instrument", BTC), side=side,
            quantity=Decimal(quantity), **words,
        )  # fmt: skip
        self.broker.send(Submit(name, intent, intent.quantity, reduce, deadline))
        return name

    def cancel(self, name: str) -> None:
        self.broker.send(Cancel(name, "", BTC, self.clock.now() + 5 * SECOND))

    async def until(self, kind: type[R], count: int = 1, **fields: Any) -> R:
        """The so-manieth report of a kind with these fields."""
        async with asyncio.timeout(50):
            while True:
                found = [
                    report
                    for report in self.said
                    if isinstance(report, kind)
                    and all(getattr(report, key) == value for key, value in fields.items())
                ]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()

    async def quiet(self, seconds: float = 0.15) -> None:
        """Let what could still come come."""
        await asyncio.sleep(seconds)

    def of(self, kind: type[R]) -> list[R]:
        return [report for report in self.said if isinstance(report, kind)]


def broker_at(venue: Venue, *symbols: str, **words: Any) -> HyperliquidBroker:
    """A broker at a venue in a box."""
    usual = {"account": venue.addresses["account"], "key": Secret.of(KEY), "url": venue.addresses["rest"]}
    return HyperliquidBroker(*(symbols or ("BTC/USDC:USDC",)), **(usual | words))


@pytest.fixture
def venue_of() -> Iterator[Callable[..., Venue]]:
    """What starts a Hyperliquid in a box with a market at 50,000."""
    with contextlib.ExitStack() as stack:

        def start(**words: Any) -> Venue:
            running = stack.enter_context(Venue("hyperliquid", **words))
            running.quote("BTC/USDC", 49_999.0, 50_001.0)
            return running

        yield start


@pytest.fixture
def venue(venue_of: Callable[..., Venue]) -> Venue:
    """Hyperliquid in a box."""
    return venue_of()


@pytest.fixture
def desk_of() -> type[Desk]:
    """What makes a desk that is not connected yet."""
    return Desk


@pytest.fixture
def play() -> Callable[..., None]:
    """Runs a story with a connected desk."""

    def run(venue: Venue, story: Callable[[Desk], Awaitable[None]], *symbols: str, **words: Any) -> None:
        async def whole() -> None:
            desk = Desk(venue, *symbols, **words)
            await desk.connect()
            try:
                await asyncio.wait_for(story(desk), 50)
            finally:
                await desk.broker.close()

        asyncio.run(whole())

    return run
