"""The parameters of a request, read as Binance reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote_plus

from fairlead_venue.binance.rules import ILLEGAL, MISSING, PRECISION, Refused, Rule

_NUMBER = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
_NUMBER_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"


def of_query(*parts: str) -> dict[str, str]:
    """The fields of query strings and form bodies; of a name that comes twice the first counts."""
    found: dict[str, str] = {}
    for part in parts:
        for pair in part.split("&"):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(unquote_plus(name), unquote_plus(value))
    return found


class Params:
    """What a client sent, by name. Every method raises Refused for what Binance would not read."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self.words = {name: _text(value) for name, value in words.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return bool(self.words.get(name))

    def text(self, name: str, default: str | None = None) -> str:
        """A text; one without a default must be there."""
        value = self.words.get(name) or default
        if value is None:
            raise Refused(MISSING, name)
        return value

    def word(self, name: str, allowed: Iterable[str], rule: Rule, default: str | None = None) -> str:
        """One of some words; another is refused by its own rule."""
        value = self.text(name, default)
        if value not in allowed:
            raise Refused(rule)
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.text(name, None if default is None else str(default))
        if not value.lstrip("-").isdecimal():
            raise Refused(ILLEGAL, name, "^[0-9]{1,20}$")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """How many rows are wanted, at most so many."""
        value = self.integer("limit", default)
        if value < 1:
            raise Refused(ILLEGAL, "limit", "^[0-9]{1,20}$")
        return min(value, most)

    def number(self, name: str, *, places: int = 8, precision: Rule = PRECISION) -> Decimal:
        """An exact number, not negative, as Binance takes it: no exponent, and not too many decimals."""
        value = self.text(name)
        found = _NUMBER.match(value)
        if found is None:
            raise Refused(ILLEGAL, name, _NUMBER_RANGE)
        if len((found[2] or ".").rstrip("0")) - 1 > places:
            raise Refused(precision, name)
        try:
            return Decimal(value)
        except InvalidOperation as error:
            raise Refused(ILLEGAL, name, _NUMBER_RANGE) from error

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.text(name, "false").lower()
        if value not in {"true", "false"}:
            raise Refused(ILLEGAL, name, "true|false")
        return value == "true"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
