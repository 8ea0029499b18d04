"""Orders that trade at worse prices than those they were sent at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead import OrderType, Side
from fairlead.facts import Filled, OrderSubmitted
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, count
from fairlead_breakers._shared import ratio, setting

_MEASURED = frozenset({OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP})
_REMEMBERED = 1_000


class Slippage(Latch):
    """Trips an instrument on which the last `orders` market orders and stops paid more than `limit` on average.

    Scope: instrument. Evaluation: at the first fill of each such order, its price against the mark when it was sent (a
    stop: against its stop price, unless the mark was worse already); window: the last `orders` of them, fewer say
    nothing. Action: reduce-only. Reset: after `reset`; a trip begins anew. Window and trip survive a restart, orders
    under way are not measured then. 0.5 % is the default price collar of common trading terminals.
    """

    wants = (OrderSubmitted, Filled)

    def __init__(
        self,
        limit: str | float = "0.5%",
        orders: int = 5,
        *,
        action: Act = "reduce_only",
        reset: str = "1h",
        name: str = "Slippage",
    ) -> None:
        super().__init__(name, action, reset)
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        self._orders = count(name, "orders", orders)
        self._sent: dict[str, float] = {}
        self._paid: dict[str, list[float]] = {}

    def _seen(self, item: Any, view: View) -> Trip | None:
        if isinstance(item, OrderSubmitted):
            self._remember(item, view)
        return self._filled(item, view) if isinstance(item, Filled) else None

    def _remember(self, fact: OrderSubmitted, view: View) -> None:
        mark = view.mark(fact.intent.instrument)
        if mark is None or fact.intent.type not in _MEASURED:
            return
        self._sent[fact.client_order_id] = mark
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def _filled(self, fact: Filled, view: View) -> Trip | None:
        fill, sent = fact.fill, self._sent.pop(fact.fill.client_order_id, None)
        order = view.order(fill.client_order_id)
        if sent is None or order is None:
            return None
        sign = 1.0 if fill.side is Side.BUY else -1.0
        if order.stop_price is not None:
            sent = max(sent * sign, float(order.stop_price) * sign) * sign
        paid = [*self._paid.get(fill.instrument, ()), sign * (float(fill.price) - sent) / sent][
            -self._orders :
        ]
        self._paid[fill.instrument] = paid
        mean = sum(paid) / len(paid)
        if len(paid) < self._orders or mean <= self._limit:
            return None
        del self._paid[fill.instrument]
        why = f"slippage of the last {self._orders} orders was {mean:.4%} on average, above {self._limit:.4%}"
        return self._trip(why, f"instrument:{fill.instrument}", view, fill.account)

    def _memory(self) -> dict[str, Any]:
        return {"paid": self._paid}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._paid = {name: list(paid) for name, paid in memory.get("paid", {}).items()}
