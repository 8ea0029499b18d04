"""No new risk where orders get lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import duration_text
from fairlead.facts import NOT_ACCEPTED, OrderRejected, OrderUnknown
from fairlead.ports import Trip, View
from fairlead_breakers._latch import LOOK_NS, Act, Latch, Window, count, span
from fairlead_breakers._shared import in_doubt, next_full


class OrderErrors(Latch):
    """Trips an account on which `most` orders were lost, not sent or unanswered within `window`.

    Scope: account. Evaluation: at each such order; what the venue refuses is of `RejectRate`. Action: reduce-only.
    Reset: once clean, that is with no order in doubt and nothing lost within the window. Nothing is unknown; times and
    trip survive a restart. Three in a minute: so many lost answers are an outage and no accident.
    """

    wants = (OrderUnknown, OrderRejected)

    def __init__(
        self,
        most: int = 3,
        window: str = "1m",
        *,
        action: Act = "reduce_only",
        name: str = "OrderErrors",
    ) -> None:
        super().__init__(name, action, "manual")
        self._most, self._span = count(name, "most", most), span(name, "window", window)
        self._lost = Window(self._span)

    def _seen(self, item: Any, view: View) -> Trip | None:
        if isinstance(item, OrderRejected) and item.code not in ("not_sent", NOT_ACCEPTED):
            return None
        order = None if item is None else view.order(item.client_order_id)
        if order is None:
            return None
        lost = self._lost.add(order.account, view.now)
        if lost < self._most:
            return None
        why = f"{lost} orders were lost, not sent or unanswered within {duration_text(self._span)}"
        return self._trip(f"{why}, the last: {item.reason}", f"account:{order.account}", view)

    def clean(self, scope: str, view: View) -> bool:
        """Whether nothing is in doubt and nothing was lost for a while."""
        account = scope.removeprefix("account:")
        if self._lost.count(account, view.now):
            return False
        return not any(map(in_doubt, view.orders(account)))

    def due(self, view: View) -> int:
        """Look once a minute; orders ask anyway."""
        return next_full(LOOK_NS, view)

    def _memory(self) -> dict[str, Any]:
        return {"lost": self._lost.times}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._lost.times = {name: list(times) for name, times in memory.get("lost", {}).items()}
