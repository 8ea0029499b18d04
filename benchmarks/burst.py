"""A burst: 100 trade frames in one write every 20 ms, an order on the last; otherwise as `latency`."""

from __future__ import annotations

from benchmarks.latency import OURS, OURS_SPINNING, RAW_SPINNING, figures, table, target
from benchmarks.latency.rows import BARE, CONTROL, ENGINE, RAW, Row, measure
from benchmarks.latency.server import BURST
from benchmarks.rig import Report, Say, Size


def run(size: Size, say: Say) -> Report:
    report = Report("burst")
    rows = [
        Row(RAW, BARE), Row(CONTROL, BARE), Row(OURS, ENGINE),
        Row(RAW_SPINNING, BARE, spinning=True), Row(OURS_SPINNING, ENGINE, spinning=True),
    ]  # fmt: skip
    found = measure(rows, size.latency_rounds, size.bursts, max(5, size.bursts // 10), say, burst=True)
    amount = f"{size.latency_rounds} rounds × {size.bursts} bursts"
    title = f"{BURST} ticks at once, order on the last, µs, medians of {amount}"
    report.tables.append(table(found, title))
    report.targets = [target(found, "burst p50 ÷ picows", OURS, RAW, "p50", 1.7)]
    report.figures = figures(found)
    return report
