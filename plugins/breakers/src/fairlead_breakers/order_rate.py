"""No more messages than somebody could have meant."""

from __future__ import annotations

from typing import Any

from fairlead import OrderIntent, duration_text
from fairlead.facts import BreakerReset, BreakerTripped, CancelRequested, OrderSubmitted, ReplaceRequested
from fairlead.ports import Allowance, Trip, View
from fairlead_breakers._latch import Act, Latch, Window, count, span
from fairlead_breakers._shared import reduces


class OrderRate(Latch):
    """Trips a strategy that has sent `most` orders and cancels within `window` and wants to send one more.

    Scope: strategy. Evaluation: before each order, those placed in the same turn counted, and at each message that
    leaves. Action: refuses what does not reduce, and reduce-only. Reset: by a person, unless `reset` says otherwise.
    The window of 50 in a second is that of VeighNa's risk manager. Nothing is unknown; the trip survives a restart, the
    count does not: a restart takes longer than the window.
    """

    wants = (OrderSubmitted, ReplaceRequested, CancelRequested, BreakerTripped, BreakerReset)

    def __init__(
        self,
        most: int = 50,
        window: str = "1s",
        *,
        action: Act = "reduce_only",
        reset: str = "manual",
        name: str = "OrderRate",
    ) -> None:
        super().__init__(name, action, reset)
        self._most, self._span = count(name, "most", most), span(name, "window", window)
        self._sent = Window(self._span)

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what would be one message too many."""
        now = view.now
        sent = self._sent.count(intent.strategy, now)
        if sent < self._most:
            sent += self._just_placed(intent, now, view)
        if sent < self._most or reduces(intent, view):
            return None
        return Trip(self._why(sent + 1), self._state, f"strategy:{intent.strategy}", self._action)

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:  # type: ignore[override]
        """Nothing can be told beforehand."""
        return None

    def _seen(self, item: Any, view: View) -> Trip | None:
        if isinstance(item, BreakerTripped | BreakerReset):
            if item.breaker == self.name:
                self._changed(item, view)
            return None
        intent = getattr(item, "intent", None)
        if intent is None:
            order = view.order(getattr(item, "client_order_id", ""))
            if order is None:
                return None
            intent = order.intent
        sent = self._sent.add(intent.strategy, view.now)
        if sent <= self._most:
            return None
        return self._trip(self._why(sent), f"strategy:{intent.strategy}", view, intent.account)

    def _changed(self, fact: BreakerTripped | BreakerReset, view: View) -> None:
        """A trip begins to last when it was recorded: a check may be a rehearsal."""
        if isinstance(fact, BreakerTripped):
            self._trip(fact.reason, fact.scope, view, self._account_of(fact.scope, view))
        else:
            self._until = {
                scope: until for scope, until in self._until.items() if fact.scope not in ("", scope)
            }

    def _account_of(self, scope: str, view: View) -> str:
        """Where the strategy has sent what was too much."""
        strategy = scope.removeprefix("strategy:")
        for account in view.accounts():
            orders = [*view.orders(account), *view.recent(view.now - self._span)]
            if any(order.account == account and order.strategy == strategy for order in orders):
                return account
        return ""

    def _just_placed(self, intent: OrderIntent, now: int, view: View) -> int:
        """Orders of this moment, as far as they were not counted when they left."""
        placed = 0
        for order in reversed(view.orders(intent.account)):
            if order.created_ns < now:
                break
            placed += order.strategy == intent.strategy
        if not placed:
            return 0
        return max(0, placed - sum(when == now for when in self._sent.times.get(intent.strategy, ())))

    def _why(self, sent: int) -> str:
        return f"{sent} orders and cancels within {duration_text(self._span)}, more than {self._most}"
