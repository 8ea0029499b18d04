"""Orders from the gate to their end: statuses, reports in any order, replacing, closing."""

import itertools
from decimal import Decimal

import pytest

from fairlead import ConfigurationError, InvariantViolation, LimitAt, OrderStatus, Side
from fairlead._kernel.desk import client_order_id
from fairlead._kernel.transitions import TRANSITIONS, allowed, move
from fairlead._models.orders import CLOSED, Order, OrderIntent
from fairlead.facts import CancelRequested, Filled, FillReversed, Noted, OrderAccepted, OrderSubmitted
from fairlead.ports import (
    Accepted,
    Canceled,
    CancelRejected,
    Expired,
    FillVoided,
    NotSent,
    OutcomeUnknown,
    Rejected,
)
from fairlead.testing import EVERYTHING, Bench, FakeBroker, accept, fill, lose, silence

D = Decimal


@pytest.fixture
def bench():
    bench = Bench()
    bench.price(100)
    yield bench
    bench.check()


def limit(bench, quantity=1, price=99, **options):
    return bench.do(lambda s: s.buy(quantity, limit_price=price, **options))


def test_every_pair_of_statuses_is_in_the_table_or_refused():
    """A step that the table does not have raises, and changes nothing."""
    for before, after in itertools.product(OrderStatus, OrderStatus):
        intent = OrderIntent(strategy="s", account="a", instrument="i", side=Side.BUY, quantity=D(1))
        order = Order(client_order_id="x", intent=intent, status=before, quantity=D(1))
        if allowed(before, after):
            move(order, after)
            assert order.status is after
        else:
            with pytest.raises(InvariantViolation, match="no such transition"):
                move(order, after)
            assert order.status is before


def test_nothing_leads_out_of_a_refusal_and_every_open_status_can_end():
    """Our own refusal is final, and whatever may be at the venue can be filled and canceled."""
    assert not TRANSITIONS[OrderStatus.DENIED]
    for status in set(OrderStatus) - CLOSED:
        assert TRANSITIONS[status] & {OrderStatus.FILLED}
        assert TRANSITIONS[status] & {OrderStatus.CANCELED}


def test_names_of_orders_hold_namespace_epoch_and_number():
    """128 bits in hex, so that an order's origin can be read off a venue's list."""
    name = client_order_id(0xABC, 7, 12)
    assert len(name) == 32
    assert (name[:4], name[4:8], int(name[8:30], 16), name[30:]) == ("0abc", "0007", 12, "01")


def test_names_are_unique_over_orders_of_every_kind_and_over_restarts(bench):
    """Denied, held and sent orders draw on one sequence, and a restart begins a new one."""
    for _ in range(2):
        for price in (0.001, 99, 98):
            limit(bench, price=price)
        bench.do(lambda s: s.buy(1, stop_price=110))
        bench.restart()
        bench.price(100)
    assert len(bench.state.orders) == 8
    assert len({name[4:8] for name in bench.state.orders}) == 2


def test_an_intent_is_in_the_journal_before_it_is_on_the_wire(bench):
    """When the broker gets the order, its record is written."""
    seen = []

    def script(broker, submit):
        seen.append([f.client_order_id for f in bench.of(OrderSubmitted)])
        return ()

    bench.broker.script = script
    order = limit(bench)
    assert seen == [[order.client_order_id]]


@pytest.mark.parametrize("order_of_reports", list(itertools.permutations(range(3))))
def test_reports_in_any_order_end_the_same(bench, order_of_reports):
    """Acceptance and two fills, in whatever order and twice, fill the order once."""
    bench.broker.script = silence()
    order = limit(bench)
    name = order.client_order_id
    reports = [
        Accepted(client_order_id=name, broker_order_id="b1"),
        bench.broker.executed(name, "0.4"),
        bench.broker.executed(name, "0.6"),
    ]
    for index in (*order_of_reports, *order_of_reports):
        bench.broker.emit(reports[index])
    assert order.status is OrderStatus.FILLED
    assert (order.filled_quantity, order.average_price) == (1, 99)
    assert len(bench.of(Filled)) == 2
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 0


def test_a_fill_of_more_than_was_wanted_leaves_nothing_reserved(bench):
    """Venues do that; it is booked, and the order has nothing left to do."""
    order = limit(bench)
    bench.broker.fill(order, "1.5")
    assert order.status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == D("1.5")
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 0


def test_an_acceptance_told_twice_is_one_fact(bench):
    """What adds nothing is not written down again."""
    order = limit(bench)
    bench.broker.accept(order)
    assert len(bench.of(OrderAccepted)) == 1


def test_a_fill_after_the_end_is_booked(bench):
    """No fill is lost because of a status, and late evidence completes an order."""
    order = limit(bench)
    late = bench.broker.executed(order.client_order_id)
    bench.broker.emit(Canceled(client_order_id=order.client_order_id))
    assert order.status is OrderStatus.CANCELED
    bench.broker.emit(late)
    assert order.status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == 1


def test_a_rejected_order_that_lives_after_all_is_open_again(bench):
    """Evidence of life corrects a rejection, and its exposure is reserved again."""
    bench.broker.script = silence()
    order = limit(bench)
    bench.broker.emit(Rejected(client_order_id=order.client_order_id, code="x"))
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 0
    bench.broker.cancels = silence()
    bench.broker.accept(order)
    assert order.status is OrderStatus.PENDING_CANCEL, "it had been given up: it is taken back"
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 1
    assert [c.client_order_id for c in bench.broker.canceling] == [order.client_order_id]


def test_a_lost_answer_is_unknown_and_stays_reserved(bench):
    """An unknown order may still fill: it counts as exposure until there is evidence."""
    bench.broker.answers.append(lose())
    order = limit(bench)
    assert order.status is OrderStatus.UNKNOWN
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 1
    bench.broker.fill(order)
    assert order.status is OrderStatus.FILLED


def test_what_was_never_sent_is_rejected(bench):
    """`NotSent` is definitive, for an order that nobody has acknowledged."""
    bench.broker.script = silence()
    order = limit(bench)
    bench.broker.emit(NotSent(client_order_id=order.client_order_id, reason="the deadline passed"))
    assert order.status is OrderStatus.REJECTED
    assert "the deadline passed" in order.reasons[0]


def test_a_cancel_that_was_refused_leaves_no_false_evidence(bench):
    """Where the venue never acknowledged an order, refusing its cancel does not prove that it is there."""
    bench.broker.answers.append(lose())
    order = limit(bench)
    bench.broker.cancels = silence()
    bench.do(lambda s: s.cancel(order))
    bench.broker.emit(CancelRejected(client_order_id=order.client_order_id, reason="unknown order"))
    assert order.status is OrderStatus.PENDING_CANCEL
    bench.broker.emit(CancelRejected(client_order_id=order.client_order_id, reason="too late"))
    assert order.status is OrderStatus.PENDING_CANCEL
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 1


def test_a_canceled_order_is_over_once_its_fills_are_known(bench):
    """A cancellation that tells of more than was reported waits for the missing fill, and says so."""
    order = limit(bench)
    missing = bench.broker.executed(order.client_order_id, "0.4")
    bench.broker.emit(Canceled(client_order_id=order.client_order_id, filled_quantity=D("0.4")))
    assert order.status is OrderStatus.ACCEPTED
    assert "waiting for the rest" in bench.of(Noted)[-1].text
    bench.broker.emit(missing)
    assert order.status is OrderStatus.CANCELED
    assert order.filled_quantity == D("0.4")


@pytest.mark.parametrize(
    "kind", [Accepted, Rejected, NotSent, OutcomeUnknown, Canceled, CancelRejected, Expired]
)
def test_reports_of_strangers_and_of_held_orders_change_nothing(bench, kind):
    """A report about an order that was never sent here is written down, and that is all."""
    held = bench.do(lambda s: s.buy(1, stop_price=110))
    for name in ("nobody", held.client_order_id):
        bench.broker.emit(kind(client_order_id=name))
    assert held.status is OrderStatus.HELD


def test_canceling_may_be_repeated_and_a_closed_order_stays_closed(bench):
    """A cancel is harmless however often it is asked for."""
    bench.broker.cancels = silence()
    order = limit(bench)
    for _ in range(3):
        bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.PENDING_CANCEL
    assert len(bench.of(CancelRequested)) == 3
    bench.broker.cancel(order)
    bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.CANCELED
    assert len(bench.of(CancelRequested)) == 3


def void(bench, report):
    bench.broker.emit(
        FillVoided(
            client_order_id=report.client_order_id,
            fill_id=report.fill_id,
            instrument=report.instrument,
            side=report.side,
            quantity=report.quantity,
            price=report.price,
            fee=report.fee,
            fee_currency=report.fee_currency,
        )
    )


def test_a_voided_fill_is_taken_back_once(bench):
    """Position, cash, average and reservation are as before it, and telling either again changes nothing."""
    order = limit(bench, quantity=2)
    first = bench.broker.fill(order, "0.5", price=98)
    cash = dict(bench.state.accounts["fake"].balances)
    second = bench.broker.fill(order, "0.5", price=99)
    for _ in range(2):
        void(bench, second)
        bench.broker.emit(second)
    assert bench.state.quantity("fake", bench.instrument, "Puppet") == D("0.5")
    assert bench.state.accounts["fake"].balances == cash
    assert (order.filled_quantity, order.average_price) == (D("0.5"), first.price)
    assert bench.state.working("fake", bench.instrument, Side.BUY) == D("1.5")
    assert len(bench.of(FillReversed)) == 1
    bench.do(lambda s: s.cancel(order))
    assert bench.state.working("fake", bench.instrument, Side.BUY) == 0


# --- replace and close ------------------------------------------------------------------------------------------


def test_a_replacement_waits_until_the_old_order_is_gone(bench):
    """Never are both at the venue: cancel, confirmation, then the remainder."""
    bench.broker.cancels = silence()
    old = limit(bench)
    new = bench.do(lambda s: s.replace(old, limit_price=98))
    assert (old.status, new.status) == (OrderStatus.PENDING_CANCEL, OrderStatus.HELD)
    assert len(bench.broker.submits) == 1
    bench.broker.cancel(old)
    assert (old.status, new.status) == (OrderStatus.CANCELED, OrderStatus.ACCEPTED)
    assert bench.broker.submits[1].intent.limit_price == 98


@pytest.mark.parametrize(
    ("before", "during", "left"), [("0", "0.3", "0.7"), ("0.3", "0", "0.7"), ("0.3", "0.2", "0.5")]
)
def test_fills_before_and_during_a_replace_are_subtracted(bench, before, during, left):
    """The new quantity is a total: what the old order has filled, whenever it did, is not bought again."""
    bench.broker.cancels = silence()
    old = limit(bench)
    if D(before):
        bench.broker.fill(old, before)
    new = bench.do(lambda s: s.replace(old, quantity=1, limit_price=98))
    if D(during):
        bench.broker.fill(old, during)
    bench.broker.cancel(old)
    assert new.quantity == bench.broker.submits[1].quantity == D(left)


def test_a_replacement_of_what_filled_meanwhile_comes_to_nothing(bench):
    """When all of it fills before the cancel, nothing more is sent."""
    bench.broker.cancels = silence()
    old = limit(bench)
    new = bench.do(lambda s: s.replace(old, limit_price=98))
    bench.broker.fill(old)
    assert (old.status, new.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
    assert len(bench.broker.submits) == 1


def test_a_closed_order_cannot_be_replaced(bench):
    """The refusal stands on the returned order."""
    old = limit(bench)
    bench.broker.fill(old)
    new = bench.do(lambda s: s.replace(old, limit_price=98))
    assert new.denied
    assert "nothing is left to replace" in new.reasons[0]


def test_an_order_with_a_style_cannot_be_replaced():
    """The strategy is told what to do instead."""
    from fairlead import LimitAt

    bench = Bench()
    bench.price(100)
    order = bench.do(lambda s: s.buy(1, style=LimitAt()))
    with pytest.raises(AssertionError, match="cancel it and place a new one"):
        bench.do(lambda s: s.replace(order, limit_price=98))
    assert not isinstance(order, ConfigurationError)


def test_a_held_stop_that_was_replaced_still_guards(bench):
    """The new stop is armed, at its new price, also after a restart."""
    bench.do(lambda s: s.buy(1))
    stop = bench.do(lambda s: s.sell(1, stop_price=90, reduce_only=True))
    new = bench.do(lambda s: s.replace(stop, stop_price=95))
    assert (stop.status, new.status, new.after) == (OrderStatus.CANCELED, OrderStatus.HELD, ())
    bench.restart()
    bench.price(94)
    assert bench.state.orders[new.client_order_id].status is OrderStatus.FILLED
    assert bench.broker.positions[bench.instrument] == 0


def test_closing_waits_for_working_orders_and_closes_what_is_there_then(bench):
    """Fills that come before the cancel are closed as well."""
    bench.do(lambda s: s.buy(1))
    bench.broker.cancels = silence()
    entry = limit(bench, quantity=2)
    closing = bench.do(lambda s: s.close())
    assert closing.status is OrderStatus.HELD
    bench.broker.fill(entry, "0.5")
    bench.broker.cancel(entry)
    assert bench.broker.submits[-1].quantity == D("1.5")
    assert closing.status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == 0


def test_closing_nothing_is_nothing(bench):
    """Flat and without orders there is nothing to do."""
    assert bench.do(lambda s: s.close()) is None


def test_closing_what_an_order_closed_first_comes_to_nothing(bench):
    """A close whose position is gone when its turn comes is canceled."""
    bench.do(lambda s: s.buy(1))
    bench.broker.cancels = silence()
    leaving = bench.do(lambda s: s.sell(1, limit_price=101))
    closing = bench.do(lambda s: s.close())
    bench.broker.fill(leaving)
    assert closing.status is OrderStatus.CANCELED
    assert bench.state.quantity("fake", bench.instrument) == 0


# --- target and rebalance ---------------------------------------------------------------------------------------


def test_a_target_counts_what_is_on_its_way(bench):
    """Asking again while an order works asks for nothing more."""
    bench.broker.script = accept()
    first = bench.do(lambda s: s.target(2))
    assert first.quantity == 2
    assert bench.do(lambda s: s.target(2)) is None
    assert bench.do(lambda s: s.target(3)).quantity == 1


def test_a_target_does_not_count_its_protection(bench):
    """Stops are no part of the way to a position."""
    bench.do(lambda s: s.buy(1, stop_loss=90, take_profit=120))
    assert bench.do(lambda s: s.target(1)) is None


def test_a_target_takes_back_what_works_in_the_other_direction(bench):
    """No entry fills behind the back of a target that wants none; what fits stays, and the rest waits for the end."""
    old, new = limit(bench, 1, 99), limit(bench, 1, 98)
    assert bench.do(lambda s: s.target(1)) is None
    assert (old.status, new.status) == (OrderStatus.ACCEPTED, OrderStatus.CANCELED)
    bench.broker.cancels = silence()
    assert bench.do(lambda s: s.target(0)) is None
    assert bench.do(lambda s: s.target(0)) is None
    assert len(bench.broker.canceling) == 2
    bench.broker.fill(old, "0.4")
    sell = bench.do(lambda s: s.target(0))
    assert (sell.status, sell.quantity, sell.intent.reduce_only) == (OrderStatus.HELD, D("0.4"), True)
    bench.broker.cancel(old)
    assert sell.status is OrderStatus.FILLED
    assert bench.state.quantity("fake", bench.instrument) == 0


def test_a_target_that_is_less_than_a_working_order_begins_anew(bench):
    """An order cannot be halved: it ends, and the difference is traded after it."""
    order = limit(bench, 2, 99)
    bench.broker.cancels = silence()
    new = bench.do(lambda s: s.target(1))
    assert (new.side, new.quantity, new.status) == (Side.BUY, 1, OrderStatus.HELD)
    bench.broker.cancel(order)
    assert new.status is OrderStatus.FILLED


def test_a_target_ends_a_styled_order_with_its_parts(bench):
    """And waits for those that are at the venue."""
    order = bench.do(lambda s: s.buy(1, style=LimitAt("5bp")))
    (part,) = bench.broker.working
    bench.broker.cancels = silence()
    assert bench.do(lambda s: s.target(-1)).after == (part,)
    assert order.status is OrderStatus.CANCELED


def test_a_target_of_nothing_is_reached_past_a_stop_at_the_venue():
    """What protects the position does not keep it from being closed."""
    bench = Bench(broker=FakeBroker(profile=EVERYTHING))
    bench.price(100)
    bench.do(lambda s: s.buy(1, stop_loss=90))
    assert bench.do(lambda s: s.target(0)).status is OrderStatus.FILLED
    assert not bench.broker.working
    bench.check()


def test_a_target_may_be_short_and_in_money(bench):
    """Negative values sell, and a reduction says that it reduces."""
    short = bench.do(lambda s: s.target(value=-500))
    assert (short.side, short.quantity, short.intent.reduce_only) == (Side.SELL, 5, False)
    back = bench.do(lambda s: s.target(-2))
    assert (back.side, back.quantity, back.intent.reduce_only) == (Side.BUY, 3, True)


def pair():
    from fairlead.testing import FakeBroker, Puppet, make_instrument

    instruments = make_instrument("BTC/USDT:USDT"), make_instrument("ETH/USDT:USDT")
    bench = Bench(Puppet("BTC/USDT:USDT", "ETH/USDT:USDT"), broker=FakeBroker(*instruments))
    for instrument in instruments:
        bench.price(100, instrument=instrument.id)
    return bench, *(i.id for i in instruments)


def test_rebalancing_reduces_first():
    """Increases wait for the end of the reductions, and asking again meanwhile adds nothing."""
    bench, btc, eth = pair()
    bench.do(lambda s: s.rebalance({btc: "50%"}))
    bench.broker.script = accept()
    orders = bench.do(lambda s: s.rebalance({btc: "10%", eth: "40%"}))
    assert [(o.instrument, o.side, o.status) for o in orders] == [
        (btc, Side.SELL, OrderStatus.ACCEPTED),
        (eth, Side.BUY, OrderStatus.HELD),
    ]
    assert bench.do(lambda s: s.rebalance({btc: "10%", eth: "40%"})) == []
    bench.broker.script = fill()
    bench.broker.fill(orders[0])
    assert orders[1].status is OrderStatus.FILLED
    assert bench.state.quantity("fake", eth) == 400
    bench.check()


def test_rebalancing_leaves_what_is_within_the_band_and_closes_what_is_not_named():
    """Small differences stay, and an instrument without a weight goes."""
    bench, btc, eth = pair()
    bench.do(lambda s: s.rebalance({btc: "50%", eth: "20%"}))
    assert bench.do(lambda s: s.rebalance({btc: "50.5%", eth: "20%"}, band="1%")) == []
    orders = bench.do(lambda s: s.rebalance({btc: "50%"}))
    assert [(o.instrument, o.side, o.quantity) for o in orders] == [(eth, Side.SELL, 200)]
