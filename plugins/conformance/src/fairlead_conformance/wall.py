"""The clock on the wall, for the date of a report."""

from __future__ import annotations

import time


class WallClock:
    """It says what time it is; nothing is scheduled on it."""

    def now(self) -> int:
        """Integer nanoseconds UTC."""
        return time.time_ns()
