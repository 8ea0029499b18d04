"""The seam between the venue and its protocols: what a front gets, and what it has to give."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import attrs

from fairlead import ConfigurationError, Instrument
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import Fault, FaultKind, Faults
from fairlead_venue.wire import Call, Reply, RequestLog

FRONTS = {
    "binance": "fairlead_venue.binance:BinanceFront",
    "bybit": "fairlead_venue.bybit:BybitFront",
    "hyperliquid": "fairlead_venue.hyperliquid:HyperliquidFront",
    "tws": "fairlead_venue.tws:TwsFront",
}
"""The protocols there are, each with the class of its front."""


@attrs.frozen(kw_only=True)
class Settings:
    """What a person chose. `variants` select between documents that differ, each front has its own names for them.

    `pairs` are what is listed where no instruments are given: `BTC/USDT`, with the tick of its prices.
    """

    key: str = "venue-key"
    secret: str = attrs.field(default="venue-secret", repr=False)
    public_key: str = ""
    cash: Mapping[str, Decimal] = attrs.Factory(dict)
    pairs: Mapping[str, Decimal] = attrs.Factory(dict)
    instruments: Sequence[Instrument] = ()
    variants: Mapping[str, str] = attrs.Factory(dict)


class Server(Protocol):
    """What a front may ask of the server that runs it."""

    @property
    def exchange(self) -> Exchange:
        """Clock, markets, wallets."""
        ...

    @property
    def faults(self) -> Faults:
        """The plan at work."""
        ...

    @property
    def log(self) -> RequestLog:
        """What was asked so far."""
        ...

    @property
    def channels(self) -> Sequence[Channel]:
        """The streams that are open."""
        ...

    def serve(self, call: Call) -> None:
        """Carry out a request that came over its channel, faults and latency included, and answer there."""
        ...

    def strike(self, channel: Channel, fault: Fault) -> None:
        """Let a fault strike a stream: what a `Channel` of a raw front is made with."""
        ...

    def join(self, channel: Channel) -> None:
        """Count a raw front's connection among the streams, with the faults that strike a connection."""
        ...

    def leave(self, channel: Channel) -> None:
        """It is gone."""
        ...


class Behaviour(Protocol):
    """What every protocol says and does, whatever carries it. It owns ids, validation, errors, limits and streams.

    A front is made with the settings and the server; the exchange behind it owns the books. It may say what it knows,
    so that a slip of the pen is refused: its class `variants` (`check_variants` has their form), it itself `labels`, a
    set of the labels of its places.
    """

    def read(self, call: Call) -> None:
        """Give a request its labels and params; must not raise."""
        ...

    def execute(self, call: Call) -> Reply:
        """Carry a request out, and answer; refusals are answers too. An empty body is not sent."""
        ...

    def refused(self, call: Call, fault: Fault, until_ns: int) -> Reply:
        """How this protocol says refuse, unknown, rate_limit, ban or maintenance."""
        ...

    def spoil(self, body: str | bytes, kind: FaultKind) -> str | bytes:
        """An answer as garbage, or with an undocumented field or word."""
        ...

    def struck(self, channel: Channel, fault: Fault) -> None:
        """A `shutdown` (announce it; the server closes), `expire` or `notice` struck a stream."""
        ...


class Front(Behaviour, Protocol):
    """A protocol over HTTP and WebSockets."""

    @property
    def enums(self) -> frozenset[str]:
        """Fields of its messages that hold one of a documented set of words."""
        ...

    @property
    def ping_every(self) -> float:
        """Seconds between pings to a client's WebSocket; 0 for none."""
        ...

    def addresses(self, host: str, port: int) -> Mapping[str, str]:
        """What to tell a client's SDK, by the name of the setting."""
        ...

    def connected(self, channel: Channel, query: str) -> Reply | None:
        """A WebSocket opens: set it up, or say why not."""
        ...

    def heard(self, channel: Channel, text: str) -> None:
        """A frame came."""
        ...

    def left(self, channel: Channel) -> None:
        """A WebSocket is gone."""
        ...


@runtime_checkable
class RawFront(Behaviour, Protocol):
    """A protocol that listens itself. Its connections are `Channel`s of its own, which `join` and `leave` the server;
    its requests are `Call`s, which `serve` carries out."""

    async def open(self, host: str, port: int) -> Mapping[str, str]:
        """Listen on a loopback host; returns the addresses. Raises ConfigurationError."""
        ...

    async def close(self) -> None:
        """Listen no more, and let go of everybody."""
        ...


def quote_of(protocol: str) -> str:
    """The currency in which a protocol's venue trades where nobody says another. Raises ConfigurationError."""
    return str(getattr(front_class(protocol), "quote", "USDT"))


def front_class(protocol: str) -> type:
    """The front of a protocol. Raises ConfigurationError for one that nobody speaks."""
    if protocol not in FRONTS:
        raise ConfigurationError(f"no venue speaks {protocol!r}: there are {', '.join(FRONTS)}")
    module, _, name = FRONTS[protocol].partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found
