"""What Interactive Brokers promises and can do, each with the page that says so."""

from __future__ import annotations

from fairlead import OrderType, TimeInForce, duration
from fairlead.ports import RateLimit, VenueProfile
from fairlead_ib.codes import REFUSED

SECOND = duration("1s")
VENUE = "ib"
DATA_SHARE = 8
"""Messages a second that questions may take; orders have the rest."""

_MESSAGES = 40
"""TWS takes 50 messages a second from a client: https://interactivebrokers.github.io/tws-api/order_limitations.html"""


def ib_profile(environment: str, currency: str) -> VenueProfile:
    """An account at IB.

    Nothing bounds how late an order may still arrive there, and its references are free texts: what is in doubt stays
    so until there is evidence or a person decides. An order is changed by placing it again under its id, with its new
    total: https://interactivebrokers.github.io/tws-api/modifying_orders.html. Executions and completed orders are
    listed for the day: https://interactivebrokers.github.io/tws-api/executions_commissions.html. Groups of orders
    and brackets are held by the engine.
    """
    return VenueProfile(
        venue=VENUE,
        environment="live" if environment == "live" else "testnet",
        order_types=frozenset(OrderType),
        time_in_force=frozenset(
            {TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD}
        ),
        validity_ns=None,
        query_lag_ns=2 * SECOND,
        answer_ns=5 * SECOND,
        backfill_ns=30 * SECOND,
        watch_ns=30 * SECOND,
        definitive_codes=frozenset(str(code) for code in REFUSED),
        rate_limits=(RateLimit("messages in 1 s", _MESSAGES, SECOND),),
        base_currency=currency,
        venue_options=frozenset({"outsideRth"}),
        replaces=frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
    )
