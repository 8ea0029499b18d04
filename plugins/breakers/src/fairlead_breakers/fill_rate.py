"""Orders that come and go and never trade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.facts import Filled, OrderCanceled, OrderExpired
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, count
from fairlead_breakers._shared import ratio, setting


class FillRate(Latch):
    """Trips a strategy of whose last `orders` orders less than `least` have traded at all.

    Scope: strategy. Evaluation: at each order that is filled, canceled or expired; window: the last `orders` of them,
    so nothing is said before there are so many. Action: reduce-only. Reset: by a person, unless `reset` says
    otherwise; a trip begins anew. Window and trip survive a restart. One in twenty, after the
    unexecuted-order limits of venues that publish one.
    """

    wants = (Filled, OrderCanceled, OrderExpired)

    def __init__(
        self,
        least: str | float = "5%",
        orders: int = 100,
        *,
        action: Act = "reduce_only",
        reset: str = "manual",
        name: str = "FillRate",
    ) -> None:
        super().__init__(name, action, reset)
        with setting(name, "least"):
            self._least = float(ratio(least))
        self._orders = count(name, "orders", orders)
        self._ended: dict[str, str] = {}

    def _seen(self, item: Any, view: View) -> Trip | None:
        name = item.fill.client_order_id if isinstance(item, Filled) else getattr(item, "client_order_id", "")
        order = view.order(name)
        if order is None or not order.closed:
            return None
        ended = (self._ended.get(order.strategy, "") + ("1" if order.filled_quantity else "0"))[
            -self._orders :
        ]
        self._ended[order.strategy] = ended
        traded = ended.count("1")
        if len(ended) < self._orders or traded >= self._least * self._orders:
            return None
        del self._ended[order.strategy]
        why = f"{traded} of the last {self._orders} orders traded, less than {self._least:.4%}"
        return self._trip(why, f"strategy:{order.strategy}", view, order.account)

    def _memory(self) -> dict[str, Any]:
        return {"ended": self._ended}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._ended = dict(memory.get("ended", {}))
