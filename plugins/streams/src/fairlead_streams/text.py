"""Small texts that messages and kinds are made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000))
_MICROSECOND = timedelta(microseconds=1)
SHOWN = 10


def interval_text(nanoseconds: int) -> str:
    """The shortest exact text of an interval: 60_000_000_000 gives "1m"."""
    if nanoseconds and nanoseconds % (7 * _UNITS[0][1]) == 0:
        return f"{nanoseconds // (7 * _UNITS[0][1])}w"
    for unit, size in (*_UNITS, ("ms", 1_000_000), ("us", 1_000)):
        if nanoseconds and nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def to_ns(moment: datetime) -> int:
    """Integer nanoseconds UTC of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND * 1000


def when(ns: int) -> str:
    """A time as messages show it."""
    text = (EPOCH + timedelta(microseconds=ns // 1000)).isoformat()
    return text.replace("+00:00", "Z")


def plural(number: int, noun: str) -> str:
    """`1 gap`, `2 gaps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(items: Iterable[str], separator: str = "; ") -> str:
    """The first few of a list, and how many more there are."""
    every = list(items)
    more = len(every) - SHOWN
    return separator.join(every[:SHOWN]) + (f"{separator}and {more} more" if more > 0 else "")
