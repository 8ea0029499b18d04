"""Watches how late the engine's loop comes to what is due: being late is said and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

LOOK_SECONDS = 1.0
LAG_SECONDS = 0.1
"""What is less late than this is a busy moment, and no news."""


class LagWatch:
    """A context manager around a run; `lagged` is called with the nanoseconds by which a look came too late."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lagged: Callable[[int], None]) -> None:
        self._loop = loop
        self._lagged = lagged
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._look_later()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _look_later(self) -> None:
        due = self._loop.time() + LOOK_SECONDS
        self._handle = self._loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        late = self._loop.time() - due
        if late >= LAG_SECONDS:
            self._lagged(int(late * 1e9))
        self._look_later()
