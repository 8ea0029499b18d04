"""An invented market: the same for the same seed, joined to its history, and plainly not real."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Bar, ConfigurationError, Quote, Trade, duration
from fairlead.ports import DataStream, MarketEvent, Replayable, Subscription
from fairlead_streams import ReplayTime, SyntheticStream
from fairlead_streams.script import moment
from fairlead_streams.synthetic import ANCHOR_NS, BLOCK_NS

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BTC = "BTC/USDT@sim"
QUOTES = Subscription("BTC/USDT", "quote")
TRADES = Subscription("BTC/USDT", "trade")


def history(stream: SyntheticStream, kind: str, start_ns: int, end_ns: int) -> Sequence[Any]:
    return asyncio.run(stream.history(Subscription("BTC/USDT", kind), start_ns, end_ns))


def connected(stream: SyntheticStream, clock: Any, *subs: Subscription) -> list[MarketEvent]:
    heard: list[MarketEvent] = []

    async def begin() -> None:
        await stream.connect(heard.append, clock)
        assert await stream.subscribe(subs) == frozenset(subs)

    asyncio.run(begin())
    return heard


def test_it_fills_its_ports_and_says_what_it_is() -> None:
    """The label names the seed, so that no screen shows it as real."""
    stream = SyntheticStream(seed=7)
    assert isinstance(stream, DataStream)
    assert isinstance(stream, Replayable)
    assert (stream.name, stream.label) == ("synthetic", "SYNTHETIC seed=7")
    assert stream.instrument.id == BTC
    assert stream.offers("BTC/USDT") == stream.offers(BTC) == ("trade", "quote")
    assert stream.offers("ETH/USDT") == ()


def test_the_same_seed_gives_the_same_market_whatever_the_hash_seed() -> None:
    """A process of its own, under another PYTHONHASHSEED, invents the same bytes."""
    code = (
        "import zlib; from fairlead_streams import SyntheticStream;"
        "s = SyntheticStream(['BTC/USDT', 'ETH/USDT'], seed=5, duration='20m', faults=['gap', 'bad_tick']);"
        "print(zlib.crc32(repr(list(s.replay())).encode()))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(answers) == 1


def test_another_seed_or_symbol_is_another_market() -> None:
    """Markets of one stream do not move together."""
    one, other = (list(SyntheticStream(seed=seed, duration="1m").replay()) for seed in (1, 2))
    assert one != other
    both = SyntheticStream(["ABC/USDT", "XYZ/USDT"], duration="1m")
    events = list(both.replay())
    prices = [
        [event.price for event in events if isinstance(event, Trade) and event.instrument[0] == c]
        for c in "AX"
    ]
    assert len(prices[0]) == len(prices[1]) == 60
    assert prices[0] != prices[1]


def test_a_market_does_not_depend_on_its_company() -> None:
    """The seed of each symbol is its own: adding a symbol changes no other."""
    alone = list(SyntheticStream(duration="1m").replay())
    both = SyntheticStream(["ETH/USDT", "BTC/USDT"], duration="1m").replay()
    assert [event for event in both if event.instrument == BTC] == alone


def test_every_second_has_a_quote_and_then_a_trade_at_it() -> None:
    """Prices are on the tick grid, sizes on the lot grid, and a trade happens at the bid or at the ask."""
    stream = SyntheticStream(duration="1h")
    events = list(stream.replay())
    assert len(events) == 2 * 3600
    assert events[0].event_ns == ANCHOR_NS
    instrument = stream.instrument
    for quote, trade in zip(events[::2], events[1::2], strict=True):
        assert isinstance(quote, Quote)
        assert isinstance(trade, Trade)
        assert quote.event_ns == quote.received_ns == trade.event_ns
        assert trade.price == (quote.ask if trade.aggressor == "buy" else quote.bid)
        assert quote.bid < quote.ask
    for trade in events[1:200:2]:
        assert isinstance(trade, Trade)
        assert float(instrument.price(trade.price)) == trade.price
        assert float(instrument.quantity(trade.size)) == trade.size > 0


@settings(max_examples=12, deadline=None)
@given(st.integers(-3000, 3000), st.integers(1, 4000))
def test_any_time_joins_what_comes_before_it(start_s: int, length_s: int) -> None:
    """Where a stream begins, in the past of the anchor or its future, changes nothing of the market."""
    start = ANCHOR_NS + start_s * SECOND
    early = SyntheticStream(start=ANCHOR_NS - HOUR, duration="3h")
    late = SyntheticStream(start=start, duration=length_s * SECOND)
    expected = [event for event in early.replay() if start <= event.event_ns < start + length_s * SECOND]
    assert list(late.replay()) == expected[: 2 * length_s]
    before = history(late, "trade", start - 30 * SECOND, start + HOUR)
    assert [event.event_ns for event in before] == list(range(start - 30 * SECOND, start, SECOND))


def test_history_is_what_an_earlier_stream_would_have_emitted() -> None:
    """Trades, quotes and bars before the start are those of the one path."""
    stream = SyntheticStream(start="2024-01-01T02:00Z")
    start = stream.time().start_ns  # type: ignore[union-attr]
    emitted = list(SyntheticStream(start="2024-01-01T01:00Z", duration="1h").replay())
    assert history(stream, "quote", start - HOUR, start) == [
        event for event in emitted if isinstance(event, Quote)
    ]
    trades = [event for event in emitted if isinstance(event, Trade)]
    assert history(stream, "trade", start - HOUR, start) == trades
    bars = history(stream, "bar:1m", start - HOUR, start)
    assert len(bars) == 60
    first = trades[:60]
    prices = [trade.price for trade in first]
    assert bars[0] == Bar(
        BTC, "1m", prices[0], max(prices), min(prices), prices[-1], sum(trade.size for trade in first), start - HOUR,
        start - HOUR + MINUTE, start - HOUR + MINUTE,
    )  # fmt: skip
    assert bars[-1].event_ns == start


def test_no_price_jumps_where_blocks_or_the_anchor_join() -> None:
    """Without jumps no second moves the price by a hundredth, across all borders."""
    events = SyntheticStream(start=ANCHOR_NS - 2 * HOUR, duration="4h", jumps=False).replay([TRADES])
    prices = [event.price for event in events if isinstance(event, Trade)]
    assert max(abs(after / before - 1) for before, after in pairwise(prices)) < 0.003


def test_jumps_and_regimes_are_there_when_wanted() -> None:
    """Jumps stand out from the seconds around them; regimes make some hours livelier than others."""

    def largest(**settings: Any) -> float:
        events = SyntheticStream(seed=3, duration="2d", every="10s", **settings).replay([TRADES])
        prices = [event.price for event in events if isinstance(event, Trade)]
        return max(abs(after / before - 1) for before, after in pairwise(prices))

    assert largest(regimes=False) > 3 * largest(regimes=False, jumps=False)


def test_spreads_widen_with_volatility() -> None:
    """The quarter of an hour with the widest moves has the wider spreads."""
    events = SyntheticStream(seed=3, duration="1d", every="5s").replay([QUOTES])
    blocks: dict[int, list[Quote]] = {}
    for event in events:
        assert isinstance(event, Quote)
        blocks.setdefault(event.event_ns // BLOCK_NS, []).append(event)
    by_move = sorted(
        blocks.values(), key=lambda quotes: mean(abs(b.mid / a.mid - 1) for a, b in pairwise(quotes))
    )
    calm, lively = (
        [mean((q.ask - q.bid) / q.bid for q in quotes) for quotes in part]
        for part in (by_move[:10], by_move[-10:])
    )
    assert mean(lively) > 1.3 * mean(calm)


def test_the_price_stays_near_its_start_for_years() -> None:
    """It wanders, and keeps coming back."""
    stream = SyntheticStream(start_price=100)
    start = ANCHOR_NS + 3650 * 24 * HOUR
    (bar,) = history(stream, "bar:1m", start, start + MINUTE)
    assert 40 < bar.close < 250
    assert history(stream, "trade", ANCHOR_NS, ANCHOR_NS + SECOND)[0].price == pytest.approx(100, rel=1e-3)


def test_history_never_shows_the_future(fake_clock: Any) -> None:
    """It ends where the stream begins, and once it runs at the clock's now."""
    stream = SyntheticStream(start="2024-01-01")
    assert history(stream, "trade", ANCHOR_NS, ANCHOR_NS + HOUR) == []
    clock = fake_clock(ANCHOR_NS)
    connected(stream, clock, TRADES)
    clock.run(ANCHOR_NS + 90 * SECOND)
    assert len(history(stream, "trade", ANCHOR_NS, ANCHOR_NS + HOUR)) == 90
    assert [bar.event_ns for bar in history(stream, "bar:1m", ANCHOR_NS, ANCHOR_NS + HOUR)] == [
        ANCHOR_NS + MINUTE
    ]
    assert history(stream, "book", ANCHOR_NS - HOUR, ANCHOR_NS) == ()


def test_on_the_wall_clock_it_ticks_now(fake_clock: Any) -> None:
    """Events arrive at the clock's now, on the grid of the market, and the stream brings no time of its own."""
    now = ANCHOR_NS + 700 * 24 * HOUR + 250_000_000
    clock = fake_clock(now, late_ns=70_000)
    stream = SyntheticStream(every="500ms")
    assert stream.time() is None
    heard = connected(stream, clock, QUOTES, TRADES)
    clock.run(now + 2 * SECOND)
    assert [event.event_ns for event in heard[::2]] == [
        now + 250_000_000 + step * 500_000_000 for step in range(4)
    ]
    assert {event.received_ns - event.event_ns for event in heard} == {70_000}
    assert history(stream, "quote", now, now + HOUR)[-1].bid == heard[-2].bid  # type: ignore[union-attr]


def test_after_a_sleep_of_the_machine_it_goes_on_from_now(fake_clock: Any) -> None:
    """A live feed does not make up for an hour that nobody listened to."""
    clock = fake_clock(ANCHOR_NS)
    heard = connected(SyntheticStream(), clock, TRADES)
    clock.run(ANCHOR_NS + 5 * SECOND)
    heard.clear()
    clock.late_ns = HOUR
    clock.run(ANCHOR_NS + 6 * SECOND)
    clock.late_ns = 0
    assert [event.event_ns for event in heard] == [ANCHOR_NS + HOUR + step * SECOND for step in (5, 6)]


def test_with_a_speed_it_brings_its_own_time_and_plays_its_replay(fake_clock: Any) -> None:
    """Live under its own clock and read at once, it is the same market; the end is told once."""
    stream = SyntheticStream(speed="60x", duration="1m", faults=["duplicate"])
    assert stream.time() == ReplayTime(ANCHOR_NS, 60.0)
    assert SyntheticStream(speed="max").time() == ReplayTime(ANCHOR_NS, None)
    ends: list[bool] = []
    stream.on_end = lambda: ends.append(stream.exhausted)
    clock = fake_clock(ANCHOR_NS, late_ns=5)
    heard = connected(stream, clock, QUOTES, TRADES)
    clock.run()
    assert heard == list(stream.replay())
    assert ends == [True]


def test_an_endless_stream_goes_on_and_can_be_closed(fake_clock: Any) -> None:
    """Without a duration there is always a next moment, until it is closed."""
    clock = fake_clock(ANCHOR_NS)
    stream = SyntheticStream(speed="max", every="1m")
    heard = connected(stream, clock, TRADES)
    clock.run(ANCHOR_NS + HOUR)
    assert len(heard) == 61
    asyncio.run(stream.close())
    clock.run()
    assert (len(heard), clock.waiting) == (61, 0)


def test_a_replay_needs_an_end() -> None:
    """An endless backtest is refused with its remedy."""
    with pytest.raises(
        ConfigurationError, match=r"stream 'synthetic' has no end, .*: pass duration= to SyntheticStream"
    ):
        SyntheticStream().replay([TRADES])


@pytest.mark.parametrize("kind", ["gap", "disconnect"])
def test_a_gap_is_silence(kind: str) -> None:
    """Nothing comes in it, and all else is as without it; a disconnect silences every symbol at once."""
    symbols = ["BTC/USDT", "ETH/USDT"]
    clean = list(SyntheticStream(symbols, duration="15m").replay())
    faulty = list(SyntheticStream(symbols, duration="15m", faults=[kind]).replay())
    missing = [event for event in clean if event not in faulty]
    spans = {moment(kind, 42, symbol, ANCHOR_NS // BLOCK_NS, SECOND) for symbol in symbols}
    assert len(spans) == (1 if kind == "disconnect" else 2)
    assert len(missing) == sum(2 * (end - begin) // SECOND for begin, end in spans) * (
        2 if len(spans) == 1 else 1
    )
    assert len(clean) == len(missing) + len(faulty)


def test_a_stale_feed_repeats_itself_under_its_old_time() -> None:
    """Quotes go on arriving with the values and the event time of the first of them; trades stop."""
    begin, end = moment("stale", 42, "BTC/USDT", ANCHOR_NS // BLOCK_NS, SECOND)
    events = SyntheticStream(duration="15m", faults="stale").replay()
    stale = [event for event in events if begin <= event.received_ns < end]
    assert len(stale) == (end - begin) // SECOND > 1
    assert {event.event_ns for event in stale} == {begin}
    assert len({event.bid for event in stale if isinstance(event, Quote)}) == 1


def test_duplicates_and_bad_ticks_hit_one_moment() -> None:
    """One moment comes twice; one moment is ten times too dear."""
    clean = list(SyntheticStream(duration="15m").replay())
    twice = list(SyntheticStream(duration="15m", faults=["duplicate"]).replay())
    assert len(twice) == len(clean) + 2
    assert list(dict.fromkeys(map(repr, twice))) == list(map(repr, clean))
    dear = list(SyntheticStream(duration="15m", faults=["bad_tick"]).replay())
    changed = [(good, bad) for good, bad in zip(clean, dear, strict=True) if good != bad]
    assert [type(bad).__name__ for _, bad in changed] == ["Quote", "Trade"]
    assert changed[1][1].price == 10 * changed[1][0].price  # type: ignore[union-attr]


def test_history_has_no_faults() -> None:
    """It is what the exchange keeps, not what the feed lost."""
    stream = SyntheticStream(start=ANCHOR_NS + BLOCK_NS, faults=["gap", "stale", "bad_tick", "duplicate"])
    assert len(history(stream, "trade", ANCHOR_NS, ANCHOR_NS + BLOCK_NS)) == 900


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbols": []}, "a SyntheticStream of no symbols has nothing to invent"),
        ({"symbols": ["A/B", "A/B"]}, "symbol 'A/B' is listed twice"),
        ({"symbols": "BTCUSDT"}, "'BTCUSDT' is not a symbol: write BASE/QUOTE"),
        ({"every": "7s"}, "every '7s' is below 1ms or does not divide 15 minutes"),
        ({"every": "1us"}, "every '1us' is below 1ms or does not divide 15 minutes"),
        (
            {"faults": ["reject"]},
            "fault 'reject' is not known: use some of gap, stale, duplicate, bad_tick, disconnect",
        ),
        ({"volatility": "-3%"}, "volatility -0.03 is not above 0"),
        ({"spread": "wide"}, "ratio 'wide' is not a number"),
        ({"start_price": 0}, "start_price 0 is not above 0"),
        ({"speed": -1}, "speed -1 is not a factor above 0"),
        ({"duration": "long"}, "'long' is not a duration"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], message: str) -> None:
    """Each in one sentence with its remedy."""
    with pytest.raises(ConfigurationError) as caught:
        SyntheticStream(**settings)
    assert message in str(caught.value)


def test_instruments_have_the_rules_of_a_venue() -> None:
    """Ticks and lots fit the price; fees and minimums are not zero; a symbol may name its venue."""
    stream = SyntheticStream(
        ["BTC/USDT", "EUR/USD", "AAPL.NASDAQ", "ETH/USDT:USDT@demo"], start_price={"EUR/USD": 1.1}
    )
    rules = {item.symbol: item for item in asyncio.run(stream.instruments())}
    assert (str(rules["BTC/USDT"].tick), str(rules["BTC/USDT"].lot)) == ("0.1", "0.00001")
    assert (str(rules["EUR/USD"].tick), str(rules["EUR/USD"].lot)) == ("0.00001", "0.1")
    assert (str(rules["AAPL.NASDAQ"].tick), str(rules["AAPL.NASDAQ"].lot)) == ("0.01", "1")
    assert rules["ETH/USDT:USDT"].venue == "demo"
    assert all(item.taker_fee > 0 for item in rules.values())
    with pytest.raises(ConfigurationError, match="it has 4 instruments"):
        stream.instrument  # noqa: B018


# --- fine grids ---------------------------------------------------------------------------------------------------


def test_a_fine_grid_is_made_in_small_pieces() -> None:
    """Ticks two milliseconds apart are made a few hundred at a time, so that no call holds the loop up."""
    market = SyntheticStream(every="2ms")._markets["BTC/USDT@sim"]
    sizes = {len(market.piece(ANCHOR_NS // BLOCK_NS, number)[1]) for number in range(market.pieces)}
    assert sizes == {300}
    assert SyntheticStream(every="1s")._markets["BTC/USDT@sim"].pieces == 1


@pytest.mark.parametrize("every", ["50ms", "7500us"])
def test_the_pieces_of_a_fine_grid_make_one_market(every: str) -> None:
    """Every tick of a block is there once, the price moves on from piece to piece, and any moment can be made alone."""
    stream = SyntheticStream(every=every, duration="15m", jumps=False)
    whole = list(stream.replay([TRADES]))
    steps = [event.event_ns - before.event_ns for before, event in pairwise(whole)]
    assert set(steps) == {duration(every)}
    assert len(whole) == BLOCK_NS // duration(every)
    assert max(abs(b.price / a.price - 1) for a, b in pairwise(whole)) < 0.001  # type: ignore[union-attr]
    late = whole[len(whole) // 2].event_ns
    assert history(stream_at(every, late), "trade", late - SECOND, late) == [
        event for event in whole if late - SECOND <= event.event_ns < late
    ]


def stream_at(every: str, start_ns: int) -> SyntheticStream:
    return SyntheticStream(every=every, start=start_ns, jumps=False)


def test_a_fine_grid_stays_stuck_over_its_pieces() -> None:
    """A stale feed repeats one quote from the first moment of the fault to the last."""
    begin, end = moment("stale", 42, "BTC/USDT", ANCHOR_NS // BLOCK_NS, SECOND // 100)
    stream = SyntheticStream(every="10ms", duration="15m", faults=["stale"])
    stale = [event for event in stream.replay([QUOTES]) if begin <= event.received_ns < end]
    assert len({event.event_ns for event in stale}) == 1


def test_a_walk_of_years_is_made_in_steps(fake_clock: Any) -> None:
    """Connecting far from the anchor gives the event loop its turn on the way."""
    clock = fake_clock(ANCHOR_NS + 700 * 86_400 * SECOND)
    connecting = SyntheticStream().connect([].append, clock)
    turns = sum(1 for _ in iter(lambda: next(connecting.__await__(), "done"), "done"))
    assert turns > 50
