"""The control socket of a running engine, on its loop and off its hot path.

It handles one request at a time and rests after each, so that no client, however busy, broken or slow, takes
more of the engine's time than that. What a client may send, keep waiting and leave unread is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import pwd
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from fairlead._control.protocol import (
    FAULT,
    MOST_BYTES,
    REFUSED,
    USAGE,
    ControlError,
    Reply,
    Request,
    read_request,
    write_reply,
)
from fairlead._secrets.scrub import scrub
from fairlead._storage.files import make_folder
from fairlead.errors import ConfigurationError, FairleadError

log = logging.getLogger("fairlead.control")

CONNECTIONS = 32
"""Clients at a time."""

IDLE_SECONDS = 60.0
"""A client that has sent no whole request, or not taken its answers, for so long is cut off."""

REST_SECONDS = 0.002
"""After a request nothing is handled for so long."""

UNREAD_BYTES = 1 << 20
"""With so many bytes of answers that it has not taken, a client's further requests wait."""

_TURNS = 8
"""The loop has opened or closed a connection after so many turns."""

Handler = Callable[[Request, str], Any]
"""Answers a request of somebody. A ConfigurationError is the client's fault, another FairleadError a refusal."""


class ControlServer:
    """Listens for as long as a run lasts; `handle` is called on the loop's thread."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, handle: Handler) -> None:
        self.path = path
        self._loop = loop
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._ready: deque[Connection] = deque()
        self._working: asyncio.TimerHandle | None = None
        self.connections: set[Connection] = set()
        self.closed = False

    async def open(self) -> None:
        """Make the socket and listen. Raises OSError; whoever has the run's lock may replace a stale one."""
        make_folder(self.path.parent, 0o700)
        _remove_stale(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(listener.fileno(), 0o600)  # the file is made with it: at no moment may others connect
            listener.bind(str(self.path))
            self.path.chmod(0o600)  # where a socket's own mode does not count
            self._inode = self.path.stat().st_ino
            listener.setblocking(False)
            self._server = await self._loop.create_unix_server(lambda: Connection(self), sock=listener)
        except BaseException:  # whatever stopped it, the listener is not left behind
            listener.close()
            raise

    async def close(self) -> None:
        """Cut everybody off and take the socket away."""
        if self._server is not None:
            self._server.close()
        if self._working is not None:
            self._working.cancel()
        self._ready.clear()
        self.closed = True
        for connection in list(self.connections):
            connection.close()
        for _ in range(_TURNS):  # what was said last may leave, and who is just coming in is turned away
            await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    # --- requests, one at a time ----------------------------------------------------------------------------

    def ready(self, connection: Connection) -> None:
        """A client has a whole request waiting."""
        self._ready.append(connection)
        if self._working is None:
            self._working = self._loop.call_later(0, self._work)

    def _work(self) -> None:
        self._working = None
        while self._ready:
            connection = self._ready.popleft()
            line = connection.next_line()
            if line is None:
                continue
            connection.answer(self._answer(line, connection.peer))
            self._working = self._loop.call_later(REST_SECONDS, self._work)
            return

    def _answer(self, line: bytes, peer: str) -> bytes:
        number: str | int = ""
        try:
            request = read_request(line)
            number = request.id
            who = f"{peer} ({request.who})" if request.who else peer
            return write_reply(Reply(number, ok=True, value=self._handle(request, who)))
        except ConfigurationError as error:
            return _no(number, USAGE, str(error))
        except ControlError as error:
            return _no(number, error.kind, str(error))
        except FairleadError as error:
            return _no(number, REFUSED, str(error))
        except Exception as error:  # whatever a question brings to light, trading goes on
            log.exception("a request over the control socket failed")
            return _no(number, FAULT, f"the engine failed at it: {type(error).__name__}: {error}")


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._loop = server._loop
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._unread = False
        self._queued = False
        self._patience: asyncio.TimerHandle | None = None
        self.peer = ""

    # --- called by the loop ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let in this user, and root, while there is room."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._server.connections.add(self)
        if self._server.closed:
            transport.abort()
            return
        uid = peer_uid(transport.get_extra_info("socket"))
        if uid not in (os.geteuid(), 0):
            log.warning("the user with the id %s was turned away from the control socket", uid)
            self._dismiss(REFUSED, "this engine belongs to another user")
            return
        if len(self._server.connections) > CONNECTIONS:
            self._dismiss(REFUSED, f"{CONNECTIONS} clients are connected already: close one, then try again")
            return
        self.peer = user_name(uid)
        transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is a line; while requests wait, nothing more is read."""
        self._buffer += data
        if b"\n" in data:
            self._queue()
        if b"\n" not in self._buffer[: MOST_BYTES + 1] and len(self._buffer) > MOST_BYTES:
            self._dismiss(USAGE, f"a request has at most {MOST_BYTES:,} bytes")

    def pause_writing(self) -> None:
        """It does not take its answers."""
        self._unread = True

    def resume_writing(self) -> None:
        """It has taken them."""
        self._unread = False
        self._queue()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._server.connections.discard(self)
        self._buffer.clear()
        self._transport = None
        if self._patience is not None:
            self._patience.cancel()

    # --- called by the server -------------------------------------------------------------------------------

    def next_line(self) -> bytes | None:
        """The request that waits longest, None where the client is gone."""
        self._queued = False
        line, end, rest = self._buffer.partition(b"\n")
        if not end or self._transport is None:
            return None
        self._buffer = rest
        return bytes(line)

    def answer(self, reply: bytes) -> None:
        """Say it, and go on with the next request, or with reading."""
        if self._transport is None:
            return
        self._transport.write(reply)
        self._wait()
        if b"\n" in self._buffer:
            self._queue()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Hang up once it has been told everything."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        if self._transport is not None:
            self._transport.abort()

    def _queue(self) -> None:
        if self._transport is None or self._queued or self._unread or b"\n" not in self._buffer:
            return
        if not self._transport.is_closing():
            self._transport.pause_reading()
        self._queued = True
        self._server.ready(self)

    def _wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._loop.call_later(IDLE_SECONDS, self.abort)

    def _dismiss(self, kind: str, message: str) -> None:
        assert self._transport is not None
        self._buffer.clear()
        self._transport.pause_reading()
        self._transport.write(_no("", kind, message))
        self._transport.close()


def peer_uid(connected: socket.socket) -> int:
    """The id of the user at the other end, as the system knows it; -1 where it does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:  # the mode of the socket's file alone must do
        return os.geteuid()
    try:
        _, uid, _ = struct.unpack(
            "3i", connected.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
        )
    except OSError:
        return -1
    return int(uid)


def user_name(uid: int) -> str:
    """The name of a user, or the id where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _no(number: str | int, kind: str, message: str) -> bytes:
    return write_reply(Reply(number, ok=False, kind=kind, message=scrub(message)))


def _remove_stale(path: Path) -> None:
    """What an engine that was killed has left. Raises FileExistsError for what is no socket."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "something that is no socket is there", str(path))
        path.unlink()
