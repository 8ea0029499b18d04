"""Orders that the engine keeps: stops, trails, linked orders, ends of time; over restarts and refusals."""

from decimal import Decimal

import attrs
import pytest

from fairlead import OrderStatus, OrderType, Side
from fairlead.facts import HeldResized, Noted, OrderTriggered, TrailMoved
from fairlead.ports import Canceled, CancelRejected, Trip
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, accept, reject, silence

D = Decimal
STOPS_ONLY = attrs.evolve(MARKET_AND_LIMIT, order_types=MARKET_AND_LIMIT.order_types | {OrderType.STOP})
"""A venue that has stops, and cannot link them."""


def make(profile=MARKET_AND_LIMIT, position=1, **options):
    bench = Bench(broker=FakeBroker(profile=profile), **options)
    bench.price(100)
    if position:
        bench.do(lambda s: s.buy(position) if position > 0 else s.sell(-position))
    return bench


def status(bench, order):
    return bench.state.orders[order.client_order_id].status


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("side", "terms", "quiet", "loud", "sent"),
    [
        ("sell", {"stop_price": 90}, 90.1, 90, (OrderType.MARKET, None)),
        ("buy", {"stop_price": 110}, 109.9, 110, (OrderType.MARKET, None)),
        ("sell", {"stop_price": 90, "limit_price": 89}, 90.1, 90, (OrderType.LIMIT, 89)),
        ("buy", {"stop_price": 110, "limit_price": 111}, 109.9, 110, (OrderType.LIMIT, 111)),
        ("sell", {"trail": 10}, 90.1, 90, (OrderType.MARKET, None)),
        ("buy", {"trail": "10%"}, 109.9, 110, (OrderType.MARKET, None)),
    ],
)
def test_a_held_order_is_sent_when_its_price_is_reached(side, terms, quiet, loud, sent, restart):
    """It waits at the engine, does nothing a tick before, and goes to the venue as a plain order."""
    bench = make(position=0)
    order = bench.do(lambda s: getattr(s, side)(1, **terms))
    assert order.status is OrderStatus.HELD
    if restart:
        bench.restart()
    bench.price(quiet)
    assert status(bench, order) is OrderStatus.HELD
    assert not bench.broker.submits
    bench.price(loud)
    submit = bench.broker.submits[0]
    assert (submit.intent.type, submit.intent.limit_price, submit.intent.stop_price) == (*sent, None)
    bench.check()


def test_a_trailing_stop_follows_and_never_turns_back():
    """It rises with the price, stays when that falls, and its place survives a restart."""
    bench = make()
    order = bench.do(lambda s: s.sell(1, trail=10, reduce_only=True))
    assert order.stop_price == 90
    bench.price(120)
    assert order.stop_price == 110
    bench.price(111)
    bench.restart()
    bench.price(112)
    again = bench.state.orders[order.client_order_id]
    assert (again.stop_price, again.extreme) == (110, 120)
    assert len(bench.of(TrailMoved)) == 2
    bench.price(110)
    assert again.status is OrderStatus.FILLED
    bench.check()


def test_a_replaced_trailing_stop_stays_where_it_stood():
    """Another quantity is no reason to give way."""
    bench = make(position=2)
    order = bench.do(lambda s: s.sell(2, trail=10, reduce_only=True))
    bench.price(120)
    bench.price(112)
    new = bench.do(lambda s: s.replace(order, quantity=1))
    bench.price(113)
    assert (new.status, new.stop_price, new.quantity) == (OrderStatus.HELD, 110, 1)
    bench.price(110)
    assert new.status is OrderStatus.FILLED
    bench.check()


def test_a_stop_looks_at_the_low_of_a_bar_before_its_high():
    """Inside one bar the order of prices is not known: the old stop is judged first."""
    bench = make()
    order = bench.do(lambda s: s.sell(1, trail=10, reduce_only=True))
    bench.bar(100, 130, 95, 128)
    assert (order.status, order.stop_price) == (OrderStatus.HELD, 120)
    bench.bar(128, 129, 119, 125)
    assert order.status is OrderStatus.FILLED


def test_a_stop_price_is_rounded_to_the_careful_side():
    """Off the grid, a stop triggers a little earlier rather than later."""
    bench = make(position=0)
    assert bench.do(lambda s: s.sell(1, stop_price=90.01)).stop_price == D("90.1")
    assert bench.do(lambda s: s.buy(1, stop_price=110.09)).stop_price == D("110.0")


def test_a_stop_closes_no_more_than_is_left():
    """What was closed by hand meanwhile is not sold twice."""
    bench = make(position=3)
    bench.do(lambda s: s.sell(3, stop_price=90, reduce_only=True))
    bench.do(lambda s: s.sell(2))
    bench.price(90)
    assert bench.broker.submits[-1].quantity == 1
    assert bench.state.quantity("fake", bench.instrument) == 0
    assert [fact.quantity for fact in bench.of(HeldResized)] == [1]


def test_a_stop_with_nothing_left_to_close_is_canceled():
    """When the position is gone, so is the reason for it."""
    bench = make()
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.do(lambda s: s.sell(1))
    bench.price(90)
    assert stop.status is OrderStatus.CANCELED
    assert len(bench.broker.submits) == 2


class Moody:
    """A breaker that refuses while told to."""

    name = "moody"
    wants = ()
    refusing = False

    def check(self, intent, view):
        return Trip("in a mood") if self.refusing else None

    def watch(self, item, view):
        return None


@pytest.mark.parametrize("restart", [False, True])
def test_a_refused_stop_is_kept_tried_again_and_said_aloud(restart):
    """Protection is never lost in silence: one alarm, then a try each second, also after a restart."""
    moody = Moody()
    bench = make(breakers=[moody])
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    moody.refusing = True
    bench.price(89)
    assert stop.status is OrderStatus.HELD
    bench.advance("3s")
    alarms = [fact for fact in bench.of(Noted) if fact.source == "protection"]
    assert len(alarms) == 1
    assert "moody: in a mood" in alarms[0].text
    if restart:
        bench.restart()
        bench.price(89)
    moody.refusing = False
    bench.advance("1s")
    assert status(bench, stop) is OrderStatus.FILLED
    bench.check()


def test_a_refused_entry_stop_is_denied():
    """What opens a position is not tried again behind the user's back."""
    moody = Moody()
    bench = make(breakers=[moody], position=0)
    stop = bench.do(lambda s: s.buy(1, stop_price=110))
    moody.refusing = True
    bench.price(110)
    assert stop.denied
    assert stop.reasons == ("moody: in a mood",)


def test_a_stop_protects_while_trading_is_halted():
    """Also one that was placed by hand, and also for a strategy that is halted itself."""
    bench = make()
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    bench.kernel.command("halt", "a person", "why not")
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].halt("it raised"))
    bench.price(90)
    assert stop.status is OrderStatus.FILLED


# --- linked orders ----------------------------------------------------------------------------------------------


def oco(bench, **options):
    terms = {"limit_price": 110, "stop_price": 90, "reduce_only": True} | options
    return bench.do(lambda s: s.oco("sell", 1, **terms))


def test_of_two_held_orders_the_first_to_trigger_ends_the_other():
    """At a venue with plain orders only, both are held and one is sent."""
    bench = make()
    limit, stop = oco(bench)
    assert (limit.status, stop.status) == (OrderStatus.HELD, OrderStatus.HELD)
    bench.price(90)
    assert (limit.status, stop.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)
    assert bench.state.quantity("fake", bench.instrument) == 0
    bench.check()


def test_a_stop_guards_what_a_take_profit_leaves_over():
    """The take-profit rests partly filled, the price turns: it is recalled, and the rest is stopped out."""
    bench = make()
    limit, stop = oco(bench)
    bench.price(110)
    assert (limit.status, stop.status) == (OrderStatus.ACCEPTED, OrderStatus.HELD)
    bench.broker.fill(limit, "0.6")
    assert stop.quantity == D("0.4")
    bench.broker.cancels = silence()
    bench.price(89)
    assert stop.status is OrderStatus.HELD
    assert len(bench.broker.submits) == 2
    bench.broker.fill(limit, "0.1")
    bench.broker.cancel(limit)
    assert bench.broker.submits[-1].quantity == D("0.3")
    assert stop.status is OrderStatus.FILLED
    assert bench.broker.positions[bench.instrument] == 0
    bench.check()


@pytest.mark.parametrize("restart", [False, True])
def test_a_stop_at_a_venue_without_links_comes_back_when_the_take_profit_goes(restart):
    """One of them is at the venue at a time; the recalled stop is held, and still guards."""
    bench = make(STOPS_ONLY)
    limit, stop = oco(bench)
    assert (limit.status, stop.status) == (OrderStatus.HELD, OrderStatus.ACCEPTED)
    bench.broker.cancels = silence()
    bench.price(110)
    assert (limit.status, stop.status) == (OrderStatus.HELD, OrderStatus.PENDING_CANCEL)
    if restart:
        bench.restart()
        bench.price(110)
    bench.broker.cancel(stop)
    assert status(bench, limit) is OrderStatus.ACCEPTED
    held = [o for o in bench.state.open.values() if o.status is OrderStatus.HELD]
    assert [(o.type, o.stop_price) for o in held] == [(OrderType.STOP, 90)]
    bench.price(90)
    bench.broker.cancel(limit)
    assert bench.broker.submits[-1].quantity == 1
    bench.check()


def test_a_stop_that_fills_while_it_is_recalled_ends_the_take_profit():
    """Whichever was faster, the position is closed once."""
    bench = make(STOPS_ONLY)
    limit, stop = oco(bench)
    bench.broker.cancels = silence()
    bench.price(110)
    bench.broker.fill(stop, price=90)
    assert (limit.status, stop.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)
    assert not bench.state.open
    assert bench.broker.positions[bench.instrument] == 0
    bench.check()


def test_a_refused_cancel_is_repeated_while_somebody_waits():
    """A take-profit that waits for its stop's end asks again, ever less often."""
    bench = make(STOPS_ONLY)
    _, stop = oco(bench)
    bench.broker.cancels = lambda broker, cancel: [CancelRejected(client_order_id=cancel.client_order_id)]
    bench.price(110)
    bench.advance("2s")
    assert len(bench.broker.canceling) == 5
    bench.advance("8s")
    assert len(bench.broker.canceling) == 7
    bench.broker.cancels = silence()
    bench.advance("1s")
    bench.broker.emit(Canceled(client_order_id=stop.client_order_id))
    assert stop.status is OrderStatus.CANCELED


def test_a_venue_that_links_orders_gets_both_and_shrinks_them_together():
    """What one fills the other has less, and their exposure counts once."""
    bench = make(EVERYTHING)
    limit, stop = oco(bench)
    assert (limit.status, stop.status) == (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED)
    assert bench.state.working("fake", bench.instrument, Side.SELL) == 1
    bench.broker.fill(limit, "0.6")
    assert (limit.remaining_quantity, stop.remaining_quantity) == (D("0.4"), D("0.4"))
    assert bench.state.working("fake", bench.instrument, Side.SELL) == D("0.4")
    bench.broker.fill(limit)
    bench.broker.cancel(stop)
    assert bench.state.working("fake", bench.instrument, Side.SELL) == 0
    bench.check()


def test_linked_orders_that_both_fill_before_the_venue_shrinks_them_have_nothing_left():
    """What was sold too much is booked, and the other one has nothing left to do."""
    bench = make(EVERYTHING)
    limit, stop = oco(bench)
    both = [bench.broker.executed(o.client_order_id, "0.6", price=100) for o in (stop, limit)]
    for report in both:
        bench.broker.emit(report)
    assert (limit.status, stop.remaining_quantity) == (OrderStatus.FILLED, 0)
    assert bench.state.quantity("fake", bench.instrument) == D("-0.2")
    assert bench.state.working("fake", bench.instrument, Side.SELL) == 0
    bench.check()


def test_a_denied_leg_takes_the_other_back():
    """Linked orders stand or fall together."""
    bench = make()
    limit, stop = oco(bench, stop_price=-1)
    assert stop.denied
    assert limit.status is OrderStatus.CANCELED


def test_linked_entries_of_which_one_fills():
    """Neither reduces anything: the one that triggers opens, the other goes."""
    bench = make(position=0)
    limit, stop = bench.do(lambda s: s.oco("buy", 1, limit_price=95, stop_price=105))
    bench.price(105)
    assert (limit.status, stop.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)
    assert bench.state.quantity("fake", bench.instrument) == 1


# --- ends of time -----------------------------------------------------------------------------------------------


def test_a_day_order_ends_at_midnight_of_the_account():
    """The trading day is the account's own, in its zone."""
    bench = make(attrs.evolve(MARKET_AND_LIMIT, zone="America/New_York"), position=0)
    held = bench.do(lambda s: s.buy(1, stop_price=110, time_in_force="DAY"))
    resting = bench.do(lambda s: s.buy(1, limit_price=90, time_in_force="DAY"))
    bench.advance("4h")
    assert (held.status, resting.status) == (OrderStatus.HELD, OrderStatus.ACCEPTED)
    bench.advance("1h")
    assert (held.status, resting.status) == (OrderStatus.EXPIRED, OrderStatus.EXPIRED)


def test_a_good_till_date_order_ends_then_also_after_a_restart():
    """What came due meanwhile ends at once."""
    bench = make(position=0)
    order = bench.do(lambda s: s.buy(1, limit_price=90, time_in_force="GTD", expires="10m"))
    bench.restart(down="20m")
    bench.advance("1s")
    assert status(bench, order) is OrderStatus.EXPIRED


def test_a_replacement_keeps_its_end():
    """A replaced order still ends when it should."""
    bench = make(position=0)
    order = bench.do(lambda s: s.buy(1, limit_price=90, time_in_force="GTD", expires="10m"))
    new = bench.do(lambda s: s.replace(order, limit_price=91))
    bench.advance("10m")
    assert new.status is OrderStatus.EXPIRED


# --- brackets ---------------------------------------------------------------------------------------------------


def entry(bench, quantity=1, **options):
    terms = {"limit_price": 100, "stop_loss": 90, "take_profit": 110} | options
    return bench.do(lambda s: s.buy(quantity, **terms))


def exits(bench):
    found = [o for o in bench.state.open.values() if o.intent.exits]
    return {o.type: (o.status, o.remaining_quantity) for o in found}


PROFILES = pytest.mark.parametrize(
    "profile", [MARKET_AND_LIMIT, STOPS_ONLY, EVERYTHING], ids=["plain", "stops", "all"]
)


@PROFILES
def test_the_filled_part_is_protected_at_once_and_grows(profile):
    """After each partial fill the exits cover exactly what has filled."""
    bench = make(profile, position=0)
    order = entry(bench)
    assert not exits(bench)
    covered = D(0)
    for part in ("0.3", "0.2", "0.5"):
        bench.broker.fill(order, part)
        covered += D(part)
        for kind in (OrderType.STOP, OrderType.LIMIT):
            legs = [o for o in bench.state.open.values() if o.intent.exits and o.type is kind]
            assert sum(o.remaining_quantity for o in legs) == covered
    bench.check()


@PROFILES
def test_an_entry_canceled_after_a_part_keeps_the_exits_of_that_part(profile):
    """What is held stays protected, and no more."""
    bench = make(profile, position=0)
    order = entry(bench)
    bench.broker.fill(order, "0.3")
    bench.do(lambda s: s.cancel(order))
    assert {quantity for _, quantity in exits(bench).values()} == {D("0.3")}


def test_what_was_too_little_alone_is_protected_when_the_entry_ends():
    """A part below the minimum waits for more; when none comes, it is protected all the same."""
    from fairlead.testing import make_instrument

    bench = Bench(broker=FakeBroker(make_instrument(min_quantity=D("0.5"))))
    bench.price(100)
    order = entry(bench)
    bench.broker.fill(order, "0.3")
    assert not exits(bench)
    bench.do(lambda s: s.cancel(order))
    assert exits(bench)[OrderType.STOP] == (OrderStatus.HELD, D("0.3"))


@PROFILES
@pytest.mark.parametrize("by", ["stop", "profit", "hand"])
def test_when_the_position_is_closed_no_exit_is_left(profile, by):
    """By its stop, its profit or by hand: whatever was linked is gone."""
    bench = make(profile, position=0)
    order = entry(bench)
    bench.broker.fill(order)
    if by == "hand":
        bench.do(lambda s: s.sell(1))
    else:
        bench.price(90 if by == "stop" else 110)
        kind = OrderType.STOP if by == "stop" else OrderType.LIMIT
        leg = next((o for o in bench.state.open.values() if o.intent.exits and o.type is kind), None)
        if leg is not None:
            bench.broker.fill(leg)
            for name in list(bench.broker.working):  # a venue that links them ends the other
                bench.broker.cancel(name)
    assert not exits(bench)
    assert not bench.broker.working
    assert bench.broker.positions[bench.instrument] == 0
    bench.check()


@PROFILES
def test_exits_shrink_with_a_position_that_is_partly_closed_by_hand(profile):
    """They never do more than close what is left."""
    bench = make(profile, position=0)
    bench.broker.fill(entry(bench))
    bench.do(lambda s: s.sell("0.7"))
    assert {quantity for _, quantity in exits(bench).values()} == {D("0.3")}
    assert bench.broker.working.keys() <= bench.state.open.keys()
    bench.check()


def test_the_newest_exits_shrink_first():
    """What was bought last is what was sold."""
    bench = make(position=0)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    bench.do(lambda s: s.buy(1, stop_loss=80))
    bench.do(lambda s: s.sell("1.5"))
    left = [(o.stop_price, o.remaining_quantity) for o in bench.state.open.values()]
    assert left == [(90, D("0.5"))]
    bench.check()


def test_new_exits_wait_for_those_that_are_leaving():
    """Both at the venue at once would close more than there is."""
    bench = make(STOPS_ONLY, position=0)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    (old,) = bench.state.open.values()
    bench.broker.cancels = silence()
    bench.do(lambda s: s.sell(1))
    bench.do(lambda s: s.buy(1, stop_loss=80))
    _, new = bench.state.open.values()
    assert (old.status, new.status) == (OrderStatus.PENDING_CANCEL, OrderStatus.HELD)
    bench.broker.cancel(old)
    assert (new.status, new.stop_price) == (OrderStatus.ACCEPTED, 80)
    bench.check()


def test_exits_of_a_position_that_flipped_are_gone():
    """On the other side of zero they would add to it."""
    bench = make(position=0)
    bench.broker.fill(entry(bench))
    bench.do(lambda s: s.sell(2))
    assert not exits(bench)


def test_moving_a_stop_by_hand_moves_it_and_sells_nothing():
    """A replaced exit is armed at its new price, linked to the other as before."""
    bench = make(position=0)
    bench.broker.fill(entry(bench))
    stop = next(o for o in bench.state.open.values() if o.type is OrderType.STOP)
    new = bench.do(lambda s: s.replace(stop, stop_price=95))
    assert new.status is OrderStatus.HELD
    assert len(bench.broker.submits) == 1
    bench.price(95)
    assert new.status is OrderStatus.FILLED
    assert not exits(bench)
    bench.check()


def test_protection_is_placed_and_works_while_trading_is_halted():
    """An entry that fills after the halt is still covered."""
    bench = make(position=0)
    order = entry(bench)
    bench.kernel.command("halt", "a person", "why not")
    bench.broker.fill(order)
    assert len(exits(bench)) == 2
    bench.price(90)
    assert bench.state.quantity("fake", bench.instrument) == 0


def test_a_rejected_stop_is_placed_again_and_then_alarmed_about():
    """Three tries, a second apart; after ten seconds bare, an alarm."""
    bench = make(STOPS_ONLY, position=0)
    order = entry(bench)
    bench.broker.script = reject()
    bench.broker.fill(order)
    bench.advance("9s")
    assert len(bench.broker.submits) == 4
    assert not [fact for fact in bench.of(Noted) if fact.source == "unprotected"]
    bench.advance("1s")
    alarms = [fact for fact in bench.of(Noted) if fact.source == "unprotected"]
    assert [fact.text[:2] for fact in alarms] == ["1 "]
    bench.advance("1m")
    assert len(bench.broker.submits) == 4


def test_a_stop_that_was_placed_again_is_replaced_under_an_id_of_its_own():
    """A second attempt that is replaced leaves its id alone: the new stop waits for its end, and then protects."""
    bench = make(STOPS_ONLY, position=0)
    order = entry(bench)
    bench.broker.answers.append(reject())
    bench.broker.fill(order)
    bench.advance("1s")
    [second] = [o for o in bench.state.open.values() if o.intent.repeats]
    new = bench.do(lambda s: s.replace(second, stop_price=94))
    assert new.client_order_id != second.client_order_id
    assert second.status is OrderStatus.CANCELED
    assert new.status is OrderStatus.ACCEPTED


def test_a_stop_taken_away_by_hand_is_an_alarm_also_after_a_restart():
    """A position that should have a stop and has none does not stay a secret."""
    bench = make(position=0)
    bench.broker.fill(entry(bench))
    bench.do(lambda s: [s.cancel(o) for o in s.orders()])
    bench.restart()
    bench.price(100)
    bench.advance("11s")
    assert [fact.source for fact in bench.of(Noted)] == ["unprotected"]


def test_a_protected_position_is_no_alarm():
    """Held stops protect, and a closed position needs none."""
    bench = make(position=0)
    bench.broker.fill(entry(bench))
    bench.advance("1m")
    bench.price(90)
    bench.advance("1m")
    assert not bench.of(Noted)


def test_a_held_order_that_waits_is_triggered_once():
    """While the linked order's cancel is on its way, more prices change nothing."""
    bench = make(STOPS_ONLY)
    oco(bench)
    bench.broker.cancels = silence()
    bench.broker.script = accept()
    for price in (110, 111, 112):
        bench.price(price)
    assert len(bench.of(OrderTriggered)) == 1
    assert len(bench.broker.canceling) == 1


def test_two_strategies_protect_their_own_parts():
    """A strategy's exits close its own position, not the account's."""
    one, two = Puppet(name="one", allocation="50%"), Puppet(name="two", allocation="50%")
    bench = Bench(one, two)
    bench.price(100)
    bench.do(lambda s: s.buy(1, stop_loss=90), 0)
    bench.do(lambda s: s.sell(3), 1)
    bench.price(90)
    assert bench.state.quantity("fake", bench.instrument, "one") == 0
    assert bench.state.quantity("fake", bench.instrument, "two") == -3
    assert bench.broker.submits[-1].reduce_only is False
    bench.check()
