"""Bars: those of the past, and the one that grows until it is whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from fairlead import Bar, duration
from fairlead.ports import Clock, Handle

SIZES = {"1m": "1 min", "5m": "5 mins", "15m": "15 mins", "30m": "30 mins", "1h": "1 hour"}
"""The intervals that are asked for as they are, each with IB's word; others are made of these."""

_DAY = 86_400
_LONGEST = 30 * _DAY
SETTLE_NS = duration("2s")
"""How long after its end the last change of a bar is waited for: they come every few seconds."""


def span(seconds: int) -> str:
    """A period as IB writes it, rounded up."""
    seconds = max(60, min(seconds, _LONGEST))
    return f"{seconds} S" if seconds <= _DAY else f"{-(-seconds // _DAY)} D"


def bar_of(instrument: str, interval: str, row: Any, received_ns: int) -> Bar:
    """A bar of IB's as one of ours."""
    opened = opening_ns(row.date)
    closed = opened + duration(interval)
    volume = max(float(row.volume), 0.0)
    return Bar(
        instrument, interval, float(row.open), float(row.high), float(row.low), float(row.close), volume, opened,
        closed, received_ns or closed,
    )  # fmt: skip


def opening_ns(at: Any) -> int:
    """When a bar began: seconds, or a day. Raises ValueError."""
    if isinstance(at, datetime):
        return int(at.timestamp()) * 10**9
    if isinstance(at, date):
        return int(datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()) * 10**9
    text = str(at)
    if len(text) == 8:
        return int(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 10**9
    return int(text) * 10**9


class Growing:
    """A bar that is told in parts; it is emitted once, when the next one begins or its time is over."""

    def __init__(self, instrument: str, interval: str, emit: Callable[[Bar], None], clock: Clock) -> None:
        self._instrument = instrument
        self._interval = interval
        self._emit = emit
        self._clock = clock
        self._row: Any = None
        self._opened = 0
        self._told = 0
        self._timer: Handle | None = None

    def begin(self, rows: list[Any]) -> None:
        """What the subscription starts with: the bars that are whole have been asked for as history."""
        for row in rows:
            opened = opening_ns(row.date)
            if opened + duration(self._interval) <= self._clock.now():
                self._told = max(self._told, opened)
        if rows:
            self.take(rows[-1])

    def take(self, row: Any) -> None:
        """A bar as it stands now."""
        opened = opening_ns(row.date)
        if opened <= self._told or opened < self._opened:
            return
        if self._row is not None and opened > self._opened:
            self._close()
        self._row, self._opened = row, opened
        if self._timer is None:
            due = opened + duration(self._interval) + SETTLE_NS
            self._timer = self._clock.call_at(due, self._close)

    def stop(self) -> None:
        """Emit no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self.stop()
        row, self._row = self._row, None
        if row is not None:
            self._told = self._opened
            self._emit(bar_of(self._instrument, self._interval, row, self._clock.now()))
