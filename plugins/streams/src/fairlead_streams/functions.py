"""`FunctionStream`: a venue of which there are no more than three functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from fairlead import (
    ConfigurationError,
    ConnectivityError,
    FairleadError,
    Instrument,
    decimal,
    default_instrument,
    duration,
)
from fairlead.ports import Clock, MarketEvent, Subscription
from fairlead_streams.calling import Caller
from fairlead_streams.candles import Candle, read_candles
from fairlead_streams.increments import increment
from fairlead_streams.polling import Poll
from fairlead_streams.series import Series, event_series, merge
from fairlead_streams.text import interval_text, when
from fairlead_streams.times import moment

log = logging.getLogger("fairlead.streams")

Number = int | float | str | Decimal
_MILLISECOND, _SECOND = 1_000_000, 1_000_000_000


class FunctionStream:
    """Bars from a function that returns candles, for a venue of which there is nothing else.

        FunctionStream("BTC/USDT", get_candles, format_price, format_quantity, intervals="1m")

    - `get_candles(symbol, interval, since, limit)` returns up to `limit` candles from `since` (an int, milliseconds
      UTC, the beginning of the first) on, oldest first: time, open, high, low, close, volume in base units, as
      sequences, mappings or objects. A candle's time is its beginning.
    - `format_price(symbol, price)` and `format_quantity(symbol, quantity)` return a number as the venue takes it. The
      tick and the lot are found by them; `tick` and `lot` (one, or one per symbol) say them instead, and
      `instruments` says all rules.

    Each may be plain, and is then called in a thread, or async. One that raises, or gives no answer within `timeout`,
    breaks the connection, and the engine makes it again.

    Live, closed candles are asked for `delay` after each close, and again until they are there. A candle that has not
    closed is left out. For a backtest the range from `start` to `end` is fetched first, at most `limit` candles a
    call; without `end` the newest candle is left out, since nobody says that it has closed.

    Raises ConfigurationError where a setting cannot be used.
    """

    def __init__(
        self,
        symbols: str | Sequence[str],
        get_candles: Callable[..., Any],
        format_price: Callable[..., Any] | None = None,
        format_quantity: Callable[..., Any] | None = None,
        *,
        intervals: str | Sequence[str] = "1m",
        name: str = "functions",
        tick: Number | Mapping[str, Number] | None = None,
        lot: Number | Mapping[str, Number] | None = None,
        fee: Number = "0.0005",
        instruments: Sequence[Instrument] = (),
        delay: str | int = "1s",
        timeout: str | int = "10s",
        limit: int = 500,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
    ) -> None:
        self.name = name
        self.on_down: Callable[[str], None] | None = None
        self.label = f"candles of {getattr(get_candles, '__qualname__', type(get_candles).__name__)}"
        _check_functions(get_candles=get_candles, format_price=format_price, format_quantity=format_quantity)
        self._get_candles = get_candles
        self._formats = {"tick": format_price, "lot": format_quantity}
        self._said = {"tick": tick, "lot": lot}
        self._sizes = _intervals([intervals] if isinstance(intervals, str) else intervals)
        self._delay = _longer_than_nothing("delay", delay)
        timeout_ns = _longer_than_nothing("timeout", timeout)
        self.silence = 2 * max(self._sizes.values()) + self._delay + timeout_ns
        if type(limit) is not int or limit < 1:
            raise ConfigurationError(
                f"limit {limit!r} is no number of candles: pass one above 0, such as 500"
            )
        self._limit = limit
        self._start_ns = None if start is None else moment(start, "start")
        self._end_ns = None if end is None else moment(end, "end")
        self._symbols, self._rules = _known(
            [symbols] if isinstance(symbols, str) else symbols, fee, instruments
        )
        self._exact = {found.id for found in instruments}
        self._caller = Caller(name, timeout_ns)
        self._polls: dict[Subscription, Poll] = {}
        self._failed: Subscription | None = None
        self._told: set[Subscription] = set()
        self._fetched: dict[tuple[str, str], Series] = {}
        self._emit: Callable[[MarketEvent], None] | None = None
        self._clock: Clock | None = None

    # DataStream

    async def instruments(self) -> Sequence[Instrument]:
        """The instruments, ticks and lots found. Raises ConfigurationError where the functions do not say them."""
        for key, rules in self._rules.items():
            if key not in self._exact:
                symbol = self._symbols[key]
                tick, lot = await self._step("tick", symbol), await self._step("lot", symbol)
                self._rules[key] = attrs.evolve(rules, tick=tick, lot=lot)
                self._exact.add(key)
        return tuple(self._rules.values())

    def offers(self, instrument: str) -> tuple[str, ...]:
        """Bars of its intervals, the finest first."""
        return tuple(f"bar:{text}" for text in self._sizes) if self._key(instrument) else ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Take the clock. After a failure the function that failed is tried first. Raises ConnectivityError."""
        self._emit, self._clock = emit, clock
        for poll in self._polls.values():
            poll.stop()
        if self._failed in self._polls:
            await self._polls[self._failed].catch_up(clock)
        self._failed = None

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Begin to poll, where it was before with the candle after the last one; returns those it has."""
        if self._clock is None:
            raise ConnectivityError(
                f"stream {self.name} is not connected: connect it before it is subscribed"
            )
        confirmed = [sub for sub in subscriptions if sub.kind in self.offers(sub.instrument)]
        for sub in confirmed:
            if sub not in self._polls:
                self._polls[sub] = self._poll(sub, self._clock.now())
            self._polls[sub].start(self._clock)
        return frozenset(confirmed)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Poll them no more."""
        for sub in subscriptions:
            poll = self._polls.pop(sub, None)
            if poll is not None:
                poll.stop()

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """The bars that closed in [start_ns, end_ns), never one that has not closed yet. Raises ConnectivityError."""
        key, text = self._key(subscription.instrument), subscription.kind.removeprefix("bar:")
        if key is None or subscription.kind not in self.offers(key):
            return ()
        size = self._sizes[text]
        first, stop = _up(start_ns - size, size), end_ns - size
        if self._clock is not None:
            stop = min(stop, self._clock.now() - size + 1)
        candles = await self._between(self._symbols[key], text, max(first, 0), _up(stop, size))
        return [candle.bar(key, text, size) for candle in candles]

    async def close(self) -> None:
        """Poll nothing more; a stream that is used again begins anew."""
        await self.unsubscribe(list(self._polls))
        self._caller.close()
        self._emit = self._clock = self._failed = None

    # Replayable

    def replay(self, subscriptions: Sequence[Subscription] | None = None) -> Iterator[MarketEvent]:
        """The bars from `start` to `end` in the order of their closes, fetched once and kept.

        Raises ConfigurationError without a `start`, and ConnectivityError where they cannot be had.
        """
        if self._start_ns is None:
            raise ConfigurationError(
                f"stream {self.name!r} does not say from when on it is replayed, and a replay must begin: pass start= "
                f"to FunctionStream, such as start='2024-01-01', and end="
            )
        wanted = {
            (key, sub.kind.removeprefix("bar:")): None
            for sub in subscriptions
            or [Subscription(key, kind) for key in self._rules for kind in self.offers(key)]
            if (key := self._key(sub.instrument)) and sub.kind in self.offers(key)
        }
        if missing := [pair for pair in wanted if pair not in self._fetched]:
            with suppress(RuntimeError):
                asyncio.get_running_loop()
                raise ConfigurationError(
                    f"stream {self.name!r} is asked for a replay within a coroutine, where what it fetches cannot be "
                    f"waited for: await its history(), or replay it in a thread"
                )
            asyncio.run(self._fetch(missing))
        return merge([self._fetched[pair] for pair in wanted])

    async def _fetch(self, wanted: Sequence[tuple[str, str]]) -> None:
        assert self._start_ns is not None
        try:
            for key, text in wanted:
                size, symbol = self._sizes[text], self._symbols[key]
                first = _up(self._start_ns, size)
                stop = None if self._end_ns is None else self._end_ns // size * size
                candles = await self._between(symbol, text, first, stop)
                bars = [candle.bar(key, text, size) for candle in candles]
                self._fetched[key, text] = event_series(key, f"bar:{text}", bars)
        finally:
            self._caller.close()

    # --- asking ---------------------------------------------------------------------------------------------

    async def _between(self, symbol: str, text: str, first: int, stop: int | None) -> list[Candle]:
        """Candles that open in [first, stop), a page after the other; without `stop` all but the newest there is."""
        size, found = self._sizes[text], list[Candle]()
        while stop is None or first < stop:
            count = self._limit if stop is None else min(self._limit, (stop - first) // size)
            page = await self._ask(symbol, text, first, _NEVER if stop is None else stop, count)
            page = page[:count]  # one too many, such as the newest there is, would hide those before it
            found += page
            if stop is None and not page:
                return found[:-1]
            first = page[-1].open_ns + size if page else first + count * size
        return found

    async def _ask(self, symbol: str, text: str, first: int, stop: int, count: int) -> list[Candle]:
        """The candles of one call that open in [first, stop)."""
        size = self._sizes[text]
        what = f"get_candles({symbol!r}, {text!r}, since={when(first)})"
        answer = await self._caller.call(what, self._get_candles, symbol, text, first // _MILLISECOND, count)
        candles = read_candles(answer, size, f"{self.name}: {what}")
        return [candle for candle in candles if first <= candle.open_ns < stop]

    async def _step(self, rule: str, symbol: str) -> Decimal:
        said = self._said[rule]
        number = said.get(symbol) if isinstance(said, Mapping) else said
        function = "format_price" if rule == "tick" else "format_quantity"
        if number is not None:
            step = decimal(number, rule)
            if step <= 0:
                raise ConfigurationError(
                    f"{rule} {number} of {symbol} is no step, and one is above 0: pass another"
                )
            return step
        form = self._formats[rule]
        if form is None:
            raise ConfigurationError(
                f"stream {self.name} is told no {rule} of {symbol}, and orders are rounded to it: pass {function}, or "
                f"{rule}={{{symbol!r}: '0.01'}}"
            )
        what = f"{function}({symbol!r}, …)"
        call = partial(self._caller.call, what, form, symbol)
        try:
            return await increment(call, what, f"pass {rule}={{{symbol!r}: …}} to FunctionStream")
        except ConnectivityError as error:
            raise ConfigurationError(
                f"{error}: repair it, or pass {rule}={{{symbol!r}: …}} to FunctionStream"
            ) from error

    # --- polling --------------------------------------------------------------------------------------------

    def _poll(self, sub: Subscription, now: int) -> Poll:
        key, text = self._key(sub.instrument), sub.kind.removeprefix("bar:")
        assert key is not None
        symbol, size = self._symbols[key], self._sizes[text]

        async def ask(first: int, stop: int) -> Sequence[Candle]:
            count = max(1, min(self._limit, (stop - first) // size))
            found = await self._ask(symbol, text, first, _NEVER, count)
            self._note_open(sub, [candle for candle in found if candle.open_ns + size > stop])
            return [candle for candle in found if candle.open_ns + size <= stop]

        def take(candle: Candle) -> None:
            if self._emit is not None and self._clock is not None:
                self._emit(candle.bar(key, text, size, self._clock.now()))

        name = f"stream {self.name}: {sub.kind} of {sub.instrument}"
        return Poll(name, size, self._delay, now // size * size, ask, take, partial(self._down, sub))

    def _note_open(self, sub: Subscription, candles: Sequence[Candle]) -> None:
        """Say once of a feed that what has not closed is left out."""
        if candles and sub not in self._told:
            self._told.add(sub)
            text = "stream %s: the candle of %s that opens at %s has not closed: such are left out until they have"
            log.warning(text, self.name, sub.instrument, when(candles[0].open_ns))

    def _down(self, sub: Subscription, error: FairleadError) -> bool:
        """A question failed: have whoever looks after the stream connect again. Where nobody does, ask on."""
        if self.on_down is None:
            log.warning("%s: it is asked again", error)
            return True
        self._failed = sub
        for poll in self._polls.values():
            poll.stop()
        self.on_down(str(error))
        return False

    def _key(self, instrument: str) -> str | None:
        return next((key for key, symbol in self._symbols.items() if instrument in (key, symbol)), None)


_NEVER = 1 << 62


def _check_functions(**functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function) and (function is not None or name == "get_candles"):
            raise ConfigurationError(f"{name} is {function!r}, and FunctionStream calls it: pass a function")


def _intervals(texts: Sequence[str]) -> dict[str, int]:
    """Sizes by the text that is shown, the finest first."""
    if not texts:
        raise ConfigurationError(
            "a FunctionStream of no intervals has nothing to ask for: name one, such as '1m'"
        )
    sizes = {duration(text) for text in texts}
    for size in sizes:
        if size < _SECOND or size % _SECOND:
            raise ConfigurationError(
                f"interval {interval_text(size)!r} is not of whole seconds, and candles are: write one such as '1m'"
            )
    return {interval_text(size): size for size in sorted(sizes)}


def _known(
    symbols: Sequence[str], fee: Number, instruments: Sequence[Instrument]
) -> tuple[dict[str, str], dict[str, Instrument]]:
    """The symbol, as the functions get it, and the rules of each long form."""
    said = {found.id: found for found in instruments}
    said |= {found.symbol: found for found in instruments}
    names: dict[str, str] = {}
    rules: dict[str, Instrument] = {}
    for listed in symbols:
        symbol, _, venue = listed.partition("@")
        found = said.get(listed) or default_instrument(symbol, venue or "sim", tick=1, fee=fee)
        if found.id in names:
            raise ConfigurationError(
                f"symbol {listed!r} is listed twice, and each is one market: list it once"
            )
        names[found.id], rules[found.id] = found.symbol, found
    if not names:
        raise ConfigurationError("a FunctionStream of no symbols has nothing to ask for: name one at least")
    return names, rules


def _longer_than_nothing(what: str, text: str | int) -> int:
    length = duration(text)
    if length <= 0:
        raise ConfigurationError(f"{what} {text!r} is no time: pass a duration such as '1s'")
    return length


def _up(time_ns: int, size: int) -> int:
    return -(-time_ns // size) * size
