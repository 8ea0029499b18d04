"""An order book kept by its changes, which are checked for gaps.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

import enum

import msgspec

Levels = list[tuple[str, str]]


class Step(msgspec.Struct):
    """A whole book, or what changed of it; `u` rises by one with each step, and is 1 after a restart."""

    u: int
    b: Levels
    a: Levels


steps = msgspec.json.Decoder(Step)


class Outcome(enum.Enum):
    """What a step did: the book is as it was told, it waits for a whole one, or it lost its thread."""

    KEPT = "kept"
    WAITS = "waits"
    GAP = "gap"


class Depth:
    """One book; it begins, and begins anew, with a whole one."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self._last: int | None = None

    def begin(self) -> None:
        """Forget all: a whole book is on its way."""
        self.bids.clear()
        self.asks.clear()
        self._last = None

    def take(self, step: Step, *, whole: bool) -> Outcome:
        """One step. Raises ValueError for a level that is no number."""
        if whole:
            self.begin()
        elif self._last is None:
            return Outcome.WAITS
        elif step.u <= self._last:
            return Outcome.WAITS  # it was told twice
        elif step.u != self._last + 1:
            return Outcome.GAP
        self._last = step.u
        _apply(self.bids, step.b)
        _apply(self.asks, step.a)
        return Outcome.KEPT

    def best(self, count: int) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        """The best levels of both sides, best first."""
        bids = sorted(self.bids.items(), reverse=True)[:count]
        return tuple(bids), tuple(sorted(self.asks.items())[:count])


def _apply(side: dict[float, float], levels: Levels) -> None:
    for price, size in levels:
        if held := float(size):
            side[float(price)] = held
        else:
            side.pop(float(price), None)
