"""Recorded and synthetic market data streams for fairlead."""
