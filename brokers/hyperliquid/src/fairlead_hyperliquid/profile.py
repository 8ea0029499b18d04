"""What Hyperliquid promises and can do, each with the page that says so."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead import OrderType, TimeInForce, duration
from fairlead.ports import RateLimit, VenueProfile
from fairlead_hyperliquid.codes import DEFINITIVE
from fairlead_hyperliquid.rest import WEIGHT

SECOND = duration("1s")
_DAY = duration("1d")


def profile(
    environment: str, currency: str, validity_ns: int, modes: Mapping[str, str], *, perps: bool
) -> VenueProfile:
    """The profile.

    - A modification is a cancel and a new order, whose quantity is what is still to fill: a fill on the way would come
      on top. So none is declared, and the engine cancels and then submits what is left.
    - Market orders are IOC limits with a bound of ours. There is no FOK.
    - Stops are held by the engine: at the venue each is an order whose number changes when it is triggered.
    - Nothing is accepted after `expiresAfter`:
      https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint
    - `scheduleCancel` takes no time sooner than five seconds from now, and is refused to accounts without volume.
    - Limits: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits
    """
    return VenueProfile(
        venue="hyperliquid",
        environment="live" if environment == "live" else "testnet",
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        post_only=True,
        reduce_only=perps,
        validity_ns=validity_ns,
        query_lag_ns=2 * SECOND,
        definitive_codes=DEFINITIVE,
        rate_limits=(RateLimit("weight in 1 min", 1200 - WEIGHT, 60 * SECOND, reserve=100),),
        base_currency=currency,
        modes={"position_mode": "net", **modes} if perps else {},
        replace_renames=True,
        dead_man=(6 * SECOND, _DAY),
    )
