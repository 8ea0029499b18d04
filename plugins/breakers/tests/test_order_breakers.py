"""Breakers of what becomes of orders: OrderRate, RejectRate, OrderErrors, FillRate, Slippage."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import OrderStatus, TradingState
from fairlead.facts import BreakerReset, BreakerTripped
from fairlead.ports import CancelRejected, NotSent
from fairlead.testing import Bench, Puppet, fill, lose, reject
from fairlead.units import SECOND
from fairlead_breakers import FillRate, OrderErrors, OrderRate, RejectRate, Slippage


def order(bench):
    """An entry that rests, or is refused by whoever refuses."""
    return bench.do(lambda s: s.buy(1, limit_price=50))


def ready(*breakers, **more):
    bench = Bench(breakers=breakers, **more)
    bench.price(100)
    return bench


def again(bench, breaker, *, down="1ms"):
    """A crash, and a start with a new breaker of the kind."""
    bench.breakers[:] = [breaker]
    bench.restart(down=down)
    bench.price(100)


# --- how many -----------------------------------------------------------------------------------------------


def test_one_order_too_many_is_refused_and_trips():
    """The most within the window pass; the next is refused before it is sent, and its strategy may only reduce."""
    bench = ready(OrderRate(3, "1s"))
    assert not any(order(bench).denied for _ in range(3))
    denied = order(bench)
    assert denied.reasons == ("OrderRate: 4 orders and cancels within 1s, more than 3",)
    assert [(t.scope, t.state) for t in bench.of(BreakerTripped)] == [
        ("strategy:Puppet", TradingState.REDUCE_ONLY)
    ]
    bench.advance("1h")
    bench.price(100)
    assert order(bench).denied
    bench.check()


def test_orders_of_one_turn_count_at_once():
    """A handler that places a hundred gets no more through than one that comes a hundred times."""
    bench = ready(OrderRate(3, "1s"))
    orders = bench.do(lambda s: [s.buy(1, limit_price=50) for _ in range(6)])
    assert [one.denied for one in orders] == [False] * 3 + [True] * 3
    assert len(bench.of(BreakerTripped)) == 1


def test_cancels_count_and_are_never_refused():
    """A loop that places and cancels is a loop."""
    bench = ready(OrderRate(3, "1s"))
    first, second = order(bench), order(bench)
    bench.do(lambda s: s.cancel(first))
    assert not bench.of(BreakerTripped)
    bench.do(lambda s: s.cancel(second))
    assert len(bench.of(BreakerTripped)) == 1
    assert second.status is OrderStatus.CANCELED


def test_what_reduces_passes_at_any_rate():
    """Nobody is locked into a position."""
    bench = ready(OrderRate(1, "1s"))
    bench.do(lambda s: s.buy(1))
    assert not bench.do(lambda s: s.sell(1)).denied


@settings(max_examples=25)
@given(st.lists(st.integers(0, 700), max_size=25), st.integers(1, 4))
def test_the_rate_is_that_of_any_second(pauses, most):
    """Any sequence of pauses: refused where so many were sent in the second before, nowhere else."""
    bench = ready(OrderRate(most, "1s", reset="1ms"))
    sent, now = [], 0
    for pause in pauses:
        bench.advance(f"{pause}ms")
        now += pause
        sent = [when for when in sent if when > now - 1000]
        denied = order(bench).denied
        if any("OrderRate tripped" in r for o in bench.state.orders.values() for r in o.reasons):
            break  # of no interest here: the trip of the order before still stands
        assert denied == (len(sent) >= most)
        if not denied:
            sent.append(now)


# --- what venues refuse, what gets lost -----------------------------------------------------------------------


def test_refusals_by_the_venue_trip_their_strategy():
    """Orders and cancels that it refuses count, in the window; a crash forgets none of them."""
    bench = ready(RejectRate(3, "1m"))
    bench.broker.answers += [reject(), reject()]
    order(bench)
    order(bench)
    again(bench, RejectRate(3, "1m"))
    assert not bench.of(BreakerTripped)
    bench.broker.cancels = lambda broker, cancel: [
        CancelRejected(client_order_id=cancel.client_order_id, code="busy", reason="not now")
    ]
    resting = order(bench)
    bench.do(lambda s: s.cancel(resting))
    (trip,) = bench.of(BreakerTripped)
    assert trip.scope == "strategy:Puppet"
    assert trip.reason == "the venue refused 3 orders and cancels within 1m, the last: not now"
    bench.check()


@pytest.mark.parametrize(("apart", "trips"), [("29999ms", 1), ("30s", 0)])
def test_refusals_count_within_the_window(apart, trips):
    """Exactly a window ago is too long ago."""
    bench = ready(RejectRate(3, "1m"))
    bench.broker.answers += [reject()] * 3
    for _ in range(3):
        order(bench)
        bench.advance(apart)
    assert len(bench.of(BreakerTripped)) == trips


def test_what_never_arrived_is_no_refusal():
    """It is an error: three of them trip the account, one breaker does not do the other's work."""
    bench = ready(RejectRate(1), OrderErrors(3, "1m"))
    bench.broker.script = lambda broker, submit: [
        NotSent(client_order_id=submit.client_order_id, reason="no connection")
    ]
    for _ in range(3):
        order(bench)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.breaker, trip.scope) == ("OrderErrors", "account:fake")


def test_lost_answers_trip_until_resolved():
    """Reduce-only while anything is in doubt, and for a window after; then it is clean, by its own rule."""
    bench = ready(OrderErrors(2, "10s"))
    bench.broker.lookup = None  # it cannot be asked
    bench.kernel.resolver.inquire = lambda *_: None
    bench.broker.answers += [lose(), lose()]
    first, second = order(bench), order(bench)
    assert len(bench.of(BreakerTripped)) == 1
    bench.advance("9999ms")
    bench.broker.accept(first)
    bench.price(100)
    assert order(bench).denied
    bench.advance("2m")
    assert not bench.of(BreakerReset)
    bench.broker.accept(second)
    bench.price(100)
    assert not order(bench).denied
    assert [reset.who for reset in bench.of(BreakerReset)] == ["OrderErrors"]
    bench.check()


# --- how well ---------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 30))
def test_fill_rate_is_that_of_the_last_orders(path, crash):
    """Any sequence of filled and canceled orders: it trips where too few of the last five have traded."""
    make = lambda: FillRate("40%", 5, reset="1ms")  # noqa: E731
    bench = ready(make())
    ended, expected = [], 0
    for number, trades in enumerate(path):
        if number == crash:
            again(bench, make())
        bench.advance("1s")
        one = bench.do(lambda s, at=100 if trades else 50: s.buy(1, limit_price=at))
        if trades:
            bench.broker.fill(one)
        else:
            bench.do(lambda s, o=one: s.cancel(o))
        ended = [*ended, trades][-5:]
        if len(ended) == 5 and sum(ended) < 2:
            expected, ended = expected + 1, []
        assert len(bench.of(BreakerTripped)) == expected


@pytest.mark.parametrize("side", ["buy", "sell"])
@settings(max_examples=20)
@given(paid=st.lists(st.integers(-30, 30), max_size=20), crash=st.integers(0, 20))
def test_slippage_is_the_mean_of_the_last_orders(side, paid, crash):
    """Any sequence of prices paid, bought or sold: it trips where the mean of the last three is beyond."""
    make = lambda: Slippage("0.5%", 3, reset="1ms")  # noqa: E731
    bench = ready(make())
    last, expected = [], 0
    for number, tenths in enumerate(paid):
        if number == crash:
            again(bench, make())
        bench.advance("1s")
        bench.price(100)
        sign = 1 if side == "buy" else -1
        bench.broker.answers.append(fill(Decimal(100) + Decimal(sign * tenths) / 10))
        bench.do(lambda s: getattr(s, side)(1))
        last = [*last, tenths][-3:]
        if len(last) == 3 and sum(last) > 15:
            expected, last = expected + 1, []
        assert len(bench.of(BreakerTripped)) == expected


def test_limit_orders_have_no_slippage():
    """They trade at their price or better, whatever the mark was when they were sent."""
    bench = ready(Slippage("0.5%", 1))
    bench.broker.fill(bench.do(lambda s: s.buy(1, limit_price=90)))
    bench.broker.fill(bench.do(lambda s: s.buy(1, limit_price=100)))
    assert not bench.of(BreakerTripped)


def test_a_stop_is_measured_from_its_stop_price():
    """Unless the mark had gone beyond it already when it was sent."""
    bench = ready(Slippage("0.5%", 1))
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.broker.answers.append(fill("89.6"))
    bench.price(90)
    assert not bench.of(BreakerTripped)
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.broker.answers.append(fill("89.5"))
    bench.price(90)
    (trip,) = bench.of(BreakerTripped)
    assert trip.scope == f"instrument:{bench.instrument}"
    assert bench.do(lambda s: s.buy(1)).denied
    bench.advance(3600 * SECOND)
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied


def test_one_strategys_rate_is_not_anothers():
    """Each has its own window."""
    one, other = Puppet(name="one", allocation="50%"), Puppet(name="other", allocation="50%")
    bench = Bench(one, other, breakers=[OrderRate(1, "1s")])
    bench.price(100)
    order(bench)
    assert order(bench).denied
    assert not bench.do(lambda s: s.buy(1, limit_price=50), strategy=1).denied


@pytest.mark.parametrize(("reset", "wait"), [("1m", "1m"), ("next_day", "1d")])
def test_a_rate_that_an_order_has_tripped_is_over_in_its_time(reset, wait):
    """What `check` finds begins to last as what `watch` finds does; and again after the next trip."""
    bench = Bench(breakers=[OrderRate(2, "1s", reset=reset)])
    bench.price(100)
    for number in (1, 2):
        bench.do(lambda s: [s.buy(1) for _ in range(5)])
        assert len(bench.of(BreakerTripped)) == number
        bench.advance("30s")
        assert len(bench.of(BreakerReset)) == number - 1
        bench.advance(wait)
        assert len(bench.of(BreakerReset)) == number
        bench.price(100)
        assert not bench.do(lambda s: s.buy(1)).denied
        bench.advance("2s")
    bench.check()
