"""A tap: streams that run without an engine, for whoever only looks on.

Time, the order of what is due, the check of every event and the making of bars are those of an engine; there is no
strategy, no account and no journal.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self

import attrs
import msgspec

from fairlead._engine.assembly import offers_of, settle_of, stream_for
from fairlead._engine.intake import Intake
from fairlead._engine.pacing import Pacer, time_for
from fairlead._kernel.clock import END, Agenda
from fairlead._kernel.feeds import Feeds
from fairlead._kernel.market import Lane, Market
from fairlead._models.instrument import Instrument, named
from fairlead._models.market import EVENT_TYPES, MarketEvent
from fairlead.errors import ConfigurationError, PluginError
from fairlead.ports import DataStream, Subscription

Sink = Callable[[MarketEvent], None]


@attrs.frozen
class Wanted:
    """What is asked of each instrument: kinds of feed, and intervals of bars.

    `finest` asks for quotes and trades instead, or for the finest bars where there are neither.
    """

    instruments: Sequence[str]
    kinds: Sequence[str] = ()
    intervals: Sequence[str] = ()
    finest: bool = False


class Tap:
    """Connects streams, subscribes, and hands each event to `sink`, in the loop's own thread, until it is closed.

    `on_end` is called once: after the last event of streams that have one, or when `error` was set. `refused` is told
    of each event that no strategy would have got, and why.
    """

    def __init__(
        self,
        streams: Sequence[DataStream],
        sink: Sink,
        *,
        on_end: Callable[[], None],
        refused: Callable[[MarketEvent, str], None] | None = None,
    ) -> None:
        self._streams = streams
        self._sink = sink
        self._on_end = on_end
        self._time = time_for(None, streams)
        self.agenda = Agenda(self._time)
        self._events = Agenda(self._time)
        self._market = Market()
        if refused is not None:
            self._market.refused = lambda _, event, rule: refused(event, rule)
        self._feeds = Feeds(self._market, self.agenda.call_at, _no_breakers)
        self._feeds.offers = lambda instrument: offers_of(streams, instrument)
        self._feeds.settle = lambda instrument: settle_of(streams, instrument)
        self._wanted: list[Subscription] = []
        self._feeds.subscribe = lambda subscription, _: self._wanted.append(subscription)
        self._intake = Intake(self._market, self.agenda, ())
        self._stack = AsyncExitStack()
        self._open = 0
        self._now = 0
        self._ended = False
        self.instruments: list[Instrument] = []
        self.error: BaseException | None = None

    @property
    def paced(self) -> bool:
        """Whether the streams bring their own time, so that they can be made to wait."""
        return any(getattr(stream, "time", lambda: None)() is not None for stream in self._streams)

    def now(self) -> int:
        """The streams' time, ns UTC."""
        return max(self._now, self.agenda.now())

    async def open(self, wanted: Wanted) -> Self:
        """Connect and subscribe. Raises ConfigurationError for what is unknown or not confirmed; nothing stays open."""
        try:
            await self._connect(wanted)
        except BaseException:  # whatever stopped it, nothing stays open
            await self.close()
            raise
        return self

    async def _connect(self, wanted: Wanted) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        catalogue = {i.id: i for stream in self._streams for i in await stream.instruments()}
        for instrument in dict.fromkeys(named(symbol, catalogue) for symbol in wanted.instruments):
            kinds, intervals = self._asked(instrument, wanted)
            self._feeds.tap(instrument, kinds, intervals, self._deliver)
            self.instruments.append(instrument)
        serving = [(stream_for(self._streams, sub), sub) for sub in self._wanted]
        self._pacer = pacer = Pacer(self.agenda, self._events, self._loop, self.fail, busy=False)
        self._stack.callback(pacer.stop)
        for stream in {id(stream): stream for stream, _ in serving if stream is not None}.values():
            if hasattr(stream, "on_end"):
                stream.on_end = self._stream_ended
                self._open += 1
            self._stack.push_async_callback(stream.close)
            await stream.connect(self._taker(stream), self._events)
        for source, subscription in serving:
            assert source is not None
            if subscription not in await source.subscribe([subscription]):
                raise ConfigurationError(
                    f"stream {source.name} did not confirm {subscription.kind} of {subscription.instrument}, so none "
                    f"would come: ask for another of {', '.join(source.offers(subscription.instrument))}, or check "
                    f"what the source allows"
                )
        pacer.start()

    def _asked(self, instrument: Instrument, wanted: Wanted) -> tuple[Sequence[str], Sequence[str]]:
        if not wanted.finest:
            return wanted.kinds, wanted.intervals
        offers = self._feeds.offers(instrument.id)
        bars = [kind.removeprefix("bar:") for kind in offers if kind.startswith("bar:")]
        kinds = [kind for kind in offers if kind in ("quote", "trade")]
        return kinds, [] if kinds else bars[:1]

    def _deliver(self, event: object) -> None:
        self._sink(event)  # type: ignore[arg-type]

    def _taker(self, stream: DataStream) -> Sink:
        def take(event: MarketEvent) -> None:
            if threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(take, event)
            elif not self._ended:
                if type(event) not in EVENT_TYPES:
                    kind = type(event).__qualname__
                    raise PluginError(
                        f"stream {stream.name} emits {kind}, which is no market event: repair the stream",
                        plugin=stream.name,
                    )
                self._take(event)

        return lambda event: self._guarded(take, event)

    def _take(self, event: MarketEvent) -> None:
        if event.received_ns < self._now:  # what comes from before what is done comes after it
            event = msgspec.structs.replace(event, received_ns=self._now)
        self._now = event.received_ns
        self._intake.take(event)

    def _guarded(self, take: Sink, event: MarketEvent) -> None:
        try:
            take(event)
        except Exception as error:  # a stream's emit never raises: whoever looks on is told
            self.fail(error)

    def _stream_ended(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.agenda.call_at(self.agenda.time.now(), self._end, END)

    def end_after(self, within_ns: int) -> None:
        """End so long from now, in the streams' time."""
        self.agenda.call_at(self.now() + within_ns, self._end, END)

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.error = self.error or error
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._pacer.stop()
            self._on_end()

    async def close(self) -> None:
        """Take no more events and close the streams; harmless to repeat."""
        self._ended = True
        await self._stack.aclose()


def _no_breakers(_: Lane) -> None:
    pass
