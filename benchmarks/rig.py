"""What every benchmark shares: sizes, child processes, tables, targets and a few statistics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]

AT_MOST, AT_LEAST = "at most", "at least"


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    name: str
    rounds: int  # of throughput
    events: int  # of each throughput run, and half a pair of orders every `order_every`
    order_every: int
    latency_rounds: int
    orders: int  # of each row in each latency round, after `warm_up` of them
    warm_up: int
    bursts: int
    memory_events: int
    starts: int
    idle_seconds: float
    appends: int
    restart_facts: int
    restarts: int  # of a whole engine, killed after each


SIZES = {
    "full": Size("full", 3, 1_000_000, 10_000, 5, 1440, 200, 300, 10_000_000, 7, 8, 200_000, 1_000_000, 100),
    "quick": Size("quick", 1, 1_000_000, 10_000, 2, 400, 100, 60, 10_000_000, 5, 4, 50_000, 1_000_000, 20),
    # What continuous integration can afford; for bounds that a busy machine keeps too.
    "ci": Size("ci", 1, 100_000, 10_000, 2, 200, 50, 20, 500_000, 5, 3, 20_000, 200_000, 5),
    # Proves that everything runs; its figures mean nothing.
    "tiny": Size("tiny", 1, 20_000, 1_000, 1, 40, 10, 5, 100_000, 2, 1, 2_000, 60_000, 2),
}


class Unavailable(Exception):
    """A row cannot be measured here; the message says why."""


class ChildFailed(Exception):
    """A measuring process failed; the message is the end of what it wrote."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a title, with sentences below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def lines(self) -> Iterable[str]:
        yield self.title
        grid = [list(self.columns), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        for row in grid:
            cells = (cell.ljust(width) if i == 0 else cell.rjust(width)
                     for i, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
            yield "  " + "  ".join(cells).rstrip()
        yield from (f"  {note}" for note in self.notes)


@dataclass(frozen=True)
class Target:
    """One promise and what was measured; a figure of None could not be had, and `why` says so."""

    what: str
    figure: float | None
    sense: str
    bound: float
    unit: str = ""
    why: str = ""

    @property
    def met(self) -> bool | None:
        if self.figure is None:
            return None
        return self.figure <= self.bound if self.sense == AT_MOST else self.figure >= self.bound

    def line(self) -> str:
        promise = f"{self.sense} {number(self.bound)}{self.unit}"
        if self.figure is None:
            return f"  not measured  {self.what}: {promise} ({self.why})"
        return f"  {'met' if self.met else 'NOT MET':12}  {self.what}: {number(self.figure)}{self.unit}, {promise}"


@dataclass
class Report:
    """What one benchmark found; `figures` is for machines."""

    name: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        for table in self.tables:
            yield from table.lines()
            yield ""
        yield from (target.line() for target in self.targets)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "targets": [asdict(target) | {"met": target.met} for target in self.targets],
            "figures": self.figures,
        }


Say = Callable[[str], None]


class Benchmark(Protocol):
    """A module with one function."""

    def run(self, size: Size, say: Say) -> Report: ...


def child(
    module: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    python: str | Path = sys.executable,
    timeout: float = 900,
) -> Any:
    """Run `python -m module` with its arguments as JSON, and return the JSON of its last line.

    Raises ChildFailed, or Unavailable where the child says so.
    """
    return answer(start(module, arguments, python=python), timeout)


def start(
    module: str, arguments: Mapping[str, Any] | None = None, *, python: str | Path = sys.executable
) -> subprocess.Popen[str]:
    """Begin what `child` does, in a session of its own; `answer` ends it."""
    return subprocess.Popen(
        [str(python), "-m", module, json.dumps(dict(arguments or {}))],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def answer(process: subprocess.Popen[str], timeout: float = 900) -> Any:
    """Wait for a process of `start` and return what it found."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        errors += f"\ngiven up after {timeout:.0f} s"
    except BaseException:
        process.kill()  # Ctrl-C does not reach another session
        raise
    if process.returncode:
        last = "\n".join((errors or out).strip().splitlines()[-12:])
        raise ChildFailed(last or f"it ended with status {process.returncode} and said nothing")
    if not out.strip():
        raise ChildFailed(f"it ended without an answer\n{errors.strip()}".strip())
    said = json.loads(out.strip().splitlines()[-1])
    if isinstance(said, dict) and "unavailable" in said:
        raise Unavailable(said["unavailable"])
    return said


def arguments() -> dict[str, Any]:
    """In a child: what it was given."""
    given: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    return given


def reply(found: Any) -> None:
    """In a child: hand back the result."""
    print(json.dumps(found), flush=True)


def interleaved(rounds: int, rows: Sequence[str]) -> Iterable[tuple[int, str]]:
    """Every row in every round; each second round backwards, so that no row always follows the same one."""
    for turn in range(rounds):
        yield from ((turn, row) for row in (rows if turn % 2 == 0 else rows[::-1]))


def quantile(ordered: Sequence[float], q: float) -> float:
    """The nearest-rank quantile of values in order."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def middle(values: Iterable[float]) -> float | None:
    """The median, None of nothing."""
    held = list(values)
    return median(held) if held else None


def number(value: float | None, digits: int = 3) -> str:
    """A figure for a table: three digits that matter, thousands apart."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if abs(value) < 100 else f"{value:.0f}"
