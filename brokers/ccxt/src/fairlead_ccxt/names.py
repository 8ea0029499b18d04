"""Our ids as exchanges take them: what is sent has to come back recognisable, also after a crash."""

from __future__ import annotations

from collections.abc import Callable

import attrs

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX = frozenset("0123456789abcdef")
_SHORT = 22
"""So many digits to the base 62 hold 128 bits."""


@attrs.frozen
class Names:
    """How our ids are written there, and read again; a text that is none of ours is read as it is."""

    write: Callable[[str], str]
    read: Callable[[str], str]


def _same(text: str) -> str:
    return text


def _is_ours(text: str) -> bool:
    return len(text) == 32 and _HEX.issuperset(text)


def _read_hex(text: str) -> str:
    ours = text[2:].lower()
    return ours if text.startswith("0x") and _is_ours(ours) else text


def _write_short(text: str) -> str:
    if not _is_ours(text):
        return "t-" + text
    number, digits = int(text, 16), ""
    for _ in range(_SHORT):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return "t-" + digits


def _read_short(text: str) -> str:
    digits = text.removeprefix("t-")
    if len(digits) != _SHORT or not text.startswith("t-") or any(digit not in _DIGITS for digit in digits):
        return text
    number = 0
    for digit in digits:
        number = number * 62 + _DIGITS.index(digit)
    return f"{number:032x}" if number < 1 << 128 else text


PLAIN = Names(_same, _same)
HEX = Names(lambda text: "0x" + text, _read_hex)
"""128 bits in hexadecimal digits, behind 0x."""
SHORT = Names(_write_short, _read_short)
"""At most 28 characters, behind t-."""
