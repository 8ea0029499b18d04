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


class Player:
    """Emits events at their `received_ns`, all events of one instant in one go, then says that it ended."""

    def __init__(
        self,
        events: Iterator[MarketEvent],
        clock: Clock,
        emit: Callable[[MarketEvent], None],
        ended: Callable[[], None],
        *,
        start_ns: int,
    ) -> None:
        self._events = events
        self._clock = clock
        self._emit = emit
        self._ended = ended
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
        if event is not None:
            now = self.last_ns = event.received_ns
            emit, following = self._emit, self._events
            while event is not None and event.received_ns <= now:
                emit(event)
                if self._next is None:
                    return
                event = self._next = next(following, None)
            if event is not None:
                self._handle = self._clock.call_at(event.received_ns, self._fire)
                return
        self._ended()
