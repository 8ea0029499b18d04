"""Orders in doubt: what proves something, what does not, and that nothing is lost or sent twice meanwhile."""

from decimal import Decimal
from functools import partial
from itertools import pairwise

import attrs
import pytest

from fairlead import ConnectivityError, OrderStatus, Side, TradingState
from fairlead import facts as f
from fairlead._models.reports import LookedUp, Unanswered
from fairlead.ports import (
    DUPLICATE_ID,
    Accepted,
    Canceled,
    CancelRejected,
    FillReport,
    FillVoided,
    NotSent,
    Rejected,
    StreamDown,
    StreamUp,
)
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, accept, lose, reject, silence
from fairlead.testing.bench import finish
from fairlead.testing.broker import obey
from fairlead.testing.time import START_NS
from fairlead.units import SECOND

D = Decimal
REMOTE = attrs.evolve(MARKET_AND_LIMIT, environment="testnet", exact=False, watch_ns=0)


class Venue(FakeBroker):
    """A venue whose answers to questions a test can spoil."""

    def __init__(self, **changes):
        super().__init__(profile=attrs.evolve(REMOTE, **changes))
        self.deaf = False
        self.hidden = set()
        self.average = None
        self.asked = []

    async def lookup(self, client_order_ids):
        self.asked.append(tuple(client_order_ids))
        if self.deaf:
            raise ConnectivityError("no answer")
        found = await super().lookup(client_order_ids)
        price = self.average
        return {name: one and attrs.evolve(one, average_price=price) for name, one in found.items()}

    async def fills(self, since_ns):
        self.asked.append(since_ns)
        if self.deaf:
            raise ConnectivityError("no answer")
        return [fill for fill in await super().fills(since_ns) if fill.fill_id not in self.hidden]


@pytest.fixture
def bench():
    return ready()


def ready(**changes):
    made = Bench(broker=Venue(**changes))
    made.price(100)
    return made


def limit(bench, script=None, quantity=1, **more):
    if script is not None:
        bench.broker.answers.append(script)
    return bench.do(lambda s: s.buy(quantity, limit_price=99, **more))


def reserved(bench):
    return bench.state.working("fake", bench.instrument, Side.BUY)


def held(bench):
    return bench.state.quantity("fake", bench.instrument)


def notes(bench):
    return [fact.text for fact in bench.of(f.Noted) if fact.source == "reports"]


def unseen(bench, order, quantity="1"):
    """Let the venue fill an order, and lose the report."""
    report = bench.broker.executed(order.client_order_id, quantity)
    return report


# --- an answer that was lost ------------------------------------------------------------------------------------


def test_a_lost_answer_of_an_order_that_works_is_found_at_once(bench):
    """One look-up adopts it, and nothing is sent again."""
    order = limit(bench, lose())
    assert order.status is OrderStatus.UNKNOWN
    bench.advance("10ms")
    assert order.status is OrderStatus.ACCEPTED
    assert len(bench.broker.submits) == 1
    bench.check()


def test_a_lost_answer_of_an_order_that_filled_brings_its_fills(bench):
    """The list of fills is asked for before the order is judged."""
    order = limit(bench, lose())
    unseen(bench, order)
    bench.advance("10ms")
    assert order.status is OrderStatus.FILLED
    assert held(bench) == 1
    bench.check()


def test_an_order_that_never_arrived_is_given_up_after_proof_and_not_before(bench):
    """Not found counts once it could not arrive any more, its look-up could not lag, twice, with fills agreeing."""
    order = limit(bench, lose(arrived=False))
    bench.broker._orders.clear()
    bench.advance("7400ms")
    assert order.status is OrderStatus.UNKNOWN
    assert reserved(bench) == 1
    bench.advance("2s")
    assert order.status is OrderStatus.REJECTED
    assert bench.of(f.OrderRejected)[-1].code == f.NOT_ACCEPTED
    assert reserved(bench) == 0
    assert len(bench.broker.submits) == 1
    bench.check()


def test_a_venue_that_cannot_be_asked_proves_nothing(bench):
    """Ten minutes of failing questions leave the order unknown and reserved, with one alarm; then it is resolved."""
    order = limit(bench, lose())
    bench.broker.deaf = True
    bench.advance("10m")
    assert order.status is OrderStatus.UNKNOWN
    assert reserved(bench) == 1
    bench.broker.deaf = False
    bench.advance("40s")
    assert order.status is OrderStatus.ACCEPTED
    bench.check()


def test_a_question_that_a_broken_connection_took_with_it_is_asked_again_at_once(bench):
    """The private stream is back: nobody waits for the answer that cannot come any more."""
    bench.broker.deaf = True
    order = limit(bench, lose())
    bench.advance("10ms")
    bench.broker.deaf = False
    bench.broker.emit(StreamDown(reason="cut"))
    bench.advance("1s")
    assert order.status is OrderStatus.UNKNOWN
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("10ms")
    assert order.status is OrderStatus.ACCEPTED
    bench.check()


def test_not_found_proves_nothing_while_the_private_stream_is_down(bench):
    """What could not be reported cannot be ruled out."""
    order = limit(bench, lose(arrived=False))
    bench.broker._orders.clear()
    bench.broker.emit(StreamDown(reason="lost"))
    bench.advance("1m")
    assert order.status is OrderStatus.UNKNOWN
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("1m")
    assert order.status is OrderStatus.REJECTED


def test_a_venue_without_a_bound_leaves_doubt_to_a_person(bench):
    """Where an order may still be on its way for ever, it stays unknown, and its instrument may only reduce."""
    bench = ready(validity_ns=None)
    order = limit(bench, lose(arrived=False))
    bench.broker._orders.clear()
    bench.advance("1h")
    assert order.status is OrderStatus.UNKNOWN
    assert bench.state.lowered == {f"instrument:{bench.instrument}": TradingState.REDUCE_ONLY}
    assert any("has been in doubt for 60 s" in text for text in notes(bench))
    assert limit(bench).status is OrderStatus.DENIED


def test_an_answer_that_nobody_gives_is_asked_for(bench):
    """An adapter that says nothing at all leaves no order submitted for ever."""
    order = limit(bench, silence())
    bench.advance("9s")
    assert order.status is OrderStatus.SUBMITTED
    bench.advance("5s")
    assert order.status is OrderStatus.ACCEPTED


def test_a_zombie_is_adopted_and_canceled(bench):
    """An order that was given up and appears after all is taken back, aloud; its fills count."""
    order = limit(bench, lose(arrived=False))
    standing = bench.broker._orders.pop(order.client_order_id)
    bench.advance("10s")
    assert order.status is OrderStatus.REJECTED
    bench.broker.working[order.client_order_id] = standing
    bench.broker._orders[order.client_order_id] = standing
    bench.broker.fill(order, "0.4")
    bench.broker.emit(Accepted(client_order_id=order.client_order_id, broker_order_id="b1"))
    bench.advance("1s")
    assert held(bench) == D("0.4")
    assert order.status in (OrderStatus.CANCELED, OrderStatus.PARTIALLY_FILLED)
    bench.check()


def test_what_was_given_up_is_remembered_for_a_day(bench):
    """Thousands of later orders do not make it a stranger."""
    order = limit(bench, lose(arrived=False))
    bench.broker._orders.clear()
    bench.advance("10s")
    for _ in range(1_100):
        bench.do(lambda s: s.cancel(s.buy(1, limit_price=99)))
    assert order.client_order_id in bench.state.orders
    bench.broker.emit(Accepted(client_order_id=order.client_order_id, broker_order_id="late"))
    assert order.broker_order_id == "late"


# --- rejections -------------------------------------------------------------------------------------------------


def test_a_rejection_for_a_duplicate_id_adopts_the_order(bench):
    """The venue has it: that is the opposite of a refusal."""
    order = limit(bench, reject(DUPLICATE_ID))
    bench.broker._orders[order.client_order_id] = _resting(bench, order)
    bench.broker.working[order.client_order_id] = bench.broker._orders[order.client_order_id]
    assert order.status is OrderStatus.UNKNOWN
    bench.advance("1s")
    assert order.status is OrderStatus.ACCEPTED


def _resting(bench, order):
    return bench.broker._orders[order.client_order_id]


def test_only_codes_on_the_list_are_definitive():
    """Where a venue's profile lists them, any other rejection is looked up first."""
    bench = ready(definitive_codes=frozenset({"-2010"}))
    refused = limit(bench, reject("-2010"))
    doubtful = limit(bench, accept())
    bench.broker.emit(Rejected(client_order_id=doubtful.client_order_id, code="503"))
    assert refused.status is OrderStatus.REJECTED
    assert doubtful.status is OrderStatus.UNKNOWN
    bench.advance("1s")
    assert doubtful.status is OrderStatus.ACCEPTED


# --- cancels ----------------------------------------------------------------------------------------------------


def test_a_refused_cancel_of_an_order_that_filled_ends_filled(bench):
    """Too late says nothing by itself: the venue is asked, and the fill wins."""
    order = limit(bench)
    bench.broker.cancels = lambda _, cancel: [
        CancelRejected(client_order_id=cancel.client_order_id, code="too_late")
    ]
    unseen(bench, order)
    bench.do(lambda s: s.cancel(order))
    assert order.status is OrderStatus.PENDING_CANCEL
    bench.advance("1s")
    assert order.status is OrderStatus.FILLED
    assert held(bench) == 1
    bench.check()


def test_a_cancel_without_an_answer_is_repeated_until_it_is_proven(bench):
    """It may never have left."""
    order = limit(bench)
    bench.broker.cancels = silence()
    bench.do(lambda s: s.cancel(order))
    bench.advance("20s")
    assert order.status is OrderStatus.PENDING_CANCEL
    assert len(bench.broker.canceling) > 2
    bench.broker.working.clear()
    bench.advance("40s")
    assert order.status is OrderStatus.CANCELED
    bench.check()


def test_an_end_without_a_figure_waits_for_one(bench):
    """Where a venue does not say how much was filled, it is asked before the order is over."""
    order = limit(bench)
    unseen(bench, order, "0.3")
    bench.broker.working.pop(order.client_order_id)
    bench.broker.emit(Canceled(client_order_id=order.client_order_id))
    assert not order.closed
    bench.advance("1s")
    assert order.status is OrderStatus.CANCELED
    assert order.filled_quantity == held(bench) == D("0.3")
    bench.check()


# --- fills ------------------------------------------------------------------------------------------------------


def test_a_fill_that_was_not_reported_is_found_by_the_next_one(bench):
    """The venue's cumulative quantity shows the gap."""
    order = limit(bench, quantity=3)
    unseen(bench, order)
    bench.broker.fill(order, 1)
    assert held(bench) == 1
    bench.advance("1s")
    assert held(bench) == 2
    assert order.filled_quantity == 2
    bench.check()


def test_a_fill_that_was_not_reported_is_found_by_the_clock(bench):
    """Nothing else hints at it: the list of fills is compared every 45 seconds."""
    order = limit(bench)
    unseen(bench, order)
    bench.advance("40s")
    assert held(bench) == 0
    bench.advance("10s")
    assert held(bench) == 1
    assert order.status is OrderStatus.FILLED


def test_a_fill_that_was_not_reported_is_found_when_the_stream_is_back(bench):
    """After a reconnect the venue is asked for all that may have been missed."""
    order, other = limit(bench), limit(bench)
    bench.broker.emit(StreamDown(reason="lost"))
    unseen(bench, order)
    bench.broker.canceled(other.client_order_id)
    bench.advance("1s")
    assert held(bench) == 0
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("1s")
    assert held(bench) == 1
    assert (order.status, other.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
    bench.check()


def test_one_execution_under_two_ids_is_booked_once(bench):
    """The venue's cumulative quantity leaves no room for a second one."""
    order = limit(bench, quantity=2)
    fill = bench.broker.fill(order, 1)
    bench.broker.emit(_again(fill, "rest-1"))
    assert held(bench) == 1
    assert any("known under another id" in text for text in notes(bench))


def test_fills_out_of_order_are_all_booked(bench):
    """A later total that comes first does not make the earlier fill a copy."""
    order = limit(bench, quantity=2)
    first, second = unseen(bench, order), unseen(bench, order)
    bench.broker.emit(second)
    bench.broker.emit(first)
    assert held(bench) == 2
    assert order.status is OrderStatus.FILLED


def test_more_than_was_ordered_is_booked_all_the_same(bench):
    """A venue's fill is a fact; that it should not be is no reason to have the wrong position."""
    order = limit(bench)
    bench.broker.fill(order, 1)
    fill = bench.broker.executions[-1]
    bench.broker.emit(_again(fill, "f2", quantity=D("0.5"), cumulative_quantity=D("1.5")))
    assert held(bench) == D("1.5")
    bench.check()


def _again(fill, name, **changes):
    fields = {field: getattr(fill, field) for field in FillReport.__struct_fields__}
    return FillReport(**{**fields, "fill_id": name, **changes})


def test_a_venue_that_lists_no_fills_has_them_inferred():
    """From cumulative quantity and average price, marked, and never at no price."""
    bench = ready(own_fills=False)
    order = limit(bench)
    unseen(bench, order)
    bench.broker.hidden.add("f1")
    bench.broker.average = D("98.5")
    bench.broker.emit(Canceled(client_order_id=order.client_order_id, filled_quantity=D(1)))
    bench.advance("1s")
    assert order.status is OrderStatus.FILLED
    (filled,) = bench.of(f.Filled)
    assert (filled.inferred, filled.fill.price, held(bench)) == (True, D("98.5"), 1)
    bench.check()


def test_the_true_fill_takes_the_place_of_an_inferred_one():
    """It is booked once, at its own price and fee; what is still missing stays inferred."""
    bench = ready(own_fills=False)
    order = limit(bench, quantity=2)
    first = unseen(bench, order, "0.5")
    unseen(bench, order, "1.5")
    bench.broker.hidden |= {"f1", "f2"}
    bench.broker.average = D("98.5")
    bench.broker.emit(Canceled(client_order_id=order.client_order_id, filled_quantity=D(2)))
    bench.advance("1s")
    assert held(bench) == 2
    bench.broker.emit(first)
    assert held(bench) == 2
    booked = {fill.fill_id for fill in order.inferred}
    assert len(booked) == 1
    assert abs(order.average_price - D("98.5")) < D("1e-9")
    bench.check()


def test_without_a_price_nothing_is_inferred_and_nothing_grows():
    """A position at an invented price would be worse than an alarm."""
    bench = ready(own_fills=False)
    order = limit(bench)
    unseen(bench, order)
    bench.broker.hidden.add("f1")
    bench.broker.emit(Canceled(client_order_id=order.client_order_id, filled_quantity=D(1)))
    bench.advance("10s")
    assert held(bench) == 0
    assert f"instrument:{bench.instrument}" in bench.state.lowered
    assert not order.closed


# --- after a start ----------------------------------------------------------------------------------------------


def test_nothing_new_is_sent_until_the_start_has_asked(bench):
    """An account that cannot be asked is recovering: orders are denied, cancels go out."""
    order = limit(bench)
    bench.broker.deaf = True
    bench.restart()
    bench.price(100)
    bench.advance("1s")
    denied = limit(bench)
    assert denied.status is OrderStatus.DENIED
    assert "is not known yet" in denied.reasons[0]
    bench.broker.deaf = False
    bench.advance("20s")
    assert limit(bench).status is OrderStatus.ACCEPTED
    assert bench.of(f.AccountRecovered)[-1].unresolved == ()
    assert bench.state.orders[order.client_order_id].status is OrderStatus.ACCEPTED
    bench.check()


def test_what_is_still_in_doubt_after_the_start_only_lets_reduce(bench):
    """Half a minute is enough to wait; what it leaves open is not traded over."""
    order = limit(bench, lose())
    bench.broker._orders.pop(order.client_order_id)
    order_at_venue = limit(bench)
    bench.broker._orders.pop(order_at_venue.client_order_id)
    bench.restart()
    bench.price(100)
    bench.advance("31s")
    assert bench.of(f.AccountRecovered)[-1].unresolved == (order_at_venue.client_order_id,)
    denied = limit(bench)
    assert denied.status is OrderStatus.DENIED
    assert "in doubt since the start" in denied.reasons[0]
    bench.check()


def test_fills_of_the_time_between_are_booked_once(bench):
    """The list reaches back beyond the last one, and what is known changes nothing."""
    order = limit(bench, quantity=3)
    bench.broker.fill(order, 1)
    bench.clock.advance("50s")
    for _ in range(3):
        unseen(bench, order, "0.5")
        bench.restart()
        bench.price(100)
        bench.advance("1s")
    assert held(bench) == D("2.5")
    bench.check()


# --- attempts ---------------------------------------------------------------------------------------------------


def test_a_stop_that_is_placed_again_is_the_next_attempt_at_the_same_intent():
    """Its id says so, and no intent is counted twice."""
    stops = MARKET_AND_LIMIT.order_types | {"stop"}
    bench = ready(exact=True, order_types=frozenset(stops))
    bench.do(lambda s: s.buy(1, limit_price=99, stop_loss=90))
    bench.broker.answers.append(reject())
    entry = next(iter(bench.state.open.values()))
    bench.broker.fill(entry)
    bench.advance("2s")
    first, second = [s.client_order_id for s in bench.broker.submits if s.intent.exits]
    assert (first[:-2], first[-2:], second[-2:]) == (second[:-2], "01", "02")
    assert bench.state.intents == 2
    bench.check()


# --- what venues do besides -------------------------------------------------------------------------------------


def test_a_fill_that_was_taken_back_before_it_was_told_is_not_booked(bench):
    """The order in which the two arrive makes no difference."""
    order = limit(bench)
    fill = bench.broker.executed(order.client_order_id)
    fields = {name: getattr(fill, name) for name in FillVoided.__struct_fields__}
    bench.broker.emit(FillVoided(**fields))
    bench.broker.emit(fill)
    assert held(bench) == 0
    bench.restart()
    bench.broker.emit(fill)
    assert held(bench) == 0
    bench.check()


def test_more_than_was_ordered_is_said_aloud_and_takes_no_new_risk(bench):
    """Booked, noted, and reduce-only until a person has looked."""
    order = limit(bench)
    fill = bench.broker.fill(order, 1)
    bench.broker.emit(_again(fill, "f2", quantity=D("0.5"), cumulative_quantity=D("1.5")))
    assert held(bench) == D("1.5")
    assert bench.state.lowered == {"account:fake": TradingState.REDUCE_ONLY}
    assert any("more than the 1 ordered" in text for text in notes(bench))


def test_parts_that_have_two_ids_each_are_all_booked_once(bench):
    """The order's total after each tells them apart, whichever way they come."""
    order = limit(bench, quantity=3)
    parts = [unseen(bench, order) for _ in range(3)]
    listed = [_again(part, f"rest-{part.fill_id}") for part in parts]
    for report in (parts[2], listed[2], listed[0], parts[0], listed[1], parts[1]):
        bench.broker.emit(report)
    assert held(bench) == 3
    assert len(bench.of(f.Filled)) == 3
    bench.check()


def test_an_order_that_left_the_book_unheard_is_looked_up(bench):
    """A snapshot without it is a hint, its look-up the evidence."""
    bench = ready(watch_ns=15_000_000_000)
    order = limit(bench)
    bench.broker.working.pop(order.client_order_id)
    bench.advance("1m")
    assert order.status is OrderStatus.CANCELED
    bench.check()


def test_ids_of_a_tail_that_the_journal_lost_are_not_taken_for_known(bench):
    """A fill of an order that no journal knows is booked as external, however many orders there have been since."""
    limit(bench)
    bench.restart()
    bench.price(100)
    bench.advance("1s")
    for _ in range(5):
        limit(bench)
    lost = f"0001{1:04x}{3:022x}01"  # the third order of the first start, of which the journal has one
    bench.broker.emit(
        FillReport(
            client_order_id=lost, fill_id="z1", instrument=bench.instrument, side=Side.BUY, quantity=D(2),
            price=D(100), fee=D(0), fee_currency="USDT",
        )
    )  # fmt: skip
    assert held(bench) == 2
    bench.check()


def test_after_so_many_attempts_an_intent_becomes_a_new_one():
    """Its id has no room for more."""
    stops = MARKET_AND_LIMIT.order_types | {"stop"}
    bench = ready(exact=True, order_types=frozenset(stops))
    order = limit(bench)
    for _ in range(300):
        bench.kernel.turn(partial(bench.kernel.desk.again, order, D(1)))
        order = next(reversed(bench.state.orders.values()))
    names = [submit.client_order_id for submit in bench.broker.submits]
    assert len(names) == len(set(names)) == 301
    assert bench.state.intents == 2


def test_fills_without_a_total_are_not_measured_by_an_old_one(bench):
    """A look-up tells what was filled when it was asked; what fills later is new."""
    order = limit(bench, quantity=10)
    first = unseen(bench, order, 3)
    bench.broker.emit(_again(first, first.fill_id, cumulative_quantity=None))
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("5s")
    for size in (2, 5):
        fill = unseen(bench, order, size)
        bench.broker.emit(_again(fill, fill.fill_id, cumulative_quantity=None))
        bench.advance("1s")
    assert held(bench) == 10
    assert order.status is OrderStatus.FILLED
    bench.check()


def test_a_copy_without_a_total_is_found_out_by_a_later_one(bench):
    """What the venue told after the execution contains it: under another id it is the same."""
    order = limit(bench, quantity=10)
    first = unseen(bench, order, 3)
    bench.broker.emit(_again(first, first.fill_id, cumulative_quantity=None))
    bench.advance("5s")
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("5s")
    bench.broker.emit(_again(first, "copy", cumulative_quantity=None))
    assert held(bench) == 3


def test_what_others_did_long_ago_is_booked_once_however_much_it_was(bench):
    """An old order has lists of fills reach far back; strangers' fills of that time are known."""
    limit(bench, quantity=10)
    for number in range(3_000):
        bench.broker.executions.append(
            FillReport(
                client_order_id="", fill_id=f"z{number}", instrument=bench.instrument, side=Side.BUY,
                quantity=D(1), price=D(100), fee=D(0), fee_currency="USDT", event_ns=bench.clock.now(),
            )
        )  # fmt: skip
    bench.advance("50s")
    assert held(bench) == 3_000
    for epoch in range(2, 5):
        bench.advance("10m")
        bench.broker.emit(StreamUp(epoch=epoch))
    bench.advance("1m")
    assert held(bench) == 3_000


def test_a_refusal_of_what_was_taken_is_looked_up(bench):
    """A late answer of another layer does not end an order that works."""
    order = limit(bench, quantity=2)
    bench.broker.fill(order, 1)
    bench.broker.emit(Rejected(client_order_id=order.client_order_id, code="late"))
    assert reserved(bench) == 1
    bench.advance("1s")
    assert order.status is OrderStatus.PARTIALLY_FILLED


def test_what_a_person_gave_up_is_adopted_when_it_appears_after_all(bench):
    """Also where the venue had acknowledged it once."""
    order = limit(bench)
    standing = bench.broker._orders.pop(order.client_order_id)
    bench.broker.working.clear()
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("1s")
    assert order.status is OrderStatus.UNKNOWN
    bench.kernel.command("resolve", "ann", "not on its page", order=order.client_order_id)
    assert order.closed
    bench.broker._orders[order.client_order_id] = standing
    bench.broker.cancels = silence()
    bench.broker.emit(Accepted(client_order_id=order.client_order_id, broker_order_id="b"))
    assert order.status is OrderStatus.PENDING_CANCEL
    assert reserved(bench) == 1
    bench.check()


# --- questions that fail ----------------------------------------------------------------------------------------


def asking(bench):
    """When questions are asked from now on, in seconds."""
    began, times, inquire = bench.clock.now(), [], bench.kernel.resolver.inquire

    def note(account, inquiry):
        times.append((bench.clock.now() - began) / 1e9)
        inquire(account, inquiry)

    bench.kernel.resolver.inquire = note
    return times


def test_a_question_that_failed_is_asked_again_after_pauses_that_grow(bench):
    """From a second on, twice as long each time and a little more, never longer than an answer is waited for."""
    times = asking(bench)
    bench.broker.deaf = True
    limit(bench, lose())
    bench.advance("90s")
    pauses = [later - before for before, later in pairwise(times)]
    for pause, base in zip(pauses, (1, 2, 4, 8, 15, 15), strict=False):
        assert min(base, 15) <= pause <= min(base * 1.5, 15) + 0.001
    assert len(pauses) >= 6
    bench.broker.deaf = False
    before = len(times)
    bench.advance("15s")
    assert len(times) > before
    assert [order.status for order in bench.state.open.values()] == [OrderStatus.ACCEPTED]
    assert all(fact.report.reason for fact in bench.of(f.ReportReceived) if type(fact.report) is Unanswered)
    bench.check()


def test_an_answer_ends_the_pauses_and_so_does_a_reconnect(bench):
    """The next failure begins with a second again; a stream that is back is reason enough to ask at once."""
    bench.broker.deaf = True
    limit(bench, lose())
    bench.advance("8s")
    times = asking(bench)
    bench.broker.emit(StreamDown(reason="lost"))
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("2s")
    assert times[0] == 0
    assert times[1] <= 1.5


def test_a_failure_of_a_question_that_another_has_replaced_changes_nothing(bench):
    """It came late: the one that is being waited for was asked since."""
    limit(bench, lose())
    times = asking(bench)
    bench.advance("1m")
    before = len(times)
    bench.kernel.report("fake", Unanswered(asked_ns=1))
    bench.advance("100ms")
    assert len(times) == before


def test_fills_without_totals_are_told_apart_by_their_ids():
    """Told twice, listed again, missed and found: each is booked once, whatever its order has filled in all."""
    bench = Bench(broker=Venue())
    bench.broker.cumulative = False
    bench.price(100)
    order = limit(bench, quantity=3)
    told = bench.broker.fill(order, "1")
    assert told.cumulative_quantity is None
    bench.broker.emit(told)
    unseen(bench, order)
    bench.restart()
    bench.price(100)
    bench.advance("2m")
    assert (held(bench), bench.state.orders[order.client_order_id].filled_quantity) == (2, 2)
    bench.broker.emit(told)
    bench.broker.fill(bench.state.orders[order.client_order_id])
    assert bench.state.orders[order.client_order_id].status is OrderStatus.FILLED
    assert (held(bench), reserved(bench)) == (3, 0)
    bench.check()


def test_more_fills_of_others_than_orders_are_remembered_are_booked_once():
    """What an account's first books contain is not booked again, and what came later is, once: a crowd of each."""
    venue = Venue()
    side = {True: Side.BUY, False: Side.SELL}

    def trade(number, clock_ns):
        venue.executions.append(
            FillReport(
                client_order_id="", fill_id=f"x{number}", instrument=venue.listed[0].id, side=side[number % 3 > 0],
                quantity=D(1), price=D(100), fee=D(0), fee_currency="USDT", event_ns=clock_ns,
            )
        )  # fmt: skip

    for number in range(1_200):
        trade(number, START_NS)
    bench = Bench(broker=venue)
    bench.price(100)
    bench.advance("50s")
    assert held(bench) == 0
    for number in range(1_200, 2_400):
        trade(number, bench.clock.now())
    bench.advance("2m")
    assert held(bench) == 400
    bench.restart()
    bench.price(100)
    bench.advance("2m")
    assert held(bench) == 400
    bench.check()


def test_a_fill_of_others_that_is_taken_back_is_gone_once(bench):
    """Also one of an order that the journal lost: it was booked as nobody's, and told again it stays taken back."""
    told = FillReport(
        client_order_id="", fill_id="m1", instrument=bench.instrument, side=Side.BUY, quantity=D(2), price=D(100),
        fee=D(1), fee_currency="USDT",
    )  # fmt: skip
    void = FillVoided(
        client_order_id="", fill_id="m1", instrument=bench.instrument, side=Side.BUY, quantity=D(2), price=D(100),
        fee=D(1), fee_currency="USDT",
    )  # fmt: skip
    for report in (void, told, void, void, told):
        bench.broker.emit(report)
    assert held(bench) == 0
    assert bench.state.accounts["fake"].balances == {"USDT": D(100_000)}
    bench.check()


# --- look-ups that lag, and stand-ins ---------------------------------------------------------------------------


def test_a_fill_that_a_lagging_look_up_had_not_seen_yet_is_booked():
    """A sum contains what was done before the venue's lag, and not all that was done before the question."""
    bench = ready(query_lag_ns=2 * SECOND)
    bench.broker.cumulative = False
    order = limit(bench, quantity=2)
    bench.broker.fill(order, 1)
    bench.advance("10s")
    before = finish(bench.broker.lookup([order.client_order_id]))
    late = unseen(bench, order)
    bench.advance("1s")
    bench.kernel.report("fake", LookedUp(asked_ns=bench.clock.now(), orders=before))
    bench.broker.emit(late)
    assert (held(bench), order.status) == (2, OrderStatus.FILLED)
    bench.check()


def test_what_was_given_up_while_it_was_looked_up_is_adopted_and_canceled(bench):
    """The answer is evidence, whoever has vouched for the opposite meanwhile."""
    order = limit(bench, silence())
    found = finish(bench.broker.lookup([order.client_order_id]))
    bench.kernel.turn(lambda: bench.kernel.reports.give_up(order, "ann says so"))
    assert order.status is OrderStatus.REJECTED
    bench.kernel.report("fake", LookedUp(asked_ns=bench.clock.now(), orders=found))
    bench.advance("1s")
    assert order.status is OrderStatus.CANCELED
    assert not bench.broker.working
    bench.check()


def test_a_cancel_that_was_not_sent_says_nothing_about_its_order(bench):
    """The promise may be about the cancel alone: the order is looked up, and taken back."""
    bench.broker.cancels = lambda _, cancel: (NotSent(client_order_id=cancel.client_order_id, reason="late"),)
    order = limit(bench, silence())
    bench.do(lambda s: s.cancel(order))
    assert not order.closed
    bench.broker.cancels = obey
    bench.advance("1s")
    assert order.status is OrderStatus.CANCELED
    assert not bench.broker.working
    bench.check()


def test_what_stood_in_for_a_fill_leaves_an_orders_successor_its_quantity():
    """The new order waits with what the old one has not filled: the fill itself takes nothing away again."""
    bench = ready(own_fills=False)
    bench.broker.cumulative = False
    bench.broker.cancels = silence()
    order = limit(bench, quantity=4)
    new = bench.do(lambda s: s.replace(order, limit_price=98))
    reports = [unseen(bench, order, quantity) for quantity in (1, 2)]
    fills = bench.kernel.reports.fills
    fills.tell(order, D(2), bench.clock.now())
    bench.kernel.turn(lambda: fills.infer(order, D(99)))
    assert (order.filled_quantity, new.quantity) == (2, 2)
    bench.broker.emit(reports[0])
    assert (order.filled_quantity, new.quantity) == (2, 2)
    bench.broker.emit(reports[1])
    assert (order.filled_quantity, new.quantity) == (3, 1)
    bench.check()
