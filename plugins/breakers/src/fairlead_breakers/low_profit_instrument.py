"""No new trades on an instrument that does not pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import duration_text, percent
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, count, span
from fairlead_breakers._shared import setting
from fairlead_breakers._trades import WANTS, Trades


class LowProfitInstrument(Latch):
    """Trips an instrument whose trades within `window`, at least `trades` of them, sum to less than `required_profit`.

    Scope: instrument. Evaluation: at each trade that ends; the sum is of profits as parts of their costs, as in
    freqtrade's LowProfitPairs, whose documentation shows 2 %, four trades and an hour. Action: reduce-only. Reset:
    `reset`. Nothing is unknown; trades within the window, open ones and the trip survive a restart. A trip clears them.
    """

    def __init__(
        self,
        required_profit: str | float = "2%",
        trades: int = 4,
        window: str = "1h",
        *,
        action: Act = "reduce_only",
        reset: str = "1h",
        name: str = "LowProfitInstrument",
    ) -> None:
        self.wants = WANTS
        super().__init__(name, action, reset)
        with setting(name, "required_profit"):
            self._required = float(percent(required_profit))
        self._least, self._span = count(name, "trades", trades), span(name, "window", window)
        self._trades = Trades()
        self._ended: dict[str, list[tuple[int, float]]] = {}

    def _seen(self, item: Any, view: View) -> Trip | None:
        closed = self._trades.see(item, view)
        if closed is None:
            return None
        name, since = closed.instrument, view.now - self._span
        ended = [one for one in self._ended.get(name, ()) if one[0] > since]
        ended.append((view.now, closed.ratio))
        self._ended[name] = ended
        made = sum(ratio for _, ratio in ended)
        if len(ended) < self._least or made >= self._required:
            return None
        del self._ended[name]
        why = f"{len(ended)} trades of {name} within {duration_text(self._span)} made {made:.4%}"
        return self._trip(
            f"{why}, less than {self._required:.4%}", f"instrument:{name}", view, closed.account
        )

    def _memory(self) -> dict[str, Any]:
        return {"trades": self._trades.memory(), "ended": self._ended}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._trades.recall(memory)
        ended = memory.get("ended", {}).items()
        self._ended = {name: [(when, ratio) for when, ratio in trades] for name, trades in ended}
