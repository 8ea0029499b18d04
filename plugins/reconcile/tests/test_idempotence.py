"""Any drift under any strategy: once it stops, one more pass changes nothing, and the books add up."""

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import facts as f
from fairlead._kernel.state import fingerprint
from fairlead.ports import Submit
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, make_instrument
from fairlead_reconcile import (
    AutoAdjust,
    FlattenUnknown,
    HaltOnMismatch,
    ManualApproval,
    SyncToLocal,
    WarnOnly,
)

D = Decimal
PERP = make_instrument()
BTC = PERP.id
REMOTE = attrs.evolve(MARKET_AND_LIMIT, environment="testnet", exact=False, backfill_ns=0, query_lag_ns=0)

DRIFTS = st.lists(
    st.one_of(
        st.tuples(st.just("position"), st.integers(-60, 60)),
        st.tuples(st.just("cash"), st.integers(-5_000, 5_000)),
        st.tuples(st.just("trade"), st.integers(-3, 3)),
        st.tuples(st.just("price"), st.integers(90, 110)),
        st.tuples(st.just("wait"), st.integers(1, 12)),
        st.tuples(st.just("restart"), st.integers(0, 2)),
    ),
    max_size=12,
)


def let(bench: Bench, venue: FakeBroker, what: str, size: int) -> None:
    """One thing that happens, at the venue or here."""
    if what == "position":
        venue.positions[BTC] = venue.positions.get(BTC, D(0)) + D(size) / 10
    elif what == "cash":
        venue.balances["USDT"] += D(size)
    elif what == "trade" and size:
        bench.do(lambda s: s.buy(size) if size > 0 else s.sell(-size))
    elif what == "price":
        bench.price(size)
    elif what == "wait":
        bench.advance(f"{size}s")
    elif what == "restart" and size == 2:
        bench.restart()
        bench.advance("1s")
        bench.price(100)


def books(bench: Bench) -> Any:
    state = bench.state
    return (
        {key: position.quantity for key, position in state.positions.items()},
        {name: dict(account.balances) for name, account in state.accounts.items()},
        dict(state.discrepancies),
        dict(state.lowered),
        len(state.open),
    )


@pytest.mark.parametrize(
    "kinds",
    [
        (WarnOnly,),
        (AutoAdjust,),
        (SyncToLocal,),
        (HaltOnMismatch,),
        (ManualApproval,),
        (FlattenUnknown, AutoAdjust),
    ],
    ids=lambda kinds: kinds[0].__name__,
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drifts=DRIFTS)
def test_reconciling_again_changes_nothing(kinds: Any, drifts: list[tuple[str, int]]) -> None:
    """And it adds up, folds to the same state, and sends nothing where it was only to tell."""
    venue = FakeBroker(PERP, profile=REMOTE)
    bench = Bench(Puppet(allocation="90%"), broker=venue, reconcilers=[kind(every="5s") for kind in kinds])
    bench.price(100)
    bench.do(lambda s: s.buy(5))
    wanted = 1
    for what, size in drifts:
        wanted += what == "trade" and size != 0
        let(bench, venue, what, size)
    bench.price(100)
    bench.advance("40s")
    before, decided = books(bench), len(bench.of(f.DiscrepancyResolved))
    for _ in range(2):
        bench.kernel.reconciliation.check("fake")
        bench.advance("7s")
        assert books(bench) == before
    assert len(bench.of(f.DiscrepancyResolved)) == decided
    bench.check()
    held = [(key, position.quantity) for key, position in bench.state.positions.items()]
    net = sum(quantity for key, quantity in held if not key.strategy)
    assert sum(quantity for key, quantity in held if key.strategy) == net
    if kinds[0] in (WarnOnly, HaltOnMismatch, ManualApproval):
        assert len(venue.submits) <= wanted
        assert all(type(command) is Submit for command in venue.commands)
        assert not bench.of(f.CashChanged)
    else:
        assert net == venue.positions.get(BTC, D(0))
        assert not any(one.subject == BTC for one in bench.state.discrepancies.values())
    if AutoAdjust in kinds:
        assert bench.state.accounts["fake"].balances == venue.balances
    assert fingerprint(bench.journal.fold()) == fingerprint(bench.state)
