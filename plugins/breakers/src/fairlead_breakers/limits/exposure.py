"""How much of an account may be at risk at once: gross and net exposure, leverage, margin, free funds."""

from __future__ import annotations

from fairlead import OrderIntent, Side
from fairlead.ports import Allowance, View
from fairlead_breakers._shared import figure, lessens, reduces, shrinks
from fairlead_breakers.limits.rule import AmountRule, NumberRule


class Leverage(NumberRule):
    """The worst case of positions and all that may still fill, over equity.

    Beyond it only what makes a position smaller passes; while equity is unknown, reduce-only orders too.
    """

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the worst case with the order in it."""
        equity = view.equity(intent.account)
        exposure = view.exposure_with(intent)
        if equity is not None and exposure is not None:
            if exposure <= equity * self.most:
                return ""
            before = view.exposure(intent.account)
            if before is not None and exposure <= before and lessens(intent, view):
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
        high = f"leverage {exposure / equity:.6g} is above {self.most:g}"
        return f"{high}: exposure {figure(exposure)}, equity {figure(equity)}"

    def used(self, account: str, view: View) -> float | None:
        """The worst case over what equity allows."""
        equity, worst = view.equity(account), view.exposure(account)
        if equity is None or worst is None:
            return None
        return worst / (equity * self.most) if equity > 0 else 1.0

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """Exposures below it."""
        return Allowance(leverage=self.most)


class Exposure(AmountRule):
    """Gross exposure: the worst case of a scope's positions added up, longs and shorts alike. A strategy's budget."""

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the sum with the order in it."""
        after = self._sum(intent.account, view, intent)
        if after is None:
            why = f"{self.short}: exposure is unknown: a price or a rate is missing"
        else:
            why = self.compare("exposure", after, intent, view)
        if not why or self.scope.shrinks(intent, view):
            return ""
        if after is None or not lessens(intent, view, self.scope.owner):
            return why
        before = self._sum(intent.account, view, None)
        return "" if before is not None and after <= before else why

    def used(self, account: str, view: View) -> float | None:
        """The sum over the amount."""
        return self.part(self._sum(account, view, None), account, view)

    def _sum(self, account: str, view: View, more: OrderIntent | None) -> float | None:
        if self.scope.owner is None and not self.scope.words:
            return view.exposure(account) if more is None else view.exposure_with(more)
        total = 0.0
        for name in self.scope.instruments(account, view, more):
            sides = self.scope.reach(account, name, view, more)
            worth = view.market_value(account, name, max(sides)) if any(sides) else 0.0
            if worth is None:
                return None
            total += worth
        return total

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """A group has no more than its account has."""
        return self.bounded(account, instrument, view)


class NetExposure(AmountRule):
    """Net exposure: longs less shorts, at the worst that can fill on the order's side."""

    of_orders = False

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the sum in the order's direction."""
        account, total = intent.account, 0.0
        if self.scope.shrinks(intent, view):
            return ""
        for name in self.scope.instruments(account, view, intent):
            long, short = self.scope.reach(account, name, view, intent)
            side = long if intent.side is Side.BUY else short
            worth = view.market_value(account, name, side) if side else 0.0
            if worth is None:
                return f"{self.short}: net exposure is unknown: {name} has no price or rate"
            total += worth
        return self.compare("net exposure", total, intent, view)

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """It is never above the gross one."""
        return self.bounded(account, instrument, view)


class Margin(NumberRule):
    """How much of equity may be initial margin, for the worst case of all that may fill."""

    percent = True
    of_orders = False
    example = "'50%'"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Compare the margin with the order in it."""
        equity, margin = view.equity(intent.account), view.margin_with(intent)
        if equity is not None and margin is not None:
            if margin <= equity * self.most:
                return ""
            before = view.margin(intent.account)
            if before is not None and margin <= before and lessens(intent, view):
                return ""
        if shrinks(intent, view) or (intent.reduce_only and (equity is None or margin is None)):
            return ""
        if equity is None or margin is None:
            return f"max_margin is unknown: the {'equity' if equity is None else 'margin'} of {intent.account} is"
        return f"margin {figure(margin)} is above {self.text} of the equity of {figure(equity)}"

    def used(self, account: str, view: View) -> float | None:
        """The margin over what equity allows."""
        equity, margin = view.equity(account), view.margin(account)
        if equity is None or margin is None:
            return None
        return margin / (equity * self.most) if equity > 0 else 1.0


class FreeFunds(AmountRule):
    """What must stay free after an order: equity less margin, less what spot costs, less the order's fee."""

    of_orders = False

    def looser(self, setting: object) -> float:
        """How many times as little must stay."""
        return 1 / super().looser(setting)

    def why(self, intent: OrderIntent, view: View) -> str:
        """Work out what would be free."""
        account = intent.account
        if reduces(intent, view) or shrinks(intent, view):
            return ""
        least = self.amount.of(self.short, account, view)
        if isinstance(least, str):
            return least
        free = self._free(intent, view)
        if free is None:
            return f"min_free is unknown: the equity, a price or a rate of {account} is missing"
        if free >= least:
            return ""
        return f"free funds of {figure(free)} would be below {figure(least)} {view.currency(account)}"

    def _free(self, intent: OrderIntent, view: View) -> float | None:
        account = intent.account
        equity, margin, value = view.equity(account), view.margin_with(intent), view.value(intent)
        if equity is None or margin is None or value is None:
            return None
        free = equity - margin - value * max(float(view.instrument(intent.instrument).taker_fee), 0.0)
        for name in self.scope.instruments(account, view, intent):
            if view.instrument(name).spot:
                long, _ = self.scope.reach(account, name, view, intent)
                worth = view.market_value(account, name, long) if long else 0.0
                if worth is None:
                    return None
                free -= max(worth, 0.0)
        return free
