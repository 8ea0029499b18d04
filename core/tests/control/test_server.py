"""The control socket: what it answers, and that no client can hurt who listens."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead._control import server as module
from fairlead._control.protocol import MOST_BYTES, REFUSED, ControlError, Request
from fairlead._control.server import ControlServer
from fairlead._engine.background import new_loop
from fairlead.errors import ConfigurationError, VenueError

SECONDS = 10.0


def echo(request: Request, who: str) -> Any:
    """Answers with what was asked."""
    match request.verb:
        case "bad":
            raise ConfigurationError("write it otherwise")
        case "no":
            raise VenueError("not today")
        case "later":
            raise ControlError(REFUSED, "not yet")
        case "broken":
            raise ZeroDivisionError("oh")
        case "long":
            return "x" * 100_000
    return {"verb": request.verb, "who": who, "why": request.why, **request.arguments}


class Peer:
    """A client that says whatever a test likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes | dict[str, Any]) -> None:
        self.writer.write(data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.reader.readline(), SECONDS)
        assert line, "it hung up"
        found: dict[str, Any] = json.loads(line)
        return found

    async def ask(self, data: bytes | dict[str, Any]) -> dict[str, Any]:
        self.say(data)
        return await self.hear()

    async def gone(self) -> None:
        """Wait until the other end has hung up, whatever it said before."""
        try:
            while await asyncio.wait_for(self.reader.read(1 << 16), SECONDS):
                pass
        except OSError:
            pass


Talk = Callable[[Callable[[], Awaitable[Peer]], ControlServer], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, new_loop], ids=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Run a test's talk beside a server, on either loop."""

    def run(talk: Talk, handle: Callable[[Request, str], Any] = echo) -> None:
        async def main() -> None:
            server = ControlServer(tmp_path / "control.sock", asyncio.get_running_loop(), handle)
            await server.open()
            peers: list[Peer] = []

            async def connect() -> Peer:
                peers.append(Peer(*await asyncio.open_unix_connection(str(server.path), limit=1 << 22)))
                return peers[-1]

            try:
                await talk(connect, server)
            finally:
                await server.close()
                for peer in peers:
                    peer.writer.close()
                    try:
                        await peer.writer.wait_closed()
                    except OSError:
                        pass
            assert not server.path.exists()
            assert not server.connections

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run


def test_a_request_is_answered_by_its_reply(serve):
    """The reply carries the request's id, and tells who asked as the system knows it."""

    async def talk(connect, server):
        peer = await connect()
        found = await peer.ask({"id": 7, "verb": "status", "who": "cli", "why": "x", "arguments": {"a": "b"}})
        user = module.user_name(os.getuid())
        said = {"verb": "status", "who": f"{user} (cli)", "why": "x", "a": "b"}
        assert found == {"id": 7, "ok": True, "value": said}
        assert (await peer.ask({"verb": "status"}))["value"]["who"] == user

    serve(talk)


@pytest.mark.parametrize(
    ("verb", "kind", "message"),
    [
        ("bad", "usage", "write it otherwise"),
        ("no", "refused", "not today"),
        ("later", "refused", "not yet"),
        ("broken", "fault", "the engine failed at it: ZeroDivisionError: oh"),
    ],
)
def test_what_goes_wrong_is_a_reply(serve, verb, kind, message, caplog):
    """An error of any kind is said to the client, which may go on."""

    async def talk(connect, server):
        peer = await connect()
        found = await peer.ask({"id": "a", "verb": verb})
        assert found == {"id": "a", "ok": False, "kind": kind, "message": message}
        assert (await peer.ask({"id": "b", "verb": "status"}))["ok"]

    serve(talk)
    assert bool(caplog.records) is (kind == "fault")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"hello\n",
        b"{\n",
        b"[]\n",
        b'"status"\n',
        b"{}\n",
        b'{"verb": 5}\n',
        b'{"verb": "status", "arguments": ["a"]}\n',
        b'{"verb": "status", "arguments": {"a": 1}}\n',
        b'{"verb": "status", "more": 1}\n',
        b'{"verb": "status", "id": {}}\n',
        b'{"verb": "status", "why": "\\u001b[2J"}\n',
        b'{"verb": "status", "who": "a\\nb"}\n',
        b'{"verb": "status", "arguments": {"\\u0000": ""}}\n',
        b'{"verb": "\xff\xfe"}\n',
        b'{"verb": "status", "why": "' + b"y" * 2_000 + b'"}\n',
        b"[" * 50_000 + b"\n",
        json.dumps({"verb": "status", "arguments": {str(n): "" for n in range(100)}}).encode() + b"\n",
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_wrong_request_is_refused_and_harms_nobody(serve, line):
    """Whatever the bytes are: one sentence comes back, and the connection goes on."""

    async def talk(connect, server):
        peer = await connect()
        found = await peer.ask(line)
        assert (found["ok"], found["kind"]) == (False, "usage")
        assert found["message"]
        assert (await peer.ask({"verb": "status"}))["ok"]

    serve(talk)


def test_a_line_without_an_end_is_cut_off(serve):
    """What is too long is not kept: the client is told, and the others go on."""

    async def talk(connect, server):
        other, peer = await connect(), await connect()
        peer.say(b"x" * (MOST_BYTES + 200_000))
        found = await peer.hear()
        assert found["kind"] == "usage"
        assert "at most" in found["message"]
        await peer.gone()
        assert (await other.ask({"verb": "status"}))["ok"]

    serve(talk)


def test_half_a_line_is_not_waited_for_forever(serve, monkeypatch):
    """A client that never ends its request is cut off after a while, as is one that says nothing."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)

    async def talk(connect, server):
        silent, half = await connect(), await connect()
        half.say(b'{"verb": "sta')
        await silent.gone()
        await half.gone()
        assert (await (await connect()).ask({"verb": "status"}))["ok"]

    serve(talk)


def test_requests_may_come_in_pieces_and_in_heaps(serve):
    """A line that comes byte by byte is one request; ten lines at once are ten, answered in order."""

    async def talk(connect, server):
        peer = await connect()
        for byte in b'{"verb": "status", "id": 1}\n':
            peer.say(bytes([byte]))
            await peer.writer.drain()
        assert (await peer.hear())["id"] == 1
        peer.say(b"".join(json.dumps({"verb": "status", "id": n}).encode() + b"\n" for n in range(10)))
        assert [(await peer.hear())["id"] for _ in range(10)] == list(range(10))

    serve(talk)


def test_who_does_not_take_his_answers_gets_no_more(serve, monkeypatch):
    """A client that only asks has its requests wait, so little is kept for it; it is cut off, and others go on."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 1.0)
    handled = []

    def count(request: Request, who: str) -> Any:
        handled.append(request.id)
        return echo(request, who)

    async def talk(connect, server):
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with deaf:
            deaf.connect(str(server.path))
            deaf.sendall(b"".join(json.dumps({"verb": "long", "id": n}).encode() + b"\n" for n in range(200)))
            other = await connect()
            while len(server.connections) < 2:
                assert (await other.ask({"verb": "status", "id": -1}))["ok"]
            while len(server.connections) > 1:
                assert (await other.ask({"verb": "status", "id": -1}))["ok"]
        kept = [number for number in handled if number != -1]
        assert len(kept) < 60

    serve(talk, count)


def test_a_busy_client_takes_turns_with_the_others(serve):
    """Between two requests of one client, every other that waits gets its answer."""
    handled = []

    def note(request: Request, who: str) -> Any:
        handled.append(request.arguments["of"])

    async def talk(connect, server):
        busy, other = await connect(), await connect()
        busy.say(
            json.dumps({"verb": "status", "arguments": {"of": "busy"}}).encode().join([b""] + [b"\n"] * 500)
        )
        await busy.writer.drain()
        await busy.hear()
        await other.ask({"verb": "status", "arguments": {"of": "other"}})
        assert handled.index("other") < 100

    serve(talk, note)


def test_there_is_an_end_to_the_number_of_clients(serve, monkeypatch):
    """One too many is told so; when another leaves there is room again."""
    monkeypatch.setattr(module, "CONNECTIONS", 2)

    async def talk(connect, server):
        first, second = await connect(), await connect()
        for peer in (first, second):
            assert (await peer.ask({"verb": "status"}))["ok"]
        third = await connect()
        assert "2 clients are connected" in (await third.hear())["message"]
        await third.gone()
        first.writer.close()
        await first.writer.wait_closed()
        while len(server.connections) > 1:  # each question gives the loop its turn
            assert (await second.ask({"verb": "status"}))["ok"]
        assert (await (await connect()).ask({"verb": "status"}))["ok"]

    serve(talk)


def test_another_user_is_turned_away(serve, monkeypatch, caplog):
    """Not only the mode of the socket's file protects it: who connects is looked at."""
    monkeypatch.setattr(module, "peer_uid", lambda _: os.getuid() + 1)

    async def talk(connect, server):
        peer = await connect()
        assert await peer.hear() == {
            "id": "", "ok": False, "kind": "refused", "message": "this engine belongs to another user",
        }  # fmt: skip
        await peer.gone()

    def never(request: Request, who: str) -> Any:
        raise AssertionError("it was let in")

    serve(talk, never)
    assert "turned away" in caplog.text


def test_the_socket_is_its_owners_alone(serve):
    """Mode 0600, whatever the umask is."""

    async def talk(connect, server):
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o600

    before = os.umask(0)
    try:
        serve(talk)
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced_and_nothing_else(tmp_path):
    """What a killed engine has left makes room; a file of that name is left alone."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))

    async def main() -> None:
        server = ControlServer(path, asyncio.get_running_loop(), echo)
        await server.open()
        await server.close()
        path.write_text("mine", encoding="utf-8")
        with pytest.raises(FileExistsError):
            await server.open()

    asyncio.run(main())
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_successors_socket_is_left_alone(tmp_path):
    """A server takes away the socket that it made, not one that has taken its place."""
    path = tmp_path / "control.sock"

    async def main() -> None:
        first = ControlServer(path, asyncio.get_running_loop(), echo)
        second = ControlServer(path, asyncio.get_running_loop(), echo)
        await first.open()
        await second.open()
        await first.close()
        assert path.exists()
        await second.close()
        assert not path.exists()

    asyncio.run(main())
