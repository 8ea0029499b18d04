"""No order passes a limit, whatever strategies, venues and people do; and the checker that says so sees what does."""

import inspect
import os
import random

import pytest
from fuzz.limits_fuzz import (
    LIMITS,
    OF_GROUPS,
    OF_INSTRUMENTS,
    OF_STRATEGIES,
    OF_TAGS,
    WORDS,
    Round,
    drawn,
    fuzz,
    names_of,
)

from fairlead.ports import Trip
from fairlead_breakers import Limits

HAPPENINGS = (
    "orders in doubt",
    "fills in parts",
    "held orders triggered",
    "sent as a bracket's exit",
    "sent in the place of another",
    "replaced in place",
    "sent while others work",
    "sent while others are in doubt",
    "sent by a person",
    "sent by a flatten",
    "limit by a person",
    "reset by a person",
    "restarts",
)
"""What a limit has to hold through."""

ORDERS = {"full": 100_000, "ci": 10_000}.get(os.environ.get("FAIRLEAD_PROVE", ""), 10_000)


def test_a_few_hundred_orders_stay_within_their_limits():
    """The dice also bring about refusals, or there would be nothing to see."""
    found = fuzz(300)
    assert found.wrong == []
    assert found.sent >= 300
    assert found.denied > 100


def test_every_limit_there_is_is_drawn():
    """A new limit belongs into the fuzz, or this fails."""
    names = set(inspect.signature(Limits).parameters) - {"name", "instruments", "groups", "strategies"}
    assert set(LIMITS) == set(WORDS) == names
    found = set().union(*(names_of(drawn(random.Random(seed))) for seed in range(2_000)))
    tables = (
        ("instruments", OF_INSTRUMENTS),
        ("strategies", OF_STRATEGIES),
        ("groups", (*OF_GROUPS, *OF_TAGS)),
    )
    assert found == names | {f"{name} ({table})" for table, limits in tables for name in limits}


@pytest.mark.full
def test_everything_that_should_happen_happens():
    """Doubt, parts, replacements, brackets, held orders, people, restarts; each limit refuses something."""
    found = fuzz(8_000)
    assert found.wrong == []
    assert {name for name in LIMITS if not found.refused[name]} == set()
    assert {what for what in HAPPENINGS if found.seen[what] < 5} == set()


@pytest.mark.prove
def test_no_order_passes_a_limit():
    """Ten thousand orders and more, each worked out again from journal and tape."""
    assert fuzz(ORDERS, seed=1_000).wrong == []


@pytest.mark.parametrize("seed", [20261663, 20263785, 20264013, 20264344])
def test_orders_executed_at_the_moment_of_a_reset_count_after_a_restart(seed: int) -> None:
    """Rounds in which a person reset a strategy, and it traded at that very nanosecond, and the engine died."""
    assert Round(seed).run().wrong == []


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
