"""`HyperliquidStream`: quotes, trades, bars, books, marks and funding, without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from fairlead import ConfigurationError, Instrument, VenueError, duration
from fairlead.ports import Bar, Clock, MarketEvent, Subscription
from fairlead_hyperliquid.feeds import INTERVALS, MS, Bars, Books, Candle, Feed, Marks, Quotes, Trades
from fairlead_hyperliquid.instruments import Listing, listed
from fairlead_hyperliquid.link import Socket, Subscribed
from fairlead_hyperliquid.places import PERPS, SPOT, places
from fairlead_hyperliquid.rest import Rest

_BARS = tuple(f"bar:{interval}" for interval in INTERVALS)
_TYPES = {
    "quote": "bbo",
    "trade": "trades",
    "book": "l2Book",
    "mark": "activeAssetCtx",
    "funding": "activeAssetCtx",
}
_MOST = 5_000
"""So many candles Hyperliquid keeps of each interval."""


class _Of(msgspec.Struct):
    coin: str = ""
    s: str = ""
    i: str = ""


_of = msgspec.json.Decoder(_Of)
_of_list = msgspec.json.Decoder(list[_Of])


class HyperliquidStream:
    """The markets of `symbols`, or of all there are, at Hyperliquid.

        HyperliquidStream("BTC/USDC:USDC", environment="live")

    `product` is perps or spot, `environment` testnet or live: the prices of the testnet are its own. `levels` is how
    many of each side a book has, 20 at most. `silence` is how long it may be silent. `url` puts all addresses somewhere
    else. Raises ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        product: str = PERPS,
        environment: str = "testnet",
        name: str = "hyperliquid-stream",
        levels: int = 10,
        silence: str | int = "60s",
        url: str = "",
    ) -> None:
        self._places = places(product, environment, url)
        if not 1 <= levels <= 20:
            raise ConfigurationError(f"levels={levels} of a book cannot be had: write 1 to 20")
        self.name = name
        self.silence = silence
        self.on_down: Callable[[str], None] = _nobody
        self.label = f"Hyperliquid {'spot' if product == SPOT else 'perpetuals'}, {environment}"
        self._symbols = symbols
        self._product = product
        self._environment = environment
        self._levels = levels
        self._listing = Listing()
        self._rest: Rest | None = None
        self._clock: Clock
        self._emit: Callable[[MarketEvent], None] = _nowhere
        self._socket: Socket | None = None
        self._feeds: dict[str, Feed] = {}

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return self._places.all()

    # --- what there is ------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What it serves. Raises ConfigurationError, ConnectivityError or VenueError."""
        if not len(self._listing):
            rest = self._rest or await self._open_rest(_elapsed)
            kind = "spotMetaAndAssetCtxs" if self._product == SPOT else "metaAndAssetCtxs"
            try:
                self._listing.learn(listed(self._product, await rest.ask(kind)))
            finally:
                if rest is not self._rest:
                    await rest.close()
        return self._listing.chosen(self._symbols, self._environment)

    async def _open_rest(self, now: Callable[[], int]) -> Rest:
        rest = Rest(self._places, now)
        await rest.open()
        return rest

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Quotes, trades, books and bars; of perpetuals marks and funding too."""
        if self._listing.find(instrument) is None:
            return ()
        more = () if self._product == SPOT else ("mark", "funding")
        return ("quote", "trade", "book", *more, *_BARS)

    # --- the connection -----------------------------------------------------------------------------------------

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Open the feed. Raises as `instruments` does."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._rest = rest = await self._open_rest(clock.now)
        try:
            await rest.measure()
            await self.instruments()
            socket = self._socket = Socket(self._heard, self._lost)
            await socket.open(self._places.ws, clock)
        except BaseException:  # nothing half open is left, whatever stopped it
            await self.close()
            raise

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; returns those that were confirmed. Raises ConnectivityError or VenueError."""
        socket = self._socket
        done: dict[Subscription, tuple[Instrument, Subscribed]] = {}
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if socket is not None and found is not None and subscription.kind in self.offers(found.id):
                done[subscription] = found, _wanted(found, subscription.kind)
                self._feed(found, subscription.kind)
        if socket is not None:
            asked = {_key(words): words for _, words in done.values()}
            await socket.subscribe(list(asked.values()))
        waiting = [self._feeds[_key(words)] for _, words in done.values()]
        await asyncio.gather(*(self._join(feed) for feed in waiting if isinstance(feed, Bars)))
        return frozenset(done)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them. Raises ConnectivityError or VenueError."""
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if found is None:
                continue
            words = _wanted(found, subscription.kind)
            feed = self._feeds.get(_key(words))
            if isinstance(feed, Marks):
                feed.wanted.discard(subscription.kind)
                if feed.wanted:
                    continue
            if feed is not None:
                del self._feeds[_key(words)]
                feed.close()
                if self._socket is not None:
                    await self._socket.unsubscribe([words])

    async def close(self) -> None:
        """Leave; harmless to repeat."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.leave()
        for feed in self._feeds.values():
            feed.close()
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest.close()

    def _lost(self, reason: str) -> None:
        self._socket = None
        self.on_down(reason)

    # --- feeds --------------------------------------------------------------------------------------------------

    def _feed(self, found: Instrument, kind: str) -> None:
        """Have a feed. Trades and bars remember through reconnects what was told, one of marks serves two kinds."""
        key = _key(_wanted(found, kind))
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = self._make(found, kind)
        if isinstance(feed, Marks):
            feed.wanted.add(kind)
        elif isinstance(feed, Bars):
            feed.hold()
        elif isinstance(feed, Trades):
            assert self._rest is not None
            feed.begin(self._rest.clock.now())

    def _make(self, found: Instrument, kind: str) -> Feed:
        match kind:
            case "quote":
                return Quotes(found, self._tell, self._clock)
            case "trade":
                return Trades(found, self._tell, self._clock)
            case "book":
                return Books(found, self._tell, self._clock, self._levels)
            case "mark" | "funding":
                return Marks(found, self._tell, self._clock)
        return Bars(found, self._tell, self._clock, kind.removeprefix("bar:"))

    def _tell(self, event: MarketEvent) -> None:
        """To whoever listens now."""
        self._emit(event)

    def _heard(self, channel: str, data: msgspec.Raw) -> None:
        channel = "activeAssetCtx" if channel == "activeSpotAssetCtx" else channel
        if channel == "trades":
            rows = _of_list.decode(data)
            name = f"trades:{rows[0].coin}" if rows else ""
        else:
            row = _of.decode(data)
            name = f"{channel}:{row.coin or row.s}{row.i}"
        feed = self._feeds.get(name)
        if feed is not None:
            feed.take(data)

    # --- bars ---------------------------------------------------------------------------------------------------

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Bars that closed in [start_ns, end_ns), oldest first: the last 5,000; of anything else it has none.

        Raises ConnectivityError or VenueError.
        """
        found = self._listing.find(subscription.instrument)
        if found is None or subscription.kind not in _BARS or self._rest is None:
            return ()
        self._feed_of_bars(found, subscription.kind)
        feed = self._feeds[_key(_wanted(found, subscription.kind))]
        assert isinstance(feed, Bars)
        past = await self._closed(feed, start_ns, end_ns)
        feed.seen(past)
        if not past:  # nothing closed: what closes from now on is the first
            feed.last_ns = max(feed.last_ns, min(end_ns, self._rest.clock.now()))
        return past

    def _feed_of_bars(self, found: Instrument, kind: str) -> None:
        self._feeds.setdefault(_key(_wanted(found, kind)), self._make(found, kind))

    async def _join(self, feed: Bars) -> None:
        """Fetch what closed between the last bar that was told and now, while the stream is already heard."""
        assert self._rest is not None
        past: list[Bar] = []
        try:
            if feed.last_ns:
                past = await self._closed(feed, feed.last_ns + 1, self._rest.clock.now())
        finally:
            feed.join(past)

    async def _closed(self, feed: Bars, start_ns: int, end_ns: int) -> list[Bar]:
        assert self._rest is not None
        size = duration(feed.interval)
        end = min(end_ns, self._rest.clock.now())
        begin = max(start_ns - size, end - _MOST * size, 0)
        request = {
            "coin": feed.instrument.native, "interval": feed.interval, "startTime": begin // MS, "endTime": end // MS,
        }  # fmt: skip
        answer = await self._rest.ask("candleSnapshot", req=request)
        try:
            candles = msgspec.convert(answer, list[Candle], strict=False)
        except msgspec.ValidationError as error:
            raise VenueError(f"Hyperliquid's candles cannot be read: {error}") from None
        bars = [feed.bar(candle) for candle in sorted(candles, key=lambda candle: candle.t)]
        return [bar for bar in bars if start_ns <= bar.event_ns < end_ns and bar.event_ns <= end]


def _wanted(instrument: Instrument, kind: str) -> Subscribed:
    if kind.startswith("bar:"):
        return {"type": "candle", "coin": instrument.native, "interval": kind.removeprefix("bar:")}
    return {"type": _TYPES[kind], "coin": instrument.native}


def _key(words: Subscribed) -> str:
    return f"{words['type']}:{words['coin']}{words.get('interval', '')}"


def _elapsed() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


def _nowhere(event: MarketEvent) -> None:
    """Where events go before anybody listens."""


def _nobody(reason: str) -> None:
    """Nobody is told that the connection broke."""
