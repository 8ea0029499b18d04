"""What an engine may believe of an exchange: what we know of it, else what is safe."""

from __future__ import annotations

from fairlead import OrderType
from fairlead.ports import VenueProfile
from fairlead_ccxt.facts import SPOT, Facts


def profile(
    facts: Facts, kind: str, environment: str, currency: str, validity_ns: int | None
) -> VenueProfile:
    """Its profile. Stops, trails and linked exits are held by the engine, whatever the exchange has.

    An order is changed by a cancel and a new order: what ccxt calls an edit is, on some exchanges, a new
    order under an id that we did not choose.
    """
    kinds = {OrderType.LIMIT, OrderType.MARKET} if facts.market_orders else {OrderType.LIMIT}
    return VenueProfile(
        venue=facts.venue,
        environment="live" if environment == "live" else "testnet",
        order_types=frozenset(kinds),
        time_in_force=facts.time_in_force,
        post_only=facts.post_only,
        reduce_only=facts.reduce_only and kind != SPOT,
        validity_ns=validity_ns,
        query_lag_ns=facts.query_lag_ns,
        rate_limits=facts.rate_limits.get(kind, ()),
        base_currency=currency,
        venue_options=facts.venue_options,
        modes={} if kind == SPOT else {"position_mode": "net"},
    )
