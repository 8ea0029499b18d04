"""Refuses what would open or add to a position in quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from fairlead import ConfigurationError, OrderIntent, Side
from fairlead.ports import Trip, View

from fairlead_breaker_quiet_hours.windows import DAY, Window, parse

WEEKEND = "Fri 17:00-Sun 17:00"
"""When foreign exchange rests, in New York."""


class QuietHours:
    """Lets nothing through in its windows but what only reduces; it changes no trading state, so nothing is reset.

    A window is `"Fri 17:00-Sun 17:00"` each week or `"23:55-00:10"` each day, in the zone's own time; it includes
    its start and not its end. Without any it is the weekend of foreign exchange.

    Raises ConfigurationError for what is no window, or for a zone that there is not.
    """

    wants = ()

    def __init__(self, *windows: str, zone: str = "America/New_York", name: str = "quiet_hours") -> None:
        self.name = name
        self._windows = [self._parsed(text) for text in windows or (WEEKEND,)]
        try:
            self._zone = ZoneInfo(zone)
        except (LookupError, ValueError, OSError):
            raise ConfigurationError(
                f"{name}: zone={zone!r} is no time zone: write one such as 'UTC' or 'Europe/Berlin'"
            ) from None

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while it is quiet."""
        window = self._window(view.now)
        if window is None or intent.reduce_only or _reduces(intent, view):
            return None
        return Trip(f"it is quiet at {self._local(view.now):%a %H:%M} {self._zone.key} ({window.text})")

    def watch(self, item: object, view: View) -> Trip | None:
        """Nothing is wanted, so nothing comes."""
        return None

    def gauge(self, view: View) -> tuple[float | None, str]:
        """All of it used while it is quiet, nothing else; and the windows in words."""
        return float(self._window(view.now) is not None), ", ".join(window.text for window in self._windows)

    def _parsed(self, text: str) -> Window:
        try:
            return parse(text)
        except ValueError as error:
            raise ConfigurationError(
                f"{self.name}: {text!r}: {error}: write '{WEEKEND}', or '23:55-00:10' for each day"
            ) from None

    def _window(self, now: int) -> Window | None:
        local = self._local(now)
        minute = local.weekday() * DAY + local.hour * 60 + local.minute
        return next((window for window in self._windows if window.contains(minute)), None)

    def _local(self, now: int) -> datetime:
        return datetime.fromtimestamp(now // 1_000_000_000, UTC).astimezone(self._zone)


def _reduces(intent: OrderIntent, view: View) -> bool:
    """Whether an order only makes its strategy's position smaller, with all else that leaves it."""
    held = view.position(intent.account, intent.instrument, intent.strategy)
    if not held or (held > 0) == (intent.side is Side.BUY):
        return False
    leaving = sum(
        (
            order.remaining_quantity
            for order in view.orders(intent.account)
            if (order.strategy, order.instrument, order.side)
            == (intent.strategy, intent.instrument, intent.side)
        ),
        Decimal(0),
    )
    return intent.quantity + leaving <= abs(held)
