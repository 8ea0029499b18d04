"""The client of a control socket: answers in time, lost answers, and engines that are not there."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead._control.client import Client, new_request
from fairlead._control.protocol import ControlError
from fairlead.errors import ConfigurationError


@pytest.fixture
def listener(tmp_path: Path):
    """Somebody who plays the engine: each connection is handed to the next of the scenes."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = tmp_path / "control.sock"
    made.bind(str(path))
    made.listen()
    threads = []

    def play(*scenes: Callable[[dict, socket.socket], None]) -> tuple[Path, list[dict]]:
        heard: list[dict] = []

        def run() -> None:
            for scene in scenes:
                connection, _ = made.accept()
                with connection, connection.makefile("rb") as lines:
                    for line in lines:
                        heard.append(json.loads(line))
                        scene(heard[-1], connection)
                        if scene is hang_up:
                            break

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return path, heard

    yield play
    made.close()
    for thread in threads:
        thread.join(5)


def hang_up(request: dict, connection: socket.socket) -> None:
    """Takes the request and dies before it answers."""


def answer(request: dict, connection: socket.socket) -> None:
    """Says what was asked for."""
    connection.sendall(
        json.dumps({"id": request["id"], "ok": True, "value": request["verb"]}).encode() + b"\n"
    )


def silence(request: dict, connection: socket.socket) -> None:
    """Never answers."""


def nonsense(request: dict, connection: socket.socket) -> None:
    """Says what is no reply."""
    connection.sendall(b"what?\n")


def test_a_lost_answer_is_asked_for_again_under_the_same_name(listener):
    """The engine can tell that it is the same request: nothing is done twice."""
    path, heard = listener(hang_up, answer)
    with Client(path) as client:
        assert client.command("kill", "test") == "kill"
    assert len(heard) == 2
    assert heard[0]["request"] == heard[1]["request"] != ""


def test_two_commands_have_two_names():
    """Names of requests do not meet."""
    assert len({new_request() for _ in range(1_000)}) == 1_000


def test_an_engine_that_is_blocked_is_named_and_the_request_too(listener):
    """Nobody waits forever; what to do to ask again is said."""
    path, _ = listener(silence)
    with (
        Client(path, timeout=0.05) as client,
        pytest.raises(ControlError, match=r"not answered .* --request mine"),
    ):
        client.command("kill", "test", request="mine")


def test_nobody_there(tmp_path):
    """A socket that is not there, or that nobody listens to, is one sentence."""
    with Client(tmp_path / "none.sock") as client, pytest.raises(ControlError, match="no engine answers"):
        client.look("status")


def test_an_answer_that_cannot_be_read(listener):
    """Something else listens there."""
    path, _ = listener(nonsense)
    with Client(path) as client, pytest.raises(ControlError, match="cannot be read"):
        client.look("status")


def test_a_request_that_is_too_long_is_not_sent(tmp_path):
    """It is refused before anybody is bothered."""
    with Client(tmp_path / "none.sock") as client, pytest.raises(ConfigurationError, match="bytes"):
        client.command("halt", "x" * 100_000)
