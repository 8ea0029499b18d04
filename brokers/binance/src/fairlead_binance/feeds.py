"""Feeds: what each market stream's frames become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from fairlead import Bar, Book, Funding, Instrument, Mark, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_binance import frames
from fairlead_binance.depth import Depth, Outcome, Picture

Emit = Callable[[MarketEvent], None]
Now = Callable[[], int]
_MS = 1_000_000


class Feed(Protocol):
    """Takes the frames of one stream. `take` raises msgspec.DecodeError for what cannot be read."""

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One frame."""
        ...


class Quotes:
    """Quotes, of which an older one than the last is left out."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now) -> None:
        self._id = instrument.id
        self._emit = emit
        self._now = now
        self._last = 0

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One bookTicker."""
        row = frames.tickers.decode(data)
        if row.u < self._last:
            return
        self._last, now = row.u, self._now()
        self._emit(Quote(self._id, row.b, row.a, row.B, row.A, row.T * _MS or now, now))


class Trades:
    """Public trades, each once."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now) -> None:
        self._id = instrument.id
        self._emit = emit
        self._now = now
        self._last = 0

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One trade."""
        row = frames.trades.decode(data)
        number = row.t or row.a
        if number <= self._last:
            return
        self._last = number
        aggressor = "sell" if row.m else "buy"
        self._emit(Trade(self._id, row.p, row.q, row.T * _MS, self._now(), aggressor, str(number)))


class Bars:
    """Bars that have closed, each once and in their order; `last_ns` is when the last one did."""

    def __init__(self, instrument: Instrument, interval: str, emit: Emit, now: Now) -> None:
        self.instrument = instrument
        self.interval = interval
        self.last_ns = 0
        self._size = duration(interval)
        self._emit = emit
        self._now = now
        self._held: list[Bar] | None = None

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One kline."""
        row = frames.klines.decode(data).k
        if not row.x:
            return
        opened = row.t * _MS
        closed = opened + self._size
        name, now = self.instrument.id, self._now()
        self._one(Bar(name, self.interval, row.o, row.h, row.low, row.c, row.v, opened, closed, now))

    def hold(self) -> None:
        """Keep what comes until the past has been fetched."""
        self._held = []

    def join(self, past: list[Bar]) -> None:
        """What closed before the first that was kept, then that: without a gap, and nothing twice."""
        held, self._held = self._held or [], None
        now = self._now()
        for bar in past:
            self._one(msgspec.structs.replace(bar, received_ns=now))
        for bar in held:
            self._one(bar)

    def seen(self, past: list[Bar]) -> None:
        """These were given as history."""
        if past:
            self.last_ns = max(self.last_ns, past[-1].event_ns)

    def _one(self, bar: Bar) -> None:
        if self._held is not None:
            self._held.append(bar)
        elif bar.event_ns > self.last_ns:
            self.last_ns = bar.event_ns
            self._emit(bar)


class Books:
    """The best levels of a book that is kept by its changes; `lost` is called when a gap makes it worthless."""

    def __init__(
        self, instrument: Instrument, levels: int, emit: Emit, now: Now, lost: Callable[[Books], None]
    ) -> None:
        self.instrument = instrument
        self._depth = Depth()
        self._levels = levels
        self._emit = emit
        self._now = now
        self._lost = lost

    def begin(self) -> None:
        """Wait for a picture."""
        self._depth.begin()

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One change."""
        change = frames.changes.decode(data)
        self._then(self._depth.change(change), (change.T or change.E) * _MS)

    def picture(self, picture: Picture) -> None:
        """The whole book."""
        self._then(self._depth.picture(picture), 0)

    def _then(self, outcome: Outcome, at: int) -> None:
        if outcome is Outcome.KEPT:
            now = self._now()
            bids, asks = self._depth.best(self._levels)
            self._emit(Book(self.instrument.id, bids, asks, at or now, now))
        elif outcome is Outcome.GAP:
            self._depth.begin()
            self._lost(self)


class Marks:
    """Mark prices, and each funding when its time has come; either only where it is wanted."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now) -> None:
        self.wanted: set[str] = set()
        self._id = instrument.id
        self._emit = emit
        self._now = now
        self._next: tuple[int, float] | None = None

    def take(self, data: bytes | msgspec.Raw) -> None:
        """One markPrice: when its next funding is another one, the one before has been paid."""
        row, now = frames.marks.decode(data), self._now()
        if "mark" in self.wanted:
            self._emit(Mark(self._id, row.p, row.E * _MS, now))
        before, self._next = self._next, (row.T, row.r)
        if "funding" in self.wanted and before is not None and before[0] < row.T:
            self._emit(Funding(self._id, before[1], before[0] * _MS, now))
