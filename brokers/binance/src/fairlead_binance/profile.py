"""What Binance promises and can do, each with the page that says so."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead import OrderType, TimeInForce, duration
from fairlead.ports import RateLimit, VenueProfile
from fairlead_binance.codes import DEFINITIVE

SECOND = duration("1s")
LONGEST_NS = 60 * SECOND
"""No recvWindow is longer: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security"""

_CODES = frozenset(str(code) for code in DEFINITIVE)
_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT})
"""Trailing stops follow by a percentage on a grid of its own there, and not by a distance in price: the engine holds
them. https://developers.binance.com/docs/binance-spot-api-docs/faqs/trailing-stop-faq
"""

_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
"""GTD of futures takes whole seconds, ten minutes from now at the least: the engine ends such an order itself.
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

_MINUTE, _TEN = 60 * SECOND, 10 * SECOND


def spot_profile(environment: str, currency: str, validity_ns: int) -> VenueProfile:
    """Spot. Ids are unique among open orders alone, so nothing is ever sent again on the strength of an id.

    An order list is placed by one request with all its orders, and an engine sends one order at a time: linked exits
    are held by the engine. cancelReplace can cancel and then fail to place, and the amendment that keeps an order's
    place only lowers a quantity and renames the order: neither changes an order in one step.
    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
    """
    return VenueProfile(
        venue="binance",
        environment=_environment(environment),
        order_types=_TYPES,
        time_in_force=_TIMES,
        post_only=True,
        validity_ns=validity_ns,
        query_lag_ns=2 * SECOND,
        definitive_codes=_CODES,
        rate_limits=(
            # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits; cancels are not counted.
            RateLimit("orders in 10 s", 100, _TEN, cancel=0, reserve=0),
            RateLimit("orders in 24 h", 200_000, 8640 * _TEN, cancel=0, reserve=0),
            RateLimit("weight in 1 min", 6000, _MINUTE, reserve=600),
        ),
        base_currency=currency,
        venue_options=frozenset({"selfTradePreventionMode"}),
    )


def usdm_profile(environment: str, currency: str, validity_ns: int, modes: Mapping[str, str]) -> VenueProfile:
    """USD-M futures. A limit order is changed by one request that takes the new total and keeps both ids.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Modify-Order. The dead-man
    switch is one per symbol, leaves conditional orders alone, and is looked at every ten milliseconds:
    https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders
    """
    return VenueProfile(
        venue="binance",
        environment=_environment(environment),
        order_types=_TYPES,
        time_in_force=_TIMES,
        post_only=True,
        reduce_only=True,
        validity_ns=validity_ns,
        query_lag_ns=2 * SECOND,
        definitive_codes=_CODES,
        rate_limits=(
            # https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
            RateLimit("orders in 10 s", 300, _TEN, cancel=0, reserve=0),
            RateLimit("orders in 1 min", 1200, _MINUTE, cancel=0, reserve=0),
            RateLimit("weight in 1 min", 2400, _MINUTE, order=0, reserve=240),
        ),
        base_currency=currency,
        venue_options=frozenset({"selfTradePreventionMode", "workingType", "priceProtect"}),
        modes={"position_mode": "net", **modes},
        replaces=frozenset({OrderType.LIMIT}),
        dead_man=(SECOND, 86_400 * SECOND),
        dead_man_spares_stops=True,
    )


def _environment(environment: str) -> str:
    return "live" if environment == "live" else "testnet"
