"""A rest after each trade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import duration_text
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Latch, Per, kind, scope_of, span
from fairlead_breakers._trades import WANTS, Trades


class Cooldown(Latch):
    """Trips an instrument (or whatever `per` says) when a trade on it ends, for as long as `rest`.

    Scope: instrument, strategy, account or engine. Evaluation: at each trade that ends; one that ends meanwhile begins
    the rest anew. Action: reduce-only. Reset: after `rest`, an hour as in freqtrade's CooldownPeriod. Nothing is
    unknown; the end of each rest and open trades survive a restart.
    """

    def __init__(self, rest: str = "1h", *, per: Per = "instrument", name: str = "Cooldown") -> None:
        self.wants = WANTS
        super().__init__(name, "reduce_only", "manual")
        self._for = span(name, "rest", rest)
        self._per = kind(name, per)
        self.clean, self.due = self._is_over, self._next_look
        self._trades = Trades()

    def _seen(self, item: Any, view: View) -> Trip | None:
        closed = self._trades.see(item, view)
        if closed is None:
            return None
        why = f"{closed.strategy} closed {closed.instrument}: rest of {duration_text(self._for)}"
        return self._trip(why, scope_of(self._per, *closed[:3]), view)

    def _memory(self) -> dict[str, Any]:
        return {"trades": self._trades.memory()}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._trades.recall(memory)
