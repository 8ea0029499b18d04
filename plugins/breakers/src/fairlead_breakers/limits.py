"""Limits on single orders: how much one may be worth, and how much of the account it may put at risk."""

from __future__ import annotations

from decimal import Decimal
from math import inf

from fairlead import ConfigurationError, Money, OrderIntent, decimal
from fairlead.ports import Allowance, Trip, View
from fairlead_breakers._shared import Wants, figure, setting, shrinks


class Limits:
    """Refuses orders that are too large; it changes no trading state, so there is nothing to reset.

    `max_order_value`, such as `"10_000 USDT"`, bounds every order at the worse of its own price and the mark. A
    larger position is closed in parts; the exits that protect a position pass whole, because it may have grown.

    `max_leverage`, such as `2`, bounds the worst case of positions and all that may still fill, over equity. An
    order that does not raise this worst case always passes. What cannot be valued is refused; only reduce-only
    orders pass while equity is unknown.
    """

    wants: Wants = ()

    def __init__(
        self,
        max_order_value: str | Money | None = None,
        max_leverage: float | str | Decimal | None = None,
        name: str = "Limits",
    ) -> None:
        self.name = name
        self._money: Money | None = None
        self._most = self._leverage = 0.0
        if max_order_value is None and max_leverage is None:
            raise ConfigurationError(f"{name} limits nothing: give max_order_value, max_leverage or both")
        if max_order_value is not None:
            with setting(name, "max_order_value"):
                self._money = Money.parse(max_order_value)
                self._most = _above_nothing(self._money.amount, "'10_000 USDT'")
        if max_leverage is not None:
            with setting(name, "max_leverage"):
                self._leverage = _above_nothing(decimal(max_leverage), "2")

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse an order above either limit, with both figures."""
        large = self._too_large(intent, view, self._money) if self._money else ""
        risky = self._too_risky(intent, view) if self._leverage else ""
        if large or risky:
            return Trip("; ".join(why for why in (large, risky) if why))
        return None

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """What is within both limits; nothing can be told beforehand where one is in another currency."""
        if self._money and self._money.currency != view.currency(account):
            return None
        return Allowance(value=self._most or inf, leverage=self._leverage or inf)

    def watch(self, item: object, view: View) -> Trip | None:
        """Nothing happens between orders."""
        return None

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How much of the leverage is used, on the account that uses most of it; and the limits in words."""
        words = [f"{self._money}"] * bool(self._money) + [f"{self._leverage:g}x leverage"] * bool(
            self._leverage
        )
        used: list[float] = []
        for account in view.accounts() if self._leverage else ():
            equity, exposure = view.equity(account), view.exposure(account)
            if equity is None or exposure is None:
                return None, ", ".join(words)
            used.append(exposure / (equity * self._leverage) if equity > 0 else 1.0)
        return max(used, default=None), ", ".join(words)

    def _too_large(self, intent: OrderIntent, view: View, most: Money) -> str:
        if intent.parent and intent.reduce_only:
            return ""
        currency = view.currency(intent.account)
        if currency != most.currency:
            return f"max_order_value is in {most.currency}: write it in the {currency} of {intent.account}"
        value = view.value(intent)
        if value is None:
            return f"the order's value is unknown: no price or rate of {intent.instrument} in {currency} yet"
        if value <= self._most:
            return ""
        return f"order value {figure(value)} is above {figure(self._most)} {currency}"

    def _too_risky(self, intent: OrderIntent, view: View) -> str:
        equity = view.equity(intent.account)
        exposure = view.exposure_with(intent)
        if equity is not None and exposure is not None:
            if exposure <= equity * self._leverage:
                return ""
            before = view.exposure(intent.account)
            if before is not None and exposure <= before:
                return ""
        elif intent.reduce_only:
            return ""
        if shrinks(intent, view):
            return ""
        if equity is None or exposure is None:
            what = "equity" if equity is None else "exposure"
            return f"leverage is unknown: the {what} of {intent.account} is"
        if equity <= 0:
            return f"nothing is left to trade with: the equity of {intent.account} is {figure(equity)}"
        high = f"leverage {exposure / equity:.6g} is above {self._leverage:g}"
        return f"{high}: exposure {figure(exposure)}, equity {figure(equity)}"


def _above_nothing(amount: Decimal, example: str) -> float:
    if amount <= 0:
        raise ConfigurationError(f"{amount:f} must be above 0: write for example {example}")
    return float(amount)
