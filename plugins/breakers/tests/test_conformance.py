"""Every breaker of this distribution, proven: with limits that a rough day passes, or by what provokes it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import fairlead_breakers as breakers
from fairlead.facts import ClockStepped, DiscrepancyFound, EngineLagged
from fairlead.ports import Discrepancy, DiscrepancyKind, OutcomeUnknown, Severity, StreamDown
from fairlead.testing import Bench
from fairlead_conformance import BreakerConformance

BTC, ETH = "BTC/USDT:USDT@rough", "ETH/USDT:USDT@rough"
SECOND = 1_000_000_000

TIGHT: dict[str, Callable[[], Any]] = {
    "DailyLoss": lambda: breakers.DailyLoss("500 USDT"),
    "Drawdown": lambda: breakers.Drawdown("3%"),
    "FeedDisagreement": lambda: breakers.FeedDisagreement(same=[[BTC, ETH]]),
    "FillRate": lambda: breakers.FillRate("50%", 10),
    "Limits": lambda: breakers.Limits(max_order_value="2_000 USDT", max_leverage=2),
    "LossPerTrade": lambda: breakers.LossPerTrade("2%"),
    "OrderErrors": lambda: breakers.OrderErrors(2),
    "OrderRate": lambda: breakers.OrderRate(5),
    "RejectRate": lambda: breakers.RejectRate(2),
    "RollingLoss": lambda: breakers.RollingLoss("500 USDT"),
    "StopLossGuard": lambda: breakers.StopLossGuard(1),
}


def note(bench: Bench, kind: type, **fields: Any) -> None:
    """Let the engine note a fact."""
    bench.kernel.turn(lambda: bench.kernel.recorder.input(kind, **fields))


def mismatch(bench: Bench) -> None:
    """A position is gone."""
    found = Discrepancy(
        id="d1",
        account="rough",
        kind=DiscrepancyKind.MISSING_THERE,
        subject=BTC,
        ours=Decimal(5),
        theirs=Decimal(0),
        severity=Severity.CRITICAL,
    )
    note(bench, DiscrepancyFound, discrepancy=found)


def silence(bench: Bench) -> None:
    """Two orders are never answered."""
    bench.kernel.outbox.senders["rough"] = lambda command: None
    for _ in range(2):
        order = bench.do(lambda s: s.buy(1, instrument=ETH, limit_price=5))
        bench.kernel.report(
            "rough", OutcomeUnknown(client_order_id=order.client_order_id, reason="no answer came")
        )


def disconnect(bench: Bench) -> None:
    """The private stream is gone for a while."""
    bench.kernel.report("rough", StreamDown(reason="the venue hung up"))
    bench.advance("20s")


PROVOKED: dict[str, Callable[[Bench], None]] = {
    "ClockSkew": lambda bench: note(bench, ClockStepped, step_ns=5 * SECOND),
    "Disconnect": disconnect,
    "KernelLag": lambda bench: note(bench, EngineLagged, lag_ns=5 * SECOND),
    "Manual": lambda bench: (bench.breakers[0].trip("seen enough"), bench.advance("2s")),  # type: ignore[attr-defined, func-returns-value]
    "Mismatch": mismatch,
    "OrderErrors": silence,
}


def suite(name: str) -> type[BreakerConformance]:
    """The suite of one breaker."""
    make = TIGHT.get(name) or getattr(breakers, name)
    provoke = PROVOKED.get(name, lambda _: None)
    members = {
        "make": lambda self: make(),
        "provoke": lambda self, bench: provoke(bench),
        "__module__": __name__,
        "__doc__": f"{name}, as it is shipped.",
    }
    return type(f"Test{name}", (BreakerConformance,), members)


globals().update({f"Test{name}": suite(name) for name in breakers.__all__})

pytestmark = pytest.mark.full
