"""How far an account may fall from its highest equity."""

from __future__ import annotations

from decimal import Decimal
from math import inf

from fairlead import OrderIntent, TradingState
from fairlead.ports import EQUITY, Trip, View
from fairlead_breakers._shared import Wants, figure, ratio, reduces, setting


class Drawdown:
    """Makes an account reduce-only when equity falls below its high-water mark by more than `limit` (`"10%"`).

    The mark is the engine's: it survives restarts, and stands up to 0.01 % above the true peak, on the careful
    side. Only a person resets the breaker, and as long as the fall stands `check` goes on refusing what does not
    only reduce. It refuses too while equity or the mark is unknown.
    """

    wants: Wants = (EQUITY,)

    def __init__(self, limit: str | float | Decimal, *, name: str = "Drawdown") -> None:
        self.name = name
        with setting(name, "limit"):
            part = ratio(limit)
        self._keep = float(1 - part)
        self._limit = f"{(part * 100).normalize():f} %"

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while the fall stands or cannot be told."""
        equity, mark = view.equity(intent.account), view.high_water(intent.account)
        if equity is not None and mark is not None and equity >= mark * self._keep:
            return None
        if reduces(intent, view):
            return None
        if equity is None or mark is None:
            what = "equity" if equity is None else "high-water mark"
            return Trip(f"drawdown is unknown: the {what} of {intent.account} is")
        return Trip(self._fell(equity, mark))

    def watch(self, item: object, view: View) -> Trip | None:
        """Equity of an account moved."""
        if not isinstance(item, str):
            return None
        equity, mark = view.equity(item), view.high_water(item)
        if equity is None or mark is None or equity >= mark * self._keep:
            return None
        return Trip(self._fell(equity, mark), TradingState.REDUCE_ONLY, f"account:{item}")

    def quiet(self, account: str, view: View) -> tuple[float, float]:
        """Equity above this has fallen less than the limit."""
        mark = view.high_water(account)
        return (inf if mark is None else mark * self._keep), inf

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How much of the limit is used, on the account that uses most of it; and the limit in words."""
        used: list[float] = []
        for account in view.accounts():
            equity, mark = view.equity(account), view.high_water(account)
            if equity is None or not mark:
                return None, self._limit
            used.append(max(0.0, 1 - equity / mark) / (1 - self._keep))
        return max(used, default=None), self._limit

    def _fell(self, equity: float, mark: float) -> str:
        return f"equity {figure(equity)} is more than {self._limit} below its highest of {figure(mark)}"
