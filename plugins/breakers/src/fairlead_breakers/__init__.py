"""Limits and circuit breakers for fairlead."""
