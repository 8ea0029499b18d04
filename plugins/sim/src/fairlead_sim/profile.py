"""What the simulated venue declares that it can do: all of it."""

from __future__ import annotations

from fairlead import OrderType, TimeInForce, duration
from fairlead.ports import VenueProfile

REPLACES = frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT})
"""The orders that it changes in place."""

DEAD_MAN = (duration("1s"), duration("5m"))
"""The shortest and the longest time of its dead-man switch."""


def full_profile(venue: str, base_currency: str, *, exact: bool = True) -> VenueProfile:
    """Every order type, every time in force but the auctions, post-only, reduce-only, linked orders, replacement.

    It is `exact` in the engine's own process, with nothing in between that loses or delays.
    """
    return VenueProfile(
        venue=venue,
        environment="paper",
        exact=exact,
        order_types=frozenset(OrderType),
        time_in_force=frozenset(TimeInForce) - {TimeInForce.OPG, TimeInForce.CLS},
        post_only=True,
        reduce_only=True,
        oco=True,
        base_currency=base_currency,
        replaces=REPLACES,
        dead_man=DEAD_MAN,
    )
