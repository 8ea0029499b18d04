"""Limits and circuit breakers for fairlead: what may be risked, and what stops trading when it was.

Each is a plain object for the list of plugins of an engine. None of them ever raises the trading state.
"""

from fairlead_breakers.daily_loss import DailyLoss
from fairlead_breakers.drawdown import Drawdown
from fairlead_breakers.limits import Limits
from fairlead_breakers.manual import Manual
from fairlead_breakers.stale_data import StaleData

__all__ = ["DailyLoss", "Drawdown", "Limits", "Manual", "StaleData"]
