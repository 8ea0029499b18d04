"""Books that drift from their venue while an engine trades, under two policies side by side.

    python examples/05_reconciliation.py

Somebody trades by hand on the venue's website, pays cash in, loses a part of the position and leaves an order there.
One engine follows the venue, the other has things as its strategy wanted them. Offline, in virtual time: three minutes
pass within a second.
"""

import asyncio
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs

from fairlead import LiveTradingEngine, Quote, Side, Strategy
from fairlead.facts import DiscrepancyFound, DiscrepancyGone, DiscrepancyResolved
from fairlead.ports import Discrepancy, OrderReport, Reconciler, Snapshot
from fairlead.testing import (
    MARKET_AND_LIMIT,
    FakeBroker,
    Recorder,
    VirtualClock,
    make_instrument,
    run_virtual,
)
from fairlead_reconcile import AutoAdjust, ExternalOrders, SyncToLocal
from fairlead_streams import SyntheticStream

PERP = make_instrument()
POLICIES: dict[str, list[Reconciler]] = {
    "follow the venue": [ExternalOrders("adopt"), AutoAdjust(every="10s")],
    "as it was wanted": [ExternalOrders("cancel"), SyncToLocal(every="10s")],
}


class Holder(Strategy):
    """Buys five and keeps them."""

    def on_start(self) -> None:
        self.bought = False
        self.watch("BTC/USDT:USDT", quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if not self.bought:
            self.bought = True
            self.buy(5)


class Website(FakeBroker):
    """A venue with a website, on which somebody else has their hands."""

    def __init__(self) -> None:
        profile = attrs.evolve(
            MARKET_AND_LIMIT, exact=False, query_lag_ns=0
        )  # as one behind a network is asked
        super().__init__(PERP, cash="1_000_000 USDT", profile=profile)
        self.by_hand: dict[str, OrderReport] = {}

    async def snapshot(self) -> Snapshot:
        found = await super().snapshot()
        return attrs.evolve(found, orders=(*(found.orders or ()), *self.by_hand.values()))

    def send(self, command: object) -> None:
        if self.by_hand.pop(getattr(command, "client_order_id", ""), None) is None:
            super().send(command)  # type: ignore[arg-type]

    def trade(self, quantity: str) -> None:
        self.positions[PERP.id] += Decimal(quantity)

    def pay_in(self, amount: str) -> None:
        self.balances["USDT"] += Decimal(amount)

    def place(self) -> None:
        self.by_hand["web-1"] = OrderReport(
            client_order_id="web-1",
            broker_order_id="77001",
            instrument=PERP.id,
            open=True,
            quantity=Decimal(1),
            filled_quantity=Decimal(0),
            side=Side.BUY,
            limit_price=Decimal(20_000),
        )


DRIFTS: list[tuple[float, str, Callable[[Website], None]]] = [
    (30, "a trade by hand", lambda venue: venue.trade("2")),
    (60, "a deposit", lambda venue: venue.pay_in("1000")),
    (90, "a part of it lost", lambda venue: venue.trade("-3")),
    (120, "an order by hand", lambda venue: venue.place()),
]


async def trade(policy: str, folder: Path) -> tuple[Recorder, Website]:
    """Three minutes of one engine under a policy, while its books drift."""
    venue, heard = Website(), Recorder()
    stream = SyntheticStream(
        PERP.id, seed=5, every="1s", volatility="0.0001%"
    )  # so that figures are easy to follow
    plugins = [venue, stream, *POLICIES[policy], heard, VirtualClock()]
    engine = LiveTradingEngine(Holder(), plugins, run=folder / policy, breakers="none")
    loop = asyncio.get_running_loop()
    for after, _, drift in DRIFTS:
        loop.call_later(after, drift, venue)
    await engine.run(until="3m")
    return heard, venue


def show(policy: str, heard: Recorder, venue: Website) -> None:
    """What was found and done, and what it came to."""
    print(f"\n{policy}: {', '.join(one.name for one in POLICIES[policy])}")
    print(f"  {'at':>4}  {'found':<14} {'of':<14} {'here':>10} {'there':>10}  {'severity':<9} done")
    found: dict[str, Discrepancy] = {}
    standing: set[str] = set()
    start = heard.facts[0].now
    for fact in heard.facts:
        if isinstance(fact, DiscrepancyFound):
            found[fact.discrepancy.id] = fact.discrepancy
            standing.add(fact.discrepancy.id)
        elif isinstance(fact, DiscrepancyGone):
            standing.discard(fact.discrepancy)
        elif isinstance(fact, DiscrepancyResolved):
            one = found[fact.discrepancy]
            subject = one.subject.partition("@")[0]
            print(
                f"  {(fact.now - start) / 1e9:>3.0f}s  {one.kind:<14} {subject:<14} {one.ours:>10.2f} "
                f"{one.theirs:>10.2f}  {one.severity:<9} {fact.action}"
            )
    left = "an order by hand works" if venue.by_hand else "no order works"
    print(
        f"  in the end: {venue.positions[PERP.id]:.0f} held, {left} there, differences that stand: {len(standing)}"
    )


async def main(folder: Path) -> list[tuple[Recorder, Website]]:
    """Both policies at the same time."""
    results = await asyncio.gather(*(trade(policy, folder) for policy in POLICIES))
    for after, what, _ in DRIFTS:
        print(f"after {after:>3.0f} s: {what}")
    for policy, (heard, venue) in zip(POLICIES, results, strict=True):
        show(policy, heard, venue)
    return results


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run_virtual(main(Path(folder)))
