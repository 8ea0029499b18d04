"""The journal: what an append costs, and what it adds to tick-to-order.

Appends are records of one order's intent, about 200 bytes, timed one by one, the cost of looking at the clock taken
off. Tick-to-order is that of `latency`, blocking, with the journal as it is under either durability, and with a
double in memory that encodes and writes nothing. A sync of the disk is a record's bytes written to a file that has
its blocks, and fdatasync, at the pace of the orders and on their core; where the folder of temporary files is on no
disk, TMPDIR names another one.

What is looked for is a few per cent, and two starts of one program differ by more: so the rounds are many and short,
and the base of a round is the mean of its two runs in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from benchmarks.latency import figures, table
from benchmarks.latency.rows import ENGINE, QUANTILES, Measured, Row, measure
from benchmarks.latency.server import EVERY, INTERVAL_NS
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
from benchmarks.system import cores, pin, run_first

PROCESS, FULL, DOUBLE, CONTROL = (
    "fairlead, journal `process`",
    "fairlead, journal `full`",
    "fairlead, journal in memory",
    "journal in memory again (A/A)",
)

RECORD_BYTES = 500  # about what an order's turn writes, and its fill's
FILE_BYTES = 16 << 20
SHORTER = 3  # than a round of `latency`, and as many times more of them
NO_DISK_US = 10.0  # a sync that takes less reached no disk


def run(size: Size, say: Say) -> Report:
    report = Report("journal")
    say(f"{size.appends:,} appends")
    found = child("benchmarks.journal", {"appends": size.appends})
    report.tables.append(Table(
        f"{size.appends:,} appends of {found['bytes']:.0f} bytes, µs", ("", *QUANTILES),
        [("append", *(number(found[q]) for q in QUANTILES))],
    ))  # fmt: skip
    orders, syncs = tick_to_order(size, say)
    amount = f"{SHORTER * size.latency_rounds} rounds × {size.orders // SHORTER:,} orders"
    report.tables.append(table(orders, f"tick-to-order, µs, medians of {amount}", DOUBLE))
    each = {q: median(one[q] for one in syncs) for q in QUANTILES}
    report.tables.append(
        Table("a sync of the same disk, µs", ("", *QUANTILES), [("sync", *map(number, each.values()))])
    )
    report.targets = [process_target(orders), full_target(orders, syncs)]
    report.figures = {"append": found, "tick_to_order": figures(orders), "syncs": syncs}
    return report


def tick_to_order(size: Size, say: Say) -> tuple[Measured, list[dict[str, float]]]:
    """The rows, and the quantiles of a sync in the middle of each round."""
    syncs: list[dict[str, float]] = []
    task = {"syncs": size.orders // SHORTER, "core": cores()[0] if cores() else None}

    def sync() -> None:
        say("a sync of the disk")
        syncs.append(child("benchmarks.journal", task))

    memory = {"journal": "memory"}
    rows = [
        Row(PROCESS, ENGINE),
        Row(DOUBLE, ENGINE, memory),
        Row(FULL, ENGINE, {"durability": "full"}),
        Row(CONTROL, ENGINE, memory),
    ]
    rounds, count = SHORTER * size.latency_rounds, size.orders // SHORTER
    orders = measure(rows, rounds, count, size.warm_up, say, beside=sync)
    return orders, syncs


def process_target(orders: Measured) -> Target:
    ratios = [
        one["p50"] / base
        for one, base in zip(orders.rounds.get(PROCESS, ()), in_memory(orders), strict=False)
    ]
    noise = number(orders.ratio(CONTROL, DOUBLE, "p50"))
    what = f"`process` ÷ in memory, tick-to-order p50 (A/A {noise}×)"
    return Target(
        what, median(ratios) if ratios else None, AT_MOST, 1.05, "×", orders.missing.get(PROCESS, "")
    )


def in_memory(orders: Measured) -> list[float]:
    """The p50 of each round with the double: the mean of its two runs."""
    both = zip(orders.rounds.get(DOUBLE, ()), orders.rounds.get(CONTROL, ()), strict=False)
    return [(one["p50"] + other["p50"]) / 2 for one, other in both]


def full_target(orders: Measured, syncs: list[dict[str, float]]) -> Target:
    """What `full` adds to tick-to-order, in syncs: the median of the rounds."""
    added: list[float] = []
    for full, memory, sync in zip(orders.rounds.get(FULL, ()), in_memory(orders), syncs, strict=False):
        if sync["p50"] >= NO_DISK_US:
            added.append((full["p50"] - memory) / sync["p50"])
    why = orders.missing.get(FULL, f"no disk is below {tempfile.gettempdir()}: name one by TMPDIR")
    what = "`full` − in memory, tick-to-order p50, in syncs of the same disk"
    return Target(what, median(added) if added else None, AT_MOST, 1.3, "", why)


def main() -> None:
    task = arguments()
    if "syncs" in task:
        reply(_syncs(task["syncs"], task["core"]))
    else:
        reply(_appends(task["appends"]))


def _syncs(count: int, core: int | None) -> dict[str, float]:
    """Microseconds of a sync, of one for each order; another follows, as the fill's does, and is not counted."""
    pin(core)
    run_first()
    record, taken = bytes(range(250)) * (RECORD_BYTES // 250), []
    with tempfile.TemporaryFile(prefix="fairlead-bench-") as file:
        handle = file.fileno()
        os.posix_fallocate(handle, 0, FILE_BYTES)
        os.fsync(handle)

        def sync() -> int:
            begun = perf_counter_ns()
            os.write(handle, record)
            os.fdatasync(handle)
            return perf_counter_ns() - begun

        for _ in range(count):
            time.sleep(EVERY * INTERVAL_NS / 1e9)
            taken.append(sync())
            sync()
    taken.sort()
    return {name: quantile(taken, q) / 1000 for name, q in QUANTILES.items()}


def _appends(count: int) -> dict[str, float]:
    from fairlead import OrderIntent, Side
    from fairlead._storage.journal import Journal
    from fairlead.facts import OrderSubmitted

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
    return {"bytes": size} | {name: (quantile(taken, q) - look) / 1000 for name, q in QUANTILES.items()}


if __name__ == "__main__":
    main()
