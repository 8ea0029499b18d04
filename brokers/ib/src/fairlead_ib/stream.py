"""`IbStream`: quotes, trades, depth and bars of Interactive Brokers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs

from fairlead import (
    Book,
    ConfigurationError,
    ConnectivityError,
    Instrument,
    Quote,
    Trade,
    VenueError,
    duration,
)
from fairlead.ports import Clock, MarketEvent, Subscription
from fairlead_ib import bars, codes
from fairlead_ib.bars import SIZES, Growing
from fairlead_ib.broker import check_client, where
from fairlead_ib.contracts import find
from fairlead_ib.gateway import Gateway, address_of
from fairlead_ib.instruments import Known, Listing
from fairlead_ib.sdk import load

log = logging.getLogger("fairlead.ib")

_PER_SECOND = 40
_BID, _ASK = 1, 2
_DELAYED_BID, _DELAYED_ASK = 66, 67
_SIDES = {_BID: 0, _DELAYED_BID: 0, _ASK: 1, _DELAYED_ASK: 1}
_SIZES = {0: 0, 69: 0, 3: 1, 70: 1}
_DEPTH = 10
_CONFIRM = 5.0


@attrs.define(eq=False)
class Feed:
    """A subscription under a request's id, and what has been told on it."""

    subscription: Subscription
    known: Known
    number: int
    quote: list[list[float]] = attrs.Factory(lambda: [[0.0, 0.0], [0.0, 0.0]])
    rows: tuple[list[tuple[float, float]], list[tuple[float, float]]] = attrs.Factory(lambda: ([], []))
    growing: Growing | None = None


class IbStream:
    """The markets of `symbols`, from a TWS or IB Gateway that runs and is logged in.

    `url` is where it listens, `client_id` another one than the broker's: each is a connection of its own, so that
    orders never wait behind data. Without a subscription to a market's data `delayed=True` takes what is free and
    late. Bars of stocks are made of trades, those of currencies of mid prices, regular hours or not by
    `regular_hours`. Quotes are IB's, a few a second; trades are told one by one. Raises ConfigurationError.
    """

    settle = "2s"
    silence = "120s"

    def __init__(
        self,
        *symbols: str,
        environment: str = "paper",
        url: str = "",
        client_id: int = 2,
        name: str = "ib",
        delayed: bool = False,
        regular_hours: bool = False,
    ) -> None:
        if not symbols:
            raise ConfigurationError(
                "IbStream serves nothing: name its symbols, IbStream('AAPL.NASDAQ', ...)"
            )
        check_client(client_id)
        self.name = name
        self.on_down: Callable[[str], None] | None = None
        self._symbols = symbols
        self._url = url or where(environment)
        self._address = address_of(self._url)
        self._client_id = client_id
        self._delayed = delayed
        self._regular = regular_hours
        self._listing = Listing()
        self._gateway: Gateway | None = None
        self._connected = False
        self._emit: Callable[[MarketEvent], None] = _nowhere
        self._clock: Clock | None = None
        self._feeds: dict[int, Feed] = {}
        self._refused: dict[int, str] = {}

    def endpoints(self) -> tuple[str, ...]:
        """The address that it connects to."""
        return (self._url,)

    # --- the connection -----------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """The symbols, with IB's rules. Raises ConfigurationError, ConnectivityError or VenueError."""
        if not len(self._listing):
            gateway = await self._open()
            for symbol in self._symbols:
                self._listing.learn(await find(gateway, symbol))
        return [known.instrument for known in self._listing.all()]

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Quotes, trades where there are any, depth, and bars of some intervals."""
        for known in self._listing.all():
            if instrument in (known.instrument.id, known.instrument.symbol):
                kinds = ("quote", "book") if known.shows == "MIDPOINT" else ("quote", "trade", "book")
                return (*kinds, *(f"bar:{interval}" for interval in SIZES))
        return ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Log on. Raises ConfigurationError, ConnectivityError or VenueError."""
        self._emit, self._clock = emit, clock
        gateway = self._gateway
        if gateway is not None and gateway.connected and not gateway.online:
            await gateway.restored()
        elif self._connected:
            self._leave()
        gateway = await self._open()
        await self.instruments()
        await gateway.turn()
        gateway.client.reqMarketDataType(3 if self._delayed else 1)
        self._connected = True

    async def _open(self) -> Gateway:
        if self._gateway is not None and self._gateway.connected:
            return self._gateway
        handlers: dict[str, Callable[..., None]] = {
            "priceSizeTick": self._on_price, "tickSize": self._on_size, "tickByTickAllLast": self._on_last,
            "updateMktDepth": self._on_depth, "updateMktDepthL2": self._on_depth_l2,
            "historicalData": self._on_bars, "historicalDataEnd": _ended, "historicalDataUpdate": self._on_bar,
            "error": self._on_error, "restored": self._on_restored,
        }  # fmt: skip
        self._gateway = gateway = Gateway(
            load(), self._address, self._client_id, handlers=handlers, lost=self._lost, now=self._now,
            per_second=_PER_SECOND,
        )  # fmt: skip
        await gateway.open()
        return gateway

    def _now(self) -> int:
        return self._clock.now() if self._clock else 0

    def _lost(self, reason: str) -> None:
        self._forget()
        if self.on_down is not None and self._connected:
            self.on_down(reason)

    def _on_restored(self, data_lost: bool) -> None:
        """Told after 1101 and 1102; the engine was told that the stream is down, and subscribes anew after both."""
        log.info(
            "TWS is connected again, market data %s", "have to be asked for again" if data_lost else "go on"
        )

    def _forget(self) -> None:
        for feed in self._feeds.values():
            if feed.growing is not None:
                feed.growing.stop()
        self._feeds.clear()
        self._refused.clear()

    def _leave(self) -> None:
        self._connected = False
        self._forget()
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.close()

    async def close(self) -> None:
        """Leave; harmless to repeat."""
        self._leave()

    # --- feeds --------------------------------------------------------------------------------------------------

    def _asked(self) -> Gateway:
        if self._gateway is None or not self._gateway.connected:
            raise ConnectivityError("there is no connection to Interactive Brokers")
        return self._gateway

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; those are confirmed that TWS has not refused once it answered what was asked after them."""
        gateway, asked = self._asked(), {}
        live = {feed.subscription: number for number, feed in self._feeds.items()}
        for subscription in subscriptions:
            if subscription in live:
                asked[live[subscription]] = subscription
                continue
            feed = Feed(subscription, self._listing.of(subscription.instrument), gateway.number())
            await gateway.turn()
            self._feeds[feed.number] = feed
            asked[feed.number] = subscription
            self._begin(gateway, feed)
        # What is refused is refused in order: an answer to a later question comes after that.
        await gateway.alive(_CONFIRM)
        for number, subscription in asked.items():
            if number in self._refused:
                why, kind = self._refused.pop(number), subscription.kind
                log.warning("IB refused %s of %s: %s", kind, subscription.instrument, why)
        return frozenset(name for number, name in asked.items() if number in self._feeds)

    def _begin(self, gateway: Gateway, feed: Feed) -> None:
        client, kind, contract = gateway.client, feed.subscription.kind, feed.known.contract
        if kind == "quote":
            client.reqMktData(feed.number, contract, "", False, False, [])
        elif kind == "trade":
            client.reqTickByTickData(feed.number, contract, "AllLast", 0, False)
        elif kind == "book":
            client.reqMktDepth(feed.number, contract, _DEPTH, False, [])
        else:
            assert self._clock is not None
            interval = kind.removeprefix("bar:")
            feed.growing = Growing(feed.known.instrument.id, interval, self._emit, self._clock)
            length = bars.span(2 * duration(interval) // 10**9)
            self._ask_bars(gateway, feed.number, feed.known, "", length, interval, keep=True)

    def _ask_bars(
        self, gateway: Gateway, number: int, known: Known, end: str, length: str, interval: str, *, keep: bool
    ) -> None:
        gateway.client.reqHistoricalData(
            number, known.contract, end, length, SIZES[interval], known.shows, self._regular, 2, keep, []
        )

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them."""
        gateway = self._asked()
        for feed in [feed for feed in self._feeds.values() if feed.subscription in subscriptions]:
            del self._feeds[feed.number]
            if feed.growing is not None:
                feed.growing.stop()
            await gateway.turn()
            client, kind = gateway.client, feed.subscription.kind
            ends: dict[str, Callable[[], Any]] = {
                "quote": partial(client.cancelMktData, feed.number),
                "trade": partial(client.cancelTickByTickData, feed.number),
                "book": partial(client.cancelMktDepth, feed.number, False),
            }
            ends.get(kind, partial(client.cancelHistoricalData, feed.number))()

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Bars that were whole by then; other feeds keep no past. Raises ConnectivityError or VenueError."""
        interval = subscription.kind.removeprefix("bar:")
        if interval not in SIZES:
            return ()
        gateway, known = self._asked(), self._listing.of(subscription.instrument)
        end = datetime.fromtimestamp(-(-end_ns // 10**9), UTC).strftime("%Y%m%d-%H:%M:%S")
        length = bars.span(-(-(end_ns - start_ns) // 10**9))
        try:
            rows = await gateway.ask(
                lambda number: self._ask_bars(gateway, number, known, end, length, interval, keep=False),
                patience=60.0,
            )
        except VenueError as error:
            if (
                error.code.isdigit()
                and int(error.code) in codes.NO_DATA
                and "pacing" not in str(error).lower()
            ):
                return ()
            raise
        found = [bars.bar_of(known.instrument.id, interval, row, 0) for row in rows]
        return [bar for bar in found if start_ns <= bar.open_ns and bar.event_ns <= end_ns]

    # --- messages -----------------------------------------------------------------------------------------------

    def _on_error(self, number: int, code: int, text: str) -> None:
        feed = self._feeds.get(number)
        if feed is None or 2100 <= code < 2200 or code in (10167, 10090):
            return
        del self._feeds[number]
        if feed.growing is not None:
            feed.growing.stop()
        self._refused[number] = f"{code} {text}"

    def _on_price(self, number: int, kind: int, price: float, size: float) -> None:
        feed, side = self._feeds.get(number), _SIDES.get(kind)
        if feed is not None and side is not None:
            feed.quote[side][:] = price, size or feed.quote[side][1]
            self._tell_quote(feed)

    def _on_size(self, number: int, kind: int, size: float) -> None:
        feed, side = self._feeds.get(number), _SIZES.get(kind)
        if feed is not None and side is not None and feed.quote[side][1] != size:
            feed.quote[side][1] = size
            self._tell_quote(feed)

    def _tell_quote(self, feed: Feed) -> None:
        (bid, bid_size), (ask, ask_size) = feed.quote
        # -1 stands for no price; a side that was not told yet has none either.
        if 0 < bid <= ask:
            now = self._now()
            self._emit(Quote(feed.known.instrument.id, bid, ask, bid_size, ask_size, now, now))

    def _on_last(self, number: int, _kind: int, time: int, price: float, size: float, *_more: Any) -> None:
        feed = self._feeds.get(number)
        if feed is not None and price > 0:
            now = self._now()
            # Times are whole seconds: one that is over tells more than its begin.
            at = min(max(time * 10**9, now // 10**9 * 10**9), now)
            self._emit(Trade(feed.known.instrument.id, price, size, at, now, ""))

    def _on_depth(self, number: int, row: int, operation: int, side: int, price: float, size: float) -> None:
        feed = self._feeds.get(number)
        if feed is None:
            return
        levels = feed.rows[0 if side == 1 else 1]
        if operation == 2:
            del levels[row : row + 1]
        elif operation == 0 or row >= len(levels):
            levels.insert(row, (price, size))
        else:
            levels[row] = (price, size)
        bids, asks = tuple(feed.rows[0][:_DEPTH]), tuple(feed.rows[1][:_DEPTH])
        if bids and asks and bids[0][0] < asks[0][0]:
            now = self._now()
            self._emit(Book(feed.known.instrument.id, bids, asks, now, now))

    def _on_depth_l2(
        self,
        number: int,
        row: int,
        _maker: str,
        operation: int,
        side: int,
        price: float,
        size: float,
        *_: Any,
    ) -> None:
        self._on_depth(number, row, operation, side, price, size)

    def _on_bars(self, number: int, bar: Any) -> None:
        feed = self._feeds.get(number)
        if feed is not None and feed.growing is not None:
            feed.growing.begin([bar])

    def _on_bar(self, number: int, bar: Any) -> None:
        feed = self._feeds.get(number)
        if feed is not None and feed.growing is not None:
            feed.growing.take(bar)


def _ended(_number: int) -> None:
    """All bars of the past were told; those of the present follow."""


def _nowhere(event: MarketEvent) -> None:
    """Where events go before anybody listens."""
