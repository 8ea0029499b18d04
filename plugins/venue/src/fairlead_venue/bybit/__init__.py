"""Bybit v5: spot and linear perpetuals of one unified account."""

from fairlead_venue.bybit.front import BybitFront

__all__ = ["BybitFront"]
