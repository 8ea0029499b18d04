"""Time, chance, ids and threads enter through their seams; nothing shipped reaches around them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(
    file
    for folder in ("core/src", "plugins/*/src", "brokers/*/src", "examples/plugins/*/src")
    for file in ROOT.glob(f"{folder}/**/*.py")
)

WATCHED = {
    "time": {
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "sleep",
        "localtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "random": None,
    "secrets": None,
    "uuid": None,
    "threading": {"Thread", "Timer"},
    "futures": {"ThreadPoolExecutor", "ProcessPoolExecutor"},
    "multiprocessing": None,
    "os": {"urandom", "fork", "getrandom"},
    "asyncio": {"to_thread"},
    "loop": {"run_in_executor"},
}
"""Modules, types and their members that are watched; None is all of them."""

SEAMS = {
    (
        "core/src/fairlead/net/workers.py",
        "concurrent.futures.ThreadPoolExecutor",
    ): "the threads for libraries that block",
    ("core/src/fairlead/_kernel/clock.py", "time.time_ns"): "the clock: wall time, read once at the start",
    ("core/src/fairlead/_kernel/clock.py", "time.monotonic_ns"): "the clock: what has passed since",
    (
        "core/src/fairlead/_storage/journal.py",
        "threading.Thread",
    ): "the seam of threads: syncs behind the journal",
    (
        "core/src/fairlead/_engine/keeping.py",
        "threading.Thread",
    ): "the seam of threads: waits for a process that makes a snapshot",
    (
        "core/src/fairlead/_engine/answers.py",
        "asyncio.to_thread",
    ): "the seam of threads: plain functions of ask()",
    (
        "core/src/fairlead/_engine/stall.py",
        "threading.Thread",
    ): "the seam of threads: sees a loop that blocks",
    (
        "core/src/fairlead/_engine/shutdown.py",
        "threading.Thread",
    ): "the seam of threads: ends what blocks the end of a run",
    (
        "core/src/fairlead/_engine/background.py",
        "threading.Thread",
    ): "background() is a thread; the kernel stays in it",
    (
        "core/src/fairlead/_cli/screen.py",
        "time.sleep",
    ): "a terminal in a process of its own, for a person's eyes",
    (
        "core/src/fairlead/_cli/reconciling.py",
        "time.monotonic",
    ): "a person at the command line waits for a comparison",
    ("core/src/fairlead/_cli/reconciling.py", "time.sleep"): "the same",
    ("core/src/fairlead/_cli/logs.py", "time.sleep"): "a terminal that follows a file, for a person's eyes",
    (
        "core/src/fairlead/_control/client.py",
        "os.urandom",
    ): "the name of a request: it need only differ from all others",
    ("core/src/fairlead/_cli/watching.py", "time.monotonic"): "how often a terminal is written to",
    (
        "plugins/sim/src/fairlead_sim/serve.py",
        "time.time_ns",
    ): "a venue in a process of its own has its own clock",
    ("plugins/conformance/src/fairlead_conformance/wall.py", "time.time_ns"): "the date of a report",
    (
        "plugins/conformance/src/fairlead_conformance/watch.py",
        "time.perf_counter_ns",
    ): "how long a callback of an adapter held the loop, which virtual time cannot tell",
    (
        "plugins/conformance/src/fairlead_conformance/broker/model.py",
        "random.Random",
    ): "random days of a broker, from their seeds",
    (
        "plugins/conformance/src/fairlead_conformance/reconciler.py",
        "random.Random",
    ): "random differences, from a seed",
    (
        "plugins/venue/src/fairlead_venue/clock.py",
        "time.time_ns",
    ): "a venue in a box has its own clock",
    ("plugins/venue/src/fairlead_venue/faults.py", "random.Random"): "faults by chance, from the plan's seed",
    ("plugins/venue/src/fairlead_venue/gate.py", "random.Random"): "latency by chance, from the plan's seed",
    (
        "plugins/venue/src/fairlead_venue/handle.py",
        "threading.Thread",
    ): "a venue beside a test has a loop of its own",
    ("plugins/sim/src/fairlead_sim/faults.py", "random.Random"): "faults by chance, from the plan's seed",
    (
        "plugins/sim/src/fairlead_sim/models.py",
        "random.Random",
    ): "fills and latency by chance, from a model's seed",
    (
        "plugins/streams/src/fairlead_streams/script.py",
        "random.Random",
    ): "faults of an invented market, from its seed",
    (
        "plugins/streams/src/fairlead_streams/synthetic.py",
        "random.Random",
    ): "an invented market, from its seed",
}
"""What may be used where, and why: (file, name) to the reason."""


def names_of(tree: ast.AST) -> dict[str, str]:
    """What the imports of a file call things: local name to the full one."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def uses(source: str) -> Iterator[tuple[int, str]]:
    """Every use of something watched, called or handed on: its line and its full name."""
    tree = ast.parse(source)
    names = names_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            first, _, rest = owner.partition(".")
            if first not in names and not owner.endswith("loop"):
                continue
            whole = [names[first], rest] if first in names else ["loop"]
            full = ".".join(filter(None, [*whole, node.attr]))
        elif isinstance(node, ast.Name) and "." in names.get(node.id, ""):
            full = names[node.id]
        else:
            continue
        *owners, member = full.split(".")
        for owner in owners:
            wanted = WATCHED.get(owner, ())
            if wanted is None or member in wanted:
                yield node.lineno, full
                break


def test_nothing_reaches_around_a_seam():
    """No clock, random source, id or thread is used outside its seam; each exception is named with its reason."""
    wrong, used = [], set()
    for file in SHIPPED:
        where = file.relative_to(ROOT).as_posix()
        for line, name in uses(file.read_text(encoding="utf-8")):
            if (where, name) in SEAMS:
                used.add((where, name))
            else:
                wrong.append(f"{where}:{line} uses {name}")
    assert wrong == []
    needless = {(file, name) for file, name in SEAMS if (ROOT / file).exists()} - used
    assert needless == set(), "an exception that nobody needs any more"


def test_chance_has_a_seed():
    """Where chance is allowed, every source of it is made from a seed: never from the machine."""
    for file in {file for file, name in SEAMS if name == "random.Random"}:
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Random", "random.Random"):
                assert node.args, f"{file}:{node.lineno} has no seed"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ntime.time()", "time.time"),
        ("import time as t\nx = t.monotonic_ns", "time.monotonic_ns"),
        ("from time import time_ns as now\nnow()", "time.time_ns"),
        ("from datetime import datetime, UTC\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("import datetime as dt\ndt.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("from random import Random\nRandom(1)", "random.Random"),
        ("import random\nrandom.seed(1)", "random.seed"),
        ("from uuid import uuid4\nuuid4()", "uuid.uuid4"),
        ("import threading\nthreading.Thread(target=print)", "threading.Thread"),
        ("import os\nos.urandom(8)", "os.urandom"),
        ("self._loop.run_in_executor(None, print)", "loop.run_in_executor"),
    ],
)
def test_the_watch_sees(source, found):
    """The net catches aliases, from-imports and what is handed on without a call."""
    assert found in [name for _, name in uses(source)]


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nthreading.Event()",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
        "class A:\n    now = 1\nA().now",
        "bar.time\nself.time.reach(1)",
        "def sizes(random): return random.random()",
    ],
)
def test_the_watch_lets_pass(source):
    """Words alone are no offence."""
    assert list(uses(source)) == []
