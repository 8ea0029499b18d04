"""A stream with one defect fails the case that is about it, first of all; a clean one fails none."""

import asyncio
import json
import logging
import time

import msgspec
import pytest
from proving import details, failures, prove

from fairlead import Bar, ConnectivityError, Quote, Trade, default_instrument
from fairlead.testing import VirtualClock
from fairlead_conformance import Fault, StreamConformance
from fairlead_conformance.link import Link

BTC = default_instrument("BTC/USDT", "demo", tick="0.01")
MINUTE = 60_000_000_000
change = msgspec.structs.replace


def without_size(text: bytes) -> bytes:
    message = json.loads(text)
    del message["size"]
    return json.dumps(message).encode()


class Source:
    """A source in memory: it sends quotes and trades as JSON to whoever listens, and remembers them."""

    virtual = True

    def __init__(self):
        damage = {Fault.GARBAGE: lambda text: b"\xff" + text, Fault.MISSING_FIELD: without_size}
        self.link = Link(lambda _: False, lambda text: b"trade" in text, None, damage)
        self.faults = {Fault.CUT, Fault.STALL, Fault.DUPLICATE, *damage}
        self.clock = VirtualClock()
        self.past: list[bytes] = []
        self.listener = None
        self.lost = None

    async def open(self):
        pass

    async def close(self):
        pass

    async def quote(self, instrument, bid, ask, size):
        self.say({"is": "quote", "bid": bid, "ask": ask, "size": size})

    async def trade(self, instrument, price, size):
        self.say({"is": "trade", "price": price, "size": size, "id": f"t{len(self.past)}"})

    async def fault(self, fault):
        if fault is Fault.CUT:
            lost, self.listener = self.lost, None
            lost("the source hung up")
        else:
            self.link.fault(fault)

    def say(self, message):
        text = json.dumps({**message, "time": self.clock.now()}).encode()
        self.past.append(text)
        for one in self.link.down(text) if self.listener else []:
            self.listener(one)


class Clean:
    """A stream as it should be: quotes, trades, and bars of a minute that it makes of the trades."""

    silence = "60s"

    def __init__(self, source):
        self.name = type(self).__name__
        self.source = source
        self.on_down = None
        self.emit = None
        self.wanted = set()
        self.bar = None
        self.ids = {}

    def endpoints(self):
        return ("wss://demo",)

    async def instruments(self):
        return [BTC]

    def offers(self, instrument):
        return ("trade", "quote", "bar:1m") if instrument in (BTC.id, BTC.symbol) else ()

    async def connect(self, emit, clock):
        self.wanted.clear()
        self.emit, self.clock = emit, clock
        self.source.link.renew()
        self.source.listener, self.source.lost = self.hear, self.down

    async def subscribe(self, subscriptions):
        confirmed = frozenset(s for s in subscriptions if s.kind in self.offers(s.instrument))
        self.wanted |= {s.kind for s in confirmed}
        return confirmed

    async def unsubscribe(self, subscriptions):
        self.wanted -= {s.kind for s in subscriptions}

    async def history(self, subscription, start_ns, end_ns):
        if subscription.kind not in ("trade", "quote"):
            return ()
        events = [self.event(json.loads(text)) for text in self.source.past]
        kept = Quote if subscription.kind == "quote" else Trade
        return [event for event in events if type(event) is kept and start_ns <= event.event_ns < end_ns]

    async def close(self):
        self.emit = self.source.listener = None
        self.wanted.clear()

    def down(self, reason):
        self.source.listener = None
        if self.on_down is not None:
            self.on_down(reason)

    def hear(self, text):
        try:
            event = self.event(json.loads(text))
        except (ValueError, KeyError) as error:
            self.bad(error)
            return
        if isinstance(event, Trade):
            if event.trade_id in self.ids:
                return
            self.ids[event.trade_id] = None
            self.bucket(event)
        self.tell("quote" if isinstance(event, Quote) else "trade", event)

    def bad(self, error):
        logging.getLogger("demo").warning("a message could not be read: %r", error)

    def bucket(self, trade):
        opened = trade.event_ns // MINUTE * MINUTE
        if self.bar is not None and self.bar.open_ns != opened:
            self.tell("bar:1m", change(self.bar, received_ns=self.clock.now()))
            self.bar = None
        if self.bar is None:
            price, now = trade.price, self.clock.now()
            self.bar = Bar(BTC.id, "1m", price, price, price, price, 0.0, opened, opened + MINUTE, now)
        low, high = min(self.bar.low, trade.price), max(self.bar.high, trade.price)
        self.bar = change(
            self.bar, low=low, high=high, close=trade.price, volume=self.bar.volume + trade.size
        )

    def tell(self, kind, event):
        if self.emit is not None and kind in self.wanted:
            self.emit(event)

    def event(self, said):
        now = self.clock.now()
        if said["is"] == "quote":
            return Quote(BTC.id, said["bid"], said["ask"], said["size"], said["size"], said["time"], now)
        return Trade(BTC.id, said["price"], said["size"], said["time"], now, "buy", said["id"])


class TellsBeforeItIsAsked(Clean):
    breaks = "it_connects"

    def tell(self, kind, event):
        self.emit(event)


class ConfirmsAnything(Clean):
    breaks = "only_what_it_has_is_confirmed"

    async def subscribe(self, subscriptions):
        self.wanted |= {s.kind for s in subscriptions}
        return frozenset(subscriptions)


class TellsEverything(Clean):
    breaks = "only_what_is_subscribed_comes"

    def tell(self, kind, event):
        if self.emit is not None and self.wanted:
            self.emit(event)


class NeverStops(Clean):
    breaks = "feeds_stop_and_come_again"

    def tell(self, kind, event):
        self.ever = getattr(self, "ever", set()) | self.wanted
        if self.emit is not None and kind in self.ever and len(self.ever) == 1:
            self.emit(event)


class CrossedQuotes(Clean):
    breaks = "quotes_are_sound"

    def tell(self, kind, event):
        super().tell(kind, change(event, bid=event.ask, ask=event.bid) if kind == "quote" else event)


class TradesOfNothing(Clean):
    breaks = "trades_are_sound"

    def tell(self, kind, event):
        super().tell(kind, change(event, size=0.0) if kind == "trade" else event)


class EarlyBars(Clean):
    breaks = "bars_are_aligned_and_close_once"

    def bucket(self, trade):
        super().bucket(trade)
        self.tell("bar:1m", self.bar)


class CrookedBars(Clean):
    breaks = "bars_are_aligned_and_close_once"

    def tell(self, kind, event):
        if kind == "bar:1m":
            event = change(
                event, open_ns=event.open_ns - 1_000_000_000, event_ns=event.event_ns - 1_000_000_000
            )
        super().tell(kind, event)


class TimeRunsBack(Clean):
    breaks = "times_run_forward"

    def tell(self, kind, event):
        super().tell(kind, change(event, received_ns=event.event_ns - hash(str(event)) % 10**9))


class HistoryWithItsEnd(Clean):
    breaks = "history_joins_the_live_feed"

    async def history(self, subscription, start_ns, end_ns):
        return await super().history(subscription, start_ns, end_ns + 1)


class HistoryWithAGap(Clean):
    breaks = "history_joins_the_live_feed"

    async def history(self, subscription, start_ns, end_ns):
        return list(await super().history(subscription, start_ns, end_ns))[::2]


class HistoryBackwards(Clean):
    breaks = "history_is_the_past"

    async def history(self, subscription, start_ns, end_ns):
        return list(await super().history(subscription, start_ns, end_ns))[::-1]


class TellsAfterClose(Clean):
    breaks = "it_closes_and_connects_again"

    async def close(self):
        pass


class ConnectsByItself(Clean):
    breaks = "a_broken_connection_is_told_once"

    def down(self, reason):
        super().down(reason)
        self.source.listener = self.hear


class SaysNothingWhenDown(Clean):
    breaks = "a_broken_connection_is_told_once"

    def down(self, reason):
        self.source.listener = None


class SwallowsWhatItCannotRead(Clean):
    breaks = "garbage_is_named_and_the_feed_goes_on"

    def bad(self, error):
        pass


class MakesFieldsUp(Clean):
    breaks = "a_missing_field_is_named_and_the_feed_goes_on"

    def event(self, said):
        return super().event({"size": float("nan"), **said})


class TellsTradesTwice(Clean):
    breaks = "what_the_source_says_twice_comes_once"

    def hear(self, text):
        self.ids.clear()
        super().hear(text)


class Repeats(Clean):
    breaks = "silence_stays_silence"

    async def subscribe(self, subscriptions):
        if not hasattr(self, "last"):
            self.last, self.task = None, asyncio.get_running_loop().call_later(0.1, self.again)
        return await super().subscribe(subscriptions)

    def tell(self, kind, event):
        self.last = (kind, event) if kind in self.wanted else None
        super().tell(kind, event)

    def again(self):
        if self.last and self.clock.now() - self.last[1].received_ns > 2_000_000_000:
            kind, event = self.last
            now = self.clock.now()
            Clean.tell(self, kind, change(event, event_ns=now, received_ns=now, trade_id=str(now)))
        self.task = asyncio.get_running_loop().call_later(0.1, self.again)

    async def close(self):
        await super().close()
        self.last = None


class Blocks(Clean):
    breaks = "the_loop_is_never_blocked"

    async def unsubscribe(self, subscriptions):
        time.sleep(0.1)  # noqa: ASYNC251
        await super().unsubscribe(subscriptions)


class LeavesATask(Clean):
    breaks = "closing_leaves_nothing"

    async def connect(self, emit, clock):
        await super().connect(emit, clock)
        self.task = asyncio.ensure_future(asyncio.sleep(10**6))


class OffersWhatItHasNot(Clean):
    breaks = "only_what_it_has_is_confirmed"

    def offers(self, instrument):
        return ("mark", *super().offers(instrument)) if instrument in (BTC.id, BTC.symbol) else ()

    async def subscribe(self, subscriptions):
        return await super().subscribe([s for s in subscriptions if s.kind != "mark"])


class RaisesForWhatItDoesNotKnow(Clean):
    breaks = "only_what_it_has_is_confirmed"

    async def subscribe(self, subscriptions):
        if any(s.instrument != BTC.id for s in subscriptions):
            raise ConnectivityError("unknown instrument")
        return await super().subscribe(subscriptions)


DEFECTS = [kind for kind in Clean.__subclasses__() if hasattr(kind, "breaks")]


def suite(kind):
    class Suite(StreamConformance):
        def make_venue(self):
            return Source()

        def make(self):
            return kind(self.venue)

    return Suite


def test_a_clean_stream_passes_all():
    """No case fails, and every tier is reached."""
    book = prove(suite(Clean))
    assert not failures(book), details(book)
    assert str(book.tier) == "T2"


@pytest.mark.parametrize("kind", DEFECTS, ids=lambda kind: kind.__name__)
def test_a_defect_is_named_first(kind):
    """The case that is about it is the first that fails."""
    book = prove(suite(kind))
    assert failures(book)[:1] == [kind.breaks], details(book)
    assert len(failures(book)) <= 3, details(book)


def test_a_source_that_is_missing_is_said_by_name():
    """A stream that reaches outside is not connected without a source under test."""

    class Suite(StreamConformance):
        def make(self):
            return Clean(Source())

    book = prove(Suite)
    assert not failures(book), details(book)
    assert "make_venue" in book.results["it_connects"].detail
    assert str(book.tier) == "T0"
