"""The suite for data streams."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from fairlead import Instrument, duration
from fairlead.ports import DataStream, Replayable, Subscription
from fairlead.testing import VirtualClock
from fairlead_conformance.cases import Case, Tier, Undeclared, case
from fairlead_conformance.checks import (
    distinct,
    exact_instrument,
    looks_like_port,
    makes_nothing,
    opens_nothing_at_import,
)
from fairlead_conformance.feed import KINDS, Feed, check_event, check_joined, is_bar
from fairlead_conformance.suite import Conformance
from fairlead_conformance.venue import Fault, Venue
from fairlead_conformance.watch import Leftovers

PLAIN = ("offers", "endpoints", "time", "resume", "replay")
AWAITED = ("instruments", "connect", "subscribe", "unsubscribe", "history", "close")
DOWN = "a_broken_connection_is_told_once"
SOUND = ("quotes_are_sound", "trades_are_sound", "bars_are_aligned_and_close_once")


class StreamConformance(Conformance):
    """Proves a data stream: write `make`, and `make_venue` where it reaches a source outside the process.

    The source is a venue under test, of which `quote` (and `trade`, where it has one) makes the stream emit, and
    `self.venue` is open when `make` is called. Without one the stream must emit by itself, on virtual time. `symbol`
    chooses the instrument (the first), `span` is how long is listened.
    """

    kind = "stream"
    symbol: str = ""
    span: str = "90s"
    venue: Any = None
    kinds: tuple[str, ...] = ()
    _stalls: ClassVar[list[str]]
    _left: ClassVar[list[str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._stalls, cls._left = [], []

    def make(self) -> DataStream:
        """A new stream, not connected yet."""
        stream: DataStream = super().make()
        return stream

    def make_venue(self) -> Venue | None:
        """A new source under test; None where the stream needs none."""
        return None

    def declared(self, adapter: Any) -> frozenset[str]:
        """The kinds of feed that it offers, and what it may have besides: of a recording, which brings its time."""
        feeds = {"feed:bar" if is_bar(kind) else f"feed:{kind}" for kind in self.kinds}
        recorded = hasattr(adapter, "time") and adapter.time() is not None
        besides = ("replay", "resume", "on_end") if recorded else ("on_end",)
        return frozenset(feeds | {name for name in besides if hasattr(adapter, name)})

    def perform(self, info: Case, body: Callable[..., Any]) -> None:
        """Try a case on a new stream at a new source."""
        __tracebackhide__ = True
        venue = self.make_venue()
        self.play(self._story(info, body, venue), venue is None or venue.virtual)

    async def _story(self, info: Case, body: Callable[..., Any], venue: Venue | None) -> None:
        self.watch.attend()
        before = Leftovers()
        if venue is not None:
            await venue.open()
        self.venue = venue
        try:
            stream = self.make()
            chosen = await self._choose(stream, venue)
            self.kinds = stream.offers(chosen.id) if chosen is not None else ()
            self.known(stream)
            self.want(info, stream, venue)
            feed = self._feed(stream, venue, chosen)
            try:
                if not info.alone:
                    await feed.connect()
                result = body(self, feed)
                if inspect.isawaitable(result):
                    await result
            finally:
                await stream.close()
                self._stalls.extend(self.watch.stalls)
        finally:
            if venue is not None:
                await venue.close()
        self._left.extend(f"{what} after {info.name}" for what in before.more())

    def want(self, info: Case, adapter: Any, venue: Venue | None) -> None:
        """As for all; a stream that reaches nothing outside needs no source, and a recording has none."""
        if info.faults and venue is None and isinstance(adapter, Replayable):
            raise Undeclared("it can be read without a loop: nothing lies between it and its source")
        reaches = venue is None and bool(getattr(adapter, "endpoints", tuple)())
        if info.alone or reaches or info.faults:
            super().want(info, adapter, venue)
        elif info.of:
            super().want(attrs.evolve(info, alone=True), adapter, venue)

    async def _choose(self, stream: DataStream, venue: Venue | None) -> Instrument | None:
        if venue is None and getattr(stream, "endpoints", tuple)():
            return None
        listed = await stream.instruments()
        named = [found for found in listed if self.symbol in ("", found.id, found.symbol)]
        assert named, f"it serves no {self.symbol or 'instrument'}"
        return named[0]

    def _feed(self, stream: DataStream, venue: Venue | None, chosen: Instrument | None) -> Feed:
        if venue is not None:
            clock: Any = venue.clock
        else:
            brought = stream.time() if hasattr(stream, "time") else None
            clock = VirtualClock() if brought is None else VirtualClock(brought.start_ns)
        return Feed(stream, venue, clock, chosen, self.kinds, duration(self.span))

    # --- the object -----------------------------------------------------------------------------------------

    @case(Tier.CONTRACT)
    def test_it_fills_the_port(self, feed: Feed) -> None:
        """It has every method of the port: plain ones plain, and those that wait as coroutines."""
        looks_like_port(feed.stream, DataStream, PLAIN, AWAITED)
        assert isinstance(feed.stream.name, str) and feed.stream.name, (
            "its name is a text, unique in an engine"
        )
        assert feed.stream.name == self.make().name, "its name differs from one object to the next"

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_making_it_opens_nothing(self, feed: Feed) -> None:
        """A stream that is only made opens no file, socket, thread or task; nor does its import."""
        makes_nothing(self.make)
        opens_nothing_at_import(type(feed.stream))

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_its_settings_are_durations(self, feed: Feed) -> None:
        """`settle` and `silence`, where it has them, are durations."""
        for name in ("settle", "silence"):
            if hasattr(feed.stream, name):
                assert duration(getattr(feed.stream, name)) >= 0, f"{name} is below 0"

    # --- what it serves -------------------------------------------------------------------------------------

    @case(Tier.CORE, after="it_fills_the_port")
    async def test_it_connects(self, feed: Feed) -> None:
        """It connects, and nothing comes before it is subscribed to."""
        await feed.listen(feed.span_ns // 10)
        assert not feed.events, f"nobody has subscribed yet, and {feed.events[0]} comes"

    @case(Tier.CORE, after="it_connects")
    async def test_what_it_offers_is_named(self, feed: Feed) -> None:
        """Instruments are exact; an instrument has the same feeds by symbol and long form, an unknown one has none."""
        listed = await feed.stream.instruments()
        for instrument in listed:
            exact_instrument(instrument)
        distinct([found.id for found in listed], "instrument")
        assert not feed.stream.offers("NOSUCH/THING"), "it offers feeds of what it does not serve"
        for found in listed:
            kinds = feed.stream.offers(found.id)
            assert kinds and all(kind in KINDS or is_bar(kind) for kind in kinds), (
                f"{found.id} has the feeds {kinds}"
            )
            if [other.symbol for other in listed].count(found.symbol) == 1:
                assert feed.stream.offers(found.symbol) == kinds, (
                    f"{found.symbol} has other feeds than {found.id}"
                )

    @case(Tier.CORE, after="it_connects")
    async def test_only_what_it_has_is_confirmed(self, feed: Feed) -> None:
        """A subscription of an unknown kind or instrument is not confirmed, one that it offers is."""
        wrong = [Subscription(feed.id, "nosuch"), Subscription("NOSUCH/THING@nowhere", feed.kinds[0])]
        right = Subscription(feed.id, feed.kinds[0])
        confirmed = await feed.stream.subscribe([*wrong, right])
        assert confirmed == {right}, (
            f"it confirms {sorted(sub.kind + ' of ' + sub.instrument for sub in confirmed)}"
        )

    @case(Tier.CORE, after="only_what_it_has_is_confirmed")
    async def test_only_what_is_subscribed_comes(self, feed: Feed) -> None:
        """Of all feeds only the one that is subscribed, by the long form of its instrument."""
        for kind in feed.kinds:
            feed.events.clear()
            await feed.subscribe(kind)
            await feed.listen(feed.span_ns // 3)
            for event in feed.events:
                feed.belongs(event, kind)
            await feed.unsubscribe(kind)

    @case(Tier.CORE, of="feed:quote", after="only_what_is_subscribed_comes")
    async def test_quotes_are_sound(self, feed: Feed) -> None:
        """Bid and ask are finite and above 0, bid at most ask, sizes not below 0."""
        await self._sound(feed, "quote")

    @case(Tier.CORE, of="feed:trade", after="only_what_is_subscribed_comes")
    async def test_trades_are_sound(self, feed: Feed) -> None:
        """Price and size are finite and above 0; no trade comes twice."""
        await self._sound(feed, "trade")

    @case(Tier.CORE, of="feed:book", after="only_what_is_subscribed_comes")
    async def test_books_are_sound(self, feed: Feed) -> None:
        """Best first on both sides, and the sides do not cross."""
        await self._sound(feed, "book")

    @case(Tier.CORE, of="feed:mark", after="only_what_is_subscribed_comes")
    async def test_marks_are_sound(self, feed: Feed) -> None:
        """The price is finite and above 0."""
        await self._sound(feed, "mark")

    @case(Tier.CORE, of="feed:funding", after="only_what_is_subscribed_comes")
    async def test_funding_is_sound(self, feed: Feed) -> None:
        """The rate is finite, and a ratio."""
        await self._sound(feed, "funding")

    @case(Tier.CORE, of="feed:bar", after="only_what_is_subscribed_comes")
    async def test_bars_are_aligned_and_close_once(self, feed: Feed) -> None:
        """Time bars lie on their interval, come after their close, once; open and close are within low and high."""
        for kind in filter(is_bar, feed.kinds):
            await self._sound(feed, kind)

    async def _sound(self, feed: Feed, kind: str) -> None:
        feed.events.clear()
        await feed.subscribe(kind)
        await feed.hear(kind)
        for event, now in feed.timed:
            check_event(event, now)
        feed.check_distinct()

    @case(Tier.CORE, after="only_what_is_subscribed_comes")
    async def test_times_run_forward(self, feed: Feed) -> None:
        """`received_ns` is the clock's when an event comes, never runs backwards, and is not before `event_ns`."""
        for kind in feed.kinds:
            await feed.subscribe(kind)
        await feed.listen(feed.span_ns)
        last = 0
        for event, now in feed.timed:
            assert event.received_ns >= last, f"received_ns runs backwards: {event.received_ns} after {last}"
            assert event.received_ns <= now, f"received_ns is {event.received_ns - now} ns after the clock"
            late = event.event_ns - event.received_ns
            assert late <= TOLERANCE_NS, f"an event comes {late} ns before it happens: {event}"
            last = event.received_ns

    @case(Tier.CORE, after="only_what_is_subscribed_comes")
    async def test_feeds_stop_and_come_again(self, feed: Feed) -> None:
        """What is unsubscribed stops; subscribed again, it comes again."""
        kind = await feed.lively()
        await feed.unsubscribe(kind)
        feed.events.clear()
        await feed.listen(feed.span_ns // 3)
        assert not feed.events, f"nobody is subscribed any more, and {feed.events[0]} comes"
        await feed.subscribe(kind)
        await feed.hear(kind)

    @case(Tier.CORE, after="only_what_is_subscribed_comes")
    async def test_history_is_the_past(self, feed: Feed) -> None:
        """[start, end), oldest first, of the feed that was asked for, and nothing from the future; else it is empty."""
        kind = await feed.lively()
        now = feed.clock.now()
        start, end = now - feed.span_ns, now + feed.span_ns
        past = await feed.stream.history(Subscription(feed.id, kind), start, end)
        times = [event.event_ns for event in past]
        assert times == sorted(times), "history is not oldest first"
        for event in past:
            feed.belongs(event, kind)
            assert event.event_ns <= now, f"history knows the future: {event}"
        nothing = await feed.stream.history(Subscription(feed.id, "nosuch"), start, end)
        assert not nothing, "there is history of a feed that it does not have"

    @case(Tier.CORE, after="history_is_the_past", unless=SOUND)
    async def test_history_joins_the_live_feed(self, feed: Feed) -> None:
        """For a time in which it was listened, history has just what came: no gap, no overlap, nothing twice."""
        for kind in feed.kinds:
            feed.events.clear()
            await feed.subscribe(kind)
            await feed.listen(feed.span_ns)
            await feed.unsubscribe(kind)
            if len(feed.events) >= ENOUGH:
                await check_joined(feed, Subscription(feed.id, kind))

    @case(Tier.CORE, of="replay", after="only_what_is_subscribed_comes")
    async def test_replay_is_what_comes_live(self, feed: Feed) -> None:
        """Read at once, the events are those that come live, in the same order."""
        for kind in feed.kinds:
            await feed.subscribe(kind)
        await feed.listen(feed.span_ns)
        read = feed.stream.replay([Subscription(feed.id, kind) for kind in feed.kinds])  # type: ignore[attr-defined]
        begin = feed.events[0].received_ns if feed.events else 0
        read = (event for event in read if event.received_ns >= begin)
        for live in feed.events:
            event = next(read, None)
            assert event == live, f"live comes {live}, and replay has {event}"

    @case(Tier.CORE, of="on_end", after="only_what_is_subscribed_comes")
    async def test_the_end_is_told_once(self, feed: Feed) -> None:
        """After the last event `on_end` is called once, and nothing comes any more."""
        ends: list[int] = []
        feed.stream.on_end = lambda: ends.append(len(feed.events))  # type: ignore[attr-defined]
        for kind in feed.kinds:
            await feed.subscribe(kind)
        for _ in range(MANY):
            await feed.listen(feed.span_ns * 10)
            if ends:
                break
        else:
            raise Undeclared("it does not end")
        await feed.listen(feed.span_ns)
        assert len(ends) == 1, "its end is told more than once"
        assert ends[0] == len(feed.events), "events come after its end"

    @case(Tier.CORE, of="resume", after="only_what_is_subscribed_comes")
    async def test_it_resumes_after_a_moment(self, feed: Feed) -> None:
        """Told to go on after a moment, it begins with what came after it."""
        kind = await feed.lively()
        await feed.listen(feed.span_ns)
        whole, middle = list(feed.events), feed.events[len(feed.events) // 2].received_ns
        again = self._feed(self.make(), feed.venue, feed.instrument)
        await again.connect()
        again.stream.resume(middle)  # type: ignore[attr-defined]
        await again.subscribe(kind)
        await again.listen(feed.span_ns)
        await again.stream.close()
        rest = [event for event in whole if event.received_ns > middle]
        assert again.events[: len(rest)] == rest, (
            "resumed, it does not go on with the event after that moment"
        )

    @case(Tier.CORE, after="only_what_is_subscribed_comes")
    async def test_it_closes_and_connects_again(self, feed: Feed) -> None:
        """To close twice does no harm, nothing comes after it, and it can be connected again."""
        kind = await feed.lively()
        await feed.stream.close()
        await feed.stream.close()
        feed.events.clear()
        await feed.listen(feed.span_ns // 3)
        assert not feed.events, f"it is closed, and {feed.events[0]} comes"
        await feed.connect()
        await feed.subscribe(kind)
        await feed.hear(kind)

    # --- what goes wrong at its source ----------------------------------------------------------------------

    @case(Tier.FAULTS, after="feeds_stop_and_come_again", unless="silence_stays_silence", faults=Fault.CUT)
    async def test_a_broken_connection_is_told_once(self, feed: Feed) -> None:
        """`on_down` is called once with a reason, nothing is tried, and connected again the feed goes on."""
        kind = await feed.lively()
        await feed.fault(Fault.CUT)
        await feed.listen(feed.span_ns // 3)
        assert len(feed.downs) == 1 and feed.downs[0], (
            f"its connection broke once; on_down was called {len(feed.downs)} times"
        )
        feed.events.clear()
        await feed.listen(feed.span_ns // 3)
        assert not feed.events, "it connects by itself, and the engine has not asked"
        await feed.recover(kind)
        await feed.hear(kind)

    @case(Tier.FAULTS, after="feeds_stop_and_come_again", unless=(DOWN, *SOUND), faults=Fault.GARBAGE)
    async def test_garbage_is_named_and_the_feed_goes_on(self, feed: Feed) -> None:
        """What cannot be read is told by `on_down` or in the log, and raises nothing in the loop."""
        await self._understands(feed, Fault.GARBAGE)

    @case(Tier.FAULTS, after="feeds_stop_and_come_again", unless=(DOWN, *SOUND), faults=Fault.MISSING_FIELD)
    async def test_a_missing_field_is_named_and_the_feed_goes_on(self, feed: Feed) -> None:
        """A field that is not there is not made up."""
        await self._understands(feed, Fault.MISSING_FIELD)

    async def _understands(self, feed: Feed, fault: Fault) -> None:
        kind = await feed.lively()
        logged = len(self.watch.log)
        await feed.fault(fault)
        await feed.listen(feed.span_ns // 3)
        named = any(feed.downs) or len(self.watch.log) > logged
        assert named, f"the source's {fault} is swallowed: neither on_down nor the log says so"
        for event, now in feed.timed:
            check_event(event, now)
        await feed.recover(kind)
        await feed.hear(kind)
        assert not self.watch.unhandled, f"the source's {fault} raises in the loop: {self.watch.unhandled[0]}"

    @case(Tier.FAULTS, after="feeds_stop_and_come_again", faults=Fault.DUPLICATE)
    async def test_what_the_source_says_twice_comes_once(self, feed: Feed) -> None:
        """A trade with an id comes once however often the source sends it."""
        if "trade" not in feed.kinds:
            return
        await feed.subscribe("trade")
        await feed.fault(Fault.DUPLICATE)
        await feed.listen(feed.span_ns // 3)
        feed.check_distinct()

    @case(Tier.FAULTS, after="feeds_stop_and_come_again", faults=Fault.STALL)
    async def test_silence_stays_silence(self, feed: Feed) -> None:
        """While nothing comes from the source nothing is made up, so that whoever watches sees how old it is."""
        await feed.lively()
        await feed.fault(Fault.STALL)
        feed.events.clear()
        await feed.listen(feed.span_ns // 3)
        assert not feed.events, f"nothing comes from the source, and {feed.events[0]} is emitted"

    # --- what was seen during all other cases ---------------------------------------------------------------

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_the_loop_is_never_blocked(self, feed: Feed) -> None:
        """No callback of it holds the loop for more than 50 ms, in none of the cases."""
        assert not self._stalls, self._stalls[0]

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_closing_leaves_nothing(self, feed: Feed) -> None:
        """After close there is no task, thread or descriptor left."""
        assert not self._left, "; ".join(self._left[:3])

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_all_that_is_declared_is_proven(self, feed: Feed) -> None:
        """Each kind of feed that it offers has a case that has passed."""
        missing = type(self).book.unproven()
        assert not missing, f"it offers {', '.join(missing)}, and no case has proven that"


TOLERANCE_NS = 1_000_000_000
"""How far a source's clock may be ahead."""

ENOUGH = 2
MANY = 100
