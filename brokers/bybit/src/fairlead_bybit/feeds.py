"""Feeds: what the frames of each public topic become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from fairlead import Bar, Book, Funding, Instrument, Mark, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_bybit import depth
from fairlead_bybit.depth import Depth, Outcome
from fairlead_bybit.frames import Frame

Emit = Callable[[MarketEvent], None]
Now = Callable[[], int]
_MS = 1_000_000
_SNAPSHOT = "snapshot"
_REMEMBERED = 1_000
"""So many trades are known again when they are told twice: their ids have no order."""

Levels = tuple[tuple[float, float], ...]


class Feed(Protocol):
    """Takes the frames of one topic. `take` raises msgspec.DecodeError or ValueError for what cannot be read."""

    def take(self, frame: Frame) -> None:
        """One frame."""
        ...


class PublicTrade(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/websocket/public/trade"""

    at_ms: int = msgspec.field(name="T")
    side: str = msgspec.field(name="S")
    size: str = msgspec.field(name="v")
    price: str = msgspec.field(name="p")
    number: str = msgspec.field(name="i")


class Kline(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/websocket/public/kline"""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    confirm: bool


class Ticker(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/websocket/public/ticker; of a delta what changed."""

    mark_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""


_trades = msgspec.json.Decoder(list[PublicTrade])
_klines = msgspec.json.Decoder(list[Kline])
_tickers = msgspec.json.Decoder(Ticker)


class Books:
    """The best levels of a book that is kept by its steps; `lost` is called when a gap makes it worthless."""

    def __init__(
        self, instrument: Instrument, levels: int, emit: Emit, now: Now, lost: Callable[[], None]
    ) -> None:
        self._id = instrument.id
        self._depth = Depth()
        self._levels = levels
        self._emit = emit
        self._now = now
        self._lost = lost

    def take(self, frame: Frame) -> None:
        """One step."""
        outcome = self._depth.take(depth.steps.decode(frame.data), whole=frame.type == _SNAPSHOT)
        if outcome is Outcome.KEPT:
            bids, asks = self._depth.best(self._levels)
            self._tell(bids, asks, (frame.cts or frame.ts) * _MS)
        elif outcome is Outcome.GAP:
            self._depth.begin()
            self._lost()

    def _tell(self, bids: Levels, asks: Levels, at: int) -> None:
        now = self._now()
        self._emit(Book(self._id, bids, asks, at or now, now))


class Quotes(Books):
    """The best bid and ask: a book of one level."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now, lost: Callable[[], None]) -> None:
        super().__init__(instrument, 1, emit, now, lost)

    def _tell(self, bids: Levels, asks: Levels, at: int) -> None:
        if bids and asks:
            now = self._now()
            self._emit(Quote(self._id, bids[0][0], asks[0][0], bids[0][1], asks[0][1], at or now, now))


class Trades:
    """Public trades, each once."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now) -> None:
        self._id = instrument.id
        self._emit = emit
        self._now = now
        self._seen: dict[str, None] = {}

    def take(self, frame: Frame) -> None:
        """Some trades."""
        now = self._now()
        for row in _trades.decode(frame.data):
            if row.number in self._seen:
                continue
            self._seen[row.number] = None
            if len(self._seen) > _REMEMBERED:
                del self._seen[next(iter(self._seen))]
            aggressor = "buy" if row.side == "Buy" else "sell"
            self._emit(
                Trade(
                    self._id, float(row.price), float(row.size), row.at_ms * _MS, now, aggressor, row.number
                )
            )


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

    def take(self, frame: Frame) -> None:
        """Some candles, of which the confirmed ones are bars."""
        name, now = self.instrument.id, self._now()
        for row in _klines.decode(frame.data):
            if row.confirm:
                opened = row.start * _MS
                prices = (float(row.open), float(row.high), float(row.low), float(row.close))
                self._one(
                    Bar(name, self.interval, *prices, float(row.volume), opened, opened + self._size, now)
                )

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


class Marks:
    """Mark prices, and each funding when its time has come; either only where it is wanted."""

    def __init__(self, instrument: Instrument, emit: Emit, now: Now) -> None:
        self.wanted: set[str] = set()
        self._id = instrument.id
        self._emit = emit
        self._now = now
        self._rate: float | None = None
        self._next_ms = 0

    def take(self, frame: Frame) -> None:
        """One ticker: when its next funding is another one, the one before has been paid."""
        row, now = _tickers.decode(frame.data), self._now()
        at = frame.ts * _MS or now
        if row.mark_price and "mark" in self.wanted:
            self._emit(Mark(self._id, float(row.mark_price), at, now))
        due, rate = int(row.next_funding_time or 0), self._rate
        if row.funding_rate:
            self._rate = float(row.funding_rate)
        if due and due != self._next_ms:
            before, self._next_ms = self._next_ms, due
            if "funding" in self.wanted and 0 < before < due and rate is not None:
                self._emit(Funding(self._id, rate, before * _MS, now))
