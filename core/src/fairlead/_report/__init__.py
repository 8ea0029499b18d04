"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairlead._engine.priceline import Points
from fairlead._report.digest import digest
from fairlead._report.page import page
from fairlead._storage.files import write_whole
from fairlead._storage.run import RunFolder


def write_report(
    folder: RunFolder,
    path: str | Path | None = None,
    *,
    prices: Mapping[str, Points] | None = None,
    kind: str = "",
    label: str = "",
) -> Path:
    """Write the report of a run, finished or not, and return where it is (`reports/report.html` without a path).

    Everything comes from the journal; prices from the tape, unless they are given. `kind` is PAPER, LIVE or
    BACKTEST and `label` says what the data are; without them `run.json` is asked.
    """
    target = Path(path) if path is not None else folder.reports / "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page(digest(folder, prices=prices, kind=kind, label=label)).encode())
    return target
