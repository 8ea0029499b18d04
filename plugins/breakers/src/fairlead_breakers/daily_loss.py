"""The most an account may lose in one trading day."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal

from fairlead import ConfigurationError, Money, OrderIntent, duration
from fairlead.facts import DayStarted
from fairlead.ports import EQUITY, Reference, Trip, View
from fairlead_breakers._latch import Act, act
from fairlead_breakers._shared import Wants, figure, loss_limit, next_full, reduces, setting

_LOOK_EVERY = duration("1m")


class DailyLoss:
    """Makes an account reduce-only when equity falls below its day start by more than `limit`.

    Scope: account. Evaluation: at each change of equity, over the trading day in the account's zone, whatever its
    length. Action: reduce-only, or what `action` says ("flatten", say). Day start and trip survive a restart.

    `limit` is money in the account's currency (`"2_000 USDT"`) or a part of day-start equity (`"5%"`). Open
    profit counts; deposits and withdrawals do not.

    Only a person resets it; with `reset="next_day"` the next trading day does too. Only `watch` trips. `check`
    refuses without tripping: while equity or its day start is unknown, and while the loss stands although
    somebody has reset the breaker, so that no order slips through before a change of equity trips it again. Whoever
    wants to lose more today changes the limit. Orders that only reduce pass.
    """

    guards = ("daily_loss",)

    def __init__(
        self,
        limit: str | Money,
        *,
        action: Act = "reduce_only",
        reset: Literal["manual", "next_day"] = "manual",
        name: str = "DailyLoss",
    ) -> None:
        self.name = name
        self.wants: Wants = (EQUITY,)
        self._keep, self._amount, self._currency = 1.0, 0.0, ""
        with setting(name, "limit"):
            part, money = loss_limit(limit)
        self._keep = float(1 - part)
        if money is not None:
            self._amount, self._currency = float(money.amount), money.currency
        self._state, self._action = act(name, action)
        self._limit = str(money or limit).strip()
        if reset == "next_day":  # the engine looks for `clean` and `due`; without them only a person resets
            self.wants = (EQUITY, DayStarted)
            self.clean, self.due = self._clean, self._due
        elif reset != "manual":
            raise ConfigurationError(f"{name}: reset: {reset!r} is no rule: write 'manual' or 'next_day'")
        self._new_day: set[str] = set()  # accounts whose day began after the loss was last seen

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while the loss stands or cannot be told."""
        why = self._why(intent.account, view)
        return None if not why or reduces(intent, view) else Trip(why)

    def watch(self, item: object, view: View) -> Trip | None:
        """Equity of an account moved, or its day began."""
        if not isinstance(item, str):
            if isinstance(item, DayStarted):
                self._new_day.add(item.account)
            return None
        equity, start = view.equity(item), view.day_start(item)
        if equity is None or start is None or equity >= start * self._keep - self._amount:
            return None
        if self._foreign(item, view):  # `check` refuses, and says why
            return None
        self._new_day.discard(item)
        return Trip(self._lost(equity, start), self._state, f"account:{item}", self._action)

    def quiet(self, account: str, view: View) -> tuple[float, float]:
        """Equity above this loses less than the limit."""
        start = view.day_start(account)
        known = start is not None and not self._foreign(account, view)
        return (start * self._keep - self._amount if known else inf), inf  # type: ignore[operator]

    def refers(self) -> Iterable[Reference]:
        """The currency of the limit, where it is money."""
        return [Reference("limit", "currency", self._currency)] if self._currency else []

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How much of today's limit is used, on the account that uses most of it; and the limit in words."""
        used: list[float] = []
        for account in view.accounts():
            equity, start = view.equity(account), view.day_start(account)
            if equity is None or start is None:
                return None, self._limit
            most = start * (1 - self._keep) + self._amount
            used.append(max(0.0, start - equity) / most if most > 0 else 1.0)
        return max(used, default=None), self._limit

    def _why(self, account: str, view: View) -> str:
        if self._foreign(account, view):
            home = view.currency(account)
            return f"the limit is in {self._currency}: write it in percent, or in the {home} of {account}"
        equity, start = view.equity(account), view.day_start(account)
        if equity is None or start is None:
            what = "equity" if equity is None else "day start"
            return f"today's loss is unknown: the {what} of {account} is"
        return "" if equity >= start * self._keep - self._amount else self._lost(equity, start)

    def _foreign(self, account: str, view: View) -> bool:
        return bool(self._currency) and self._currency != view.currency(account)

    def _lost(self, equity: float, start: float) -> str:
        lost = f"lost {figure(start - equity)} today, more than {self._limit}"
        return f"{lost}: equity {figure(equity)}, day start {figure(start)}"

    def _clean(self, scope: str, view: View) -> bool:
        account = scope.removeprefix("account:")
        return account in self._new_day and not self._why(account, view)

    def _due(self, view: View) -> int:
        return next_full(_LOOK_EVERY, view)
