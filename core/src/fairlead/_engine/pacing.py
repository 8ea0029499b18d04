"""Pacing: who wakes the agenda when nothing arrives.

On real (or scaled) time the event loop is asked for the next due moment. On time that is moved by hand, and
belongs to a recording played as fast as possible, the agenda drives the time. A busy-polling loop never sleeps.
However much is due, the loop gets its turn after `TURN_SECONDS`: signals and what comes from outside must get in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from fairlead._kernel.clock import NEVER, Agenda, ManualTime, ScaledTime, SystemTime
from fairlead.errors import ConfigurationError
from fairlead.ports import Time

log = logging.getLogger("fairlead.engine")

TURN_SECONDS = 0.01
"""For how long what is due may be run in one go before the loop may do something else."""


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


def not_before(time: Time, when_ns: int) -> Time:
    """A time that begins no earlier than the last fact of the journal: it may not run backwards."""
    time.reach(when_ns)
    behind = when_ns - time.now()
    if behind <= 0:
        return time
    log.warning("the clock is %.3f s behind the journal: the engine's time goes on from there", behind / 1e9)
    return _Shifted(time, behind)


class _Shifted:
    """A time that is ahead of another by so many nanoseconds."""

    def __init__(self, time: Time, ahead_ns: int) -> None:
        self._time = time
        self._ahead = ahead_ns

    def now(self) -> int:
        return self._time.now() + self._ahead

    def reach(self, when_ns: int) -> None:
        self._time.reach(when_ns - self._ahead)

    def delay(self, when_ns: int) -> float:
        return self._time.delay(when_ns - self._ahead)


class Pacer:
    """Runs the agenda on an event loop. An exception that comes out of it ends the pacing and goes to `failed`.

    `feeds` is what streams have scheduled: their events, each of which runs what is on the agenda at its own time
    as the one rule of order has it.
    """

    def __init__(
        self,
        agenda: Agenda,
        feeds: Agenda,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[Exception], None],
        *,
        busy: bool,
    ) -> None:
        self._agenda = agenda
        self._feeds = feeds
        self._time = agenda.time
        self._loop = loop
        self._failed = failed
        self._by_hand = isinstance(agenda.time, ManualTime)
        self._busy = busy and not self._by_hand  # time that is moved by hand never comes by waiting for it
        self._handle: asyncio.Handle | None = None
        self._running = False

    def start(self) -> None:
        """Begin."""
        self._running = True
        if isinstance(self._time, ScaledTime):
            self._time.run()
        if self._busy:  # it looks by itself: woken as well, it would poll twice from then on
            self._handle = self._loop.call_soon(self._poll)
        else:
            self._wake_by(self._arm)
            self._arm()

    def stop(self) -> None:
        """End; harmless to repeat."""
        if self._running and isinstance(self._time, ScaledTime):
            self._time.rest()
        self._running = False
        self._wake_by(None)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake_by(self, wake: Callable[[], None] | None) -> None:
        self._agenda.wake = self._feeds.wake = wake

    def _due(self) -> int:
        return min(self._agenda.due, self._feeds.due)

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if not self._running:
            return
        if (due := self._due()) < NEVER and not self._agenda.held:
            delay = self._time.delay(due)
            self._handle = (
                self._loop.call_later(delay, self._fire) if delay > 0 else self._loop.call_soon(self._fire)
            )

    def _fire(self) -> None:
        self._handle = None
        self._wake_by(None)  # whatever is added now is looked at below
        try:
            self._run()
        except Exception as error:  # the engine's own fault, or an adapter's: it must not look like silence
            self._failed(error)
        if self._running:
            self._wake_by(self._arm)
            self._arm()

    def _run(self) -> None:
        """Moment by moment what is due, until nothing is or the loop must have its turn."""
        agenda, feeds, time = self._agenda, self._feeds, self._time
        turn_ends = self._loop.time() + TURN_SECONDS
        while self._running and not agenda.held:
            due = self._due()
            if due == NEVER or (not self._by_hand and due > time.now()):
                return
            if (
                feeds.due <= due
            ):  # an event has what is due at its own moment run as the one rule of order has it
                feeds.run(due)
            else:
                agenda.run(due)
            if self._loop.time() >= turn_ends:
                return

    def _poll(self) -> None:
        """Never sleep: a callback that is always ready keeps the loop from waiting in its selector."""
        if self._due() <= self._time.now():
            try:
                self._run()
            except Exception as error:  # as in _fire
                self._failed(error)
        if self._running:
            self._handle = self._loop.call_soon(self._poll)
