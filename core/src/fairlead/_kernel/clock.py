"""Time: where `now` comes from, and the agenda of what is due.

One `Agenda` orders everything that happens at a moment of its own: reports of a simulated venue, bars that
close, strategies' timers. Live it is woken by the event loop, in a backtest by the next market event; the order
is the same, because it is decided here.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from fairlead.ports import Time

ANSWER, REPORT, BAR, TIMER, END = -1, 0, 1, 2, 9
"""Ranks at equal time: answers (time stands still for them in a backtest), reports, then bars that close, then
timers; market events follow, the end is last of all."""

NEVER = 1 << 62

Schedule = Callable[[int, Callable[[], None], int, int], object]
"""How the kernel's parts ask for a turn of their own: due time in ns, callback, rank, interval in ns."""


class SystemTime:
    """Wall time when it was made plus the monotonic clock since: a step of the wall clock does not move it."""

    def __init__(
        self, *, wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> int:
        """The time now."""
        return self._offset + self._monotonic()

    def reach(self, when_ns: int) -> None:
        """Real time moves by itself."""

    def delay(self, when_ns: int) -> float:
        """Real seconds until then."""
        return (when_ns - self.now()) / 1e9

    def step(self) -> int:
        """By how many nanoseconds the wall clock has parted from this one."""
        return self._wall() - self.now()


class ScaledTime:
    """Recorded time that runs `speed` times as fast as real time, from `start_ns` on.

    It stands still until `run`. From then on it follows real time as far as the next thing that is due on an agenda
    in `bounds`, and no further before that has been reached: whoever is late in real time is on time here, so what is
    played fast does not depend on how fast the machine is.
    """

    def __init__(
        self, start_ns: int, speed: float, *, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._start = start_ns
        self._speed = speed
        self._monotonic = monotonic
        self._origin = monotonic()
        self._reached = start_ns
        self._runs = False
        self.bounds: list[Agenda] = []

    def run(self) -> None:
        """Let it run from where it stands."""
        self._start, self._origin, self._runs = self._reached, self._monotonic(), True

    def rest(self) -> None:
        """Let it stand still where it was seen last: at the moment in hand, if there is one."""
        self._runs = False

    def _wanted(self) -> int:
        """Where real time is."""
        return self._start + int((self._monotonic() - self._origin) * self._speed)

    def now(self) -> int:
        """The time now."""
        if self._runs:
            now = self._wanted()
            for agenda in self.bounds:
                now = min(now, agenda.due)
            self._reached = max(self._reached, now)
        return self._reached

    def reach(self, when_ns: int) -> None:
        """It has come there; where real time is behind it leaps: a recording goes on where an earlier run left it."""
        self._reached = max(self._reached, when_ns)
        if self._runs:
            self._start += max(0, when_ns - self._wanted())

    def delay(self, when_ns: int) -> float:
        """Real seconds until then, below 0 where real time has passed it."""
        return (when_ns - (self._wanted() if self._runs else self._reached)) / 1e9 / self._speed


class ManualTime:
    """Time that stands still until it is moved: backtests, replays as fast as possible, tests."""

    def __init__(self, start_ns: int = 0) -> None:
        self.ns = start_ns

    def now(self) -> int:
        """The time now."""
        return self.ns

    def reach(self, when_ns: int) -> None:
        """Move there, never back."""
        if when_ns > self.ns:
            self.ns = when_ns

    def delay(self, when_ns: int) -> float:
        """Nothing waits for real time."""
        return 0.0


class Entry:
    """One thing on the agenda."""

    __slots__ = ("callback", "due_ns")

    def __init__(self, due_ns: int, callback: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never run it; harmless to repeat."""
        self.callback = None


class Agenda:
    """What is due when, in one order: by time, then rank, then interval (small before large), then order asked.

    `due` is the time of the earliest entry, NEVER when there is none. `wake`, if set, is called when it moves
    to an earlier time. `moment` is the time of the entry or input in hand, 0 between them: whatever follows from
    it happens at that time. While it is held nothing runs. It is the `fairlead.ports.Clock` that brokers and
    streams are given.
    """

    __slots__ = ("_heap", "_serial", "due", "held", "moment", "now", "time", "wake")

    def __init__(self, time_source: Time) -> None:
        self.use(time_source)
        self.due = NEVER
        self.wake: Callable[[], None] | None = None
        self.held = 0
        self.moment = 0
        self._heap: list[tuple[int, int, int, int, Entry]] = []
        self._serial = 0

    def use(self, time_source: Time) -> None:
        """Take the time from here from now on; `now()` is its own, without a detour.

        Scaled time stands still while something is in hand, and waits for what is due here.
        """
        self.time = time_source
        self.now = time_source.now
        if isinstance(time_source, ScaledTime):
            self.now = self.stamp
            time_source.bounds = [*(other for other in time_source.bounds if other is not self), self]

    def stamp(self) -> int:
        """The time that an input gets: that of what is in hand and led to it, else the time now."""
        return self.moment or self.time.now()

    def hold(self) -> None:
        """Run nothing until as many releases have come."""
        self.held += 1

    def release(self) -> None:
        """Go on."""
        self.held -= 1
        if not self.held and self.wake is not None:
            self.wake()

    def call_at(
        self, when_ns: int, callback: Callable[[], None], rank: int = REPORT, interval: int = 0
    ) -> Entry:
        """Run `callback` once when `when_ns` has come."""
        entry = Entry(when_ns, callback)
        self._serial += 1
        heapq.heappush(self._heap, (when_ns, rank, interval, self._serial, entry))
        if when_ns < self.due:
            self.due = when_ns
            if self.wake is not None:
                self.wake()
        return entry

    def run(self, until_ns: int, rank: int = END) -> None:
        """Run what is due before `until_ns`, and of what is due at that very moment all up to `rank`."""
        heap, before = self._heap, self.moment
        try:
            while heap and (heap[0][0] < until_ns or (heap[0][0] == until_ns and heap[0][1] <= rank)):
                if self.held:
                    break
                entry = heapq.heappop(heap)[4]
                self.due = heap[0][0] if heap else NEVER
                callback = entry.callback
                if callback is not None:
                    self.time.reach(entry.due_ns)
                    self.moment = entry.due_ns
                    callback()
        finally:
            self.moment = before
