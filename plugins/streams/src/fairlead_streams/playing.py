"""Playing a sequence of events on a clock: what a recording does when it is used live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import attrs

from fairlead import ConfigurationError
from fairlead.ports import Clock, Handle, MarketEvent

_SPEED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*x?\s*")


@attrs.frozen
class ReplayTime:
    """The time that a stream brings: where it begins, and how fast it runs (None: as fast as can be)."""

    start_ns: int
    speed: float | None = None


def parse_speed(speed: float | str | None) -> float | None:
    """The factor of `60`, `"60x"` or `"max"` (None). Raises ConfigurationError for anything else."""
    if speed is None or speed == "max":
        return None
    match = _SPEED.fullmatch(str(speed))
    factor = float(match[1]) if match else 0.0
    if factor <= 0 or isinstance(speed, bool):
        raise ConfigurationError(
            f"speed {speed!r} is not a factor above 0: write 60 or '60x', or 'max' for as fast as possible"
        )
    return factor


LATE_NS = 2_000_000_000
"""A feed on the clock on the wall does not make up for what is older than this, after a sleep of the machine."""


class Player:
    """Emits events at their `received_ns`, all events of one instant in one go, then says that it ended.

    With `stamp` they are what a venue sends now: each is given the clock's time as its time of arrival.
    """

    def __init__(
        self,
        events: Iterator[MarketEvent],
        clock: Clock,
        emit: Callable[[MarketEvent], None],
        ended: Callable[[], None],
        *,
        start_ns: int,
        stamp: Callable[[MarketEvent, int], MarketEvent] | None = None,
    ) -> None:
        self._events = events
        self._clock = clock
        self._emit = emit
        self._ended = ended
        self._stamp = stamp
        self._next: MarketEvent | None = next(events, None)
        self.last_ns: int | None = None
        when = start_ns if self._next is None else self._next.received_ns
        self._handle: Handle | None = clock.call_at(when, self._fire)

    def stop(self) -> None:
        """Emit nothing more; harmless to repeat."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._next = None

    def _fire(self) -> None:
        self._handle = None
        event = self._next
        if event is None:
            self._ended()
            return
        now = event.received_ns if self._stamp is None else self._clock.now()
        while event is not None and event.received_ns <= now:
            self.last_ns = event.received_ns
            if self._stamp is None:
                self._emit(event)
            elif event.received_ns > now - LATE_NS:
                self._emit(self._stamp(event, now))
            if self._next is None:
                return
            event = self._next = next(self._events, None)
        if event is None:
            self._ended()
        else:
            self._handle = self._clock.call_at(event.received_ns, self._fire)
