"""What Bybit promises and can do, each with the page that says so."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead import OrderType, TimeInForce, duration
from fairlead.ports import RateLimit, VenueProfile
from fairlead_bybit.codes import DEFINITIVE, REJECTIONS

SECOND = duration("1s")
LONGEST_NS = 60 * SECOND
LINEAR_RATE, SPOT_RATE = 10, 20
"""Creates of a second, and cancels of one: https://bybit-exchange.github.io/docs/v5/rate-limit"""


def bybit_profile(
    environment: str, currency: str, validity_ns: int, modes: Mapping[str, str], *, linear: bool, rate: int
) -> VenueProfile:
    """Spot and linear contracts of a unified account.

    An id is unique for ever (https://bybit-exchange.github.io/docs/v5/order/create-order), and an order is not taken
    that comes after its recvWindow (https://bybit-exchange.github.io/docs/v5/guide). An amend keeps both ids, takes the
    new total and works or does not (https://bybit-exchange.github.io/docs/v5/order/amend-order). There is no order
    that expires at a time, and none in spot that trails: the engine holds these.

    The disconnection protection is no dead-man switch: it counts from the loss of the connection, not from the last
    word, and Bybit turns it on by hand (https://bybit-exchange.github.io/docs/v5/order/dcp).
    """
    return VenueProfile(
        venue="bybit",
        environment="live" if environment == "live" else "testnet",
        order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        post_only=True,
        reduce_only=linear,
        validity_ns=validity_ns,
        query_lag_ns=2 * SECOND,
        definitive_codes=REJECTIONS | {str(code) for code in DEFINITIVE},
        rate_limits=(
            RateLimit("creates in 1 s", rate, SECOND, order=1, cancel=0, reserve=0),
            RateLimit("cancels in 1 s", rate, SECOND, order=0, cancel=1, reserve=0),
        ),
        base_currency=currency,
        venue_options=frozenset({"smpType", "triggerBy"}),
        modes={"position_mode": "net", **modes} if linear else modes,
        replaces=frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
    )
