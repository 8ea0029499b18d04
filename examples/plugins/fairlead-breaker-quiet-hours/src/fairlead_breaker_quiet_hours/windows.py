"""Windows of a week, as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY, WEEK = 24 * 60, 7 * 24 * 60
"""In minutes."""

_END = r"(?:(mon|tue|wed|thu|fri|sat|sun)\s+)?(\d{1,2}):(\d{2})"
_WINDOW = re.compile(rf"\s*{_END}\s*-\s*{_END}\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """From `start` on, for `length` minutes, every `period` minutes; `text` is how it was written."""

    text: str
    start: int
    length: int
    period: int

    def contains(self, minute: int) -> bool:
        """Whether a minute of the week lies in it; its start does, its end does not."""
        return (minute - self.start) % self.period < self.length


def parse(text: str) -> Window:
    """`"Fri 17:00-Sun 17:00"`, or `"23:55-00:10"` for each day. Raises ValueError, which says what is wrong."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError("it is no window")
    day, hour, minute, last_day, last_hour, last_minute = found.groups()
    if bool(day) != bool(last_day):
        raise ValueError("only one end of it has a day")
    start, end = _minute(day, hour, minute), _minute(last_day, last_hour, last_minute)
    period = WEEK if day else DAY
    if start == end:
        raise ValueError("it is empty")
    return Window(text.strip(), start, (end - start) % period, period)


def _minute(day: str | None, hour: str, minute: str) -> int:
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"{hour}:{minute} is no time of day")
    return (DAYS.index(day.lower()) * DAY if day else 0) + int(hour) * 60 + int(minute)
