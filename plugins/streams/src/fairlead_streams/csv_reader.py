"""Reads CSV: comma, semicolon, tab or bar between the cells, with or without a header."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from fairlead import ConfigurationError
from fairlead_streams.columns import is_header
from fairlead_streams.tables import CHUNK, Chunk, Table, in_columns


def read_csv(file: str, text: TextIO) -> Table:
    """A CSV file as a table; lines count from 1, header and blank lines included."""
    first = text.readline()
    number = 1
    while first and not first.strip():
        first = text.readline()
        number += 1
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(chain([first], text), delimiter=delimiter)
    try:
        row = next(reader)
    except csv.Error as fault:
        raise _broken(file, number, fault) from None
    names = tuple(cell.strip() for cell in row) if is_header(row) else None
    ahead = [] if names is not None else [row]
    table = Table(names, iter(()))
    table.chunks = _chunks(file, reader, table, ahead, number - 1)
    return table


def _chunks(file: str, reader: Any, table: Table, ahead: list[list[str]], offset: int) -> Iterator[Chunk]:
    lines = array("q", [offset + 1] * len(ahead))
    rows = ahead
    try:
        for row in reader:
            if not row:
                continue
            rows.append(row)
            lines.append(reader.line_num + offset)
            if len(rows) >= CHUNK:
                yield in_columns(lines, rows, table)
                lines, rows = array("q"), []
    except csv.Error as fault:
        raise _broken(file, reader.line_num + offset, fault) from None
    if rows:
        yield in_columns(lines, rows, table)


def _broken(file: str, line: int, fault: csv.Error) -> ConfigurationError:
    return ConfigurationError(f"{file}: line {line} is not CSV ({fault}): correct or remove it")
