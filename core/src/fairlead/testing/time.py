"""Time for tests: a clock moved by hand, and an event loop that jumps to its next timer instead of sleeping."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from fairlead._kernel.clock import Agenda, Entry, ManualTime
from fairlead.units import duration

T = TypeVar("T")

START_NS = 1_700_006_400_000_000_000
"""2023-11-15 00:00:00 UTC: where time in tests begins unless they say otherwise, at a full day."""


class ManualClock(ManualTime):
    """A clock that stands still until a test moves it; `fairlead.ports.Clock`, and an engine's clock as well.

    As the clock of an engine it is moved by the recording that is played, as fast as possible.
    """

    def __init__(self, start_ns: int = START_NS) -> None:
        super().__init__(start_ns)
        self.agenda = Agenda(self)

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Entry:
        """Run `callback` when the clock is moved there; ties run in the order they were asked for."""
        return self.agenda.call_at(when_ns, callback)

    def advance(self, by: str | int) -> None:
        """Move on by a duration such as `"5s"`, running what comes due on the way, each at its own time."""
        self.advance_to(self.ns + duration(by))

    def advance_to(self, when_ns: int) -> None:
        """Move on to a time in ns, running what comes due on the way; never back."""
        self.agenda.run(when_ns)
        self.reach(when_ns)


class VirtualClock:
    """The time of the virtual loop that runs: pass it to an engine in `plugins=[...]`."""

    def __init__(self, start_ns: int = START_NS) -> None:
        self._start = start_ns

    def now(self) -> int:
        """The time now."""
        return self._start + round(asyncio.get_running_loop().time() * 1e9)

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Run `callback` once, at `when_ns`."""
        return asyncio.get_running_loop().call_at((when_ns - self._start) / 1e9, callback)

    def reach(self, when_ns: int) -> None:
        """The loop moves it."""

    def delay(self, when_ns: int) -> float:
        """Virtual seconds until `when_ns`."""
        return (when_ns - self.now()) / 1e9


class _Timer(asyncio.TimerHandle):
    """A timer that comes after those set earlier for the same time."""

    __slots__ = ("serial",)
    serial: int

    def __lt__(self, other: Any) -> bool:
        return (self.when(), self.serial) < (other.when(), other.serial)


class _Leap(selectors.DefaultSelector):
    """Where a loop would sleep, time leaps instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: nothing will ever happen")
        self.loop.leap()
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time: it starts at 0 and jumps to the next timer as soon as nothing is ready.

    Timers of the same time run in the order they were set. What is given to a thread pool runs at once, here.
    """

    def __init__(self) -> None:
        selector = _Leap()
        selector.loop = self
        self._now_ns = 0
        self._serial = itertools.count()
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made, exact to the nanosecond."""
        return self._now_ns / 1e9

    def leap(self) -> None:
        """Jump to the next timer."""
        timers: list[_Timer] = self._scheduled  # type: ignore[attr-defined]
        self._now_ns = max(self._now_ns, round(timers[0].when() * 1e9))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at a virtual time."""
        timer = _Timer(when, callback, args, self, context)
        timer.serial = next(self._serial)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run it at once: threads know no virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # belongs to whoever awaits it
            future.set_exception(error)
        return future


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a new `VirtualLoop`; an hour of sleeping takes no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
