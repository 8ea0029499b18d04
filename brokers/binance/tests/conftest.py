"""A venue in a box to each test, and accounts at it: brokers with their reports, streams with their events."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any

import pytest

from fairlead import OrderIntent, OrderType, Secret, Side
from fairlead.ports import Cancel, FillReport, Replace, Report, StreamDown, Submit
from fairlead_binance import BinanceBroker, BinanceStream
from fairlead_venue import Venue

SYMBOLS = {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"}
SECOND = 1_000_000_000


class WallClock:
    """Real time; what is due later is kept, and run when a test says so."""

    def __init__(self) -> None:
        self.later: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def now(self) -> int:
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Any:
        entry = (when_ns, next(self._count), callback)
        heapq.heappush(self.later, entry)
        later = self.later

        class Handle:
            def cancel(self) -> None:
                if entry in later:
                    later.remove(entry)
                    heapq.heapify(later)

        return Handle()

    def run_next(self) -> int:
        """Run what is due first, and say how far off it was in ns."""
        when, _, callback = heapq.heappop(self.later)
        callback()
        return when - self.now()


class Trading:
    """A connected broker; `reports` are all it told, `until` waits for one."""

    def __init__(self, venue: Venue, product: str, **options: Any) -> None:
        self.venue = venue
        self.product = product
        self.wallet = "spot" if product == "spot" else "futures"
        self.clock = WallClock()
        self.reports: list[Report] = []
        words: dict[str, Any] = {"key": Secret.of(venue.key), "secret": Secret.of(venue.secret), **options}
        words = {name: value for name, value in words.items() if value is not None}
        self.broker = BinanceBroker(SYMBOLS[product], product=product, url=venue.addresses["rest"], **words)
        self.instrument = f"{SYMBOLS[product]}@binance"
        self._told = asyncio.Event()
        self._names = itertools.count(1)

    def take(self, report: Report) -> None:
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

    def name(self) -> str:
        return f"{next(self._names):032x}"

    def submit(
        self,
        side: str = "buy",
        quantity: str = "0.01",
        *,
        name: str = "",
        limit: str = "",
        stop: str = "",
        reduce_only: bool = False,
        deadline_ns: int = 0,
        **more: Any,
    ) -> str:
        kind = {
            (False, False): OrderType.MARKET,
            (True, False): OrderType.LIMIT,
            (False, True): OrderType.STOP,
            (True, True): OrderType.STOP_LIMIT,
        }[bool(limit), bool(stop)]
        intent = OrderIntent(
            strategy="s", account="binance", instrument=self.instrument, side=Side(side), type=kind,
            quantity=Decimal(quantity), limit_price=Decimal(limit) if limit else None,
            stop_price=Decimal(stop) if stop else None, **more,
        )  # fmt: skip
        name = name or self.name()
        deadline = deadline_ns or self.clock.now() + 5 * SECOND
        self.broker.send(Submit(name, intent, intent.quantity, reduce_only, deadline))
        return name

    def cancel(self, name: str, number: str = "") -> None:
        self.broker.send(Cancel(name, number, self.instrument, self.clock.now() + 5 * SECOND))

    def replace(self, name: str, quantity: str, limit: str, attempt: int = 1) -> None:
        terms = Decimal(quantity), Decimal(limit), None
        self.broker.send(Replace(name, "", self.instrument, attempt, *terms, self.clock.now() + 5 * SECOND))

    async def there(self, method: str, *words: Any, **more: Any) -> Any:
        """Ask the venue's control line without blocking this loop."""
        return await asyncio.to_thread(getattr(self.venue, method), *words, **more)

    async def down(self) -> StreamDown:
        found: StreamDown = await self.until(StreamDown)
        return found


Story = Callable[[Trading], Coroutine[Any, Any, None]]


class Accounts:
    """Plays stories with a connected broker, each in a loop of its own."""

    def __init__(self, venue: Venue, product: str) -> None:
        self.venue = venue
        self.product = product

    def play(self, story: Story, *, connect: bool = True, **options: Any) -> Trading:
        made: list[Trading] = []

        async def whole() -> None:
            trading = Trading(self.venue, self.product, **options)
            made.append(trading)
            try:
                async with asyncio.timeout(50):
                    if connect:
                        await trading.connect()
                    await story(trading)
            finally:
                await trading.broker.close()

        asyncio.run(whole())
        return made[0]


@pytest.fixture
def venue() -> Iterator[Venue]:
    """Binance with money and a market at 50,000."""
    with Venue("binance", cash=["100_000 USDT", "1 BTC"], variants={"orders_10s": "10000"}) as running:
        running.quote("BTC/USDT", 49_999.0, 50_001.0)
        running.trade("BTC/USDT", 50_000.0)
        yield running


@pytest.fixture(params=["spot", "usdm"])
def accounts(venue: Venue, request: pytest.FixtureRequest) -> Accounts:
    """Of either product."""
    return Accounts(venue, request.param)


@pytest.fixture
def spot(venue: Venue) -> Accounts:
    """Of spot."""
    return Accounts(venue, "spot")


@pytest.fixture
def usdm(venue: Venue) -> Accounts:
    """Of USD-M futures."""
    return Accounts(venue, "usdm")


class Watching:
    """A connected stream; `events` are all it told."""

    def __init__(self, venue: Venue, product: str, **options: Any) -> None:
        self.venue = venue
        self.clock = WallClock()
        self.stream = BinanceStream(SYMBOLS[product], product=product, url=venue.addresses["rest"], **options)
        self.instrument = f"{SYMBOLS[product]}@binance"
        self.events: list[Any] = []
        self.downs: list[str] = []
        self._told = asyncio.Event()
        self.stream.on_down = self._down

    def take(self, event: Any) -> None:
        self.events.append(event)
        self._told.set()

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self._told.set()

    async def until(self, holds: Callable[[], Any], within: float = 20.0) -> Any:
        async with asyncio.timeout(within):
            while not (found := holds()):
                self._told.clear()
                await self._told.wait()
        return found

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def there(self, method: str, *words: Any, **more: Any) -> Any:
        return await asyncio.to_thread(getattr(self.venue, method), *words, **more)


@pytest.fixture
def watch(venue: Venue) -> Callable[..., Watching]:
    """Plays a story with a connected stream."""

    def play(
        product: str, story: Callable[[Watching], Coroutine[Any, Any, None]], **options: Any
    ) -> Watching:
        made: list[Watching] = []

        async def whole() -> None:
            watching = Watching(venue, product, **options)
            made.append(watching)
            try:
                async with asyncio.timeout(50):
                    await watching.stream.connect(watching.take, watching.clock)
                    await story(watching)
            finally:
                await watching.stream.close()

        asyncio.run(whole())
        return made[0]

    return play


@pytest.fixture
def accounts_of() -> type[Accounts]:
    """What plays stories at any venue."""
    return Accounts
