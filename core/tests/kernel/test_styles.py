"""Execution styles: one order carried out by several, the same after a restart in the middle."""

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Chase, ConfigurationError, LimitAt, LimitThenMarket, OrderStatus, OrderType, TimeSlices
from fairlead._strategy.styles import describe, rebuild
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, accept, fill, reject, silence

D = Decimal
POST_ONLY = attrs.evolve(MARKET_AND_LIMIT, post_only=True)


def make(profile=POST_ONLY):
    bench = Bench(broker=FakeBroker(profile=profile))
    bench.quote(99, 101)
    return bench


def styled(bench, style, quantity=1, **options):
    return bench.do(lambda s: s.buy(quantity, style=style, **options))


def sent(bench):
    return [(s.intent.type, s.quantity, s.intent.limit_price) for s in bench.broker.submits]


def now(bench, order):
    return bench.state.orders[order.client_order_id]


def maybe_restart(bench, restart):
    if restart:
        bench.check()
        bench.restart()
        bench.quote(99, 101)
        bench.advance("1s")


RESTART = pytest.mark.parametrize("restart", [False, True])
STYLES = [LimitAt("5bp"), LimitThenMarket("20s"), Chase("2s", "30s", "cancel"), TimeSlices(3, "6m")]


@pytest.mark.parametrize("style", STYLES, ids=lambda s: type(s).__name__)
def test_a_style_is_built_again_from_its_record(style):
    """JSON in the order's own intent is all that a restart needs."""
    assert rebuild(describe(style)) == style


def test_a_style_that_cannot_be_kept_is_refused():
    """A class that is gone, values that make no sense, an object that is no attrs class."""

    class Plain:
        def plan(self, work):
            return iter(())

    for make_it in (
        lambda: rebuild('{"class": "nowhere:Nothing", "fields": {}}'),
        lambda: describe(Plain()),
        lambda: Chase(then="pray"),
        lambda: TimeSlices(0),
    ):
        with pytest.raises(ConfigurationError):
            make_it()


@RESTART
def test_limit_at_an_offset_places_once_and_ends_with_it(restart):
    """Behind the best price of its own side; what the venue ends is ended."""
    bench = make()
    order = styled(bench, LimitAt("1%"))
    assert sent(bench) == [(OrderType.LIMIT, 1, D("98.0"))]
    maybe_restart(bench, restart)
    child = bench.broker.submits[0].client_order_id
    bench.broker.fill(child, "0.4")
    assert (now(bench, order).status, now(bench, order).filled_quantity) == (OrderStatus.HELD, D("0.4"))
    bench.broker.cancel(child)
    assert now(bench, order).status is OrderStatus.CANCELED
    assert len(bench.broker.submits) == 1
    bench.check()


@RESTART
def test_limit_then_market_takes_what_is_left(restart):
    """Patience first; after it, the remainder once the limit order is surely gone."""
    bench = make()
    bench.broker.cancels = silence()
    order = styled(bench, LimitThenMarket("30s"))
    child = bench.broker.submits[0].client_order_id
    bench.broker.fill(child, "0.3")
    bench.advance("10s")
    maybe_restart(bench, restart)
    bench.advance("20s")
    assert len(bench.broker.submits) == 1
    assert len(bench.broker.canceling) == 1
    bench.broker.fill(child, "0.1")
    bench.broker.cancel(child)
    assert sent(bench)[1:] == [(OrderType.MARKET, D("0.6"), None)]
    assert now(bench, order).status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == 1
    bench.check()


@RESTART
def test_a_chase_follows_the_best_price(restart):
    """Post-only, one order at a time, and at the market when its time is over."""
    bench = make()
    order = styled(bench, Chase("5s", "1m"))
    bench.advance("5s")
    assert sent(bench) == [(OrderType.LIMIT, 1, 99)]
    bench.quote(102, 103)
    bench.advance("5s")
    assert sent(bench)[1:] == [(OrderType.LIMIT, 1, 102)]
    bench.broker.fill(bench.broker.submits[-1].client_order_id, "0.5")
    maybe_restart(bench, restart)
    bench.advance("1m")
    assert all(s.intent.post_only for s in bench.broker.submits[:-1])
    assert sent(bench)[-1] == (OrderType.MARKET, D("0.5"), None)
    assert now(bench, order).status is OrderStatus.FILLED
    assert not bench.broker.working
    bench.check()


def test_a_chase_that_looks_often_looks_at_its_own_pace():
    """Each change of a child asks for a plan; that does not make the looks multiply."""
    bench = make()
    styled(bench, Chase("5s", "10m", "cancel"))
    for step in range(60):
        bench.quote(90 + step % 7, 110)
        bench.advance("1s")
    assert len(bench.broker.canceling) <= 12
    assert len(bench.kernel.agenda._heap) < 40


def test_a_chase_may_give_up():
    """What remains is canceled instead of bought at any price."""
    bench = make()
    order = styled(bench, Chase("5s", "1m", "cancel"))
    bench.advance("2m")
    assert order.status is OrderStatus.CANCELED
    assert not bench.broker.working


@RESTART
@pytest.mark.parametrize("quantity", [1, "0.01", "0.003"])
def test_slices_are_equal_and_add_up(restart, quantity):
    """On the lot grid, evenly over the time, all of it in the end."""
    bench = make()
    order = styled(bench, TimeSlices(4, "4m"), quantity)
    bench.advance("90s")
    maybe_restart(bench, restart)
    bench.advance("4m")
    assert now(bench, order).status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == D(quantity)
    if quantity == 1:
        assert [size for _, size, _ in sent(bench)] == [D("0.25")] * 4
    bench.check()


def test_a_rejected_part_ends_the_whole():
    """A style does not run against a wall."""
    bench = make()
    bench.broker.answers.append(reject(reason="not today"))
    order = styled(bench, TimeSlices(4, "4m"))
    assert order.status is OrderStatus.CANCELED
    assert "not today" in order.reasons[0]


def test_canceling_the_order_cancels_its_parts_and_late_fills_still_count():
    """A part that fills while its cancel is on its way is booked to the order too, and protected."""
    bench = make()
    bench.broker.cancels = silence()
    order = styled(bench, LimitAt(), stop_loss=90)
    child = bench.broker.submits[0].client_order_id
    bench.broker.fill(child, "0.3")
    bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.CANCELED
    bench.broker.fill(child, "0.2")
    bench.broker.cancel(child)
    assert order.filled_quantity == D("0.5")
    stops = [o for o in bench.state.open.values() if o.type is OrderType.STOP]
    assert [(o.status, o.quantity) for o in stops] == [(OrderStatus.HELD, D("0.5"))]
    bench.price(90)
    assert bench.state.quantity("fake", bench.instrument) == 0
    bench.check()


def test_exits_of_a_styled_entry_are_no_parts_of_it():
    """Their fills do not count as the entry's, and its cancel leaves the protection."""
    bench = make()
    order = styled(bench, TimeSlices(2, "2m"), stop_loss=90, take_profit=120)
    assert len(bench.state.open) == 3
    bench.price(120)
    take = next(o for o in bench.state.open.values() if o.type is OrderType.LIMIT)
    bench.broker.fill(take)
    assert (order.filled_quantity, order.status) == (D("0.5"), OrderStatus.HELD)
    bench.quote(99, 101)
    bench.advance("1m")
    assert order.status is OrderStatus.FILLED
    exits = [o for o in bench.state.open.values() if o.intent.exits]
    assert {o.quantity for o in exits} == {D("0.5")}
    bench.check()


@given(
    style=st.sampled_from(STYLES),
    steps=st.lists(
        st.tuples(st.sampled_from(["fill", "cancel", "quote", "wait", "restart"]), st.integers(1, 9)),
        max_size=25,
    ),
)
def test_no_style_ever_buys_more_than_was_asked_for(style, steps):
    """Whatever fills, ends or restarts: filled and working together never pass the quantity."""
    bench = make()
    bench.broker.script = accept()
    bench.broker.cancels = silence()
    order = styled(bench, style)
    for what, n in steps:
        working = sorted(bench.broker.working)
        if what == "fill" and working:
            name = working[n % len(working)]
            bench.broker.fill(name, min(D(n) / 10, bench.broker.working[name].left), 100)
        elif what == "cancel" and working:
            bench.broker.cancel(working[n % len(working)])
        elif what == "quote":
            bench.quote(90 + n, 101)
        elif what == "wait":
            bench.advance(f"{n * 10}s")
        elif what == "restart":
            bench.restart()
            bench.quote(99, 101)
        live = now(bench, order)
        at_venue = sum(resting.left for resting in bench.broker.working.values())
        assert live.filled_quantity + at_venue <= 1
        assert live.filled_quantity == bench.broker.positions.get(bench.instrument, 0)
    bench.check()


def test_a_halted_strategy_opens_nothing_through_a_style():
    """Its parts are orders like any other, and the first that is denied ends the whole."""
    bench = make()
    order = styled(bench, TimeSlices(3, "6m"), 3)
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].halt("it raised"))
    bench.advance("10m")
    assert len(bench.broker.submits) == 1
    assert order.status is OrderStatus.CANCELED
    assert "strategy Puppet is halted: it raised" in order.reasons[0]
    bench.check()


def test_the_order_is_done_when_its_parts_are():
    """It is filled, with the average of its parts and nothing left to do."""
    bench = make()
    bench.broker.script = fill()
    order = styled(bench, TimeSlices(2, "2m"))
    bench.price(110)
    bench.advance("1m")
    assert (order.status, order.average_price) == (OrderStatus.FILLED, 105)
    assert not bench.state.open
