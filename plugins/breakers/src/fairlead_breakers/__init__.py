"""Limits and circuit breakers for fairlead: what may be risked, and what stops trading when it was.

Each is a plain object for the list of plugins of an engine. None of them ever raises the trading state.
"""

from fairlead_breakers.bad_tick import BadTick
from fairlead_breakers.clock_skew import ClockSkew
from fairlead_breakers.cooldown import Cooldown
from fairlead_breakers.correlation import Correlation
from fairlead_breakers.daily_loss import DailyLoss
from fairlead_breakers.data_gap import DataGap
from fairlead_breakers.disconnect import Disconnect
from fairlead_breakers.drawdown import Drawdown
from fairlead_breakers.feed_disagreement import FeedDisagreement
from fairlead_breakers.fill_rate import FillRate
from fairlead_breakers.kernel_lag import KernelLag
from fairlead_breakers.latency import Latency
from fairlead_breakers.limits import Limits
from fairlead_breakers.losing_streak import LosingStreak
from fairlead_breakers.loss_per_trade import LossPerTrade
from fairlead_breakers.low_profit_instrument import LowProfitInstrument
from fairlead_breakers.manual import Manual
from fairlead_breakers.mismatch import Mismatch
from fairlead_breakers.order_errors import OrderErrors
from fairlead_breakers.order_rate import OrderRate
from fairlead_breakers.price_jump import PriceJump
from fairlead_breakers.reject_rate import RejectRate
from fairlead_breakers.rolling_loss import RollingLoss
from fairlead_breakers.slippage import Slippage
from fairlead_breakers.spread import Spread
from fairlead_breakers.stale_data import StaleData
from fairlead_breakers.stop_loss_guard import StopLossGuard
from fairlead_breakers.unprotected_position import UnprotectedPosition
from fairlead_breakers.volatility import Volatility

__all__ = [
    "BadTick",
    "ClockSkew",
    "Cooldown",
    "Correlation",
    "DailyLoss",
    "DataGap",
    "Disconnect",
    "Drawdown",
    "FeedDisagreement",
    "FillRate",
    "KernelLag",
    "Latency",
    "Limits",
    "LosingStreak",
    "LossPerTrade",
    "LowProfitInstrument",
    "Manual",
    "Mismatch",
    "OrderErrors",
    "OrderRate",
    "PriceJump",
    "RejectRate",
    "RollingLoss",
    "Slippage",
    "Spread",
    "StaleData",
    "StopLossGuard",
    "UnprotectedPosition",
    "Volatility",
]
