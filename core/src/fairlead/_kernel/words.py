"""The arguments of a command, as text: what may be there, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from fairlead._models.words import Word
from fairlead.errors import ConfigurationError
from fairlead.units import LONGEST, decimal, duration

_YES, _NO = ("true", "yes", "1"), ("false", "no", "0", "")


def only(verb: str, arguments: Mapping[str, str], *names: str) -> None:
    """Raises ConfigurationError for an argument that a verb does not have."""
    for name in arguments:
        if name not in names:
            raise ConfigurationError(f"{verb} has no argument {name!r}: it has {', '.join(names)}")


def needed(verb: str, arguments: Mapping[str, str], name: str) -> str:
    """An argument that must be there. Raises ConfigurationError."""
    if not arguments.get(name):
        raise ConfigurationError(f"{verb} needs {name}: say {name}=")
    return arguments[name]


def flag(name: str, arguments: Mapping[str, str]) -> bool:
    """Yes or no. Raises ConfigurationError for anything else."""
    text = arguments.get(name, "").lower()
    if text not in _YES + _NO:
        raise ConfigurationError(f"{name} {text!r} is neither true nor false: write true, or leave it out")
    return text in _YES


def number(name: str, arguments: Mapping[str, str]) -> Decimal | None:
    """A number above 0, None where it is not given. Raises ConfigurationError."""
    text = arguments.get(name)
    if text is None:
        return None
    found = decimal(text.strip(), name)
    if found <= 0:
        raise ConfigurationError(f"{name} {text} is not above 0")
    return found


def choice(name: str, text: str, words: type[Word]) -> Word:
    """One of a set of words, in any case. Raises ConfigurationError."""
    for word in words:
        if word.value.lower() == text.strip().lower():
            return word
    there = ", ".join(word.value for word in words)
    raise ConfigurationError(f"{name} {text!r} is unknown: write one of {there}")


def moment(name: str, text: str, now: int) -> int:
    """Nanoseconds of a duration from now, or of a time with its zone. Raises ConfigurationError."""
    try:
        return now + duration(text)
    except ConfigurationError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise ConfigurationError(
            f"{name} {text!r} is neither a duration nor a time with a zone: write 15m or 2024-01-31T16:00+00:00"
        )
    found = int(when.timestamp() * 1_000_000) * 1000
    if not 0 < found < now + LONGEST:
        raise ConfigurationError(f"{name} {text!r} is no time that an order can wait for: write a nearer one")
    return found
