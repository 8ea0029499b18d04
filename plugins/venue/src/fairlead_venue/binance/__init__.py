"""Binance: spot and USD-M futures."""

from fairlead_venue.binance.front import BinanceFront

__all__ = ["BinanceFront"]
