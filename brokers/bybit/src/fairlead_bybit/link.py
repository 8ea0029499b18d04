"""The sockets of an account: the private one, which tells what happened, and the one that takes orders.

https://bybit-exchange.github.io/docs/v5/ws/connect and https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec

from fairlead import ConnectivityError, VenueError, duration
from fairlead.net import VenueClock, WebSocket, connect_websocket
from fairlead.ports import Clock, Handle
from fairlead_bybit import frames
from fairlead_bybit.codes import Refusal
from fairlead_bybit.credentials import Credentials

PING_NS = duration("20s")
"""How often it is asked whether somebody is there: https://bybit-exchange.github.io/docs/v5/ws/connect#how-to-send-the-heartbeat-packet"""

_SECONDS = 10.0
_AUTH_MS = 10_000
_PING = b'{"op":"ping"}'
_encoder = msgspec.json.Encoder()

Answered = Callable[[Refusal | None], None]
Unanswered = Callable[[str], None]
Down = Callable[[str], None]


class Line:
    """One socket that is pinged. `end` is called once with the reason when it broke, never after `close`."""

    def __init__(self, end: Down) -> None:
        self._end: Down | None = end
        self._socket: WebSocket | None = None
        self._clock: Clock | None = None
        self._timer: Handle | None = None
        self._heard = False
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._numbers = count(1)
        self._closing: WebSocket | None = None

    async def open(self, url: str, clock: Clock) -> None:
        """Connect. Raises ConnectivityError."""
        self._socket = await connect_websocket(url, self._on_frame, self.lost)
        self._clock = clock
        self._heard = True
        self._ping()

    def write(self, payload: bytes) -> None:
        """Write a frame at once. Raises ConnectivityError where there is no connection."""
        if self._socket is None:
            raise ConnectivityError("there is no connection to Bybit")
        self._socket.send_text(payload)

    async def do(self, key: str, words: dict[str, Any]) -> None:
        """Write a frame and wait for the answer that settles `key`. Raises ConnectivityError or VenueError."""
        future = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            self.write(_encoder.encode(words))
            async with asyncio.timeout(_SECONDS):
                await future
        except TimeoutError:
            raise ConnectivityError(f"Bybit did not answer {words['op']} within {_SECONDS:g} s") from None
        finally:
            self._waiting.pop(key, None)

    async def subscribe(self, topics: Sequence[str], op: str = "subscribe") -> None:
        """Have these topics, and know that it was confirmed. Raises ConnectivityError or VenueError."""
        number = f"s{next(self._numbers)}"
        await self.do(number, {"op": op, "req_id": number, "args": list(topics)})

    def settle(self, key: str, error: Exception | None) -> None:
        """An answer came."""
        future = self._waiting.get(key)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _ping(self) -> None:
        if self._clock is None or self._socket is None:
            return
        if not self._heard:
            self.lost("Bybit has been silent, and left pings unanswered")
            return
        self._heard = False
        self._timer = self._clock.call_at(self._clock.now() + PING_NS, self._ping)
        try:
            self.write(_PING)
        except ConnectivityError as error:
            self.lost(str(error))

    def _on_frame(self, payload: bytes) -> None:
        self._heard = True
        self.take(payload)

    def take(self, payload: bytes) -> None:
        """A frame came."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave; harmless to repeat."""
        self._end = None
        socket, self._socket = self._socket, None
        if self._timer is not None:
            self._timer.cancel()
        if socket is not None:
            socket.close()
            self._closing = socket
        for key in list(self._waiting):
            self.settle(key, ConnectivityError("the connection to Bybit has ended"))

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left."""
        if self._closing is not None:
            await self._closing.wait_closed()

    def lost(self, reason: str) -> None:
        """It broke."""
        end = self._end
        self.close()
        if end is not None:
            end(reason)


class TopicLine(Line):
    """A socket with topics: frames go to `told`, which raises VenueError or msgspec.DecodeError to end it."""

    def __init__(self, told: Callable[[frames.Frame], None], end: Down) -> None:
        super().__init__(end)
        self._told = told

    def take(self, payload: bytes) -> None:
        """A frame of a topic, or an answer; one that cannot be read ends the connection."""
        try:
            frame = frames.frame.decode(payload)
            if frame.topic:
                self._told(frame)
                return
        except (msgspec.DecodeError, VenueError) as error:
            self.lost(f"Bybit sent what cannot be read: {error}")
            return
        if frame.op in ("ping", "pong"):
            return
        wrong = None if frame.success else VenueError(f"Bybit refused {frame.op}: {frame.ret_msg}")
        self.settle("auth" if frame.op == "auth" else frame.req_id, wrong)

    async def auth(self, credentials: Credentials, clock: VenueClock) -> None:
        """Say who this is. Raises ConnectivityError or VenueError."""
        expires = clock.now() // 1_000_000 + _AUTH_MS
        await self.do("auth", {"op": "auth", "args": credentials.opening(expires)})


class TradeLine(Line):
    """The socket that takes orders."""

    def __init__(self, venue: VenueClock, answer_ns: int, end: Down) -> None:
        super().__init__(end)
        self._venue = venue
        self._answer_ns = answer_ns
        self._asked: dict[str, tuple[Answered, Unanswered, Handle]] = {}

    async def auth(self, credentials: Credentials) -> None:
        """Say who this is. Raises ConnectivityError or VenueError."""
        expires = self._venue.now() // 1_000_000 + _AUTH_MS
        await self.do("auth", {"op": "auth", "args": credentials.opening(expires)})

    def order(
        self, op: str, params: dict[str, Any], window_ms: int, answered: Answered, unanswered: Unanswered
    ) -> None:
        """Write an operation that Bybit takes within `window_ms` from now. Raises ConnectivityError for what was not.

        Either `answered` is called with why it was refused, if it was, or `unanswered` with why nobody knows.
        """
        assert self._clock is not None
        number = f"o{next(self._numbers)}"
        header = {
            "X-BAPI-TIMESTAMP": str(self._venue.now() // 1_000_000),
            "X-BAPI-RECV-WINDOW": str(max(1, window_ms)),
        }
        self.write(_encoder.encode({"reqId": number, "header": header, "op": op, "args": [params]}))
        late = self._clock.call_at(self._clock.now() + self._answer_ns, lambda: self._late(number))
        self._asked[number] = answered, unanswered, late

    def _late(self, number: str) -> None:
        if found := self._asked.pop(number, None):
            found[1](f"Bybit gave no answer within {self._answer_ns / 1e9:g} s")

    def take(self, payload: bytes) -> None:
        """An answer; one that cannot be read ends the connection, for nobody knows what it was about."""
        try:
            answer = frames.answer.decode(payload)
        except msgspec.DecodeError as error:
            self.lost(f"Bybit answered what cannot be read: {error}")
            return
        if answer.op in ("ping", "pong"):
            return
        refusal = None
        if answer.ret_code:
            reset = answer.header.reset if answer.header is not None else ""
            until = int(reset) if reset.isdecimal() else 0
            refusal = Refusal(max(answer.ret_code, 0), answer.ret_msg, until_ms=until)
        if answer.op == "auth":
            self.settle("auth", refusal)
        elif found := self._asked.pop(answer.req_id, None):
            found[2].cancel()
            found[0](refusal)

    def close(self) -> None:
        """Leave; of what was not answered nobody knows the outcome."""
        super().close()
        asked, self._asked = self._asked, {}
        for _, unanswered, late in asked.values():
            late.cancel()
            unanswered("the connection was lost")


class Link:
    """A connected account; `down` is called once with the reason when any part of it broke, never after `close`."""

    def __init__(
        self,
        venue: VenueClock,
        told: Callable[[frames.Frame], None],
        down: Down,
        *,
        trades: bool,
        answer_ns: int,
    ) -> None:
        self.private = TopicLine(told, self._lost)
        self.trade = TradeLine(venue, answer_ns, self._lost) if trades else None
        self._venue = venue
        self._down: Down | None = down

    async def open(
        self,
        private: str,
        trade: str,
        clock: Clock,
        credentials: Credentials,
        topics: Sequence[Sequence[str]],
    ) -> None:
        """Connect both, and hear of the account. Raises ConnectivityError or VenueError."""
        if self.trade is not None:
            await self.trade.open(trade, clock)
            await self.trade.auth(credentials)
        await self.private.open(private, clock)
        await self.private.auth(credentials, self._venue)
        for some in topics:
            await self.private.subscribe(some)

    def close(self) -> None:
        """Leave; harmless to repeat."""
        self._down = None
        self.private.close()
        if self.trade is not None:
            self.trade.close()

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left."""
        await self.private.wait_closed()
        if self.trade is not None:
            await self.trade.wait_closed()

    def _lost(self, reason: str) -> None:
        down, self._down = self._down, None
        if down is not None:
            self.close()
            down(reason)
