"""Orders replaced in place at the simulated venue, its dead-man switch, and its ledger file after both."""

from decimal import Decimal

import attrs
import pytest

from fairlead.ports import ArmDeadMan, Replace
from fairlead_sim import SimulatedBroker
from fairlead_sim.faults import FaultPlan
from fairlead_sim.profile import full_profile
from fairlead_sim.store import LedgerFile

D = Decimal
NEVER = 10**19
SECOND = 1_000_000_000


def replace(made, name, quantity, limit=None, stop=None, attempt=1, deadline=NEVER):
    prices = (None if limit is None else D(limit), None if stop is None else D(stop))
    made.broker.send(Replace(name, "", made.instrument.id, attempt, D(quantity), *prices, deadline))
    return made.reports[-1]


@pytest.fixture
def made(bench):
    made = bench()
    made.quote(99, 101)
    return made


def test_new_terms_work_at_once(made):
    """Price and total change, the id and what has filled stay."""
    name = made.limit("buy", 2, 98)
    made.quote(97, 98, ask_size=0.5)
    assert made.trades == [("buy", "0.5", "98")]
    answer = replace(made, name, 3, 97)
    assert (type(answer).__name__, answer.attempt) == ("Replaced", 1)
    shown = made.lookup(name)[name]
    assert (shown.quantity, shown.filled_quantity, shown.limit_price) == (3, D("0.5"), 97)
    made.quote(96, 97)
    assert made.trades[-1] == ("buy", "2.5", "97")


def test_a_price_beyond_the_market_trades_at_once(made):
    """It meets the market as a new order does."""
    name = made.limit("buy", 1, 98)
    replace(made, name, 1, 101)
    assert made.trades == [("buy", "1", "101")]


def test_a_smaller_order_keeps_its_place_in_the_queue_and_a_larger_one_does_not(made):
    """As venues do it."""
    first, second = made.limit("buy", 2, 99), made.limit("buy", 2, 99)
    replace(made, first, 1, 99)
    assert made.desk.orders[first].sequence < made.desk.orders[second].sequence
    replace(made, first, 2, 99)
    assert made.desk.orders[first].sequence > made.desk.orders[second].sequence


def test_a_stop_moves(made):
    """It is set off at its new price."""
    made.buy(1)
    name = made.stop("sell", 1, 90, reduce_only=True)
    replace(made, name, 1, stop=95)
    made.quote(94, 96)
    assert made.trades[-1] == ("sell", "1", "94")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"quantity": "0.5", "limit": 98}, "filled"),
        ({"quantity": "1.0005", "limit": 98}, "bad_lot"),
        ({"quantity": 2, "limit": "98.05"}, "bad_tick"),
        ({"quantity": 100_000, "limit": 98}, "insufficient_margin"),
        ({"quantity": 2, "limit": 97, "deadline": -1}, "expired"),
    ],
)
def test_what_is_refused_leaves_the_order_as_it_was(made, terms, code):
    """Each reason has a code."""
    name = made.limit("buy", 2, 98)
    made.quote(97, 98, ask_size=0.5)
    if code == "expired":
        made.broker._way.send(Replace(name, "", made.instrument.id, 1, D(2), D(97), None, -1))
        answer = made.reports[-1]
    else:
        answer = replace(made, name, **terms)
    assert (type(answer).__name__, answer.code) == ("ReplaceRejected", code)
    shown = made.lookup(name)[name]
    assert (shown.open, shown.quantity, shown.limit_price) == (True, 2, 98)
    assert made.desk.orders[name].remaining == D("1.5")


def test_what_has_ended_or_never_was_is_not_replaced(made):
    """Too late, and unknown, are two answers."""
    name = made.limit("buy", 1, 101)
    assert replace(made, name, 2, 98).code == "too_late"
    assert replace(made, "nobody", 2, 98).code == "unknown_order"
    market = made.limit("buy", 1, 98, group="g")
    assert replace(made, market, 2, 97).code == "linked"


def test_own_funds_are_not_needed_twice(bench):
    """What the order had reserved is there for its new terms."""
    made = bench("1_000 USDT", symbol="BTC/USDT")
    made.quote(99, 101)
    name = made.limit("buy", 9, 99)
    assert type(replace(made, name, 9, 98)).__name__ == "Replaced"
    assert replace(made, name, 11, 98).code == "insufficient_funds"


def test_a_venue_that_renames_says_what_of_the_order_ended(bench):
    """The former id is told of as canceled, and a later end names the new one."""
    profile = attrs.evolve(full_profile("sim", "USDT"), replace_renames=True)
    made = bench(profile=profile)
    made.quote(99, 101)
    name = made.limit("buy", 1, 98)
    former = made.reports[-1].broker_order_id
    replace(made, name, 1, 97)
    changed, ended = made.reports[-2:]
    assert changed.broker_order_id != former == ended.broker_order_id
    made.cancel(name)
    assert made.reports[-1].broker_order_id == changed.broker_order_id


def test_its_books_are_the_same_after_a_restart(bench, tmp_path):
    """The ledger file has the new terms."""
    made = bench()
    LedgerFile(tmp_path / "books", made.desk)
    made.quote(99, 101)
    name = made.limit("buy", 2, 98)
    made.quote(97, 98, ask_size=0.5)
    replace(made, name, 3, 97)
    again = bench()
    LedgerFile(tmp_path / "books", again.desk)
    assert again.lookup(name) == made.lookup(name)
    assert again.desk.orders[name].remaining == D("2.5")
    assert again.desk.orders[name].limit == 97


@pytest.mark.parametrize(
    ("plan", "last", "price"),
    [
        ("lose@2", "OutcomeUnknown", 98),
        ("lose_answer@2", "OutcomeUnknown", 97),
        ("reject@2", "ReplaceRejected", 98),
    ],
)
def test_faults_on_the_way(bench, plan, last, price):
    """A lost request, a lost answer and a refusal on the way."""
    made = bench(broker=SimulatedBroker("10_000 USDT", faults=FaultPlan.parse(plan)))
    made.quote(99, 101)
    name = made.limit("buy", 1, 98)
    replace(made, name, 1, 97)
    made.clock.advance(10 * SECOND)
    assert made.kinds[-1] == last
    assert made.lookup(name)[name].limit_price == price


# --- the dead-man switch --------------------------------------------------------------------------------------------


def arm(made, seconds):
    made.broker.send(ArmDeadMan(seconds * SECOND, (), NEVER))
    return made.reports[-1].until_ns


def test_the_switch_cancels_everything_when_it_is_not_heard_of(made):
    """It says so, and then each order ends by itself."""
    name, stop = made.limit("buy", 1, 98), made.stop("buy", 1, 120)
    assert arm(made, 5) == made.clock.time + 5 * SECOND
    made.clock.advance(4 * SECOND)
    arm(made, 5)
    made.clock.advance(8 * SECOND)
    assert made.lookup(name)[name].open
    made.clock.advance(9 * SECOND)
    assert made.kinds[-3:] == ["DeadManFired", "Canceled", "Canceled"]
    assert not made.lookup(stop)[stop].open


def test_the_switch_can_be_called_off(made):
    """Zero disarms it."""
    name = made.limit("buy", 1, 98)
    arm(made, 5)
    assert arm(made, 0) == 0
    made.clock.advance(60 * SECOND)
    assert made.lookup(name)[name].open
