"""Flat over a long run: what an event costs, and what memory it leaves behind.

One backtest of ten million quotes with orders every 10,000, journal on. The cost of an event is the median over
pieces of a thousandth of the run: early is from 1 % to 10 % of it, late its last tenth. Memory is RssAnon of the
process, which leaves out the journal's mapped files, at 20 % of the run and at its end.
"""

from __future__ import annotations

import tempfile
from array import array
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from benchmarks import series
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
    reply,
)
from benchmarks.system import NO_PROC, has_proc, status_kib

PIECES = 1000
LAP = 100_000


def run(size: Size, say: Say) -> Report:
    report = Report("memory")
    cost, growth = "last tenth ÷ events from 1 % to 10 %", "RssAnon at the end − at 20 %"
    if not has_proc():
        report.targets = [
            Target(cost, None, AT_MOST, 1.10, "×", NO_PROC),
            Target(growth, None, AT_MOST, 2.0, " MiB", NO_PROC),
        ]
        return report
    say(f"{size.memory_events:,} quotes")
    found = child("benchmarks.memory", {"events": size.memory_events, "every": size.order_every})
    tenths, memory = found["tenths_ns"], found["rss_kib"]
    report.tables.append(Table(
        f"{size.memory_events:,} quotes in one backtest, {found['fills']} fills",
        ("", *(f"{10 * i + 10} %" for i in range(10))),
        [
            ("ns/event", *(f"{ns:.0f}" for ns in tenths)),
            ("RssAnon MiB", *(f"{kib / 1024:.1f}" for kib in memory)),
        ],
    ))  # fmt: skip
    at_20 = memory[1] / 1024
    report.targets = [
        Target(cost, found["late_ns"] / found["early_ns"], AT_MOST, 1.10, "×"),
        Target(
            f"{growth} ({number(at_20)} MiB)",
            memory[-1] / 1024 - at_20,
            AT_MOST,
            max(2.0, at_20 / 100),
            " MiB",
        ),
    ]
    report.figures = found
    return report


def main() -> None:
    from benchmarks import composition
    from fairlead import Quote

    task = arguments()
    events, piece = task["events"], task["events"] // PIECES
    times, memory = array("q", [0] * (PIECES + 1)), array("q", [0] * 10)

    class Watched(composition.EveryN):
        """Looks at the clock after each thousandth, and at memory after each tenth."""

        def on_quote(self, quote: Quote) -> None:
            super().on_quote(quote)
            done, rest = divmod(self.seen - self.first, piece)
            if rest == 0:
                times[done] = perf_counter_ns()
                if done % (PIECES // 10) == 0:
                    memory[done // (PIECES // 10) - 1] = status_kib("RssAnon")

    stream = composition.Laps(series.make("quotes", min(LAP, events)), max(1, events // LAP))
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        times[0] = perf_counter_ns()
        result = composition.backtest(Watched("quotes", task["every"]), stream, Path(folder, "run"))
        fills = sum(1 for _ in result.fills())
    costs = [(after - before) / piece for before, after in pairwise(times)]
    tenth = PIECES // 10
    reply({
        "early_ns": median(costs[PIECES // 100 : tenth]), "late_ns": median(costs[-tenth:]),
        "tenths_ns": [median(costs[i : i + tenth]) for i in range(0, PIECES, tenth)],
        "rss_kib": list(memory), "fills": fills,
    })  # fmt: skip


if __name__ == "__main__":
    main()
