"""Supervision: connections that broke are made again, and those that only seem to live are found out.

A broker says StreamDown and waits; a stream calls its `on_down`, or is silent for longer than its `silence`. Then
the supervisor calls `connect` again, ever later, and for a stream `subscribe` with all that is watched: a connection
counts once everything is confirmed. A feed that its stream refused while the engine runs is asked for again likewise,
apart from the connection, which it must not hold up. What was missed meanwhile is asked for by whoever needs it:
fills and orders by the kernel's resolver, when the broker says StreamUp.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import attrs

from fairlead._engine.door import Door
from fairlead._kernel.clock import Agenda
from fairlead._kernel.kernel import Kernel
from fairlead.errors import ConnectivityError
from fairlead.facts import Fact, FeedChanged, StreamChanged
from fairlead.ports import BrokerAdapter, DataStream, Subscription
from fairlead.units import SECOND, duration

log = logging.getLogger("fairlead.engine")

CONNECT_SECONDS = 20.0
"""How long one try to connect may take."""

FIRST_SECONDS, LAST_SECONDS = 1.0, 30.0
"""How long after a break the first try comes, and how far apart later ones are at most; each up to half less."""

LOOK_SECONDS = 1.0
SILENCE = "60s"
"""How long a stream that can break may be silent, unless it says otherwise."""


@attrs.define
class _Feed:
    """A data stream that can break: what is subscribed, whether it is up, and when it last proved to live."""

    stream: DataStream
    silence_ns: int
    since_ns: int
    up: bool = True
    subscriptions: dict[Subscription, None] = attrs.Factory(dict)


class Supervisor:
    """Watches the connections of one live session. Its tasks are in `tasks`, which the session ends."""

    def __init__(
        self,
        kernel: Kernel,
        door: Door,
        agenda: Agenda,
        feeds: Agenda,
        tasks: set[asyncio.Task[None]],
        brokers: Mapping[str, BrokerAdapter],
    ) -> None:
        self._kernel = kernel
        self._door = door
        self._agenda = agenda
        self._clock = feeds
        self._tasks = tasks
        self._brokers = brokers
        self._feeds: dict[str, _Feed] = {}
        self._trying: set[str] = set()
        self._down: set[str] = set()
        self._handle: asyncio.TimerHandle | None = None

    # --- brokers --------------------------------------------------------------------------------------------

    def facts(self, facts: list[Fact]) -> None:
        """See which accounts lost their private stream."""
        for fact in facts:
            if type(fact) is StreamChanged:
                self._account_changed(fact)

    def _account_changed(self, fact: StreamChanged) -> None:
        if fact.up:
            self._down.discard(fact.account)
            return
        self._down.add(fact.account)
        broker, emit = self._brokers[fact.account], self._door.reporter(fact.account)
        self.try_again(
            f"account {fact.account}",
            lambda: broker.connect(emit, self._agenda),
            lambda: fact.account not in self._down,
        )

    # --- streams --------------------------------------------------------------------------------------------

    def watch(self, stream: DataStream) -> None:
        """Have a stream that can break tell of it."""
        if not hasattr(stream, "on_down"):
            return
        silence = duration(getattr(stream, "silence", SILENCE))
        self._feeds[stream.name] = _Feed(stream, silence, self._agenda.now())
        stream.on_down = lambda reason: self._stream_down(stream.name, reason)
        if self._handle is None:
            self._look()

    def subscribed(self, stream: DataStream, subscription: Subscription) -> None:
        """A feed is wanted from now on, whatever becomes of the connection."""
        if stream.name in self._feeds:
            self._feeds[stream.name].subscriptions[subscription] = None

    def unsubscribed(self, stream: DataStream, subscription: Subscription) -> None:
        """A feed is wanted no more."""
        if stream.name in self._feeds:
            self._feeds[stream.name].subscriptions.pop(subscription, None)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _stream_down(self, name: str, reason: str) -> None:
        feed = self._feeds[name]
        if not feed.up:
            return
        feed.up = False
        self._tell(name, up=False, reason=reason)
        self.try_again(f"stream {name}", lambda: self._connect_stream(feed), lambda: feed.up)

    async def _connect_stream(self, feed: _Feed) -> None:
        stream, wanted = feed.stream, list(feed.subscriptions)
        await stream.connect(self._door.taker(stream.name), self._clock)
        missing = set(wanted) - await stream.subscribe(wanted)
        if missing:
            names = ", ".join(sorted(f"{s.kind} of {s.instrument}" for s in missing))
            raise ConnectivityError(f"it did not confirm {names}")
        feed.up, feed.since_ns = True, self._agenda.now()
        self._tell(stream.name, up=True)

    def _tell(self, name: str, *, up: bool, reason: str = "") -> None:
        recorder = self._kernel.recorder
        self._door.note(
            self._kernel.turn, lambda: recorder.input(FeedChanged, stream=name, up=up, reason=reason)
        )

    def _look(self) -> None:
        """A connection without data is no connection, whatever its pongs say."""
        self._handle = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        now, age = self._agenda.now(), self._kernel.view.age
        for name, feed in self._feeds.items():
            if not feed.up or not feed.subscriptions:
                continue
            ages = [found for s in feed.subscriptions if (found := age(s.instrument)) is not None]
            quiet = min([now - feed.since_ns, *ages])
            if quiet > feed.silence_ns:
                self._stream_down(name, f"it has been silent for {quiet // SECOND} s")

    # --- trying again ---------------------------------------------------------------------------------------

    def try_again(
        self,
        what: str,
        connect: Callable[[], Coroutine[Any, Any, None]],
        done: Callable[[], bool],
        seconds: float | None = CONNECT_SECONDS,
    ) -> None:
        """Try something that failed until it is done, ever later, each time for so many seconds; once for each name."""
        if what in self._trying:
            return
        self._trying.add(what)
        task = asyncio.get_running_loop().create_task(self._keep_trying(what, connect, done, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_trying(
        self,
        what: str,
        connect: Callable[[], Coroutine[Any, Any, None]],
        done: Callable[[], bool],
        seconds: float | None,
    ) -> None:
        try:
            tries = 0
            while not done():
                await asyncio.sleep(_pause(what, tries))
                tries += 1
                if done():  # it came back by itself
                    break
                try:
                    async with asyncio.timeout(seconds):
                        await connect()
                except Exception as error:  # a plugin can fail in any way: it is tried again
                    log.warning("%s: try %d failed (%s: %s)", what, tries, type(error).__name__, error)
            log.warning("%s: needs no more tries after %d", what, tries)
        finally:
            self._trying.discard(what)


def _pause(what: str, tries: int) -> float:
    """Ever longer, and not the same for everybody: those that were cut off together must not come back together."""
    longest = min(FIRST_SECONDS * 2**tries, LAST_SECONDS)
    return float(longest * (0.5 + zlib.crc32(f"{what} {tries}".encode()) / (1 << 33)))
