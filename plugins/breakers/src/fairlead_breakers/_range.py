"""The lowest and the highest of a sliding window, cheap at every tick."""

from __future__ import annotations

from math import sqrt

from fairlead_breakers._shared import NEAR

PARTS = 12
"""A window is counted in so many parts: the one going on and these before it."""


class Range:
    """`low` and `high` of the prices in a window of `length` ns, since when there have been any, and the `end` of the
    part going on."""

    __slots__ = ("_at", "_parts", "end", "high", "length", "low", "since")

    def __init__(self, length: int) -> None:
        self.low = self.high = 0.0
        self.length = length
        self.since = 0
        self.end = self._at = 0
        self._parts: list[tuple[int, float, float]] = []

    def contains(self, price: float, now: int) -> bool:
        """Whether the part going on has seen lower and higher: then the price adds nothing."""
        return now < self.end and self._parts[-1][1] <= price <= self._parts[-1][2]

    def full(self, now: int) -> bool:
        """Whether prices are known for the whole window, without a silence of its length."""
        if now >= self.end:  # in the part going on nothing has left the window since
            self._forget(now)
        return bool(self._parts) and now - self.since >= self.length

    def add(self, price: float, now: int) -> tuple[float, float]:
        """Take a price; the lowest and the highest before it (itself, if it is the first).

        One that is older than the last counts as of the last's time.
        """
        now = self._at = max(now, self._at)
        self._forget(now)
        if not self._parts:
            self.since, self.low, self.high = now, price, price
        number, low, high = now * PARTS // self.length, price, price
        if self._parts and self._parts[-1][0] == number:
            _, low, high = self._parts.pop()
        self.end = -(-(number + 1) * self.length // PARTS)
        self._parts.append((number, min(low, price), max(high, price)))
        before = self.low, self.high
        self.low, self.high = min(self.low, price), max(self.high, price)
        return before

    def spare(self, limit: float) -> tuple[float, float] | None:
        """Prices that can follow in any order without a rise by more than `limit`; None where there was one.

        It takes a rise of more than a limit to undo a fall of it, so these do not fall by more than that either.
        """
        room = self.low * (1 + limit) * NEAR / self.high
        if room < 1:
            return None
        aside = sqrt(room)
        return self.low / aside, self.high * aside

    def _forget(self, now: int) -> None:
        """Leave out the parts that have left the window."""
        oldest = now * PARTS // self.length - PARTS
        if self._parts and self._parts[0][0] < oldest:
            self._parts = [part for part in self._parts if part[0] >= oldest]
            if not self._parts:
                self.end = 0
            self.low = min((part[1] for part in self._parts), default=0.0)
            self.high = max((part[2] for part in self._parts), default=0.0)
