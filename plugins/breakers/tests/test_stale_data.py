"""StaleData: instruments whose data have stopped."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import ConfigurationError, TradingState
from fairlead.units import DAY, HOUR, MINUTE, SECOND
from fairlead_breakers import StaleData

BTC, ETH = "BTC/USDT@x", "ETH/USDT@x"
AFTER = 5 * SECOND


def full(every, view):
    """When the next full interval begins."""
    return (view.now // every + 1) * every


def test_trips_the_instrument_once_older_than_the_limit(view):
    """At the limit data are fresh, a nanosecond later their instrument is reduce-only."""
    breaker = StaleData(after="5s")
    view.now += AFTER
    assert breaker.watch(None, view) is None
    view.now += 1
    trip = breaker.watch(None, view)
    assert trip.reason == f"last data of {BTC} came 5.000 s ago, over 5s"
    assert (trip.state, trip.scope) == (TradingState.REDUCE_ONLY, f"instrument:{BTC}")


def test_bars_may_be_two_intervals_late(view):
    """What comes once a minute by nature is not stale after a minute."""
    view.cadences[BTC] = MINUTE
    breaker = StaleData(after="5s")
    assert breaker.due(view) == full(15 * MINUTE, view)
    view.now += 2 * MINUTE + AFTER
    assert breaker.watch(None, view) is None
    view.now += 1
    assert breaker.watch(None, view)


def test_each_stale_instrument_is_reported(view):
    """One look reports one instrument, so the next look follows at once until all were seen."""
    view.received = {BTC: view.now, "SOL/USDT@x": view.now + AFTER, ETH: view.now}
    view.now += AFTER + 1
    breaker = StaleData(after="5s")
    assert breaker.watch(None, view).scope == f"instrument:{BTC}"
    assert breaker.due(view) == view.now
    assert breaker.watch(None, view).scope == f"instrument:{ETH}"
    assert breaker.due(view) == full(AFTER, view)


def test_reset_by_hand_on_stale_data_does_not_last(view):
    """The next look reports the instrument again."""
    breaker = StaleData(after="5s")
    view.now += MINUTE
    for _ in range(3):
        assert breaker.watch(None, view)
        view.now = breaker.due(view)


def test_order_on_stale_data_is_refused_before_a_look(view, intent):
    """`check` needs no look to know: it refuses and trips in one."""
    breaker = StaleData(after="5s")
    assert breaker.check(intent(), view) is None
    view.now += AFTER + 1
    trip = breaker.check(intent(), view)
    assert (trip.state, trip.scope) == (TradingState.REDUCE_ONLY, f"instrument:{BTC}")


def test_order_that_reduces_passes_on_stale_data(view, intent):
    """Nobody is locked into a position by a broken feed."""
    breaker = StaleData(after="5s")
    view.now += MINUTE
    assert breaker.check(intent("sell", reduce_only=True), view) is None
    view.held = {"s": Decimal(-1)}
    assert breaker.check(intent(), view) is None


def test_instrument_without_data_is_refused_without_a_trip(view, intent):
    """Before the first event there is nothing to trade on, and nothing that has stopped."""
    breaker = StaleData(after="5s")
    view.received, view.cadences = {ETH: 0}, {ETH: MINUTE}
    trip = breaker.check(intent(instrument=ETH), view)
    assert trip.reason == f"no data of {ETH} yet"
    assert trip.state is None
    assert breaker.watch(None, view) is None
    assert breaker.due(view) > view.now


def test_fresh_data_reset_it(view):
    """It is clean again as soon as an event is young enough, and only for its own instrument."""
    breaker = StaleData(after="5s")
    view.now += AFTER + 1
    scope = breaker.watch(None, view).scope
    assert not breaker.clean(scope, view)
    view.received[BTC] = view.now - AFTER
    assert breaker.clean(scope, view)
    assert not breaker.clean(f"instrument:{ETH}", view)
    assert not breaker.clean("engine", view)


def test_looks_are_rare(view):
    """No work per event; with nothing to watch it asks again later, and daily bars are looked at hourly."""
    breaker = StaleData(after="5s")
    assert breaker.wants == ()
    view.cadences[BTC] = DAY
    assert breaker.due(view) == full(HOUR, view)
    view.received.clear()
    assert breaker.due(view) == full(AFTER, view)


@given(
    st.lists(st.tuples(st.sampled_from([BTC, ETH]), st.integers(0, 40 * SECOND)), max_size=40),
    st.sampled_from([0, SECOND, 10 * SECOND]),
)
def test_any_silence_is_found_in_time(make_view, events, cadence):
    """Driven by its own `due`: never a trip on fresh data, and none later than `after` beyond the limit."""
    view, breaker = make_view(), StaleData(after="5s")
    limits = {BTC: AFTER, ETH: AFTER + 2 * cadence}
    begin = view.now
    view.received = dict.fromkeys(limits, begin)
    view.cadences[ETH] = cadence
    tripped = set()
    feed = sorted((begin + after, name) for name, after in events)
    due, last = breaker.due(view), None
    while due < begin + 2 * MINUTE:
        while feed and feed[0][0] <= due:
            when, name = feed.pop(0)
            view.received[name] = when
        view.now = due
        stale = {name for name, limit in limits.items() if view.now - view.received[name] > limit}
        trip = breaker.watch(None, view)
        if trip is not None:
            name = trip.scope.removeprefix("instrument:")
            assert name in stale
            tripped.add(name)
        tripped = {name for name in tripped if not breaker.clean(f"instrument:{name}", view)}
        for name in stale - tripped:
            assert view.now <= view.received[name] + limits[name] + AFTER + len(limits)
        due = max(breaker.due(view), view.now + 1)
        assert due == view.now + 1 or due % AFTER == 0
        assert last is None or view.now > last
        last = view.now
    assert tripped == {BTC, ETH}


@pytest.mark.parametrize("after", ["soon", "0s", 5, -1, None])
def test_bad_setting_names_breaker_rule_and_remedy(after):
    """A wrong setting says whose it is, what is wrong and what to write; a bare 5 is 5 nanoseconds."""
    with pytest.raises(ConfigurationError, match=r"^Mine: after: .* write .*'5s'"):
        StaleData(after, name="Mine")
