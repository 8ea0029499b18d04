"""Feeds: what ccxt parses of a market, made market events; bars are told of once they are over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlead import Bar, Book, Quote, Trade
from fairlead.ports import Clock, MarketEvent

MS = 1_000_000


class Feed:
    """One feed of one instrument; `seen` takes what ccxt made of a frame. `count` is how much it has seen."""

    def __init__(self, instrument: str, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        self.count = 0
        self._instrument = instrument
        self._emit = emit
        self._clock = clock

    def seen(self, entry: Any) -> None:
        """See one entry. Raises KeyError, TypeError or ValueError for what cannot be read."""
        self.count += 1
        self._tell(entry)

    def _tell(self, entry: Any) -> None:
        raise NotImplementedError

    def _when(self, entry: Mapping[str, Any]) -> int:
        stamp = entry.get("timestamp")
        return int(stamp) * MS if stamp else self._clock.now()


class Trades(Feed):
    """Public prints; one that is listed twice is told once."""

    def __init__(self, instrument: str, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        super().__init__(instrument, emit, clock)
        self._ids: dict[str, None] = {}

    def _tell(self, entry: Any) -> None:
        name = str(entry.get("id") or "")
        if name:
            if name in self._ids:
                return
            self._ids[name] = None
            if len(self._ids) > 5000:
                del self._ids[next(iter(self._ids))]
        price, size = float(entry["price"]), float(entry["amount"])
        self._emit(
            Trade(
                self._instrument,
                price,
                size,
                self._when(entry),
                self._clock.now(),
                entry.get("side") or "",
                name,
            )
        )


class Quotes(Feed):
    """Best bid and ask, of a ticker or of a book."""

    def _tell(self, entry: Any) -> None:
        if entry.get("bids") is not None:
            if entry["bids"] and entry["asks"]:
                (bid, bid_size), (ask, ask_size) = entry["bids"][0][:2], entry["asks"][0][:2]
                self._say(entry, bid, ask, bid_size, ask_size)
        elif entry.get("bid") is not None and entry.get("ask") is not None:
            self._say(entry, entry["bid"], entry["ask"], entry.get("bidVolume"), entry.get("askVolume"))

    def _say(self, entry: Any, bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> None:
        self._emit(
            Quote(
                self._instrument, float(bid), float(ask), float(bid_size or 0), float(ask_size or 0),
                self._when(entry), self._clock.now(),
            )
        )  # fmt: skip


class Books(Feed):
    """The best levels."""

    def __init__(
        self, instrument: str, emit: Callable[[MarketEvent], None], clock: Clock, levels: int
    ) -> None:
        super().__init__(instrument, emit, clock)
        self._levels = levels

    def _tell(self, entry: Any) -> None:
        bids, asks = (
            tuple((float(row[0]), float(row[1])) for row in entry[side][: self._levels])
            for side in ("bids", "asks")
        )
        self._emit(Book(self._instrument, bids, asks, self._when(entry), self._clock.now()))


class Bars(Feed):
    """Bars of one interval. One is over when a later one begins, or `settle_ns` after its end at the latest.

    `told_ms` is the end of the last one that was told of, live or as history: nothing before it is told
    again. While it is `held` what comes waits, so that what was missed goes first.
    """

    def __init__(
        self,
        instrument: str,
        emit: Callable[[MarketEvent], None],
        clock: Clock,
        interval: str,
        size_ms: int,
        settle_ns: int,
    ) -> None:
        super().__init__(instrument, emit, clock)
        self.told_ms = 0
        self.interval = interval
        self._size_ms = size_ms
        self._settle_ns = settle_ns
        self._forming: Sequence[Any] | None = None
        self._waiting: list[Sequence[Any]] | None = None

    def hold(self) -> None:
        """Tell nothing for now."""
        self._waiting, self._forming = [], None

    def release(self, missed: Sequence[Sequence[Any]]) -> None:
        """Tell of what was missed, then of what came meanwhile."""
        waiting, self._waiting = self._waiting or [], None
        for row in [*missed, *waiting]:
            self._tell(row)

    def bar(self, row: Sequence[Any]) -> Bar:
        """A bar of ccxt's row. Raises TypeError or ValueError for what cannot be read."""
        opened = int(row[0])
        first, high, low, last = (float(value) for value in row[1:5])
        return Bar(
            self._instrument, self.interval, first, high, low, last, float(row[5] or 0), opened * MS,
            (opened + self._size_ms) * MS, self._clock.now(),
        )  # fmt: skip

    def _tell(self, entry: Any) -> None:
        if self._waiting is not None:
            self._waiting.append(list(entry))
            return
        opened = int(entry[0])
        if opened < self.told_ms or (self._forming is not None and opened < self._forming[0]):
            return
        if self._forming is None or opened > self._forming[0]:
            self._over()
            self._clock.call_at((opened + self._size_ms) * MS + self._settle_ns, lambda: self._due(opened))
        self._forming = list(entry)

    def _due(self, opened: int) -> None:
        if self._forming is not None and self._forming[0] == opened:
            self._over()

    def _over(self) -> None:
        row, self._forming = self._forming, None
        if row is not None:
            self.told_ms = int(row[0]) + self._size_ms
            self._emit(self.bar(row))
