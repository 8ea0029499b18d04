"""When a market is open: a week of hours with holidays, or an exchange's calendar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fairlead import ConfigurationError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))?\s+)?(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})")
_KEYS = ("week", "zone", "holidays", "early", "halts", "auctions", "calendar")
_REMEDY = "write 'mon-fri 09:30-16:00'"

Span = tuple[time, time]


class Calendar(Protocol):
    """What is used of an exchange's calendar: open and close of a session, None where the day has none."""

    def session(self, day: date) -> tuple[datetime, datetime] | None:
        """The first and the last moment of a day's session, both aware."""
        ...


class TradingHours:
    """The hours in which something is traded, in the time zone `zone`: UTC unless another is named.

    `week` is text such as `"mon-fri 09:30-16:00"`, several parts set apart by `;` (one that ends at or before its
    beginning ends on the next day: `"sun-thu 17:00-16:00"`). `holidays` are dates without a session, `early` dates
    with an earlier close, `halts` times of day at which nothing is traded, `auctions` those at which limit orders are
    taken only; both as `"12:00-12:30"`, or of one day as `"2026-11-27 12:00-12:30"`. In place of `week`, `calendar`
    names an exchange of `exchange_calendars`, such as `"XNYS"`, whose holidays and early closes it knows.

    Raises ConfigurationError.
    """

    def __init__(
        self,
        week: str = "",
        zone: str = "UTC",
        *,
        holidays: Iterable[str | date] = (),
        early: Mapping[str, str] | None = None,
        halts: Iterable[str] = (),
        auctions: Iterable[str] = (),
        calendar: str = "",
    ) -> None:
        if bool(week) == bool(calendar):
            raise ConfigurationError(f"give either week or calendar: {_REMEDY}, or calendar='XNYS'")
        self._calendar = _exchange(calendar) if calendar else None
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigurationError(
                f"there is no time zone {zone!r}: write one such as 'America/New_York'"
            ) from None
        self._week = _week(week) if week else {}
        self._holidays = frozenset(_date(day) for day in holidays)
        self._early = {_date(day): _time(close) for day, close in (early or {}).items()}
        self._halts = [_window(text) for text in halts]
        self._auctions = [_window(text) for text in auctions]
        self._text = calendar or f"{week} {zone}"

    @classmethod
    def of(cls, setting: Any) -> TradingHours:
        """Hours from a setting: themselves, a table of the arguments, or `"mon-fri 09:30-16:00 America/New_York"`.

        Without a zone they are in UTC. Raises ConfigurationError.
        """
        if isinstance(setting, TradingHours):
            return setting
        if isinstance(setting, Mapping):
            for key in setting:
                if key not in _KEYS:
                    raise ConfigurationError(f"hours have no {key!r}: they have {', '.join(_KEYS)}")
            return cls(**setting)
        if not isinstance(setting, str) or not setting.strip():
            raise ConfigurationError(f"{setting!r} are no hours: {_REMEDY}")
        head, _, last = setting.strip().rpartition(" ")
        return cls(setting) if ":" in last or not head else cls(head, last)

    def __str__(self) -> str:
        return self._text

    def closed(self, now_ns: int) -> str:
        """Why nothing is traded at a time in ns UTC; "" while it is."""
        now = datetime.fromtimestamp(now_ns // 1_000_000_000, self._zone)
        if _inside(self._halts, now):
            return f"halted at {now:%H:%M}"
        if self._calendar is not None:
            session = None if now.date() in self._holidays else self._calendar.session(now.date())
            is_open = session is not None and session[0] <= now < session[1]
        else:
            today, yesterday = now.date(), now.date() - timedelta(days=1)
            is_open = any(
                begin <= now < end for day in (today, yesterday) for begin, end in self._sessions(day)
            )
        return "" if is_open else f"closed on {now:%a %Y-%m-%d %H:%M}"

    def auction(self, now_ns: int) -> str:
        """The auction at a time in ns UTC; "" for none."""
        return _inside(self._auctions, datetime.fromtimestamp(now_ns // 1_000_000_000, self._zone))

    def _sessions(self, day: date) -> Iterable[tuple[datetime, datetime]]:
        if day in self._holidays:
            return
        for begin, end in self._week.get(day.weekday(), ()):
            last = day if end > begin else day + timedelta(days=1)
            close = datetime.combine(last, end, self._zone)
            if day in self._early:
                close = min(close, datetime.combine(day, self._early[day], self._zone))
            yield datetime.combine(day, begin, self._zone), close


def _week(text: str) -> dict[int, list[Span]]:
    week: dict[int, list[Span]] = {}
    for part in text.lower().split(";"):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ConfigurationError(f"{part.strip()!r} are no hours of a week: {_REMEDY}")
        first, last, begin, end = match.groups()
        for day in _days(first, last):
            week.setdefault(day, []).append((_time(begin), _time(end)))
    return week


def _days(first: str | None, last: str | None) -> list[int]:
    if first is None:
        return list(range(7))
    for name in (first, last or first):
        if name not in _DAYS:
            raise ConfigurationError(f"{name!r} is no day: write one of {', '.join(_DAYS)}")
    start, end = _DAYS.index(first), _DAYS.index(last or first)
    return [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]


def _time(text: str) -> time:
    if text in ("24:00", "0:00"):
        return time(0)
    try:
        return time.fromisoformat(text.zfill(5))
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time of day: write it like 09:30") from None


def _date(day: str | date) -> date:
    try:
        return day if isinstance(day, date) else date.fromisoformat(day)
    except (ValueError, TypeError):
        raise ConfigurationError(f"{day!r} is no date: write it like 2026-12-25") from None


def _window(text: str) -> tuple[date | None, time, time, str]:
    """One day's window or every day's, with its text."""
    day, _, span = text.strip().rpartition(" ")
    begin, dash, end = span.partition("-")
    if not dash:
        raise ConfigurationError(f"{text!r} is no window of time: write '12:00-12:30'")
    return _date(day) if day else None, _time(begin), _time(end), text.strip()


def _inside(windows: list[tuple[date | None, time, time, str]], now: datetime) -> str:
    for day, begin, end, text in windows:
        if day in (None, now.date()) and begin <= now.time() < end:
            return text
    return ""


class _Exchange:
    """A calendar of `exchange_calendars`."""

    def __init__(self, calendar: Any) -> None:
        self._calendar = calendar
        self._known: dict[date, tuple[datetime, datetime] | None] = {}

    def session(self, day: date) -> tuple[datetime, datetime] | None:
        """A day's session, worked out once."""
        if day not in self._known:
            found, name = self._calendar, day.isoformat()
            there = found.is_session(name)
            self._known[day] = (
                (found.session_open(name).to_pydatetime(), found.session_close(name).to_pydatetime())
                if there
                else None
            )
        return self._known[day]


def _exchange(name: str) -> Calendar:
    try:
        from exchange_calendars import get_calendar  # type: ignore[import-not-found]
    except ImportError:
        raise ConfigurationError(
            f"calendar {name!r} needs exchange_calendars: pip install 'fairlead-breakers[calendars]', or give week"
        ) from None
    try:
        return _Exchange(get_calendar(name))
    except Exception as error:
        raise ConfigurationError(
            f"there is no calendar {name!r} ({error}): write one such as 'XNYS'"
        ) from None
