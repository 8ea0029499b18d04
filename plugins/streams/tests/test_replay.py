"""What a replay gives: order, bounds, memory, playing live."""

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Bar, ConfigurationError, Mark, Quote, Trade, default_instrument
from fairlead.ports import DataStream, MarketEvent, Replayable, Subscription
from fairlead_streams import ReplayStream, ReplayTime

BTC = default_instrument("BTC/USDT", "sim", tick="0.01")
ETH = default_instrument("ETH/USDT", "sim", tick="0.01")
MINUTE = 60_000_000_000
QUOTES = Subscription(BTC.id, "quote")
TRADES = Subscription(BTC.id, "trade")


def quote(ns: int, bid: float = 10.0) -> Quote:
    return Quote(BTC.id, bid, bid + 1, 1.0, 1.0, ns, ns)


def trade(ns: int, price: float = 10.0, owner: str = BTC.id) -> Trade:
    return Trade(owner, price, 1.0, ns, ns)


def bar(close_ns: int, interval: str = "1m", length: int = MINUTE) -> Bar:
    return Bar(BTC.id, interval, 1.0, 2.0, 1.0, 2.0, 5.0, close_ns - length, close_ns, close_ns)


def connected(stream: ReplayStream, clock: Any, *subs: Subscription) -> list[MarketEvent]:
    heard: list[MarketEvent] = []

    async def begin() -> None:
        await stream.connect(heard.append, clock)
        assert await stream.subscribe(subs) == frozenset(subs)

    asyncio.run(begin())
    return heard


def test_it_fills_its_ports() -> None:
    """A replay is a data stream that can be read without a loop."""
    stream = ReplayStream.of([], instrument=BTC)
    assert isinstance(stream, DataStream)
    assert isinstance(stream, Replayable)
    assert (stream.name, stream.label, stream.instrument) == ("replay", "data in memory", BTC)


def test_columns_become_events() -> None:
    """Parallel arrays of quotes, trades and bars need no event objects before they are read."""
    two = array("q", [MINUTE, 2 * MINUTE])
    quotes = ReplayStream.quotes(BTC, two, [1.0, 2.0], [2.0, 3.0], [5.0, 6.0], [7.0, 8.0])
    assert list(quotes.replay())[1] == Quote(BTC.id, 2.0, 3.0, 6.0, 8.0, 2 * MINUTE, 2 * MINUTE)
    trades = ReplayStream.trades(BTC, two, [1.0, 2.0], [5.0, 6.0])
    assert list(trades.replay())[1] == Trade(BTC.id, 2.0, 6.0, 2 * MINUTE, 2 * MINUTE)
    bars = ReplayStream.bars(
        BTC, two, [1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [2.0, 2.0], [5.0, 5.0], interval="60s"
    )
    assert list(bars.replay())[1] == bar(2 * MINUTE)
    assert bars.offers("BTC/USDT") == ("bar:1m",)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (([1, 2], [1.0, float("nan")], [2.0, 2.0], [1.0, 1.0], [1.0, 1.0]), "row 2: bid is NaN"),
        (
            ([2, 1], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [1.0, 1.0]),
            "row 2: its time .* is before that of row 1",
        ),
        (([1, 2], [1.0], [2.0, 2.0], [1.0, 1.0], [1.0, 1.0]), "bid has 1 values and the times are 2"),
    ],
)
def test_columns_are_checked_too(columns: Any, reason: str) -> None:
    """What is refused in a file is refused in memory."""
    with pytest.raises(ConfigurationError, match=reason):
        ReplayStream.quotes(BTC, *columns)


def test_events_are_checked_too() -> None:
    """Events come in order, on the long form of an instrument that was given."""
    with pytest.raises(
        ConfigurationError, match=r"event 2: its time .* is before that of event 1, .*: sort them"
    ):
        ReplayStream.of([quote(2), quote(1)], instrument=BTC)
    with pytest.raises(
        ConfigurationError, match="event 1 is on 'BTC/USDT', and the instruments are BTC/USDT@sim"
    ):
        ReplayStream.of([trade(1, owner="BTC/USDT")], instrument=BTC)


def test_at_equal_time_bars_go_first_and_small_before_large() -> None:
    """Ties of other kinds stay as they were given."""
    given_events = [
        quote(60 * MINUTE, 1.0), trade(60 * MINUTE, 2.0), quote(60 * MINUTE, 3.0), bar(60 * MINUTE, "1h", 60 * MINUTE),
        bar(60 * MINUTE),
    ]  # fmt: skip
    found = list(ReplayStream.of(given_events, instrument=BTC).replay())
    assert [getattr(event, "interval", type(event).__name__) for event in found] == [
        "1m", "1h", "Quote", "Quote", "Trade",
    ]  # fmt: skip


@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.lists(st.integers(0, 40), max_size=60),
    st.lists(st.integers(0, 40), max_size=20, unique=True),
    st.integers(1, 7),
)
def test_a_merge_loses_nothing_and_keeps_every_order(
    quotes: list[int], trades: list[int], bars: list[int], block: int
) -> None:
    """Whatever the block size: all events, by time, bars first in a tie, each feed in its own order."""
    feeds = [
        [quote(ns, 1.0 + serial) for serial, ns in enumerate(sorted(quotes))],
        [trade(ns, 1.0 + serial) for serial, ns in enumerate(sorted(trades))],
        [bar(ns) for ns in sorted(bars)],
    ]
    events: list[Any] = sorted(
        (event for feed in feeds for event in feed), key=lambda event: event.received_ns
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairlead_streams.series.BLOCK", block)
        found: list[Any] = list(ReplayStream.of(events, instrument=BTC).replay())
    keys = [(event.received_ns, not isinstance(event, Bar)) for event in found]
    assert keys == sorted(keys)
    for kind, feed in zip((Quote, Trade, Bar), feeds, strict=True):
        assert [event for event in found if type(event) is kind] == feed


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(0, 31), st.integers(0, 31))
def test_start_and_end_cut_a_replay_half_open(times: list[int], start: int, end: int) -> None:
    """What is received in [start, end) is replayed, and what lies before is history."""
    events = [quote(ns) for ns in sorted(times)]
    stream = ReplayStream.of(events, instrument=BTC, start=start, end=end)
    assert list(stream.replay()) == [event for event in events if start <= event.received_ns < end]
    history = asyncio.run(stream.history(QUOTES, 0, 100))
    assert list(history) == [event for event in events if event.received_ns < start]


def test_without_a_start_nothing_lies_before_it() -> None:
    """History of a recording that is replayed from its first row is empty, however late the end asked for."""
    stream = ReplayStream.of([quote(5), quote(6)], instrument=BTC)
    assert asyncio.run(stream.history(QUOTES, 0, 100)) == ()
    assert stream.time() == ReplayTime(5, None)


def test_history_grows_with_the_clock_and_never_beyond_it(fake_clock: Any) -> None:
    """A feed that is watched later may warm up with what was already played."""
    clock = fake_clock(5)
    stream = ReplayStream.of([quote(ns) for ns in range(5, 15)], instrument=BTC)
    connected(stream, clock, QUOTES)
    clock.run(8)
    assert [event.event_ns for event in asyncio.run(stream.history(QUOTES, 0, 100))] == [5, 6, 7]


def test_only_the_feeds_asked_for_are_replayed() -> None:
    """Symbols in short or long form; intervals are compared by length, not by spelling."""
    stream = ReplayStream.of(
        [bar(MINUTE), quote(MINUTE), trade(MINUTE), trade(MINUTE, owner=ETH.id)], instrument=[BTC, ETH]
    )
    assert stream.offers(BTC.id) == stream.offers("BTC/USDT") == ("trade", "quote", "bar:1m")
    assert stream.offers("DOGE/USDT") == ()
    assert list(stream.replay([Subscription("BTC/USDT", "bar:60s")])) == [bar(MINUTE)]
    assert list(stream.replay([TRADES, TRADES])) == [trade(MINUTE)]
    assert list(stream.replay([])) == []
    with pytest.raises(ConfigurationError, match=r"it holds 2 instruments .*: await instruments"):
        stream.instrument  # noqa: B018


def test_other_market_events_are_feeds_of_their_own() -> None:
    """Marks and funding in memory are offered by their kind."""
    mark = Mark(BTC.id, 10.0, 1, 1)
    stream = ReplayStream.of([mark], instrument=BTC)
    assert stream.offers(BTC.id) == ("mark",)
    assert list(stream.replay([Subscription(BTC.id, "mark")])) == [mark]


def test_live_events_of_one_instant_come_in_one_go(fake_clock: Any) -> None:
    """The clock is asked for one moment at a time, and the end is told once."""
    clock = fake_clock(0)
    ends: list[bool] = []
    stream = ReplayStream.of([quote(5), trade(5), quote(9)], instrument=BTC, speed="60x")
    stream.on_end = lambda: ends.append(stream.exhausted)
    heard = connected(stream, clock, QUOTES, TRADES)
    assert (heard, clock.waiting, stream.time()) == ([], 1, ReplayTime(5, 60.0))
    clock.run(5)
    assert heard == [quote(5), trade(5)]
    assert (clock.waiting, stream.exhausted, ends) == (1, False, [])
    clock.run()
    assert heard == [quote(5), trade(5), quote(9)]
    assert (clock.waiting, stream.exhausted, ends) == (0, True, [True])


def test_a_clock_that_runs_late_loses_nothing(fake_clock: Any) -> None:
    """A recording is played whole, whenever the timers fire."""
    clock = fake_clock(0, late_ns=1000)
    stream = ReplayStream.of([quote(ns) for ns in range(100)], instrument=BTC)
    heard = connected(stream, clock, QUOTES)
    clock.run()
    assert heard == list(stream.replay())


def test_a_feed_subscribed_later_joins_where_the_recording_is(fake_clock: Any) -> None:
    """What was played is not played again, and what is unsubscribed stops."""
    clock = fake_clock(0)
    stream = ReplayStream.of([item for ns in range(1, 7) for item in (quote(ns), trade(ns))], instrument=BTC)
    heard = connected(stream, clock, QUOTES)
    clock.run(2)
    asyncio.run(stream.subscribe([TRADES]))
    clock.run(4)
    asyncio.run(stream.unsubscribe([QUOTES]))
    clock.run()
    assert [(type(event).__name__[0], event.event_ns) for event in heard] == [
        ("Q", 1), ("Q", 2), ("Q", 3), ("T", 3), ("Q", 4), ("T", 4), ("T", 5), ("T", 6),
    ]  # fmt: skip


def test_an_unknown_feed_is_not_confirmed(fake_clock: Any) -> None:
    """Only what the recording has is."""
    stream = ReplayStream.of([quote(1)], instrument=BTC)
    assert asyncio.run(stream.subscribe([QUOTES, TRADES])) == {QUOTES}


def test_a_closed_stream_is_silent_and_begins_anew(fake_clock: Any) -> None:
    """Closing takes back what is scheduled; it may be repeated."""
    clock = fake_clock(0)
    stream = ReplayStream.of([quote(1), quote(2)], instrument=BTC)
    heard = connected(stream, clock, QUOTES)
    clock.run(1)
    asyncio.run(stream.close())
    asyncio.run(stream.close())
    clock.run()
    assert heard == [quote(1)]
    again = fake_clock(0)
    heard = connected(stream, again, QUOTES)
    again.run()
    assert heard == [quote(1), quote(2)]


def test_a_stream_closed_by_its_listener_says_nothing_more(fake_clock: Any) -> None:
    """Also in the middle of an instant."""
    clock = fake_clock(0)
    stream = ReplayStream.of([quote(1), trade(1), quote(2)], instrument=BTC)
    heard: list[MarketEvent] = []

    def emit(event: MarketEvent) -> None:
        heard.append(event)
        with pytest.raises(StopIteration):
            stream.close().send(None)

    async def begin() -> None:
        await stream.connect(emit, clock)
        await stream.subscribe([QUOTES, TRADES])

    asyncio.run(begin())
    clock.run()
    assert heard == [quote(1)]
    assert not stream.exhausted


def test_a_recording_with_nothing_in_its_bounds_ends_at_once(fake_clock: Any) -> None:
    """The engine is told, and does not wait for ever."""
    clock = fake_clock(0)
    stream = ReplayStream.of([quote(1)], instrument=BTC, start=7)
    connected(stream, clock, QUOTES)
    clock.run()
    assert stream.exhausted
    assert clock.now() == 7


def test_files_of_several_kinds_play_as_one(write: Callable[..., Path]) -> None:
    """Bars, quotes and trades of one instrument come from a file each."""
    bars = write(
        "open_time,open,high,low,close,base_volume\n1609459200,1,2,1,2,5\n1609459260,1,2,1,2,5\n", "bars.csv"
    )
    quotes = write("time,bid,ask\n1609459260,1,2\n1609459261,1,2\n", "quotes.csv")
    trades = write('{"time": 1609459260, "price": 1.5, "size": 2, "side": "buy"}\n', "trades.jsonl")
    stream = ReplayStream([quotes, trades, bars], symbol="BTC/USDT", name="mine")
    assert [type(event).__name__ for event in stream.replay()] == ["Bar", "Quote", "Trade", "Quote", "Bar"]
    assert stream.offers("BTC/USDT") == ("trade", "quote", "bar:1m")
    assert (stream.name, stream.label) == ("mine", "quotes.csv, trades.jsonl, bars.csv")
    assert stream.notes == (
        "quotes.csv: it has no sizes, so those of its quotes are 0, which stands for unknown",
    )
    assert len(asyncio.run(stream.instruments())) == 1


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (0, ""),
        (MINUTE, "1 of 4 rows passed over, 3 left"),
        (3 * MINUTE, "3 of 4 rows passed over, 1 left"),
        (9 * MINUTE, "4 of 4 rows passed over, none left"),
    ],
)
def test_what_a_run_passes_over_is_said_once(after: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """How many rows of the span that is played lie before the run's last fact, and how many are left."""
    stream = ReplayStream.of(
        [quote(number * MINUTE) for number in range(7)],
        instrument=BTC,
        start="1970-01-01T00:01Z",
        end="1970-01-01T00:05Z",
    )
    stream.resume(after)
    texts = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert len(texts) == bool(said)
    assert all(said in text for text in texts)
