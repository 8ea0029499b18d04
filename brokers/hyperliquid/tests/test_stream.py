"""Market data of Hyperliquid in a box, as events."""

import asyncio
import time

import pytest

from fairlead import ConfigurationError
from fairlead.ports import Bar, Book, Funding, Mark, Quote, Subscription, Trade
from fairlead_hyperliquid import HyperliquidStream

BTC = "BTC/USDC:USDC@hyperliquid"
MINUTE = 60_000_000_000


class Clock:
    """Time that a test moves by hand; what is due is called then."""

    def __init__(self):
        self.ahead = 0
        self.due = []

    def now(self):
        return time.time_ns() + self.ahead

    def call_at(self, when, callback):
        handle = Handle(when, callback)
        self.due.append(handle)
        return handle

    def advance(self, by):
        self.ahead += by
        now = self.now()
        for handle in sorted((one for one in self.due if one.when <= now), key=lambda one: one.when):
            self.due.remove(handle)
            if not handle.canceled:
                handle.callback()


class Handle:
    def __init__(self, when, callback):
        self.when, self.callback, self.canceled = when, callback, False

    def cancel(self):
        self.canceled = True


class Ear:
    """A connected stream and what it emitted."""

    def __init__(self, venue, **words):
        self.venue = venue
        self.stream = HyperliquidStream("BTC/USDC:USDC", url=venue.addresses["rest"], **words)
        self.clock = Clock()
        self.heard = []
        self.downs = []
        self.stream.on_down = self._down
        self._changed = asyncio.Event()

    def _down(self, reason):
        self.downs.append(reason)
        self._changed.set()

    async def lost(self):
        async with asyncio.timeout(20):
            while not self.downs:
                self._changed.clear()
                await self._changed.wait()

    def emit(self, event):
        self.heard.append(event)
        self._changed.set()

    async def subscribe(self, *kinds):
        wanted = [Subscription(BTC, kind) for kind in kinds]
        assert await self.stream.subscribe(wanted) == frozenset(wanted)

    def of(self, kind):
        return [event for event in self.heard if isinstance(event, kind)]

    async def until(self, kind, count=1):
        async with asyncio.timeout(20):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)[count - 1]


@pytest.fixture
def listen(venue):
    """Runs a story with a connected stream."""

    def run(story, ahead=0, **words):
        async def whole():
            ear = Ear(venue, **words)
            ear.clock.ahead = ahead
            await ear.stream.connect(ear.emit, ear.clock)
            try:
                await asyncio.wait_for(story(ear), 20)
            finally:
                await ear.stream.close()

        asyncio.run(whole())

    return run


def test_ticks_are_told_as_they_come(venue, listen):
    """Quotes, trades with their side and number, books with so many levels; marks only where they are wanted."""

    async def story(ear):
        await ear.subscribe("quote", "trade", "book")
        await ear.subscribe("mark")
        await ear.subscribe("funding")
        venue.quote("BTC/USDC", 50_009.0, 50_011.0, bid_size=2.0, ask_size=3.0)
        venue.trade("BTC/USDC", 50_010.0, 0.25, aggressor="sell")
        quote = await ear.until(Quote, 2)
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (50_009.0, 50_011.0, 2.0, 3.0)
        trade = await ear.until(Trade)
        assert (trade.price, trade.size, trade.aggressor, trade.trade_id) == (50_010.0, 0.25, "sell", "1")
        book = await ear.until(Book, 2)
        assert (book.bids, book.asks) == (((50_009.0, 2.0),), ((50_011.0, 3.0),))
        assert (await ear.until(Mark)).price == 50_000.0
        assert all(abs(event.event_ns - event.received_ns) < 5_000_000_000 for event in ear.heard)

    listen(story)


def test_old_trades_are_not_told_again(venue, listen):
    """A subscription begins with what was before it; after a break only what is new is told."""
    venue.trade("BTC/USDC", 49_000.0)
    time.sleep(0.01)

    async def story(ear):
        await ear.subscribe("trade")
        venue.trade("BTC/USDC", 50_000.0)
        await ear.until(Trade)
        venue.strike("drop")
        await ear.lost()
        venue.trade("BTC/USDC", 50_001.0)
        await ear.stream.connect(ear.emit, ear.clock)
        await ear.subscribe("trade")
        venue.trade("BTC/USDC", 50_002.0)
        await ear.until(Trade, 3)
        assert [trade.price for trade in ear.of(Trade)] == [50_000.0, 50_001.0, 50_002.0]

    listen(story)


def test_bars_join_their_history(venue, listen):
    """Closed bars of the past, what closed before the subscription, then live ones: each once and in order."""
    if venue.ask("clock") % MINUTE > 50_000_000_000:
        venue.advance("15s")  # not across the end of a minute
    for price in (50_001.0, 50_002.0, 50_003.0):
        venue.bar("BTC/USDC", "1m", open=price, high=price, low=price, close=price)
        venue.advance("1m")
    now = venue.ask("clock") // MINUTE * MINUTE

    async def story(ear):
        past = await ear.stream.history(Subscription(BTC, "bar:1m"), now - 60 * MINUTE, now - 2 * MINUTE + 1)
        assert [(bar.event_ns, bar.close) for bar in past] == [
            (now - 3 * MINUTE, 50_001.0), (now - 2 * MINUTE, 50_002.0),
        ]  # fmt: skip
        await ear.subscribe("bar:1m")
        joined = await ear.until(Bar)
        assert (joined.event_ns, joined.close) == (now - MINUTE, 50_003.0)
        venue.trade("BTC/USDC", 50_005.0, 0.5)
        venue.trade("BTC/USDC", 50_004.0, 0.5)
        await asyncio.sleep(0.1)
        assert len(ear.of(Bar)) == 1
        ear.clock.advance(2 * MINUTE)
        live = await ear.until(Bar, 2)
        assert (live.close, live.volume, live.open_ns, live.event_ns) == (50_004.0, 1.0, now, now + MINUTE)
        venue.trade("BTC/USDC", 50_006.0)
        await asyncio.sleep(0.1)
        assert len(ear.of(Bar)) == 2

    listen(story, ahead=venue.ask("clock") - time.time_ns())


def test_funding_is_told_at_the_full_hour(venue, listen):
    """With the rate that held until then."""

    async def story(ear):
        await ear.subscribe("funding")
        venue.mark("BTC/USDC", 50_000.0)
        await asyncio.sleep(0.1)
        ear.clock.ahead += 60 * MINUTE
        venue.mark("BTC/USDC", 50_001.0)
        paid = await ear.until(Funding)
        assert paid.event_ns % (60 * MINUTE) == 0
        assert ear.of(Mark) == []

    listen(story)


def test_what_nobody_watches_is_not_sent(venue, listen):
    """Unsubscribed, and offered again later; other kinds of it go on."""

    async def story(ear):
        await ear.subscribe("quote", "mark", "funding")
        await ear.stream.unsubscribe([Subscription(BTC, "quote"), Subscription(BTC, "funding")])
        assert venue.streams("bbo:BTC") == []
        assert len(venue.streams("activeAssetCtx:BTC")) == 1
        await ear.subscribe("quote")
        assert len(venue.streams("bbo:BTC")) == 1

    listen(story)


def test_garbage_ends_the_connection(venue, listen):
    """Whoever listens is told, and connects again."""

    async def story(ear):
        downs = ear.downs
        await ear.subscribe("quote")
        venue.fault("garbage", on="bbo")
        venue.quote("BTC/USDC", 50_009.0, 50_011.0)
        await ear.lost()
        assert "cannot be read" in downs[0]

    listen(story)


def test_a_dead_connection_is_noticed_by_its_silence(venue, listen):
    """Not even a ping is answered: after forty seconds it is given up."""

    async def story(ear):
        downs = ear.downs
        await ear.subscribe("quote")
        venue.strike("half_open")
        for _ in range(3):
            ear.clock.advance(16_000_000_000)
        assert "said nothing" in downs[0]

    listen(story)


def test_a_symbol_that_is_not_listed_is_refused(venue):
    """By the first question, with what there is."""
    stream = HyperliquidStream("SOL/USDC:USDC", url=venue.addresses["rest"])
    with pytest.raises(ConfigurationError, match="does not list SOL"):
        asyncio.run(stream.instruments())


def test_spot_has_its_own_markets(venue, listen):
    """By its own names, without marks."""

    async def story():
        stream = HyperliquidStream("BTC/USDC", product="spot", url=venue.addresses["rest"])
        [found] = await stream.instruments()
        assert (found.id, found.native) == ("BTC/USDC@hyperliquid", "@0")
        assert "mark" not in stream.offers(found.id)

    asyncio.run(story())
