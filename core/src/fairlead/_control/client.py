"""Asks a running engine, and waits for its answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from fairlead._control.protocol import (
    FAULT,
    MOST_REPLY_BYTES,
    ControlError,
    Reply,
    Request,
    read_reply,
    write_request,
)

ANSWER_SECONDS = 10.0


def new_request() -> str:
    """A name for a request that nobody else has used."""
    return os.urandom(9).hex()


class Client:
    """A connection to the control socket of one engine, made at the first question.

    `who` is what this client calls itself. Also a context manager.
    """

    def __init__(self, path: Path | str, *, who: str = "", timeout: float = ANSWER_SECONDS) -> None:
        self._path = str(path)
        self._who = who
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._rest = b""
        self._count = 0

    def look(self, what: str, **arguments: str) -> Any:
        """What the engine shows: status, positions, orders, … Raises ControlError."""
        return self._ask(Request(verb=what, who=self._who, arguments=arguments), again=True)

    def command(
        self, verb: str, why: str, arguments: Mapping[str, str] | None = None, request: str = ""
    ) -> Any:
        """Have the engine do something once, and give what it says of it. Raises ControlError.

        An answer that was lost is asked for again under the same name of the request, so nothing is done twice.
        """
        name = request or new_request()
        asked = Request(verb=verb, who=self._who, why=why, arguments=dict(arguments or {}), request=name)
        return self._ask(asked, again=True)

    def close(self) -> None:
        """Hang up; harmless to repeat."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: Request, *, again: bool) -> Any:
        self._count += 1
        line = write_request(_numbered(request, self._count))
        try:
            reply = self._exchange(line)
        except TimeoutError:
            self.close()
            named = (
                f"; to ask again for the same thing, --request {request.request}" if request.request else ""
            )
            raise ControlError(
                FAULT,
                f"the engine has not answered within {self._timeout:g} s: its thread is busy or blocked, and what "
                f"was asked for may still be done{named}",
            ) from None
        except OSError as error:
            self.close()
            if again and isinstance(error, ConnectionResetError | BrokenPipeError):
                return self._ask(request, again=False)
            raise ControlError(
                FAULT, f"no engine answers at {self._path} ({error.strerror or error})"
            ) from None
        if not reply.ok:
            raise ControlError(reply.kind or FAULT, reply.message)
        return reply.value

    def _exchange(self, line: bytes) -> Reply:
        self._connect().sendall(line)
        while True:
            reply = read_reply(self._line())
            if reply.id in (self._count, ""):  # "": it could not even be read, or we are one too many
                return reply

    def _connect(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                made.settimeout(self._timeout)
                made.connect(self._path)
            except BaseException:  # whatever stopped it, the socket is not left behind
                made.close()
                raise
            self._socket = made
        return self._socket

    def _line(self) -> bytes:
        assert self._socket is not None
        parts, size = [self._rest], len(self._rest)
        while b"\n" not in parts[-1]:
            part = self._socket.recv(1 << 16)
            if not part:
                raise ConnectionResetError("it hung up")
            size += len(part)
            if size > MOST_REPLY_BYTES:
                raise ControlError(FAULT, f"the engine's answer is longer than {MOST_REPLY_BYTES:,} bytes")
            parts.append(part)
        whole, _, self._rest = b"".join(parts).partition(b"\n")
        return whole


def _numbered(request: Request, number: int) -> Request:
    from msgspec.structs import replace

    return replace(request, id=number)
