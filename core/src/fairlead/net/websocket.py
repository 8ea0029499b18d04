"""WebSockets that hand each message over straight from the read of the socket.

They need the extra `fairlead[net]`, which is imported at the first connection and not before.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fairlead.errors import ConfigurationError, ConnectivityError

if TYPE_CHECKING:
    from picows import WSFrame, WSListener, WSTransport

CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 1.0

OnFrame = Callable[[bytes], None]
OnClose = Callable[[str], None]


class WebSocket:
    """An open connection, made by `connect_websocket`."""

    def __init__(self, transport: WSTransport, on_close: OnClose) -> None:
        from picows import WSCloseCode, WSMsgType

        self._transport = transport
        self._text, self._goodbye = WSMsgType.TEXT, WSCloseCode.OK
        self._on_close: OnClose | None = on_close
        self._ended = asyncio.ensure_future(transport.wait_disconnected())
        self._ended.add_done_callback(self._tell)

    def send_text(self, payload: bytes) -> None:
        """Write UTF-8 text to the socket, at once. Raises ConnectivityError when the connection has ended."""
        if self._transport.is_disconnected or self._transport.is_close_frame_sent:
            raise ConnectivityError("the connection has ended: nothing was sent")
        self._transport.send(self._text, payload)

    def close(self) -> None:
        """Say goodbye and hang up; `on_close` is not called any more. Harmless to repeat."""
        self._on_close = None
        self._transport.send_close(self._goodbye)
        self._transport.disconnect()

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left; a second at most after `close`."""
        await asyncio.wait({self._ended}, timeout=_CLOSE_SECONDS)

    def _tell(self, ended: asyncio.Future[None]) -> None:
        if ended.cancelled():
            return
        reason = "the connection was lost"
        said = self._transport.close_handshake
        if error := ended.exception():
            reason = f"given up: {error!r}"
        elif said is not None and said.recv is not None:
            reason = f"closed by the peer: {said.recv.code.value} {said.recv.reason or ''}".rstrip()
        elif said is not None and said.sent is not None:
            reason = said.sent.reason
        if self._on_close is not None:
            self._on_close(reason)


async def connect_websocket(
    url: str,
    on_frame: OnFrame,
    on_close: OnClose,
    *,
    headers: Mapping[str, str] | None = None,
    ping_interval: float = 10.0,
) -> WebSocket:
    """Open a WebSocket; each message goes to `on_frame` straight from the read of the socket, so it must not block.

    Pings are answered. A peer that is silent for `ping_interval` seconds is pinged, and given up after as many
    more without an answer. `on_close` is called once, with the reason, when the connection ends without `close`;
    an `on_frame` that raises ends it. Raises ConnectivityError where there is no connection after 10 seconds.
    """
    try:
        import picows
    except ImportError:
        raise ConfigurationError("a WebSocket needs picows: pip install 'fairlead[net]'") from None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, listener = await picows.ws_connect(
                functools.partial(_listener_class(), on_frame),
                url,
                websocket_handshake_timeout=None,
                enable_auto_ping=True,
                auto_ping_idle_timeout=ping_interval,
                auto_ping_reply_timeout=ping_interval,
                extra_headers=headers,
            )
    except TimeoutError:
        raise ConnectivityError(f"{url}: no connection after {CONNECT_SECONDS:g} s") from None
    except (OSError, picows.WSError) as error:
        raise ConnectivityError(f"{url}: {error or type(error).__name__}") from error
    if listener is None:  # hung up on in the middle of the handshake
        raise ConnectivityError(f"{url}: the peer hung up before the connection was open")
    return WebSocket(transport, on_close)


@functools.cache
def _listener_class() -> Callable[[OnFrame], WSListener]:
    from picows import WSListener, WSMsgType

    text, binary, more, close = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION, WSMsgType.CLOSE

    class Listener(WSListener):
        def __init__(self, on_frame: OnFrame) -> None:
            self._on_frame = on_frame
            self._parts: list[bytes] = []

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            kind = frame.msg_type
            if kind is text or kind is binary or kind is more:
                payload = frame.get_payload_as_bytes()
                if self._parts or not frame.fin:
                    self._parts.append(payload)
                    if not frame.fin:
                        return
                    payload = b"".join(self._parts)
                    self._parts.clear()
                try:
                    self._on_frame(payload)
                except BaseException:  # a reader that raised gets no more frames; its error goes on
                    self._on_frame = _ignore
                    raise
            elif kind is close:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    return Listener


def _ignore(payload: bytes) -> None:
    """What came after the callback failed, while the connection is taken down."""
