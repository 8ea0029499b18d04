"""An order book kept by its changes, which are checked for gaps.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
and, for futures, the page of the same name below
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import enum
from collections import deque

import msgspec

Levels = list[tuple[float, float]]
_MOST = 5000
"""So many changes wait for a picture: it comes within seconds, or it is asked for anew."""


class Change(msgspec.Struct):
    """depthUpdate: what changed from number `U` to `u`; futures also name the number before, `pu`."""

    U: int
    u: int
    b: Levels
    a: Levels
    E: int = 0
    T: int = 0
    pu: int | None = None


class Picture(msgspec.Struct, rename="camel"):
    """/depth: the whole book as of a number."""

    last_update_id: int
    bids: Levels
    asks: Levels


class Outcome(enum.Enum):
    """What a change did: the book is as it was told, it waits for a picture, or it lost its thread."""

    KEPT = "kept"
    WAITS = "waits"
    GAP = "gap"


class Depth:
    """One book. `begin` after the stream is on; then `picture` once, and `change` for ever."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self._last: int | None = None
        self._joined = False
        self._waiting: deque[Change] = deque(maxlen=_MOST)

    def begin(self) -> None:
        """Forget all: a picture is on its way."""
        self.bids.clear()
        self.asks.clear()
        self._waiting.clear()
        self._last, self._joined = None, False

    def picture(self, picture: Picture) -> Outcome:
        """The whole book, and what came since it was taken. A picture older than that is a gap."""
        self.bids, self.asks = dict(picture.bids), dict(picture.asks)
        self._last, self._joined = picture.last_update_id, False
        waiting = list(self._waiting)
        self._waiting.clear()
        return Outcome.GAP if any(self.change(one) is Outcome.GAP for one in waiting) else Outcome.KEPT

    def change(self, change: Change) -> Outcome:
        """One change."""
        last = self._last
        if last is None:
            self._waiting.append(change)
            return Outcome.WAITS
        futures = change.pu is not None
        if change.u < last or (change.u == last and not futures) or (self._joined and change.u <= last):
            return Outcome.WAITS  # the picture has it already, or it was told twice
        if not self._follows(change, last, futures=futures):
            return Outcome.GAP
        self._joined, self._last = True, change.u
        _apply(self.bids, change.b)
        _apply(self.asks, change.a)
        return Outcome.KEPT

    def _follows(self, change: Change, last: int, *, futures: bool) -> bool:
        if futures:
            return change.pu == last if self._joined else change.U <= last <= change.u or change.pu == last
        return last + 1 == change.U if self._joined else change.U <= last + 1 <= change.u

    def best(self, count: int) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        """The best levels of both sides, best first."""
        bids = sorted(self.bids.items(), reverse=True)[:count]
        return tuple(bids), tuple(sorted(self.asks.items())[:count])


def _apply(side: dict[float, float], levels: Levels) -> None:
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)
