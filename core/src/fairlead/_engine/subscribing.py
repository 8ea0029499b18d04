"""Subscriptions of a live run: each feed that somebody wants is asked of the stream that has it.

What a start needs and cannot get ends the start. Once the engine runs nothing of this ends it, for it has orders and
stops to look after: a feed or a history that could not be had is noted, and asked for again, ever later, for as long
as anybody wants it. So is, from the start on, a feed that its stream neither refused nor confirmed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from typing import Any

from fairlead._engine.assembly import stream_for
from fairlead._engine.door import Door
from fairlead._engine.supervision import CONNECT_SECONDS, Supervisor
from fairlead._engine.warmup import history, windows
from fairlead._kernel.kernel import Kernel
from fairlead._models.market import History, MarketEvent
from fairlead.errors import ConnectivityError
from fairlead.facts import Noted
from fairlead.ports import DataStream, Subscription, Time

log = logging.getLogger("fairlead.engine")

LONGEST_SECONDS = 3600.0
"""How long one question for a history may take at most while the engine runs; the first has `CONNECT_SECONDS`."""


class _Unconfirmed(ConnectivityError):
    """A stream answered, and did not say that a feed is subscribed."""


class Subscriber:
    """Asks streams for what the kernel's feeds want; `spawn` starts a task that the session ends."""

    def __init__(
        self,
        kernel: Kernel,
        door: Door,
        supervisor: Supervisor,
        streams: Collection[DataStream],
        time: Time,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._kernel = kernel
        self._door = door
        self._supervisor = supervisor
        self._streams = streams
        self._time = time
        self._spawn = spawn
        self._asking = asyncio.Lock()
        self._had: set[Subscription] = set()
        self._missing: set[Subscription] = set()
        self._cold: set[Subscription] = set()

    async def subscribe(self, subscription: Subscription, warmup: int) -> None:
        """Warm a feed up, then have it. Raises what the stream raises: for a start."""
        if stream_for(self._streams, subscription) is None:
            return
        if warmup:
            await self._warm(subscription, warmup, None)  # years of ticks take their time
        try:
            await self._open(subscription)
        except _Unconfirmed as error:
            self._open_again(subscription, error)

    def subscribe_later(self, subscription: Subscription, warmup: int) -> None:
        """The same while the engine runs: what fails is tried again."""
        self._door.hold()
        self._spawn(self._subscribe_now(subscription, warmup))

    def unsubscribe_later(self, subscription: Subscription) -> None:
        """Nobody has use for a feed any more; one that is watched again meanwhile goes on as it is."""
        self._door.hold()
        self._spawn(self._unsubscribe_now(subscription))

    # --- while the engine runs ------------------------------------------------------------------------------

    async def _subscribe_now(self, subscription: Subscription, warmup: int) -> None:
        try:
            if stream_for(self._streams, subscription) is None:
                return
            if warmup:
                await self._warm_or_later(subscription, warmup)
            await self._open_or_later(subscription)
        finally:
            self._door.release()

    async def _warm_or_later(self, subscription: Subscription, warmup: int) -> None:
        patience = _patience()
        try:
            await self._warm(subscription, warmup, next(patience))
        except Exception as error:  # a plugin can fail in any way: prices matter more than the past
            what = f"history {_text(subscription)}"
            self._note(what, error)
            self._cold.add(subscription)
            self._supervisor.try_again(
                what,
                lambda: self._warm(subscription, warmup, next(patience)),
                lambda: self._is_over(subscription, self._cold),
                seconds=None,  # each question has a patience of its own
            )

    async def _open_or_later(self, subscription: Subscription) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._open(subscription)
        except Exception as error:  # as above
            self._open_again(subscription, error)

    def _open_again(self, subscription: Subscription, error: Exception) -> None:
        what = f"feed {_text(subscription)}"
        self._note(what, error)
        self._missing.add(subscription)
        self._supervisor.try_again(
            what,
            lambda: self._open(subscription),
            lambda: self._is_over(subscription, self._missing),
        )

    def _is_over(self, subscription: Subscription, waiting: set[Subscription]) -> bool:
        """Whether what was waited for is there, or nobody wants it any more."""
        if subscription not in self._kernel.feeds.subscriptions:
            waiting.discard(subscription)
        return subscription not in waiting

    def _note(self, what: str, error: Exception) -> None:
        why = str(error) or type(error).__name__
        text = f"{what} could not be had, and is asked for again: {why}"
        log.warning("%s", text)
        kernel = self._kernel
        self._door.note(kernel.turn, lambda: kernel.recorder.input(Noted, source="market", text=text))

    async def _unsubscribe_now(self, subscription: Subscription) -> None:
        try:
            async with self._asking:
                await self._close(subscription)
        finally:
            self._door.release()

    async def _close(self, subscription: Subscription) -> None:
        stream = stream_for(self._streams, subscription)
        if stream is None or subscription in self._kernel.feeds.subscriptions:
            return
        self._had.discard(subscription)
        try:
            self._supervisor.unsubscribed(stream, subscription)
            await stream.unsubscribe([subscription])
        except Exception as error:  # whatever it raises, it sends on what nobody takes: no reason to end
            log.warning("%s keeps sending %s: %s", stream.name, _text(subscription), error)

    # --- asking ---------------------------------------------------------------------------------------------

    async def _open(self, subscription: Subscription) -> None:
        """Have a feed. Raises what the stream raises, or _Unconfirmed."""
        stream = stream_for(self._streams, subscription)
        assert stream is not None
        async with self._asking:
            if subscription not in self._kernel.feeds.subscriptions:  # given up meanwhile
                return
            if subscription in self._had:  # somebody else wants more of its past
                return
            self._supervisor.subscribed(stream, subscription)
            try:
                if subscription not in await stream.subscribe([subscription]):
                    raise _Unconfirmed(f"{stream.name} did not confirm it")
            except BaseException:  # whatever stopped it, it is not subscribed: no reconnect may wait for it
                self._supervisor.unsubscribed(stream, subscription)
                raise
            self._had.add(subscription)
        self._missing.discard(subscription)

    async def _warm(self, subscription: Subscription, warmup: int, seconds: float | None) -> None:
        """Fetch what came before, in the feed that bars are made from, and hand it over as history.

        Each question may take so many seconds. Raises ConnectivityError after that, and what the stream raises.
        """
        stream = stream_for(self._streams, subscription)
        assert stream is not None
        now = self._time.now()
        found: list[History] = []
        for interval, start, end in windows(self._kernel, subscription, warmup, now):
            events = await _past(stream, subscription, start, end + 1, seconds)
            past = history(self._kernel, subscription, interval, (start, end), events, now)
            if past is not None:
                found.append(past)
        self._cold.discard(subscription)
        for past in found:
            self._door.warm(past)


async def _past(
    stream: DataStream, subscription: Subscription, start: int, end: int, seconds: float | None
) -> Sequence[MarketEvent]:
    try:
        async with asyncio.timeout(seconds):
            return await stream.history(subscription, start, end)
    except TimeoutError as error:
        if seconds is None:
            raise
        raise ConnectivityError(f"{stream.name} gave no answer within {seconds:g} s") from error


def _patience() -> Iterator[float]:
    """How long each try may take: ever longer, since one that is slow looks like one that hangs."""
    seconds = CONNECT_SECONDS
    while True:
        yield seconds
        seconds = min(2 * seconds, LONGEST_SECONDS)


def _text(subscription: Subscription) -> str:
    return f"{subscription.kind} of {subscription.instrument}"
