"""How large a position may become, with all that works or is in doubt."""

from __future__ import annotations

from decimal import Decimal

from fairlead import OrderIntent, Side
from fairlead.ports import Allowance, View
from fairlead_breakers._shared import reduces
from fairlead_breakers.limits.rule import AmountRule, NumberRule, Switch
from fairlead_breakers.limits.scopes import Scope


def _side(scope: Scope, intent: OrderIntent, view: View) -> Decimal:
    """How far the position can go in the order's own direction: all that the order can make worse."""
    long, short = scope.reach(intent.account, intent.instrument, view, intent)
    return long if intent.side is Side.BUY else short


class PositionQuantity(NumberRule):
    """The most base units that a position may become, long or short."""

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the worst case on the order's side."""
        most = _side(self.scope, intent, view)
        if most <= self.number or self.scope.shrinks(intent, view):
            return ""
        return f"position of {most:f} {intent.instrument} would be above {self.text}"


class PositionValue(AmountRule):
    """The most that a position may come to be worth, in money or as a part of equity."""

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the worst case on the order's side, at the mark."""
        quantity = _side(self.scope, intent, view)
        if quantity <= 0:
            return ""
        worth = view.market_value(intent.account, intent.instrument, quantity)
        if worth is None:
            why = (
                f"{self.short}: the position's value is unknown: no price or rate of {intent.instrument} yet"
            )
        else:
            why = self.compare("position value", worth, intent, view)
        return "" if why and self.scope.shrinks(intent, view) else why

    def used(self, account: str, view: View) -> float | None:
        """The largest position over the amount."""
        worths = []
        for name in self.scope.instruments(account, view):
            side = max(self.scope.reach(account, name, view))
            worths.append(view.market_value(account, name, side) if side else 0.0)
        if None in worths:
            return None
        return self.part(max((worth for worth in worths if worth), default=0.0), account, view)

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """No position is worth more than the whole exposure of its account."""
        return self.bounded(account, instrument, view)


class Positions(NumberRule):
    """How many instruments may be held or entered at once."""

    whole = True
    of_orders = False
    example = "5"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Count them, the order's own among them."""
        if reduces(intent, view):
            return ""
        account = intent.account
        there = {
            name
            for name in self.scope.instruments(account, view)
            if any(side > 0 for side in self.scope.reach(account, name, view))
        }
        if intent.instrument in there or len(there) < self.number:
            return ""
        return f"{len(there)} positions are open or being opened, and max_positions is {self.text}"


class LongOnly(Switch):
    """Nothing may be sold that is not held."""

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """See whether it could go short."""
        if intent.side is Side.BUY:
            return ""
        short = self.scope.reach(intent.account, intent.instrument, view, intent)[1]
        if short <= 0 or self.scope.shrinks(intent, view):
            return ""
        return f"long_only: the position could become {-short:f} {intent.instrument}"
