"""Reads JSON lines, one object or array a line, and a whole file that is one JSON array of them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, TextIO

from fairlead import ConfigurationError
from fairlead_streams.tables import CHUNK, Chunk, Table, in_columns


def read_json(file: str, text: TextIO) -> Table:
    """A file of JSON as a table; lines count from 1, and so do the rows of one that is a single array."""
    first = text.readline()
    whole = _whole(file, first, text)
    table = Table(None, iter(()), "line" if whole is None else "row")
    rows = _lines(chain([first], text), table) if whole is None else _items(whole, table)
    start = next(rows, None)
    if start is None:
        raise ConfigurationError(
            f"{file}: none of its lines is a JSON object or array: check that it is JSON lines"
        )
    if isinstance(start[1], dict):
        table.names = tuple(start[1])
    table.chunks = _chunks(chain([start], rows), table)
    return table


def _whole(file: str, first: str, rest: Iterable[str]) -> list[Any] | None:
    """The rows of a file that is one array of them; None for JSON lines."""
    opening = first.lstrip()
    if not opening.startswith("["):
        return None
    try:
        value = json.loads(first)
    except ValueError:
        value = None
    if value is not None:
        return value if value and isinstance(value[0], (list, dict)) else None
    if opening.strip() != "[" and not opening.startswith(("[[", "[{")):
        return None
    try:
        return list(json.loads(first + "".join(rest)))
    except ValueError as fault:
        raise ConfigurationError(
            f"{file}: it is one JSON array that ends early or is damaged ({fault}): copy or download it again"
        ) from None


def _lines(lines: Iterable[str], table: Table) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _inner(json.loads(line))
        except ValueError:
            table.ragged.append((number, f"{line.strip()[:40]!r} is not JSON"))
            continue
        if row is None:
            table.ragged.append((number, "it is neither a JSON object nor an array"))
        elif isinstance(row, dict) and row.get("x") is False and "o" in row:
            table.unfinished += 1
        else:
            yield number, row


def _items(items: list[Any], table: Table) -> Iterator[tuple[int, Any]]:
    for number, item in enumerate(items, start=1):
        row = _inner(item)
        if row is None:
            table.ragged.append((number, "it is neither a JSON object nor an array"))
        else:
            yield number, row


def _inner(row: Any) -> Any:
    """The part of a wire message that is the row: within `data`, and of a candle within `k`."""
    if isinstance(row, dict) and isinstance(row.get("data"), dict):
        row = row["data"]
    if isinstance(row, dict) and isinstance(row.get("k"), dict):
        row = row["k"]
    return row if isinstance(row, (dict, list)) else None


def _chunks(rows: Iterable[tuple[int, Any]], table: Table) -> Iterator[Chunk]:
    names = table.names
    lines: array[int] = array("q")
    cells: list[list[Any]] = []
    for line, row in rows:
        if isinstance(row, dict) != (names is not None):
            table.ragged.append((line, "it is not of the form of the first"))
            continue
        lines.append(line)
        cells.append(list(map(row.get, names)) if names is not None else row)
        if len(cells) >= CHUNK:
            yield in_columns(lines, cells, table)
            lines, cells = array("q"), []
    if cells:
        yield in_columns(lines, cells, table)
