"""Tick-to-order over loopback: from the venue's send of a tick to its receipt of the order that the tick caused.

The venue (`server.py`) is a busy-polling process on one core; each client runs on another, SCHED_RR where that is
allowed. A trade frame goes out every 500 µs and every 5th is ordered on. Every row decodes the frame, signs by HMAC
and answers on a second WebSocket, except the C clients, which are the floor. The raw limit is picows on uvloop with
nothing else; it runs twice in each round, and what its two runs differ by is the noise (A/A). fairlead's rows are the
whole engine: stream, kernel, strategy, gate with the default breakers, journal, broker.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.latency.rows import BARE, CONTROL, ENGINE, QUANTILES, RAW, Measured, Row, build_c, measure
from benchmarks.rig import AT_MOST, Report, Say, Size, Table, Target, Unavailable, child, number, quantile

RAW_SPINNING = "picows busy-polling"
OURS, OURS_SPINNING = "fairlead", "fairlead busy_poll"
C, C_SPINNING = "C blocking", "C busy-polling"


def run(size: Size, say: Say) -> Report:
    report = Report("latency")
    rows = [
        Row(RAW, BARE), Row(CONTROL, BARE), Row(OURS, ENGINE),
        Row(RAW_SPINNING, BARE, spinning=True), Row(OURS_SPINNING, ENGINE, spinning=True),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        missing = {}
        try:
            program = build_c(Path(folder))
            rows += [Row(C, program=program), Row(C_SPINNING, program=program, spinning=True)]
        except Unavailable as error:
            missing[C] = str(error)
        found = measure(rows, size.latency_rounds, size.orders, size.warm_up, say)
    found.missing |= missing
    amount = f"{size.latency_rounds} rounds × {size.orders:,} orders"
    report.tables.append(table(found, f"tick-to-order, µs, medians of {amount}"))
    say("the chain inside the process")
    chain = child(
        "benchmarks.latency.inside", {"orders": size.warm_up + size.orders, "warm_up": size.warm_up}
    )
    report.tables.append(inside_table(chain))
    worst = found.noise("p99")
    report.targets = [
        target(found, "p50 ÷ picows", OURS, RAW, "p50", 1.15),
        target(found, f"p99 ÷ picows (A/A {number(worst)}×)", OURS, RAW, "p99", max(1.5, worst)),
        target(found, "busy_poll p50 ÷ own blocking p50", OURS_SPINNING, OURS, "p50", 0.5),
        target(found, "busy_poll p50 ÷ C busy-polling", OURS_SPINNING, C_SPINNING, "p50", 1.7),
    ]
    report.figures = figures(found) | {"inside": chain}
    return report


def inside_table(chain: dict[str, list[int]]) -> Table:
    body = [
        (name, *(number(quantile(chain[key], q) / 1000) for q in QUANTILES.values()))
        for name, key in (("decode and sign by hand", "bare_ns"), ("fairlead", "engine_ns"))
    ]
    title = "inside the process, no socket: from the frame to the order's bytes, µs"
    return Table(title, ("", *QUANTILES), body)


def target(found: Measured, what: str, row: str, base: str, q: str, bound: float) -> Target:
    why = found.missing.get(row) or found.missing.get(base) or "what it is measured against is missing"
    return Target(what, found.ratio(row, base, q), AT_MOST, bound, "×", why)


def table(found: Measured, title: str, base: str = RAW) -> Table:
    body = []
    for row in found.rounds:
        values = [number(found.figure(row, q)) for q in QUANTILES]
        ratios = [number(found.ratio(row, base, q)) for q in ("p50", "p99")]
        each = found.ratios(row, base, "p50")
        body.append((
            row, *values, *ratios, f"{min(each):.2f}–{max(each):.2f}",
            f"{found.kept[row]:,} − {found.dropped[row]:,}", found.priorities[row],
        ))  # fmt: skip
    return Table(
        title,
        ("client", *QUANTILES, "p50 ÷", "p99 ÷", "p50 ÷ by round", "samples − dropped", "priority"),
        body, [f"÷ is by {base}, round by round", *dict.fromkeys(found.missing.values())],
    )  # fmt: skip


def figures(found: Measured) -> dict[str, object]:
    return {"rounds": found.rounds, "kept": found.kept, "dropped": found.dropped, "missing": found.missing}
