"""Breakers: what they add to each quote and to each order, in calls of an empty method.

One engine on a bench without breakers, one with the default set, one with all that is shipped, fed with the same quotes
and asked about the same order in turn; the best of many short rounds each, less that of the engine without. All are
warm, and nothing trips. A call of an empty method, measured beside them, is the unit: it makes machines comparable.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fairlead_breakers as shipped
from benchmarks.rig import AT_MOST, Report, Say, Size, Table, Target, number
from fairlead import OrderIntent, Quote, Side
from fairlead.ports import CircuitBreaker
from fairlead.testing import Bench

DEFAULT = ("Limits", "DailyLoss", "Drawdown", "StaleData")
SETTINGS: dict[str, dict[str, Any]] = {
    "Limits": {"max_order_value": "10_000 USDT", "max_leverage": 2},
    "DailyLoss": {"limit": "2_000 USDT"},
    "Drawdown": {"limit": "10%"},
    "RollingLoss": {"limit": "5%"},
}
QUOTES, ORDERS = 500, 50
PRICES = (100.0, 100.1, 100.05, 99.95)


def run(size: Size, say: Say) -> Report:
    report, rounds = Report("breakers"), max(5, min(200, size.appends // 500))
    say(f"{rounds} rounds of {QUOTES} quotes and {ORDERS} orders")
    sets = {"none": (), "default": DEFAULT, "all": tuple(shipped.__all__)}
    benches = {name: warm([make(one) for one in names]) for name, names in sets.items()}
    calls, quotes, orders = best(rounds, benches)
    rows = []
    for name in ("default", "all"):
        per_quote = (quotes[name] - quotes["none"]) / calls
        per_order = (orders[name] - orders["none"]) / calls
        rows.append((name, str(len(sets[name])), number(per_quote), number(per_order)))
        most = (12, 120) if name == "default" else (40, 300)
        report.targets += [
            Target(f"{name}, per quote", per_quote, AT_MOST, most[0], " calls"),
            Target(f"{name}, per order", per_order, AT_MOST, most[1], " calls"),
        ]
    without = f"without breakers a quote {quotes['none']:.0f} ns, an order {orders['none']:.0f} ns"
    note = f"an empty call took {calls:.1f} ns; {without}"
    report.tables.append(Table("in empty calls", ("set", "breakers", "quote", "order"), rows, (note,)))
    report.figures = {"call_ns": calls, "quote_ns": quotes, "order_ns": orders}
    return report


def make(name: str) -> CircuitBreaker:
    """A breaker with its defaults, and what it cannot do without."""
    breaker: CircuitBreaker = getattr(shipped, name)(**SETTINGS.get(name, {}))
    return breaker


def warm(breakers: list[CircuitBreaker]) -> Bench:
    """An engine that holds a protected position and has seen more than an hour of quotes."""
    bench = Bench(breakers=breakers)
    for minute in range(70):
        bench.quote(PRICES[minute % 4] - 0.01, PRICES[minute % 4] + 0.01)
        bench.advance("30s")
        bench.quote(100, 100.1)
        bench.advance("30s")
    bench.quote(100, 100.1)
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.sell(1, stop_price=50, reduce_only=True))
    bench.advance("2s")
    bench.quote(100, 100.1)
    return bench


def best(rounds: int, benches: dict[str, Bench]) -> tuple[float, dict[str, float], dict[str, float]]:
    """Nanoseconds of an empty call, and by set of a quote and of an order: the best of the rounds."""
    called, bare, quotes, orders = 1e9, 1e9, dict.fromkeys(benches, 1e9), dict.fromkeys(benches, 1e9)
    for _ in range(rounds):
        both = empty_calls()
        called, bare = min(called, both[0]), min(bare, both[1])
        for name, bench in benches.items():
            quotes[name] = min(quotes[name], feed(bench))
            orders[name] = min(orders[name], judge(bench))
    return called - bare, quotes, orders


class _Empty:
    def method(self) -> None:
        pass


def empty_calls() -> tuple[float, float]:
    """What a turn of a loop costs with a call of a method that does nothing, and without."""
    call = _Empty().method

    def with_call() -> None:
        for _ in range(1000):
            call()

    def without() -> None:
        for _ in range(1000):
            pass

    return timed(with_call, 1000), timed(without, 1000)


def feed(bench: Bench) -> float:
    """What a quote costs that moves the price, and equity with it."""
    now = bench.kernel.recorder.now
    events = [
        Quote(bench.instrument, price - 0.01, price + 0.01, 1.0, 1.0, at, at)
        for at, price in ((now + 1000 * n, PRICES[n % 4]) for n in range(1, QUOTES + 1))
    ]
    take = bench.kernel.event

    def all_of_them() -> None:
        for event in events:
            take(event)

    return timed(all_of_them, QUOTES)


def judge(bench: Bench) -> float:
    """What an order costs at the gate."""
    intent = OrderIntent(
        strategy=bench.strategy.name,
        account="fake",
        instrument=bench.instrument,
        side=Side.BUY,
        quantity=Decimal(1),
        limit_price=Decimal(90),
    )
    review = bench.kernel.gate.review
    verdict = review(intent)
    assert not getattr(verdict, "reasons", ()), verdict

    def again() -> None:
        for _ in range(ORDERS):
            review(intent)

    return timed(again, ORDERS)


def timed(what: Callable[[], object], times: int) -> float:
    """Nanoseconds for each time that `what` does it."""
    begun = time.perf_counter_ns()
    what()
    return (time.perf_counter_ns() - begun) / times
