"""Recorded files read back: every event as it was, under the rules that held when it was recorded."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import islice, starmap
from operator import ge
from typing import Any

from fairlead import Book, ConfigurationError
from fairlead.ports import MarketEvent
from fairlead_streams.checks import (
    Gap,
    Rows,
    check_bars,
    check_order,
    check_overlap,
    check_prices,
    check_quotes,
    check_sizes,
    find_gaps,
)
from fairlead_streams.parsing import codes_of, floats
from fairlead_streams.series import AGGRESSORS, Series, bar_interval, bar_series, quote_series, trade_series
from fairlead_streams.sidecar import Sidecar
from fairlead_streams.tables import Table

PRICES = {"bar": ("open", "high", "low", "close"), "quote": ("bid", "ask"), "trade": ("price",), "book": ()}
_SIZES = {"bar": ("volume",), "quote": ("bid_size", "ask_size"), "trade": ("size",), "book": ()}
_TIMES = ("seq", "event_ns", "received_ns", "open_ns")
_SIDES = {side: code for code, side in enumerate(AGGRESSORS)}
Levels = tuple[tuple[float, float], ...]


def gather(file: str, table: Table, side: Sidecar) -> Rows:
    """The columns of a recorded file. Raises ConfigurationError where they are not those that its sidecar says."""
    if table.names is None or tuple(table.names) != side.columns:
        raise ConfigurationError(
            f"{file}: its columns are {', '.join(table.names or ('without names',))}, and its sidecar says "
            f"{', '.join(side.columns)}: restore the file that the sidecar belongs to"
        )
    rows = Rows(file, table.word)
    for role in side.columns:
        rows.columns[role] = _empty(role)
    for chunk in table.chunks:
        base = len(rows)
        rows.lines.extend(chunk.lines)
        for role, cells in zip(side.columns, chunk.columns, strict=True):
            rows.columns[role].extend(_parsed(rows, role, cells, base))
    return rows


def _empty(role: str) -> Any:
    if role in _TIMES:
        return array("q")
    return bytearray() if role == "aggressor" else [] if role in ("trade_id", "bids", "asks") else array("d")


def _parsed(rows: Rows, role: str, cells: Any, base: int) -> Any:
    if role in _TIMES:
        return _integers(rows, role, cells, base)
    if role == "aggressor":
        return codes_of(rows, role, cells, _SIDES, base)
    if role == "trade_id":
        return list(map(str, cells))
    if role in ("bids", "asks"):
        return _all_levels(rows, role, cells, base)
    return floats(rows, role, cells, base)


def _integers(rows: Rows, role: str, cells: Any, base: int) -> array[int]:
    if isinstance(cells, array) and cells.typecode == "q":
        return cells
    numbers = array("q", bytes(8 * len(cells)))
    for index, cell in enumerate(cells):
        try:
            numbers[index] = int(cell)
        except (ValueError, TypeError, OverflowError):
            rows.blame(base + index, f"{role} {cell!r} is no integer of 64 bits")
    return numbers


def _all_levels(rows: Rows, role: str, cells: Iterable[Any], base: int) -> list[Levels]:
    found = []
    for index, cell in enumerate(cells):
        try:
            found.append(levels(str(cell)))
        except ValueError:
            rows.blame(base + index, f"{role} {str(cell)[:40]!r} are no levels, price:size each")
            found.append(())
    return found


def levels(text: str) -> Levels:
    """The levels of a book from `price:size price:size`. Raises ValueError."""
    pairs = [pair.split(":") for pair in text.split()]
    return tuple((float(price), float(size)) for price, size in pairs)


def check(rows: Rows, kind: str) -> list[Gap]:
    """Blame every row that could not be replayed; the bars that are missing. The checks are those of any file."""
    head, columns = kind.partition(":")[0], rows.columns
    check_prices(rows, PRICES[head])
    check_sizes(rows, _SIZES[head], zero=True)
    if head == "quote":
        check_quotes(rows)
    elif head == "book":
        _check_books(rows)
    gaps: list[Gap] = []
    if head == "bar":
        check_bars(rows)
        interval = bar_interval(kind)
        if interval:
            columns["order"] = columns["event_ns"]
            check_order(rows, distinct=True)
            good = rows.good()
            check_overlap(good, interval)
            rows.bad.update(_placed(rows, good))
            gaps = find_gaps(rows.good(), interval, -interval)
    columns["order"] = columns["received_ns"]
    check_order(rows, distinct=False)
    _check_sequence(rows)
    return gaps


def _placed(rows: Rows, good: Rows) -> dict[int, str]:
    """What is wrong with rows of a selection, by their place in the whole."""
    places = {line: index for index, line in enumerate(rows.lines)}
    return {places[good.lines[index]]: reason for index, reason in good.bad.items()}


def _check_books(rows: Rows) -> None:
    for index, (bids, asks) in enumerate(zip(rows.columns["bids"], rows.columns["asks"], strict=True)):
        reason = fault_of_book(bids, asks)
        if reason:
            rows.blame(index, reason)


def fault_of_book(bids: Levels, asks: Levels) -> str:
    """What is wrong with a book; "" for nothing."""
    inf = float("inf")
    if not all(0 < price < inf and 0 <= size < inf for price, size in (*bids, *asks)):
        return "a level's price is a finite number above 0, and its size one not below 0"
    if bids and asks and bids[0][0] >= asks[0][0]:
        return f"best bid {bids[0][0]!r} is not below best ask {asks[0][0]!r}"
    return ""


def _check_sequence(rows: Rows) -> None:
    numbers = rows.columns["seq"]
    if any(map(ge, numbers, islice(numbers, 1, None))):
        for index in range(1, len(rows)):
            if numbers[index] <= numbers[index - 1]:
                rows.blame(index, f"seq {numbers[index]} does not follow {numbers[index - 1]}")


def series_of(rows: Rows, side: Sidecar, instrument: str) -> Series:
    """The rows as a feed, in the order in which they were recorded."""
    c = rows.columns
    event, received = c["event_ns"], c["received_ns"]
    head, _, interval = side.kind.partition(":")
    if head == "quote":
        made = quote_series(instrument, event, received, c["bid"], c["ask"], c["bid_size"], c["ask_size"])
    elif head == "trade":
        sides, ids = c["aggressor"], c["trade_id"]
        made = trade_series(instrument, event, received, c["price"], c["size"], sides, ids)
    elif head == "bar":
        prices = (c["open"], c["high"], c["low"], c["close"])
        made = bar_series(instrument, interval, c["open_ns"], event, received, *prices, c["volume"])
    else:
        made = _books(instrument, event, received, c["bids"], c["asks"])
    made.recording, made.seq = side.recording, c["seq"]
    return made


def _books(
    instrument: str, event: array[int], received: array[int], bids: Sequence[Levels], asks: Sequence[Levels]
) -> Series:
    def block(lo: int, hi: int) -> Iterable[MarketEvent]:
        columns = zip(bids[lo:hi], asks[lo:hi], event[lo:hi], received[lo:hi], strict=True)
        return starmap(lambda *cells: Book(instrument, *cells), columns)

    return Series(instrument, "book", received, block, event)
