"""The stream against the venue: quotes, trades, depth and bars, and what happens when they stop."""

import asyncio

import pytest

from fairlead import Bar, Book, ConfigurationError, ConnectivityError, Quote, Trade
from fairlead.ports import Subscription
from fairlead_ib import IbStream
from fairlead_ib.bars import opening_ns, span

AAPL, EURUSD = "AAPL.NASDAQ@ib", "EUR/USD@ib"


async def opened(bench, *kinds, instrument=AAPL):
    """A stream that is connected and subscribed."""
    await bench.listen()
    asked = [Subscription(instrument, kind) for kind in kinds]
    assert await bench.stream.subscribe(asked) == frozenset(asked)


def test_quotes_trades_and_depth_are_told(run):
    """Each as soon as it is there, on our names."""

    async def story(bench):
        await opened(bench, "quote", "trade", "book")
        first = await bench.told(Quote)
        assert (first.instrument, first.bid, first.ask) == (AAPL, 199.99, 200.01)
        await bench.venue_does("book", "AAPL.NASDAQ", [(199.0, 5.0), (198.0, 6.0)], [(201.0, 7.0)])
        await bench.until(
            lambda: [book.bids for book in bench.of(Book)][-1:] == [((199.0, 5.0), (198.0, 6.0))]
        )
        await bench.venue_does("trade", "AAPL.NASDAQ", 200.5, 3.0)
        trade = await bench.told(Trade)
        assert (trade.price, trade.size, trade.event_ns <= trade.received_ns) == (200.5, 3.0, True)
        await bench.until(lambda: bench.of(Quote)[-1].bid == 199.0)

    run(story, connect=False)


def test_currencies_have_quotes_and_no_trades(run):
    """What a currency has not is not offered."""

    async def story(bench):
        await opened(bench, "quote", instrument=EURUSD)
        assert (await bench.told(Quote)).bid == 1.1
        assert "trade" not in bench.stream.offers("EUR/USD")
        assert bench.stream.offers("BTC/USDT") == ()
        assert bench.stream.offers(AAPL)[:3] == ("quote", "trade", "book")

    run(story, connect=False)


def test_history_joins_the_bars_that_follow(run):
    """Whole bars of the past; then each once, when it is whole: no gap, no overlap."""

    async def story(bench):
        begun = await bench.venue_does("ask", "clock")
        await bench.venue_does("advance", 61 * 10**9 - begun % (60 * 10**9))
        for price in (200.0, 201.0):
            await bench.venue_does("trade", "AAPL.NASDAQ", price, 2.0)
            await bench.venue_does("advance", "1m")
        await bench.venue_does("trade", "AAPL.NASDAQ", 202.0, 2.0)
        now = await bench.venue_does("ask", "clock")
        bench.clock.ahead_ns = now - bench.clock.now()
        await opened(bench, "bar:1m")
        past = await bench.stream.history(Subscription(AAPL, "bar:1m"), now - 600 * 10**9, now)
        assert [bar.close for bar in past] == [200.0, 201.0]
        assert await bench.stream.history(Subscription(AAPL, "quote"), 0, now) == ()
        await bench.venue_does("trade", "AAPL.NASDAQ", 203.0, 2.0)
        await bench.venue_does("advance", "1m")
        await bench.venue_does("trade", "AAPL.NASDAQ", 204.0, 1.0)
        bar = await bench.told(Bar)
        assert (bar.open, bar.close, bar.volume, bar.open_ns) == (202.0, 203.0, 4.0, past[-1].event_ns)
        assert len(bench.of(Bar)) == 1

    run(story, connect=False)


def test_nothing_in_the_past_is_no_error(run):
    """A stock that never traded has no bars."""

    async def story(bench):
        await bench.listen()
        now = await bench.venue_does("ask", "clock")
        assert await bench.stream.history(Subscription(AAPL, "bar:5m"), now - 10**12, now) == ()

    run(story, connect=False)


def test_a_feed_that_is_refused_is_not_confirmed(run, caplog):
    """The sixth stream of trades, tick by tick: the others go on."""

    async def story(bench):
        await bench.listen()
        bench.venue.fault("refuse", on="reqTickByTickData", code=10190)
        asked = [Subscription(AAPL, "quote"), Subscription(AAPL, "trade")]
        assert await bench.stream.subscribe(asked) == {asked[0]}
        assert "10190" in caplog.text
        assert await bench.stream.subscribe(asked) == set(asked)

    run(story, connect=False)


def test_a_feed_ends_when_nobody_wants_it(run):
    """No event any more; it may be asked for again."""

    async def story(bench):
        await opened(bench, "quote", "trade", "book", "bar:1m")
        await bench.stream.unsubscribe(
            [Subscription(AAPL, kind) for kind in ("quote", "trade", "book", "bar:1m")]
        )
        await bench.stream._gateway.alive(5)
        bench.events.clear()
        await bench.venue_does("quote", "AAPL.NASDAQ", 100.0, 100.1)
        await bench.stream._gateway.alive(5)
        assert bench.events == []
        assert {row["path"] for row in bench.venue.requests("cancel*")} == {
            "cancelMktData", "cancelTickByTickData", "cancelMktDepth", "cancelHistoricalData",
        }  # fmt: skip

    run(story, connect=False)


@pytest.mark.parametrize("strike", [("drop", {}), ("notice", {"code": 1100}), ("garbage", {})])
def test_a_broken_stream_says_so_and_comes_back(run, strike):
    """Cut, cut behind TWS, or talking rubbish: the engine is told, and everything is asked for again."""

    async def story(bench):
        down = []
        bench.stream.on_down = down.append
        await opened(bench, "quote")
        await bench.told(Quote)
        if strike[0] == "garbage":
            bench.venue.fault("garbage", on="tickPrice")
            bench.venue.quote("AAPL.NASDAQ", 150.0, 150.1)
        else:
            bench.venue.strike(strike[0], **strike[1])
        async with asyncio.timeout(20):
            while not down:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        bench.events.clear()
        if strike[1]:
            again = asyncio.ensure_future(bench.listen())
            await asyncio.sleep(0)
            bench.venue.strike("notice", code=1101)
            await again
        else:
            await bench.listen()
        await bench.stream.subscribe([Subscription(AAPL, "quote")])
        await bench.told(Quote)

    run(story, connect=False)


def test_words_that_make_no_sense_are_refused():
    """No symbol, an address that is none, a client id that is TWS itself, an environment that is none."""
    for words, why in (((), "serves nothing"),):
        with pytest.raises(ConfigurationError, match=why):
            IbStream(*words)
    with pytest.raises(ConfigurationError, match="no address"):
        IbStream("AAPL.NASDAQ", url="7497")
    with pytest.raises(ConfigurationError, match="client_id=0"):
        IbStream("AAPL.NASDAQ", client_id=0)
    with pytest.raises(ConfigurationError, match="'paper' or 'live'"):
        IbStream("AAPL.NASDAQ", environment="demo")


def test_a_symbol_that_is_none_is_named(run):
    """In words that IB does not use, or that it does not know."""

    async def story(bench):
        for symbol, why in (
            ("AAPL", "no symbol"),
            ("NONE.NASDAQ", "does not know"),
            ("BTC/USDT", "does not know"),
        ):
            stream = IbStream(symbol, url=bench.venue.addresses["tws"], client_id=9)
            with pytest.raises(ConfigurationError, match=why):
                await stream.instruments()
            await stream.close()

    run(story, connect=False)


def test_nobody_at_the_address_is_named():
    """Where it was looked for, and what to look at."""

    async def story():
        with pytest.raises(ConnectivityError, match=r"127\.0\.0\.1:9: .*API is switched on"):
            await IbStream("AAPL.NASDAQ", url="127.0.0.1:9").instruments()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "60 S"), (86_400, "86400 S"), (86_401, "2 D"), (10**9, "30 D")]
)
def test_periods_are_as_ib_writes_them(seconds, text):
    """Seconds for up to a day, then days."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("date", "ns"), [("1700000000", 1_700_000_000 * 10**9), ("20231114", 1_699_920_000 * 10**9)]
)
def test_times_of_bars_are_read(date, ns):
    """Seconds, or a day."""
    assert opening_ns(date) == ns
