"""Limits: single orders that are too large."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import ConfigurationError, Money, OrderStatus
from fairlead_breakers import Limits

money = st.integers(0, 10**9).map(lambda cents: cents / 64)


def test_value_above_the_maximum_is_refused_with_both_figures(view, intent):
    """The reason names what the order is worth and what it may be; no state changes."""
    view.worth = 10_000.5
    trip = Limits(max_order_value="10_000 USDT").check(intent(), view)
    assert trip.reason == "order value 10,000.50 is above 10,000.00 USDT"
    assert trip.state is None


def test_value_at_the_maximum_passes(view, intent):
    """A limit is what may be reached."""
    view.worth = 10_000.0
    assert Limits(max_order_value=Money(Decimal(10_000), "USDT")).check(intent(), view) is None


def test_unknown_value_is_refused(view, intent):
    """Without a price or a rate an order has no value that could be fine."""
    view.worth = None
    trip = Limits(max_order_value="10_000 USDT").check(intent(), view)
    assert "value is unknown" in trip.reason


def test_value_that_is_no_number_is_refused(view, intent):
    """NaN is above every limit here, and so is a leverage made of it."""
    view.worth = view.after = float("nan")
    trip = Limits("10_000 USDT", 2).check(intent(), view)
    assert "order value nan" in trip.reason
    assert "leverage nan" in trip.reason


def test_limit_in_another_currency_is_refused_with_a_remedy(view, intent):
    """Amounts of two currencies are never compared."""
    view.home = "USD"
    trip = Limits(max_order_value="10_000 USDT").check(intent(), view)
    assert trip.reason == "max_order_value is in USDT: write it in the USD of paper"


def test_closing_by_hand_is_bounded_too(view, intent):
    """A reduce-only order that is too large is refused: close in parts."""
    view.worth, view.held = 20_000.0, {"s": Decimal(1)}
    assert Limits(max_order_value="10_000 USDT").check(intent("sell", reduce_only=True), view)


def test_protecting_exit_passes_whole(view, intent):
    """A stop-loss protects a position that has grown beyond what one order may buy."""
    view.worth, view.held = 20_000.0, {"s": Decimal(1)}
    exit_ = intent("sell", reduce_only=True, parent="entry")
    assert Limits(max_order_value="10_000 USDT").check(exit_, view) is None


def test_leverage_above_the_maximum_is_refused_with_both_figures(view, intent):
    """Leverage is the worst case of everything, this order included, over equity."""
    view.after = 250_000.0
    trip = Limits(max_leverage=2).check(intent(), view)
    assert trip.reason == "leverage 2.5 is above 2: exposure 250,000.00, equity 100,000.00"
    assert trip.state is None


def test_both_reasons_are_given(view, intent):
    """Who breaks two rules hears of two."""
    view.worth = view.after = 250_000.0
    trip = Limits("10_000 USDT", "2").check(intent(), view)
    assert "order value" in trip.reason
    assert "leverage" in trip.reason


@given(st.data())
def test_leverage_holds_exactly(make_view, intent, data):
    """Refused when the worst case is above equity times the maximum, and only then."""
    equity, before, after = (data.draw(money) for _ in range(3))
    most = data.draw(st.sampled_from([0.5, 1, 2, 10]))
    view = make_view(equity_now=equity, before=before, after=after)
    refused = Limits(max_leverage=most).check(intent(), view) is not None
    assert refused == (after > equity * most)


def test_lost_account_opens_nothing(view, intent):
    """With no equity left there is no leverage that fits; what reduces passes."""
    view.equity_now, view.before, view.after = -5.0, 900.0, 1_000.0
    trip = Limits(max_leverage=2).check(intent(), view)
    assert "nothing is left" in trip.reason
    view.after, view.held = 900.0, {"s": Decimal(9)}
    assert Limits(max_leverage=2).check(intent("sell"), view) is None


def test_what_goes_through_a_position_must_leave_a_smaller_one(view, intent):
    """Another strategy's other side may show, and never as much as there was."""
    view.before = view.after = 700_000.0
    view.held = {"s": Decimal(10), "other": Decimal(-3)}
    limits = Limits(max_leverage=2)
    assert limits.check(intent("sell", 10, reduce_only=True), view) is None
    assert limits.check(intent("sell", 14), view)


@pytest.mark.parametrize(("field", "word"), [("equity_now", "equity"), ("after", "exposure")])
def test_unknown_equity_or_exposure_is_refused_unless_it_reduces(view, intent, field, word):
    """What is not known is not fine, but nobody is locked into a position."""
    setattr(view, field, None)
    limits = Limits(max_leverage=2)
    assert limits.check(intent(), view).reason == f"leverage is unknown: the {word} of paper is"
    assert limits.check(intent("sell", reduce_only=True), view) is None
    view.held = {"s": Decimal(1)}
    assert limits.check(intent("sell"), view) is None


def test_take_profit_above_the_mark_passes(view, intent):
    """An exit priced above the mark is worth more than the position, and yet raises no exposure."""
    view.before, view.after, view.held = 300_000.0, 330_000.0, {"s": Decimal(3)}
    limits = Limits(max_leverage=2)
    assert limits.check(intent("sell", 3), view) is None
    assert limits.check(intent("sell", 4), view)
    assert limits.check(intent("buy", 1), view)


def test_reducing_is_judged_by_the_account(view, intent):
    """One strategy's exit that opens the account's other side is no reduction of its exposure."""
    view.before, view.after = 0.0, 300_000.0
    view.held = {"s": Decimal(3), "other": Decimal(-3)}
    assert Limits(max_leverage=2).check(intent("sell", 3, reduce_only=True), view)


def test_orders_on_their_way_out_count_towards_reducing(view, intent, working):
    """Two exits that together would flip the position are not both reductions; one group is one exit."""
    view.before, view.after, view.held = 300_000.0, 330_000.0, {"s": Decimal(3)}
    limits = Limits(max_leverage=2)
    view.working = [
        working("a", "sell", 1, group="g"),
        working("b", "sell", 1, group="g"),
        working("c", "sell", 3, status=OrderStatus.HELD),
        working("d", "buy", 3),
        working("e", "sell", 3, instrument="ETH/USDT@x"),
    ]
    assert limits.check(intent("sell", 2), view) is None
    assert limits.check(intent("sell", 3), view)
    assert limits.check(intent("sell", 3, group="g"), view) is None
    view.working = [working("f", "sell", 2, group="h")]  # a member of one group waits for no other group
    assert limits.check(intent("sell", 1, group="g"), view) is None
    assert limits.check(intent("sell", 2, group="g"), view)


def test_nothing_happens_between_orders(view):
    """Limits never trips anything."""
    assert Limits(max_leverage=2).watch(None, view) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Limits limits nothing: give"),
        ({"max_order_value": "10_000"}, "Limits: max_order_value: '10_000' is not money: write"),
        ({"max_order_value": "0 USDT"}, "Limits: max_order_value: 0 must be above 0: write"),
        ({"max_leverage": -1}, "Limits: max_leverage: -1 must be above 0: write"),
        ({"max_leverage": "two", "name": "Mine"}, "Mine: max_leverage: number 'two' is not a number: pass"),
        ({"max_leverage": True}, "Limits: max_leverage: number True is a truth value: pass"),
    ],
)
def test_bad_setting_names_breaker_rule_and_remedy(arguments, message):
    """A wrong setting says whose it is, what is wrong and what to write."""
    with pytest.raises(ConfigurationError) as caught:
        Limits(**arguments)
    assert str(caught.value).startswith(message)
