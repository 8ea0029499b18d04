"""What a row of market data must satisfy, and what is missing between two of them.

Each check looks at a whole column first, at C speed; only a column that fails is walked to name its rows.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress, islice
from math import isfinite, isinf
from operator import ge, gt, le, lt, sub
from typing import Any

import attrs

from fairlead_streams.text import interval_text, when


@attrs.frozen
class Fault:
    """A row that cannot be used: where it stands (1 is the file's first line or row) and what is wrong."""

    file: str
    line: int
    reason: str
    word: str = "line"

    def __str__(self) -> str:
        return f"{self.word} {self.line}: {self.reason}"


@attrs.frozen
class Gap:
    """Bars that are missing between two rows: [start_ns, end_ns) has none; `line` is the row after it."""

    file: str
    line: int
    start_ns: int
    end_ns: int
    missing: int
    word: str = "line"

    def __str__(self) -> str:
        bars = "1 bar is" if self.missing == 1 else f"{self.missing:,} bars are"
        return f"{self.word} {self.line}: {bars} missing from {when(self.start_ns)} to {when(self.end_ns)}"


class Rows:
    """The rows of one file on their way to becoming events: columns by role, and what is wrong with which."""

    def __init__(self, file: str, word: str = "line") -> None:
        self.file = file
        self.word = word
        self.lines: array[int] = array("q")
        self.columns: dict[str, Any] = {}
        self.bad: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def blame(self, index: int, reason: str) -> None:
        """Mark a row; the first reason stands."""
        self.bad.setdefault(index, reason)

    def place(self, index: int) -> str:
        """Where a row stands in its file."""
        return f"{self.word} {self.lines[index]}"

    def faults(self) -> list[Fault]:
        """Everything found, in the order of the file."""
        return [Fault(self.file, self.lines[index], self.bad[index], self.word) for index in sorted(self.bad)]

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at these indices, without their faults."""
        taken = Rows(self.file, self.word)
        taken.lines = array("q", [self.lines[index] for index in indices])
        picked = {id(column): _pick(column, indices) for column in self.columns.values()}
        taken.columns = {role: picked[id(column)] for role, column in self.columns.items()}
        taken.bad = {new: self.bad[old] for new, old in enumerate(indices) if old in self.bad}
        return taken

    def turn(self) -> None:
        """Reverse the rows in place."""
        self.lines.reverse()
        for column in {id(column): column for column in self.columns.values()}.values():
            column.reverse()
        self.bad = {len(self) - 1 - index: reason for index, reason in self.bad.items()}

    def good(self) -> Rows:
        """The rows nothing is wrong with."""
        if not self.bad:
            return self
        keep = [index not in self.bad for index in range(len(self))]
        return self.take(list(compress(range(len(self)), keep)))


def _pick(column: Any, indices: Sequence[int]) -> Any:
    picked = [column[index] for index in indices]
    if isinstance(column, array):
        return array(column.typecode, picked)
    return bytearray(picked) if isinstance(column, bytearray) else picked


def check_prices(rows: Rows, roles: Iterable[str]) -> None:
    """Prices are finite and above zero."""
    for role in roles:
        column = rows.columns[role]
        if all(map(isfinite, column)) and min(column, default=1.0) > 0:
            continue
        for index, price in enumerate(column):
            if not (price > 0 and isfinite(price)):
                rows.blame(index, f"{role} is {_number(price)}, and a price is a finite number above 0")


def check_sizes(rows: Rows, roles: Iterable[str], *, zero: bool) -> None:
    """Sizes are finite and not negative; those of trades are above zero."""
    rule = "not below 0" if zero else "above 0"
    for role in roles:
        column = rows.columns.get(role)
        if column is None or (
            all(map(isfinite, column)) and (min(column, default=1.0) > 0 or (zero and min(column) == 0))
        ):
            continue
        for index, size in enumerate(column):
            if not (isfinite(size) and (size > 0 or (zero and size == 0))):
                rows.blame(index, f"{role} is {_number(size)}, and it is a finite number {rule}")


def check_bars(rows: Rows) -> None:
    """The high is the highest of a bar's four prices, and the low the lowest."""
    opens, highs, lows, closes = (rows.columns[role] for role in ("open", "high", "low", "close"))
    if (
        all(map(le, lows, opens))
        and all(map(le, lows, closes))
        and all(map(ge, highs, opens))
        and all(map(ge, highs, closes))
    ):
        return
    for index, (first, high, low, last) in enumerate(zip(opens, highs, lows, closes, strict=True)):
        if high < low:
            rows.blame(index, f"high {high!r} is below low {low!r}")
        elif not low <= first <= high:
            rows.blame(index, f"open {first!r} is outside low {low!r} to high {high!r}")
        elif not low <= last <= high:
            rows.blame(index, f"close {last!r} is outside low {low!r} to high {high!r}")


def check_quotes(rows: Rows) -> None:
    """A bid is not above its ask."""
    bids, asks = rows.columns["bid"], rows.columns["ask"]
    if all(map(le, bids, asks)):
        return
    for index, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        if bid > ask:
            rows.blame(index, f"bid {bid!r} is above ask {ask!r}")


def is_newest_first(rows: Rows) -> bool:
    """Whether the whole file runs backwards, as some venues deliver it."""
    times = rows.columns["order"]
    good = [time for index, time in enumerate(times) if index not in rows.bad] if rows.bad else times
    return len(good) > 1 and good[0] > good[-1] and all(map(ge, good, islice(good, 1, None)))


def check_order(rows: Rows, *, distinct: bool) -> None:
    """Times never go back, and where `distinct` no two are the same."""
    times = rows.columns["order"]
    if not rows.bad and all(map(lt if distinct else le, times, islice(times, 1, None))):
        return
    good = [index for index in range(len(rows)) if index not in rows.bad]
    last = -1
    for place, index in enumerate(good):
        time = times[index]
        if last >= 0 and time < times[last]:
            rows.blame(index, f"its time {when(time)} is before that of {rows.place(last)}")
        elif last >= 0 and distinct and time == times[last]:
            rows.blame(index, f"its time {when(time)} is that of {rows.place(last)} again: a duplicate bar")
        elif _stands_out(times, good, place, times[last] if last >= 0 else None):
            rows.blame(index, f"its time {when(time)} is after that of {rows.place(good[place + 1])}")
        else:
            last = index


def _stands_out(times: Sequence[int], good: Sequence[int], place: int, last: int | None) -> bool:
    """Whether this row leaps ahead while the two after it go on from where the one before it stood."""
    if place + 2 >= len(good):
        return False
    time, following, second = (times[good[place + step]] for step in range(3))
    return following < time and second < time and following <= second and (last is None or following >= last)


def spacing(times: Sequence[int]) -> int | None:
    """The commonest distance between neighbours, the smaller where two are as common; None below two rows."""
    counts: Counter[int] = Counter(map(sub, islice(times, 1, None), times))
    if not counts:
        return None
    most = max(counts.values())
    return min(step for step, count in counts.items() if count == most)


def check_overlap(rows: Rows, interval: int) -> None:
    """A bar does not open inside the one before."""
    times = rows.columns["order"]
    if not any(
        map(gt, islice(times, 0, len(times) - 1), [time - interval for time in islice(times, 1, None)])
    ):
        return
    last = 0
    for index in range(1, len(times)):
        if times[index] - times[last] < interval:
            rows.blame(
                index,
                f"it comes {interval_text(times[index] - times[last])} after {rows.place(last)}, "
                f"and bars here last {interval_text(interval)}",
            )
        else:
            last = index


def find_gaps(rows: Rows, interval: int, shift: int) -> list[Gap]:
    """Where bars are missing; `shift` leads from the time in the file to the bar's open."""
    times = rows.columns["order"]
    gaps = []
    for index, step in enumerate(map(sub, islice(times, 1, None), times), start=1):
        if step > interval:
            start = times[index - 1] + shift + interval
            end = times[index] + shift
            missing = max(1, (end - start) // interval)
            gaps.append(Gap(rows.file, rows.lines[index], start, end, missing, rows.word))
    return gaps


def _number(value: float) -> str:
    if isinf(value):
        return "infinite"
    return repr(value) if value == value else "NaN"  # noqa: PLR0124 - only NaN differs from itself
