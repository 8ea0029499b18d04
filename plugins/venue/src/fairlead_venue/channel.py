"""One WebSocket of a client: frames go out in order, faults strike them on the way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from fairlead_venue.clock import VenueClock
from fairlead_venue.faults import Fault, FaultKind, Faults

EVENT_FAULTS = frozenset(
    {
        FaultKind.LOSE, FaultKind.DELAY, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.GARBAGE,
        FaultKind.UNKNOWN_FIELD, FaultKind.UNKNOWN_ENUM, FaultKind.DROP, FaultKind.CLOSE, FaultKind.SHUTDOWN,
        FaultKind.STALL, FaultKind.HALF_OPEN, FaultKind.EXPIRE,
    }
)  # fmt: skip
"""The kinds that can strike at an event."""

GARBAGE = '{"e":"exec\\u00'
"""What a broken encoder might send."""


class Channel:
    """A connection. `send` never blocks; `topics` and `state` belong to the front.

    `labels` name it: the stream's kind (`user`, `market`, `api`) and its path.
    """

    def __init__(
        self,
        number: int,
        socket_: web.WebSocketResponse,
        request: web.Request,
        *,
        faults: Faults,
        clock: VenueClock,
        struck: Callable[[Channel, Fault], None],
        enums: frozenset[str],
    ) -> None:
        self.number = number
        self.path = request.path
        self.labels: list[str] = [request.path]
        self.topics: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.silent = False
        self.stalled = False
        self.open = True
        self._socket = socket_
        self._request = request
        self._faults = faults
        self._clock = clock
        self._struck = struck
        self._enums = enums
        self._frames: deque[str] = deque()
        self._ready = asyncio.Event()
        self._held: list[str] | None = None
        self._swap: str | None = None
        self._together = False
        self._ending: tuple[int, str] | None = None
        self._reading: asyncio.Future[None]

    # --- out ----------------------------------------------------------------------------------------------------

    def event(self, payload: Any, labels: Sequence[str] = ()) -> None:
        """Send an event, or what the faults that strike it make of it."""
        if self.stalled:
            return
        text = payload if isinstance(payload, str) else encode(payload)
        copies = 1
        for fault in self._faults.strike([*labels, *self.labels], EVENT_FAULTS):
            match fault.kind:
                case FaultKind.LOSE:
                    copies = 0
                case FaultKind.DUPLICATE:
                    copies = 2
                case FaultKind.DELAY:
                    copies = 0
                    self._clock.call_in(fault.lasts_ns, partial(self._event, text))
                case FaultKind.REORDER:
                    copies = 0
                    self._swap = text
                case FaultKind.GARBAGE:
                    text = GARBAGE
                case FaultKind.UNKNOWN_FIELD:
                    text = with_unknown_field(text)
                case FaultKind.UNKNOWN_ENUM:
                    text = with_unknown_words(text, self._enums)
                case _:
                    self._struck(self, fault)
        for _ in range(copies):
            self._event(text)

    def _event(self, text: str) -> None:
        if self._held is not None:
            self._held.append(text)
            return
        self.send(text)
        if self._swap is not None and text is not self._swap:
            swapped, self._swap = self._swap, None
            self.send(swapped)

    def send(self, payload: Any) -> None:
        """Send a frame as it is, after those before it."""
        if self.open and not self.silent:
            self._frames.append(payload if isinstance(payload, str) else encode(payload))
            self._ready.set()

    def hold(self) -> None:
        """Keep events until `release`."""
        if self._held is None:
            self._held = []

    def release(self, *, together: bool = False) -> None:
        """Send what was kept; `together` puts it into one TCP segment."""
        held, self._held = self._held or [], None
        self._together = together
        for text in held:
            self._event(text)

    # --- ends ---------------------------------------------------------------------------------------------------

    def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Close in good order, after what waits."""
        if self.open:
            self.open = False
            self._ending = (code, reason)
            self._ready.set()

    def drop(self) -> None:
        """Cut it without a word."""
        self.open = False
        self._frames.clear()
        transport = self._request.transport
        if transport is not None:
            transport.abort()
        self._ready.set()

    def stall(self, lasts_ns: int, *, silent: bool) -> None:
        """No events from now on; `silent`: no pongs and answers either. 0 is for ever."""
        self.stalled = True
        self.silent = self.silent or silent
        if lasts_ns:
            self._clock.call_in(lasts_ns, self._recover)

    def _recover(self) -> None:
        self.stalled = self.silent = False

    # --- its life -----------------------------------------------------------------------------------------------

    async def run(self, heard: Callable[[str], None]) -> None:
        """Carry frames both ways until it ends."""
        self._reading = asyncio.ensure_future(self._read_all(heard))
        writing = asyncio.ensure_future(self._write())
        try:
            await asyncio.wait({self._reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if self._ending is not None:
                await asyncio.wait({writing})
        finally:
            self.open = False
            self._reading.cancel()
            writing.cancel()
            await asyncio.gather(self._reading, writing, return_exceptions=True)

    async def _read_all(self, heard: Callable[[str], None]) -> None:
        async for message in self._socket:
            await self._read(message, heard)

    async def _read(self, message: WSMessage, heard: Callable[[str], None]) -> None:
        if message.type is WSMsgType.PING and not self.silent:
            await self._socket.pong(message.data)
        elif message.type is WSMsgType.PONG:
            self.state["pong_ns"] = self._clock.now()
        elif message.type is WSMsgType.TEXT and not self.silent:
            heard(message.data)
        elif message.type is WSMsgType.BINARY and not self.silent:
            heard(message.data.decode("utf-8", "replace"))

    async def ping(self) -> None:
        """Ask whether the client is there."""
        if self.open and not self.silent:
            with contextlib.suppress(ConnectionError):
                await self._socket.ping()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._ready.wait()
                self._ready.clear()
                if self._together and len(self._frames) > 1:
                    self._cork(1)
                while self._frames:
                    await self._socket.send_str(self._frames.popleft())
                if self._together:
                    self._cork(0)
                    self._together = False
                if self._ending is not None:
                    code, reason = self._ending
                    # Whoever closes waits for the other side's goodbye, which a reader would take from it.
                    self._reading.cancel()
                    await asyncio.gather(self._reading, return_exceptions=True)
                    await self._socket.close(code=code, message=reason.encode())
                    return

    def _cork(self, on: int) -> None:
        """Let the kernel gather what is written, where it can."""
        transport, option = self._request.transport, getattr(socket, "TCP_CORK", None)
        raw = transport.get_extra_info("socket") if transport is not None else None
        if raw is not None and option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, on)


def encode(payload: Any) -> str:
    """A frame's text."""
    return _encoder.encode(payload).decode()


_encoder = msgspec.json.Encoder(decimal_format="string")


def with_unknown_field(text: str) -> str:
    """The same with fields that nobody documented, wherever an object is."""
    return encode(_each(msgspec.json.decode(text), lambda found: {**found, "zz_new_field": {"since": 2031}}))


def with_unknown_words(text: str, names: frozenset[str]) -> str:
    """The same with a word that nobody documented in each of these fields."""
    return encode(
        _each(
            msgspec.json.decode(text),
            lambda found: {
                key: "BRAND_NEW" if key in names and isinstance(value, str) else value
                for key, value in found.items()
            },
        )
    )


def _each(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, dict):
        return change({key: _each(inner, change) for key, inner in value.items()})
    if isinstance(value, list):
        return [_each(inner, change) for inner in value]
    return value
