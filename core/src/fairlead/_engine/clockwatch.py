"""Watches the wall clock beside the engine's: a step is said and recorded, and moves nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from fairlead._kernel.clock import SystemTime

LOOK_SECONDS = 10.0
STEP_NS = 100_000_000
"""What the two may drift apart between looks: a slewed clock stays far below it."""

log = logging.getLogger("fairlead.engine")


class ClockWatch:
    """A context manager around a run; `stepped` is called with the nanoseconds of each step."""

    def __init__(
        self, time: SystemTime, loop: asyncio.AbstractEventLoop, stepped: Callable[[int], None]
    ) -> None:
        self._time = time
        self._loop = loop
        self._stepped = stepped
        self._apart = time.step()
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._handle = self._loop.call_later(LOOK_SECONDS, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        apart = self._time.step()
        step = apart - self._apart
        self._apart = apart
        if abs(step) > STEP_NS:
            log.warning("the wall clock stepped by %+.3f s: engine time goes on as it was", step / 1e9)
            self._stepped(step)
        self._handle = self._loop.call_later(LOOK_SECONDS, self._look)
