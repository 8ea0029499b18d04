"""The parameters of a request, read as Bybit reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from fairlead_venue.bybit.rules import PARAMETER, Refused


def of_call(query: str, body: bytes) -> dict[str, Any]:
    """What a query string says, and a JSON body where there is one; a body that is no object says nothing."""
    found: dict[str, Any] = {}
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            found[unquote_plus(name)] = unquote_plus(value)
    if body:
        try:
            found |= msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError:
            found["_unreadable"] = True
    return found


class Params:
    """What a client sent, by name. Every method raises Refused for what Bybit would not read."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self.words = words

    def __contains__(self, name: str) -> bool:
        return self.words.get(name) not in (None, "")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; one without a default must be there."""
        value = self.words.get(name)
        if value in (None, ""):
            if default is None:
                raise Refused(PARAMETER, f"{name} is required")
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise Refused(PARAMETER, f"{name} type error")
        return str(value)

    def word(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of some words."""
        value = self.text(name, default)
        if value not in allowed:
            raise Refused(PARAMETER, f"{name} invalid")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.text(name, None if default is None else str(default))
        if not value.removeprefix("-").isdecimal():
            raise Refused(PARAMETER, f"{name} invalid")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """How many rows are wanted. Raises Refused beyond the most there is."""
        value = self.integer("limit", default)
        if not 1 <= value <= most:
            raise Refused(PARAMETER, "limit invalid")
        return value

    def number(self, name: str) -> Decimal:
        """An exact number that came as a text, without an exponent: https://bybit-exchange.github.io/docs/v5/order/create-order"""
        value = self.words.get(name)
        if value in (None, ""):
            raise Refused(PARAMETER, f"{name} is required")
        if not isinstance(value, str) or "e" in value.lower():
            raise Refused(PARAMETER, f"{name} invalid")
        try:
            found = Decimal(value)
        except InvalidOperation as error:
            raise Refused(PARAMETER, f"{name} invalid") from error
        if not found.is_finite() or found < 0:
            raise Refused(PARAMETER, f"{name} invalid")
        return found

    def flag(self, name: str) -> bool:
        """True or false."""
        return self.word(name, {"true", "false", "True", "False"}, "false").lower() == "true"
