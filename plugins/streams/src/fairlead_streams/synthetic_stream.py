"""`SyntheticStream`: an invented exchange, the same for the same seed, on any machine and at any time."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from math import floor, log10

import attrs

from fairlead import (
    Bar,
    ConfigurationError,
    Instrument,
    Quote,
    decimal,
    default_instrument,
    duration,
    percent,
)
from fairlead.ports import Clock, MarketEvent, Subscription
from fairlead_streams.playing import Player, ReplayTime, parse_speed
from fairlead_streams.script import check_faults, disturb, received_at
from fairlead_streams.series import Series, bar_interval
from fairlead_streams.synthetic import ANCHOR_NS, BLOCK_NS, Manners, Market
from fairlead_streams.text import interval_text
from fairlead_streams.times import moment

_PRICES = {
    "BTC": 45_000.0,
    "ETH": 2_500.0,
    "SOL": 100.0,
    "BNB": 300.0,
    "XRP": 0.6,
    "DOGE": 0.08,
    "EUR": 1.1,
    "GBP": 1.27,
}
_KINDS = ("trade", "quote")
_FINEST = 1_000_000


class SyntheticStream:
    """A seeded exchange that is not real: quotes and trades every second, in calm, trending and volatile regimes.

        SyntheticStream("BTC/USDT", seed=42)
        SyntheticStream(["BTC/USDT", "ETH/USDT"], seed=7, speed="60x", duration="1d", faults=["gap", "bad_tick"])

    The price at a moment depends on seed, symbol and settings alone, never on when the stream began, so history
    joins what runs live. `every` is the distance between ticks and divides 15 minutes. `volatility` is that of a
    day ("3%"), `spread` that of a calm market ("2bp"), `start_price` one number or one per symbol, which the
    price had at the beginning of 2024 and keeps returning to. `faults` are some of gap, stale, duplicate,
    bad_tick and disconnect; each happens once in every 15 minutes, at a seeded moment, and never in history.

    Live it runs on the clock on the wall. With `speed` ("60x", or "max" for as fast as possible) or `start` it
    brings its own time, which begins at `start`, 2024-01-01 UTC where none is given; so does a replay, which
    needs `duration`. Everything that shows a stream's `label` shows SYNTHETIC and the seed.

    Raises ConfigurationError where a setting cannot be used.
    """

    def __init__(
        self,
        symbols: str | Sequence[str] = "BTC/USDT",
        *,
        seed: int = 42,
        name: str = "synthetic",
        start_price: float | Mapping[str, float] | None = None,
        every: str | int = "1s",
        volatility: float | str = "3%",
        regimes: bool = True,
        jumps: bool = True,
        spread: float | str = "2bp",
        faults: Sequence[str] | str = (),
        speed: float | str | None = None,
        start: datetime | str | int | None = None,
        duration: str | int | None = None,
    ) -> None:
        self.name = name
        self.seed = seed
        self.label = f"SYNTHETIC seed={seed}"
        self.on_end: Callable[[], None] | None = None
        self.exhausted = False
        self._every = _grid(every)
        self._speed = parse_speed(speed)
        self._own_time = speed is not None or start is not None
        self._start_ns = _next(ANCHOR_NS if start is None else moment(start, "start"), self._every)
        self._duration_ns = None if duration is None else _length(duration)
        self._faults = check_faults(faults)
        self._markets: dict[str, Market] = {}
        for symbol in [symbols] if isinstance(symbols, str) else symbols:
            price = start_price.get(symbol) if isinstance(start_price, Mapping) else start_price
            manners = Manners(
                price=_price(symbol) if price is None else _above_zero("start_price", price),
                volatility=_above_zero("volatility", percent(volatility)),
                spread=_above_zero("spread", _ratio(spread)),
                regimes=regimes,
                jumps=jumps,
            )
            instrument = _instrument(symbol, manners.price)
            if instrument.id in self._markets:
                raise ConfigurationError(
                    f"symbol {symbol!r} is listed twice, and each is one market: list it once"
                )
            self._markets[instrument.id] = Market(instrument, manners, seed=seed, every_ns=self._every)
        if not self._markets:
            raise ConfigurationError(
                "a SyntheticStream of no symbols has nothing to invent: name one at least"
            )
        self._wanted: dict[Subscription, None] = {}
        self._emit: Callable[[MarketEvent], None] | None = None
        self._clock: Clock | None = None
        self._player: Player | None = None
        self._played_ns: int | None = None
        self._begun_ns: int | None = None

    @property
    def instrument(self) -> Instrument:
        """Its one instrument. Raises ConfigurationError where there are several."""
        if len(self._markets) != 1:
            raise ConfigurationError(
                f"{self.label}: it has {len(self._markets)} instruments ({', '.join(self._markets)}), and "
                f"`instrument` is the only one of a stream: await instruments() for all"
            )
        return next(iter(self._markets.values())).instrument

    def time(self) -> ReplayTime | None:
        """The time that it brings; None where it runs on the clock on the wall."""
        return ReplayTime(self._start_ns, self._speed) if self._own_time else None

    # DataStream

    async def instruments(self) -> Sequence[Instrument]:
        """The invented instruments."""
        return tuple(market.instrument for market in self._markets.values())

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Trades and quotes; of bars it has history only."""
        return _KINDS if self._market(instrument) is not None else ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Take the clock that ticks are scheduled on; they begin with the first subscription."""
        self._emit, self._clock = emit, clock
        self._begun_ns = self._start_ns if self._own_time else clock.now()
        for market in self._markets.values():
            for _ in market.approach(self._begun_ns // BLOCK_NS):
                await asyncio.sleep(0)
        self._play()

    def resume(self, after_ns: int) -> None:
        """Go on after a moment instead of at the beginning: a run that was here before is started again."""
        self._played_ns = after_ns

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Begin to emit feeds; returns those it has."""
        confirmed = [sub for sub in subscriptions if sub.kind in self.offers(sub.instrument)]
        self._wanted.update(dict.fromkeys(confirmed))
        if confirmed:
            self._play()
        return frozenset(confirmed)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Emit these feeds no more."""
        for sub in subscriptions:
            self._wanted.pop(sub, None)
        self._play()

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """Quotes and trades of [start_ns, end_ns), or the bars that lie wholly within it, made of those trades.

        Never from the future: it ends at the clock's now, or where the stream begins before it is connected.
        """
        market = self._market(subscription.instrument)
        bars = subscription.kind.startswith("bar:") and bar_interval(subscription.kind)
        if market is None or not (bars or subscription.kind in _KINDS):
            return ()
        if self._clock is not None:
            end_ns = min(end_ns, self._clock.now())
        elif self._own_time:
            end_ns = min(end_ns, self._start_ns)
        found: list[MarketEvent] = []
        maker = _BarMaker(market.instrument.id, bars) if bars else None
        if bars:
            start_ns, end_ns = _next(start_ns, bars), end_ns // bars * bars
        piece_ns = market.piece_ns
        for index, number in _pieces(start_ns, piece_ns):
            if index * BLOCK_NS + number * piece_ns >= end_ns:
                break
            quotes, trades = market.piece(index, number, quotes=subscription.kind == "quote")
            feed = quotes if quotes is not None else trades
            events = _between(feed, start_ns, end_ns)
            if maker is None:
                found.extend(events)
            else:
                found.extend(maker.add(events))
            await asyncio.sleep(0)
        return found if maker is None else [*found, *maker.finish()]

    async def close(self) -> None:
        """Emit no more; a stream that is used again begins anew."""
        if self._player is not None:
            self._player.stop()
        self._player = self._emit = self._clock = self._played_ns = None
        self._wanted.clear()
        self.exhausted = False

    # Replayable

    def replay(self, subscriptions: Sequence[Subscription] | None = None) -> Iterator[MarketEvent]:
        """The events of these feeds (None: of all) from the start on, for `duration`.

        Raises ConfigurationError where there is no duration, since such a replay would never end.
        """
        if self._duration_ns is None:
            raise ConfigurationError(
                f"stream {self.name!r} has no end, and a replay must have one: pass duration= to SyntheticStream, "
                f"such as duration='1d'"
            )
        if subscriptions is None:
            subscriptions = [Subscription(owner, kind) for owner in self._markets for kind in _KINDS]
        return self._events(subscriptions, self._start_ns, self._start_ns + self._duration_ns)

    def _market(self, instrument: str) -> Market | None:
        for owner, market in self._markets.items():
            if instrument in {owner, market.instrument.symbol}:
                return market
        return None

    def _events(
        self, subscriptions: Iterable[Subscription], start_ns: int, end_ns: int | None
    ) -> Iterator[MarketEvent]:
        wanted: dict[str, set[str]] = {}
        for sub in subscriptions:
            market = self._market(sub.instrument)
            if market is not None and sub.kind in _KINDS:
                wanted.setdefault(market.instrument.id, set()).add(sub.kind)
        return chain.from_iterable(self._windows(wanted, start_ns, end_ns))

    def _windows(
        self, wanted: Mapping[str, set[str]], start_ns: int, end_ns: int | None
    ) -> Iterator[list[MarketEvent]]:
        stuck: dict[tuple[str, int], Quote] = {}
        piece_ns = next(iter(self._markets.values())).piece_ns
        for index, number in _pieces(start_ns, piece_ns) if wanted else ():
            if end_ns is not None and index * BLOCK_NS + number * piece_ns >= end_ns:
                return
            if number == 0:
                stuck.clear()
            window: list[MarketEvent] = []
            for owner, kinds in wanted.items():
                market = self._markets[owner]
                quotes, trades = market.piece(index, number, quotes="quote" in kinds)
                for feed in (quotes, trades if "trade" in kinds else None):
                    if feed is not None:
                        events = _between(feed, start_ns, end_ns)
                        window.extend(self._disturbed(events, market.instrument.symbol, index, stuck))
            window.sort(key=_received)
            yield window

    def _disturbed(
        self, events: list[MarketEvent], symbol: str, block: int, stuck: dict[tuple[str, int], Quote]
    ) -> list[MarketEvent]:
        if not self._faults:
            return events
        return disturb(events, self._faults, self.seed, symbol, block, self._every, stuck)

    def _play(self) -> None:
        """Go on with what is subscribed now, after the last instant that was emitted."""
        if self._player is not None:
            self._played_ns = self._player.last_ns if self._player.last_ns is not None else self._played_ns
            self._player.stop()
            self._player = None
        if (
            self._emit is None
            or self._clock is None
            or self._begun_ns is None
            or self.exhausted
            or not self._wanted
        ):
            return
        start = self._begun_ns if self._played_ns is None else self._played_ns + 1
        end = None if self._duration_ns is None else self._begun_ns + self._duration_ns
        stamp = None
        if not self._own_time:
            start, stamp = max(start, self._clock.now()), received_at
        events = self._events(self._wanted, _next(start, self._every), end)
        self._player = Player(events, self._clock, self._emit, self._end, start_ns=start, stamp=stamp)

    def _end(self) -> None:
        self.exhausted = True
        if self.on_end is not None:
            self.on_end()


class _BarMaker:
    """Bars out of trades that come in order."""

    def __init__(self, instrument: str, interval_ns: int) -> None:
        self._instrument = instrument
        self._interval = interval_ns
        self._text = interval_text(interval_ns)
        self._open_ns = -1
        self._prices: list[float] = []
        self._volume = 0.0

    def add(self, trades: Iterable[MarketEvent]) -> Iterator[Bar]:
        """The bars that these trades complete."""
        for trade in trades:
            bucket = trade.event_ns // self._interval * self._interval
            if bucket != self._open_ns:
                yield from self.finish()
                self._open_ns = bucket
            self._prices.append(trade.price)  # type: ignore[union-attr]
            self._volume += trade.size  # type: ignore[union-attr]

    def finish(self) -> Iterator[Bar]:
        """The bar in hand."""
        if self._prices:
            prices, close_ns = self._prices, self._open_ns + self._interval
            yield Bar(
                self._instrument, self._text, prices[0], max(prices), min(prices), prices[-1], self._volume,
                self._open_ns, close_ns, close_ns,
            )  # fmt: skip
        self._prices, self._volume = [], 0.0


def _received(event: MarketEvent) -> int:
    return event.received_ns


def _between(feed: Series, start_ns: int, end_ns: int | None) -> list[MarketEvent]:
    lo = bisect_left(feed.received, start_ns)
    hi = len(feed) if end_ns is None else bisect_left(feed.received, end_ns)
    return list(feed.block(lo, hi)) if lo < hi else []


def _pieces(start_ns: int, piece_ns: int) -> Iterator[tuple[int, int]]:
    """Blocks and their pieces, from the one that holds a moment on."""
    index, rest = divmod(start_ns, BLOCK_NS)
    number, pieces = rest // piece_ns, -(-BLOCK_NS // piece_ns)
    while True:
        yield index, number
        number += 1
        if number == pieces:
            index, number = index + 1, 0


def _next(time_ns: int, every_ns: int) -> int:
    return -(-time_ns // every_ns) * every_ns


def _grid(every: str | int) -> int:
    length = _length(every)
    if length < _FINEST or BLOCK_NS % length:
        raise ConfigurationError(
            f"every {every!r} is below 1ms or does not divide 15 minutes, as the grid of ticks must: write '1s'"
        )
    return length


def _length(text: str | int) -> int:
    return duration(text)


def _ratio(text: float | str) -> Decimal:
    """A ratio from "2bp", "0.02%" or a bare number."""
    if isinstance(text, str) and text.strip().endswith("bp"):
        return decimal(text.strip()[:-2], "spread") / 10_000
    return percent(text)


def _above_zero(what: str, value: float | Decimal) -> float:
    number = float(decimal(value, what))
    if number <= 0:
        raise ConfigurationError(f"{what} {value} is not above 0, as it must be: pass a larger number")
    return number


def _price(symbol: str) -> float:
    return _PRICES.get(symbol.partition("/")[0], 100.0)


def _instrument(symbol: str, price: float) -> Instrument:
    """Rules as a venue would set them: prices of about six digits, lots worth about one, crypto fees."""
    name, _, venue = symbol.partition("@")
    size = floor(log10(price))
    listed = "/" not in name
    tick = Decimal("0.01") if listed else Decimal(1).scaleb(size - 5)
    plain = default_instrument(name, venue or "sim", tick=tick)
    return attrs.evolve(
        plain,
        lot=Decimal(1) if listed else Decimal(1).scaleb(-size - 1),
        min_notional=Decimal(1) if listed else Decimal(5),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0005"),
    )
