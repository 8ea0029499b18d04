"""One WebSocket to Hyperliquid: subscriptions that are confirmed, posts that are answered, pings.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead import ConnectivityError, VenueError, duration
from fairlead.net import WebSocket, connect_websocket
from fairlead.ports import Clock, Handle

_PING_NS = duration("15s")
"""Hyperliquid closes what it has sent nothing to for a minute."""

_SILENT_NS = duration("40s")
ANSWER_NS = duration("5s")
"""How long an answer to an action may take: it is not known then what became of it."""

_SECONDS = 10.0
_PING = b'{"method":"ping"}'

Subscribed = Mapping[str, str]
OnAnswer = Callable[["Answer"], None]


class Frame(msgspec.Struct):
    """Any message."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct):
    """What a post is answered: `type` is action, info or error."""

    type: str
    payload: Any = None


class _Posted(msgspec.Struct):
    id: int
    response: Answer


class _Confirmed(msgspec.Struct):
    method: str
    subscription: dict[str, Any]


class Socket:
    """A connection. `heard` gets what is of no request; `down` is called once with the reason when it broke.

    Neither is called any more after `close`. Whatever `heard` cannot decode ends the connection: something of the
    account is then unknown, and is asked for by whoever connects again.
    """

    def __init__(self, heard: Callable[[str, msgspec.Raw], None], down: Callable[[str], None]) -> None:
        self._heard = heard
        self._down: Callable[[str], None] | None = down
        self._socket: WebSocket | None = None
        self._clock: Clock
        self._timer: Handle | None = None
        self._last_ns = 0
        self._count = 0
        self._posts: dict[int, tuple[OnAnswer, Callable[[str], None], Handle]] = {}
        self._asked: dict[bytes, asyncio.Future[None]] = {}
        self._topics: set[bytes] = set()

    async def open(self, url: str, clock: Clock) -> None:
        """Connect. Raises ConnectivityError."""
        self._clock = clock
        self._socket = await connect_websocket(url, self._take, self.lose)
        self._last_ns = clock.now()
        self._timer = clock.call_at(self._last_ns + _PING_NS, self._ping)

    def close(self) -> None:
        """Leave; harmless to repeat. Posts without an answer are lost."""
        self._down = None
        if self._timer is not None:
            self._timer.cancel()
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_exception(ConnectivityError("the connection to Hyperliquid has ended"))
        posts, self._posts = self._posts, {}
        for _, lost, timer in posts.values():
            timer.cancel()
            lost("the connection was lost")

    async def leave(self) -> None:
        """Close, and wait until nothing of it is left."""
        opened = self._socket
        self.close()
        if opened is not None:
            await opened.wait_closed()

    def lose(self, reason: str) -> None:
        """It is of no use any more."""
        down = self._down
        self.close()
        if down is not None:
            down(reason)

    # --- out ----------------------------------------------------------------------------------------------------

    def post(self, payload: bytes, answered: OnAnswer, lost: Callable[[str], None]) -> None:
        """Write an action at once; exactly one of the two is called later. Raises ConnectivityError: not written."""
        self._count += 1
        number = self._count
        self._write(b'{"method":"post","id":%d,"request":{"type":"action","payload":%b}}' % (number, payload))
        timer = self._clock.call_at(self._clock.now() + ANSWER_NS, lambda: self._give_up(number))
        self._posts[number] = answered, lost, timer

    def _give_up(self, number: int) -> None:
        waiting = self._posts.pop(number, None)
        if waiting is not None:
            waiting[1]("no answer came")

    async def subscribe(self, wanted: Sequence[Subscribed]) -> None:
        """Have these, and know that each was confirmed; one that was already is not asked for.

        Raises ConnectivityError or VenueError.
        """
        new = [one for one in wanted if _key("subscribe", one) not in self._topics]
        await asyncio.gather(*(self._ask("subscribe", one) for one in new))
        self._topics |= {_key("subscribe", one) for one in new}

    async def unsubscribe(self, wanted: Sequence[Subscribed]) -> None:
        """Have these no more. Raises ConnectivityError or VenueError."""
        self._topics -= {_key("subscribe", one) for one in wanted}
        await asyncio.gather(*(self._ask("unsubscribe", one) for one in wanted))

    async def _ask(self, method: str, subscription: Subscribed) -> None:
        key = _key(method, subscription)
        future = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            self._write(_encode({"method": method, "subscription": subscription}))
            async with asyncio.timeout(_SECONDS):
                await future
        except TimeoutError:
            name = subscription["type"]
            raise ConnectivityError(
                f"Hyperliquid did not confirm {method} {name} in {_SECONDS:g} s"
            ) from None
        finally:
            self._asked.pop(key, None)

    def _write(self, text: bytes) -> None:
        if self._socket is None:
            raise ConnectivityError("there is no connection to Hyperliquid")
        self._socket.send_text(text)

    def _ping(self) -> None:
        silent = self._clock.now() - self._last_ns
        if silent >= _SILENT_NS:
            self.lose(f"Hyperliquid has said nothing for {silent // 1_000_000_000} s, not even to a ping")
            return
        try:
            self._write(_PING)
        except ConnectivityError:
            return  # whoever is told of the end was told
        self._timer = self._clock.call_at(self._clock.now() + _PING_NS, self._ping)

    # --- in -----------------------------------------------------------------------------------------------------

    def _take(self, payload: bytes) -> None:
        if self._down is None:
            return
        self._last_ns = self._clock.now()
        try:
            frame = _frames.decode(payload)
            match frame.channel:
                case "post":
                    self._answered(_posted.decode(frame.data))
                case "pong":
                    pass
                case "subscriptionResponse":
                    self._confirmed(_confirmations.decode(frame.data))
                case "error":
                    self._refused(msgspec.json.decode(frame.data))
                case channel:
                    self._heard(channel, frame.data)
        except msgspec.DecodeError as error:
            if payload != b"Websocket connection established.":
                self.lose(f"Hyperliquid said what cannot be read ({error})")

    def _answered(self, posted: _Posted) -> None:
        waiting = self._posts.pop(posted.id, None)
        if waiting is not None:
            waiting[2].cancel()
            waiting[0](posted.response)

    def _confirmed(self, found: _Confirmed) -> None:
        for key, future in self._asked.items():
            method, wanted = msgspec.json.decode(key)
            same = all(
                str(found.subscription.get(name)).lower() == text.lower() for name, text in wanted.items()
            )
            if method == found.method and same and not future.done():
                future.set_result(None)

    def _refused(self, text: Any) -> None:
        """An error names no request: it is of one that waits and that it quotes, or of the oldest."""
        waiting = [(key, future) for key, future in self._asked.items() if not future.done()]
        for key, future in waiting:
            _, wanted = msgspec.json.decode(key)
            if all(value.lower() in str(text).lower() for value in wanted.values()):
                waiting = [(key, future)]
                break
        if waiting:
            waiting[0][1].set_exception(VenueError(f"Hyperliquid refused it: {text}"))


def _key(method: str, subscription: Subscribed) -> bytes:
    return _encode([method, dict(sorted(subscription.items()))])


_encode = msgspec.json.encode
_frames = msgspec.json.Decoder(Frame)
_posted = msgspec.json.Decoder(_Posted)
_confirmations = msgspec.json.Decoder(_Confirmed)
