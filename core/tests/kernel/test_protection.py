"""Protection that outlasts restarts, refusals, ends of the venue's own accord and fills that are taken back."""

from decimal import Decimal

import attrs
import pytest

from fairlead import OrderStatus, OrderType
from fairlead.facts import Noted, OrderTriggered
from fairlead.ports import Triggered, Trip
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, accept, reject, silence

D = Decimal
STOPS_ONLY = attrs.evolve(MARKET_AND_LIMIT, order_types=MARKET_AND_LIMIT.order_types | {OrderType.STOP})
PROFILES = pytest.mark.parametrize(
    "profile", [MARKET_AND_LIMIT, STOPS_ONLY, EVERYTHING], ids=["plain", "stops", "all"]
)


def make(profile=MARKET_AND_LIMIT, **options):
    bench = Bench(broker=FakeBroker(profile=profile), **options)
    bench.price(100)
    return bench


def held(bench, strategy="Puppet"):
    return bench.state.quantity("fake", bench.instrument, strategy)


def stops(bench):
    found = [o for o in bench.state.open.values() if o.intent.exits and o.type is OrderType.STOP]
    return [(o.status, o.remaining_quantity) for o in found]


def alarms(bench, source="protection"):
    return [fact.text for fact in bench.of(Noted) if fact.source == source]


class Moody:
    """A breaker that refuses, raises, or lets through."""

    name = "moody"
    wants = ()
    outcome = None

    def check(self, intent, view):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def watch(self, item, view):
        return None


# --- after a restart --------------------------------------------------------------------------------------------


@PROFILES
def test_an_entry_that_fills_while_the_engine_is_down_is_protected(profile):
    """Before any price is there, and only for what is left when all that happened is known."""
    bench = make(profile)
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90, take_profit=110))
    sale = bench.do(lambda s: s.sell("0.4", limit_price=120))
    bench.broker.executed(entry.client_order_id)
    bench.broker.executed(sale.client_order_id)
    bench.restart()
    expected = OrderStatus.HELD if profile is MARKET_AND_LIMIT else OrderStatus.ACCEPTED
    assert stops(bench) == [(expected, D("0.6"))]
    assert not bench.of(Noted)
    bench.price(99)
    bench.advance("1m")
    assert not alarms(bench, "unprotected")
    if profile is MARKET_AND_LIMIT:
        bench.price(90)
        assert held(bench) == 0
    bench.check()


def test_a_start_that_broke_off_before_it_could_protect_is_made_good_by_the_next():
    """The fill is in the journal already, its exits are not."""
    bench = make()
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    report = bench.broker.executed(entry.client_order_id)
    bench.kernel.exits._recovered = False
    bench.broker.emit(report)
    assert not stops(bench)
    bench.restart()
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.check()


def test_a_start_that_takes_long_raises_the_alarm():
    """Nothing is placed before all is known, and a bare position is said after ten seconds."""
    bench = make()
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    bench.kernel.exits._recovered = False
    bench.broker.fill(entry)
    bench.advance("11s")
    assert len(alarms(bench, "unprotected")) == 1
    bench.check()


# --- refusals ---------------------------------------------------------------------------------------------------


@PROFILES
@pytest.mark.parametrize("outcome", [Trip("in a mood"), KeyError("x")], ids=["refuses", "raises"])
def test_a_stop_that_is_refused_for_a_moment_is_not_lost(profile, outcome):
    """It is held, watched, said aloud once, and placed as soon as it may be."""
    moody = Moody()
    bench = make(profile, breakers=[moody])
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    moody.outcome = outcome
    bench.broker.fill(entry)
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.advance("3s")
    assert len(alarms(bench)) == (profile is not MARKET_AND_LIMIT)
    moody.outcome = None
    bench.advance("1s")
    expected = OrderStatus.HELD if profile is MARKET_AND_LIMIT else OrderStatus.ACCEPTED
    assert stops(bench) == [(expected, 1)]
    bench.advance("1m")
    assert not alarms(bench, "unprotected")
    bench.check()


def test_a_refused_stop_guards_from_here_until_it_is_at_the_venue():
    """Its price comes first: then it goes out as a plain order, which no venue holds back."""
    moody = Moody()
    bench = make(EVERYTHING, breakers=[moody])
    moody.outcome = None
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    moody.outcome = Trip("in a mood")
    bench.broker.fill(entry)
    moody.outcome = None
    bench.price(89)
    assert bench.broker.submits[-1].intent.type is OrderType.MARKET
    assert held(bench) == 0
    assert not bench.state.open
    bench.advance("1m")
    assert len(bench.broker.submits) == 2
    bench.check()


def test_a_refused_stop_is_tried_again_after_a_restart():
    """Nothing but the journal knows that it should be at the venue."""
    moody = Moody()
    bench = make(EVERYTHING, breakers=[moody])
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    moody.outcome = Trip("in a mood")
    bench.broker.fill(entry)
    bench.restart()
    moody.outcome = None
    bench.advance("2s")
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.check()


@pytest.mark.parametrize("terms", [{"stop_loss": -1}, {"take_profit": -1}])
def test_an_entry_whose_exits_could_not_be_placed_is_refused(terms):
    """What would never protect is said before there is anything to protect."""
    bench = make()
    assert "is not above 0" in bench.do(lambda s: s.buy(1, **terms)).reasons[0]
    bench.check()


# --- closing ----------------------------------------------------------------------------------------------------


@PROFILES
@pytest.mark.parametrize("why", ["a breaker", "halted"])
def test_a_close_that_may_not_be_sent_leaves_the_stops_where_they_are(profile, why):
    """It is judged before anything makes way for it; in HALTED only a person closes."""
    moody = Moody()
    bench = make(profile, breakers=[moody])
    bench.do(lambda s: s.buy(1, stop_loss=90))
    before = stops(bench)
    if why == "halted":
        bench.kernel.command("halt", "a person", "why not")
    else:
        moody.outcome = Trip("in a mood")
    order = bench.do(lambda s: s.close())
    assert order.denied
    assert stops(bench) == before
    assert not bench.broker.canceling
    bench.check()


@PROFILES
def test_a_close_that_is_refused_after_its_stops_went_puts_them_back(profile):
    """Between the two something changed; the position does not stay bare."""
    moody = Moody()
    bench = make(profile, breakers=[moody])
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=110))
    resting = bench.do(lambda s: s.buy(1, limit_price=80))
    bench.broker.cancels = silence()
    order = bench.do(lambda s: s.close())
    assert order.status is OrderStatus.HELD
    moody.outcome = Trip("in a mood")
    for working in list(bench.broker.working):
        bench.broker.cancel(working)
    assert order.denied
    assert resting.status is OrderStatus.CANCELED
    moody.outcome = None
    bench.advance("1s")
    assert [quantity for _, quantity in stops(bench)] == [1]
    bench.advance("1m")
    assert not alarms(bench, "unprotected")
    bench.check()


@pytest.mark.parametrize("answer", [reject(), accept()], ids=["rejected", "ended by the venue"])
def test_a_close_that_the_venue_does_not_carry_out_puts_the_stops_back(answer):
    """They cover what is left, whatever part was closed."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.answers.append(answer)
    order = bench.do(lambda s: s.close())
    if not order.closed:
        bench.broker.fill(order, "0.4")
        bench.broker.cancel(order)
    assert stops(bench) == [(OrderStatus.ACCEPTED, held(bench))]
    bench.check()


def test_closing_twice_closes_once():
    """The second order takes the place of the first, and nothing is put back in between."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.cancels = silence()
    first = bench.do(lambda s: s.close())
    second = bench.do(lambda s: s.close())
    assert (first.status, second.status) == (OrderStatus.CANCELED, OrderStatus.HELD)
    for working in list(bench.broker.working):
        bench.broker.cancel(working)
    assert second.status is OrderStatus.FILLED
    assert held(bench) == 0
    assert not bench.state.open
    bench.check()


def test_a_close_that_ends_while_the_engine_starts_puts_the_stops_back_after_it():
    """What a start learns of is acted on when all is known."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.answers.append(accept())
    order = bench.do(lambda s: s.close())
    bench.broker.canceled(order.client_order_id)
    bench.restart()
    bench.price(100)
    bench.advance("2s")
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.check()


# --- what stands in the way -------------------------------------------------------------------------------------


@PROFILES
def test_a_triggered_stop_takes_back_a_plain_sell_that_would_leave_it_nothing_to_close(profile):
    """Its own strategy's order makes way, and the whole position goes."""
    bench = make(profile)
    resting = bench.do(lambda s: s.sell(1, limit_price=120))
    bench.do(lambda s: s.buy(1, stop_loss=90))
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.advance("5s")
    bench.price(90)
    assert resting.status is OrderStatus.CANCELED
    assert held(bench) == 0
    assert not bench.broker.working
    bench.check()


def test_a_triggered_stop_waits_for_the_end_of_what_it_takes_back():
    """What fills of it meanwhile is not sold twice."""
    bench = make()
    resting = bench.do(lambda s: s.sell(1, limit_price=120))
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.cancels = silence()
    bench.price(90)
    assert len(bench.broker.submits) == 2
    bench.broker.fill(resting, "0.3")
    bench.broker.cancel(resting)
    assert bench.broker.submits[-1].quantity == D("0.7")
    assert held(bench) == 0
    bench.check()


def test_only_what_is_in_the_way_is_taken_back_plain_orders_before_protection():
    """Another bracket stays, and so does an order that there is room for."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=80))
    bench.do(lambda s: s.buy(1))
    room = bench.do(lambda s: s.sell("0.5", limit_price=130))
    crowd = bench.do(lambda s: s.sell(1, limit_price=120))
    bench.do(lambda s: s.buy("0.5", stop_loss=90))
    waiting = [o for o in bench.state.open.values() if o.status is OrderStatus.HELD]
    assert [o.quantity for o in waiting] == [D("0.5")]
    bench.price(90)
    assert (crowd.status, room.status) == (OrderStatus.CANCELED, OrderStatus.ACCEPTED)
    assert waiting[0].status is OrderStatus.FILLED
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.check()


def test_a_plain_stop_by_hand_takes_back_what_is_in_its_way_too():
    """Whatever is reduce-only and a stop protects."""
    bench = make()
    bench.do(lambda s: s.buy(1))
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    resting = bench.do(lambda s: s.sell(1, limit_price=120))
    bench.price(90)
    assert (stop.status, resting.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
    bench.check()


def test_a_stop_takes_back_the_entry_that_it_would_trade_with_and_no_other():
    """An order further down stays where it is, and so does a stop-limit that still waits."""
    bench = make(attrs.evolve(EVERYTHING, order_types=EVERYTHING.order_types - {OrderType.STOP}))
    bench.do(lambda s: s.buy(1, stop_loss=90))
    near = bench.do(lambda s: s.buy(1, limit_price=90))
    far = bench.do(lambda s: s.buy(1, limit_price=80))
    waits = bench.do(lambda s: s.buy(1, stop_price=110, limit_price=111))
    bench.price(90)
    assert near.status is OrderStatus.CANCELED
    assert (far.status, waits.status) == (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED)
    assert held(bench) == 0
    bench.check()


def test_another_strategys_order_at_the_bid_does_not_hold_protection_back():
    """A trade with the neighbour is better than no stop; without need it is denied as ever."""
    one, two = Puppet(name="one", allocation="50%"), Puppet(name="two", allocation="50%")
    bench = Bench(one, two)
    bench.price(100)
    bench.do(lambda s: s.buy(1, stop_loss=90), 0)
    resting = bench.do(lambda s: s.buy(1, limit_price=90), 1)
    bench.quote(90, 91)
    assert held(bench, "one") == 0
    assert resting.status is OrderStatus.ACCEPTED
    assert "would cross your own buy" in bench.do(lambda s: s.sell(1), 0).reasons[0]
    bench.check()


@pytest.mark.parametrize("profile", [MARKET_AND_LIMIT, EVERYTHING], ids=["plain", "all"])
def test_a_stop_limit_that_was_set_off_is_in_the_book(profile):
    """Nobody trades with it by accident, wherever it was held; before that it is in nobody's way."""
    bench = make(profile)
    order = bench.do(lambda s: s.buy(1, stop_price=105, limit_price=105))
    low = bench.do(lambda s: s.sell(1, limit_price=102))
    assert low.status is OrderStatus.ACCEPTED
    bench.do(lambda s: s.cancel(low))
    bench.quote(104, 105)
    if profile is EVERYTHING:
        bench.broker.emit(Triggered(client_order_id=order.client_order_id))
        bench.broker.emit(Triggered(client_order_id=order.client_order_id))
    assert order.status is OrderStatus.ACCEPTED
    assert "would cross your own buy of 1 at 105" in bench.do(lambda s: s.sell(1, limit_price=103)).reasons[0]
    assert len(bench.of(OrderTriggered)) == 1
    bench.check()
