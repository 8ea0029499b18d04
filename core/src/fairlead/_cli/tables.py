"""Output: JSON for programs, plain tables for people, colour on a terminal that wants it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

LEAST_COLUMN = 8
"""A column that is cut keeps at least so many characters."""


def print_json(value: Any) -> None:
    """Stable JSON: sorted keys, readable."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(
    rows: Sequence[Sequence[str]], headings: Sequence[str], right: str = "", cut: str = ""
) -> None:
    """A plain table; `right` names the columns that hold figures, `cut` those that give way on a narrow terminal."""
    widths = [max(len(str(row[i])) for row in [headings, *rows]) for i in range(len(headings))]
    if sys.stdout.isatty():
        _fit(widths, [headings.index(name) for name in cut.split()])
    for number, row in enumerate([headings, *rows]):
        cells = []
        for cell, width, heading in zip(row, widths, headings, strict=True):
            text = cell if len(cell) <= width else cell[: width - 1] + "…"
            cells.append(text.rjust(width) if heading in right.split() else text.ljust(width))
        line = "  ".join(cells).rstrip()
        click.echo(paint(line, dim=True) if number == 0 else line)


def _fit(widths: list[int], flexible: Sequence[int]) -> None:
    room = shutil.get_terminal_size().columns
    for index in flexible:
        over = sum(widths) + 2 * (len(widths) - 1) - room
        if over > 0:
            widths[index] = max(LEAST_COLUMN, widths[index] - over)


def print_sentence(text: str, indent: str = "  ") -> None:
    """A sentence, broken between words where a terminal's line ends."""
    if sys.stdout.isatty():
        width = max(40, shutil.get_terminal_size().columns)
        text = click.wrap_text(text, width, initial_indent=indent, subsequent_indent=f"{indent}  ")
    else:
        text = f"{indent}{text}"
    click.echo(text)


def paint(text: str, **style: Any) -> str:
    """The text in colour, where a terminal shows it and nobody said NO_COLOR."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **style)
