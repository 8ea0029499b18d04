"""What an entry risks: its stop, the distance to it, and the money in between."""

from __future__ import annotations

from fairlead import OrderIntent, Side
from fairlead.ports import View
from fairlead_breakers._shared import reduces
from fairlead_breakers.limits.rule import AmountRule, NumberRule, Switch


def _enters(intent: OrderIntent, view: View) -> bool:
    """Whether it opens or adds; the parts that carry an order out were judged with it."""
    return not intent.parent and not intent.sweep and not reduces(intent, view)


def _distance(intent: OrderIntent, view: View) -> float | None:
    """How far its stop is from where it would be entered, as a part of that price; None where either is missing."""
    price = view.price(intent)
    if not price or intent.stop_loss is None:
        return None
    away = price - float(intent.stop_loss)
    return (away if intent.side is Side.BUY else -away) / price


class RequireStop(Switch):
    """Every entry has a stop_loss."""

    def why(self, intent: OrderIntent, view: View) -> str:
        """See whether it has one."""
        if intent.stop_loss is not None or not _enters(intent, view):
            return ""
        return "require_stop: an entry needs a stop_loss, and this has none"


class StopDistance(NumberRule):
    """How far the stop of an entry must be away at least, or may be at most, as a part of the entry price."""

    percent = True
    example = "'0.5%'"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the distance, where there is a stop."""
        away = _distance(intent, view)
        if away is None or not _enters(intent, view):
            return ""
        if away < self.most if self.least else away > self.most:
            word = "nearer than" if self.least else "farther than"
            return f"the stop is {away:.4%} away, {word} {self.short}={self.text}"
        return ""


class MinStop(StopDistance):
    """No stop is nearer than this."""

    least = True


class RiskPerTrade(AmountRule):
    """What an entry may lose by its stop, in money or as a part of equity; without a stop all that it is worth."""

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the loss at the stop."""
        if not _enters(intent, view):
            return ""
        value, away = view.value(intent), _distance(intent, view)
        if value is None:
            return f"{self.short}: the order's risk is unknown: no price or rate of {intent.instrument} yet"
        what = "risk without a stop" if away is None else "risk by the stop"
        return self.compare(what, value if away is None else value * away, intent, view)
