"""No order passes a limit, whatever strategies, venues and people do; and the checker that says so sees what does."""

import os

import pytest
from fuzz.limits_fuzz import LIMITS, Round, fuzz

from fairlead.ports import Trip
from fairlead_breakers import Limits

ORDERS = {"full": 100_000, "ci": 10_000}.get(os.environ.get("FAIRLEAD_PROVE", ""), 10_000)


def test_a_few_hundred_orders_stay_within_their_limits():
    """The dice also bring about refusals, or there would be nothing to see."""
    sent, denied, wrong = fuzz(300)
    assert wrong == []
    assert sent >= 300
    assert denied > 100


@pytest.mark.prove
def test_no_order_passes_a_limit():
    """Ten thousand orders and more, each worked out again from journal and tape."""
    assert fuzz(ORDERS, seed=1_000)[2] == []


@pytest.mark.full
@pytest.mark.parametrize("blind", LIMITS)
def test_the_checker_sees_an_order_past_each_limit(blind, monkeypatch):
    """With one limit left unchecked, orders pass it, and the checker finds them."""

    def check(self, intent, view):
        self._catch_up(view)
        rules = [rule for rule in self._rules if rule.short != blind and rule.scope.covers(intent, view)]
        found = [why for rule in rules if (why := rule.why(intent, view))]
        return Trip("; ".join(found)) if found else None

    monkeypatch.setattr(Limits, "check", check)
    monkeypatch.delattr(Limits, "allows")
    rounds = (Round(seed) for seed in range(400))
    wrong = (text for one in rounds if blind in one.limits for text in one.run().wrong)
    assert any(f": {blind}=" in text for text in wrong)
