"""`BinanceStream`: quotes, trades, bars, books, marks and funding of spot or USD-M futures, without a key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import msgspec

from fairlead import ConfigurationError, ConnectivityError, Instrument, VenueError
from fairlead.net import WebSocket, connect_websocket
from fairlead.ports import Bar, Clock, MarketEvent, Subscription
from fairlead_binance import frames
from fairlead_binance.feeds import Bars, Books, Feed, Marks, Quotes, Trades
from fairlead_binance.instruments import Listing, natives, spot_instruments, usdm_instruments
from fairlead_binance.klines import INTERVALS, Klines
from fairlead_binance.places import SPOT, places
from fairlead_binance.rest import Rest
from fairlead_binance.spot_account import spot_info

log = logging.getLogger("fairlead.binance")

_SECONDS = 10.0
_NAMES_AT_ONCE = 100
_HEAD = b'{"stream":"'
_DATA = b'","data":'
_BARS = tuple(f"bar:{interval}" for interval in INTERVALS)
_TICKS = ("quote", "trade", "book")


class BinanceStream:
    """The markets of `symbols`, or of all there are, at Binance.

        BinanceStream("BTC/USDT")
        BinanceStream("BTC/USDT:USDT", product="usdm", environment="live")

    `product` is spot or usdm, `environment` testnet, demo or live: the prices of a testnet are its own. `levels` is
    how many of each side a book has. `silence` is how long it may be silent. `url` puts all addresses somewhere else.
    Raises ConfigurationError.
    """

    def __init__(
        self,
        *symbols: str,
        product: str = SPOT,
        environment: str = "testnet",
        name: str = "binance-stream",
        levels: int = 10,
        silence: str | int = "60s",
        url: str = "",
    ) -> None:
        self._places = places(product, environment, url)
        if not 1 <= levels <= 1000:
            raise ConfigurationError(f"levels={levels} of a book cannot be had: write 1 to 1000")
        self.name = name
        self.silence = silence
        self.on_down: Callable[[str], None] = _nobody
        self.label = f"Binance {'spot' if product == SPOT else 'USD-M futures'}, {environment}"
        self._symbols = symbols
        self._product = product
        self._environment = environment
        self._spot = product == SPOT
        self._levels = levels
        self._listing = Listing()
        self._rest: Rest | None = None
        self._clock: Clock | None = None
        self._emit: Callable[[MarketEvent], None] = _nowhere
        self._lines: dict[str, _Line] = {}
        self._feeds: dict[str, Feed] = {}
        self._bars: dict[Subscription, Bars] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def endpoints(self) -> tuple[str, ...]:
        """The addresses that it connects to."""
        return tuple(dict.fromkeys((self._places.rest, self._places.public, self._places.market)))

    # --- what there is ------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """What it serves. Raises ConfigurationError, ConnectivityError or VenueError."""
        if not len(self._listing):
            rest = self._rest or await self._public(_elapsed)
            try:
                self._listing.learn(await self._read(rest))
            except VenueError as error:
                if error.code != "-1121":
                    raise
                raise ConfigurationError(
                    f"Binance's {self._environment} does not list all of {', '.join(self._symbols)}: check the symbols"
                ) from None
            finally:
                if rest is not self._rest:
                    await rest.close()
        if self._symbols:
            return self._listing.chosen(self._symbols, self._environment)
        return list(self._listing)

    async def _read(self, rest: Rest) -> list[Instrument]:
        if self._spot:
            return spot_instruments(await spot_info(rest, natives(self._symbols)))
        return usdm_instruments(await rest.ask("get", "v1/exchangeInfo", signed=False), {}, {})

    async def _public(self, now: Callable[[], int]) -> Rest:
        rest = Rest(self._places, self._product, now)
        await rest.open()
        return rest

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Quotes, trades, books and bars; of futures marks and funding too."""
        if self._listing.find(instrument) is None:
            return ()
        return (*_TICKS, *_BARS) if self._spot else (*_TICKS, "mark", "funding", *_BARS)

    # --- the connection -----------------------------------------------------------------------------------------

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Open what there is to open: sockets are when something is subscribed. Raises as `instruments` does."""
        await self.close()
        self._emit, self._clock = emit, clock
        self._rest = await self._public(clock.now)
        self._feeds.clear()
        await self._rest.measure()
        await self.instruments()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; returns those that Binance confirmed. Raises ConnectivityError or VenueError."""
        wanted: dict[str, list[tuple[Subscription, str]]] = {}
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if found is None or subscription.kind not in self.offers(found.id):
                continue
            stream = self._stream_name(found, subscription.kind)
            self._feed(stream, found, subscription)
            wanted.setdefault(self._address(subscription.kind), []).append((subscription, stream))
        done: set[Subscription] = set()
        for address, pairs in wanted.items():
            line = await self._line(address)
            await line.subscribe(dict.fromkeys(stream for _, stream in pairs))
            done |= {subscription for subscription, _ in pairs}
        await asyncio.gather(*(self._join(bars) for name, bars in self._bars.items() if name in done))
        for _, stream in (pair for pairs in wanted.values() for pair in pairs):
            feed = self._feeds.get(stream)
            if isinstance(feed, Books):
                feed.begin()
                await self._fetch_book(feed)
        return frozenset(done)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them. Raises ConnectivityError."""
        for subscription in subscriptions:
            found = self._listing.find(subscription.instrument)
            if found is None:
                continue
            stream, kind = self._stream_name(found, subscription.kind), subscription.kind
            feed = self._feeds.get(stream)
            self._bars.pop(subscription, None)
            if isinstance(feed, Marks):
                feed.wanted.discard(kind)
                if feed.wanted:
                    continue
            if self._feeds.pop(stream, None) is not None and (line := self._lines.get(self._address(kind))):
                await line.unsubscribe([stream])

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Bars that closed in [start_ns, end_ns), oldest first; of anything else it has none.

        Raises ConnectivityError or VenueError.
        """
        found = self._listing.find(subscription.instrument)
        if found is None or subscription.kind not in _BARS or self._rest is None:
            return ()
        interval = subscription.kind.removeprefix("bar:")
        past = await Klines(self._rest, spot=self._spot).closed(found, interval, start_ns, end_ns)
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

    # --- feeds --------------------------------------------------------------------------------------------------

    def _stream_name(self, instrument: Instrument, kind: str) -> str:
        symbol = instrument.native.lower()
        if kind.startswith("bar:"):
            return f"{symbol}@kline_{kind.removeprefix('bar:')}"
        names = {
            "quote": "bookTicker",
            "trade": "trade" if self._spot else "aggTrade",
            "book": "depth@100ms",
            "mark": "markPrice@1s",
            "funding": "markPrice@1s",
        }
        return f"{symbol}@{names[kind]}"

    def _address(self, kind: str) -> str:
        return self._places.public if kind in ("quote", "book") else self._places.market

    def _feed(self, stream: str, found: Instrument, subscription: Subscription) -> None:
        """Have a feed for a stream; one of marks serves two kinds."""
        assert self._clock is not None
        kind, emit, now = subscription.kind, self._emit, self._clock.now
        if kind in ("mark", "funding"):
            marks = self._feeds.get(stream)
            if not isinstance(marks, Marks):
                marks = self._feeds[stream] = Marks(found, emit, now)
            marks.wanted.add(kind)
        elif kind == "quote":
            self._feeds[stream] = Quotes(found, emit, now)
        elif kind == "trade":
            self._feeds[stream] = Trades(found, emit, now)
        elif kind == "book":
            self._feeds[stream] = Books(found, self._levels, emit, now, self._resync)
        else:
            bars = self._feeds[stream] = self._bars_of(subscription, found)
            bars.hold()

    def _bars_of(self, subscription: Subscription, found: Instrument) -> Bars:
        """The bars of a subscription, which remember through reconnects what has been told."""
        bars = self._bars.get(subscription)
        if bars is None:
            assert self._clock is not None
            interval = subscription.kind.removeprefix("bar:")
            bars = Bars(found, interval, self._tell, self._clock.now)
            self._bars[subscription] = bars
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
                klines, until = Klines(self._rest, spot=self._spot), self._rest.clock.now()
                past = await klines.closed(bars.instrument, bars.interval, bars.last_ns + 1, until)
        finally:
            bars.join(past)

    def _resync(self, books: Books) -> None:
        log.warning("changes of the book of %s are missing: it is fetched anew", books.instrument.id)
        self._spawn(self._fetch_book(books))

    async def _fetch_book(self, books: Books) -> None:
        assert self._rest is not None
        path, weight = ("v3/depth", 50) if self._spot else ("v1/depth", 20)
        answer = await self._rest.ask(
            "get", path, {"symbol": books.instrument.native, "limit": 1000}, weight=weight, signed=False
        )
        try:
            books.picture(frames.picture_of(answer))
        except msgspec.ValidationError as error:
            raise VenueError(f"Binance's book of {books.instrument.id} cannot be read: {error}") from None

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._down(f"a book could not be fetched: {error}")

    # --- sockets ------------------------------------------------------------------------------------------------

    async def _line(self, address: str) -> _Line:
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = _Line(self._feeds, self._down)
            try:
                await line.open(address)
            except BaseException:  # a line that did not open is none, whatever stopped it
                self._lines.pop(address, None)
                raise
        return line

    def _down(self, reason: str) -> None:
        """Any part of it broke: all of it is connected again."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()
        if lines:
            self.on_down(reason)


class _Line:
    """One socket with any number of streams; frames go to `feeds` by their stream's name."""

    def __init__(self, feeds: dict[str, Feed], down: Callable[[str], None]) -> None:
        self._feeds = feeds
        self._down: Callable[[str], None] | None = down
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._count = 0
        self._socket: WebSocket | None = None

    async def open(self, address: str) -> None:
        """Connect. Raises ConnectivityError."""
        self._socket = await connect_websocket(address, self._heard, self._end)

    async def subscribe(self, streams: Iterable[str]) -> None:
        """Have these, and know that it was confirmed. Raises ConnectivityError or VenueError."""
        names = list(streams)
        for start in range(0, len(names), _NAMES_AT_ONCE):
            await self._ask("SUBSCRIBE", names[start : start + _NAMES_AT_ONCE])

    async def unsubscribe(self, streams: list[str]) -> None:
        """Have these no more. Raises ConnectivityError or VenueError."""
        await self._ask("UNSUBSCRIBE", streams)

    async def _ask(self, method: str, streams: list[str]) -> None:
        if self._socket is None:
            raise ConnectivityError("the connection to Binance's streams has ended")
        self._count += 1
        number = self._count
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._socket.send_text(msgspec.json.encode({"method": method, "params": streams, "id": number}))
            async with asyncio.timeout(_SECONDS):
                await future
        except TimeoutError:
            raise ConnectivityError(f"Binance did not confirm {method} within {_SECONDS:g} s") from None
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Leave; harmless to repeat."""
        self._down = None
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(ConnectivityError("the connection to Binance's streams has ended"))

    def _end(self, reason: str) -> None:
        down = self._down
        self.close()
        if down is not None:
            down(reason)

    def _heard(self, payload: bytes) -> None:
        try:
            # The usual frame begins with its stream's name: then only its data are decoded.
            if payload.startswith(_HEAD):
                ends = payload.find(b'"', len(_HEAD))
                feed = self._feeds.get(payload[len(_HEAD) : ends].decode())
                if payload[ends : ends + len(_DATA)] == _DATA and payload.endswith(b"}"):
                    if feed is not None:
                        feed.take(payload[ends + len(_DATA) : -1])
                    return
            self._other(frames.wrapped.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._end(f"Binance sent what cannot be read ({error})")

    def _other(self, frame: frames.Wrapped) -> None:
        if frame.stream:
            feed = self._feeds.get(frame.stream)
            if feed is not None:
                feed.take(frame.data)
            return
        future = self._asked.get(frame.id) if frame.id is not None else None
        if future is None or future.done():
            if b"serverShutdown" in bytes(frame.data):
                self._end("Binance is about to close the connection")
            return
        if len(frame.error):
            future.set_exception(VenueError(f"Binance refused a subscription: {bytes(frame.error)[:200]!r}"))
        else:
            future.set_result(None)


def _elapsed() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


def _nowhere(event: MarketEvent) -> None:
    """Where events go before anybody listens."""


def _nobody(reason: str) -> None:
    """Nobody asked to hear of it."""
