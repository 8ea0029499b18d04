"""A feed under test: a stream with its source and clock, in the words of the cases; and what events must satisfy."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from fairlead import Bar, Book, ConfigurationError, Funding, Instrument, Mark, Quote, Trade, duration
from fairlead.ports import Clock, DataStream, MarketEvent, Subscription
from fairlead_conformance.cases import Unscripted
from fairlead_conformance.venue import Fault, Venue

KINDS = {"quote": Quote, "trade": Trade, "book": Book, "mark": Mark, "funding": Funding}
STEPS = 60
"""A span is listened to in so many steps, with something from the source before each."""


def is_bar(kind: str) -> bool:
    """Whether a kind of feed is bars."""
    return kind.startswith("bar:")


class Feed:
    """One stream on one instrument; `events` are what came, `timed` each with the clock when it did."""

    def __init__(
        self,
        stream: DataStream,
        venue: Venue | None,
        clock: Clock,
        instrument: Instrument | None,
        kinds: Sequence[str],
        span_ns: int,
    ) -> None:
        self.stream = stream
        self.venue = venue
        self.clock = clock
        self._instrument = instrument
        self.kinds = kinds
        self.span_ns = span_ns
        self.events: list[MarketEvent] = []
        self._times: list[int] = []
        self.downs: list[str] = []
        self._steps = 0

    @property
    def instrument(self) -> Instrument:
        """What is listened to."""
        if self._instrument is None:
            raise Unscripted("its source is outside the process: write `def make_venue(self)`")
        return self._instrument

    @property
    def id(self) -> str:
        """The long form of it."""
        return self.instrument.id

    @property
    def timed(self) -> list[tuple[MarketEvent, int]]:
        """What came, each with the clock when it did."""
        return list(zip(self.events, self._times[-len(self.events) :], strict=True)) if self.events else []

    async def connect(self) -> None:
        """Connect as an engine does."""
        _ = self.instrument
        if hasattr(self.stream, "on_down"):
            self.stream.on_down = self.downs.append
        await self.stream.connect(self._take, self.clock)

    async def subscribe(self, kind: str) -> None:
        """Subscribe to a feed, which must be confirmed."""
        wanted = Subscription(self.id, kind)
        assert await self.stream.subscribe([wanted]) == {wanted}, f"it offers {kind}, and does not confirm it"

    async def unsubscribe(self, kind: str) -> None:
        """Ask for a feed no more."""
        await self.stream.unsubscribe([Subscription(self.id, kind)])

    async def listen(self, for_ns: int) -> None:
        """Let time pass; a source under test is made to say something all the while."""
        if self.venue is None:
            await asyncio.sleep(for_ns / 1e9)
            return
        share = for_ns / STEPS if self.venue.virtual else min(for_ns / STEPS, 5_000_000)
        for _ in range(STEPS):
            self._steps += 1
            middle = 100 + self._steps % 7
            await self.venue.quote(self.id, middle - 1.0, middle + 1.0, 1.0 + self._steps)
            trade = getattr(self.venue, "trade", None)
            if trade is not None:
                await trade(self.id, float(middle), 1.0 + self._steps)
            await asyncio.sleep(share / 1e9)

    async def hear(self, kind: str) -> None:
        """Listen until something has come; a source that cannot say such a thing is not to blame."""
        for _ in range(3):
            await self.listen(self.span_ns)
            if self.events:
                return
        if self.venue is not None and kind not in ("quote", "trade"):
            raise Unscripted(f"the source under test cannot say a {kind}")
        raise AssertionError(f"{kind} of {self.id} was confirmed, and nothing comes")

    async def lively(self) -> str:
        """Subscribe to the first feed of which something comes, and hear it."""
        for kind in self.kinds:
            await self.subscribe(kind)
            await self.listen(self.span_ns)
            if self.events:
                return kind
            await self.unsubscribe(kind)
        raise AssertionError(f"nothing comes of any of {', '.join(self.kinds)}")

    async def fault(self, fault: Fault) -> None:
        """Let the source do it."""
        assert self.venue is not None
        await self.venue.fault(fault)

    async def recover(self, kind: str) -> None:
        """Do what an engine does when a stream is down: connect and subscribe again."""
        if self.downs:
            await self.connect()
            await self.subscribe(kind)
        self.events.clear()

    def belongs(self, event: MarketEvent, kind: str) -> None:
        """Assert that an event is one of this feed."""
        wanted = Bar if is_bar(kind) else KINDS[kind]
        assert type(event) is wanted, f"subscribed to {kind}, and a {type(event).__name__} comes"
        assert event.instrument == self.id, f"subscribed to {self.id}, and one of {event.instrument} comes"
        if isinstance(event, Bar):
            assert _interval(event.interval) == _interval(kind.removeprefix("bar:")), (
                f"a bar of {event.interval} comes"
            )

    def check_distinct(self) -> None:
        """Assert that nothing came twice."""
        keys = [key for event in self.events if (key := _key(event)) is not None]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        assert not twice, f"{twice[0][0]} {twice[0][-1]} comes twice"

    def _take(self, event: MarketEvent) -> None:
        self.events.append(event)
        self._times.append(self.clock.now())


def _interval(text: str) -> int | str:
    try:
        return duration(text)
    except ConfigurationError:
        return text


def _key(event: MarketEvent) -> tuple[Any, ...] | None:
    """What there can be only one of."""
    if isinstance(event, Trade):
        return ("trade", event.instrument, event.trade_id) if event.trade_id else None
    if isinstance(event, Bar):
        return "bar", event.interval, event.open_ns
    return type(event).__name__.lower(), event.received_ns, str(event)


def check_event(event: MarketEvent, now: int) -> None:
    """Assert that an event can be."""
    match event:
        case Quote():
            sizes = min(event.bid_size, event.ask_size)
            assert _positive(event.bid, event.ask) and event.bid <= event.ask, (
                f"no such quote can be: {event}"
            )
            assert isfinite(sizes) and sizes >= 0, f"a size is below 0: {event}"
        case Trade():
            assert _positive(event.price, event.size), f"no such trade can be: {event}"
            assert event.aggressor in ("", "buy", "sell"), f"the aggressor is {event.aggressor!r}"
        case Mark():
            assert _positive(event.price), f"no such mark can be: {event}"
        case Funding():
            assert isfinite(event.rate) and abs(event.rate) < 1, f"a funding rate is a ratio: {event}"
        case Book():
            _check_book(event)
        case Bar():
            _check_bar(event, now)


def _check_book(book: Book) -> None:
    bids, asks = [price for price, _ in book.bids], [price for price, _ in book.asks]
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks), f"the best level is not first: {book}"
    assert not bids or not asks or bids[0] < asks[0], f"the sides of a book cross: {book}"


def _check_bar(bar: Bar, now: int) -> None:
    assert _positive(bar.open, bar.high, bar.low, bar.close), f"no such bar can be: {bar}"
    inside = bar.low <= min(bar.open, bar.close) and max(bar.open, bar.close) <= bar.high
    assert inside, f"open or close is outside of low and high: {bar}"
    assert bar.volume >= 0, f"a volume is below 0: {bar}"
    length = _interval(bar.interval)
    if isinstance(length, int):
        assert bar.event_ns - bar.open_ns == length, (
            f"a bar of {bar.interval} is {bar.event_ns - bar.open_ns} ns long"
        )
        assert not bar.open_ns % length, f"a bar of {bar.interval} opens off its interval: {bar}"
        assert bar.event_ns <= now, f"a bar comes before it is closed: {bar}"


def _positive(*numbers: float) -> bool:
    return all(isinstance(number, float | int) and 0 < number < inf for number in numbers)


async def check_joined(feed: Feed, subscription: Subscription) -> None:
    """Assert that history has just what came live, in a half-open time, edges included."""
    live = list(feed.events)
    start, end = live[0].event_ns, live[-1].event_ns
    if end == start:
        return
    past = await feed.stream.history(subscription, start, end)
    if not past and not await feed.stream.history(subscription, 0, feed.clock.now()):
        return  # it keeps none, and may
    wanted = [_essence(event) for event in live if start <= event.event_ns < end]
    found = [_essence(event) for event in past]
    missing = Counter(wanted) - Counter(found)
    more = Counter(found) - Counter(wanted)
    assert not missing, f"history has a gap: {next(iter(missing))} came live and is not in it"
    assert not more, f"history overlaps: {next(iter(more))} is in it and did not come within [start, end)"


def _essence(event: MarketEvent) -> str:
    """An event without the time at which it was received, which is another one for each listener."""
    fields = [getattr(event, name) for name in type(event).__struct_fields__ if name != "received_ns"]
    return f"{type(event).__name__}{tuple(fields)}"
