"""A reconciler with one defect fails the case that is about it, first of all; a clean one fails none."""

from typing import ClassVar

import pytest
from proving import details, failures, prove

from fairlead.ports import Action, DiscrepancyKind, Resolution
from fairlead_conformance import ReconcilerConformance

WARN = Resolution(Action.WARN)
FIGURES = (DiscrepancyKind.CASH, DiscrepancyKind.MODE)


class Clean:
    every_ns = 5_000_000_000

    def __init__(self):
        self.name = type(self).__name__

    def resolve(self, discrepancy, view):
        return WARN


class Awaits(Clean):
    breaks = "it_fills_the_port"

    async def resolve(self, discrepancy, view):
        return WARN


class EveryText(Clean):
    breaks = "it_fills_the_port"
    every_ns = "5s"


class OpensAFile(Clean):
    breaks = "making_it_opens_nothing"

    def __init__(self):
        super().__init__()
        self.file = open("/dev/null")  # noqa: SIM115

    def __del__(self):
        self.file.close()


class Raises(Clean):
    breaks = "every_divergence_is_answered"

    def resolve(self, discrepancy, view):
        return Resolution(Action.WARN, reason=str(discrepancy.order.quantity))


class SaysAWord(Clean):
    breaks = "every_divergence_is_answered"

    def resolve(self, discrepancy, view):
        return "warn"


class SecondTimeLucky(Clean):
    breaks = "it_is_pure"

    def __init__(self):
        super().__init__()
        self.seen = set()

    def resolve(self, discrepancy, view):
        known = discrepancy.id in self.seen
        self.seen.add(discrepancy.id)
        return Resolution(Action.HALT) if known else WARN


class CountsQuietly(Clean):
    breaks = "it_is_pure"
    count = 0

    def resolve(self, discrepancy, view):
        self.count += 1
        return WARN


class AskedByAll(Clean):
    breaks = "it_is_pure"
    asked: ClassVar[list] = []

    def resolve(self, discrepancy, view):
        self.asked.append(discrepancy)
        return WARN if len(self.asked) % 4 in (1, 2) else Resolution(Action.ASK)


class TradesCashBack(Clean):
    breaks = "its_answers_can_be_carried_out"

    def resolve(self, discrepancy, view):
        return Resolution(Action.TRADE_BACK, "traded back")


class AdoptsWithoutACause(Clean):
    breaks = "adjustments_have_a_cause"

    def resolve(self, discrepancy, view):
        return WARN if discrepancy.kind is DiscrepancyKind.MODE else Resolution(self.action(discrepancy))

    def action(self, discrepancy):
        return Action.CANCEL if discrepancy.kind is DiscrepancyKind.ORDER_STATUS else Action.ADOPT


class DoesMoreThanItSays(Clean):
    breaks = "it_trades_only_where_it_says_so"

    def resolve(self, discrepancy, view):
        return WARN if discrepancy.kind in FIGURES else Resolution(self.action(discrepancy), "traded back")

    def action(self, discrepancy):
        return Action.CANCEL if "order" in discrepancy.kind else Action.TRADE_BACK


DEFECTS = Clean.__subclasses__()
MAY = {AdoptsWithoutACause: {Action.WARN, Action.ADOPT, Action.CANCEL}, TradesCashBack: set(Action)}


def suite(kind):
    class Suite(ReconcilerConformance):
        actions = frozenset(MAY.get(kind, {Action.WARN}))

        def make(self):
            return kind()

    return Suite


def test_a_clean_reconciler_passes_all():
    """No case fails, and every tier is reached."""
    book = prove(suite(Clean))
    assert not failures(book), details(book)
    assert str(book.tier) == "T3"


@pytest.mark.parametrize("kind", DEFECTS, ids=lambda kind: kind.__name__)
def test_a_defect_is_named_first(kind):
    """The case that is about it is the first that fails."""
    book = prove(suite(kind))
    assert failures(book)[:1] == [kind.breaks], details(book)
    assert len(failures(book)) <= 3, details(book)
