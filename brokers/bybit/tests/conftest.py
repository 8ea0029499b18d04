"""A Bybit in a box to each test, and accounts at it: brokers with their reports, streams with their events."""

import asyncio
import itertools
from decimal import Decimal
from typing import Any

import attrs
import pytest

from fairlead import OrderIntent, OrderType, Secret, Side, duration
from fairlead.ports import Cancel, FillReport, Replace, Submit
from fairlead_bybit import BybitBroker, BybitStream
from fairlead_sim.serve import LoopClock
from fairlead_venue import Venue

LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"
SECOND = 1_000_000_000


class Trading:
    """A broker at a venue; `reports` are all it told, `until` waits for one."""

    def __init__(self, venue: Venue, *symbols: str, answer: str = "5s", **options: Any) -> None:
        self.venue = venue
        self.reports: list[Any] = []
        words: dict[str, Any] = {"key": Secret.of(venue.key), "secret": Secret.of(venue.secret), **options}
        self.broker = BybitBroker(*(symbols or (LINEAR, SPOT)), url=venue.addresses["rest"], **words)
        self.broker.profile = attrs.evolve(self.broker.profile, answer_ns=duration(answer))
        self.clock = LoopClock()
        self._told = asyncio.Event()
        self._names = itertools.count(1)

    def take(self, report: Any) -> None:
        self.reports.append(report)
        self._told.set()

    async def connect(self) -> None:
        await self.broker.connect(self.take, self.clock)

    async def until(self, kind: type, name: str = "", count: int = 1, within: float = 20.0) -> Any:
        """The first report of a kind, of one order where it is named; with `count` so many of them."""
        async with asyncio.timeout(within):
            while len(found := self.told(kind, name)) < count:
                self._told.clear()
                await self._told.wait()
        return found[0] if count == 1 else found

    def told(self, kind: type, name: str = "") -> list[Any]:
        return [
            report
            for report in self.reports
            if isinstance(report, kind) and name in ("", getattr(report, "client_order_id", ""))
        ]

    def fills(self, name: str = "") -> list[FillReport]:
        return self.told(FillReport, name)

    def submit(
        self, side: str = "buy", quantity: str = "0.01", *, symbol: str = LINEAR, limit: str = "", stop: str = "",
        reduce_only: bool = False, deadline_ns: int = 0, name: str = "", **more: Any,
    ) -> str:  # fmt: skip
        kind = {
            (False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP,
            (True, True): OrderType.STOP_LIMIT,
        }[bool(limit), bool(stop)]  # fmt: skip
        intent = OrderIntent(
            strategy="s", account="bybit", instrument=f"{symbol}@bybit", side=Side(side), quantity=Decimal(quantity),
            type=kind, limit_price=Decimal(limit) if limit else None, stop_price=Decimal(stop) if stop else None,
            **more,
        )  # fmt: skip
        name = name or f"{next(self._names):032x}"
        deadline = deadline_ns or self.clock.now() + 5 * SECOND
        self.broker.send(Submit(name, intent, intent.quantity, reduce_only, deadline))
        return name

    def cancel(self, name: str, number: str = "", symbol: str = LINEAR) -> None:
        self.broker.send(Cancel(name, number, f"{symbol}@bybit", self.clock.now() + 5 * SECOND))

    def replace(
        self,
        name: str,
        quantity: str,
        limit: str = "",
        *,
        stop: str = "",
        attempt: int = 1,
        symbol: str = LINEAR,
    ) -> None:
        prices = [Decimal(text) if text else None for text in (limit, stop)]
        until = self.clock.now() + 5 * SECOND
        self.broker.send(Replace(name, "", f"{symbol}@bybit", attempt, Decimal(quantity), *prices, until))

    async def there(self, method: str, *words: Any, **more: Any) -> Any:
        """Ask the venue's control line without blocking this loop."""
        return await asyncio.to_thread(getattr(self.venue, method), *words, **more)


class Listening:
    """A stream at a venue; `events` are all it told."""

    def __init__(self, venue: Venue, *symbols: str, **options: Any) -> None:
        self.venue = venue
        self.events: list[Any] = []
        self.downs: list[str] = []
        self.stream = BybitStream(*(symbols or (LINEAR, SPOT)), url=venue.addresses["rest"], **options)
        self.stream.on_down = self._down
        self.clock = LoopClock()
        self._told = asyncio.Event()

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self._told.set()

    def take(self, event: Any) -> None:
        self.events.append(event)
        self._told.set()

    async def connect(self) -> None:
        await self.stream.connect(self.take, self.clock)

    async def until(self, found: Any, within: float = 20.0) -> Any:
        """Until something is true of this."""
        async with asyncio.timeout(within):
            while not (result := found()):
                self._told.clear()
                await self._told.wait()
        return result

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def there(self, method: str, *words: Any, **more: Any) -> Any:
        """Ask the venue's control line without blocking this loop."""
        return await asyncio.to_thread(getattr(self.venue, method), *words, **more)


@pytest.fixture
def venue():
    """Bybit with 100,000 USDT and one BTC, and a market at 50,000."""
    with Venue("bybit", cash=["100_000 USDT", "1 BTC"]) as running:
        running.quote("BTC/USDT", 49_999.0, 50_001.0)
        yield running


@pytest.fixture
def play(venue):
    """Play a story with a connected broker at that venue, or at another one, in a loop of its own."""

    def run(story, *symbols, connect=True, at=venue, **options):
        async def whole():
            trading = Trading(at, *symbols, **options)
            try:
                if connect:
                    await trading.connect()
                await asyncio.wait_for(story(trading), 50)
            finally:
                await trading.broker.close()
            return trading

        return asyncio.run(whole())

    return run


@pytest.fixture
def listen(venue):
    """Play a story with a connected stream, in a loop of its own."""

    def run(story, *symbols, **options):
        async def whole():
            listening = Listening(venue, *symbols, **options)
            try:
                await listening.connect()
                await asyncio.wait_for(story(listening), 50)
            finally:
                await listening.stream.close()

        asyncio.run(whole())

    return run
