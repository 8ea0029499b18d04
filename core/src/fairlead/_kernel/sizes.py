"""What a sizing is shown, and what becomes of the quantity that it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from fairlead._kernel.market import Lane
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar
from fairlead._models.orders import OrderIntent, Side
from fairlead.errors import ConfigurationError
from fairlead.sizing import Account, Market, Sizing
from fairlead.units import decimal


def sized(
    sizing: Sizing,
    intent: OrderIntent,
    account: Account,
    lane: Lane,
    rate: float | None,
    bars: Callable[[int, str], Sequence[Bar]],
) -> Decimal:
    """The quantity on the lot grid, rounded down. Raises ConfigurationError for what is no quantity."""
    found: Instrument = lane.instrument
    own = intent.limit_price if intent.limit_price is not None else intent.stop_price
    price = lane.price(buying=intent.side is Side.BUY) if own is None else float(own)
    quantity = decimal(sizing(intent, account, Market(found, price or None, rate, bars)), "size")
    if quantity < 0:
        raise ConfigurationError(
            f"a size of {quantity} for {found.id} is below 0: give the quantity, and buy or sell as the direction"
        )
    return found.quantity(quantity)
