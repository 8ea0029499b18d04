"""The hard limits on what orders may do, one small module for each family of them."""

from fairlead_breakers.limits.hours import TradingHours
from fairlead_breakers.limits.limits import Limits

__all__ = ["Limits", "TradingHours"]
