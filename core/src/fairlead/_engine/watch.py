"""`watch`: the events of streams, one by one, without an engine."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from fairlead._models.market import Bar, Book, MarketEvent, Quote, Trade
from fairlead.errors import ConfigurationError, FairleadError

if TYPE_CHECKING:
    import asyncio

    from fairlead.ports import DataStream

MOST_WAITING = 1_000_000
"""Trades, bars and books that may wait for a slow consumer; with one more the watch ends, and says so."""


def watch(
    stream: DataStream | Sequence[DataStream],
    instrument: str | Sequence[str],
    *,
    bars: str | Sequence[str] = (),
    quotes: bool = False,
    trades: bool = False,
    book: bool = False,
) -> AsyncGenerator[Quote | Trade | Bar | Book]:
    """The events of one or more streams as they come, until they end or the loop is left.

        async for event in fairlead.watch(stream, "BTC/USDT", quotes=True, bars="1m"):
            print(event)

    `bars` are intervals as in `Strategy.watch`, made from what is finer where the stream has none. A slow consumer
    loses quotes only, of each instrument all but the newest; where the streams bring their own time they wait for it,
    and nothing is lost. Leaving the loop closes the streams: at once with `contextlib.aclosing`, else as soon as the
    event loop has its turn.

    Raises ConfigurationError for what no stream serves or has confirmed, ConnectivityError where a stream cannot
    connect, and FairleadError where a million trades, bars and books wait.
    """
    streams = list(stream) if isinstance(stream, Sequence) else [stream]
    names = [instrument] if isinstance(instrument, str) else list(instrument)
    kinds = [kind for kind, on in (("quote", quotes), ("trade", trades), ("book", book)) if on]
    intervals = [bars] if isinstance(bars, str) else list(bars)
    if not (kinds or intervals) or not names:
        raise ConfigurationError(
            "watch() is asked for nothing: name an instrument, and say quotes=True, trades=True, bars='1m' or book=True"
        )
    return events_of(streams, names, kinds, intervals)


async def events_of(
    streams: list[DataStream],
    names: Sequence[str],
    kinds: Sequence[str],
    intervals: Sequence[str],
    *,
    finest: bool = False,
    within_ns: int = 0,
) -> AsyncGenerator[Quote | Trade | Bar | Book]:
    """What `watch` gives; `finest` is as in `Wanted`, and `within_ns` ends it so long after its start."""
    from fairlead._engine.tap import Tap, Wanted

    mailbox = Mailbox()
    tap = Tap(streams, mailbox.put, on_end=mailbox.end)
    agenda = tap.agenda
    if tap.paced:
        mailbox.full, mailbox.empty = agenda.hold, agenda.release
    try:
        await tap.open(Wanted(names, kinds, intervals, finest))
        if within_ns:
            tap.end_after(within_ns)
        while True:
            event = await mailbox.get()
            if event is None:
                break
            yield event  # type: ignore[misc]
    finally:
        await tap.close()
    if tap.error is not None:
        raise tap.error


class Mailbox:
    """What waits for a consumer, in order. Of each instrument one quote waits at most, the newest.

    `full` is called when something begins to wait, `empty` when nothing waits any more.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str | int, MarketEvent] = OrderedDict()
        self._serial = 0
        self._ended = False
        self._overrun = False
        self._arrived: asyncio.Future[None] | None = None
        self.full = self.empty = _nothing

    def put(self, event: MarketEvent) -> None:
        """One event more."""
        waiting = self._waiting
        if not waiting:
            self.full()
        if type(event) is Quote:
            waiting.pop(event.instrument, None)
            waiting[event.instrument] = event
        elif len(waiting) >= MOST_WAITING:
            self._overrun = True
            self.end()
        else:
            self._serial += 1
            waiting[self._serial] = event
        self._wake()

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def get(self) -> MarketEvent | None:
        """The oldest that waits, None after the last. Raises FairleadError where too much waited."""
        import asyncio  # not before: who only names fairlead has no use for it

        waiting = self._waiting
        while not waiting:
            if self._overrun:
                raise FairleadError(
                    f"{MOST_WAITING:,} events wait to be taken, and more cannot be kept: take them faster, or watch "
                    f"less"
                )
            if self._ended:
                return None
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        _, event = waiting.popitem(last=False)
        if not waiting:
            self.empty()
        return event


def _nothing() -> None:
    pass
