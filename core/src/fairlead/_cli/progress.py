"""A line that moves while long work goes on, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str, int], None]
"""Told what is being done, and how much of the total is."""


@contextmanager
def progress(what: str, total: int = 0) -> Iterator[Say | None]:
    """Show how far work is: a bar where its total is known, else that it moves. None off a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if total:
        columns += [BarColumn(bar_width=30), TextColumn("{task.percentage:>3.0f} %")]
    columns.append(TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda text, done: bar.update(task, description=text, completed=done)
