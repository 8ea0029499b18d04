"""The test run keeps itself and its children on this machine."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# 192.0.2.1 is reserved for documentation and .invalid never resolves, should the guard fail.
TESTS = """
import asyncio, contextlib, socket, subprocess, sys
import pytest

def connect(): socket.create_connection(("192.0.2.1", 9), timeout=0.01)
def connect_ex(): socket.socket().connect_ex(("192.0.2.1", 9))
def connect_v6(): socket.socket(socket.AF_INET6).connect(("2001:db8::1", 9))
def connect_mapped(): socket.socket(socket.AF_INET6).connect(("::ffff:192.0.2.1", 9))
def send(): socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9))
def lookup(): socket.getaddrinfo("venue.invalid", 443)
def asynchronous(): asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 9), 0.01))
def child(): subprocess.run([sys.executable, "-c", "import socket; socket.socket().connect_ex(('192.0.2.1', 9))"])

def uvloop():
    import uvloop
    uvloop.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 9), 0.01))

OUTSIDE = [connect, connect_ex, connect_v6, connect_mapped, send, lookup, asynchronous, child, uvloop]

@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("reach", OUTSIDE)
def test_outside(reach):
    with contextlib.suppress(Exception):
        reach()

async def echo():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "localhost", 0)
    reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
    writer.write(b"ahoy\\n")
    assert await reader.readline() == b"ahoy\\n"
    writer.close()
    await writer.wait_closed()
    server.close()

def test_inside_asyncio():
    asyncio.run(echo())

def test_inside_uvloop():
    pytest.importorskip("uvloop").run(echo())

def test_inside_socketpair():
    for end in socket.socketpair():
        end.close()

def test_inside_unix(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))

def test_inside_v6():
    with socket.socket(socket.AF_INET6) as client:
        assert client.connect_ex(("::1", 9))
"""


def test_a_socket_to_another_machine_fails_the_test(tmp_path: Path) -> None:
    """Every way out fails its test, even if the error is swallowed; loopback and Unix sockets pass."""
    (tmp_path / "test_reach.py").write_text(TESTS, encoding="utf-8")
    options = ["-p", "conftest", "-p", "no:cacheprovider", "-c", "pyproject.toml", "-rA", "--color=no"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    outcome = {
        line.split("::")[1].split(" ")[0]: line.split(" ")[0]
        for line in done.stdout.splitlines()
        if line.startswith(("PASSED ", "FAILED ", "ERROR "))
    }
    assert len(outcome) == 14, done.stdout + done.stderr
    for name, result in outcome.items():
        assert result == ("FAILED" if name.startswith("test_outside") else "PASSED"), done.stdout
