"""`CcxtStream`: the markets of any exchange that ccxt supports."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError, duration
from fairlead.ports import Clock, MarketEvent, Subscription
from fairlead_ccxt import taps, watching
from fairlead_ccxt.facts import Facts, facts_of
from fairlead_ccxt.feeds import Bars, Books, Feed, Quotes, Trades
from fairlead_ccxt.history import fetch_bars, fetch_trades
from fairlead_ccxt.instruments import Listing
from fairlead_ccxt.markets import Markets, markets_of
from fairlead_ccxt.place import place
from fairlead_ccxt.sdk import SECONDS, Sdk

log = logging.getLogger("fairlead.ccxt")

_LOOK_SECONDS = 0.005
_TICKS = ("quote", "trade", "book")


@attrs.define
class _Watch:
    """A feed that is subscribed, and the task that keeps it so."""

    subscription: Subscription
    feed: Feed
    keeper: asyncio.Task[Any] | None = None


class CcxtStream:
    """The markets of `symbols`, all spot or all derivatives, at an `exchange`, by ccxt's name of it; no key
    is needed.

        CcxtStream("binance", "BTC/USDT", environment="live")

    `environment` is testnet, demo or live: the prices of a testnet are its own. `levels` is how many of each
    side a book has, `poll` how often what does not stream is asked for, `settle` how long after its end a bar
    may still change, `silence` how long it may be silent. `facts` replace what we know of the exchange. `url`
    puts all addresses somewhere else. Raises ConfigurationError.
    """

    def __init__(
        self,
        exchange: str,
        *symbols: str,
        environment: str = "testnet",
        name: str = "",
        levels: int = 10,
        poll: str | int = "2s",
        settle: str | int = "2s",
        silence: str | int = "60s",
        keep_alive: str | int = "10s",
        facts: Facts | None = None,
        url: str = "",
    ) -> None:
        self._place = place(exchange, symbols, environment, url)
        self._facts = (
            attrs.evolve(facts, venue=facts.venue or exchange) if facts is not None else facts_of(exchange)
        )
        if not 1 <= levels <= 1000:
            raise ConfigurationError(f"levels={levels} of a book cannot be had: write 1 to 1000")
        self.name = name or f"{exchange}-stream"
        self.silence = silence
        self.label = f"{exchange} by ccxt, {environment}"
        self.on_down: Callable[[str], None] = _nobody
        self._symbols = [symbol.partition("@")[0] for symbol in symbols]
        self._levels = levels
        self._poll = duration(poll) / 1e9
        self._settle_ns = duration(settle)
        self._keep_alive = max(1, duration(keep_alive) // 1_000_000)
        self._listing = Listing(self._facts.venue)
        self._markets: Markets | None = None
        self._emit: Callable[[MarketEvent], None] = _nowhere
        self._clock: Clock | None = None
        self._context = contextvars.copy_context()
        self._sdk: Sdk | None = None
        self._lines: taps.Lines | None = None
        self._watches: dict[Subscription, _Watch] = {}
        self._told_ms: dict[Subscription, int] = {}

    def endpoints(self) -> Sequence[str]:
        """The addresses that it connects to, as far as they are known without ccxt."""
        return [self._place.url] if self._place.url else []

    # --- what there is ------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What it serves. Raises ConfigurationError, ConnectivityError or VenueError."""
        if self._markets is None:
            self._markets = await markets_of(self._place, self._facts)
        found = self._markets.instruments(self._symbols)
        self._listing.learn(found)
        return found

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Quotes, trades, books and bars, as far as the exchange has them in ccxt."""
        if self._markets is None or self._listing.find(instrument) is None:
            return ()
        return self._markets.feeds(_TICKS)

    # --- the connection -----------------------------------------------------------------------------------------

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Open what there is to open: sockets are when something is subscribed. Raises as `instruments` does."""
        await self.close()
        self._emit, self._clock, self._context = emit, clock, contextvars.copy_context()
        await self.instruments()
        assert self._markets is not None
        self._sdk = sdk = await Sdk.open(self._place, self._facts, clock.now, keep_alive=self._keep_alive)
        await sdk.start(self._markets.give(sdk.exchange))
        self._lines = taps.Lines(sdk.exchange, self._lost)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; returns those that were confirmed. Raises ConnectivityError."""
        done = set[Subscription]()
        for subscription in subscriptions:
            if subscription in self._watches or (
                subscription.kind in self.offers(subscription.instrument)
                and await self._subscribe(subscription)
            ):
                done.add(subscription)
        return frozenset(done)

    async def _subscribe(self, subscription: Subscription) -> bool:
        if self._sdk is None or self._lines is None or self._clock is None:
            raise ConnectivityError(f"{self.name} is not connected")
        watch = _Watch(subscription, self._feed(subscription))
        self._watches[subscription] = watch
        feed = watch.feed
        if isinstance(feed, Bars):
            feed.told_ms = self._told_ms.get(subscription, 0)
            feed.hold()
        kind, symbol, timeframe = self._parts(subscription)
        way = watching.way_of(self._sdk.exchange, kind)
        notes = self._lines.notes
        watch.keeper = self._sdk.start(
            self._ask_on(watch, kind, symbol, timeframe)
            if way is None
            else self._keep(watch, way, symbol, timeframe)
        )
        if not await self._confirmed(watch, notes):
            await self.unsubscribe([subscription])
            return False
        if isinstance(feed, Bars):
            await self._catch_up(feed, symbol, timeframe)
        return True

    async def _confirmed(self, watch: _Watch, notes: int) -> bool:
        """Wait for its first entry, or for a frame that is no entry of any feed: an answer to the request."""
        assert self._lines is not None
        assert watch.keeper is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + SECONDS
        while not watch.keeper.done() and loop.time() < until:
            if watch.feed.count or self._lines.notes > notes:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _catch_up(self, feed: Bars, symbol: str, timeframe: str) -> None:
        """Bars that were over between the last one told and now: of a history, or before the connection broke."""
        assert self._sdk is not None
        missed: Sequence[Sequence[Any]] = []
        try:
            if feed.told_ms:
                missed = await fetch_bars(
                    self._sdk, symbol, timeframe, feed.told_ms, self._sdk.clock.now() // 1_000_000
                )
        finally:
            feed.release(missed)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them."""
        for subscription in subscriptions:
            watch = self._watches.pop(subscription, None)
            if watch is None or self._sdk is None or self._lines is None:
                continue
            self._remember(watch)
            if watch.keeper is not None:
                watch.keeper.cancel()
            await self._unwatch(*self._parts(subscription))

    async def _unwatch(self, kind: str, symbol: str, timeframe: str) -> None:
        """Tell the exchange, where ccxt can; what still comes is nobody's."""
        assert self._sdk is not None
        exchange = self._sdk.exchange
        way = watching.way_of(exchange, kind)
        if way is None or not exchange.has.get("unW" + way.has[1:]):
            return
        method, args = way.watch(symbol, timeframe)
        try:
            await self._sdk.ask(f"un_{method}", *args)
        except (ConnectivityError, VenueError) as error:
            log.info("%s: %s of %s could not be called off: %s", self.name, kind, symbol, error)

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Bars or trades in [start_ns, end_ns), oldest first. Raises ConnectivityError or VenueError."""
        if self._sdk is None or self._clock is None:
            raise ConnectivityError(f"{self.name} is not connected")
        kind, symbol, timeframe = self._parts(subscription)
        start_ms, end_ms = start_ns // 1_000_000, -(-end_ns // 1_000_000)
        found: list[MarketEvent] = []
        feed = self._feed(subscription, found.append)
        if isinstance(feed, Bars):
            rows = await fetch_bars(self._sdk, symbol, timeframe, start_ms, end_ms)
            bars = [feed.bar(row) for row in rows]
            now = self._clock.now()
            kept = [bar for bar in bars if start_ns <= bar.event_ns < end_ns and bar.event_ns <= now]
            if kept:
                last = kept[-1].event_ns // 1_000_000
                self._told_ms[subscription] = max(last, self._told_ms.get(subscription, 0))
            return kept
        if kind == "trade" and self._sdk.exchange.has.get("fetchTrades"):
            for row in await fetch_trades(self._sdk, symbol, start_ms, end_ms):
                feed.seen(row)
            return [event for event in found if start_ns <= event.event_ns < end_ns]
        return []

    async def close(self) -> None:
        """Leave; harmless to repeat."""
        if self._lines is not None:
            self._lines.leave()
        for watch in self._watches.values():
            self._remember(watch)
        self._watches.clear()
        sdk, self._sdk, self._lines = self._sdk, None, None
        if sdk is not None:
            await sdk.close()

    # --- feeds --------------------------------------------------------------------------------------------------

    def _parts(self, subscription: Subscription) -> tuple[str, str, str]:
        kind, _, timeframe = subscription.kind.partition(":")
        instrument = self._listing.find(subscription.instrument)
        if instrument is None:
            raise ConfigurationError(f"{self.name} does not serve {subscription.instrument}")
        return kind, instrument.symbol, timeframe

    def _feed(self, subscription: Subscription, emit: Callable[[MarketEvent], None] | None = None) -> Feed:
        kind, _, timeframe = self._parts(subscription)
        assert self._clock is not None
        name, tell, clock = subscription.instrument, emit or self._tell, self._clock
        match kind:
            case "trade":
                return Trades(name, tell, clock)
            case "quote":
                return Quotes(name, tell, clock)
            case "book":
                return Books(name, tell, clock, self._levels)
            case _:
                return Bars(name, tell, clock, timeframe, duration(timeframe) // 1_000_000, self._settle_ns)

    def _tell(self, event: MarketEvent) -> None:
        """Emit from where the engine is: ccxt's own context rounds in another way."""
        self._context.copy().run(self._emit, event)

    def _remember(self, watch: _Watch) -> None:
        if isinstance(watch.feed, Bars) and watch.feed.told_ms:
            self._told_ms[watch.subscription] = watch.feed.told_ms

    async def _keep(self, watch: _Watch, way: watching.Way, symbol: str, timeframe: str) -> None:
        """Have ccxt keep a subscription up; what goes through a tap has been seen already."""
        assert self._sdk is not None
        assert self._lines is not None
        exchange, lines, feed = self._sdk.exchange, self._lines, watch.feed

        def seen(entry: Any) -> None:
            if self._watches.get(watch.subscription) is watch:
                lines.entries += 1
                feed.seen(entry)

        tap = way.tap(exchange, symbol, timeframe, seen) if way.tap is not None else None
        method, args = way.watch(symbol, timeframe)
        try:
            while True:
                state = await getattr(exchange, method)(*args)
                if way.tap is None:
                    feed.seen(state)
                elif way.held is not None and way.held(exchange, symbol, timeframe) is not tap:
                    raise RuntimeError("ccxt has put a cache of its own in the place of ours")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("%s: %s of %s ended: %r", self.name, watch.subscription.kind, symbol, error)
            lines.end(f"{method} failed: {type(error).__name__}")
            raise

    async def _ask_on(self, watch: _Watch, kind: str, symbol: str, timeframe: str) -> None:
        """Ask again and again for what does not stream."""
        assert self._sdk is not None
        assert self._lines is not None
        method = watching.ASKED[kind][1]
        args = (symbol, timeframe) if timeframe else (symbol,)
        try:
            while True:
                found = await self._sdk.ask(method, *args)
                for entry in found if kind in ("trade", "bar") else [found]:
                    watch.feed.seen(entry)
                await asyncio.sleep(self._poll)
        except (ConnectivityError, VenueError, KeyError, TypeError, ValueError) as error:
            self._lines.end(f"{method} failed: {error}")
            raise

    def _lost(self, reason: str) -> None:
        for watch in self._watches.values():
            if watch.keeper is not None:
                watch.keeper.cancel()
        self._context.copy().run(self.on_down, reason)


def _nowhere(event: MarketEvent) -> None:
    """Where events go before anybody listens."""


def _nobody(reason: str) -> None:
    """Whom a broken connection is told to before the engine says."""
