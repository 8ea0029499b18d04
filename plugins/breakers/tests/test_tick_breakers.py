"""Breakers of single market events: Spread, BadTick, ClockSkew, Latency, DataGap."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Bar, Quote, Trade
from fairlead.facts import BreakerReset, BreakerTripped, ClockStepped
from fairlead.testing import Bench, accept
from fairlead.units import MINUTE, SECOND
from fairlead_breakers import BadTick, ClockSkew, DataGap, Latency, Spread

BTC = "BTC/USDT@x"


def quote(bid, ask, event_ns=0, received_ns=0):
    return Quote(BTC, float(bid), float(ask), 1.0, 1.0, event_ns, received_ns)


def follow(breaker, view, intent, events, bad, wanted=3):
    """Show events: each bad one trips, others do not; orders pass from so many good ones in a row on."""
    good = 0
    for event in events:
        assert breaker.check(intent("sell", reduce_only=True), view) is None
        trip, is_bad = breaker.watch(event, view), bad(event)
        assert (trip is not None) == is_bad
        good = 0 if is_bad else good + 1
        assert (breaker.check(intent(), view) is None) == (good >= wanted)
        assert breaker.clean(f"instrument:{BTC}", view) == (good >= wanted)


prices = st.integers(90, 110)


@given(st.lists(st.tuples(prices, st.integers(0, 4)), max_size=40))
def test_spread(make_view, intent, path):
    """Any path of quotes, the very limit included: wide is more than 2 % of the middle."""
    events = [quote(bid, bid + wide) for bid, wide in path]
    wide = lambda q: Decimal(q.ask) - Decimal(q.bid) > (Decimal(q.ask) + Decimal(q.bid)) / 100  # noqa: E731
    follow(Spread("2%"), make_view(), intent, events, wide)


@given(st.lists(st.integers(-3, 3), max_size=40))
def test_clock_skew(make_view, intent, path):
    """Any path of events early and late: only those more than a second in the future are bad."""
    events = [Trade(BTC, 100.0, 1.0, ahead * SECOND, 0) for ahead in path]
    follow(ClockSkew("1s"), make_view(), intent, events, lambda trade: trade.event_ns > SECOND)


@given(st.lists(st.integers(-3, 3), max_size=40))
def test_latency(make_view, intent, path):
    """Any path of events early and late: only those more than a second old are bad."""
    events = [Trade(BTC, 100.0, 1.0, 0, late * SECOND) for late in path]
    follow(Latency("1s"), make_view(), intent, events, lambda trade: trade.received_ns > SECOND)


@given(st.lists(st.integers(0, 3), max_size=40))
def test_gaps_between_quotes(make_view, intent, path):
    """Any path of pauses: more than two seconds between two quotes is a gap."""
    events, now, late = [], 0, set()
    for number, pause in enumerate(path):
        now += pause * SECOND
        events.append(quote(100, 100, now, now + number))
        if number and pause > 2:
            late.add(now + number)
    follow(DataGap("2s"), make_view(), intent, events, lambda event: event.received_ns in late)


@given(st.lists(st.integers(1, 3), max_size=40))
def test_gaps_between_bars(make_view, intent, path):
    """Any path of bars: one that is left out is a gap, however short a gap in quotes may be."""
    events, now, late = [], 0, set()
    for number, steps in enumerate(path):
        now += steps * MINUTE
        events.append(Bar(BTC, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, now - MINUTE, now, now))
        if number and steps > 1:
            late.add(now)
    follow(DataGap("2s"), make_view(), intent, events, lambda bar: bar.event_ns in late)


def test_bars_of_trades_may_lie_apart(view):
    """A bar of a hundred trades begins when the next trade comes; only a long silence is a gap."""
    breaker = DataGap("1m")
    made = [
        Bar(BTC, "tick:100", 1.0, 1.0, 1.0, 1.0, 1.0, at, at + SECOND, at)
        for at in (0, 30 * SECOND, 92 * SECOND)
    ]
    assert [breaker.watch(bar, view) is not None for bar in made] == [False, False, True]


def test_a_market_that_closes_needs_a_longer_gap(view):
    """With `after` above the longest closure bars may be so far apart as well."""
    breaker = DataGap("3d")
    bars = [Bar(BTC, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, at, at + MINUTE, at) for at in (0, 2880 * MINUTE)]
    assert [breaker.watch(bar, view) for bar in bars] == [None, None]


def naive_bad(path, limit, confirm):
    """Which prices are bad, and what is believed, told plainly."""
    last, doubtful, bad = None, [], []
    for price in path:
        if last is None or abs(price - last) * 100 <= limit * last:
            last, doubtful = price, []
            bad.append(False)
            continue
        bad.append(True)
        if doubtful and abs(price - doubtful[-1]) * 100 > limit * doubtful[-1]:
            doubtful = []
        doubtful.append(price)
        if len(doubtful) == confirm:
            last, doubtful = price, []
    return bad


@given(st.lists(st.sampled_from([100, 109, 110, 111, 200, 205, 1]), max_size=40))
def test_bad_ticks(make_view, intent, path):
    """Any path of prices, the very limit included: far ones are bad until three in a row agree."""
    bad = iter(naive_bad(path, 10, 3))
    follow(BadTick("10%"), make_view(), intent, [quote(p, p) for p in path], lambda _: next(bad))


def test_every_kind_of_price_is_judged(view):
    """A quote's middle, a trade, a bar's close."""
    breaker = BadTick("10%", clean=1)
    assert breaker.watch(quote(99, 101), view) is None
    trip = breaker.watch(Trade(BTC, 120.0, 1.0, 0, 0), view)
    assert trip.reason == f"price 120 of {BTC} is 20.0000% away from 100, above 10.0000%"
    assert trip.scope == f"instrument:{BTC}"
    assert breaker.watch(Bar(BTC, "1m", 100.0, 100.0, 100.0, 100.0, 1.0, 0, 0, 0), view) is None
    assert breaker.watch(None, view) is None


@pytest.mark.parametrize("make", [Spread, BadTick, ClockSkew, Latency, DataGap])
def test_in_an_engine(make):
    """Unknown refuses without a trip; a restart is unknown again, its trip stands and ends once clean."""
    bench = Bench(breakers=[make()])
    bench.price(100)
    denied = bench.do(lambda s: s.buy(1))
    assert denied.reasons == (f"{make.__name__}: 1 of 3 good events of {bench.instrument} so far",)
    bench.price(100)
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    now = bench.clock.now()
    if make is Spread:
        bench.quote(90, 100)
    elif make is ClockSkew:
        bench.take(Quote(bench.instrument, 100.0, 100.0, 1.0, 1.0, now + 2 * SECOND, now))
    elif make is Latency:
        bench.trade(100, event_ns=now - 6 * SECOND)
    elif make is DataGap:
        bench.advance("61s")
        bench.price(100)
    else:
        bench.trade(150)
    assert bench.do(lambda s: s.buy(1)).denied
    assert not bench.do(lambda s: s.sell(1)).denied
    assert [trip.scope for trip in bench.of(BreakerTripped)] == [f"instrument:{bench.instrument}"]
    bench.breakers[:] = [make()]
    bench.restart(down="5s")
    bench.price(100)
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    assert not bench.of(BreakerReset)
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert len(bench.of(BreakerReset)) == len(bench.of(BreakerTripped)) == 1
    bench.check()


def step(bench, step_ns):
    bench.kernel.turn(lambda: bench.kernel.recorder.input(ClockStepped, step_ns=step_ns))


def test_a_step_of_the_clock_stops_the_engine_for_a_while():
    """More than the limit, either way, until it has been quiet for a minute, in a new run too."""
    bench = Bench(breakers=[ClockSkew("1s", clean=1)])
    step(bench, SECOND)
    assert not bench.of(BreakerTripped)
    step(bench, -SECOND - 1)
    assert [trip.scope for trip in bench.of(BreakerTripped)] == ["engine"]
    bench.breakers[:] = [ClockSkew("1s", clean=1)]
    bench.restart()
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.advance("1m")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied


def ordered(bench):
    for _ in range(3):
        bench.price(100)
    bench.broker.script = lambda *_: ()
    return bench.do(lambda s: s.buy(1, limit_price=50))


def test_an_answer_that_takes_too_long_trips_its_account():
    """While it is awaited, one nanosecond after the limit; and it is clean a minute after the answer."""
    bench = Bench(breakers=[Latency(ack="2s")])
    order = ordered(bench)
    bench.advance("2s")
    assert not bench.of(BreakerTripped)
    bench.advance(1)
    assert [trip.scope for trip in bench.of(BreakerTripped)] == ["account:fake"]
    bench.advance("3m")
    assert not bench.of(BreakerReset)
    bench.broker.accept(order)
    bench.advance("2m")
    bench.price(100)
    bench.broker.script = accept()
    assert not bench.do(lambda s: s.buy(1, limit_price=50)).denied
    assert len(bench.of(BreakerReset)) == 1
    bench.check()


def test_an_answer_in_time_is_none():
    """At the limit it is in time."""
    bench = Bench(breakers=[Latency(ack="2s")])
    order = ordered(bench)
    bench.advance("2s")
    bench.broker.accept(order)
    bench.advance("1m")
    assert not bench.of(BreakerTripped)
