"""The seam of the encoding: requests in, messages out, both by the names that IB's own API has for them.

TWS speaks in fields of text up to server version 200 and in protobuf after that; what is said stays the same. A codec
turns the payload of a frame into a `Request`, and a name with values into the payload of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs


class Unreadable(Exception):
    """A frame makes no sense to the codec."""


@attrs.frozen
class Request:
    """What a client asks for: `placeOrder`, `reqMktData` … with its parameters by name, as texts."""

    name: str
    params: Mapping[str, Any] = attrs.Factory(dict)


class Codec(Protocol):
    """One encoding at one server version."""

    @property
    def version(self) -> int:
        """The server version that was agreed upon."""
        ...

    def decode(self, payload: str) -> Request:
        """Read a request. Raises Unreadable."""
        ...

    def encode(self, name: str, values: Mapping[str, Any]) -> str:
        """Write a message. Raises KeyError where a value is missing."""
        ...


def codec_of(version: int) -> Codec:
    """The encoding of a server version."""
    from fairlead_venue.tws.text import TextCodec

    return TextCodec(version)
