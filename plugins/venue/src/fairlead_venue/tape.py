"""What an instrument's market has shown so far: book, prints, candles, mark. Fronts answer market data from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs
import msgspec

from fairlead import Bar, Book, Funding, Instrument, Mark, Quote, Trade, duration
from fairlead.ports import MarketEvent

_KEEP = 10_000
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND
_MONDAY = 4 * _DAY  # 1970-01-05 was the first one
_FUNDING_EVERY = 8 * 3_600 * _SECOND


class Print(msgspec.Struct, frozen=True):
    """A public trade; `buyer_made` says that the buyer's order was resting."""

    number: int
    price: float
    size: float
    at_ns: int
    buyer_made: bool


class Candle(msgspec.Struct):
    """Prices of [open_ns, open_ns + interval); `first` and `last` are their numbers, -1 where there are none."""

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    taker_volume: float = 0.0
    taker_value: float = 0.0
    count: int = 0
    first: int = -1
    last: int = -1

    def take(self, other: Candle) -> None:
        """Add a later candle to this one."""
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.value += other.value
        self.taker_volume += other.taker_volume
        self.taker_value += other.taker_value
        self.count += other.count
        if other.first >= 0:
            self.first = other.first if self.first < 0 else self.first
            self.last = other.last


@attrs.frozen
class BookChange:
    """One step of the order book: changed levels, 0 for one that went, and the numbers of its updates."""

    first: int
    last: int
    before: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    at_ns: int


class Tape:
    """The market data of one instrument. `take` says what an event changed in the book, if anything."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids: tuple[tuple[float, float], ...] = ()
        self.asks: tuple[tuple[float, float], ...] = ()
        self.update = 0
        self.prints: deque[Print] = deque(maxlen=_KEEP)
        self.count = 0
        self.mark: float | None = None
        self.funding_rate = 0.0001
        self.last: float | None = None
        self.at_ns = 0
        self._candles: dict[str, deque[Candle]] = {
            "1s": deque(maxlen=_KEEP), "1m": deque(maxlen=_KEEP)
        }  # fmt: skip
        self._spans = {"1s": _SECOND, "1m": _MINUTE}

    @property
    def price(self) -> float | None:
        """The last print, or the middle of the book where there was none."""
        if self.last is not None:
            return self.last
        if self.bids and self.asks:
            return (self.bids[0][0] + self.asks[0][0]) / 2
        return None

    def next_funding(self, now: int) -> int:
        """When funding is paid next: each eight hours UTC."""
        return (now // _FUNDING_EVERY + 1) * _FUNDING_EVERY

    def take(self, event: MarketEvent) -> BookChange | None:
        """Remember an event."""
        self.at_ns = event.received_ns
        match event:
            case Quote():
                return self._book(
                    ((event.bid, event.bid_size or 1.0),), ((event.ask, event.ask_size or 1.0),), event.received_ns
                )  # fmt: skip
            case Book():
                return self._book(event.bids, event.asks, event.received_ns)
            case Trade():
                self._print(event)
            case Bar():
                self._bar(event)
            case Mark():
                self.mark = event.price
            case Funding():
                self.funding_rate = event.rate
        return None

    def _book(
        self, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]], at_ns: int
    ) -> BookChange | None:
        gone, came = _changes(self.bids, bids), _changes(self.asks, asks)
        self.bids, self.asks = tuple(bids), tuple(asks)
        number = len(gone) + len(came)
        if not number:
            return None
        before = self.update
        self.update += number
        return BookChange(before + 1, self.update, before, gone, came, at_ns)

    def _print(self, event: Trade) -> None:
        self.count += 1
        self.last = event.price
        made = event.aggressor == "sell"
        self.prints.append(Print(self.count, event.price, event.size, event.received_ns, made))
        value = event.price * event.size
        for interval, series in self._candles.items():
            span = self._spans[interval]
            if span > _MINUTE:
                continue
            candle = Candle(
                event.received_ns // span * span, event.price, event.price, event.price, event.price,
                event.size, value, 0.0 if made else event.size, 0.0 if made else value, 1, self.count, self.count,
            )  # fmt: skip
            _join(series, candle)

    def _bar(self, event: Bar) -> None:
        self.last = event.close
        if ":" in event.interval:
            return  # a bar of so many trades or so much volume has no place in time
        series = self._candles.setdefault(event.interval, deque(maxlen=_KEEP))
        self._spans[event.interval] = duration(event.interval)
        middle = (event.high + event.low) / 2
        candle = Candle(
            event.open_ns, event.open, event.high, event.low, event.close, event.volume, event.volume * middle,
            event.volume / 2, event.volume * middle / 2, 1,
        )  # fmt: skip
        if series and series[-1].open_ns >= candle.open_ns:
            series.pop()
        series.append(candle)

    def candles(self, interval: str) -> list[Candle]:
        """All candles of an interval, oldest first, from the coarsest series that fits; the last may be unfinished."""
        span = interval_ns(interval)
        fitting = [
            (step, name)
            for name, step in self._spans.items()
            if self._candles[name] and (name == interval or (step < span and not span % step))
        ]
        if not fitting:
            return []
        series = self._candles[max(fitting)[1]]
        made: deque[Candle] = deque()
        for candle in series:
            _join(made, msgspec.structs.replace(candle, open_ns=opening(candle.open_ns, interval)))
        return list(made)


def interval_ns(interval: str) -> int:
    """The length of a candle's interval in ns: `1s` to `1w`, and `1M`, which counts as 30 days here."""
    if interval == "1M":
        return 30 * _DAY
    return 7 * duration(interval[:-1] + "d") if interval.endswith("w") else duration(interval)


def opening(at_ns: int, interval: str) -> int:
    """The begin of the candle that a time belongs to; weeks begin on Monday."""
    span = interval_ns(interval)
    offset = _MONDAY if interval.endswith("w") else 0
    return (at_ns - offset) // span * span + offset


def sum_of(candles: list[Candle]) -> Candle | None:
    """All candles as one."""
    if not candles:
        return None
    whole = Candle(0, candles[0].open, candles[0].high, candles[0].low, candles[0].close)
    whole.first = -1
    for candle in candles:
        whole.take(candle)
    return whole


def _join(series: deque[Candle], candle: Candle) -> None:
    if series and series[-1].open_ns == candle.open_ns:
        series[-1].take(candle)
    else:
        series.append(candle)


def _changes(
    old: Sequence[tuple[float, float]], new: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    before, after = dict(old), dict(new)
    gone = [(price, 0.0) for price in before if price not in after]
    return (*gone, *((price, size) for price, size in after.items() if before.get(price) != size))
