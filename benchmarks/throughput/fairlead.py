"""One timed backtest of fairlead: strategy, marks, gate with the default breakers, simulated venue, journal."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import fairlead
from benchmarks import composition, series
from benchmarks.rig import arguments, reply


def main() -> None:
    task = arguments()
    stream = composition.replay(task["kind"], series.load(task["kind"], Path(task["folder"])))
    strategy = composition.EveryN(task["kind"], task["every"])
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        begun = perf_counter()
        result = composition.backtest(strategy, stream, Path(folder, "run"))
        seconds = perf_counter() - begun
        sides = [str(fill.side) for fill in result.fills()]
    ran = composition.EveryN.running or strategy
    reply({
        "seconds": seconds, "seen": ran.seen - ran.first, "sides": sides,
        "version": f"fairlead {fairlead.__version__}",
    })  # fmt: skip


if __name__ == "__main__":
    main()
