"""Hyperliquid: perpetuals and spot."""

from fairlead_venue.hyperliquid.front import HyperliquidFront

__all__ = ["HyperliquidFront"]
