"""What a run came to, worked out from its journal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from fairlead._engine.roundtrips import RoundTrip, round_trips
from fairlead._models.orders import Fill
from fairlead._storage.run import RunFolder

if TYPE_CHECKING:
    from fairlead._engine.parts import Parts
    from fairlead._kernel.kernel import Kernel
    from fairlead.facts import AnyFact


@attrs.frozen(kw_only=True)
class AccountResult:
    """One account: money as exact numbers where it is realised, floats where a mark is in it."""

    account: str
    currency: str
    equity_start: float | None
    equity_end: float | None
    realised: Decimal
    unrealised: float
    fees: Decimal
    funding: Decimal
    max_drawdown: float
    balances: dict[str, Decimal]
    positions: dict[str, Decimal]


@attrs.frozen(kw_only=True)
class Result:
    """A finished run. `facts()`, `fills()` and `round_trips()` read its journal again.

    `prices` are marks by instrument, as (ns, price), thinned to at most 2,000 each: enough to draw.
    """

    folder: RunFolder
    journal_hash: str
    label: str
    start_ns: int
    end_ns: int
    events: int
    orders: int
    denied: int
    fills_count: int
    trades: int
    instruments: dict[str, dict[str, str]]
    accounts: tuple[AccountResult, ...]
    tripped: tuple[str, ...]
    halted: dict[str, str]
    prices: dict[str, list[tuple[int, float]]] = attrs.field(factory=dict, repr=False)

    def facts(self) -> Iterator[AnyFact]:
        """Everything that happened, in order."""
        from fairlead._storage.journal import read_facts

        return read_facts(self.folder.journal)

    def fills(self) -> Iterator[Fill]:
        """Our executions, in order."""
        from fairlead.facts import Filled

        return (fact.fill for fact in self.facts() if isinstance(fact, Filled))

    def round_trips(self) -> list[RoundTrip]:
        """Closed trades, in the order in which they closed."""
        return round_trips(self.fills(), self._profit)

    def _profit(self, instrument: str) -> Any:
        from fairlead.facts import InstrumentDefined

        found = [f.instrument for f in self.facts() if isinstance(f, InstrumentDefined)]
        return {i.id: i for i in found}[instrument]

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, one HTML file that needs nothing else, and return where it is.

        Without a path it is `reports/report.html` in the run's folder.
        """
        from fairlead._report import write_report

        return write_report(self.folder, path, prices=self.prices, kind="BACKTEST", label=self.label)


def summarise(
    folder: RunFolder,
    kernel: Kernel,
    journal_hash: str,
    parts: Parts,
    events: int,
    prices: dict[str, list[tuple[int, float]]] | None = None,
) -> Result:
    """The result of a kernel that has ended."""
    from fairlead._storage.journal import read_facts
    from fairlead.facts import EngineStarted, Filled, InstrumentDefined, OrderDenied

    orders = denied = 0
    fills: list[Fill] = []
    start = end = 0
    instruments: dict[str, Any] = {}
    submitted: set[str] = set()
    for fact in read_facts(folder.journal):
        end = fact.now
        if isinstance(fact, EngineStarted) and not start:
            start = fact.now
        elif isinstance(fact, InstrumentDefined):
            instruments[fact.instrument.id] = fact.instrument
        elif isinstance(fact, OrderDenied):
            denied += 1
        elif isinstance(fact, Filled):
            fills.append(fact.fill)
        name = getattr(fact, "client_order_id", "")
        if name and name not in submitted:
            submitted.add(name)
            orders += 1
    accounts = tuple(_account(kernel, name) for name in kernel.state.accounts)
    labels = [str(getattr(s, "label", name)) for name, s in parts.streams.items()]
    return Result(
        folder=folder,
        journal_hash=journal_hash,
        label=", ".join(labels),
        start_ns=start,
        end_ns=end,
        events=events,
        orders=orders,
        denied=denied,
        fills_count=len(fills),
        trades=len(round_trips(fills, instruments.__getitem__)),
        instruments={
            name: {
                "tick": str(i.tick),
                "lot": str(i.lot),
                "maker_fee": str(i.maker_fee),
                "taker_fee": str(i.taker_fee),
            }
            for name, i in instruments.items()
        },
        accounts=accounts,
        tripped=tuple(f"{trip.breaker}: {trip.reason}" for trip in kernel.state.tripped.values()),
        halted=dict(kernel.state.halted),
        prices=prices or {},
    )


def _account(kernel: Kernel, name: str) -> AccountResult:
    state = kernel.state.accounts[name]
    value = kernel.valuer.accounts[name]
    profit = kernel.books.profit(account=name, currency=state.currency)
    net = {
        key.instrument: position.quantity
        for key, position in kernel.state.positions.items()
        if key.account == name and not key.strategy and position.quantity
    }
    return AccountResult(
        account=name,
        currency=state.currency,
        equity_start=state.opening,
        equity_end=None if value.missing else value.equity,
        realised=profit.realised,
        unrealised=profit.unrealised,
        fees=profit.fees,
        funding=profit.funding,
        max_drawdown=value.max_drawdown,
        balances=dict(state.balances),
        positions=net,
    )
