"""Protection that outlasts restarts, refusals, ends of the venue's own accord and fills that are taken back."""

from decimal import Decimal

import attrs
import pytest

from fairlead import OrderStatus, OrderType
from fairlead.facts import Noted
from fairlead.ports import Trip
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, accept, reject, silence

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
