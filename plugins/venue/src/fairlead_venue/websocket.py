"""A channel over a WebSocket, its frames JSON."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from fairlead_venue.channel import Channel
from fairlead_venue.faults import FaultKind

GARBAGE = '{"e":"exec\\u00'
"""What a broken encoder might send."""


class WebChannel(Channel):
    """A WebSocket. `enums` are the fields that hold one of a documented set of words."""

    def __init__(
        self,
        number: int,
        socket_: web.WebSocketResponse,
        request: web.Request,
        enums: frozenset[str],
        **more: Any,
    ) -> None:
        super().__init__(number, request.path, **more)
        self._socket = socket_
        self._request = request
        self._enums = enums
        self._frames: deque[str] = deque()
        self._ready = asyncio.Event()
        self._together = False
        self._ending: tuple[int, str] | None = None
        self._reading: asyncio.Future[None]

    def send(self, frame: Any) -> None:
        """Send a text, or an object as JSON, after those before it."""
        if self.open and not self.silent:
            self._frames.append(frame if isinstance(frame, str) else encode(frame))
            self._ready.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
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

    def spoil(self, frame: Any, kind: FaultKind) -> Any:
        """The same frame as garbage, or with a field or a word that nobody documented."""
        return spoiled(frame if isinstance(frame, str) else encode(frame), kind, self._enums)

    def together(self) -> None:
        """Cork the socket until the frames that come now are written."""
        self._together = True

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
            self.state["pong_ns"] = self.clock.now()
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


def spoiled(text: str, kind: FaultKind, enums: frozenset[str]) -> str:
    """JSON as garbage, or with fields that nobody documented, or with such words in the fields of `enums`."""
    if kind is FaultKind.GARBAGE:
        return GARBAGE
    whole = msgspec.json.decode(text)
    if kind is FaultKind.UNKNOWN_FIELD:
        return encode(_each(whole, lambda found: {**found, "zz_new_field": {"since": 2031}}))
    return encode(
        _each(
            whole,
            lambda found: {
                key: "BRAND_NEW" if key in enums and isinstance(value, str) else value
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
