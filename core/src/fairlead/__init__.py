"""fairlead: a plugin-based live trading framework.

Compose a `LiveTradingEngine` from a strategy and a list of plugins; run it live, on paper or as a backtest.
Plugin authors also import `fairlead.ports`, `fairlead.facts`, `fairlead.hookspecs`, `fairlead.net` and
`fairlead.testing`; everything else is private.
"""

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
)
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
from fairlead.units import Money, decimal, duration, percent

__version__ = "0.1.0"

__all__ = [
    "EXTERNAL",
    "Balance",
    "Bar",
    "Book",
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
    "Liquidity",
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
    "Side",
    "TimeInForce",
    "Trade",
    "TradingState",
    "Trail",
    "VenueError",
    "decimal",
    "default_instrument",
    "duration",
    "percent",
]
