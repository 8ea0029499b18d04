"""Protection that outlasts restarts, refusals, ends of the venue's own accord and fills that are taken back."""

from decimal import Decimal

import attrs
import pytest

from fairlead import LimitAt, OrderStatus, OrderType, TimeSlices
from fairlead._kernel.state import REMEMBERED_ORDERS
from fairlead.facts import Noted, OrderTriggered
from fairlead.ports import Canceled, Expired, FillVoided, Triggered, Trip
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


def test_a_close_does_not_shy_away_from_the_order_that_it_takes_back():
    """One's own bid at the top of the book is gone before the sale comes."""
    bench = make()
    bench.do(lambda s: s.buy(1))
    entry = bench.do(lambda s: s.buy(1, limit_price=99))
    bench.quote(99, 101)
    assert bench.do(lambda s: s.close()).status is OrderStatus.FILLED
    assert entry.status is OrderStatus.CANCELED
    assert held(bench) == 0
    bench.check()


def test_closing_twice_closes_once():
    """The second order takes the place of the first, and nothing is put back in between."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.cancels = silence()
    first = bench.do(lambda s: s.close())
    second = bench.do(lambda s: s.close())
    assert (first.status, second.status) == (OrderStatus.CANCELED, OrderStatus.HELD)
    assert len([o for o in bench.state.orders.values() if o.intent.exits]) == 1
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


def test_what_came_into_the_way_while_a_stop_waited_is_taken_back_too():
    """It looks twice: when it is set off, and when it may go."""
    bench = make()
    resting = bench.do(lambda s: s.sell(1, limit_price=120))
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.cancels = silence()
    bench.price(90)
    late = bench.do(lambda s: s.buy(1, limit_price=91))
    bench.broker.cancel(resting)
    assert late.status is OrderStatus.PENDING_CANCEL
    bench.broker.cancel(late)
    assert held(bench) == 0
    assert not alarms(bench)
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


# --- what the venue takes back or ends --------------------------------------------------------------------------


def voided(bench, report):
    names = ("client_order_id", "fill_id", "instrument", "side", "quantity", "price", "fee", "fee_currency")
    bench.broker.emit(FillVoided(**{name: getattr(report, name) for name in names}))


@PROFILES
def test_an_entry_whose_fill_is_taken_back_has_no_exits_left(profile):
    """They would open a position on the other side."""
    bench = make(attrs.evolve(profile, reduce_only=False))
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=110))
    voided(bench, bench.broker.executions[0])
    assert not stops(bench)
    assert not bench.broker.working
    assert "was taken back: Puppet holds 0" in alarms(bench, "reports")[0]
    bench.price(80)
    assert held(bench) == 0
    bench.check()


@PROFILES
def test_of_two_entries_the_one_that_is_taken_back_loses_its_exits(profile):
    """The other one keeps its own stop, whichever is older."""
    bench = make(profile)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.do(lambda s: s.buy(1, stop_loss=80))
    voided(bench, bench.broker.executions[0])
    (left,) = [o for o in bench.state.open.values() if o.intent.exits]
    assert (left.stop_price, left.remaining_quantity) == (80, 1)
    bench.check()


@PROFILES
def test_a_position_that_comes_back_when_its_exit_is_taken_back_is_covered_again(profile):
    """The stop had filled, and had not after all."""
    bench = make(profile)
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=110))
    bench.price(90)
    for order in [o for o in bench.state.open.values() if o.type is OrderType.STOP]:
        bench.broker.fill(order, price=90)
    for name in list(bench.broker.working):
        bench.broker.cancel(name)
    assert held(bench) == 0
    voided(bench, bench.broker.executions[-1])
    assert held(bench) == 1
    assert [quantity for _, quantity in stops(bench)] == [1]
    bench.check()


def test_an_exit_that_is_taken_back_while_the_engine_starts_is_made_good_after_it():
    """What is not acted on at once is not forgotten."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    (stop,) = bench.state.open.values()
    report = bench.broker.fill(stop, price=90)
    bench.kernel.exits._recovered = False
    voided(bench, report)
    assert not stops(bench)
    bench.restart()
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.check()


def test_a_part_of_a_style_that_is_taken_back_shrinks_the_exits_of_the_whole():
    """The exits are the parent's."""
    bench = make()
    bench.do(lambda s: s.buy(2, stop_loss=90, style=TimeSlices(2, "2m")))
    bench.advance("1m")
    assert stops(bench) == [(OrderStatus.HELD, 2)]
    voided(bench, bench.broker.executions[0])
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.check()


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_a_stop_that_the_venue_ends_of_its_own_accord_is_placed_again(kind):
    """A second later, for what is left; as often as three times, and anew after it worked for a while."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))

    def end():
        stop = next(o for o in bench.state.open.values() if o.type is OrderType.STOP)
        if kind == "canceled":
            bench.broker.cancel(stop)
        else:
            bench.broker.emit(Expired(client_order_id=stop.client_order_id))
        assert not stops(bench)
        bench.advance("1s")

    for _ in range(2):
        end()
        assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.advance("61s")
    for _ in range(3):
        end()
    assert not stops(bench)
    assert not alarms(bench, "unprotected")
    bench.advance("10s")
    assert len(alarms(bench, "unprotected")) == 1
    bench.check()


def test_a_stop_that_its_strategy_took_back_is_not_placed_again():
    """Who cancels his stop wants none."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.do(lambda s: [s.cancel(o) for o in s.orders()])
    bench.advance("5s")
    assert not stops(bench)
    assert len(bench.broker.submits) == 2
    bench.check()


def test_a_linked_stop_that_ends_before_its_take_profit_is_told_of_is_not_placed_again():
    """A venue that links orders ends the one when the other fills; the fill follows."""
    bench = make(EVERYTHING)
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=110))
    stop, limit = bench.state.open.values()
    bench.broker.cancel(stop)
    bench.broker.fill(limit)
    bench.advance("5s")
    assert not bench.broker.working
    assert len(bench.broker.submits) == 3
    bench.check()


# --- stops under replacement ------------------------------------------------------------------------------------


def replaced(bench):
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.cancels = silence()
    old = next(o for o in bench.state.open.values() if o.type is OrderType.STOP)
    return old, bench.do(lambda s: s.replace(old, stop_price=95))


@pytest.mark.parametrize("answer", [False, True], ids=["no answer", "fills missing"])
def test_a_stop_whose_replacement_does_not_come_is_an_alarm(answer):
    """The new one waits for the end of the old, and nobody knows when that is."""
    bench = make(EVERYTHING)
    old, _ = replaced(bench)
    if answer:
        bench.broker.emit(Canceled(client_order_id=old.client_order_id, filled_quantity=D("0.4")))
    bench.advance("9s")
    assert not alarms(bench, "unprotected")
    bench.advance("1s")
    assert len(alarms(bench, "unprotected")) == 1
    bench.check()


def test_stops_that_are_moved_often_are_no_alarm():
    """Each time the answer comes: between two there is always one."""
    bench = make(EVERYTHING)
    _, new = replaced(bench)
    for step in range(8):
        bench.broker.cancel(next(iter(bench.broker.working)))
        bench.advance("3s")
        new = bench.do(lambda s, step=step, new=new: s.replace(new, stop_price=90 + step / 10))
    bench.advance("5s")
    bench.broker.cancel(next(iter(bench.broker.working)))
    bench.advance("20s")
    assert not alarms(bench, "unprotected")
    bench.check()


def test_a_replacement_that_is_replaced_still_waits_for_the_end_of_the_first():
    """Two of them at the venue at once would close more than there is."""
    bench = make(EVERYTHING)
    old, new = replaced(bench)
    newest = bench.do(lambda s: s.replace(new, stop_price=96))
    assert (old.status, new.status) == (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED)
    assert newest.status is OrderStatus.HELD
    bench.broker.cancel(old)
    assert (newest.status, newest.stop_price) == (OrderStatus.ACCEPTED, 96)
    bench.check()


def test_what_the_engine_itself_replaces_keeps_its_end():
    """Good till a date is good till that date, whoever placed it anew."""
    bench = make(STOPS_ONLY)
    order = bench.do(lambda s: s.buy(1, stop_price=120, time_in_force="GTD", expires="5m"))
    new = bench.kernel.desk.replace(order, D(2), None, D(121))
    bench.kernel.turn(lambda: None)
    assert new.status is OrderStatus.ACCEPTED
    bench.advance("5m")
    assert new.status is OrderStatus.EXPIRED
    bench.check()


def test_the_parts_of_an_order_with_an_end_are_canceled_once():
    """With the whole, and not each by itself as well."""
    bench = make()
    bench.broker.cancels = silence()
    order = bench.do(lambda s: s.buy(1, style=LimitAt("5bp"), time_in_force="GTD", expires="5m"))
    bench.advance("6m")
    assert order.status is OrderStatus.EXPIRED
    assert len(bench.broker.canceling) == 1
    bench.check()


def test_a_close_that_waits_for_the_next_bar_is_no_alarm():
    """Where there are only bars a market order fills with the next one; one that is still there after it is told."""
    bench = Bench(Puppet(bars="1m"), broker=FakeBroker(profile=EVERYTHING))
    bench.kernel.market.lanes[bench.instrument].cadence = 60_000_000_000
    bench.bar(100, 101, 99, 100)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.broker.script = accept()
    bench.do(lambda s: s.close())
    bench.advance("65s")
    assert not [note for note in bench.of(Noted) if note.source == "unprotected"]
    bench.advance("10s")
    assert [note for note in bench.of(Noted) if note.source == "unprotected"]


# --- what cannot be sent yet ------------------------------------------------------------------------------------


class AgainstProfit:
    """A breaker that refuses take-profits while `refuses` says so, in other words each time."""

    name = "against"
    wants = ()

    def __init__(self):
        self.refuses = lambda: True
        self.asked = 0

    def check(self, intent, view):
        if intent.exits and intent.type is OrderType.LIMIT and self.refuses():
            self.asked += 1
            return Trip(f"{self.asked}.5 of 3,000 messages are used up")
        return None

    def watch(self, item, view):
        return None


def triggered_in_vain(against):
    """A stop at the venue, and a take-profit whose price is reached."""
    bench = make(STOPS_ONLY, breakers=[against])
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90, take_profit=110))
    bench.broker.fill(entry)
    bench.price(110)
    return bench


def test_a_take_profit_that_may_not_be_sent_leaves_the_stop_where_it_is():
    """For hours, whatever is said against it in whatever figures: the stop stays, and the refusal is said once."""
    against = AgainstProfit()
    bench = triggered_in_vain(against)
    (before,) = [o for o in bench.state.open.values() if o.type is OrderType.STOP]
    commands = len(bench.broker.commands)
    bench.advance("4h")
    assert len(bench.broker.commands) == commands
    assert before.status is OrderStatus.ACCEPTED
    assert len(alarms(bench)) == 1
    assert len(bench.of(OrderTriggered)) == 1
    bench.restart()
    bench.price(110)
    assert before.client_order_id in bench.state.open
    against.refuses = bool
    bench.advance("2s")
    assert bench.broker.submits[-1].intent.type is OrderType.LIMIT
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.check()


def test_a_take_profit_that_is_refused_once_its_stop_is_gone_is_tried_ever_more_rarely():
    """What each try takes away and puts back is no order more than every few minutes, and is said once."""
    against = AgainstProfit()
    bench = make(STOPS_ONLY, breakers=[against])
    against.refuses = lambda: not any(status is OrderStatus.ACCEPTED for status, _ in stops(bench))
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90, take_profit=110))
    bench.broker.fill(entry)
    sent = len(bench.broker.submits)
    bench.price(110)
    bench.advance("10m")
    in_ten_minutes = len(bench.broker.submits) - sent
    assert 3 <= in_ten_minutes <= 12
    bench.advance("4h")
    assert len(bench.broker.submits) - sent - in_ten_minutes <= 4 * 60 / 4
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    assert len(alarms(bench)) == 1
    assert not alarms(bench, "unprotected")
    against.refuses = bool
    bench.advance("5m")
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.check()


# --- whose part of a position it is -----------------------------------------------------------------------------


@PROFILES
def test_a_restart_puts_no_old_exits_on_a_position_that_was_opened_without(profile):
    """What an entry bought was sold by hand: what is there now was bought by an order that wanted no exits."""
    bench = make(profile)
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90, take_profit=110))
    bench.broker.fill(entry)
    bench.do(lambda s: s.close())
    assert held(bench) == 0
    bench.do(lambda s: s.buy(1))
    bench.restart()
    assert held(bench) == 1
    assert not bench.state.open
    bench.price(100)
    bench.advance("1m")
    assert not alarms(bench, "unprotected")
    bench.check()


@pytest.mark.parametrize("restart", [False, True])
def test_exits_cover_what_is_left_of_their_own_entry_and_no_more(restart):
    """Half of it was sold by hand, more was bought without exits, and then the rest of the entry filled."""
    bench = make()
    entry = bench.do(lambda s: s.buy(2, limit_price=99, stop_loss=90))
    bench.broker.fill(entry, 1)
    bench.do(lambda s: s.sell("0.6"))
    bench.do(lambda s: s.buy(3))
    assert stops(bench) == [(OrderStatus.HELD, D("0.4"))]
    if restart:
        bench.restart()
        assert stops(bench) == [(OrderStatus.HELD, D("0.4"))]
        bench.broker.executed(entry.client_order_id)
        bench.restart()
    else:
        bench.broker.fill(entry, 1)
    assert held(bench) == D("4.4")
    assert sum(size for _, size in stops(bench)) == D("1.4")
    bench.check()


def test_a_close_that_fails_puts_back_the_exits_of_those_who_hold_something():
    """An older entry was closed by hand before: its exits stay away."""
    bench = make(STOPS_ONLY)
    old = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=80))
    bench.broker.fill(old)
    bench.do(lambda s: s.close())
    new = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    bench.broker.fill(new)
    bench.broker.answers.append(reject("no"))
    bench.do(lambda s: s.close())
    bench.advance("2s")
    assert [o.stop_price for o in bench.state.open.values()] == [90]
    bench.check()


def test_a_sale_by_hand_that_is_taken_back_leaves_nothing_bare():
    """What it had sold is there again, and has its stop again."""
    bench = make()
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    bench.broker.fill(entry)
    sale = bench.do(lambda s: s.sell(1))
    assert not stops(bench)
    report = next(one for one in bench.broker.executions if one.client_order_id == sale.client_order_id)
    voided(bench, report)
    assert held(bench) == 1
    assert stops(bench) == [(OrderStatus.HELD, 1)]
    bench.check()


def test_an_entry_is_remembered_as_long_as_it_holds_something():
    """However many orders ended after it: its stop comes back when the venue ends it."""
    bench = make(STOPS_ONLY)
    entry = bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    bench.broker.fill(entry)
    for _ in range(REMEMBERED_ORDERS + 5):
        bench.do(lambda s: s.cancel(s.buy(1, limit_price=50)))
    (stop,) = bench.state.open.values()
    bench.broker.emit(Expired(client_order_id=stop.client_order_id, event_ns=bench.clock.now()))
    bench.advance("2s")
    assert stops(bench) == [(OrderStatus.ACCEPTED, 1)]
    bench.check()
