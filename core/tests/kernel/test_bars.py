"""Bars made here equal a computation by brute force; what arrives late changes nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Bar, ConfigurationError
from fairlead._kernel.bars import Aggregator, Interval
from fairlead._models.market import History
from fairlead.testing import Bench, FakeStream, ManualClock, Puppet

BTC = "BTC/USDT:USDT"
SECOND = 1_000_000_000
MINUTE = 60 * SECOND

prints = st.lists(
    st.tuples(
        st.integers(0, 90 * SECOND),  # time since the one before
        st.integers(900, 1100).map(lambda n: n / 10),
        st.integers(1, 80).map(lambda n: n / 8),
    ),
    min_size=1,
    max_size=60,
)


def feed(bench, story):
    """Trades at their times; returns them as (time since the start, price, size)."""
    start, seen = bench.clock.now(), []
    for gap, price, size in story:
        bench.advance(gap)
        bench.trade(price, size)
        seen.append((bench.clock.now() - start, price, size))
    bench.advance("10m")
    return start, seen


def shape(bar):
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def expected(group):
    prices = [price for _, price, _ in group]
    return prices[0], max(prices), min(prices), prices[-1], sum(size for _, _, size in group)


@pytest.mark.parametrize("minutes", [1, 5])
@given(story=prints)
def test_time_bars_equal_a_brute_force_computation(minutes, story):
    """Half-open buckets of UTC time, none for a time in which nothing traded."""
    bench = Bench(Puppet(bars=f"{minutes}m"))
    start, seen = feed(bench, story)
    width, groups = minutes * MINUTE, {}
    for when, price, size in seen:
        groups.setdefault(when // width, []).append((when, price, size))
    bars = bench.strategy.seen
    assert [shape(bar) for bar in bars] == [expected(group) for group in groups.values()]
    assert [bar.open_ns for bar in bars] == [start + index * width for index in groups]
    assert all(bar.event_ns == bar.received_ns == bar.open_ns + width for bar in bars)


@pytest.mark.parametrize(("kind", "size"), [("tick", 7), ("volume", 20), ("value", 3000)])
@given(story=prints)
def test_counted_bars_equal_a_brute_force_computation(kind, size, story):
    """A bar closes with the trade that fills it, and the next begins with the next trade."""
    bench = Bench(Puppet(bars=f"{kind}:{size}"))
    _, seen = feed(bench, story)
    groups, group, counted = [], [], 0.0
    for when, price, amount in seen:
        group.append((when, price, amount))
        counted += {"tick": 1, "volume": amount, "value": amount * price}[kind]
        if counted >= size:
            groups.append(group)
            group, counted = [], 0.0
    assert [shape(bar) for bar in bench.strategy.seen] == [expected(group) for group in groups]


@given(story=prints)
def test_large_bars_of_small_ones_equal_those_of_the_trades(story):
    """Aggregating bars loses nothing."""
    bench = Bench(Puppet(bars=["1m", "5m"]))
    feed(bench, story)
    small = [bar for bar in bench.strategy.seen if bar.interval == "1m"]
    again = Bench(Puppet(bars="5m"), stream=FakeStream(kinds=("bar:1m",)))
    for bar in small:
        again.take(bar)
    again.advance("10m")
    large = [bar for bar in bench.strategy.seen if bar.interval == "5m"]
    assert len(again.strategy.seen) == len(large)
    for one, other in zip(again.strategy.seen, large, strict=True):
        assert shape(one) == pytest.approx(shape(other))


def test_quotes_make_bars_of_their_middles():
    """Without volume, because nothing traded."""
    bench = Bench(Puppet(bars="1m"), stream=FakeStream(kinds=("quote",)))
    for bid, ask in ((99, 101), (104, 106), (97, 99)):
        bench.quote(bid, ask)
    bench.advance("1m")
    assert shape(bench.strategy.seen[0]) == (100, 105, 98, 98, 0)


@pytest.mark.parametrize(("settle", "late", "volume"), [(0, 1, 1), (2 * SECOND, 0, 3)])
def test_late_prints_count_and_change_nothing(settle, late, volume):
    """A stream says how long its bars wait; what comes after that is counted."""
    bench = Bench(Puppet())
    bench.kernel.feeds.settle = lambda _: settle
    bench.do(lambda s: s.watch(BTC, bars="1m"))
    start = bench.clock.now()
    bench.trade(100, 1)
    bench.advance("61s")
    bench.trade(200, 2, event_ns=start + 59 * SECOND)
    bench.advance("2s")
    assert [bar.volume for bar in bench.strategy.seen] == [volume]
    assert bench.kernel.market.lanes[bench.instrument].late == late


def test_a_bar_belongs_to_the_bucket_of_its_open():
    """One that closes with the hour is the last of that hour, not the first of the next."""
    bench = Bench(Puppet(bars="5m"), stream=FakeStream(kinds=("bar:1m",)))
    for close in range(101, 111):
        bench.bar(100, 200, 50, close)
    bench.advance(0)
    assert [bar.close for bar in bench.strategy.seen] == [105, 110]


@pytest.mark.parametrize("text", ["tick:0", "volume:-1", "value:x", "dollar:5", "0m", "soon", "tick:nan"])
def test_intervals_that_make_no_sense_are_refused(text):
    """With what may be written instead."""
    with pytest.raises(ConfigurationError):
        Interval.parse(text)


def test_intervals_have_one_spelling():
    """Sixty minutes are an hour."""
    assert Interval.parse("60m").text == "1h"
    assert Interval.parse("tick:100").kind == "tick"


def test_what_no_feed_can_make_is_refused_by_name():
    """The strategy is told what there is."""
    bench = Bench(Puppet(), stream=FakeStream(kinds=("bar:5m",)))
    with pytest.raises(AssertionError, match="bars of 1m cannot be made for BTC/USDT:USDT@fake from bar:5m"):
        bench.do(lambda s: s.watch(BTC, bars="1m"))
    with pytest.raises(AssertionError):
        bench.do(lambda s: s.watch("XYZ/USDT"))


def test_history_goes_before_what_was_seen_and_crowds_nothing_out():
    """A warm-up that comes while bars already close is put in front, without repeats."""
    bench = Bench(Puppet(bars="1m", warmup=5), stream=FakeStream(kinds=("bar:1m",)))
    start = bench.clock.now()
    for close in (101, 102):
        bench.bar(100, 200, 50, close)
    past = tuple(
        Bar(bench.instrument, "1m", 1.0, 1.0, 1.0, float(n), 1.0, t, t + MINUTE, t + MINUTE)
        for n, t in ((n, start + n * MINUTE) for n in range(-1200, 1))
    )
    now = bench.clock.now()
    bench.take(History(bench.instrument, "1m", past, now, now))
    closes = [bar.close for bar in bench.strategy.history()]
    assert closes == [float(n) for n in range(-1200, 0)] + [101, 102]
    assert bench.strategy.seen == []
    bench.bar(100, 200, 50, 103)
    assert [bar.close for bar in bench.strategy.seen] == [103]


def test_history_gives_no_price():
    """What was long ago values nothing and lets no order through."""
    bench = Bench(Puppet(bars="1m", warmup=1), stream=FakeStream(kinds=("bar:1m",)))
    now = bench.clock.now()
    bar = Bar(bench.instrument, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, now - MINUTE, now, now)
    bench.take(History(bench.instrument, "1m", (bar,), now, now))
    assert bench.strategy.price() is None
    assert bench.do(lambda s: s.buy(1)).denied


def test_an_aggregator_needs_no_engine():
    """A schedule and a place for its bars are all it asks for."""
    clock, made = ManualClock(0), []
    aggregator = Aggregator("x", Interval.parse("1s"), clock.agenda.call_at, made.append, lambda: None)
    aggregator.bar(Bar("x", "100ms", 1.0, 3.0, 0.5, 2.0, math.pi, 0, 100, 100))
    clock.advance("1s")
    assert shape(made[0]) == (1, 3, 0.5, 2, math.pi)
