"""The stream by ccxt, against Binance in a box."""

import asyncio
import decimal
import importlib.util
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from box import Box

from fairlead import Bar, Book, ConfigurationError, Quote, Trade
from fairlead.ports import Subscription
from fairlead_ccxt import CcxtStream

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ccxt") is None, reason="ccxt is not installed: see conftest.py"
    ),
    pytest.mark.filterwarnings("ignore"),
]
MINUTE_NS = 60_000_000_000
PRODUCTS = [("binance", "BTC/USDT"), ("binanceusdm", "BTC/USDT:USDT"), ("binance", "BTC/USDT:USDT")]


async def until(true: Callable[[], Any], what: str) -> None:
    end = asyncio.get_running_loop().time() + 8
    while not true():
        assert asyncio.get_running_loop().time() < end, what
        await asyncio.sleep(0.002)


def played(
    story: Callable[[Box, CcxtStream, list[Any], str], Any], name: str, symbol: str, **words: Any
) -> None:
    """Run a story with a connected stream and what it has emitted."""

    async def whole() -> None:
        box = Box(**words)
        await box.open()
        try:
            stream = CcxtStream(name, symbol, url=box.url, settle="0s")
            seen: list[Any] = []
            try:
                await stream.connect(seen.append, box.clock)
                await story(box, stream, seen, f"{symbol}@binance")
            finally:
                await stream.close()
        finally:
            await box.close()

    asyncio.run(whole())


@pytest.mark.parametrize(("name", "symbol"), PRODUCTS)
def test_quotes_trades_and_books_arrive(name: str, symbol: str) -> None:
    """Each kind is confirmed, and arrives under the symbol that was asked for, spot or futures."""

    async def story(box: Box, stream: CcxtStream, seen: list[Any], instrument: str) -> None:
        await box.quote(symbol, 49_999.0, 50_001.0, 2.0)
        wanted = [Subscription(instrument, kind) for kind in ("quote", "trade", "book")]
        assert await stream.subscribe(wanted) == frozenset(wanted)
        await box.quote(symbol, 49_990.0, 50_010.0, 3.0)
        await asyncio.to_thread(box.box.trade, "BTC/USDT", 50_005.0, 0.5)
        for kind in (Quote, Trade, Book):
            await until(
                lambda kind=kind: any(type(event) is kind for event in seen), f"no {kind.__name__} came"
            )
        assert {event.instrument for event in seen} == {instrument}
        trade = next(event for event in seen if type(event) is Trade)
        assert (trade.price, trade.size, trade.aggressor) == (50_005.0, 0.5, "buy")
        await until(
            lambda: any(type(e) is Quote and (e.bid, e.ask) == (49_990.0, 50_010.0) for e in seen),
            "no new quote",
        )

    played(story, name, symbol)


def test_a_burst_of_trades_arrives_whole() -> None:
    """Thirty thousand prints at once: ccxt keeps the last thousand, and each one is told all the same, in order."""

    async def story(box: Box, stream: CcxtStream, seen: list[Any], instrument: str) -> None:
        await box.quote("BTC/USDT", 49_999.0, 50_001.0, 2.0)
        await stream.subscribe([Subscription(instrument, "trade")])
        box.box.strike("burst", count=30_000)
        await until(lambda: len(seen) >= 30_000, f"{len(seen)} of 30000 came")
        numbers = [int(event.trade_id) for event in seen]
        assert numbers == sorted(set(numbers))

    played(story, "binance", "BTC/USDT")


def test_what_is_emitted_meets_the_engines_own_arithmetic() -> None:
    """ccxt rounds halves up in the decimal context that it runs in; who listens has the one that he had."""

    async def story(box: Box, stream: CcxtStream, seen: list[Any], instrument: str) -> None:
        found: list[str] = []
        await stream.connect(lambda event: found.append(decimal.getcontext().rounding), box.clock)
        await stream.subscribe([Subscription(instrument, "quote")])
        await box.quote("BTC/USDT", 49_999.0, 50_001.0, 2.0)
        await until(lambda: found, "no quote came")
        assert {*found, decimal.getcontext().rounding} == {decimal.ROUND_HALF_EVEN}

    played(story, "binance", "BTC/USDT")


def test_history_and_live_bars_meet() -> None:
    """What a warm-up was given and what comes live have neither a gap nor an overlap, over a broken connection too."""

    async def story(box: Box, stream: CcxtStream, seen: list[Any], instrument: str) -> None:
        feed, downs = Subscription(instrument, "bar:1m"), list[str]()
        stream.on_down = downs.append
        for minute in range(4):
            await asyncio.to_thread(box.box.trade, "BTC/USDT", 50_000.0 + minute)
            await asyncio.to_thread(box.box.advance, "1m")
        there = box.box.ask("clock")
        ahead = there - box.clock.now()
        clock = Ahead(box.clock, ahead)
        await stream.connect(seen.append, clock)
        past = await stream.history(feed, there - 3 * MINUTE_NS, there + 1)
        assert past
        assert await stream.subscribe([feed]) == {feed}
        for minute in range(2):
            await asyncio.to_thread(box.box.trade, "BTC/USDT", 50_010.0 + minute)
            clock.ahead += MINUTE_NS
            await asyncio.to_thread(box.box.advance, "1m")
        await asyncio.to_thread(box.box.trade, "BTC/USDT", 50_020.0)
        await until(lambda: len(seen) >= 2, f"{len(seen)} bars came live")
        await asyncio.to_thread(box.box.disconnect)
        await until(lambda: downs, "the broken connection was not told")
        clock.ahead += MINUTE_NS
        await asyncio.to_thread(box.box.advance, "1m")
        await asyncio.to_thread(box.box.trade, "BTC/USDT", 50_030.0)
        await stream.connect(seen.append, clock)
        assert await stream.subscribe([feed]) == {feed}
        await until(lambda: len(seen) >= 3, "what was missed did not come")
        ends = [bar.event_ns for bar in [*past, *seen] if isinstance(bar, Bar)]
        assert [later - sooner for sooner, later in itertools.pairwise(ends)] == [MINUTE_NS] * (len(ends) - 1)

    played(story, "binance", "BTC/USDT")


class Ahead:
    """A clock that can be set ahead."""

    def __init__(self, clock: Any, ahead: int) -> None:
        self._clock, self.ahead = clock, ahead

    def now(self) -> int:
        return self._clock.now() + self.ahead

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Any:
        return self._clock.call_at(when_ns - self.ahead, callback)


def test_a_symbol_that_is_not_there_is_named() -> None:
    """The refusal says which symbol, where, and what there is instead."""

    async def ask() -> None:
        box = Box()
        await box.open()
        try:
            await CcxtStream("binance", "BTC/EUR", url=box.url).instruments()
        finally:
            await box.close()

    with pytest.raises(ConfigurationError, match=r"binance does not trade 'BTC/EUR' here \(it has BTC/USDT"):
        asyncio.run(ask())


def test_an_exchange_that_is_not_there_is_named() -> None:
    """ccxt's own list is the remedy."""
    with pytest.raises(ConfigurationError, match="no exchange named 'binanse'"):
        asyncio.run(CcxtStream("binanse", "BTC/USDT").instruments())
