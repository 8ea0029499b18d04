"""Whole-kernel throughput: events per second of a backtest, fairlead beside NautilusTrader.

The same seeded quotes, or one-minute bars, and the same strategy: it reads each event's price and sends a market order
of `QUANTITY` every N events, alternately buy and sell, the first after half of N. Only the run is timed, in a process
of its own; NautilusTrader gets its event objects ready-made, fairlead makes them from the columns within the time.
fairlead runs strategy, marking, gate with the default breakers, simulated venue and journal; NautilusTrader its
BacktestEngine as it comes, logging off. Both must fill the same orders.
"""

from __future__ import annotations

import tempfile
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import peers, series
from benchmarks.rig import (
    AT_LEAST,
    ChildFailed,
    Report,
    Say,
    Size,
    Table,
    Target,
    Unavailable,
    child,
    interleaved,
    number,
)

QUANTITY = "0.01"
CASH = 1_000_000
FLOORS = {"quotes": 4.0, "bars": 5.0}

Runs = dict[str, list[dict[str, Any]]]


def run(size: Size, say: Say) -> Report:
    report = Report("throughput")
    missing: dict[str, str] = {}
    pythons: dict[str, Any] = {"fairlead": {}}
    try:
        pythons["nautilus"] = {"python": peers.python_with(peers.NAUTILUS, say)}
    except Unavailable as error:
        missing["nautilus"] = str(error)
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        for kind in FLOORS:
            say(f"making {size.events:,} {kind}")
            series.save(series.make(kind, size.events), Path(folder, kind))
        rows = [f"{engine} {kind}" for kind in FLOORS for engine in pythons]
        runs: Runs = {row: [] for row in rows}
        for turn, row in interleaved(size.rounds, rows):
            engine, kind = row.split()
            if engine in missing:
                continue
            say(f"round {turn + 1} of {size.rounds}: {row}")
            task = {"kind": kind, "folder": str(Path(folder, kind)), "every": size.order_every}
            try:
                runs[row].append(child(f"benchmarks.throughput.{engine}", task, **pythons[engine]))
            except Unavailable as error:
                missing[engine] = str(error)
    _check(runs, size)
    _fill(report, runs, missing, size)
    return report


def wanted_sides(size: Size) -> list[str]:
    """The sides of the orders that every engine must fill, in order."""
    return list(islice(cycle(("buy", "sell")), (size.events + size.order_every // 2) // size.order_every))


def _check(runs: Runs, size: Size) -> None:
    for row, found in runs.items():
        for one in found:
            if one["sides"] != wanted_sides(size) or one["seen"] != size.events:
                raise ChildFailed(
                    f"{row}: {one['seen']:,} events and {len(one['sides'])} fills, which is not what was sent: "
                    f"its speed means nothing"
                )


def _fill(report: Report, runs: Runs, missing: dict[str, str], size: Size) -> None:
    rates = {row: [size.events / one["seconds"] for one in found] for row, found in runs.items() if found}
    rate = {row: median(each) for row, each in rates.items()}
    body = []
    for row, each in rates.items():
        peer = rate.get(f"nautilus {row.split()[1]}")
        fills = runs[row][0]["sides"]
        body.append((
            row, f"{rate[row]:,.0f}", f"{1e6 / rate[row]:.2f}", f"{min(each):,.0f}–{max(each):,.0f}",
            f"{fills.count('buy')} + {fills.count('sell')}", number(peer and rate[row] / peer),
        ))  # fmt: skip
    versions = ", ".join(sorted({found[0]["version"] for found in runs.values() if found}))
    report.tables.append(Table(
        f"{size.events:,} events, medians of {size.rounds} interleaved rounds ({versions})",
        ("engine, events", "events/s", "µs/event", "range", "fills buy + sell", "÷ nautilus"), body,
        [*missing.values(), f"every engine filled the same {len(wanted_sides(size))} orders, side by side"],
    ))  # fmt: skip
    for kind, floor in FLOORS.items():
        ours, peer = rate.get(f"fairlead {kind}"), rate.get(f"nautilus {kind}")
        times = ours / peer if ours and peer else None
        why = next(iter(missing.values()), "nothing was measured")
        report.targets.append(Target(f"{kind}/s ÷ NautilusTrader", times, AT_LEAST, floor, "×", why))
    report.figures = {"events_per_second": rate, "rounds": rates}
