"""Binance: spot and USD-M futures, an account of either as a broker, and the markets of either as a stream."""

from fairlead_binance.broker import BinanceBroker
from fairlead_binance.stream import BinanceStream

__all__ = ["BinanceBroker", "BinanceStream"]
