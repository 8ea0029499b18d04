"""A breaker with one defect fails the case that is about it, first of all; a clean one fails none."""

import asyncio
import json
import pickle
import threading
from typing import ClassVar

import pytest
from proving import details, failures, prove

from fairlead import TradingState
from fairlead.facts import Filled, OrderDenied
from fairlead.ports import EQUITY, Allowance, Trip
from fairlead_conformance import BreakerConformance

REDUCE = TradingState.REDUCE_ONLY


class Clean:
    """Reduce-only after so many fills; no order above so much money."""

    wants = (Filled,)

    def __init__(self, most=10, value=5_000.0):
        self.name = type(self).__name__
        self.most, self.value = most, value
        self.count = 0

    def check(self, intent, view):
        worth = view.value(intent)
        if worth is None:
            return Trip("what it is worth is not known")
        return Trip(f"worth {worth:.2f}, above {self.value}") if worth > self.value else None

    def allows(self, account, instrument, view):
        return Allowance(value=self.value)

    def watch(self, item, view):
        self.count += 1
        return (
            Trip(f"{self.count} fills", REDUCE, f"account:{item.fill.account}")
            if self.count == self.most
            else None
        )

    def save(self):
        return json.dumps(self.count).encode()

    def load(self, saved):
        self.count = json.loads(saved)


class Awaits(Clean):
    breaks = "it_fills_the_port"

    async def check(self, intent, view):
        return None


class WantsAWord(Clean):
    breaks = "it_fills_the_port"
    wants = ("fills",)


class HoldsALock(Clean):
    breaks = "it_can_be_copied"

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class SaysNoReason(Clean):
    breaks = "what_it_finds_says_why"

    def watch(self, item, view):
        found = super().watch(item, view)
        return found and Trip("", found.state, found.scope)


class SetsItActive(Clean):
    breaks = "what_it_finds_says_why"

    def watch(self, item, view):
        found = super().watch(item, view)
        return found and Trip(found.reason, TradingState.ACTIVE, found.scope)


class CountsItsChecks(Clean):
    breaks = "checking_changes_nothing"

    def check(self, intent, view):
        self.count += 1
        return super().check(intent, view)


class SharesItsCount(Clean):
    breaks = "two_of_them_share_nothing"
    counts: ClassVar[list] = []

    def watch(self, item, view):
        self.counts.append(1)
        return Trip("ten fills", REDUCE, f"account:{item.fill.account}") if len(self.counts) == 10 else None


class NeverSleeps(Clean):
    breaks = "it_looks_ahead"

    def due(self, view):
        return view.now

    def watch(self, item, view):
        return None if item is None else super().watch(item, view)


class CountsFromTheBeginning(Clean):
    breaks = "it_costs_little"

    def __init__(self):
        super().__init__()
        self.seen = []

    wants = (Filled, OrderDenied)

    def watch(self, item, view):
        self.seen.append(item)
        count = sum(isinstance(one, Filled) for one in self.seen)
        return Trip("10 fills", REDUCE, "account:rough") if count == 10 and isinstance(item, Filled) else None


class TakesUnknownForFine(Clean):
    breaks = "what_is_not_known_is_not_fine"

    def check(self, intent, view):
        worth = view.value(intent)
        return Trip("too large") if worth is not None and worth > self.value else None


class FallsOverTheUnknown(Clean):
    breaks = "what_is_not_known_is_not_fine"

    def check(self, intent, view):
        return Trip("too large") if view.value(intent) > self.value else None


class SavesAPickle(Clean):
    breaks = "what_it_saves_is_small"

    def save(self):
        return pickle.dumps(self.count)

    def load(self, saved):
        self.count = pickle.loads(saved)


class SavesEverything(Clean):
    breaks = "what_it_saves_is_small"

    def __init__(self):
        super().__init__()
        self.all = []

    def watch(self, item, view):
        self.all.append(item.fill.fill_id * 5000)
        return super().watch(item, view)

    def save(self):
        return json.dumps([self.count, self.all]).encode()

    def load(self, saved):
        self.count, self.all = json.loads(saved)


class LoadsSomethingElse(Clean):
    breaks = "it_survives_a_restart"

    def load(self, saved):
        self.count = 0


class ResetsItselfAtOnce(Clean):
    breaks = "it_survives_a_restart"
    tripped = False

    def watch(self, item, view):
        found = None if item is None else super().watch(item, view)
        self.tripped = self.tripped or found is not None
        return found

    def clean(self, scope, view):
        return not self.tripped

    def due(self, view):
        return view.now + 10**9

    def save(self):
        return json.dumps(self.count).encode()


class AllowsTooMuch(Clean):
    breaks = "its_short_cuts_hide_nothing"

    def allows(self, account, instrument, view):
        return Allowance()


class TellsLiveFromBacktest(Clean):
    breaks = "live_and_backtest_find_the_same"

    def watch(self, item, view):
        self.count += 1
        if self.count == self.most + (asyncio._get_running_loop() is not None):
            return Trip(f"{self.count} fills", REDUCE, f"account:{item.fill.account}")
        return None


class RaisesForEquity(Clean):
    breaks = "what_is_not_known_is_not_fine"
    wants = (Filled, EQUITY)

    def watch(self, item, view):
        if isinstance(item, str):
            return Trip("poor", REDUCE) if view.equity(item) < 0 else None
        return super().watch(item, view)


def suite(kind):
    class Suite(BreakerConformance):
        def make(self):
            return kind()

    return Suite


DEFECTS = Clean.__subclasses__()


def test_a_clean_breaker_passes_all():
    """No case fails, and every tier is reached."""
    book = prove(suite(Clean))
    assert not failures(book), details(book)
    assert str(book.tier) == "T3"


@pytest.mark.full
@pytest.mark.parametrize("kind", DEFECTS, ids=lambda kind: kind.__name__)
def test_a_defect_is_named_first(kind):
    """The case that is about it is the first that fails."""
    book = prove(suite(kind))
    assert failures(book)[:1] == [kind.breaks], details(book)
    assert len(failures(book)) <= 3, details(book)


def test_a_breaker_that_nothing_trips_proves_little():
    """It fails nothing, and reaches the lowest tier only."""

    class Suite(BreakerConformance):
        def make(self):
            return Clean(most=10**6, value=10.0**12)

    book = prove(Suite)
    assert not failures(book), details(book)
    assert str(book.tier) == "T0"
