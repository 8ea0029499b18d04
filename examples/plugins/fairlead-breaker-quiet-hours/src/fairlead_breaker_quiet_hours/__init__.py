"""Nothing is opened in quiet hours."""

from fairlead_breaker_quiet_hours.breaker import QuietHours

__all__ = ["QuietHours"]
