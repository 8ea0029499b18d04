"""A venue's clock: requests are stamped by it, for one that is off is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fairlead.errors import ConnectivityError

_SAMPLES = 3


class VenueClock:
    """The time of a venue, as far as its answers tell. `now` is our own time, `ask` gives the venue's, both in ns.

    Until it is measured it is ours. `offset_ns` is by how much it is ahead of ours, `error_ns` by how much that may be
    wrong: half of the fastest round trip.
    """

    def __init__(self, now: Callable[[], int], ask: Callable[[], Awaitable[int]]) -> None:
        self._now = now
        self._ask = ask
        self._measured_ns: int | None = None
        self.offset_ns = 0
        self.error_ns = 0

    def now(self) -> int:
        """The venue's time, in ns."""
        return self._now() + self.offset_ns

    async def measure(self, older_than_ns: int = 0) -> None:
        """Measure it anew, unless that was done not longer ago than this. Raises what `ask` raises.

        Raises ConnectivityError where time itself ran backwards between question and answer.
        """
        if self._measured_ns is not None and self._now() - self._measured_ns < older_than_ns:
            return
        best: tuple[int, int] | None = None
        for _ in range(_SAMPLES):
            before = self._now()
            theirs = await self._ask()
            took = self._now() - before
            if took >= 0 and (best is None or took < best[0]):
                best = took, theirs - before - took // 2
        if best is None:
            raise ConnectivityError("the venue's clock cannot be measured: our own runs backwards")
        took, self.offset_ns = best
        self.error_ns = took // 2
        self._measured_ns = self._now()
