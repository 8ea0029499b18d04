"""No new trades after so many stop-losses in a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import duration_text, percent
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, Per, Window, count, kind, scope_of, span
from fairlead_breakers._shared import setting
from fairlead_breakers._trades import WANTS, Trades


class StopLossGuard(Latch):
    """Trips when `stops` trades within `window` were ended by a stop or the venue, below `required_profit`.

    Scope: `per` engine, account, strategy or instrument. Evaluation: at each trade that ends. Action: reduce-only.
    Reset: `reset`. Nothing is unknown; the times of stops, open trades and the trip survive a restart. Four stops in
    an hour, for an hour, are what freqtrade's documentation shows for its StoplossGuard; a trip clears the count.
    """

    def __init__(
        self,
        stops: int = 4,
        window: str = "1h",
        *,
        required_profit: str | float = "0%",
        per: Per = "engine",
        action: Act = "reduce_only",
        reset: str = "1h",
        name: str = "StopLossGuard",
    ) -> None:
        self.wants = WANTS
        super().__init__(name, action, reset)
        self._most, self._per = count(name, "stops", stops), kind(name, per)
        self._span = span(name, "window", window)
        self._stops = Window(self._span)
        with setting(name, "required_profit"):
            self._required = float(percent(required_profit))
        self._trades = Trades()

    def _seen(self, item: Any, view: View) -> Trip | None:
        closed = self._trades.see(item, view)
        if closed is None or not closed.stopped or closed.ratio >= self._required:
            return None
        scope = scope_of(self._per, *closed[:3])
        stopped = self._stops.add(scope, view.now)
        if stopped < self._most:
            return None
        del self._stops.times[scope]
        return self._trip(f"{stopped} stops within {duration_text(self._span)}", scope, view, closed.account)

    def gauge(self, view: View) -> tuple[float | None, str]:
        """The most stops of a scope within the window, as a part of what is allowed."""
        used = max((self._stops.count(scope, view.now) for scope in list(self._stops.times)), default=0)
        return used / self._most, f"{self._most} stops in {duration_text(self._span)}"

    def _memory(self) -> dict[str, Any]:
        return {"trades": self._trades.memory(), "stops": self._stops.times}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._trades.recall(memory)
        self._stops.times = {scope: list(times) for scope, times in memory.get("stops", {}).items()}
