"""How far an account may fall from its highest equity, or from its first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from math import inf
from typing import Any

from fairlead import Money, OrderIntent
from fairlead.facts import CashChanged, DayStarted, FlowSettled, StrategiesStarted
from fairlead.ports import EQUITY, Reference, Trip, View
from fairlead_breakers._latch import Act, act
from fairlead_breakers._shared import Wants, figure, loss_limit, ratio, reduces, setting

_STATIC = (DayStarted, StrategiesStarted, CashChanged, FlowSettled)


class Drawdown:
    """Makes an account reduce-only when equity falls by more than `limit` (`"10%"` or `"5_000 USDT"`).

    It falls from its high-water mark, or with `trailing=False` from where it stood when the breaker first saw the
    account; cash that comes or goes moves both. (LEAN has the same two.) The mark is the engine's: it stands up to
    0.01 % above the true peak, on the careful side.

    Scope: account. Evaluation: at each change of equity, over the account's life. Action: reduce-only, or what `action`
    says. Reset: by a person, and as long as the fall stands `check` goes on refusing what does not only reduce. It
    refuses too while equity or the mark is unknown. Mark, starting point and trip survive a restart.
    """

    def __init__(
        self,
        limit: str | float | Decimal | Money,
        *,
        trailing: bool = True,
        action: Act = "reduce_only",
        name: str = "Drawdown",
    ) -> None:
        self.name = name
        self.wants: Wants = (EQUITY,) if trailing else (EQUITY, *_STATIC)
        with setting(name, "limit"):
            part, money = loss_limit(limit) if isinstance(limit, str | Money) else (ratio(limit), None)
        self._keep = float(1 - part)
        self._amount, self._currency = (float(money.amount), money.currency) if money else (0.0, "")
        self._limit = str(money) if money else f"{(part * 100).normalize():f} %"
        self._state, self._action = act(name, action)
        self._trailing = trailing
        self._first: dict[str, float] = {}

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while the fall stands or cannot be told."""
        equity, floor = view.equity(intent.account), self._floor(intent.account, view)
        if equity is not None and floor is not None and equity >= floor:
            return None
        if reduces(intent, view):
            return None
        if self._currency and self._currency != (home := view.currency(intent.account)):
            return Trip(
                f"the limit is in {self._currency}: write it in percent, or in the {home} of its account"
            )
        if equity is None or floor is None:
            what = "equity" if equity is None else self._what
            return Trip(f"drawdown is unknown: the {what} of {intent.account} is")
        return Trip(self._fell(intent.account, equity, view))

    def watch(self, item: Any, view: View) -> Trip | None:
        """Equity of an account moved, or what it is measured from."""
        if not isinstance(item, str):
            if not self._trailing:
                self._measure(item, view)
            return None
        equity, floor = view.equity(item), self._floor(item, view)
        if equity is None or floor is None or equity >= floor:
            return None
        return Trip(self._fell(item, equity, view), self._state, f"account:{item}", self._action)

    def quiet(self, account: str, view: View) -> tuple[float, float]:
        """Equity above this has fallen less than the limit."""
        floor = self._floor(account, view)
        return (inf if floor is None else floor), inf

    def refers(self) -> Iterable[Reference]:
        """The currency of the limit, where it is money."""
        return [Reference("limit", "currency", self._currency)] if self._currency else []

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How much of the limit is used, on the account that uses most of it; and the limit in words."""
        used: list[float] = []
        for account in view.accounts():
            equity, top, floor = view.equity(account), self._top(account, view), self._floor(account, view)
            if equity is None or not top or floor is None:
                return None, self._limit
            used.append(max(0.0, top - equity) / (top - floor))
        return max(used, default=None), self._limit

    def save(self) -> bytes:
        """Where accounts began, as JSON; nothing for what is measured from the engine's marks."""
        return json.dumps(self._first).encode() if self._first else b""

    def load(self, saved: bytes) -> None:
        """Take back what `save` gave."""
        self._first = json.loads(saved) if saved else {}

    @property
    def _what(self) -> str:
        return "high-water mark" if self._trailing else "starting point"

    def _top(self, account: str, view: View) -> float | None:
        return view.high_water(account) if self._trailing else self._first.get(account)

    def _floor(self, account: str, view: View) -> float | None:
        top = self._top(account, view)
        if top is None or (self._currency and self._currency != view.currency(account)):
            return None
        return top * self._keep - self._amount

    def _measure(self, fact: Any, view: View) -> None:
        if isinstance(fact, DayStarted):
            self._first.setdefault(fact.account, fact.equity)
        elif isinstance(fact, StrategiesStarted):
            for account in view.accounts():
                start = view.day_start(account)
                if start is not None:
                    self._first.setdefault(account, start)
        elif isinstance(fact, CashChanged | FlowSettled) and fact.account in self._first:
            self._first[fact.account] += fact.flow

    def _fell(self, account: str, equity: float, view: View) -> str:
        top = self._top(account, view) or 0.0
        where = "highest" if self._trailing else "first"
        return f"equity {figure(equity)} is more than {self._limit} below its {where} of {figure(top)}"
