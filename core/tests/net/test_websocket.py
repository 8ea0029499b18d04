"""WebSockets against a loopback server of another make."""

import asyncio
import functools
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from fairlead import ConfigurationError, ConnectivityError
from fairlead.net import WebSocket, connect_websocket


def live(test):
    """Run a coroutine as a test, in a loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class Peer(WSListener):
    """The other end: notes what comes, answers with what the test likes."""

    def __init__(self, request: WSUpgradeRequest) -> None:
        self.request = request
        self.got: list[tuple[WSMsgType, bytes]] = []
        self.transport: WSTransport | None = None
        self.deaf = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.got.append((frame.msg_type, frame.get_payload_as_bytes()))
        if frame.msg_type is WSMsgType.PING and not self.deaf:
            transport.send_pong(frame.get_payload_as_bytes())
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


class Line:
    """A connection with both ends in hand."""

    def __init__(self, peer: Peer, frames: list[bytes], ends: list[str]) -> None:
        self.peer, self.frames, self.ends = peer, frames, ends
        self.socket: WebSocket

    @property
    def far(self) -> WSTransport:
        assert self.peer.transport is not None
        return self.peer.transport


@asynccontextmanager
async def connected(*, on_frame=None, **options) -> AsyncIterator[Line]:
    peers: list[Peer] = []

    def arrive(request: WSUpgradeRequest) -> Peer:
        peers.append(Peer(request))
        return peers[-1]

    server = await ws_create_server(arrive, "127.0.0.1", 0, enable_auto_pong=False)
    port = server.sockets[0].getsockname()[1]
    frames: list[bytes] = []
    ends: list[str] = []
    made = await connect_websocket(
        f"ws://127.0.0.1:{port}/feed", on_frame or frames.append, ends.append, **options
    )
    line = Line(peers[0], frames, ends)
    line.socket = made
    try:
        yield line
    finally:
        made.close()
        line.far.disconnect(False)
        server.close()
        await until(lambda: line.far.is_disconnected)


async def until(true, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  (what it waits for has no event)
            await asyncio.sleep(0.001)


@live
async def test_frames_arrive_in_order_and_orders_leave():
    async with connected(headers={"X-Key": "k"}) as line:
        for word in (b"one", b"two"):
            line.far.send(WSMsgType.TEXT, word)
        line.far.send(WSMsgType.BINARY, b"\x00")
        line.socket.send_text(b'{"order":1}')
        await until(lambda: len(line.frames) == 3 and line.peer.got)
        assert line.frames == [b"one", b"two", b"\x00"]
        assert line.peer.got == [(WSMsgType.TEXT, b'{"order":1}')]
        assert line.peer.request.path == b"/feed"
        assert line.peer.request.headers["X-Key"] == "k"


@live
async def test_a_message_in_parts_arrives_whole():
    async with connected() as line:
        line.far.send(WSMsgType.TEXT, b"half ", fin=False)
        line.far.send(WSMsgType.CONTINUATION, b"and ", fin=False)
        line.far.send(WSMsgType.CONTINUATION, b"half", fin=True)
        line.far.send(WSMsgType.TEXT, b"next")
        await until(lambda: len(line.frames) == 2)
        assert line.frames == [b"half and half", b"next"]


@live
async def test_a_ping_is_answered_and_is_no_message():
    async with connected() as line:
        line.far.send_ping(b"there?")
        await until(lambda: line.peer.got)
        assert line.peer.got == [(WSMsgType.PONG, b"there?")]
        assert line.frames == []


@live
async def test_a_silent_peer_is_pinged_and_kept_while_it_answers():
    async with connected(ping_interval=0.02) as line:
        await until(lambda: len(line.peer.got) >= 3)
        assert {kind for kind, _ in line.peer.got} == {WSMsgType.PING}
        assert line.ends == []


@live
async def test_a_peer_that_answers_no_ping_is_given_up():
    async with connected(ping_interval=0.02) as line:
        line.peer.deaf = True
        await until(lambda: line.ends)
        assert len(line.ends) == 1
        assert "not replied" in line.ends[0]
        with pytest.raises(ConnectivityError, match="ended"):
            line.socket.send_text(b"lost")


@pytest.mark.parametrize(("code", "reason"), [(1001, "maintenance"), (4002, "")])
@live
async def test_the_peers_goodbye_is_told_once_with_its_reason(code, reason):
    async with connected() as line:
        line.far.send_close(code, reason)
        await until(lambda: line.ends)
        line.socket.close()
        await asyncio.sleep(0.01)
        assert line.ends == [f"closed by the peer: {code} {reason}".rstrip()]


@live
async def test_a_lost_connection_is_told():
    async with connected() as line:
        line.far.disconnect(False)
        await until(lambda: line.ends)
        assert line.ends == ["the connection was lost"]


@live
async def test_our_own_goodbye_is_not_told():
    async with connected() as line:
        line.socket.close()
        line.socket.close()
        await until(lambda: line.far.is_disconnected)
        await asyncio.sleep(0.01)
        assert [kind for kind, _ in line.peer.got] == [WSMsgType.CLOSE]
        assert line.ends == []
        with pytest.raises(ConnectivityError, match="nothing was sent"):
            line.socket.send_text(b"late")


@live
async def test_a_callback_that_raises_ends_the_connection_and_gets_no_more(caplog):
    seen = []

    def stumble(frame):
        seen.append(frame)
        raise ValueError("no such tick")

    with caplog.at_level(logging.CRITICAL, "picows"):
        async with connected(on_frame=stumble) as line:
            line.far.send(WSMsgType.TEXT, b"1")
            line.far.send(WSMsgType.TEXT, b"2")
            await until(lambda: line.ends)
            assert seen == [b"1"]
            assert line.ends == ["given up: ValueError('no such tick')"]


@live
async def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectivityError, match=f"ws://127.0.0.1:{port}: "):
        await connect_websocket(f"ws://127.0.0.1:{port}", print, print)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b""])
@live
async def test_no_handshake(answer):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectivityError, match=f"{port}: "):
            await connect_websocket(f"ws://127.0.0.1:{port}", print, print)


@live
async def test_a_peer_that_never_answers_the_handshake(monkeypatch):
    monkeypatch.setattr("fairlead.net.websocket.CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(ConnectivityError, match="no connection after"):
            await connect_websocket(f"ws://127.0.0.1:{port}", print, print)


@live
async def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "picows", None)
    with pytest.raises(ConfigurationError, match=r"fairlead\[net\]"):
        await connect_websocket("ws://127.0.0.1:1", print, print)
