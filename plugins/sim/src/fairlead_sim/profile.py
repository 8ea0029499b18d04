"""What the simulated venue declares that it can do: all of it."""

from __future__ import annotations

from fairlead import OrderType, TimeInForce
from fairlead.ports import VenueProfile


def full_profile(venue: str, base_currency: str) -> VenueProfile:
    """Every order type, every time in force but the auctions, post-only, reduce-only and linked orders."""
    return VenueProfile(
        venue=venue,
        environment="paper",
        order_types=frozenset(OrderType),
        time_in_force=frozenset(TimeInForce) - {TimeInForce.OPG, TimeInForce.CLS},
        post_only=True,
        reduce_only=True,
        oco=True,
        base_currency=base_currency,
    )
