"""Market frames as events: quotes, trades, books, marks, funding and bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from fairlead import Instrument, duration
from fairlead.ports import Bar, Book, Clock, Funding, Handle, Mark, MarketEvent, Quote, Trade

MS = 1_000_000
HOUR_NS = duration("1h")
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d")
SETTLE_NS = duration("1s")
"""How long after its end a candle may still change; no frame says that it is closed."""

_KEEP = 5_000

Emit = Callable[[MarketEvent], None]


class Feed(Protocol):
    """What makes events of the frames of one subscription."""

    def take(self, data: msgspec.Raw) -> None:
        """One frame. Raises msgspec.DecodeError."""
        ...

    def close(self) -> None:
        """No more of it."""
        ...


class _Level(msgspec.Struct):
    px: float
    sz: float


class _Touch(msgspec.Struct):
    time: int
    bbo: tuple[_Level | None, _Level | None]


class _Book(msgspec.Struct):
    time: int
    levels: tuple[list[_Level], list[_Level]]


class _Print(msgspec.Struct):
    side: str
    px: float
    sz: float
    time: int
    tid: int


class _Context(msgspec.Struct, rename="camel"):
    mark_px: float
    funding: float = 0.0


class _Marked(msgspec.Struct):
    ctx: _Context


class Candle(msgspec.Struct):
    """A candle, finished or not; `t` is its begin in ms."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float


_touches = msgspec.json.Decoder(_Touch, strict=False)
_books = msgspec.json.Decoder(_Book, strict=False)
_prints = msgspec.json.Decoder(list[_Print], strict=False)
_contexts = msgspec.json.Decoder(_Marked, strict=False)
_candles = msgspec.json.Decoder(Candle, strict=False)


class _Plain:
    def __init__(self, instrument: Instrument, emit: Emit, clock: Clock) -> None:
        self.instrument = instrument
        self._id = instrument.id
        self._emit = emit
        self._clock = clock

    def close(self) -> None:
        """Nothing is waited for."""


class Quotes(_Plain):
    """Best bid and ask; while a side is empty there is no quote."""

    def take(self, data: msgspec.Raw) -> None:
        """One bbo."""
        row = _touches.decode(data)
        bid, ask = row.bbo
        if bid is not None and ask is not None:
            self._emit(Quote(self._id, bid.px, ask.px, bid.sz, ask.sz, row.time * MS, self._clock.now()))


class Books(_Plain):
    """Each frame is the whole book, so that none depends on another."""

    def __init__(self, instrument: Instrument, emit: Emit, clock: Clock, levels: int) -> None:
        super().__init__(instrument, emit, clock)
        self._levels = levels

    def take(self, data: msgspec.Raw) -> None:
        """One book."""
        row = _books.decode(data)
        bids, asks = (tuple((level.px, level.sz) for level in side[: self._levels]) for side in row.levels)
        self._emit(Book(self._id, bids, asks, row.time * MS, self._clock.now()))


class Trades(_Plain):
    """Public trades, each once. A subscription begins with old ones: those from before it are left out."""

    def __init__(self, instrument: Instrument, emit: Emit, clock: Clock) -> None:
        super().__init__(instrument, emit, clock)
        self._seen: dict[int, None] = {}
        self._since_ms = 0

    def begin(self, venue_ns: int) -> None:
        """A subscription; after an earlier one what came in between is told."""
        self._since_ms = self._since_ms or venue_ns // MS

    def take(self, data: msgspec.Raw) -> None:
        """Some trades."""
        now = self._clock.now()
        for row in sorted(_prints.decode(data), key=lambda row: row.time):
            if row.time < self._since_ms or row.tid in self._seen:
                continue
            self._seen[row.tid] = None
            if len(self._seen) > _KEEP:
                del self._seen[next(iter(self._seen))]
            self._since_ms = max(self._since_ms, row.time)
            side = "buy" if row.side == "B" else "sell"
            self._emit(Trade(self._id, row.px, row.sz, row.time * MS, now, side, str(row.tid)))


class Marks(_Plain):
    """Mark prices, and the funding of each full hour; either only where it is wanted."""

    def __init__(self, instrument: Instrument, emit: Emit, clock: Clock) -> None:
        super().__init__(instrument, emit, clock)
        self.wanted: set[str] = set()
        self._rate: tuple[int, float] | None = None

    def take(self, data: msgspec.Raw) -> None:
        """One context: the first of an hour tells that the hour before was paid, at its last rate."""
        row, now = _contexts.decode(data).ctx, self._clock.now()
        if "mark" in self.wanted:
            self._emit(Mark(self._id, row.mark_px, now, now))
        hour, before = now // HOUR_NS, self._rate
        self._rate = hour, row.funding
        if "funding" in self.wanted and before is not None and before[0] < hour:
            self._emit(Funding(self._id, before[1], hour * HOUR_NS, now))


class Bars(_Plain):
    """Bars that have closed, each once and in their order.

    `last_ns` is when the last one did. A candle is closed when the next one begins, or a second after its end.
    """

    def __init__(self, instrument: Instrument, emit: Emit, clock: Clock, interval: str) -> None:
        super().__init__(instrument, emit, clock)
        self.interval = interval
        self.last_ns = 0
        self._size = duration(interval)
        self._open: Candle | None = None
        self._held = False
        self._timer: Handle | None = None

    def bar(self, candle: Candle) -> Bar:
        """A candle as a bar."""
        begin = candle.t * MS
        return Bar(
            self._id, self.interval, candle.o, candle.h, candle.l, candle.c, candle.v, begin, begin + self._size,
            self._clock.now(),
        )  # fmt: skip

    def take(self, data: msgspec.Raw) -> None:
        """One candle as it stands."""
        candle = _candles.decode(data)
        before, self._open = self._open, candle
        if before is not None and candle.t > before.t:
            self._tell(before)
        elif before is not None and candle.t < before.t:
            self._open = before
            return
        if before is None or before.t != candle.t:
            self._wait(candle)

    def _wait(self, candle: Candle) -> None:
        self.close()
        due = candle.t * MS + self._size + SETTLE_NS
        self._timer = self._clock.call_at(due, lambda: self._due(candle.t))

    def _due(self, begin: int) -> None:
        if self._open is not None and self._open.t == begin:
            self._tell(self._open)

    def hold(self) -> None:
        """Tell nothing until the past has been fetched."""
        self._held = True

    def join(self, past: list[Bar]) -> None:
        """What closed before the subscription, as it was fetched after it; then what closes from now on."""
        self._held = False
        for bar in past:
            self._one(bar)

    def seen(self, past: list[Bar]) -> None:
        """These were given as history."""
        if past:
            self.last_ns = max(self.last_ns, past[-1].event_ns)

    def _tell(self, candle: Candle) -> None:
        if not self._held:
            self._one(self.bar(candle))

    def _one(self, bar: Bar) -> None:
        if bar.event_ns > self.last_ns:
            self.last_ns = bar.event_ns
            self._emit(bar)

    def close(self) -> None:
        """Wait for no end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
