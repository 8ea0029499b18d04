"""What is spoken with a venue in its own process: one JSON object to a line.

A request has an `id`, which its answer repeats; `submit`, `cancel`, `cancel_all`, `replace`, `dead_man`, `market` and
`learn` get no answer of their own: their effects are pushed as reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from fairlead import ConfigurationError, Instrument
from fairlead.ports import (
    ArmDeadMan,
    Cancel,
    CancelAll,
    FillReport,
    MarketEvent,
    OrderReport,
    Replace,
    Report,
    Snapshot,
    Submit,
    VenueProfile,
)

LIMIT = 1 << 20
"""The longest line, in bytes."""


class Hello(msgspec.Struct, tag="hello", tag_field="do"):
    """Who is there? From the answer on, reports are pushed."""

    id: int


class SendSubmit(msgspec.Struct, tag="submit", tag_field="do"):
    """Put an order to work."""

    command: Submit


class SendCancel(msgspec.Struct, tag="cancel", tag_field="do"):
    """Take an order back."""

    command: Cancel


class SendCancelAll(msgspec.Struct, tag="cancel_all", tag_field="do"):
    """Take all orders back."""

    command: CancelAll


class SendReplace(msgspec.Struct, tag="replace", tag_field="do"):
    """Change an order in place."""

    command: Replace


class SendDeadMan(msgspec.Struct, tag="dead_man", tag_field="do"):
    """Set the dead-man switch."""

    command: ArmDeadMan


class Learn(msgspec.Struct, tag="learn", tag_field="do"):
    """List an instrument."""

    instrument: Instrument


class Market(msgspec.Struct, tag="market", tag_field="do"):
    """A market event happened."""

    event: MarketEvent


class AskSnapshot(msgspec.Struct, tag="snapshot", tag_field="do"):
    """How does the account stand?"""

    id: int


class AskLookup(msgspec.Struct, tag="lookup", tag_field="do"):
    """What is known of these orders?"""

    id: int
    client_order_ids: Sequence[str]


class AskFills(msgspec.Struct, tag="fills", tag_field="do"):
    """Which executions were there since then?"""

    id: int
    since_ns: int


class AskInstruments(msgspec.Struct, tag="instruments", tag_field="do"):
    """What is listed?"""

    id: int


Request = (
    Hello
    | SendSubmit
    | SendCancel
    | SendCancelAll
    | SendReplace
    | SendDeadMan
    | Learn
    | Market
    | AskSnapshot
    | AskLookup
    | AskFills
    | AskInstruments
)


class Welcome(msgspec.Struct, tag="welcome", tag_field="is"):
    """The answer to hello."""

    id: int
    profile: VenueProfile


class IsSnapshot(msgspec.Struct, tag="snapshot", tag_field="is"):
    """The account."""

    id: int
    snapshot: Snapshot


class IsLookup(msgspec.Struct, tag="lookup", tag_field="is"):
    """The orders; null where none is known."""

    id: int
    orders: Mapping[str, OrderReport | None]


class IsFills(msgspec.Struct, tag="fills", tag_field="is"):
    """The executions, oldest first."""

    id: int
    fills: Sequence[FillReport]


class IsInstruments(msgspec.Struct, tag="instruments", tag_field="is"):
    """What is listed."""

    id: int
    instruments: Sequence[Instrument]


class Pushed(msgspec.Struct, tag="report", tag_field="is"):
    """Something happened."""

    report: Report


class Failure(msgspec.Struct, tag="failure", tag_field="is"):
    """What was asked could not be understood or done; the connection ends."""

    message: str


Answer = Welcome | IsSnapshot | IsLookup | IsFills | IsInstruments | Pushed | Failure

_encoder = msgspec.json.Encoder(decimal_format="string")
requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def line(message: Request | Answer) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message) + b"\n"


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `tcp://127.0.0.1:9000`, or a path and 0 of `unix:///run/venue.sock`.

    Raises ConfigurationError.
    """
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if kind == "unix" and rest:
        return rest, 0
    if kind == "tcp" and host and port.isdecimal():
        return host, int(port)
    raise ConfigurationError(f"{address!r} is no address: write tcp://HOST:PORT or unix://PATH")
