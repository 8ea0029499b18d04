"""A stream at Bybit in a box: every feed, gaps, breaks, and bars that join their history."""

import pytest

from fairlead import Bar, Book, ConfigurationError, Mark, Quote, Trade
from fairlead.ports import Subscription
from fairlead_bybit import BybitStream

LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"
MINUTE = 60_000_000_000


def feeds(symbol, *kinds):
    return [Subscription(f"{symbol}@bybit", kind) for kind in kinds]


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
def test_every_feed_is_confirmed_and_comes(listen, symbol):
    """Quotes and books begin with what there is; trades say who took."""

    async def story(listening):
        wanted = feeds(symbol, "quote", "trade", "book", "bar:1m", *(["mark"] if symbol == LINEAR else []))
        assert await listening.stream.subscribe(wanted) == set(wanted)
        quote = (await listening.until(lambda: listening.told(Quote)))[0]
        assert (quote.bid, quote.ask, quote.bid_size) == (49_999.0, 50_001.0, 1000.0)
        book = (await listening.until(lambda: listening.told(Book)))[0]
        assert (book.bids, book.asks) == (((49_999.0, 1000.0),), ((50_001.0, 1000.0),))
        await listening.there("trade", "BTC/USDT", 50_000.0, 0.5, aggressor="sell")
        trade = (await listening.until(lambda: listening.told(Trade)))[0]
        assert (trade.price, trade.size, trade.aggressor) == (50_000.0, 0.5, "sell")
        if symbol == LINEAR:
            assert (await listening.until(lambda: listening.told(Mark)))[0].price == 50_000.0

    listen(story)


def test_a_book_follows_its_steps(listen):
    """Levels come, change and go."""

    async def story(listening):
        await listening.stream.subscribe(feeds(LINEAR, "book"))
        await listening.there("book", "BTC/USDT", [(49_998.0, 2.0), (49_997.0, 1.0)], [(50_001.0, 3.0)])
        await listening.until(
            lambda: listening.told(Book)[-1:] and listening.told(Book)[-1].asks == ((50_001.0, 3.0),)
        )
        assert listening.told(Book)[-1].bids == ((49_998.0, 2.0), (49_997.0, 1.0))

    listen(story)


@pytest.mark.parametrize("kind", ["quote", "book"])
def test_a_gap_is_noticed_and_the_book_begins_anew(listen, venue, kind):
    """A step that is lost shows in the number of the next one: no book is told that is wrong."""

    async def story(listening):
        await listening.stream.subscribe(feeds(LINEAR, kind))
        await listening.until(lambda: listening.events)
        await listening.there("fault", "lose", on="event:orderbook")
        await listening.there("quote", "BTC/USDT", 49_990.0, 50_001.0)
        await listening.there("quote", "BTC/USDT", 49_990.0, 50_005.0)
        last = await listening.until(lambda: len(listening.events) > 1 and listening.events[-1])
        best = (last.bid, last.ask) if kind == "quote" else (last.bids[0][0], last.asks[0][0])
        assert best == (49_990.0, 50_005.0)
        assert listening.downs == []

    listen(story)


def test_a_restart_of_the_service_begins_anew(listen):
    """A whole book in the middle takes the place of what there was."""

    async def story(listening):
        await listening.stream.subscribe(feeds(SPOT, "book"))
        await listening.until(lambda: listening.events)
        await listening.there("strike", "shutdown", lasts="1h")
        await listening.until(lambda: len(listening.events) > 1)
        assert listening.events[1].bids == listening.events[0].bids

    listen(story)


@pytest.mark.parametrize("fault", ["garbage", "drop"])
def test_a_break_is_told_once_and_another_connection_goes_on(listen, fault):
    """What cannot be read ends the connection too; then it is subscribed again."""

    async def story(listening):
        await listening.stream.subscribe(feeds(LINEAR, "quote") + feeds(SPOT, "trade"))
        await listening.until(lambda: listening.events)
        await listening.there("fault", fault, on="event:orderbook")
        await listening.there("quote", "BTC/USDT", 49_990.0, 50_001.0)
        await listening.until(lambda: listening.downs)
        before = len(listening.events)
        await listening.connect()
        wanted = feeds(LINEAR, "quote")
        assert await listening.stream.subscribe(wanted) == set(wanted)
        await listening.until(lambda: len(listening.events) > before)
        assert listening.events[-1].bid == 49_990.0
        assert len(listening.downs) == 1

    listen(story)


def test_bars_join_their_history_without_a_gap(listen):
    """Bars of the past, then what closes: each once, in order, also over a break."""

    async def story(listening):
        now = listening.clock.now() // MINUTE * MINUTE
        ends = [now - 2 * MINUTE, now - MINUTE, now]
        past = [Bar(f"{LINEAR}@bybit", "1m", 1.0, 2.0, 0.5, 1.5, 3.0, end - MINUTE, end, now) for end in ends]
        await listening.there("push", *past)
        [subscription] = feeds(LINEAR, "bar:1m")
        found = await listening.stream.history(subscription, now - 10 * MINUTE, now - MINUTE + 1)
        assert [bar.event_ns for bar in found] == [bar.event_ns for bar in past[:2]]
        await listening.stream.subscribe([subscription])
        bars = await listening.until(lambda: listening.told(Bar))
        assert [bar.event_ns for bar in bars] == [now]

    listen(story)


def test_words_that_make_no_sense_are_refused():
    """With the remedy."""
    with pytest.raises(ConfigurationError, match="1 to 1000"):
        BybitStream(levels=0)
    with pytest.raises(ConfigurationError, match="none of Bybit's"):
        BybitStream(environment="moon")


def test_a_symbol_that_is_not_listed_is_named(listen):
    """With those that are near."""

    async def story(listening):
        """Never begins."""

    with pytest.raises(ConfigurationError, match="does not trade 'BTC/EUR'"):
        listen(story, "BTC/EUR")
