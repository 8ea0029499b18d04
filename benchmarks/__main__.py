"""`python -m benchmarks [NAME..] [--quick] [--json FILE]`; `./dev bench` is the same in its environment."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path
from typing import cast

from benchmarks.rig import SIZES, Benchmark, ChildFailed, Report

NAMES = ("throughput", "latency", "burst", "memory", "startup", "journal", "restart", "breakers")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure fairlead beside its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all if none is given"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: minutes, not a quarter of an hour"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="only see that everything runs; the figures mean nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; the names are {', '.join(NAMES)}")
    size = SIZES["tiny" if options.tiny else "quick" if options.quick else "full"]
    print(f"fairlead benchmarks, {size.name}: {platform.machine()}, Python {platform.python_version()}")
    reports, failed = [], False
    for name in options.names or NAMES:
        print(f"\n── {name} " + "─" * (76 - len(name)), flush=True)
        benchmark = cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))
        try:
            report = benchmark.run(size, _say)
        except ChildFailed as error:
            failed = True
            print(f"  failed: {error}")
            continue
        reports.append(report)
        print("\n".join(report.lines()), flush=True)
    if options.json:
        _write(options.json, size.name, reports)
    return 2 if failed else 0


def _say(text: str) -> None:
    """Progress, away from the tables."""
    print(f"  … {text}", file=sys.stderr, flush=True)


def _write(file: Path, size: str, reports: list[Report]) -> None:
    content = {
        "size": size,
        "python": platform.python_version(),
        "reports": [item.as_json() for item in reports],
    }
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
