"""A connection to one of Binance's WebSocket APIs: requests out; answers, and an account's events, in.

https://developers.binance.com/docs/binance-spot-api-docs/websocket-api
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from fairlead import ConnectivityError
from fairlead.net import WebSocket, connect_websocket
from fairlead_binance.codes import Refusal
from fairlead_binance.rest import Rest
from fairlead_binance.signing import Signer

_SECONDS = 9.0
_MOST = 10_000
"""So many requests are remembered whose answers never came: one that comes late is known for what it is."""


class Data(msgspec.Struct, rename="camel"):
    """What an error adds: when to ask again, in ms of the venue's clock."""

    server_time: int = 0
    retry_after: int = 0


class Error(msgspec.Struct):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""
    data: Data | None = None


class Frame(msgspec.Struct):
    """An answer with an id and a status, or an event."""

    id: str | int | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Error | None = None
    event: msgspec.Raw = msgspec.Raw(b"")


_frames = msgspec.json.Decoder(Frame)
_encode = msgspec.json.Encoder().encode

OnAnswer = Callable[[Any, Refusal | None], None]
"""Takes the raw result, and the refusal where it is one."""


@attrs.define
class _Waiting:
    answered: OnAnswer
    lost: Callable[[], None]
    since_ns: int
    given_up: bool = False


class Api:
    """One connection. `on_event` takes raw events, `on_end` the reason once, when it broke; never after `close`."""

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        on_event: Callable[[msgspec.Raw], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._rest = rest
        self._signer = signer
        self._on_event = on_event
        self._on_end = on_end
        self._waiting: dict[str, _Waiting] = {}
        self._count = 0
        self._socket: WebSocket | None = None

    async def open(self, url: str) -> None:
        """Connect, and log on with a key that can. Raises ConnectivityError or Refusal."""
        self._socket = await connect_websocket(url, self._heard, self.end)
        if self._rest.logs_on:
            self._signer.logged_on = False
            await self.ask("session.logon", {}, always=True)
            self._signer.logged_on = True

    def write(
        self,
        method: str,
        params: dict[str, str],
        answered: OnAnswer,
        lost: Callable[[], None],
        *,
        signed: bool = True,
        always: bool = False,
    ) -> None:
        """Write one request. Raises ConnectivityError where nothing was written."""
        if self._socket is None:
            raise ConnectivityError("there is no connection to Binance")
        if signed:
            params = self._signer.signed(params, self._rest.clock.now() // 1_000_000, always=always)
        self._count += 1
        name = f"{self._count:x}"
        self._socket.send_text(_encode({"id": name, "method": method, "params": params}))
        self._waiting[name] = _Waiting(answered, lost, self._rest.now())
        if len(self._waiting) > _MOST:
            del self._waiting[next(iter(self._waiting))]

    async def ask(
        self, method: str, params: dict[str, str], *, signed: bool = True, always: bool = False
    ) -> Any:
        """The result of a request, decoded. Raises Refusal, or ConnectivityError where no answer came."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(result: Any, refusal: Refusal | None) -> None:
            if not future.done():
                if refusal is not None:
                    future.set_exception(refusal)
                else:
                    future.set_result(msgspec.json.decode(result))

        def lost() -> None:
            if not future.done():
                future.set_exception(ConnectivityError(f"the connection ended before {method} was answered"))

        self.write(method, params, answered, lost, signed=signed, always=always)
        try:
            async with asyncio.timeout(_SECONDS):
                return await future
        except TimeoutError:
            raise ConnectivityError(f"Binance did not answer {method} within {_SECONDS:g} s") from None

    def close(self) -> None:
        """Leave; what waits for an answer is told that none comes. Harmless to repeat."""
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
            self._lose()

    def end(self, reason: str) -> None:
        """It is over, for this reason."""
        if self._socket is not None:
            self.close()
            self._on_end(reason)

    def _lose(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if not one.given_up:
                one.lost()

    def give_up(self, before_ns: int) -> int | None:
        """Call those lost that were written before then; gives when the next one was, None where none waits.

        What is answered after that is heard all the same.
        """
        for one in list(self._waiting.values()):
            if one.given_up:
                continue
            if one.since_ns > before_ns:
                return one.since_ns
            one.given_up = True
            one.lost()
        return None

    def _heard(self, payload: bytes) -> None:
        try:
            frame = _frames.decode(payload)
        except msgspec.DecodeError as error:
            self.end(f"Binance sent what cannot be read ({error})")
            return
        if len(frame.event):
            self._on_event(frame.event)
            return
        waiting = self._waiting.pop(str(frame.id), None)
        if waiting is None:  # of nobody who waits: it changes nothing
            return
        refusal = None
        if frame.status != 200 or frame.error is not None:
            refusal = _refusal(frame.status, frame.error or Error())
            self._rest.limited(refusal)
        try:
            waiting.answered(frame.result, refusal)
        except msgspec.DecodeError as error:
            waiting.lost()
            self.end(f"Binance answered what cannot be read ({error})")


def _refusal(status: int, error: Error) -> Refusal:
    data = error.data
    retry = max(0, data.retry_after - data.server_time) if data is not None else 0
    return Refusal(status, error.code, error.msg, retry)
