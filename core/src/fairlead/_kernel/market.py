"""The market as last seen: one lane per instrument, and who is called when something happens on it.

Market state is volatile. It is never folded from the journal; warm-up rebuilds it on a restart, the tape in a
replay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from fairlead._kernel.bars import Aggregator
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar, Book, Funding, History, Mark, MarketEvent, Quote, Trade

Sink = Callable[[Any], None]

HISTORY = 1_000
"""Bars kept per instrument and interval, unless a warm-up asks for more."""

BREAKER, HELD, AGGREGATE, STRATEGY = range(4)
"""Who is called first: breakers see an event before stops do, stops before strategies."""

_FROM_BAR, _FROM_TRADE, _FROM_QUOTE, _FROM_MARK = range(4)

PATIENCE_NS = 5_000_000_000
"""A mark older than this (and than two of its instrument's own bars) gives way to a lesser source."""


def in_turn(sinks: Sequence[Sink]) -> Sink | None:
    """One call for all of them, in order. Most often there is one at most: then it costs no loop at every event."""
    if len(sinks) < 2:
        return sinks[0] if sinks else None

    def call(item: object) -> None:
        for sink in sinks:
            sink(item)

    return call


class Lane:
    """One instrument's market.

    `mark` values positions: a venue's mark where there is one, else the middle of the quote, else the last
    trade, else the last bar's close; what has fallen silent counts as not there. `marked_ns` is when the event that
    gave it was received, whether it moved the price or not.

    The `on_…` are called for every good event of their kind, None where nobody wants it: `on_mark` with the price when
    that moves, `on_bar` for a stream's bars, `on_closed` for every bar of an interval, whoever made it. `settle`,
    `size`, `spot`, `inverse` and `margin` (initial, none for spot) are the instrument's, at hand for every order.
    """

    __slots__ = (
        "aggregators",
        "attached",
        "bar",
        "book",
        "cadence",
        "history",
        "id",
        "instrument",
        "inverse",
        "late",
        "margin",
        "mark",
        "marked_ns",
        "on_bar",
        "on_book",
        "on_closed",
        "on_mark",
        "on_quote",
        "on_trade",
        "quote",
        "refused",
        "settle",
        "size",
        "source",
        "spot",
        "trade",
        "watched",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.id = instrument.id
        self.define(instrument)
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.bar: Bar | None = None
        self.book: Book | None = None
        self.mark = 0.0
        self.source = _FROM_BAR
        self.marked_ns = 0
        self.cadence = 0
        self.late = 0
        self.refused = 0
        self.watched = 0
        self.aggregators: dict[str, Aggregator] = {}
        self.history: dict[str, deque[Bar]] = {}
        self.attached: dict[str, list[tuple[int, Sink]]] = {}
        self.on_mark: Sink | None = None
        self.on_quote: Sink | None = None
        self.on_trade: Sink | None = None
        self.on_book: Sink | None = None
        self.on_bar: Sink | None = None
        self.on_closed: dict[str, Sink | None] = {}

    def define(self, instrument: Instrument) -> None:
        """Take over the rules that hold from now on."""
        self.instrument = instrument
        self.settle = instrument.settle
        self.size = instrument.size
        self.spot = instrument.spot
        self.inverse = instrument.inverse
        self.margin = 0.0 if instrument.spot else float(instrument.initial_margin)

    def attach(self, kind: str, rank: int, sink: Sink) -> None:
        """Call `sink` for every event of a kind: quote, trade, book, bar (a stream's), `bar:INTERVAL` (any) or mark.

        Low ranks are called first, equal ones in the order in which they were attached.
        """
        self.attached.setdefault(kind, []).append((rank, sink))
        self._compile(kind)

    def detach(self, kind: str, sink: Sink) -> None:
        """Call it no more; harmless to repeat."""
        self.attached[kind] = [pair for pair in self.attached.get(kind, ()) if pair[1] != sink]
        self._compile(kind)

    def _compile(self, kind: str) -> None:
        sinks = tuple(sink for _, sink in sorted(self.attached[kind], key=lambda pair: pair[0]))
        if kind.startswith("bar:"):
            self.on_closed[kind[4:]] = in_turn(sinks)
        else:
            setattr(self, f"on_{kind}", in_turn(sinks))

    def remember(self, interval: str, bars: int) -> deque[Bar]:
        """The history of an interval, able to hold at least so many bars."""
        kept = self.history.get(interval)
        if kept is None or (kept.maxlen or 0) < bars:
            kept = self.history[interval] = deque(kept or (), maxlen=max(bars, HISTORY))
        return kept

    def price(self, *, buying: bool) -> float:
        """What an order would trade at now: the far side of the quote, else the mark; 0.0 when unknown."""
        quote = self.quote
        if quote is not None and (
            self.source == _FROM_QUOTE
            or (self.source == _FROM_MARK and not self.silent(quote.received_ns, self.marked_ns))
        ):
            return quote.ask if buying else quote.bid
        return self.mark

    def silent(self, since_ns: int, now: int) -> bool:
        """Whether a source that was last heard of at `since_ns` has been silent for too long to value anything."""
        silence = now - since_ns
        return silence > PATIENCE_NS and silence > 2 * self.cadence


class Market:
    """All lanes, and the way in for events. `version` rises with each instrument that is new or redefined."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.version = 0
        self._watched: tuple[str, ...] | None = ()
        self.refused: Callable[[Lane, MarketEvent, str], None] = _ignore
        self.warm: Callable[[History], None] = lambda _: None
        self._handlers: dict[type, Callable[[Lane, object], None]] = {
            Trade: self._on_trade,  # type: ignore[dict-item]
            Bar: self._on_bar,  # type: ignore[dict-item]
            Mark: self._on_mark,  # type: ignore[dict-item]
            Book: self._on_book,  # type: ignore[dict-item]
            Funding: self._on_funding,  # type: ignore[dict-item]
            History: self._on_history,  # type: ignore[dict-item]
        }

    def lane(self, instrument: Instrument) -> Lane:
        """The lane of an instrument, made or brought up to date."""
        lane = self.lanes.get(instrument.id)
        if lane is None:
            lane = self.lanes[instrument.id] = Lane(instrument)
            self.version += 1
        elif lane.instrument is not instrument:
            lane.define(instrument)
            self.version += 1
        return lane

    def watch(self, lane: Lane, more: int) -> None:
        """So many strategies more (or less, below 0) watch a lane."""
        lane.watched = max(0, lane.watched + more)
        self._watched = None

    def watched(self) -> tuple[str, ...]:
        """The lanes that strategies watch, in the same tuple for as long as they are the same."""
        if self._watched is None:
            self._watched = tuple(name for name, lane in self.lanes.items() if lane.watched)
        return self._watched

    def event(self, event: MarketEvent) -> None:
        """Take one event: update the lane, then call those who want it. What cannot be true is refused."""
        try:
            lane = self.lanes[event.instrument]
        except KeyError:  # nobody trades it here
            return
        if type(event) is not Quote:
            handler = self._handlers.get(type(event))
            if handler is None:
                self._refuse(lane, event, "no market event is of this type")
            else:
                handler(lane, event)
            return
        bid, ask = event.bid, event.ask
        if not 0.0 < bid <= ask < inf:
            self._refuse(lane, event, "bid and ask must be finite, above 0 and not crossed")
            return
        last = lane.quote
        if last is not None and event.event_ns < last.event_ns:
            self._refuse(lane, event, "older than the quote before")
            return
        lane.quote = event
        if lane.source != _FROM_MARK or lane.silent(lane.marked_ns, event.received_ns):
            lane.source = _FROM_QUOTE
            lane.marked_ns = event.received_ns
            mark = (bid + ask) * 0.5  # exactly the half, and quicker than a division
            if mark != lane.mark:
                lane.mark = mark
                moved = lane.on_mark
                if moved is not None:
                    moved(mark)
        seen = lane.on_quote
        if seen is not None:
            seen(event)

    def _on_trade(self, lane: Lane, event: Trade) -> None:
        price = event.price
        if not (0.0 < price < inf and 0.0 <= event.size < inf):
            self._refuse(lane, event, "price must be finite and above 0, size finite and not negative")
            return
        last = lane.trade
        if (
            last is None or event.event_ns >= last.event_ns
        ):  # a late print counts in its bar, but moves no mark
            lane.trade = event
            if lane.source <= _FROM_TRADE or lane.silent(lane.marked_ns, event.received_ns):
                lane.source = _FROM_TRADE
                lane.marked_ns = event.received_ns
                if price != lane.mark:
                    lane.mark = price
                    moved = lane.on_mark
                    if moved is not None:
                        moved(price)
        seen = lane.on_trade
        if seen is not None:
            seen(event)

    def _on_bar(self, lane: Lane, event: Bar) -> None:
        low, high = event.low, event.high
        if not (0.0 < low <= event.open <= high < inf and low <= event.close <= high):
            self._refuse(lane, event, "a bar's prices must be finite, above 0 and between its low and high")
            return
        last = lane.bar
        if last is not None and last.interval == event.interval and event.event_ns <= last.event_ns:
            self._refuse(lane, event, "a bar of this time was seen before")
            return
        lane.bar = event
        self._mark(lane, event.close, _FROM_BAR, event.received_ns)
        if lane.on_bar is not None:
            lane.on_bar(event)
        self.bar_closed(lane, event)

    def bar_closed(self, lane: Lane, bar: Bar) -> None:
        """A bar is complete, from a stream or from an aggregator: keep it and pass it on."""
        history = lane.history.get(bar.interval)
        if history is None:
            history = lane.remember(bar.interval, 0)
        history.append(bar)
        seen = lane.on_closed.get(bar.interval)
        if seen is not None:
            seen(bar)

    def _on_mark(self, lane: Lane, event: Mark) -> None:
        if not 0.0 < event.price < inf:
            self._refuse(lane, event, "a mark must be finite and above 0")
            return
        self._mark(lane, event.price, _FROM_MARK, event.received_ns)

    def _on_book(self, lane: Lane, event: Book) -> None:
        if event.bids and event.asks and not 0.0 < event.bids[0][0] < event.asks[0][0] < inf:
            self._refuse(lane, event, "a book must not be crossed")
            return
        lane.book = event
        if lane.on_book is not None:
            lane.on_book(event)

    def _on_funding(self, lane: Lane, event: Funding) -> None:
        """The venue settles it and reports what it cost."""

    def _on_history(self, lane: Lane, event: History) -> None:
        self.warm(event)

    def _mark(self, lane: Lane, price: float, source: int, now: int) -> None:
        if lane.source > source and not lane.silent(lane.marked_ns, now):
            return
        lane.source = source
        lane.marked_ns = now
        if price != lane.mark:
            lane.mark = price
            if lane.on_mark is not None:
                lane.on_mark(price)

    def _refuse(self, lane: Lane, event: MarketEvent, rule: str) -> None:
        lane.refused += 1
        self.refused(lane, event, rule)


def _ignore(lane: Lane, event: MarketEvent, rule: str) -> None:
    pass
