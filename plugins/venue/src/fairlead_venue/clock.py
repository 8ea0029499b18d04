"""The venue's clock: the loop's own time from a wall clock that is read once, and what a test adds to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Timer:
    """Something that is going to happen, unless it is taken back."""

    def __init__(self, due_ns: int, callback: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never run it; harmless to repeat."""
        self.callback = None


class VenueClock:
    """Integer nanoseconds UTC. `advance` lets time pass at once, `skew` makes the clock wrong.

    Timers go by the time that has passed: `advance` runs those that are due, a skewed clock runs them no earlier.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = time.time_ns() - int(self._loop.time() * 1e9)
        self._skew = 0
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._wake: asyncio.TimerHandle | None = None

    def now(self) -> int:
        """The time as this clock shows it."""
        return self._passed() + self._skew

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        """Run `callback` when this clock, as it stands now, would show `when_ns`."""
        timer = Timer(when_ns - self._skew, callback)
        heappush(self._timers, (timer.due_ns, next(self._order), timer))
        self._arm()
        return timer

    def call_in(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        """Run `callback` after so many nanoseconds."""
        return self.call_at(self.now() + delay_ns, callback)

    async def sleep(self, delay_ns: int) -> None:
        """Wait so many nanoseconds of this clock's time."""
        done: asyncio.Future[None] = self._loop.create_future()
        timer = self.call_in(delay_ns, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def skew(self, by_ns: int) -> None:
        """Show a time that is wrong by so much from now on; 0 puts it right."""
        self._skew = by_ns

    def advance(self, by_ns: int) -> None:
        """Let time pass at once; what became due runs before this returns, in its order."""
        target = self._passed() + by_ns
        while self._timers and self._timers[0][0] <= target:
            self._start += max(0, self._timers[0][0] - self._passed())
            self._run_one()
        self._start += max(0, target - self._passed())
        self._arm()

    def close(self) -> None:
        """Run nothing any more."""
        self._timers.clear()
        if self._wake is not None:
            self._wake.cancel()

    def _passed(self) -> int:
        return self._start + int(self._loop.time() * 1e9)

    def _run_one(self) -> None:
        _, _, timer = heappop(self._timers)
        if timer.callback is not None:
            timer.callback()

    def _run_due(self) -> None:
        while self._timers and self._timers[0][0] <= self._passed():
            self._run_one()
        self._arm()

    def _arm(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._timers:
            delay = max(0, self._timers[0][0] - self._passed()) / 1e9
            self._wake = self._loop.call_later(delay, self._run_due)
