"""What is said over a control socket: one JSON object a line, each request answered by one reply."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.errors import ConfigurationError, FairleadError

MOST_BYTES = 65_536
"""A request's line is at most this long; replies may be longer."""

MOST_REPLY_BYTES = 32 << 20
"""A client reads no reply that is longer than this."""

_MOST_CHARACTERS = 1_000
_MOST_ARGUMENTS = 32

USAGE, REFUSED, FAULT = "usage", "refused", "fault"
"""Kinds of a reply that is not ok: the request is wrong; it is right and not granted; the engine failed at it."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request. `id` comes back in its reply and means nothing else.

    `who` is what the client says of itself, `why` the reason. `request` names what is asked for: sent again, on
    whatever connection, a command that was taken is not carried out a second time.
    """

    verb: str
    id: str | int = ""
    who: str = ""
    why: str = ""
    arguments: dict[str, str] = {}
    request: str = ""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request came to: `value` where it is ok, else the kind of its failure and one sentence."""

    id: str | int
    ok: bool
    value: Any = None
    kind: str = ""
    message: str = ""


class ControlError(FairleadError):
    """A control socket said no, or nothing: `kind` is usage, refused or fault."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


_requests = msgspec.json.Decoder(Request)
_replies = msgspec.json.Decoder(Reply)


def read_request(line: bytes) -> Request:
    """The request of a line. Raises ConfigurationError, which names what is wrong with it."""
    try:
        request = _requests.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(
            f"this is no request ({error}): send one JSON object a line, "
            f'{{"id": "1", "verb": "status", "who": "", "why": "", "arguments": {{}}}}'
        ) from None
    if len(request.arguments) > _MOST_ARGUMENTS:
        raise ConfigurationError(f"a request has at most {_MOST_ARGUMENTS} arguments")
    named = {name: getattr(request, name) for name in ("verb", "id", "who", "why", "request")}
    for name, text in [*named.items(), *request.arguments.items(), *((n, n) for n in request.arguments)]:
        _check_text(name, str(text))
    return request


def _check_text(name: str, text: str) -> None:
    """What is written into the journal is shown on terminals: it must not steer them."""
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(
            f"{name[:20]} has {len(text):,} characters: use at most {_MOST_CHARACTERS:,}"
        )
    if not text.isprintable():
        raise ConfigurationError(f"{name[:20]!r} holds characters that cannot be printed: leave them out")


def write_request(request: Request) -> bytes:
    """A request as a line. Raises ConfigurationError where it is too long."""
    line = msgspec.json.encode(request) + b"\n"
    if len(line) > MOST_BYTES:
        raise ConfigurationError(f"the request has {len(line):,} bytes: say it in {MOST_BYTES:,}")
    return line


def read_reply(line: bytes) -> Reply:
    """The reply of a line. Raises ControlError where it is none."""
    try:
        return _replies.decode(line)
    except msgspec.MsgspecError as error:
        raise ControlError(FAULT, f"the engine's answer cannot be read ({error})") from None


def write_reply(reply: Reply) -> bytes:
    """A reply as a line."""
    return msgspec.json.encode(reply) + b"\n"
