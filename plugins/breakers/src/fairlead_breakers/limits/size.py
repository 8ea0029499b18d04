"""How large one order may be."""

from __future__ import annotations

from fairlead import OrderIntent
from fairlead.ports import Allowance, View
from fairlead_breakers.limits.rule import NOTHING, AmountRule, NumberRule


class OrderValue(AmountRule):
    """The most that one order may be worth at the worse of its own price and the mark (RTS 6 15(1)(b)).

    A larger position is closed in parts; the exits that protect one pass whole, because it may have grown.
    """

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare its value."""
        if intent.parent and intent.reduce_only:
            return ""
        most = self.amount.of(self.short, intent.account, view)
        if isinstance(most, str):
            return most
        value = view.value(intent)
        if value is None:
            currency = view.currency(intent.account)
            return f"the order's value is unknown: no price or rate of {intent.instrument} in {currency} yet"
        return self.compare("order value", value, intent, view)

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """Orders worth less; a part of equity moves, so that such orders are looked at."""
        if not self.scope.holds(instrument, view):
            return NOTHING
        if self.amount.money is None:
            return None
        return self.spared(account, view, lambda amount: Allowance(value=amount.most))


class OrderQuantity(NumberRule):
    """The most base units of one order (RTS 6 15(1)(c))."""

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare its quantity."""
        if intent.quantity <= self.number or (intent.parent and intent.reduce_only):
            return ""
        return f"order quantity {intent.quantity:f} is above {self.text}"

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """Nothing to do with what it does not hold for."""
        return None if self.scope.holds(instrument, view) else NOTHING
