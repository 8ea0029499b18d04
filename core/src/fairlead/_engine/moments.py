"""Moments as users pass them."""

from __future__ import annotations

from datetime import datetime

from fairlead.errors import ConfigurationError


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
