"""Units as people write them: durations, percentages and money, the same in Python and in files."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

import attrs

from fairlead.errors import ConfigurationError

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LONGEST = 36_525 * DAY
"""A hundred years: added to any time of ours it still is one that facts can hold."""

_DURATION_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": 7 * DAY,
}
_DURATION = re.compile(r"(\d[\d_]*(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d|w)")

Number = int | float | str | Decimal
"""What a user may pass where a quantity or a price is wanted."""


def duration(text: str | int) -> int:
    """Nanoseconds of a duration such as `"250ms"`, `"5s"`, `"1m"` (a minute), `"4h"` or `"1d"`.

    An int is taken as nanoseconds already. Raises ConfigurationError for anything else.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigurationError(
            f"{text!r} is not a duration: write a number and one of ns us ms s m h d w, such as '5s' or '1m'"
        )
    length = Decimal(match[1].replace("_", "")) * _DURATION_UNITS[match[2]]
    if length > LONGEST:
        raise ConfigurationError(f"{text!r} is too long a duration: write one of at most 100 years")
    return int(length)


def written_duration(text: object, least: int = MILLISECOND) -> int:
    """Nanoseconds of a duration that must be written out, since a bare number could be of any unit.

    Raises ConfigurationError for anything else, and for one that is shorter than `least`.
    """
    if not isinstance(text, str):
        number = isinstance(text, int | float | Decimal) and not isinstance(text, bool)
        raise ConfigurationError(f"{text!r} is not a duration: write {f'{text}s' if number else '5s'!r}")
    length = duration(text)
    if length < least:
        raise ConfigurationError(f"{text!r} is shorter than {duration_text(least)}: write a longer duration")
    return length


def duration_text(nanoseconds: int) -> str:
    """The shortest exact text of a duration: 60_000_000_000 gives `"1m"`."""
    for unit in ("w", "d", "h", "m", "s", "ms", "us"):
        size = _DURATION_UNITS[unit]
        if nanoseconds and nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def decimal(value: Number, what: str = "number") -> Decimal:
    """The exact Decimal of an int, str or Decimal, and of a float the number its repr shows.

    Raises ConfigurationError where the value is not a finite number; `what` names it in the message.
    """
    if isinstance(value, bool):
        raise ConfigurationError(f"{what} {value!r} is a truth value: pass a number")
    try:
        result = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError, TypeError):
        raise ConfigurationError(
            f"{what} {value!r} is not a number: pass an int, float, str or Decimal"
        ) from None
    if not result.is_finite():
        raise ConfigurationError(f"{what} {value!r} is not finite: pass a real number")
    return result


def percent(value: Number) -> Decimal:
    """A ratio: `"10%"` gives 0.1, a bare number is a ratio already. Raises ConfigurationError."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return decimal(value.strip()[:-1], "percentage") / 100
    try:
        return decimal(value, "ratio")
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, or a percentage such as '10%'") from None


def share(value: Number) -> Decimal:
    """A ratio as `percent` reads it, of which what is above 1 must be written as a percentage.

    Raises ConfigurationError for a bare number above 1, since 50 is meant as 50 % more often than as 5000 %.
    """
    ratio = percent(value)
    if abs(ratio) > 1 and not (isinstance(value, str) and "%" in value):
        raise ConfigurationError(
            f"{value} is {ratio * 100:f} %: write '{value}%' or {(ratio / 100).normalize():f}, and '{ratio * 100:f}%' "
            f"only if that is meant"
        )
    return ratio


@attrs.frozen
class Money:
    """An exact amount of one currency."""

    amount: Decimal
    currency: str

    @classmethod
    def parse(cls, text: str | Money) -> Money:
        """Read `"2_000 USDT"`. Raises ConfigurationError where amount or currency is missing."""
        if isinstance(text, Money):
            return text
        if isinstance(text, int | float | Decimal) and not isinstance(text, bool):
            raise ConfigurationError(
                f"{text} is not money: write '{text:_} USDT', or the currency that it is in"
            )
        parts = text.split() if isinstance(text, str) else []
        if parts and parts[-1].lower() in ("percent", "pct"):
            raise ConfigurationError(f"{text!r} is not money: write a percentage like '10%'")
        if len(parts) != 2 or not parts[1].isidentifier():
            raise ConfigurationError(
                f"{text!r} is not money: write an amount and a currency, such as '2_000 USDT'"
            )
        return cls(decimal(parts[0], "amount"), parts[1])

    def __str__(self) -> str:
        return f"{self.amount:,f} {self.currency}"


def exact(value: Decimal | float | None) -> str | None:
    """A stable decimal text for JSON: what is exact stays exact, a float is given to 8 places, None stays None."""
    if value is None:
        return None
    if isinstance(value, float):
        value = Decimal(f"{value:.8f}")
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
