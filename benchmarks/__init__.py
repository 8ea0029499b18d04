"""Measurements of fairlead beside its peers: ratios in one run, never microseconds alone.

`./dev bench` runs them all, `./dev bench NAME..` some; each module's docstring says what it measures and how.
"""
