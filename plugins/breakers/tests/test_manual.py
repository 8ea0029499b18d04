"""Manual: a person's own hand."""

import pytest

from fairlead import ConfigurationError, TradingState
from fairlead.facts import BreakerTripped
from fairlead.ports import Trip
from fairlead.testing import Bench
from fairlead.units import SECOND
from fairlead_breakers import Manual


def test_trips_only_when_a_person_says_so(view, intent):
    """It has no opinion of its own."""
    manual = Manual()
    assert manual.check(intent(), view) is None
    assert manual.watch(None, view) is None


def test_next_look_hands_over_the_trip_once(view):
    """The engine hears of it within a second, for everything, and once: a reset afterwards lasts."""
    manual = Manual()
    manual.trip("news at eight")
    assert manual.due(view) == view.now + SECOND
    assert manual.watch(None, view) == Trip("news at eight", TradingState.REDUCE_ONLY, "engine")
    assert manual.watch(None, view) is None


def test_order_is_refused_at_once(view, intent):
    """No order slips through before the look; asked about one, it keeps what the look hands over."""
    manual = Manual()
    manual.trip("something smells", TradingState.HALTED)
    assert manual.check(intent(), view) == Trip("something smells", TradingState.HALTED, "engine")
    assert manual.watch(None, view) == Trip("something smells", TradingState.HALTED, "engine")
    assert manual.watch(None, view) is None


def test_order_that_reduces_passes(view, intent):
    """Until the trading state takes over, leaving is allowed."""
    manual = Manual()
    manual.trip("out")
    assert manual.check(intent("sell", reduce_only=True), view) is None
    assert manual.check(intent(), view)


def test_milder_word_does_not_soften_a_halt(view):
    """Of two calls before a look the more severe one holds."""
    manual = Manual()
    manual.trip("careful")
    manual.trip("stop", TradingState.HALTED)
    manual.trip("careful")
    assert manual.watch(None, view).reason == "stop"


def test_only_a_person_resets():
    """Without `clean` the engine leaves the reset to a person."""
    assert not hasattr(Manual(), "clean")


@pytest.mark.parametrize("state", [TradingState.ACTIVE, TradingState.KILLED, TradingState.RECOVERING, "off"])
def test_other_states_are_refused(state):
    """A breaker lowers trading; it neither allows nor kills."""
    with pytest.raises(ConfigurationError, match=r"^Panic: .* use REDUCE_ONLY or HALTED"):
        Manual(name="Panic").trip("?", state)


def test_a_graver_trip_goes_over_a_milder_one_and_never_the_other_way():
    """In an engine: reduce-only, then halted, and the milder word changes nothing any more."""
    manual = Manual()
    bench = Bench(breakers=[manual])
    bench.price(100)
    bench.do(lambda s: s.buy(2))
    for state in (TradingState.REDUCE_ONLY, TradingState.HALTED, TradingState.REDUCE_ONLY):
        manual.trip("news", state)
        bench.advance("2s")
    assert [trip.state for trip in bench.of(BreakerTripped)] == [
        TradingState.REDUCE_ONLY,
        TradingState.HALTED,
    ]
    assert bench.do(lambda s: s.sell(1)).denied
    bench.check()
