"""No position without its stop."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fairlead import Order, OrderType, Position, Side, duration_text
from fairlead.facts import (
    Filled,
    FillReversed,
    HeldResized,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderHeld,
    OrderRejected,
    OrderSubmitted,
    StrategiesStarted,
)
from fairlead.ports import Trip, View
from fairlead_breakers._latch import DAY, Act, Latch, span
from fairlead_breakers._shared import Wants, next_full

_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


class UnprotectedPosition(Latch):
    """Trips an instrument on which a strategy's position has been without a stop for its whole quantity for `after`.

    A stop is an order of the strategy against the position, at the venue or held, that waits for a price: stop,
    stop-limit or trailing stop. What nobody here ordered counts as a position, and nobody protects it.

    Scope: instrument. Evaluation: at each change of an order or a position, and when the time is over. Action:
    reduce-only; "flatten" closes what nobody protects. Reset: once clean, that is when it is protected or gone. Nothing
    is unknown; since when a position is bare and the trip survive a restart. Ten seconds is time enough for a bracket
    to follow its entry.
    """

    wants: Wants = (
        *(Filled, FillReversed, OrderAccepted, OrderHeld, OrderSubmitted, HeldResized),
        *(OrderCanceled, OrderExpired, OrderRejected, StrategiesStarted),
    )

    def __init__(
        self, after: str = "10s", *, action: Act = "reduce_only", name: str = "UnprotectedPosition"
    ) -> None:
        super().__init__(name, action, "manual")
        self._after = span(name, "after", after)
        self._bare: dict[str, int] = {}
        self._rest: list[str] = []

    def _seen(self, item: Any, view: View) -> Trip | None:
        if not self._rest:
            bare = {name: self._bare.get(name, view.now) for name in self._unprotected(view)}
            self._bare = bare
            self._rest = [name for name, since in bare.items() if view.now >= since + self._after]
        if not self._rest:
            return None
        name = self._rest.pop(0)
        why = f"a position in {name} has been without a stop for {duration_text(self._after)}"
        return self._trip(why, f"instrument:{name}", view)

    def due(self, view: View) -> int:
        """When the next one has been bare for long enough; at once while there is more to report."""
        if self._rest:
            return view.now
        ahead = [since + self._after for since in self._bare.values()]
        return min(
            (due for due in ahead if due > view.now), default=next_full(self._after if ahead else DAY, view)
        )

    def clean(self, scope: str, view: View) -> bool:
        """Whether all there is on it is protected."""
        return scope.removeprefix("instrument:") not in self._unprotected(view)

    def _unprotected(self, view: View) -> dict[str, None]:
        """The instruments with a position that no stop covers, in order."""
        bare: dict[str, None] = {}
        for account in view.accounts():
            orders = [order for order in view.orders(account) if order.type in _STOPS]
            for position in view.positions(account):
                if _covered(position, orders) < abs(position.quantity):
                    bare[position.key.instrument] = None
        return bare

    def _memory(self) -> dict[str, Any]:
        return {"bare": self._bare}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._bare = dict(memory.get("bare", {}))


def _covered(position: Position, stops: list[Order]) -> Decimal:
    """How much of a position stops of its strategy would close; of a group only one fills."""
    against = Side.SELL if position.quantity > 0 else Side.BUY
    covered: dict[str, Decimal] = {}
    for order in stops:
        if order.side is not against or order.instrument != position.key.instrument:
            continue
        if order.strategy == position.key.strategy:
            key = order.intent.group or order.client_order_id
            covered[key] = max(covered.get(key, Decimal(0)), order.remaining_quantity)
    return sum(covered.values(), Decimal(0))
