"""Hyperliquid: perpetuals and spot, an account of either as a broker, and the markets of either as a stream."""

from fairlead_hyperliquid.broker import HyperliquidBroker
from fairlead_hyperliquid.stream import HyperliquidStream

__all__ = ["HyperliquidBroker", "HyperliquidStream"]
