"""Returns of instruments from one full interval to the next, sampled from their marks."""

from __future__ import annotations

from math import log

from fairlead.ports import View
from fairlead_breakers._latch import Act, Latch, count, span
from fairlead_breakers._shared import next_full


class Returns(Latch):
    """A breaker of log returns: the last `samples` of each watched instrument, one for each full `every`.

    A mark older than `every` (and two intervals of its bars) is no price: its returns begin anew. Looks are at full
    intervals of engine time, so that the same data give the same samples whenever a run began.
    """

    def __init__(self, name: str, action: Act, samples: int, every: str) -> None:
        super().__init__(name, action, "manual")
        self._samples, self._every = count(name, "samples", samples, 2), span(name, "every", every)
        self._marks: dict[str, float] = {}
        self._returns: dict[str, list[float]] = {}

    def due(self, view: View) -> int:
        """At the next full interval."""
        return next_full(self._every, view)

    def _sample(self, view: View) -> None:
        for name in view.watched():
            mark, age = view.mark(name), view.age(name)
            if mark is None or age is None or age > self._every + 2 * view.cadence(name):
                self._marks.pop(name, None)
                self._returns.pop(name, None)
                continue
            before = self._marks.get(name)
            self._marks[name] = mark
            if before is not None:
                returns = self._returns.setdefault(name, [])
                returns.append(log(mark / before))
                del returns[: -self._samples]

    def _known(self, name: str) -> list[float] | None:
        """The returns of an instrument, None before there are enough."""
        returns = self._returns.get(name, ())
        return list(returns) if len(returns) >= self._samples else None

    def save(self) -> bytes:
        """Nothing: prices are seen anew."""
        return b""

    def load(self, saved: bytes) -> None:
        """Nothing."""
