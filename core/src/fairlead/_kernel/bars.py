"""Bars made here: time bars from quotes, trades or smaller bars; tick, volume and value bars from trades."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from fairlead._kernel.clock import BAR, Schedule
from fairlead._models.market import Bar, Quote, Trade
from fairlead.errors import ConfigurationError
from fairlead.facts import BarProgress
from fairlead.units import duration, duration_text

_COUNTS = ("tick", "volume", "value")


@attrs.frozen
class Interval:
    """How bars are cut: every `size` nanoseconds of event time, or after `size` trades, base units or money."""

    text: str
    kind: str
    size: float

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `"1m"`, `"4h"`, `"tick:100"`, `"volume:50"` or `"value:1000000"`. Raises ConfigurationError."""
        kind, colon, amount = text.partition(":")
        if colon:
            if kind not in _COUNTS:
                raise ConfigurationError(
                    f"bars {text!r}: write tick:N, volume:N, value:N or a duration such as '1m'"
                )
            try:
                size = float(amount.replace("_", ""))
            except ValueError:
                size = 0.0
            if not 0 < size < float("inf"):
                raise ConfigurationError(f"bars {text!r}: {amount!r} must be a number above 0")
            return cls(f"{kind}:{amount}", kind, size)
        nanoseconds = duration(text)
        if nanoseconds <= 0:
            raise ConfigurationError(f"bars {text!r}: an interval must be longer than nothing")
        return cls(duration_text(nanoseconds), "time", nanoseconds)


class _Bucket:
    __slots__ = ("close", "high", "low", "open", "start", "volume")

    def __init__(self, start: int, price: float) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = price
        self.volume = 0.0

    def add(self, high: float, low: float, close: float, volume: float) -> None:
        self.high = max(self.high, high)
        self.low = min(self.low, low)
        self.close = close
        self.volume += volume


class Aggregator:
    """Cuts one instrument's events into bars of one interval and hands each to `closed`.

    Time bars bucket by event time, half-open, and close on the agenda at the bucket's end plus `settle_ns`
    (0 for files): what arrives later counts in `late` and changes nothing. A bucket in which nothing happened
    makes no bar.
    """

    def __init__(
        self,
        instrument: str,
        interval: Interval,
        schedule: Schedule,
        closed: Callable[[Bar], None],
        late: Callable[[], None],
        settle_ns: int = 0,
    ) -> None:
        self.interval = interval
        self._instrument = instrument
        self._schedule = schedule
        self._closed = closed
        self._late = late
        self._settle = settle_ns
        self._size = int(interval.size)
        self._by_time = interval.kind == "time"
        self._buckets: dict[int, _Bucket] = {}
        self._done = -1  # start of the newest closed bucket
        self._counted = 0.0

    def quote(self, event: object) -> None:
        """Take a quote's middle; it has no volume."""
        assert isinstance(event, Quote)
        mid = (event.bid + event.ask) / 2
        self._add(event.event_ns, mid, mid, mid, mid, 0.0)

    def trade(self, event: object) -> None:
        """Take a public trade."""
        assert isinstance(event, Trade)
        if self.interval.kind == "time":
            self._add(event.event_ns, event.price, event.price, event.price, event.price, event.size)
        else:
            self._count(event)

    def bar(self, event: object) -> None:
        """Take a smaller bar; it belongs to the bucket of its open."""
        assert isinstance(event, Bar)
        self._add(event.open_ns, event.open, event.high, event.low, event.close, event.volume)

    def takes(self, kind: str) -> Callable[[object], None]:
        """What takes the events of a kind of feed."""
        return self.bar if kind.startswith("bar:") else self.trade if kind == "trade" else self.quote

    def progress(self, source: str) -> BarProgress:
        """How far it has got, from events of `source`."""
        begun = tuple((b.start, b.open, b.high, b.low, b.close, b.volume) for b in self._buckets.values())
        return BarProgress(self._instrument, self.interval.text, source, begun, self._counted, self._done)

    def resume(self, left: BarProgress, now: int) -> None:
        """Go on from there. A time bar whose end has come meanwhile closes at once, unless another has ended since."""
        self._counted, self._done = left.counted, left.done
        for start, first, high, low, last, volume in left.begun:
            if self._by_time and start + 2 * self._size + self._settle < now:
                self._done = max(self._done, start)
                continue
            bucket = self._open(start, first) if self._by_time else _Bucket(start, first)
            bucket.high, bucket.low, bucket.close, bucket.volume = high, low, last, volume
            if not self._by_time:
                self._buckets[0] = bucket

    def stop(self) -> None:
        """Make no more bars; the one in hand is left unfinished."""
        self._buckets.clear()

    def _add(self, when: int, first: float, high: float, low: float, last: float, volume: float) -> None:
        start = when - when % self._size
        bucket = self._buckets.get(start)
        if bucket is None:
            if start <= self._done:
                self._late()
                return
            bucket = self._open(start, first)
        bucket.add(high, low, last, volume)

    def _open(self, start: int, first: float) -> _Bucket:
        """Begin a time bar, which ends by itself."""
        bucket = self._buckets[start] = _Bucket(start, first)
        due = start + self._size + self._settle
        self._schedule(due, lambda: self._close(start, due), BAR, self._size)
        return bucket

    def _close(self, start: int, now: int) -> None:
        bucket = self._buckets.pop(start, None)
        if bucket is None:  # it was stopped meanwhile
            return
        self._done = start
        self._emit(bucket, start + self._size, now)

    def _count(self, event: Trade) -> None:
        bucket = self._buckets.get(0)
        if bucket is None:
            bucket = self._buckets[0] = _Bucket(event.event_ns, event.price)
        bucket.add(event.price, event.price, event.price, event.size)
        kind = self.interval.kind
        self._counted += 1 if kind == "tick" else event.size if kind == "volume" else event.size * event.price
        if self._counted >= self.interval.size:
            self._counted = 0.0
            del self._buckets[0]
            self._emit(bucket, event.event_ns, event.received_ns)

    def _emit(self, bucket: _Bucket, close_ns: int, received_ns: int) -> None:
        self._closed(
            Bar(
                self._instrument,
                self.interval.text,
                bucket.open,
                bucket.high,
                bucket.low,
                bucket.close,
                bucket.volume,
                bucket.start,
                close_ns,
                received_ns,
            )
        )
