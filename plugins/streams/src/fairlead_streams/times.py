"""Times as files write them: integers and decimals of s, ms, us or ns, ISO text, Parquet timestamps."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from fairlead import ConfigurationError
from fairlead_streams.text import EPOCH, to_ns, when

_SECOND = 1_000_000_000
_MICROSECOND = timedelta(microseconds=1)
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_SCALES = (("s", _SECOND, 10**8, 10**11), ("ms", 10**6, 10**11, 10**14), ("us", 10**3, 10**14, 10**17))
_NS = ("ns", 1, 10**17, 9 * 10**18)
_FRACTION = re.compile(r"(.*\d:\d\d:\d\d)[.,](\d{7,})(.*)")
_NUMBER = re.compile(r"[+-]?\d{9,}(\.\d*)?")


@attrs.frozen
class Stamps:
    """A column whose reader knows that it holds times: nanoseconds, UTC unless `naive`."""

    ns: array[int]
    naive: bool

    def __len__(self) -> int:
        return len(self.ns)


def zone_of(tz: str | tzinfo | None) -> tzinfo | None:
    """The zone a user named. Raises ConfigurationError for one that is not known."""
    if not isinstance(tz, str):
        return tz
    if tz.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            f"tz {tz!r} is not a time zone: write UTC or a name such as 'Europe/Berlin'"
        ) from None


def moment(value: datetime | str | int, what: str) -> int:
    """Nanoseconds of a time a user passed: aware datetime, ISO text with a zone, or ns. A bare date is UTC."""
    if isinstance(value, int):
        return value
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ConfigurationError(
            f"{what} {value!r} is not a time: write one such as 2024-01-31T09:30Z"
        ) from None
    if parsed.tzinfo is None and isinstance(value, str) and len(value) <= len("2024-01-31"):
        parsed = parsed.replace(tzinfo=UTC)
    if parsed.tzinfo is None:
        raise ConfigurationError(
            f"{what} {value!s} names no zone, and a time without zone is refused: write {value!s}Z"
        )
    return to_ns(parsed)


def zoneless(cells: Any) -> str | None:
    """The first time of a column as text, if it is one without a zone."""
    if isinstance(cells, Stamps):
        return when(cells.ns[0]).rstrip("Z") if cells.naive and len(cells) else None
    cell = next((cell for cell in cells if cell not in {None, ""}), None)
    if cell is None or _numeric(cell):
        return None
    try:
        stamp = cell if isinstance(cell, datetime) else _parsed(str(cell).strip())[0]
    except ValueError:
        return None
    return str(cell) if stamp.tzinfo is None else None


class TimeReader:
    """Reads the time columns of one file; the first cell decides the unit, and the whole file keeps to it."""

    def __init__(self, file: str, zone: tzinfo | None) -> None:
        self._file = file
        self._zone = zone
        self._unit: tuple[str, int, int, int] | None = None

    def read(self, cells: Any) -> tuple[array[int], dict[int, str]]:
        """Nanoseconds of each cell (0 where there are none), and what is wrong at which index."""
        if isinstance(cells, Stamps):
            return (self._localized(cells.ns) if cells.naive else cells.ns), {}
        if self._unit is not None or (cells and _numeric(cells[0])):
            fast = self._whole_numbers(cells)
            if fast is not None:
                return fast, {}
        return self._texts(cells) or self._one_by_one(cells)

    def _whole_numbers(self, cells: Sequence[Any]) -> array[int] | None:
        try:
            numbers = list(map(int, cells))
        except (ValueError, TypeError, OverflowError):
            return None
        if isinstance(cells[0], float):
            return None
        unit = self._unit or unit_of(numbers[0])
        if unit is None or min(numbers) < unit[2] or max(numbers) >= unit[3]:
            return None
        self._unit = unit
        scale = unit[1]
        return array("q", numbers if scale == 1 else [number * scale for number in numbers])

    def _texts(self, cells: Sequence[Any]) -> tuple[array[int], dict[int, str]] | None:
        """A whole column of plain ISO text, all with a zone or all without; None for any other."""
        try:
            if not cells or max(map(len, cells)) > len("2021-01-01T00:00:00.000000"):
                return None
            stamps = list(map(datetime.fromisoformat, cells))
        except (ValueError, TypeError):
            return None
        naive = sum(stamp.tzinfo is None for stamp in stamps)
        if naive == len(stamps) and self._zone is not None:
            if self._zone is UTC:
                return array("q", [(stamp - _NAIVE_EPOCH) // _MICROSECOND * 1000 for stamp in stamps]), {}
            return array("q", [to_ns(stamp.replace(tzinfo=self._zone)) for stamp in stamps]), {}
        return (array("q", map(to_ns, stamps)), {}) if not naive else None

    def _one_by_one(self, cells: Sequence[Any]) -> tuple[array[int], dict[int, str]]:
        times = array("q", bytes(8 * len(cells)))
        wrong: dict[int, str] = {}
        for index, cell in enumerate(cells):
            try:
                times[index] = self._one(cell)
            except (ValueError, TypeError, OverflowError) as fault:
                wrong[index] = (
                    str(fault)
                    if isinstance(fault, _Unreadable)
                    else f"time {cell!r} is neither ISO 8601 nor a count since 1970"
                )
        return times, wrong

    def _one(self, cell: Any) -> int:
        if isinstance(cell, datetime):
            return to_ns(self._aware(cell, cell))
        if cell is None or cell == "":
            raise _Unreadable("it has no time")
        if _numeric(cell):
            return self._number(cell)
        stamp, extra = _parsed(str(cell).strip())
        return to_ns(self._aware(stamp, cell)) + extra

    def _number(self, cell: Any) -> int:
        text = format(cell, ".9f").rstrip("0") if isinstance(cell, float) else str(cell).strip()
        whole, _, fraction = text.partition(".")
        number = int(whole)
        unit = unit_of(number)
        if unit is None:
            raise _Unreadable(f"time {cell!r} is in none of s, ms, us, ns since 1970")
        if self._unit is None:
            self._unit = unit
        elif unit != self._unit:
            raise _Unreadable(f"time {cell!r} is in {unit[0]}, and the file began in {self._unit[0]}")
        return number * unit[1] + (int(fraction.ljust(9, "0")[:9]) * unit[1] // _SECOND if fraction else 0)

    def _aware(self, stamp: datetime, cell: object) -> datetime:
        if stamp.tzinfo is not None:
            return stamp
        if self._zone is None:
            raise ConfigurationError(
                f"{self._file}: its times, such as {str(cell)!r}, name no zone, and a time without zone is refused "
                f"until it is told: pass tz=, such as tz='UTC'"
            )
        return stamp.replace(tzinfo=self._zone)

    def _localized(self, times: array[int]) -> array[int]:
        if self._zone is UTC or not times:
            return times
        return array(
            "q",
            [
                to_ns(self._aware(stamp, stamp)) + time % 1000
                for time in times
                for stamp in (_NAIVE_EPOCH + timedelta(microseconds=time // 1000),)
            ],
        )


class _Unreadable(ValueError):
    """Says itself what is wrong with a time."""


def _parsed(text: str) -> tuple[datetime, int]:
    """ISO text as a datetime, and the nanoseconds that one cannot hold."""
    extra = 0
    match = _FRACTION.fullmatch(text)
    if match:
        digits = match[2][:9].ljust(9, "0")
        text, extra = f"{match[1]}.{digits[:6]}{match[3]}", int(digits[6:])
    if text.endswith("UTC"):
        text = f"{text[:-3].rstrip()}+00:00"
    if text[4:5] == "." and text[7:8] == ".":
        text = text.replace(".", "-", 2)
    return datetime.fromisoformat(text), extra


def _numeric(cell: Any) -> bool:
    if isinstance(cell, (int, float)):
        return abs(cell) >= 10**8  # smaller ones are dates such as 20210108, or nonsense
    return isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) is not None


def unit_of(number: int) -> tuple[str, int, int, int] | None:
    """The unit of a count since 1970, told by its size: its name, its ns, and its bounds; None for no such count."""
    for unit in (*_SCALES, _NS):
        if unit[2] <= number < unit[3]:
            return unit
    return None
