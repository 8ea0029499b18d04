"""Pacing: who wakes the agenda when nothing arrives.

On real (or scaled) time the event loop is asked for the next due moment. On time that is moved by hand, and
belongs to a recording played as fast as possible, the agenda drives the time. A busy-polling loop never sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from fairlead._kernel.clock import NEVER, Agenda, ManualTime, ScaledTime, SystemTime
from fairlead.errors import ConfigurationError
from fairlead.ports import Time

_RUSH = 500
"""Agenda entries run in one go at full speed before the loop may do something else."""


def time_for(clock: Time | None, streams: Iterable[Any]) -> Time:
    """The engine's time: the user's clock, the recording's own, or the system's. Raises ConfigurationError."""
    brought = [(stream.name, stream.time()) for stream in streams if hasattr(stream, "time")]
    times = [(name, time) for name, time in brought if time is not None]
    if clock is not None:
        return clock
    if not times:
        return SystemTime()
    if (
        len({(time.start_ns, time.speed) for _, time in times}) > 1
        and len({time.speed for _, time in times}) > 1
    ):
        names = ", ".join(name for name, _ in times)
        raise ConfigurationError(f"streams {names} bring times of different speeds: give them one speed=")
    start = min(time.start_ns for _, time in times)
    speed = times[0][1].speed
    return ManualTime(start) if speed is None else ScaledTime(start, speed)


class Pacer:
    """Runs the agenda on an event loop. An exception that comes out of it ends the pacing and goes to `failed`."""

    def __init__(
        self,
        agenda: Agenda,
        time: Time,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[Exception], None],
        *,
        busy: bool,
    ) -> None:
        self._agenda = agenda
        self._time = time
        self._loop = loop
        self._failed = failed
        self._busy = busy
        self._handle: asyncio.Handle | None = None
        self._running = False

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._agenda.wake = self._arm
        self._arm()

    def stop(self) -> None:
        """End; harmless to repeat."""
        self._running = False
        self._agenda.wake = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if not self._running:
            return
        if self._busy:
            self._handle = self._loop.call_soon(self._poll)
        elif self._agenda.due < NEVER:
            delay = self._time.delay(self._agenda.due)
            self._handle = (
                self._loop.call_later(delay, self._fire) if delay > 0 else self._loop.call_soon(self._fire)
            )

    def _fire(self) -> None:
        self._handle = None
        self._agenda.wake = None  # whatever is added now is looked at below
        try:
            self._run()
        except Exception as error:  # the engine's own fault, or an adapter's: it must not look like silence
            self._failed(error)
        if self._running:
            self._agenda.wake = self._arm
            self._arm()

    def _run(self) -> None:
        if isinstance(self._time, ManualTime):
            for _ in range(_RUSH):
                if self._agenda.due == NEVER or not self._running:
                    break
                self._agenda.run(self._agenda.due)
        else:
            self._agenda.run(self._time.now())

    def _poll(self) -> None:
        """Never sleep: a callback that is always ready keeps the loop from waiting in its selector."""
        now = self._time.now()
        if self._agenda.due <= now:
            try:
                self._agenda.run(now)
            except Exception as error:  # as in _fire
                self._failed(error)
        if self._running:
            self._handle = self._loop.call_soon(self._poll)
