"""What breakers call calm is held back from them, and shown in part when it is over."""

import pytest

from fairlead.facts import BreakerTripped, Filled
from fairlead.ports import Calm, Quote, Trade, Trip
from fairlead.testing import Bench
from fairlead.units import SECOND


class Watching:
    """A breaker that keeps what it is shown, and calls calm what it is given."""

    wants = (Quote, Trade, Filled)

    def __init__(self, said, name="watching"):
        self.name = name
        self.said = said
        self.seen = []
        self.checked = 0

    def check(self, intent, view):
        self.checked += 1

    def watch(self, item, view):
        self.seen.append(item.bid if isinstance(item, Quote) else getattr(item, "price", type(item).__name__))

    def calm(self, instrument, view):
        return self.said() if callable(self.said) else self.said


class Wary(Watching):
    """One that inherits a calm and watches for itself."""

    def watch(self, item, view):
        super().watch(item, view)


class Strict(Watching):
    """One that inherits a calm and checks for itself."""

    def check(self, intent, view):
        return Trip("no")


def prices(bench, *prices):
    for price in prices:
        bench.price(price)
        bench.advance("1ms")


def test_the_lowest_the_highest_and_the_last_are_shown_when_the_calm_is_over():
    """Those between are not, and the calm of all together counts."""
    low, high = Watching(Calm(low=95)), Watching(Calm(high=105), "high")
    bench = Bench(breakers=[low, high])
    prices(bench, 100, 101, 99, 103, 97, 100, 106)
    assert low.seen == high.seen == [100, 103, 97, 100, 106]


def test_trades_and_quotes_share_a_calm():
    """Of each kind the ends are shown, in the order in which they came."""
    breaker = Watching(Calm(low=95, high=105))
    bench = Bench(breakers=[breaker])
    prices(bench, 100, 101)
    bench.trade(102)
    bench.advance("1ms")
    prices(bench, 99, 110)
    assert breaker.seen == [100, 101, 102, 99, 110]


@pytest.mark.parametrize("calm", [Calm(spread=0.5), Calm(until_ns=0), Calm(early_ns=SECOND), Calm(late_ns=0)])
def test_each_bound_ends_a_calm(calm):
    """A wide quote, a time that has come, an event from the future or the past."""
    breaker = Watching(calm)
    bench = Bench(breakers=[breaker])
    bench.price(100)
    now = bench.clock.now()
    event = now + 2 * SECOND if calm.early_ns == SECOND else now - (calm.late_ns == 0)
    if calm.late_ns == 0:
        bench.clock.advance("1s")
    bench.take(Quote(bench.instrument, 99.0, 101.0, 1.0, 1.0, max(event, now), bench.clock.now()))
    assert breaker.seen == [100, 99]


def test_one_that_watches_for_itself_sees_every_event():
    """And so does one that says nothing; the others are held back all the same."""
    calm, wary = Watching(Calm()), Wary(Calm(), "wary")
    bench = Bench(breakers=[calm, wary])
    prices(bench, 100, 101, 102)
    assert (calm.seen, wary.seen) == ([100], [100, 101, 102])
    anxious, calm = Watching(None, "anxious"), Watching(Calm())
    bench = Bench(breakers=[anxious, calm])
    prices(bench, 100, 101, 102)
    assert anxious.seen == calm.seen == [100, 101, 102]


def test_a_fact_ends_the_calm():
    """What was said before a fill need not hold after it: the next quote is shown, and the breaker is asked anew."""
    breaker = Watching(Calm())
    bench = Bench(breakers=[breaker])
    prices(bench, 100, 101)
    bench.do(lambda s: s.buy(1))
    prices(bench, 102, 103)
    assert breaker.seen == [100, "Filled", 101, 102]


def test_a_calm_speaks_for_checks():
    """But not for that of a class which brings its own."""
    breaker = Watching(Calm())
    bench = Bench(breakers=[breaker])
    prices(bench, 100, 101)
    bench.do(lambda s: s.buy(1))
    prices(bench, 102, 103)  # equity has moved, so that it is known what is quiet
    breaker.checked = 0
    assert not bench.do(lambda s: s.buy(1)).denied
    assert breaker.checked == 0
    assert not bench.do(lambda s: s.buy(1)).denied
    assert breaker.checked == 1  # the fill has ended the calm
    strict = Bench(breakers=[Strict(Calm(), "strict")])
    prices(strict, 100, 101)
    assert strict.do(lambda s: s.buy(1)).reasons == ("strict: no",)


@pytest.mark.parametrize("said", [lambda: 1 / 0, "calm"])
def test_a_calm_that_fails_trips(said):
    """As a watch that fails does."""
    bench = Bench(breakers=[Watching(said)])
    bench.price(100)
    (trip,) = bench.of(BreakerTripped)
    assert trip.reason.startswith("it failed: ")
    assert trip.scope == "engine"


def test_a_calm_that_holds_back_nothing_is_not_asked_for_at_each_event():
    """After one that ended at once, sixteen events are shown without it."""
    asked = []

    def said():
        asked.append(1)
        return Calm(until_ns=0)

    bench = Bench(breakers=[Watching(said)])
    prices(bench, *range(100, 151))
    assert 3 <= len(asked) <= 5
