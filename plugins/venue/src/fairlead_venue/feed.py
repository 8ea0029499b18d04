"""The market feed of a venue: a recording or an invented market, played as if it happened now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from fairlead import Bar, Instrument
from fairlead.ports import MarketEvent, Subscription
from fairlead_streams import ReplayStream, SyntheticStream
from fairlead_venue.clock import VenueClock

_HISTORY_NS = 3 * 3_600 * 1_000_000_000
_AT_ONCE = 1_000


class Feed(Protocol):
    """What moves the markets of a venue."""

    async def pairs(self) -> Mapping[str, Decimal]:
        """The pairs that it has, each with the tick of its prices. Raises ConfigurationError."""
        ...

    async def open(self, emit: Callable[[MarketEvent], None], clock: VenueClock) -> None:
        """Begin: history first, as far as there is one, then what happens now."""
        ...

    async def close(self) -> None:
        """Emit no more."""
        ...


class FileFeed:
    """A recording, its first event now and the others as long after it as they were, `speed` times as fast.

    `speed` 0 is as fast as possible. At its end the market stands still.
    """

    def __init__(self, file: Path, *, symbol: str = "", speed: float = 1.0) -> None:
        self._stream = ReplayStream(file, symbol=symbol or None)
        self._speed = speed
        self._playing: asyncio.Task[None] | None = None

    async def pairs(self) -> Mapping[str, Decimal]:
        """The pairs of the recording."""
        return _pairs(await self._stream.instruments())

    async def open(self, emit: Callable[[MarketEvent], None], clock: VenueClock) -> None:
        """Begin to play."""
        self._playing = asyncio.ensure_future(self._play(self._stream.replay(), emit, clock))

    async def _play(
        self, events: Iterator[MarketEvent], emit: Callable[[MarketEvent], None], clock: VenueClock
    ) -> None:
        first, begun = None, clock.now()
        for number, event in enumerate(events):
            if first is None:
                first = event.received_ns
            if self._speed:
                due = begun + int((event.received_ns - first) / self._speed)
                if (wait := due - clock.now()) > 0:
                    await clock.sleep(wait)
            elif not number % _AT_ONCE:
                await asyncio.sleep(0)
            emit(happening(event, clock.now()))

    async def close(self) -> None:
        """Emit no more."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)


class SyntheticFeed:
    """An invented market on the clock on the wall, the same for the same seed, with three hours of history."""

    def __init__(self, pairs: list[str], *, seed: int = 42) -> None:
        self._stream = SyntheticStream(pairs, seed=seed)

    async def pairs(self) -> Mapping[str, Decimal]:
        """The invented pairs."""
        return _pairs(await self._stream.instruments())

    async def open(self, emit: Callable[[MarketEvent], None], clock: VenueClock) -> None:
        """Bars of the past, then quotes and trades."""
        listed = [instrument.id for instrument in await self._stream.instruments()]
        now = clock.now()
        for name in listed:
            for bar in await self._stream.history(Subscription(name, "bar:1m"), now - _HISTORY_NS, now):
                emit(bar)
        await self._stream.connect(emit, clock)
        await self._stream.subscribe(
            [Subscription(name, kind) for name in listed for kind in ("quote", "trade")]
        )

    async def close(self) -> None:
        """Emit no more."""
        await self._stream.close()


def happening(event: MarketEvent, now: int) -> MarketEvent:
    """The same event, as of now."""
    if isinstance(event, Bar):
        length = event.event_ns - event.open_ns
        return msgspec.structs.replace(event, open_ns=now - length, event_ns=now, received_ns=now)
    return msgspec.structs.replace(event, event_ns=now, received_ns=now)


def _pairs(instruments: Sequence[Instrument]) -> Mapping[str, Decimal]:
    return {f"{instrument.base}/{instrument.quote}": instrument.tick for instrument in instruments}
