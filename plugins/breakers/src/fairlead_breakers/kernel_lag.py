"""No new risk while the engine cannot keep up."""

from __future__ import annotations

from typing import Any

from fairlead import duration_text
from fairlead.facts import EngineLagged
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, span


class KernelLag(Latch):
    """Trips the engine when it comes to what is due more than `limit` late.

    The engine looks every second of real time; in a backtest nothing is ever late.

    Scope: engine. Evaluation: at each lag that is told (0.1 s and more). Action: reduce-only. Reset: after `rest`
    without another. Nothing is unknown; trip and rest survive a restart. A second is what the engine itself calls a
    stall.
    """

    wants = (EngineLagged,)

    def __init__(
        self,
        limit: str = "1s",
        *,
        rest: str = "1m",
        action: Act = "reduce_only",
        name: str = "KernelLag",
    ) -> None:
        span(name, "rest", rest)
        super().__init__(name, action, rest)
        self._most = span(name, "limit", limit)

    def _seen(self, item: Any, view: View) -> Trip | None:
        if not isinstance(item, EngineLagged) or item.lag_ns <= self._most:
            return None
        late = f"the engine was {item.lag_ns / 1e9:.3f} s late, over {duration_text(self._most)}"
        return self._trip(f"{late}: find what blocks it", "engine", view)
