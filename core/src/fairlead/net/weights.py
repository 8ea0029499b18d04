"""The weight of requests: what a venue still takes, so that who asks waits instead of being banned."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from fairlead.errors import ConfigurationError

_LEAST_NS = 1_000_000
"""A loop's timer may come a little early: so long at least is waited."""


class Weights:
    """One limit of a venue: so much `weight` in any `window_ns`; questions leave `kept` of it to orders.

    `now` gives the time in ns. What goes out beside it counts as far as the venue's own figure (`used`) tells.
    Raises ConfigurationError where nothing would be left.
    """

    def __init__(self, weight: int, window_ns: int, now: Callable[[], int], *, kept: int = 0) -> None:
        if not 0 <= kept < weight or window_ns <= 0:
            raise ConfigurationError(
                f"a limit of {weight} in {window_ns} ns that keeps {kept} lets nothing through: keep less of it"
            )
        self._weight = weight
        self._window_ns = window_ns
        self._now = now
        self._kept = kept
        self._log: deque[tuple[int, int]] = deque()
        self._spent = 0
        self._closed_ns = 0
        self._turn = asyncio.Lock()

    async def acquire(self, weight: int = 1) -> None:
        """Wait until so much may be asked for; who came first goes first. More than there ever is goes alone."""
        async with self._turn:
            while (wait := self.ready_ns(weight) - self._now()) > 0:  # noqa: ASYNC110  # time is all it waits for
                await asyncio.sleep(max(wait, _LEAST_NS) / 1e9)
            self._spend(weight)

    def ready_ns(self, weight: int = 1) -> int:
        """When so much may be asked for, in ns: now or later."""
        now = self._now()
        self._forget(now)
        short = min(weight, self._weight - self._kept) + self._spent - (self._weight - self._kept)
        ready = max(now, self._closed_ns)
        for when, gone in self._log:
            if short <= 0:
                break
            short -= gone
            ready = max(ready, when + self._window_ns)
        return ready

    def used(self, weight: int) -> None:
        """The venue says that so much of its window is used: whatever it counts beyond ours has just gone."""
        self._forget(self._now())
        if weight > self._spent:
            self._spend(weight - self._spent)

    def close(self, until_ns: int) -> None:
        """The venue takes nothing before then: it said so, or it has banned us."""
        self._closed_ns = max(self._closed_ns, until_ns)

    @property
    def closed_ns(self) -> int:
        """Until when the venue takes nothing at all, in ns; in the past where it takes something."""
        return self._closed_ns

    def _spend(self, weight: int) -> None:
        self._spent += weight
        self._log.append((self._now(), weight))

    def _forget(self, now: int) -> None:
        while self._log and self._log[0][0] <= now - self._window_ns:
            self._spent -= self._log.popleft()[1]
