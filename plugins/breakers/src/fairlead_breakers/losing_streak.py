"""A pause after so many losses in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, Per, count, kind, scope_of
from fairlead_breakers._trades import WANTS, Trades


class LosingStreak(Latch):
    """Trips when `losses` trades in a row have lost, fees and funding counted.

    Scope: `per` strategy, instrument, account or engine. Evaluation: at each trade that ends (flat to flat), no
    window; a trade that ends even or better begins the count anew, and so does a trip. Action: reduce-only, for the
    hour of freqtrade's protections. Reset: `reset`. Nothing is unknown; count, open trades and trip survive a restart.
    """

    def __init__(
        self,
        losses: int = 4,
        *,
        per: Per = "strategy",
        action: Act = "reduce_only",
        reset: str = "1h",
        name: str = "LosingStreak",
    ) -> None:
        self.wants = WANTS
        super().__init__(name, action, reset)
        self._most, self._per = count(name, "losses", losses), kind(name, per)
        self._trades = Trades()
        self._lost: dict[str, int] = {}

    def _seen(self, item: Any, view: View) -> Trip | None:
        closed = self._trades.see(item, view)
        if closed is None:
            return None
        scope = scope_of(self._per, *closed[:3])
        if closed.profit >= 0:
            self._lost.pop(scope, None)
            return None
        self._lost[scope] = lost = self._lost.get(scope, 0) + 1
        if lost < self._most:
            return None
        del self._lost[scope]
        return self._trip(f"{lost} losses in a row", scope, view, closed.account)

    def gauge(self, view: View) -> tuple[float | None, str]:
        """The longest streak as a part of what is allowed."""
        return max(self._lost.values(), default=0) / self._most, f"{self._most} losses"

    def _memory(self) -> dict[str, Any]:
        return {"trades": self._trades.memory(), "lost": self._lost}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._trades.recall(memory)
        self._lost = dict(memory.get("lost", {}))
