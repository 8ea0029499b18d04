"""fairlead: a plugin-based live trading framework.

Compose a `LiveTradingEngine` from a strategy and a list of plugins; run it live, on paper or as a backtest.
Plugin authors also import `fairlead.ports`, `fairlead.facts`, `fairlead.hookspecs`, `fairlead.net` and
`fairlead.testing`; everything else is private.
"""

from fairlead._engine.background import Background
from fairlead._engine.engine import LiveTradingEngine
from fairlead._engine.result import AccountResult, Result
from fairlead._engine.roundtrips import RoundTrip
from fairlead._engine.watch import watch
from fairlead._models.accounts import EXTERNAL, Balance, Leg, Position, PositionKey, Profit, TradingState
from fairlead._models.instrument import Contract, Instrument, default_instrument
from fairlead._models.market import Bar, Book, Funding, Mark, Quote, Trade
from fairlead._models.orders import (
    Fill,
    Liquidity,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trail,
    Verdict,
)
from fairlead._secrets.secret import Secret
from fairlead._strategy.strategy import Strategy
from fairlead._strategy.styles import Chase, LimitAt, LimitThenMarket, TimeSlices
from fairlead.errors import (
    ConfigurationError,
    ConnectivityError,
    FairleadError,
    InvariantViolation,
    JournalDamaged,
    JournalError,
    LeaseLost,
    PluginError,
    VenueError,
)
from fairlead.units import Money, decimal, duration, duration_text, percent

__version__ = "0.1.0"

__all__ = [
    "EXTERNAL",
    "AccountResult",
    "Background",
    "Balance",
    "Bar",
    "Book",
    "Chase",
    "ConfigurationError",
    "ConnectivityError",
    "Contract",
    "FairleadError",
    "Fill",
    "Funding",
    "Instrument",
    "InvariantViolation",
    "JournalDamaged",
    "JournalError",
    "LeaseLost",
    "Leg",
    "LimitAt",
    "LimitThenMarket",
    "Liquidity",
    "LiveTradingEngine",
    "Mark",
    "Money",
    "Order",
    "OrderIntent",
    "OrderStatus",
    "OrderType",
    "PluginError",
    "Position",
    "PositionKey",
    "Profit",
    "Quote",
    "Result",
    "RoundTrip",
    "Secret",
    "Side",
    "Strategy",
    "TimeInForce",
    "TimeSlices",
    "Trade",
    "TradingState",
    "Trail",
    "VenueError",
    "Verdict",
    "decimal",
    "default_instrument",
    "duration",
    "duration_text",
    "percent",
    "watch",
]
