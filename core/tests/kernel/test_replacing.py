"""Orders replaced in place: one request, an answer or evidence, and never more filled than was ordered."""

import random
from decimal import Decimal

import attrs
import msgspec
import pytest

from fairlead import ConnectivityError, OrderStatus, Side, TradingState
from fairlead import facts as f
from fairlead._models.reports import LookedUp
from fairlead.ports import (
    Canceled,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    RateLimit,
    Replaced,
    ReplaceRejected,
    StreamDown,
    StreamUp,
    Trip,
)
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, silence
from fairlead.testing.bench import finish

D = Decimal
LIMITS = frozenset({"limit"})
HERE = attrs.evolve(MARKET_AND_LIMIT, replaces=LIMITS)
REMOTE = attrs.evolve(HERE, environment="testnet", exact=False, watch_ns=0)
RENAMES = attrs.evolve(REMOTE, replace_renames=True)


class Venue(FakeBroker):
    """A venue that can be deaf to questions."""

    deaf = False

    async def lookup(self, client_order_ids):
        if self.deaf:
            raise ConnectivityError("no answer")
        return await super().lookup(client_order_ids)

    async def fills(self, since_ns):
        if self.deaf:
            raise ConnectivityError("no answer")
        return await super().fills(since_ns)


def ready(profile=HERE, **more):
    made = Bench(broker=Venue(profile=profile), **more)
    made.price(100)
    return made


@pytest.fixture(params=[HERE, REMOTE, RENAMES], ids=["here", "remote", "renames"])
def bench(request):
    made = ready(request.param)
    yield made
    made.check()


def limit(bench, quantity=1, price=99, **options):
    return bench.do(lambda s: s.buy(quantity, limit_price=price, **options))


def replace(bench, order, **terms):
    return bench.do(lambda s: s.replace(order, **terms))


def reserved(bench, side=Side.BUY):
    return bench.state.working("fake", bench.instrument, side)


def arrives_unheard(broker, command):
    """The order is changed, and the answer is lost."""
    broker.replaced(command)
    yield OutcomeUnknown(client_order_id=command.client_order_id, reason="no answer came")


def never_arrives(broker, command):
    """The request is lost, and nobody knows."""
    yield OutcomeUnknown(client_order_id=command.client_order_id, reason="no answer came")


# --- one request ------------------------------------------------------------------------------------------------


def test_an_order_is_changed_by_one_request_and_stays_the_same_order(bench):
    """Nothing is canceled, and its id, its fills and its strategy stay."""
    order = limit(bench)
    bench.broker.fill(order, "0.25")
    assert replace(bench, order, quantity=2, limit_price=98) is order
    assert (order.status, order.quantity, order.limit_price) == (OrderStatus.PARTIALLY_FILLED, 2, 98)
    assert (order.intent.quantity, order.intent.limit_price) == (2, 98)
    assert reserved(bench) == D("1.75")
    [command] = bench.broker.replacing
    assert (command.attempt, command.quantity, command.limit_price) == (1, 2, 98)
    assert not bench.broker.canceling
    assert len(bench.broker.submits) == 1


def test_the_request_is_written_down_before_it_leaves(bench):
    """With its attempt and terms, so that a restart knows what may have been sent."""
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, limit_price=98)
    asked = bench.of(f.ReplaceRequested)[-1]
    assert (asked.attempt, asked.quantity, asked.limit_price) == (1, 1, 98)
    assert order.status is OrderStatus.PENDING_REPLACE


@pytest.mark.parametrize(("wanted", "most"), [("3", "3"), ("0.5", "1")])
def test_the_larger_of_both_is_reserved_until_it_is_known_which_it_is(bench, wanted, most):
    """Either may fill until the venue has answered."""
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity=D(wanted))
    assert reserved(bench) == order.quantity == D(most)
    bench.broker.emit(bench.broker.replaced(bench.broker.replacing[-1]))
    assert reserved(bench) == order.quantity == D(wanted)


def test_terms_as_they_are_ask_the_venue_nothing(bench):
    """There is nothing to change."""
    order = limit(bench)
    assert replace(bench, order, limit_price=99) is order
    assert not bench.broker.replacing


def test_what_cannot_be_changed_in_place_is_canceled_first():
    """A type that the venue cannot change, an order without an answer, and one that is being changed already."""
    bench = ready(attrs.evolve(EVERYTHING, replaces=LIMITS))
    stop = bench.do(lambda s: s.buy(1, stop_price=120))
    assert replace(bench, stop, stop_price=121) is not stop
    bench.broker.answers.append(silence())
    unanswered = limit(bench, price=98)
    assert replace(bench, unanswered, limit_price=97) is not unanswered
    bench.broker.replaces = silence()
    order = limit(bench, price=95)
    assert replace(bench, order, limit_price=94) is order
    again = replace(bench, order, limit_price=93)
    assert again is not order
    assert (order.status, again.status) == (OrderStatus.CANCELED, OrderStatus.ACCEPTED)
    assert again.limit_price == 93
    bench.check()


# --- the gate ---------------------------------------------------------------------------------------------------


def test_a_replacement_that_the_gate_refuses_leaves_the_order_as_it_was():
    """What was wanted is denied, with its reasons, and nothing is sent."""
    bench = ready()
    order = limit(bench)
    denied = replace(bench, order, quantity=1_000_000)
    assert denied.denied
    assert "margin" in denied.reasons[0]
    assert (order.status, order.quantity, reserved(bench)) == (OrderStatus.ACCEPTED, 1, 1)
    assert not bench.broker.replacing


def test_what_an_order_had_taken_already_is_not_counted_twice():
    """An order as large as the account can carry may change its price."""
    bench = ready()
    order = limit(bench, quantity=900)
    assert replace(bench, order, limit_price=98) is order
    assert order.limit_price == 98


def test_breakers_judge_the_reach_of_a_replacement_without_what_it_replaces():
    """They see what there can be of it at the most."""
    reaches = []

    class Reach:
        name, wants = "Reach", ()

        def check(self, intent, view):
            reaches.append(view.reach(intent.account, intent.instrument, None, intent)[0])
            if reaches[-1] > 2:
                return Trip("too long")
            return None

        def watch(self, item, view):
            return None

    bench = ready(breakers=[Reach()])
    order = limit(bench)
    replace(bench, order, quantity=2)
    assert replace(bench, order, quantity=3).denied
    assert reaches == [1, 2, 3]
    assert order.quantity == 2


def test_while_trading_is_reduced_an_order_may_not_grow():
    """A replacement passes what every order passes."""
    bench = ready()
    order = limit(bench)
    bench.kernel.command("halt", "test", "so it is")
    assert replace(bench, order, quantity=2).denied
    assert bench.state.trading(order.intent)[0] is TradingState.HALTED


def test_a_replacement_is_withdrawn_when_trading_is_lowered_in_the_same_turn():
    """It is not sent, and the order is as it was."""
    bench = ready()
    order = limit(bench)

    def both(strategy):
        strategy.replace(order, limit_price=98)
        bench.kernel.recorder.record(
            f.StateChanged, scope="engine", state=TradingState.HALTED, reason="now", who="test"
        )

    bench.do(both)
    assert not bench.broker.replacing
    assert (order.status, order.limit_price, order.replacing) == (OrderStatus.ACCEPTED, 99, None)
    assert bench.of(f.ReplaceRefused)[-1].code == "not_sent"
    bench.check()


def test_one_does_not_cross_an_own_order_on_its_way_to_another_price():
    """While it is not known where it stands, it stands at both prices."""
    bench = ready(REMOTE)
    bench.broker.replaces = silence()
    order = limit(bench, price=95)
    replace(bench, order, limit_price=99)
    sell = bench.do(lambda s: s.sell(1, limit_price=98))
    assert sell.denied
    assert any("would cross your own buy" in reason for reason in sell.reasons)


def test_a_replacement_takes_room_in_the_rate_limits_of_its_venue():
    """It weighs what an order weighs; without room it is denied, and the order stays."""
    limits = (RateLimit("orders", weight=3, window_ns=10_000_000_000, reserve=1),)
    bench = ready(attrs.evolve(HERE, rate_limits=limits))
    order = limit(bench)
    assert replace(bench, order, limit_price=98) is order
    assert replace(bench, order, limit_price=97).denied
    assert order.limit_price == 98


# --- fills and cancels on the way ---------------------------------------------------------------------------------


def test_a_fill_during_a_replacement_counts_into_the_new_total(bench):
    """The quantity is a total for the venue as well: nothing fills on top."""
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity="0.6")
    bench.broker.fill(order, "0.5")
    assert order.status is OrderStatus.PENDING_REPLACE
    bench.broker.emit(bench.broker.replaced(bench.broker.replacing[-1]))
    assert (order.status, reserved(bench)) == (OrderStatus.PARTIALLY_FILLED, D("0.1"))
    bench.broker.fill(order)
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, D("0.6"))


def test_an_order_that_fills_before_its_replacement_ends_filled(bench):
    """Too late: what was ordered has filled, and what was wanted besides comes to nothing."""
    order = limit(bench)
    bench.broker.replaces = silence()
    replace(bench, order, quantity=2)
    bench.broker.fill(order)
    assert order.status is OrderStatus.PENDING_REPLACE, "it may have been changed before"
    bench.broker.emit(bench.broker.replaced(bench.broker.replacing[-1]))
    bench.advance("5s")
    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.FILLED, 1, 1)
    assert reserved(bench) == 0


def test_a_replacement_to_what_has_filled_meanwhile_ends_the_order(bench):
    """Its venue says that it is smaller now, and all of that is there already."""
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity="0.5")
    bench.broker.fill(order, "0.5")
    bench.broker.emit(Replaced(client_order_id=order.client_order_id, attempt=1))
    assert (order.status, order.quantity, reserved(bench)) == (OrderStatus.FILLED, D("0.5"), 0)


def test_what_fills_beyond_an_order_is_said_once_its_replacement_is_refused():
    """It could have been of the larger one; now it is known that nobody ordered it, and trading is lowered."""
    bench = ready()
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.broker.fill(order, "0.9")
    bench.broker.emit(
        msgspec.structs.replace(
            bench.broker.executions[-1], cumulative_quantity=D("1.1"), fill_id="more", quantity=D("0.2")
        )
    )
    assert not bench.of(f.StateChanged)
    bench.broker.emit(ReplaceRejected(client_order_id=order.client_order_id, attempt=1, code="too_late"))
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, D("1.1"))
    (said,) = bench.of(f.StateChanged)
    assert said.state is TradingState.REDUCE_ONLY
    assert "filled 1.1, more than the 1 ordered" in said.reason


def test_an_order_can_be_canceled_while_it_is_being_replaced(bench):
    """Whichever terms it has then, it goes."""
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.do(lambda s: s.cancel(order))
    bench.advance("30s")
    assert order.status is OrderStatus.CANCELED
    assert reserved(bench) == 0
    bench.broker.emit(Replaced(client_order_id=order.client_order_id, attempt=1))
    assert order.status is OrderStatus.CANCELED


def test_an_order_that_got_another_id_while_it_was_leaving_is_canceled_under_that():
    """The first cancel was of an id that is no more."""
    bench = ready(RENAMES)
    order = limit(bench)
    bench.broker.replaces = bench.broker.cancels = silence()
    replace(bench, order, limit_price=98)
    bench.do(lambda s: s.cancel(order))
    bench.broker.emit(bench.broker.replaced(bench.broker.replacing[-1]))
    first, second = bench.broker.canceling
    assert first.broker_order_id != second.broker_order_id == order.broker_order_id
    bench.check()


def test_the_end_of_a_former_id_is_not_the_end_of_the_order():
    """Where a venue cancels and places anew, what it cancels is not what works."""
    bench = ready(RENAMES)
    order = limit(bench)
    former = order.broker_order_id
    replace(bench, order, limit_price=98)
    assert order.former_ids == (former,)
    bench.broker.emit(
        Canceled(client_order_id=order.client_order_id, filled_quantity=D(0), broker_order_id=former)
    )
    assert order.status is OrderStatus.ACCEPTED
    bench.broker.cancel(order)
    assert order.status is OrderStatus.CANCELED
    bench.check()


def test_an_end_that_comes_before_the_new_id_is_looked_into():
    """The half that was canceled is told of first, and then the other."""
    bench = ready(RENAMES)
    order = limit(bench)
    bench.broker.replaces = silence()
    replace(bench, order, limit_price=98)
    answer = bench.broker.replaced(bench.broker.replacing[-1])
    bench.broker.emit(
        Canceled(
            client_order_id=order.client_order_id,
            filled_quantity=D(0),
            broker_order_id=order.broker_order_id,
        )
    )
    assert order.status is OrderStatus.PENDING_REPLACE
    bench.advance("10s")
    assert (order.status, order.limit_price) == (OrderStatus.ACCEPTED, 98)
    bench.broker.emit(answer)
    assert (order.status, order.limit_price) == (OrderStatus.ACCEPTED, 98)
    bench.check()


# --- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["too_late", "not_sent", "post_only"])
def test_a_refused_replacement_leaves_the_order_as_it_was(bench, code):
    """Its strategy is told, with the reason."""
    bench.broker.replaces = lambda _, command: [
        ReplaceRejected(
            client_order_id=command.client_order_id, attempt=command.attempt, code=code, reason="no"
        )
    ]
    order = limit(bench)
    bench.strategy.seen.clear()
    replace(bench, order, quantity=2, limit_price=98)
    bench.advance("3s")
    assert (order.status, order.quantity, order.limit_price) == (OrderStatus.ACCEPTED, 1, 99)
    assert reserved(bench) == 1
    assert order.reasons == ("not replaced: no",)
    assert (order.client_order_id, OrderStatus.ACCEPTED) in bench.strategy.seen


def test_a_refusal_that_proves_nothing_is_looked_into():
    """A code that is not definitive may come from anywhere on the way."""
    bench = ready(attrs.evolve(REMOTE, definitive_codes=frozenset({"no"})))

    def changed_all_the_same(broker, command):
        broker.replaced(command)
        yield ReplaceRejected(client_order_id=command.client_order_id, attempt=1, code="503")

    bench.broker.replaces = changed_all_the_same
    order = limit(bench)
    replace(bench, order, limit_price=98)
    assert order.status is OrderStatus.PENDING_REPLACE
    bench.advance("10s")
    assert (order.status, order.limit_price) == (OrderStatus.ACCEPTED, 98)
    bench.check()


def test_one_that_was_not_sent_changes_nothing(bench):
    """An adapter may say so as of any command."""
    bench.broker.replaces = lambda _, command: [
        NotSent(client_order_id=command.client_order_id, reason="there is no connection")
    ]
    order = limit(bench)
    replace(bench, order, quantity=2)
    assert (order.status, order.quantity) == (OrderStatus.ACCEPTED, 1)


def test_a_late_answer_to_an_earlier_attempt_says_nothing(bench):
    """Attempts are numbered, and each answer is of one."""
    order = limit(bench)
    replace(bench, order, limit_price=98)
    bench.broker.replaces = silence()
    replace(bench, order, limit_price=97)
    bench.broker.emit(Replaced(client_order_id=order.client_order_id, attempt=1))
    bench.broker.emit(ReplaceRejected(client_order_id=order.client_order_id, attempt=1, code="late"))
    assert order.status is OrderStatus.PENDING_REPLACE
    bench.broker.emit(Replaced(client_order_id=order.client_order_id, attempt=2))
    assert (order.status, order.limit_price) == (OrderStatus.ACCEPTED, 97)


# --- in doubt -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [REMOTE, RENAMES], ids=["remote", "renames"])
@pytest.mark.parametrize(
    "terms", [{"quantity": 2}, {"limit_price": 98}, {"quantity": "0.5", "limit_price": 98}]
)
def test_a_lost_answer_is_found_by_what_the_venue_shows(profile, terms):
    """The new terms prove themselves."""
    bench = ready(profile)
    bench.broker.replaces = arrives_unheard
    order = limit(bench)
    replace(bench, order, **terms)
    assert order.status is OrderStatus.PENDING_REPLACE
    bench.advance("10s")
    assert order.status is OrderStatus.ACCEPTED
    assert order.quantity == D(str(terms.get("quantity", 1)))
    assert order.limit_price == terms.get("limit_price", 99)
    assert len(bench.broker.replacing) == 1
    bench.check()


def test_a_lost_request_counts_as_refused_when_it_can_arrive_no_more():
    """Before that the old terms prove nothing: it may be on its way."""
    bench = ready(REMOTE)
    bench.broker.replaces = never_arrives
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.advance("6s")
    assert (order.status, reserved(bench)) == (OrderStatus.PENDING_REPLACE, 2)
    bench.advance("10s")
    assert (order.status, order.quantity, reserved(bench)) == (OrderStatus.ACCEPTED, 1, 1)
    assert bench.of(f.ReplaceRefused)[-1].code == f.NOT_ACCEPTED
    bench.check()


def test_without_any_answer_the_venue_is_asked_after_a_while():
    """Silence is no answer."""
    bench = ready(REMOTE)
    bench.broker.replaces = silence()
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.advance("30s")
    assert (order.status, order.quantity) == (OrderStatus.ACCEPTED, 1)
    bench.check()


def test_where_no_bound_is_set_old_terms_never_prove_that_nothing_comes():
    """It stays reserved for, and a person is told."""
    bench = ready(attrs.evolve(REMOTE, validity_ns=None))
    bench.broker.replaces = never_arrives
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.advance("3m")
    assert (order.status, reserved(bench)) == (OrderStatus.PENDING_REPLACE, 2)
    assert any("has been in doubt" in note.text for note in bench.of(f.Noted))
    bench.check()


def test_one_that_counted_as_refused_and_was_changed_after_all_is_taken_over():
    """What the venue shows is what works."""
    bench = ready(REMOTE)
    bench.broker.replaces = never_arrives
    order = limit(bench)
    replace(bench, order, quantity=2)
    bench.advance("20s")
    assert order.quantity == 1
    bench.broker.replaced(bench.broker.replacing[-1])
    bench.broker.emit(StreamDown())
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("5s")
    assert (order.quantity, reserved(bench)) == (2, 2)
    bench.check()


class Lagging(Venue):
    """Its look-ups can show an order as it was a moment ago."""

    shown = None

    async def lookup(self, client_order_ids):
        found = await super().lookup(client_order_ids)
        return found if self.shown is None else dict.fromkeys(found, self.shown)


def lagging(order, **terms):
    """What a look-up shows of an order on these terms."""
    return OrderReport(
        client_order_id=order.client_order_id, broker_order_id=order.broker_order_id, instrument=order.instrument,
        open=True, filled_quantity=D(0), **terms,
    )  # fmt: skip


def test_a_look_up_that_lags_behind_a_replacement_changes_nothing():
    """It was replaced, and the venue's books say so; its look-ups say it a second later."""
    bench = Bench(broker=Lagging(profile=REMOTE))
    bench.price(100)
    order = limit(bench)
    bench.broker.shown = lagging(order, quantity=D(1), limit_price=D(99))
    replace(bench, order, quantity=2)
    assert order.quantity == 2
    bench.broker.emit(StreamDown())
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("1s")
    bench.broker.shown = None
    bench.advance("10s")
    assert (order.quantity, len(bench.of(f.OrderReplaced))) == (2, 1)
    bench.check()


def test_terms_that_nobody_here_asked_for_are_taken_over_when_ours_can_arrive_no_more():
    """Neither the old ones nor the new: once the request is valid no longer, what the venue shows is what works."""
    bench = Bench(broker=Lagging(profile=REMOTE))
    bench.price(100)
    order = limit(bench)
    bench.broker.replaces = never_arrives
    replace(bench, order, quantity=2)
    bench.broker.shown = lagging(order, quantity=D(3), limit_price=D(98))
    bench.advance("20s")
    assert (order.status, order.quantity, order.limit_price) == (OrderStatus.ACCEPTED, 3, 98)
    assert reserved(bench) == 3
    bench.check()


def test_a_venue_that_cannot_be_asked_leaves_it_open():
    """Errors prove nothing; the larger of both stays reserved."""
    bench = ready(REMOTE)
    bench.broker.replaces = arrives_unheard
    order = limit(bench)
    bench.broker.deaf = True
    replace(bench, order, quantity="0.5")
    bench.advance("30s")
    assert (order.status, reserved(bench)) == (OrderStatus.PENDING_REPLACE, 1)
    bench.broker.deaf = False
    bench.advance("60s")
    assert (order.status, reserved(bench)) == (OrderStatus.ACCEPTED, D("0.5"))
    bench.check()


@pytest.mark.parametrize("profile", [HERE, REMOTE, RENAMES], ids=["here", "remote", "renames"])
@pytest.mark.parametrize("arrived", [True, False])
def test_a_death_between_the_steps_is_resolved_at_the_next_start(profile, arrived):
    """The journal has the request: whether it arrived is found out, and it is not sent again."""
    bench = ready(profile)
    bench.broker.replaces = silence()
    order = limit(bench)
    bench.broker.fill(order, "0.25")
    replace(bench, order, quantity=2, limit_price=98)
    if arrived:
        bench.broker.replaced(bench.broker.replacing[-1])
    bench.restart()
    bench.price(100)
    bench.advance("30s")
    order = bench.state.orders[order.client_order_id]
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert (order.quantity, order.limit_price) == ((2, 98) if arrived else (1, 99))
    assert reserved(bench) == order.quantity - D("0.25")
    assert len(bench.broker.replacing) == 1
    bench.check()


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_no_more_fills_than_the_largest_that_was_ordered(seed):
    """Fills, lost requests, lost answers, cancels and deaths in any order: our books are the venue's in the end."""
    dice = random.Random(seed)
    bench = ready(dice.choice([HERE, REMOTE, RENAMES]))
    choices = [arrives_unheard, never_arrives, bench.broker.replaces]
    if not bench.broker.profile.exact:  # one in this process is never silent
        choices.append(silence())
    order = limit(bench, quantity=4)
    name, most = order.client_order_id, order.quantity
    for _ in range(25):
        order = bench.state.orders[name]
        bench.broker.replaces = dice.choice(choices)
        match dice.randrange(6):
            case 0 | 1 if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                wanted = D(dice.randint(1, 8)) / 2
                bench.do(
                    lambda s, o=order, q=wanted: s.replace(
                        o, quantity=q, limit_price=dice.choice([97, 98, 99])
                    )
                )
                if order.status is OrderStatus.PENDING_REPLACE or order.replacements:
                    most = max(most, wanted)
            case 2 if name in bench.broker.working:
                resting = bench.broker.working[name]
                bench.broker.fill(name, min(resting.left, D("0.5")))
            case 3:
                bench.restart()
                bench.price(100)
            case _:
                bench.advance(dice.choice(["1s", "4s", "20s"]))
        order = bench.state.orders[name]
        resting = bench.broker._orders[name]
        assert order.closed or reserved(bench) >= resting.left
        assert order.filled_quantity <= most
    bench.advance("3m")
    order, resting = bench.state.orders[name], bench.broker._orders[name]
    assert order.filled_quantity == resting.filled == bench.state.quantity("fake", bench.instrument)
    assert order.closed == (name not in bench.broker.working)
    if not order.closed:
        assert (order.quantity, order.limit_price) == (resting.quantity, resting.limit_price)
        assert reserved(bench) == resting.left
    assert not bench.state.lowered, "no overfill was seen"
    bench.check()


def test_an_acceptance_told_again_does_not_bring_the_former_id_back():
    """Cancels name the new one, and its end is the order's."""
    bench = Bench(broker=Venue(profile=RENAMES))
    bench.price(100)
    order = bench.do(lambda s: s.buy(2, limit_price=99))
    accepted = bench.broker.accepted(order.client_order_id)
    bench.do(lambda s: s.replace(order, limit_price=98))
    new = order.broker_order_id
    assert order.former_ids == (accepted.broker_order_id,)
    bench.broker.emit(accepted)
    assert (order.broker_order_id, order.former_ids) == (new, (accepted.broker_order_id,))
    bench.broker.emit(
        Canceled(client_order_id=order.client_order_id, broker_order_id=new, filled_quantity=D(0))
    )
    assert order.status is OrderStatus.CANCELED
    bench.check()


def test_a_stop_that_was_set_off_is_not_replaced_in_place():
    """What the venue has is a plain order without a stop price, which no check would take it for."""
    bench = Bench(broker=FakeBroker(profile=attrs.evolve(HERE, replaces=frozenset({"limit", "stop_limit"}))))
    bench.price(100)
    order = bench.do(lambda s: s.buy(2, stop_price=102, limit_price=101))
    bench.price(103)
    assert (order.status, order.triggered) == (OrderStatus.ACCEPTED, True)
    new = bench.do(lambda s: s.replace(order, limit_price=104))
    assert new is not order
    assert not bench.broker.replacing
    assert order.status is OrderStatus.CANCELED
    bench.check()


def test_a_look_up_that_lags_does_not_bring_the_former_terms_back():
    """Of what was so until a moment ago nothing follows: the larger order stays reserved for."""
    bench = Bench(broker=Venue(profile=REMOTE))
    bench.price(100)
    order = bench.do(lambda s: s.buy(2, limit_price=99))
    before = finish(bench.broker.lookup([order.client_order_id]))
    bench.advance("10s")
    bench.do(lambda s: s.replace(order, quantity=5))
    bench.advance("1s")
    bench.kernel.report("fake", LookedUp(asked_ns=bench.clock.now(), orders=before))
    assert (order.quantity, bench.state.working("fake", bench.instrument, Side.BUY)) == (5, 5)
    bench.advance("3s")
    bench.kernel.report("fake", LookedUp(asked_ns=bench.clock.now(), orders=before))
    assert order.quantity == 2, "it has been so for longer than it lags"
    bench.check()
