"""No more orders into a wall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import duration_text
from fairlead.facts import NOT_ACCEPTED, CancelRefused, OrderRejected
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, Window, count, span

_OURS = ("", "not_sent", NOT_ACCEPTED)


class RejectRate(Latch):
    """Trips a strategy of which the venue refused `most` orders or cancels within `window`.

    Scope: strategy. Evaluation: at each refusal by the venue; what never got there is of `OrderErrors`. Action:
    reduce-only. Reset: by a person, unless `reset` says otherwise; a trip clears the count. Nothing is unknown; count
    and trip survive a restart. Ten in a minute, because no tool of the field has a default to follow.
    """

    wants = (OrderRejected, CancelRefused)

    def __init__(
        self,
        most: int = 10,
        window: str = "1m",
        *,
        action: Act = "reduce_only",
        reset: str = "manual",
        name: str = "RejectRate",
    ) -> None:
        super().__init__(name, action, reset)
        self._most, self._span = count(name, "most", most), span(name, "window", window)
        self._refused = Window(self._span)

    def _seen(self, item: Any, view: View) -> Trip | None:
        if not isinstance(item, OrderRejected | CancelRefused):
            return None
        order = view.order(item.client_order_id)
        if order is None or (isinstance(item, OrderRejected) and item.code in _OURS):
            return None
        refused = self._refused.add(order.strategy, view.now)
        if refused < self._most:
            return None
        del self._refused.times[order.strategy]
        why = f"the venue refused {refused} orders and cancels within {duration_text(self._span)}"
        last = item.reason or item.code
        return self._trip(f"{why}, the last: {last}", f"strategy:{order.strategy}", view, order.account)

    def _memory(self) -> dict[str, Any]:
        return {"refused": self._refused.times}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._refused.times = {name: list(times) for name, times in memory.get("refused", {}).items()}
