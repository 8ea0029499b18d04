"""`BybitStream`: quotes, trades, bars, books, marks and funding of spot and linear contracts, without a key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from fairlead import ConfigurationError, Instrument, VenueError
from fairlead.ports import Bar, Clock, MarketEvent, Subscription
from fairlead_bybit import history
from fairlead_bybit.account import listed
from fairlead_bybit.feeds import Bars, Books, Feed, Marks, Quotes, Trades
from fairlead_bybit.frames import Frame
from fairlead_bybit.instruments import LINEAR, SPOT, Listing, product_of
from fairlead_bybit.link import TopicLine
from fairlead_bybit.places import places
from fairlead_bybit.rest import Rest, elapsed

log = logging.getLogger("fairlead.bybit")

_AT_ONCE = 10
"""Spot takes so many topics in one request: https://bybit-exchange.github.io/docs/v5/ws/connect"""

_DEPTHS = (50, 200, 1000)
_BARS = tuple(f"bar:{interval}" for interval in history.INTERVALS)
_TICKS = ("quote", "trade", "book")


class BybitStream:
    """The markets of `symbols`, or of all there are, at Bybit: `BTC/USDT` is spot, `BTC/USDT:USDT` a linear contract.

        BybitStream("BTC/USDT:USDT")

    `environment` is testnet, demo or live: the prices of a testnet are its own. `levels` is how many of each side a
    book has. `silence` is how long it may be silent. `url` puts all addresses somewhere else. Raises
    ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        environment: str = "testnet",
        name: str = "bybit-stream",
        levels: int = 10,
        silence: str | int = "60s",
        url: str = "",
    ) -> None:
        self._places = places(environment, url)
        if not 1 <= levels <= _DEPTHS[-1]:
            raise ConfigurationError(f"levels={levels} of a book cannot be had: write 1 to {_DEPTHS[-1]}")
        self.name = name
        self.silence = silence
        self.on_down: Callable[[str], None] = _nobody
        self.label = f"Bybit, {environment}"
        self._symbols = symbols
        self._environment = environment
        self._levels = levels
        self._deep = next(depth for depth in _DEPTHS if depth >= levels)
        self._listing = Listing()
        self._rest: Rest | None = None
        self._clock: Clock | None = None
        self._emit: Callable[[MarketEvent], None] = _nowhere
        self._lines: dict[str, TopicLine] = {}
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._bars: dict[Subscription, Bars] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return (self._places.rest, self._places.public)

    # --- what there is ------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What it serves. Raises ConfigurationError, ConnectivityError or VenueError."""
        if not len(self._listing):
            rest = self._rest or Rest(self._places, elapsed())
            products = {product_of(symbol) for symbol in self._symbols} or {SPOT, LINEAR}
            try:
                self._listing.learn(await listed(rest, sorted(products)))
            finally:
                if rest is not self._rest:
                    await rest.close()
        return (
            self._listing.chosen(self._symbols, self._environment) if self._symbols else list(self._listing)
        )

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Quotes, trades, books and bars; of contracts marks and funding too."""
        found = self._listing.find(instrument)
        if found is None:
            return ()
        return (*_TICKS, *_BARS) if found.spot else (*_TICKS, "mark", "funding", *_BARS)

    # --- the connection -----------------------------------------------------------------------------------------

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Open what there is to open: sockets are when something is subscribed. Raises as `instruments` does."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._rest = Rest(self._places, clock.now)
        self._feeds.clear()
        await self._rest.measure()
        await self.instruments()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; returns those that Bybit confirmed. Raises ConnectivityError."""
        wanted: dict[str, dict[str, list[Subscription]]] = {}
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if found is not None and subscription.kind in self.offers(found.id):
                product, topic = product_of(found.symbol), self._topic(found, subscription.kind)
                self._feed(product, topic, found, subscription)
                wanted.setdefault(product, {}).setdefault(topic, []).append(subscription)
        done: set[Subscription] = set()
        for product, topics in wanted.items():
            line = await self._line(product)
            names = list(topics)
            for start in range(0, len(names), _AT_ONCE):
                done |= await self._ask(line, product, topics, names[start : start + _AT_ONCE])
        await asyncio.gather(*(self._join(bars) for name, bars in self._bars.items() if name in done))
        return frozenset(done)

    async def _ask(
        self, line: TopicLine, product: str, topics: dict[str, list[Subscription]], names: list[str]
    ) -> set[Subscription]:
        try:
            await line.subscribe(names)
        except VenueError as error:
            if "already subscribed" in str(error):  # nobody waits for a book that began long ago
                for name in names:
                    await _again(line, name)
            else:
                log.warning("topics of %s were refused: %s", product, error)
                return set()
        return {subscription for name in names for subscription in topics[name]}

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them. Raises ConnectivityError."""
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if found is None:
                continue
            product, topic = product_of(found.symbol), self._topic(found, subscription.kind)
            feed = self._feeds.get((product, topic))
            self._bars.pop(subscription, None)
            if isinstance(feed, Marks):
                feed.wanted.discard(subscription.kind)
                if feed.wanted:
                    continue
            if self._feeds.pop((product, topic), None) is not None and (line := self._lines.get(product)):
                await line.subscribe([topic], "unsubscribe")

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Bars that closed in [start_ns, end_ns), oldest first; of anything else it has none.

        Raises ConnectivityError or VenueError.
        """
        found = self._listing.find(subscription.instrument)
        if found is None or subscription.kind not in _BARS or self._rest is None:
            return ()
        interval = subscription.kind.removeprefix("bar:")
        past = await history.closed(self._rest, found, interval, start_ns, end_ns)
        bars = self._bars_of(subscription, found)
        bars.seen(past)
        if not past:  # nothing closed: what closes from now on is the first
            bars.last_ns = max(bars.last_ns, min(end_ns, self._rest.clock.now()))
        return past

    async def close(self) -> None:
        """Leave; harmless to repeat."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()
        for task in list(self._tasks):
            task.cancel()
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest.close()
        for line in lines.values():
            await line.wait_closed()

    # --- feeds --------------------------------------------------------------------------------------------------

    def _topic(self, instrument: Instrument, kind: str) -> str:
        if kind.startswith("bar:"):
            return f"kline.{history.INTERVALS[kind.removeprefix('bar:')]}.{instrument.native}"
        names = {
            "quote": "orderbook.1", "book": f"orderbook.{self._deep}", "trade": "publicTrade", "mark": "tickers",
            "funding": "tickers",
        }  # fmt: skip
        return f"{names[kind]}.{instrument.native}"

    def _feed(self, product: str, topic: str, found: Instrument, subscription: Subscription) -> None:
        """Have a feed for a topic; one of marks serves two kinds."""
        assert self._clock is not None
        kind, emit, now, key = subscription.kind, self._emit, self._clock.now, (product, topic)
        lost = partial(self._resync, product, topic)
        if kind in ("mark", "funding"):
            marks = self._feeds.get(key)
            if not isinstance(marks, Marks):
                marks = self._feeds[key] = Marks(found, emit, now)
            marks.wanted.add(kind)
        elif kind == "quote":
            self._feeds[key] = Quotes(found, emit, now, lost)
        elif kind == "book":
            self._feeds[key] = Books(found, self._levels, emit, now, lost)
        elif kind == "trade":
            self._feeds[key] = Trades(found, emit, now)
        else:
            bars = self._feeds[key] = self._bars_of(subscription, found)
            bars.hold()

    def _bars_of(self, subscription: Subscription, found: Instrument) -> Bars:
        """The bars of a subscription, which remember through reconnects what has been told."""
        bars = self._bars.get(subscription)
        if bars is None:
            assert self._clock is not None
            interval = subscription.kind.removeprefix("bar:")
            bars = self._bars[subscription] = Bars(found, interval, self._tell, self._clock.now)
        return bars

    def _tell(self, event: MarketEvent) -> None:
        """To whoever listens now."""
        self._emit(event)

    async def _join(self, bars: Bars) -> None:
        """Fetch what closed between the last bar that was told and the first of the stream."""
        assert self._rest is not None
        past: list[Bar] = []
        try:
            if bars.last_ns:
                until = self._rest.clock.now()
                past = await history.closed(
                    self._rest, bars.instrument, bars.interval, bars.last_ns + 1, until
                )
        finally:
            bars.join(past)

    def _resync(self, product: str, topic: str) -> None:
        """A book lost its thread: a new subscription begins with a whole one."""
        log.warning("steps of %s are missing: it is asked for anew", topic)
        line = self._lines.get(product)
        if line is not None:
            self._spawn(_again(line, topic))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._down(f"a book could not be asked for anew: {error}")

    # --- sockets ------------------------------------------------------------------------------------------------

    async def _line(self, product: str) -> TopicLine:
        line = self._lines.get(product)
        if line is None:
            assert self._clock is not None
            line = self._lines[product] = TopicLine(partial(self._told, product), self._down)
            try:
                await line.open(f"{self._places.public}/{product}", self._clock)
            except BaseException:  # a line that did not open is none, whatever stopped it
                self._lines.pop(product, None)
                raise
        return line

    def _told(self, product: str, frame: Frame) -> None:
        feed = self._feeds.get((product, frame.topic))
        if feed is None:
            return
        try:
            feed.take(frame)
        except ValueError as error:
            raise VenueError(f"topic {frame.topic}: {error}") from error

    def _down(self, reason: str) -> None:
        """Any part of it broke: all of it is connected again."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()
        if lines:
            self.on_down(reason)


async def _again(line: TopicLine, topic: str) -> None:
    await line.subscribe([topic], "unsubscribe")
    await line.subscribe([topic])


def _nowhere(event: MarketEvent) -> None:
    """Where events go before anybody listens."""


def _nobody(reason: str) -> None:
    """Nobody asked to hear of it."""
