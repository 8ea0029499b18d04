"""Proves brokers, streams, breakers and reconcilers against the ports of fairlead: a pytest plugin.

class TestMine(BrokerConformance):
    def make(self):
        return MyBroker(self.venue.address, key="k")

    def make_venue(self):
        return MyVenue()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_conformance.breaker import BreakerConformance
    from fairlead_conformance.broker import BrokerConformance
    from fairlead_conformance.cases import Tier, case
    from fairlead_conformance.divergences import DIVERGENCES, Divergence, DivergentVenue
    from fairlead_conformance.reconciler import ReconcilerConformance
    from fairlead_conformance.stream import StreamConformance
    from fairlead_conformance.venue import Fault, MarketVenue, Venue

_HOMES = {
    "BreakerConformance": "breaker",
    "BrokerConformance": "broker",
    "Tier": "cases",
    "case": "cases",
    "DIVERGENCES": "divergences",
    "Divergence": "divergences",
    "DivergentVenue": "divergences",
    "ReconcilerConformance": "reconciler",
    "StreamConformance": "stream",
    "Fault": "venue",
    "MarketVenue": "venue",
    "Venue": "venue",
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is asked for: pytest imports this package at each start, for everybody."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = [
    "DIVERGENCES",
    "BreakerConformance",
    "BrokerConformance",
    "Divergence",
    "DivergentVenue",
    "Fault",
    "MarketVenue",
    "ReconcilerConformance",
    "StreamConformance",
    "Tier",
    "Venue",
    "case",
]
