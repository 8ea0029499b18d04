"""From cells to columns of numbers, times and codes."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_streams.checks import Rows
from fairlead_streams.columns import Layout
from fairlead_streams.tables import Chunk
from fairlead_streams.times import TimeReader

_NUMBERS = {
    "bars": ("open", "high", "low", "close", "volume", "quote_volume"),
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "trades": ("price", "size", "quote_size"),
}
_SIDES = {
    "buy": 1,
    "b": 1,
    "bid": 1,
    "1": 1,
    "sell": 2,
    "s": 2,
    "ask": 2,
    "-1": 2,
    "": 0,
    "none": 0,
    "unknown": 0,
}
_MAKERS = {"true": 2, "1": 2, "t": 2, "false": 1, "0": 1, "f": 1}


def time_role(layout: Layout) -> str:
    """The role of the column that the rows' times stand in."""
    if layout.kind == "bars":
        return next(role for role in ("open_time", "close_time", "time") if role in layout.at)
    return "time" if "time" in layout.at else "close_time" if "close_time" in layout.at else "open_time"


def append(rows: Rows, chunk: Chunk, layout: Layout, clock: TimeReader, time: str) -> None:
    """Add a chunk to the rows; a cell that cannot be parsed is blamed on its row."""
    base = len(rows)
    rows.lines.extend(chunk.lines)
    at, columns = layout.at, rows.columns

    def stamps(role: str, cells: Any) -> None:
        times, wrong = clock.read(cells)
        columns.setdefault(role, array("q")).extend(times)
        for index, reason in wrong.items():
            rows.blame(base + index, reason)

    cells = chunk.columns[at[time]]
    if "clock" in at and time == "time":
        cells = _joined(cells, chunk.columns[at["clock"]])
    stamps("time", cells)
    if layout.kind == "bars" and time == "open_time" and "close_time" in at:
        stamps("close_time", chunk.columns[at["close_time"]])
    if "received" in at and layout.kind != "bars":
        stamps("received", chunk.columns[at["received"]])
    for role in _NUMBERS[layout.kind]:
        if role in at:
            columns.setdefault(role, array("d")).extend(floats(rows, role, chunk.columns[at[role]], base))
    if "symbol" in at:
        columns.setdefault("symbol", []).extend(chunk.columns[at["symbol"]])
    if layout.kind == "trades":
        if "id" in at:
            columns.setdefault("id", []).extend(chunk.columns[at["id"]])
        for role, codes in (("buyer_maker", _MAKERS), ("side", _SIDES)):
            if role in at:
                found = codes_of(rows, role, chunk.columns[at[role]], codes, base)
                columns.setdefault("aggressor", bytearray()).extend(found)
                break


def _joined(dates: Sequence[Any], hours: Sequence[Any]) -> Sequence[Any]:
    """Times out of a column of dates and one of hours; the second alone where it holds dates too."""
    if len(str(hours[0]) if len(hours) else "") > len("23:59:59.123456789"):
        return hours
    return [f"{date} {hour}" for date, hour in zip(dates, hours, strict=True)]


def floats(rows: Rows, role: str, cells: Any, base: int) -> array[float]:
    """Cells as numbers; one that is none is blamed on its row, `base` being the first row's place."""
    if isinstance(cells, array):
        return cells if cells.typecode == "d" else array("d", cells)
    try:
        return array("d", map(float, cells))
    except (ValueError, TypeError):
        pass
    numbers = array("d", bytes(8 * len(cells)))
    for index, cell in enumerate(cells):
        try:
            numbers[index] = float(cell)
        except (ValueError, TypeError):
            missing = cell is None or cell == ""
            rows.blame(base + index, f"{role} is missing" if missing else f"{role} {cell!r} is not a number")
            numbers[index] = float("nan")
    return numbers


def codes_of(rows: Rows, role: str, cells: Sequence[Any], known: Mapping[str, int], base: int) -> bytearray:
    """Words as their codes; one that is not known is blamed on its row."""
    codes = {cell: known.get(str(cell).strip().lower()) for cell in set(cells)}
    if None in codes.values():
        for index, cell in enumerate(cells):
            if codes[cell] is None:
                rows.blame(base + index, f"{role} {cell!r} is none of {', '.join(filter(None, known))}")
    return bytearray(codes[cell] or 0 for cell in cells)
