"""How far from the market an order may be priced."""

from __future__ import annotations

from fairlead import OrderIntent, OrderType, Side, duration
from fairlead.ports import View
from fairlead_breakers._shared import protects
from fairlead_breakers.limits.rule import NumberRule

FRESH_NS = duration("1m")
"""A mark older than this, and than two of its own bars, is no reference for a price."""

_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)


class PriceCollar(NumberRule):
    """How far through the mark an order may be priced, as a part of the mark (RTS 6 15(1)(a)).

    A limit or stop-limit order is judged by its limit, a market order by the quote that it would meet. What is priced
    on the passive side waits in the book, and harms nobody. Stops are judged when they are sent.
    """

    percent = True
    example = "'5%'"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare its price with the mark."""
        if intent.type in _STOPS or protects(intent):
            return ""
        mark, age, name = view.mark(intent.instrument), view.age(intent.instrument), intent.instrument
        if mark is None or age is None:
            return f"price_collar has no reference: {name} has no mark yet"
        if age > FRESH_NS and age > 2 * view.cadence(name):
            return f"price_collar has no reference: the mark of {name} is {age / 1e9:.3g} s old"
        price = float(intent.limit_price) if intent.limit_price is not None else view.price(intent)
        if price is None:
            return f"price_collar has no price of {name} to compare"
        through = (price - mark if intent.side is Side.BUY else mark - price) / mark
        if through <= self.most:
            return ""
        return f"price {price:.15g} is {through:.4%} through the mark of {mark:.15g}, more than {self.text}"
