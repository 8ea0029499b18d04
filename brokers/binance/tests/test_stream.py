"""Market data of Binance: every kind of feed, gaps, reconnects and hostile frames."""

import asyncio
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from fairlead import Bar, Book, ConfigurationError, Funding, Instrument, Mark, Quote, Trade, VenueError
from fairlead.ports import Subscription
from fairlead_binance import BinanceStream
from fairlead_binance.depth import Change, Depth, Outcome, Picture
from fairlead_binance.feeds import Bars, Marks, Quotes, Trades
from fairlead_binance.instruments import Listing, natives, spot_instruments, usdm_instruments
from fairlead_venue import Venue

MINUTE = 60_000_000_000


def instrument(symbol="BTC/USDT"):
    return Instrument(
        symbol=symbol, venue="binance", base="BTC", quote="USDT", settle="USDT", native="BTCUSDT",
        tick=Decimal("0.01"), lot=Decimal("0.001"),
    )  # fmt: skip


# --- at the venue -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_every_feed(watch, product):
    """Quotes, trades, books, bars, and of futures marks: each confirmed, and each as the venue has it."""

    async def story(watching):
        name = watching.instrument
        kinds = [
            kind for kind in watching.stream.offers(name) if not kind.startswith("bar:") or kind == "bar:1m"
        ]
        wanted = [Subscription(name, kind) for kind in kinds]
        assert await watching.stream.subscribe(wanted) == frozenset(wanted)
        await watching.there("quote", "BTC/USDT", 50_010.0, 50_012.0)
        await watching.there("trade", "BTC/USDT", 50_011.0, 0.5, aggressor="sell")
        await watching.there("mark", "BTC/USDT:USDT@binance", 50_020.0)
        quote = await watching.until(lambda: watching.of(Quote))
        trade = await watching.until(lambda: watching.of(Trade))
        assert (quote[0].bid, quote[0].ask, quote[0].instrument) == (50_010.0, 50_012.0, name)
        assert (trade[0].price, trade[0].size, trade[0].aggressor) == (50_011.0, 0.5, "sell")
        book = await watching.until(
            lambda: [b for b in watching.of(Book) if b.bids[:1] == ((50_010.0, 1000.0),)]
        )
        assert book[0].asks[0][0] == 50_012.0
        if product == "usdm":
            assert await watching.until(lambda: [m for m in watching.of(Mark) if m.price == 50_020.0])

    watch(product, story)


def test_bars_join_their_history(watch):
    """A bar that closes between the history and the stream, or while the connection is broken, is told: once."""

    async def story(watching):
        bars = Subscription(watching.instrument, "bar:1m")
        for price in (50_000.0, 50_100.0, 50_200.0):
            await watching.there("trade", "BTC/USDT", price)
            await watching.there("advance", "1m")
        await watching.stream.connect(watching.take, watching.clock)  # its clock is where the venue's is now
        now = watching.stream._rest.clock.now()
        past = await watching.stream.history(bars, now - 10 * MINUTE, now - now % MINUTE - MINUTE + 1)
        await watching.stream.subscribe([bars])
        opened = [bar.open_ns for bar in past] + [bar.open_ns for bar in watching.of(Bar)]
        assert opened == sorted(set(opened))
        assert [bar.close for bar in (*past, *watching.of(Bar))][-1] == 50_200.0
        assert all(b - a == MINUTE for a, b in pairwise(opened))
        await watching.there("strike", "drop")
        await watching.until(lambda: watching.downs)
        await watching.there("trade", "BTC/USDT", 50_300.0)
        await watching.there("advance", "1m")
        await watching.stream.connect(watching.take, watching.clock)
        await watching.stream.subscribe([bars])
        assert watching.of(Bar)[-1].close == 50_300.0
        opened = [bar.open_ns for bar in (*past, *watching.of(Bar))]
        assert opened == sorted(set(opened))

    watch("spot", story)


def test_a_burst_loses_nothing(watch):
    """Any number of messages at once is handed over, in order."""

    async def story(watching):
        await watching.stream.subscribe([Subscription(watching.instrument, "trade")])
        await watching.there("strike", "burst", count=3000)
        await watching.until(lambda: len(watching.events) >= 3000, within=15)
        numbers = [int(event.trade_id) for event in watching.events]
        assert numbers == sorted(set(numbers))

    watch("spot", story)


@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_a_gap_in_a_book_is_mended(watch, product):
    """A change that got lost makes the book worthless: it is fetched anew, and right again."""

    async def story(watching):
        await watching.stream.subscribe([Subscription(watching.instrument, "book")])
        await watching.until(lambda: watching.of(Book))
        await watching.there("fault", "lose", on="event:depth")
        await watching.there("book", "BTC/USDT", [(49_990.0, 1.0)], [(50_010.0, 2.0)])
        await watching.there("book", "BTC/USDT", [(49_980.0, 3.0)], [(50_020.0, 4.0)])
        right = await watching.until(lambda: [b for b in watching.of(Book) if b.bids == ((49_980.0, 3.0),)])
        assert right[-1].asks == ((50_020.0, 4.0),)
        assert not watching.downs

    watch(product, story)


@pytest.mark.parametrize("fault", ["drop", "close", "shutdown"])
def test_a_broken_connection_is_told_once(watch, fault):
    """And made again by whoever was told: with the same feeds it goes on."""

    async def story(watching):
        quotes = Subscription(watching.instrument, "quote")
        await watching.stream.subscribe([quotes])
        await watching.there("strike", fault)
        await watching.until(lambda: watching.downs)
        await watching.stream.connect(watching.take, watching.clock)
        assert await watching.stream.subscribe([quotes]) == {quotes}
        await watching.there("quote", "BTC/USDT", 50_020.0, 50_021.0)
        await watching.until(lambda: [q for q in watching.of(Quote) if q.bid == 50_020.0])
        assert len(watching.downs) == 1

    watch("usdm", story)


def test_garbage_breaks_the_connection(watch):
    """What cannot be read is a broken feed, and no exception in the loop."""

    async def story(watching):
        await watching.stream.subscribe([Subscription(watching.instrument, "quote")])
        await watching.there("fault", "garbage", on="event:bookTicker")
        await watching.there("quote", "BTC/USDT", 50_020.0, 50_021.0)
        assert "cannot be read" in (await watching.until(lambda: watching.downs))[0]

    watch("spot", story)


def test_what_is_not_wanted_any_more_is_not_sent(watch):
    """Marks and funding are one stream: it ends with the last of the two."""

    async def story(watching):
        name = watching.instrument
        mark, funding, quote = (Subscription(name, kind) for kind in ("mark", "funding", "quote"))
        await watching.stream.subscribe([mark, funding, quote])
        assert len(await watching.there("streams", "btcusdt@markPrice@1s")) == 1
        await watching.stream.unsubscribe([mark, quote])
        assert await watching.there("streams", "btcusdt@bookTicker") == []
        assert len(await watching.there("streams", "btcusdt@markPrice@1s")) == 1
        await watching.stream.unsubscribe([funding])
        assert await watching.there("streams", "btcusdt@markPrice@1s") == []

    watch("usdm", story)


def test_what_there_is(watch, venue: Venue):
    """All instruments without a symbol; nothing of one that is not listed, neither feeds nor history."""

    async def story(watching):
        assert watching.stream.offers("DOGE/USDT") == ()
        strange = Subscription("DOGE/USDT@binance", "quote")
        assert await watching.stream.subscribe([strange]) == frozenset()
        assert await watching.stream.history(strange, 0, 1) == ()
        await watching.stream.unsubscribe([strange])
        every = BinanceStream(url=venue.addresses["rest"])
        assert {found.symbol for found in await every.instruments()} == {"BTC/USDT", "ETH/USDT"}
        with pytest.raises(ConfigurationError, match="check the symbols"):
            await BinanceStream("DOGE/USDT", url=venue.addresses["rest"]).instruments()

    watch("spot", story)


# --- piece by piece -----------------------------------------------------------------------------------------------


def test_funding_is_told_when_its_time_has_come():
    """The rate that stood last before it, at its own time."""
    seen = []
    marks = Marks(instrument("BTC/USDT:USDT"), seen.append, lambda: 7)
    marks.wanted |= {"funding"}
    for at, rate, following in ((1, "0.0001", 100), (2, "0.0002", 100), (101, "0.0003", 200)):
        marks.take(msgspec.json.encode({"E": at, "p": "50000.00", "r": rate, "T": following}))
    assert seen == [Funding("BTC/USDT:USDT@binance", 0.0002, 100_000_000, 7)]


def test_what_is_older_or_told_twice_is_left_out():
    """A quote that a later one has overtaken, a trade that comes again."""
    seen = []
    quotes, trades = (kind(instrument(), seen.append, lambda: 7) for kind in (Quotes, Trades))
    for number in (5, 4, 6):
        quotes.take(msgspec.json.encode({"u": number, "s": "X", "b": "1", "B": "2", "a": "3", "A": "4"}))
        trades.take(msgspec.json.encode({"t": number, "p": "1", "q": "2", "T": 3, "m": True}))
    assert [type(event).__name__ for event in seen] == ["Quote", "Trade", "Quote", "Trade"]


def test_an_unfinished_bar_is_none():
    """Only what has closed is told, and what is told while the past is fetched waits."""
    seen = []
    bars = Bars(instrument(), "1m", seen.append, lambda: 7)

    def kline(begin, shut):
        row = {"t": begin * 60_000, "o": "1", "h": "2", "l": "0.5", "c": "1.5", "v": "9", "x": shut}
        bars.take(msgspec.json.encode({"k": row}))

    bars.hold()
    kline(2, shut=False)
    kline(2, shut=True)
    assert seen == []
    past = [Bar("BTC/USDT@binance", "1m", 1, 1, 1, 1, 1, n * MINUTE, (n + 1) * MINUTE, 0) for n in (1, 2)]
    bars.join(past)
    kline(3, shut=True)
    assert [bar.open_ns // MINUTE for bar in seen] == [1, 2, 3]


@pytest.mark.parametrize("futures", [False, True])
def test_a_book_is_joined_to_its_changes(futures):
    """Changes before the picture are left out, the one it falls into counts, and a missing number is a gap."""
    book = Depth()

    def change(first, last, price, before=None):
        row = Change(U=first, u=last, b=[(price, 1.0)], a=[], pu=before if futures else None)
        return book.change(row)

    assert change(1, 3, 10.0, 0) is Outcome.WAITS
    assert change(4, 6, 11.0, 3) is Outcome.WAITS
    assert book.picture(Picture(5, [(9.0, 1.0)], [(12.0, 1.0)])) is Outcome.KEPT
    assert book.best(5)[0] == ((11.0, 1.0), (9.0, 1.0))
    assert change(7, 8, 10.5, 6) is Outcome.KEPT
    assert change(7, 8, 10.5, 6) is Outcome.WAITS
    assert change(10, 11, 10.6, 9) is Outcome.GAP
    book.begin()
    assert change(20, 21, 10.0, 19) is Outcome.WAITS
    assert book.picture(Picture(15, [], [])) is Outcome.GAP


def test_a_level_of_nothing_is_taken_away():
    """And the best levels are in their order."""
    book = Depth()
    book.picture(Picture(1, [(9.0, 1.0), (10.0, 2.0)], [(12.0, 1.0), (11.0, 5.0)]))
    book.change(Change(U=2, u=2, b=[(10.0, 0.0)], a=[(11.5, 1.0)]))
    assert book.best(2) == (((9.0, 1.0),), ((11.0, 5.0), (11.5, 1.0)))


def test_symbols_as_binance_writes_them():
    """Pairs, perpetuals, and contracts with an end."""
    symbols = ["BTC/USDT", "BTC/USDT:USDT", "BTC/USDT:USDT-260925", "ETH/BTC@binance"]
    assert natives(symbols) == ["BTCUSDT", "BTCUSDT", "BTCUSDT_260925", "ETHBTC"]


FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
    {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "120"},
    {"filterType": "MIN_NOTIONAL", "notional": "100"},
]


def test_contracts_with_an_end_and_what_does_not_trade():
    """A quarterly contract has its day in its symbol; what is settling, or of another kind, is left out."""
    row = {
        "symbol": "BTCUSDT_260925", "status": "TRADING", "contractType": "CURRENT_QUARTER", "baseAsset": "BTC",
        "quoteAsset": "USDT", "marginAsset": "USDT", "requiredMarginPercent": "5.0000",
        "maintMarginPercent": "2.5000", "filters": FILTERS,
    }  # fmt: skip
    other = [row | {"status": "SETTLING"}, row | {"contractType": "SOMETHING_NEW"}]
    [found] = usdm_instruments({"symbols": [row, *other]}, {"BTCUSDT_260925": 10}, {})
    assert (found.symbol, found.max_quantity) == ("BTC/USDT:USDT-260925", 120)
    assert (found.initial_margin, found.maintenance_margin) == (Decimal("0.1"), Decimal("0.025"))


@pytest.mark.parametrize(
    "answer", [{}, {"symbols": [{}]}, {"symbols": None}, {"symbols": [{"status": "TRADING"}]}]
)
def test_a_list_that_cannot_be_read_is_an_error_by_name(answer):
    """And none of Python's."""
    with pytest.raises(VenueError, match="exchangeInfo cannot be read"):
        spot_instruments(answer)


def test_what_is_not_listed_has_a_name_all_the_same():
    """So that a fill of it is seen, and not lost."""
    listing = Listing()
    listing.learn([instrument()])
    assert (listing.id("BTCUSDT"), listing.id("NEWUSDT")) == ("BTC/USDT@binance", "NEWUSDT@binance")


def test_connecting_to_nowhere_is_a_connectivity_error():
    """With the path and no more."""

    async def story():
        stream = BinanceStream("BTC/USDT", url="http://127.0.0.1:1")
        with pytest.raises(Exception, match="cannot be reached at /api/v3") as caught:
            await stream.instruments()
        assert type(caught.value).__name__ == "ConnectivityError"

    asyncio.run(story())
