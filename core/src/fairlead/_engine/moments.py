"""Moments and spans of time as users pass them."""

from __future__ import annotations

import re
from datetime import datetime

from fairlead.errors import ConfigurationError
from fairlead.units import duration


def moment(when: datetime | int | str | None, what: str) -> int | None:
    """Nanoseconds of an aware datetime, an ISO text with a zone, or nanoseconds. Raises ConfigurationError."""
    if when is None or isinstance(when, int):
        return when
    try:
        parsed = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        raise ConfigurationError(
            f"{what} {when!r} is no time: write it as 2024-01-31T12:00:00+00:00"
        ) from None
    if parsed.tzinfo is None:
        raise ConfigurationError(f"{what} {when!r} has no time zone: add one, such as +00:00")
    return int(parsed.timestamp() * 1_000_000) * 1000


_LIMIT = re.compile(r"\s*(\d+)\s*/\s*(\S+)\s*")


def crash_limit_of(text: str | None) -> tuple[int, int] | None:
    """How many starts, in how many nanoseconds, may not end in good order: "3/10m"; None, or "none", for any number.

    Raises ConfigurationError for another text.
    """
    if text in (None, "none"):
        return None
    match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigurationError(
            f"crash_limit={text!r}: write how many starts in how long may crash, such as '3/10m', or 'none'"
        )
    return int(match[1]), duration(match[2])
