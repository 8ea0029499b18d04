"""What a tripped breaker does besides lowering trading, what it remembers, and when it looks."""

from math import inf

import pytest

from fairlead import OrderStatus, TradingState
from fairlead.facts import (
    BreakerReset,
    BreakerSaved,
    BreakerTripped,
    Filled,
    OrderCanceled,
    SweepEnded,
    SweepStarted,
)
from fairlead.ports import EQUITY, Quote, Trip
from fairlead.testing import Bench, reject
from fairlead.units import SECOND


class Below:
    """Trips below a price, with an action."""

    name = "below"
    wants = (Quote,)

    def __init__(self, action, state=TradingState.REDUCE_ONLY, scope="engine"):
        self.found = Trip("too low", state, scope, action)

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        return self.found if isinstance(item, Quote) and item.bid < 90 else None


def holding(*args, **more):
    """A bench with a position, its stop, and an entry that rests."""
    bench = Bench(breakers=[Below(*args, **more)])
    bench.price(100)
    bench.do(lambda s: s.buy(2))
    stop = bench.do(lambda s: s.sell(2, stop_price=50, reduce_only=True))
    entry = bench.do(lambda s: s.buy(1, limit_price=80))
    return bench, stop, entry


def test_flatten_closes_what_is_held():
    """The orders of the scope are withdrawn and its position closed, in the turn of the trip, once."""
    bench, stop, entry = holding("flatten")
    bench.price(85)
    bench.price(84)
    bench.advance("5s")
    assert [(t.breaker, t.action) for t in bench.of(BreakerTripped)] == [("below", "flatten")]
    (sweep,) = bench.of(SweepStarted)
    assert (sweep.verb, sweep.scope, sweep.who, sweep.why) == ("flatten", "engine", "below", "too low")
    assert sweep.cause == bench.of(BreakerTripped)[0].cause
    assert bench.state.quantity("fake", bench.instrument) == 0
    assert stop.status is entry.status is OrderStatus.CANCELED
    assert [end.reason for end in bench.of(SweepEnded)] == ["flat"]
    bench.check()


def test_cancel_entries_leaves_what_protects():
    """Only what could open or add goes; the stop stays, and so does the position."""
    bench, stop, entry = holding("cancel_entries")
    bench.price(85)
    assert entry.status is OrderStatus.CANCELED
    assert not stop.closed
    assert bench.state.quantity("fake", bench.instrument) == 2
    assert [end.reason for end in bench.of(SweepEnded)] == ["all is withdrawn"]
    assert len(bench.of(OrderCanceled)) == 1


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.KILLED])
def test_flatten_works_in_every_lowered_state(state):
    """A halt or a kill does not keep the closing orders of its own trip from passing."""
    bench, _, _ = holding("flatten", state)
    bench.price(85)
    bench.advance("5s")
    assert bench.state.quantity("fake", bench.instrument) == 0
    assert bench.do(lambda s: s.buy(1)).denied


def test_flatten_goes_on_after_a_restart():
    """The trip and what it does are of one record: killed at once, the engine closes after its start."""
    bench, _, _ = holding("flatten")
    bench.broker.answers.append(reject())
    bench.price(85)
    assert bench.state.quantity("fake", bench.instrument) == 2
    bench.restart()
    bench.price(85)
    bench.advance("10s")
    assert len(bench.of(SweepStarted)) == 1
    assert bench.state.quantity("fake", bench.instrument) == 0
    bench.check()


def test_an_action_that_there_is_not_fails_closed():
    """A Trip refuses an unknown action when it is made."""
    with pytest.raises(ValueError, match="action"):
        Trip("?", TradingState.HALTED, "engine", "sell everything")


class Counting:
    """Counts fills, keeps the count, and looks when it says so."""

    name = "counting"
    wants = (Filled,)

    def __init__(self):
        self.count, self.looks, self.after = 0, [], 0

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        if item is None:
            self.looks.append(view.now)
            self.after = 0
            return None
        self.count += 1
        self.after = SECOND
        return Trip("three", TradingState.REDUCE_ONLY) if self.count == 3 else None

    def due(self, view):
        return view.now + (self.after or 3600 * SECOND)

    def clean(self, scope, view):
        return len(self.looks) > 1

    def save(self):
        return str(self.count).encode()

    def load(self, saved):
        self.count = int(saved)


def test_memory_is_written_with_the_fact_that_changed_it():
    """Whatever was counted before a crash counts after it, and what did not change is not written again."""
    bench = Bench(breakers=[Counting()])
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.buy(1))
    assert [fact.state for fact in bench.of(BreakerSaved)] == [b"1", b"2"]
    bench.breakers[:] = [Counting()]
    bench.restart()
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    assert [trip.reason for trip in bench.of(BreakerTripped)] == ["three"]
    bench.check()


def test_a_fact_may_bring_the_next_look_forward():
    """`due` is asked again after each fact, and a look that was put forward is not made twice."""
    bench = Bench(breakers=[Counting()])
    (breaker,) = bench.breakers
    bench.price(100)
    begin = bench.clock.now()
    for _ in range(3):
        bench.do(lambda s: s.buy(1))
    bench.advance("2s")
    assert breaker.looks == [begin + SECOND]
    bench.advance("61m")
    assert breaker.looks == [begin + SECOND, begin + 3601 * SECOND]
    assert [reset.who for reset in bench.of(BreakerReset)] == ["counting"]


class Restless(Counting):
    """Always wants to look at once, and calls itself clean."""

    def due(self, view):
        return view.now

    def clean(self, scope, view):
        return True


def test_a_breaker_that_wants_to_look_at_each_nanosecond_trips():
    """It is named and counts as tripped, whatever it says of itself, and time goes on without its looks."""
    bench = Bench(breakers=[Restless()])
    (breaker,) = bench.breakers
    bench.price(100)
    bench.advance("1m")
    (trip,) = bench.of(BreakerTripped)
    assert (trip.breaker, trip.scope, trip.state) == ("counting", "engine", TradingState.REDUCE_ONLY)
    assert trip.reason.startswith("counting.due asked 1000 times in a row for another look at once")
    assert bench.do(lambda s: s.buy(1)).status is OrderStatus.DENIED
    looks = len(breaker.looks)
    assert looks == 1000
    bench.advance("1h")
    assert len(breaker.looks) == looks
    assert not bench.of(BreakerReset)
    bench.check()


def test_a_restless_breaker_that_is_reset_looks_again():
    """A person's reset gives it another chance; where it is no better, it trips again."""
    bench = Bench(breakers=[Restless()])
    bench.price(100)
    bench.advance("1m")
    bench.kernel.command("reset", "ann", "repaired", breaker="counting")
    bench.advance("1m")
    assert [reset.who for reset in bench.of(BreakerReset)] == ["ann"]
    assert len(bench.of(BreakerTripped)) == 2
    bench.check()


def test_a_breaker_may_look_several_times_at_once():
    """One that reports its scopes one by one is no fault, as long as it ends."""
    bench = Bench(breakers=[Reporting()])
    (breaker,) = bench.breakers
    bench.price(100)
    bench.advance("10m")
    assert len(breaker.looks) > 3_000
    assert not bench.of(BreakerTripped)


class Reporting(Counting):
    """Looks 500 times at once, then not for a minute."""

    def due(self, view):
        return view.now + (0 if len(self.looks) % 500 else 60 * SECOND)


class Forgetful(Counting):
    """Cannot say what it remembers."""

    def save(self):
        raise RuntimeError("no ink")


def test_a_breaker_that_cannot_save_trips():
    """What it would forget in a restart must not be relied on."""
    bench = Bench(breakers=[Forgetful()])
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    (trip,) = bench.of(BreakerTripped)
    assert trip.scope == "engine"
    assert "no ink" in trip.reason


class Failing:
    """Trips when an order asks for it, is half-open at once, and fails in one of its methods when it is told to."""

    name = "failing"
    wants = (EQUITY,)

    def __init__(self):
        self.fails = ""

    def check(self, intent, view):
        return Trip("asked for", TradingState.HALTED) if intent.tag == "trip" else None

    def watch(self, item, view):
        return None

    def _maybe(self, method, found):
        if self.fails == method:
            raise KeyError(method)
        return found

    def clean(self, scope, view):
        return self._maybe("clean", True)

    def probe(self, scope, view):
        return self._maybe("probe", SECOND)

    def due(self, view):
        return self._maybe("due", view.now + SECOND)

    def quiet(self, account, view):
        return self._maybe("quiet", (inf, -inf))


@pytest.mark.parametrize("method", ["clean", "probe", "due", "quiet"])
def test_a_breaker_that_fails_wherever_it_is_asked_lowers_trading_and_ends_no_engine(method):
    """What it cannot say is not fine: nothing opens again, and what protects a position goes on working."""
    breaker = Failing()
    bench = Bench(breakers=[breaker])
    bench.price(100)
    bench.do(lambda s: s.buy(2, stop_loss=90))
    bench.do(lambda s: s.buy(1, tag="trip"))
    breaker.fails = method
    for price in (99, 101):
        bench.advance("2s")
        bench.price(price)
        assert bench.do(lambda s: s.buy(1)).denied or method in ("due", "quiet")
    trips = [(trip.scope, trip.reason) for trip in bench.of(BreakerTripped)]
    assert ("engine", f"it failed: KeyError: '{method}'") in trips
    held = bench.state.quantity("fake", bench.instrument)
    bench.price(89)
    assert bench.state.quantity("fake", bench.instrument) == held - 2
    breaker.fails = ""
    bench.advance("2m")
    bench.price(100)
    assert not bench.state.tripped
    bench.check()
