"""One feed held as columns, and several feeds merged into one order.

Columns are stdlib arrays and become events in blocks, by `map` over the event's own constructor: no Python
bytecode runs per event.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from operator import attrgetter, itemgetter
from typing import Any

from fairlead import Bar, Quote, Trade, duration
from fairlead.ports import MarketEvent

BLOCK = 8192
AGGRESSORS = ("", "buy", "sell")

Events = Callable[[int, int], Iterable[MarketEvent]]


class Series:
    """One feed of one instrument in the order of `received`; `block(lo, hi)` makes its events lo to hi.

    `kind` is as in `Subscription`: "quote", "trade" or "bar:1m". What was recorded together has one `recording`, and
    `seq` tells the order of its events among all feeds.
    """

    __slots__ = ("block", "event", "instrument", "kind", "received", "recording", "seq")

    def __init__(
        self,
        instrument: str,
        kind: str,
        received: Sequence[int],
        block: Events,
        event: Sequence[int] | None = None,
    ) -> None:
        self.instrument = instrument
        self.kind = kind
        self.received = received
        self.event = received if event is None else event
        self.block = block
        self.recording = ""
        self.seq: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.received)

    @property
    def rank(self) -> tuple[bool, int]:
        """What goes first at equal time: bars, small intervals before large, then all else."""
        if not self.kind.startswith("bar:"):
            return True, 0
        return False, bar_interval(self.kind)

    def span(self, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
        """Where what was received in [start_ns, end_ns) begins and ends; it is empty where that end is no later."""
        lo = 0 if start_ns is None else bisect_left(self.received, start_ns)
        hi = len(self) if end_ns is None else bisect_left(self.received, end_ns)
        return lo, max(lo, hi)

    def blocks(self, lo: int, hi: int) -> Iterator[Iterable[MarketEvent]]:
        """The events lo to hi, a block at a time, so that no column is ever copied whole."""
        for start in range(lo, hi, BLOCK):
            yield self.block(start, min(start + BLOCK, hi))


def bar_interval(kind: str) -> int:
    """Nanoseconds of the interval in a feed's kind such as "bar:1m"; 0 for bars that no time bounds."""
    text = kind.removeprefix("bar:")
    return 0 if ":" in text else duration(text)


def quote_series(
    instrument: str,
    event: array[int],
    received: array[int],
    bids: array[float],
    asks: array[float],
    bid_sizes: array[float],
    ask_sizes: array[float],
) -> Series:
    """Quotes from columns of one length."""

    def block(lo: int, hi: int) -> Iterable[MarketEvent]:
        times = event[lo:hi]
        arrived = times if received is event else received[lo:hi]
        return map(
            Quote,
            repeat(instrument),
            bids[lo:hi],
            asks[lo:hi],
            bid_sizes[lo:hi],
            ask_sizes[lo:hi],
            times,
            arrived,
        )

    return Series(instrument, "quote", received, block, event)


def trade_series(
    instrument: str,
    event: array[int],
    received: array[int],
    prices: array[float],
    sizes: array[float],
    aggressors: bytearray | None = None,
    ids: Sequence[Any] | None = None,
) -> Series:
    """Public trades from columns of one length; `aggressors` holds indices into `AGGRESSORS`."""

    def block(lo: int, hi: int) -> Iterable[MarketEvent]:
        times = event[lo:hi]
        arrived = times if received is event else received[lo:hi]
        sides = map(AGGRESSORS.__getitem__, aggressors[lo:hi]) if aggressors is not None else repeat("")
        names = map(str, ids[lo:hi]) if ids is not None else repeat("")
        return map(Trade, repeat(instrument), prices[lo:hi], sizes[lo:hi], times, arrived, sides, names)

    return Series(instrument, "trade", received, block, event)


def bar_series(
    instrument: str,
    interval: str,
    opened: array[int],
    closed: array[int],
    received: array[int],
    opens: array[float],
    highs: array[float],
    lows: array[float],
    closes: array[float],
    volumes: array[float],
) -> Series:
    """Bars from columns of one length; `opened` and `closed` bound each bucket."""

    def block(lo: int, hi: int) -> Iterable[MarketEvent]:
        times = closed[lo:hi]
        arrived = times if received is closed else received[lo:hi]
        return map(
            Bar, repeat(instrument), repeat(interval), opens[lo:hi], highs[lo:hi], lows[lo:hi], closes[lo:hi],
            volumes[lo:hi], opened[lo:hi], times, arrived,
        )  # fmt: skip

    return Series(instrument, f"bar:{interval}", received, block, closed)


def event_series(instrument: str, kind: str, events: Sequence[MarketEvent]) -> Series:
    """A feed of events that exist already."""
    received = array("q", [event.received_ns for event in events])
    times = array("q", [event.event_ns for event in events])
    return Series(instrument, kind, received, lambda lo, hi: events[lo:hi], times)


def merge(
    feeds: Iterable[Series], start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[MarketEvent]:
    """The events of all feeds received in [start_ns, end_ns), in order; ties as `Series.rank` and as given.

    Feeds of one recording keep the order in which they were recorded.
    """
    spans: list[list[Any]] = []
    for feed in sorted(feeds, key=lambda feed: feed.rank):
        lo, hi = feed.span(start_ns, end_ns)
        if lo < hi:
            spans.append([feed, lo, hi])
    if len(spans) == 1:
        feed, lo, hi = spans[0]
        return chain.from_iterable(feed.blocks(lo, hi))
    together = {feed.recording for feed, _, _ in spans}
    return chain.from_iterable(_windows(spans, as_recorded=len(together) == 1 and "" not in together))


_received = attrgetter("received_ns")


def _windows(spans: list[list[Any]], *, as_recorded: bool) -> Iterator[list[MarketEvent]]:
    """Cut time so that each window holds at most about a block per feed, and sort inside it.

    The feeds are sorted already and stand one after the other, which is the case that Python's stable sort
    handles best: it merges the runs and never swaps a tie.
    """
    while spans:
        cut = min(feed.received[min(lo + BLOCK, hi) - 1] for feed, lo, hi in spans)
        window: list[MarketEvent] = []
        places: list[int] = []
        for span in spans:
            feed, lo, hi = span
            span[1] = bisect_right(feed.received, cut, lo, hi)
            window.extend(feed.block(lo, span[1]))
            if as_recorded:
                places.extend(feed.seq[lo : span[1]])
        spans = [span for span in spans if span[1] < span[2]]
        if as_recorded:
            window = [event for _, event in sorted(zip(places, window, strict=True), key=itemgetter(0))]
        window.sort(key=_received)
        yield window
