"""The prices of a run, thin enough to draw and to keep: at most 2,000 points for each instrument."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead._kernel.market import Market
from fairlead._kernel.recorder import Recorder
from fairlead.facts import Fact
from fairlead.units import SECOND

POINTS = 2_000

Points = list[tuple[int, float]]


class Line:
    """Values over time; where they become too many, every second one goes and so does every second to come."""

    def __init__(self, most: int = POINTS) -> None:
        self.points: Points = []
        self.due_ns = 0
        self._most = most
        self._step = SECOND

    def add(self, now: int, value: float) -> None:
        """A value at a time, which may be left out; times do not fall."""
        if now < self.due_ns:
            return
        self.points.append((now, value))
        if len(self.points) > self._most:
            self.points = self.points[::2]
            self._step *= 2
        self.due_ns = now + self._step


class PriceLine:
    """Notes the marks now and then, when facts are written: as an observer of facts it costs market data nothing."""

    def __init__(self, market: Market, recorder: Recorder) -> None:
        self.lines: dict[str, Line] = {}
        self._market = market
        self._recorder = recorder
        self._next = 0

    @property
    def points(self) -> dict[str, Points]:
        """What was noted, by instrument, the marks of this moment last."""
        now, lanes = self._recorder.now, self._market.lanes
        return {name: [*line.points, (now, lanes[name].mark)] for name, line in self.lines.items()}

    def facts(self, batch: Sequence[Fact]) -> None:
        """A turn has ended."""
        now = self._recorder.now
        if now < self._next:
            return
        for lane in self._market.lanes.values():
            if lane.mark:
                line = self.lines.setdefault(lane.id, Line())
                line.add(now, lane.mark)
        self._next = min((line.due_ns for line in self.lines.values()), default=now + SECOND)
