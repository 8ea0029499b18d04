"""A TWS to each test, and the adapter against it without an engine: what it emits is kept, and can be waited for."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from fairlead import OrderType, Side, TimeInForce
from fairlead.ports import Cancel, OrderIntent, Replace, Submit
from fairlead_ib import IbBroker, IbStream
from fairlead_venue import Venue

AAPL, EURUSD = "AAPL.NASDAQ@ib", "EUR/USD@ib"
_FAR = 1 << 62


class Wall:
    """The clock on the wall, or one that is ahead of it, with timers of the running loop."""

    ahead_ns = 0

    def now(self) -> int:
        return time.time_ns() + self.ahead_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Any:
        return asyncio.get_running_loop().call_later(max(0.0, (when_ns - self.now()) / 1e9), callback)


class Bench:
    """A broker and a stream at a venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.reports: list[Any] = []
        self.events: list[Any] = []
        self.changed = asyncio.Event()
        self.clock = Wall()
        self.broker = self.make_broker()
        self.stream = IbStream("AAPL.NASDAQ", "EUR/USD", url=venue.addresses["tws"])
        self._numbers = 0

    def make_broker(self, **words: Any) -> IbBroker:
        usual = {
            "account": "DU1234567",
            "url": self.venue.addresses["tws"],
            "heartbeat": "30s",
            "fee_wait": "200ms",
        }
        return IbBroker("AAPL.NASDAQ", "EUR/USD", **(usual | words))

    def emit(self, report: Any) -> None:
        self.reports.append(report)
        self.changed.set()

    def event(self, event: Any) -> None:
        self.events.append(event)
        self.changed.set()

    async def connect(self) -> None:
        await self.broker.connect(self.emit, self.clock)

    async def listen(self) -> None:
        await self.stream.connect(self.event, self.clock)

    async def close(self) -> None:
        await self.broker.close()
        await self.stream.close()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(50):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def told(self, kind: type, count: int = 1) -> Any:
        """The first report of a kind, once there are so many; all of them where more than one is asked for."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[0] if count == 1 else self.of(kind)[:count]

    def of(self, kind: type) -> list[Any]:
        return [report for report in [*self.reports, *self.events] if isinstance(report, kind)]

    async def venue_does(self, name: str, *args: Any, **words: Any) -> Any:
        return await asyncio.to_thread(getattr(self.venue, name), *args, **words)

    def submit(self, side: str = "buy", quantity: str = "10", limit: str | None = "190", **words: Any) -> str:
        """Send an order; returns its id."""
        self._numbers += 1
        name = f"{self._numbers:032x}"
        instrument = words.pop("instrument", AAPL)
        deadline = words.pop("deadline_ns", _FAR)
        kind = words.pop("type", OrderType.MARKET if limit is None else OrderType.LIMIT)
        intent = OrderIntent(
            strategy="s", account="ib", instrument=instrument, side=Side(side), quantity=Decimal(quantity), type=kind,
            limit_price=None if limit is None else Decimal(limit),
            time_in_force=words.pop("tif", TimeInForce.GTC), **words,
        )  # fmt: skip
        self.broker.send(Submit(name, intent, intent.quantity, False, deadline))
        return name

    def cancel(self, name: str) -> None:
        self.broker.send(Cancel(name, "", AAPL, _FAR))

    def replace(self, name: str, *, quantity: str = "10", limit: str = "191", attempt: int = 1) -> None:
        self.broker.send(Replace(name, "", AAPL, attempt, Decimal(quantity), Decimal(limit), None, _FAR))


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A TWS with a million dollars, Apple at 200 and the euro at 1.1."""
    with Venue("tws") as running:
        running.quote("AAPL.NASDAQ", 199.99, 200.01)
        running.quote("EUR/USD", 1.10000, 1.10005)
        yield running


@pytest.fixture
def run(venue: Venue) -> Callable[..., None]:
    """Runs a story on a bench in a loop of its own, connected unless it is told not to."""

    def play(story: Callable[[Bench], Any], *, connect: bool = True, **words: Any) -> None:
        async def whole() -> None:
            bench = Bench(venue)
            if words:
                bench.broker = bench.make_broker(**words)
            try:
                if connect:
                    await bench.connect()
                async with asyncio.timeout(50):
                    await story(bench)
            finally:
                with contextlib.suppress(ConnectionError):
                    await bench.close()

        asyncio.run(whole())

    return play
