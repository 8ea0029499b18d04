"""Run the clients against the venue, each in its own process on a core of its own, in interleaved rounds."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.latency.server import BURST, EVERY
from benchmarks.rig import ChildFailed, Say, Unavailable, answer, interleaved, quantile, start
from benchmarks.system import cores

RAW = "picows"
CONTROL = "picows again (A/A)"
QUANTILES = {"p10": 0.10, "p50": 0.50, "p99": 0.99, "p99.9": 0.999}
SETTLE_NS = 200_000_000


@dataclass(frozen=True)
class Row:
    """A client: a module of ours with its arguments, or a program."""

    name: str
    module: str = ""
    task: dict[str, Any] = field(default_factory=dict)
    program: str = ""
    spinning: bool = False


BARE = "benchmarks.latency.bare"
ENGINE = "benchmarks.latency.engine"


def build_c(folder: Path) -> str:
    """Compile the C client. Raises Unavailable where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler: its rows are left out")
    program = folder / "client"
    source = Path(__file__).with_name("client.c")
    command = [compiler, "-O2", "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{compiler} failed: its rows are left out ({done.stderr.splitlines()[-1]})")
    return str(program)


@dataclass
class Measured:
    """What the rounds of each row gave, in µs, one dictionary of quantiles a round."""

    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    priorities: dict[str, str] = field(default_factory=dict)

    def figure(self, row: str, q: str) -> float | None:
        """The median over rounds."""
        return median(one[q] for one in self.rounds[row]) if self.rounds.get(row) else None

    def ratios(self, row: str, base: str, q: str) -> list[float]:
        """Round by round, what a row took for each µs of another."""
        return [
            mine[q] / other[q]
            for mine, other in zip(self.rounds.get(row, ()), self.rounds.get(base, ()), strict=False)
        ]

    def ratio(self, row: str, base: str, q: str) -> float | None:
        """The median of the rounds' ratios."""
        return median(found) if (found := self.ratios(row, base, q)) else None

    def noise(self, q: str, base: str = RAW, control: str = CONTROL) -> float:
        """The worst ratio of two runs of the same thing, whichever was the slower."""
        return max((max(one, 1 / one) for one in self.ratios(control, base, q)), default=1.0)


def measure(
    rows: Sequence[Row],
    rounds: int,
    orders: int,
    warm_up: int,
    say: Say,
    *,
    burst: bool = False,
    beside: Callable[[], None] = lambda: None,
) -> Measured:
    """Interleave the rows, and once in each round whatever else is to be compared with them.

    A row that cannot be had is in `missing`; raises ChildFailed for one that breaks.
    """
    found = Measured()
    available = cores()
    if len(available) < 2:
        raise ChildFailed("tick-to-order needs two cores: one for the venue, one for the client")
    by_name = {row.name: row for row in rows}
    for at, (turn, name) in enumerate(interleaved(rounds, list(by_name))):
        if at % len(rows) == len(rows) // 2:
            beside()
        if name in found.missing:
            continue
        say(f"round {turn + 1} of {rounds}: {name}")
        try:
            row, apart = by_name[name], (available[0], available[1])
            kept, dropped, priority = _once(row, orders, warm_up, apart, burst=burst)
        except Unavailable as error:
            found.missing[name] = str(error)
            continue
        ordered = sorted(ns / 1000 for ns in kept)
        found.rounds.setdefault(name, []).append({q: quantile(ordered, at) for q, at in QUANTILES.items()})
        found.dropped[name] = found.dropped.get(name, 0) + dropped
        found.kept[name] = found.kept.get(name, 0) + len(kept)
        found.priorities[name] = priority
    return found


def _once(
    row: Row, orders: int, warm_up: int, apart: tuple[int, int], *, burst: bool
) -> tuple[list[int], int, str]:
    client_core, server_core = apart
    venue = start("benchmarks.latency.server", {
        "core": server_core, "orders": orders, "warm_up": warm_up, "burst": burst, "settle_ns": SETTLE_NS,
    })  # fmt: skip
    client: subprocess.Popen[str] | None = None
    try:
        port = _port(venue)
        every = BURST if burst else EVERY
        if row.program:
            client = _program(row, port, every, client_core)
        else:
            task = {"core": client_core, "port": port, "every": every, "spinning": row.spinning, **row.task}
            client = start(row.module, task)
        found = _found(venue, client)
        priority = answer(client, 60)["priority"]
    finally:
        for process in (venue, client):
            if process is not None:
                _end(process)
    if found["wrong"]:
        raise ChildFailed(f"{row.name}: {found['wrong']} orders came that no tick asked for")
    if not found["latencies"]:
        raise Unavailable(f"{row.name}: other processes disturbed every sample; row left out")
    return found["latencies"], found["dropped"], priority


def _end(process: subprocess.Popen[str]) -> None:
    """Nothing of it stays, however far it got."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _port(venue: subprocess.Popen[str]) -> int:
    """Where the venue listens. Raises ChildFailed where it died before it did."""
    assert venue.stdout is not None
    said = venue.stdout.readline()
    if not said:
        answer(venue, 10)  # raises: it ended without a word
    return int(said)


def _program(row: Row, port: int, every: int, core: int) -> subprocess.Popen[str]:
    command = [row.program, str(port), str(every), str(int(row.spinning)), str(core)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def _found(venue: subprocess.Popen[str], client: subprocess.Popen[str]) -> Any:
    """What the venue measured; where the client ended first, what the client has to say."""
    with selectors.DefaultSelector() as selector:
        for process in (venue, client):
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, process)
        first = selector.select(300)
    if first and all(key.data is client for key, _ in first):
        try:
            venue.wait(2)
        except subprocess.TimeoutExpired:
            venue.kill()
            said = client.communicate(timeout=10)
            raise _early(client.returncode, *said) from None
    try:
        return answer(venue, 10)
    except ChildFailed as error:
        client.kill()
        raise ChildFailed(f"{error}\n{client.communicate()[1]}".strip()) from None


def _early(code: int, out: str, errors: str) -> Exception:
    """Why a client ended before the venue had its orders."""
    if not code and out.strip() and "unavailable" in (said := json.loads(out.splitlines()[-1])):
        return Unavailable(said["unavailable"])
    return ChildFailed(f"the client ended early, status {code}: {(errors or out).strip()[-2000:]}")
