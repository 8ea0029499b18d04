"""Every kind of difference, under every strategy: what is booked, what is sent, and what stays as it was."""

from decimal import Decimal
from typing import Any

import attrs
import pytest

from fairlead import EXTERNAL, ConfigurationError, TradingState
from fairlead import facts as f
from fairlead.ports import Action, DiscrepancyKind, Severity
from fairlead.testing import Bench, Puppet
from fairlead_conformance import DIVERGENCES, Divergence, DivergentVenue
from fairlead_conformance.divergences import story
from fairlead_reconcile import (
    AutoAdjust,
    ExternalOrders,
    FlattenUnknown,
    HaltOnMismatch,
    ManualApproval,
    SyncToLocal,
    WarnOnly,
)

D = Decimal
K = DiscrepancyKind
MINOR, MODERATE, CRITICAL = Severity.MINOR, Severity.MODERATE, Severity.CRITICAL
BTC = "BTC/USDT:USDT@fake"
ROWS = [row for row in DIVERGENCES if row.kind not in (K.MODE, K.ORDER_TERMS)]

BOOKED = (Action.ADOPT, Action.CANCEL, Action.TRADE_BACK, Action.FLATTEN)
POSITIONS = {K.QUANTITY, K.SIDE, K.MISSING_HERE, K.MISSING_THERE}


def grown(row: Divergence, bench: Any) -> bool:
    found = bench.of(f.DiscrepancyFound)[0].discrepancy
    return abs(found.theirs) >= abs(found.ours)


def expected(strategy: Any, row: Divergence, bench: Any) -> Action | None:
    """What each strategy does, by the rules of its page; None leaves it to the engine, which warns."""
    orders = row.kind in (K.EXTERNAL_ORDER, K.ORDER_STATUS)
    match strategy:
        case AutoAdjust():
            return Action.CANCEL if row.kind is K.ORDER_STATUS else Action.ADOPT
        case SyncToLocal():
            return Action.WARN if row.kind is K.CASH else Action.CANCEL if orders else Action.TRADE_BACK
        case HaltOnMismatch():
            return None if row.severity is MINOR else Action.HALT
        case ManualApproval():
            return Action.ASK
        case FlattenUnknown():
            if orders:
                return Action.CANCEL
            return Action.FLATTEN if row.kind is not K.CASH and grown(row, bench) else None
        case ExternalOrders():
            return Action.ADOPT if row.kind is K.EXTERNAL_ORDER else None
        case _:
            return Action.WARN


STRATEGIES = [
    WarnOnly, AutoAdjust, SyncToLocal, HaltOnMismatch, ManualApproval, FlattenUnknown, ExternalOrders,
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("make", STRATEGIES, ids=lambda make: make.__name__)
def test_a_difference_under_a_strategy(make: Any, row: Divergence) -> None:
    """Classified, decided and carried out as its page says; books and fold agree, and a second pass changes nothing."""
    strategy = make(every="5s")
    bench, venue = story(row, strategy)
    before = dict(bench.state.accounts["fake"].balances)
    row.make(bench, venue)
    sent = len(venue.submits)
    bench.advance("30s")
    bench.check()
    found = bench.of(f.DiscrepancyFound)
    if row.kind is None:
        assert not found
        return
    first = found[0].discrepancy
    assert (first.kind, first.severity) == (row.kind, row.severity)
    action = expected(strategy, row, bench) or Action.WARN
    if row.name == "an order without a side" and action in BOOKED:
        assert not bench.of(f.DiscrepancyResolved), "nobody knows what to reserve for it"
        return
    assert [fact.action for fact in bench.of(f.DiscrepancyResolved)][:1] == [action]
    check(action, row, bench, venue, before, sent)


def check(
    action: Action, row: Divergence, bench: Any, venue: DivergentVenue, before: dict[str, Decimal], sent: int
) -> None:
    """What an action leaves behind."""
    subject = bench.of(f.DiscrepancyFound)[0].discrepancy.subject
    state = bench.state
    if action is Action.HALT:
        assert state.lowered == {"account:fake": TradingState.HALTED}
    else:
        assert not state.lowered
    if action in (Action.WARN, Action.ASK, Action.HALT):
        assert state.accounts["fake"].balances == before
        assert state.discrepancies
        assert len(venue.submits) == sent
        return
    if row.kind in POSITIONS:
        ours, theirs = state.quantity("fake", subject), venue.positions.get(subject, D(0))
        assert ours == theirs
        total = sum(p.quantity for k, p in state.positions.items() if k.instrument == subject and k.strategy)
        assert total == ours, "strategies and EXTERNAL add up to the account"
        external = state.quantity("fake", subject, EXTERNAL)
        if action is Action.TRADE_BACK:
            assert (ours, external) == (bench.of(f.DiscrepancyFound)[0].discrepancy.ours, D(0))
            assert len(venue.submits) == sent + 1
        elif action is Action.FLATTEN:
            assert external == 0
        else:
            assert len(venue.submits) == sent
    elif row.kind is K.CASH:
        assert state.accounts["fake"].balances == venue.balances
        assert bench.of(f.CashChanged)[0].reason == "adopted from the venue"
    elif row.kind is K.ORDER_STATUS or action in (Action.CANCEL, Action.FLATTEN):
        assert not venue.strangers, "it was taken back there"
    else:
        order = state.open["web-1"]
        assert (order.strategy, order.broker_order_id) == (EXTERNAL, "b-web-1")
        assert state.working("fake", BTC, order.side) == order.remaining_quantity
    assert not state.discrepancies or row.kind in (K.EXTERNAL_ORDER, K.ORDER_STATUS)


# --- when, and in which order -----------------------------------------------------------------------------------


def ready(*reconcilers: Any) -> tuple[Any, DivergentVenue]:
    venue = DivergentVenue()
    bench = Bench(Puppet("BTC/USDT:USDT"), broker=venue, reconcilers=reconcilers)
    bench.price(100)
    bench.do(lambda s: s.buy(5))
    bench.advance("20s")
    return bench, venue


def test_the_first_that_answers_decides() -> None:
    """An exception stands before the rule."""
    bench, venue = ready(HaltOnMismatch(every="5s", least="critical"), AutoAdjust())
    venue.balances["USDT"] += 500
    bench.advance("20s")
    assert not bench.state.lowered
    venue.positions[BTC] = D(-5)
    bench.advance("20s")
    assert bench.state.lowered
    assert [fact.who for fact in bench.of(f.DiscrepancyResolved)] == ["AutoAdjust", "HaltOnMismatch"]


@pytest.mark.parametrize("more", [0, 7])
def test_profit_that_was_realised_in_another_order_is_no_difference(more: int) -> None:
    """Fills booked late realise another part of the same profit, as entry prices tell; the rest is a difference."""
    bench, venue = ready(WarnOnly(every="5s"))
    venue.balances["USDT"] += 500 + more
    venue.entries[BTC] = D(200)
    bench.advance("20s")
    found = [one.theirs - one.ours for one in bench.state.discrepancies.values()]
    assert found == [D(more)] * bool(more)


def test_what_passes_by_itself_is_told_and_gone() -> None:
    """A difference that is there no more is no discrepancy any more."""
    bench, venue = ready(WarnOnly(every="5s"))
    venue.positions[BTC] = D(6)
    bench.advance("20s")
    assert bench.state.discrepancies
    venue.positions[BTC] = D(5)
    bench.advance("20s")
    assert not bench.state.discrepancies
    assert len(bench.of(f.DiscrepancyGone)) == 1


def test_a_difference_that_one_snapshot_shows_is_none() -> None:
    """Two in a row, or it was an accident of timing."""
    bench, venue = ready(AutoAdjust(every="1h"))
    venue.positions[BTC] = D(6)
    bench.kernel.reconciliation.check("fake")
    bench.clock.agenda.run(bench.clock.now())
    venue.positions[BTC] = D(5)
    bench.advance("1m")
    assert not bench.of(f.DiscrepancyFound)


def test_a_part_that_could_not_be_had_is_not_empty() -> None:
    """A snapshot without positions says nothing about positions."""
    bench, venue = ready(AutoAdjust(every="5s"))

    async def partial() -> Any:
        return attrs.evolve(await DivergentVenue.snapshot(venue), positions=None, orders=None)

    venue.snapshot = partial  # type: ignore[method-assign]
    venue.positions[BTC] = D(0)
    bench.advance("1m")
    assert not bench.of(f.DiscrepancyFound)
    assert bench.state.quantity("fake", BTC) == 5


def test_a_lost_position_is_shared_by_those_that_hold_it() -> None:
    """In proportion, to the last lot; strategies and EXTERNAL add up to the account."""
    venue = DivergentVenue()
    first, second = Puppet(name="first", allocation="40%"), Puppet(name="second", allocation="40%")
    bench = Bench(first, second, broker=venue, reconcilers=[AutoAdjust(every="5s")])
    bench.price(100)
    bench.do(lambda s: s.buy(6), 0)
    bench.do(lambda s: s.buy(3), 1)
    bench.advance("20s")
    venue.positions[BTC] = D(3)
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC, "first") == 2
    assert bench.state.quantity("fake", BTC, "second") == 1


def test_it_survives_a_restart_and_happens_once() -> None:
    """Differences are part of the state; what was adopted is not adopted again."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.positions[BTC] = D(7)
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC, EXTERNAL) == 2
    bench.restart()
    bench.price(100)
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC, EXTERNAL) == 2
    assert len(bench.of(f.DiscrepancyResolved)) == 1
    bench.check()


def test_a_difference_at_the_start_is_adopted_before_strategies_begin() -> None:
    """They begin on true books."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.positions[BTC] = D(2)
    bench.restart()
    bench.advance("2s")
    bench.price(100)
    bench.advance("10s")
    assert len(bench.of(f.DiscrepancyFound)) == 1
    assert bench.state.quantity("fake", BTC) == 2
    bench.check()


# --- a person decides -------------------------------------------------------------------------------------------


def test_a_person_approves_what_was_left_to_them() -> None:
    """By its id, with a reason; books and venue agree after it."""
    bench, venue = ready(ManualApproval(every="5s"))
    venue.positions[BTC] = D(7)
    bench.advance("20s")
    (name,) = bench.state.discrepancies
    answer = bench.kernel.command("approve", "ann", "I bought two on the website", discrepancy=name)
    assert answer["action"] == "adopt"
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC) == 7
    assert not bench.state.discrepancies
    decided = bench.of(f.DiscrepancyResolved)[-1]
    assert (decided.who, decided.why) == ("ann", "I bought two on the website")
    bench.check()


def test_what_is_not_there_cannot_be_approved() -> None:
    """The answer names what stands."""
    bench, _ = ready(ManualApproval(every="5s"))
    with pytest.raises(ConfigurationError, match=r"there is no discrepancy 'x' here \(there are: none\)"):
        bench.kernel.command("approve", "ann", "because", discrepancy="x")
    with pytest.raises(ConfigurationError, match=r"there is no account 'x' here"):
        bench.kernel.command("reconcile", "ann", "because", account="x")


def test_a_person_asks_for_a_comparison() -> None:
    """Between the times at which it is done anyway."""
    bench, venue = ready(WarnOnly(every="1h"))
    venue.balances["USDT"] += 500
    bench.kernel.command("reconcile", "ann", "the statement looks odd")
    bench.advance("1s")
    answer = bench.kernel.command("reconcile", "ann", "again")
    assert "cash of USDT" in answer["standing"][0]["what"]
