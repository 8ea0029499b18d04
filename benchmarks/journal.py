"""The journal: what an append costs, and what it adds to tick-to-order.

Appends are records of one order's intent, about 200 bytes, timed one by one, the cost of looking at the clock taken
off. Tick-to-order is that of `latency`, blocking, with the journal as it is (`process`) and with a double in memory
that encodes and writes nothing.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns

from benchmarks.latency import figures, table
from benchmarks.latency.rows import ENGINE, QUANTILES, Row, measure
from benchmarks.rig import (
    AT_MOST,
    Report,
    Say,
    Size,
    Table,
    Target,
    arguments,
    child,
    number,
    quantile,
    reply,
)

PROCESS, DOUBLE, CONTROL = (
    "fairlead, journal `process`",
    "fairlead, journal in memory",
    "journal in memory again (A/A)",
)


def run(size: Size, say: Say) -> Report:
    report = Report("journal")
    say(f"{size.appends:,} appends")
    found = child("benchmarks.journal", {"appends": size.appends})
    report.tables.append(Table(
        f"{size.appends:,} appends of {found['bytes']:.0f} bytes, µs", ("", *QUANTILES),
        [("append", *(number(found[q]) for q in QUANTILES))],
    ))  # fmt: skip
    rows = [
        Row(PROCESS, ENGINE),
        Row(DOUBLE, ENGINE, {"journal": "memory"}),
        Row(CONTROL, ENGINE, {"journal": "memory"}),
    ]
    orders = measure(rows, size.latency_rounds, size.orders, size.warm_up, say)
    amount = f"{size.latency_rounds} rounds × {size.orders:,} orders"
    report.tables.append(table(orders, f"tick-to-order, µs, medians of {amount}", DOUBLE))
    noise = number(orders.noise("p50", DOUBLE, CONTROL))
    report.targets = [Target(
        f"`process` ÷ in memory, tick-to-order p50 (A/A {noise}×)", orders.ratio(PROCESS, DOUBLE, "p50"), AT_MOST, 1.05,
        "×", orders.missing.get(PROCESS, ""),
    )]  # fmt: skip
    report.figures = {"append": found, "tick_to_order": figures(orders)}
    return report


def main() -> None:
    from fairlead import OrderIntent, Side
    from fairlead._storage.journal import Journal
    from fairlead.facts import OrderSubmitted

    count = arguments()["appends"]
    intent = OrderIntent(
        strategy="EveryN", account="wire", instrument="BTC/USDT@wire", side=Side.BUY, quantity=Decimal("0.01")
    )
    facts = [
        [OrderSubmitted(
            seq=i + 1, now=1_704_067_200_000_000_000 + i, cause=i, client_order_id=f"f-1-1-{i}", intent=intent,
            quantity=intent.quantity, deadline_ns=1_704_067_205_000_000_000 + i,
        )]
        for i in range(count)
    ]  # fmt: skip
    taken = [0] * count
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        journal = Journal.open(Path(folder, "journal"), boot_id="")
        append, clock = journal.append, perf_counter_ns
        for i, turn in enumerate(facts):
            begun = clock()
            append(turn)
            taken[i] = clock() - begun
        journal.close()
        size = sum(path.stat().st_size for path in Path(folder, "journal").iterdir()) / count
    looks = []
    for _ in range(1000):
        begun = clock()
        looks.append(clock() - begun)
    taken.sort()
    look = quantile(sorted(looks), 0.5)
    reply({"bytes": size} | {name: (quantile(taken, q) - look) / 1000 for name, q in QUANTILES.items()})


if __name__ == "__main__":
    main()
