"""Breakers of how prices move: PriceJump, Volatility, Correlation, FeedDisagreement."""

from decimal import Decimal
from itertools import pairwise
from math import log, sqrt

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Position, PositionKey, TradingState
from fairlead.facts import BreakerReset, BreakerTripped
from fairlead.ports import Quote, Trade
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument
from fairlead.units import MINUTE, SECOND
from fairlead_breakers import Correlation, FeedDisagreement, PriceJump, Volatility

BTC, ETH = "BTC/USDT@x", "ETH/USDT@x"


# --- PriceJump ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(95, 105)), max_size=50))
def test_a_jump_is_measured_from_all_prices_of_the_window(make_view, intent, path):
    """Any path of prices and pauses: compared with looking at all prices of the window's parts each time."""
    view, breaker, part = make_view(), PriceJump("5%", "1m"), 5 * SECOND
    seen, since = [], None
    for pause, price in path:
        view.now += pause * SECOND
        seen = [one for one in seen if one[0] // part >= view.now // part - 12]
        if not seen:
            since = view.now
        trip = breaker.watch(Trade(BTC, float(price), 1.0, view.now, view.now), view)
        jumped = any(price * 100 > old * 105 or price * 100 < old * 95 for _, old in seen)
        same = [old for when, old in seen if when // part == view.now // part]
        told = same and min(same) <= price <= max(same)  # back and forth in one part: its trip stands
        assert (trip is not None) == (jumped and not told)
        seen.append((view.now, price))
        low, high = min(p for _, p in seen), max(p for _, p in seen)
        sound = view.now - since >= MINUTE and high * 100 <= low * 105 and low * 100 >= high * 95
        assert breaker.clean(f"instrument:{BTC}", view) == sound
        assert (breaker.check(intent(), view) is None) == sound
        assert breaker.check(intent("sell", reduce_only=True), view) is None


def test_slow_bars_widen_the_window(view):
    """Where a bar comes once a minute, one that jumps from the last is seen in a window of a minute."""
    breaker = PriceJump("5%", "1m")
    view.cadences[BTC] = MINUTE
    assert breaker.watch(Quote(BTC, 100.0, 100.0, 1.0, 1.0, 0, view.now), view) is None
    view.now += 2 * MINUTE
    assert breaker.watch(Quote(BTC, 106.0, 106.0, 1.0, 1.0, 0, view.now), view)


def test_a_jump_in_an_engine():
    """Unknown until the window is full; a jump trips, and ends by itself when it has left the window."""
    bench = Bench(breakers=[PriceJump("5%", "1m")])
    bench.price(100)
    assert "are not known for 1m yet" in bench.do(lambda s: s.buy(1)).reasons[0]
    bench.advance("1m")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.price(106)
    (trip,) = bench.of(BreakerTripped)
    assert trip.reason == f"{bench.instrument} moved from 100 to 106 within 1m, over 5.0000%"
    assert (trip.state, trip.scope) == (TradingState.REDUCE_ONLY, f"instrument:{bench.instrument}")
    assert not bench.do(lambda s: s.sell(1)).denied
    for _ in range(6):
        assert bench.do(lambda s: s.buy(1)).denied
        bench.advance("10s")
        bench.price(106)
    bench.advance("5s")
    bench.price(106)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert len(bench.of(BreakerReset)) == 1
    bench.check()


# --- Volatility ---------------------------------------------------------------------------------------------


def sampled(breaker, view, path, names=(BTC,)):
    """Let a breaker look at each full interval at these marks."""
    for prices in path:
        view.now = breaker.due(view)
        for name, price in zip(names, prices, strict=True):
            view.marks[name] = price
            view.received[name] = view.now if price is not None else 0
        yield breaker.watch(None, view)


@given(st.lists(st.sampled_from([100.0, 100.5, 101.0, 103.0, None]), max_size=40))
def test_volatility_is_that_of_the_last_samples(make_view, intent, path):
    """Any path of marks, some missing: the root of the number times the deviation of log returns."""
    view, breaker, samples, marks = make_view(), Volatility("2%", 4, "1m"), [], []
    for (mark,), trip in zip([(m,) for m in path], sampled(breaker, view, [(m,) for m in path]), strict=True):
        marks = [] if mark is None else [*marks, mark][-5:]
        samples = [log(b / a) for a, b in pairwise(marks)]
        wild = None
        if len(samples) == 4:
            mean = sum(samples) / 4
            wild = sqrt(sum((r - mean) ** 2 for r in samples) / 3) * 2
        assert (trip is not None) == (wild is not None and wild > 0.02)
        known = wild is not None and wild <= 0.02
        assert (breaker.check(intent(), view) is None) == known
        assert breaker.clean(f"instrument:{BTC}", view) == known
        assert breaker.check(intent("sell", reduce_only=True), view) is None


def test_each_wild_instrument_is_reported(make_view):
    """One look reports one, the next follows at once."""
    view, breaker = make_view(), Volatility("1%", 2, "1m")
    view.received[ETH] = view.now
    path = [(100.0, 50.0), (105.0, 50.0), (100.0, 60.0)]
    assert [trip is not None for trip in sampled(breaker, view, path, (BTC, ETH))] == [False, False, True]
    assert breaker.due(view) == view.now
    assert breaker.watch(None, view).scope == f"instrument:{ETH}"
    assert breaker.due(view) == view.now - view.now % MINUTE + MINUTE


# --- Correlation --------------------------------------------------------------------------------------------


def holding(quantity, instrument=ETH):
    key = PositionKey("paper", instrument, "s")
    return Position(key=key, quantity=Decimal(quantity), average_price=Decimal(1))


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 2.0, 4.0]), st.sampled_from([1.0, 2.0, 4.0])), max_size=12),
    st.sampled_from([1, -1]),
    st.sampled_from(["buy", "sell"]),
)
def test_correlation_of_what_is_held(make_view, intent, path, held, side):
    """Any two paths: refused while unknown, and where they move alike in the direction that is held."""
    view, breaker = make_view(), Correlation("80%", 4, "1m")
    view.received[ETH] = view.now
    view.open = [holding(held)]
    list(sampled(breaker, view, path, (BTC, ETH)))
    ours = [[log(b[i] / a[i]) for a, b in pairwise(path)][-4:] for i in (0, 1)]
    refused = True
    if len(ours[0]) == 4:
        means = [sum(one) / 4 for one in ours]
        x, y = ([r - mean for r in one] for one, mean in zip(ours, means, strict=True))
        power = sqrt(sum(a * a for a in x) * sum(b * b for b in y))
        both = sum(a * b for a, b in zip(x, y, strict=True)) / power if power > 1e-12 else 0.0
        sign = held * (1 if side == "buy" else -1)
        if abs(both * sign - 0.8) < 1e-9:
            return
        refused = both * sign > 0.8
    trip = breaker.check(intent(side), view)
    assert (trip is not None) == refused
    assert trip is None or trip.state is None
    assert breaker.check(intent(side, reduce_only=True), view) is None


def test_correlation_needs_a_second_position(view, intent):
    """With nothing else held there is nothing to be like, and more of the same is another's business."""
    breaker = Correlation()
    assert breaker.check(intent(), view) is None
    view.open = [holding(1, BTC)]
    assert breaker.check(intent(), view) is None
    view.open = [holding(1)]
    assert "not known yet" in breaker.check(intent(), view).reason


# --- FeedDisagreement -----------------------------------------------------------------------------------------


A, B, C = "BTC/USDT@a", "BTC/USDT@b", "BTC/USDC@c"


@given(*[st.sampled_from([100.0, 101.0, 101.1, None])] * 3, st.booleans())
def test_marks_of_the_same_thing_are_compared(make_view, intent, a, b, c, tied):
    """Each of three sources, the very limit included, missing or not: unknown refuses, known trips."""
    view = make_view(marks={A: a, B: b, C: c})
    view.received = {name: view.now if mark else 0 for name, mark in view.marks.items()}
    breaker = FeedDisagreement("1%", same=[[B, C]] if tied else [])
    partners = {A: [B], B: [A, C] if tied else [A], C: [B] if tied else []}
    tripped = set()
    looking = True
    while looking:
        trip = breaker.watch(None, view)
        if trip is not None:
            tripped.add(trip.scope.removeprefix("instrument:"))
        looking = breaker.due(view) == view.now
    for name, others in partners.items():
        pairs = [(view.marks[name], view.marks[other]) for other in others]
        apart = any(x and y and abs(x - y) > 0.01 * min(x, y) + 1e-9 for x, y in pairs)
        unknown = any(not (x and y) for x, y in pairs)
        assert (name in tripped) == apart
        found = breaker.check(intent(instrument=name), view)
        assert (found is not None) == (apart or unknown)
        assert found is None or (found.state is not None) == apart
        assert breaker.clean(f"instrument:{name}", view) == (not apart and not unknown)


def test_a_source_that_has_stopped_says_nothing(view, intent):
    """Older than `after` it is no comparison, and nothing new is opened."""
    view.marks, view.received = {A: 100.0, B: 100.0}, {A: view.now, B: view.now - 5 * SECOND}
    breaker = FeedDisagreement()
    assert breaker.check(intent(instrument=A), view) is None
    view.received[B] -= 1
    assert f"no mark of {B} for 5s" in breaker.check(intent(instrument=A), view).reason


def test_two_venues_in_an_engine():
    """They part: both are tripped within a second; they agree again: both go on."""
    one, other = make_instrument("BTC/USDT:USDT", "a"), make_instrument("BTC/USDT:USDT", "b")
    profile = FakeBroker().profile
    brokers = [
        FakeBroker(i, name=n, profile=attrs.evolve(profile, venue=n)) for i, n in ((one, "a"), (other, "b"))
    ]
    bench = Bench(Puppet(one.id, other.id), broker=brokers, breakers=[FeedDisagreement("1%", after="1h")])
    bench.price(100, instrument=one.id)
    bench.price(102, instrument=other.id)
    bench.advance("1s")
    bench.advance("1ms")
    assert sorted(trip.scope for trip in bench.of(BreakerTripped)) == [
        f"instrument:{one.id}",
        f"instrument:{other.id}",
    ]
    bench.price(100, instrument=other.id)
    bench.advance("2s")
    assert len(bench.of(BreakerReset)) == 2
    assert len(bench.of(BreakerTripped)) == 2
    bench.check()


@pytest.mark.parametrize("make", [PriceJump, lambda: Volatility(every="1m")])
def test_nothing_of_the_market_survives_a_restart(make):
    """What it knew is unknown again."""
    breaker = make()
    assert breaker.save() == b""
    breaker.load(b"")
