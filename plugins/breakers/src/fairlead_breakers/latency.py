"""Prices and answers that come late."""

from __future__ import annotations

from typing import Any

from fairlead import duration_text
from fairlead.facts import Filled, OrderAccepted, OrderCanceled, OrderRejected, OrderSubmitted, OrderUnknown
from fairlead.ports import Bar, Calm, Quote, Trade, Trip, View
from fairlead_breakers._latch import LOOK_NS, Act, Ticks, span
from fairlead_breakers._shared import Wants, next_full

_ANSWERS = (OrderAccepted, OrderRejected, OrderUnknown, OrderCanceled, Filled)


class Latency(Ticks):
    """Trips an instrument whose events arrive more than `event` after they happened, and an account whose venue
    takes longer than `ack` to answer an order.

    Scope: instrument, account. Evaluation: at each quote, trade and bar (received less event time), and for orders from
    sent to the first answer, while they wait as well. Action: reduce-only. Reset: once clean, that is after `clean`
    events in a row in time; an account with an answer in time while nothing is overdue, or a minute after the last one
    that was late. Before so many events were seen an instrument is unknown, and reduce-only; only trips survive a
    restart. Five seconds is Binance's default `recvWindow`, after which it refuses what is late itself.
    """

    wants: Wants = (Quote, Trade, Bar, OrderSubmitted, *_ANSWERS)

    def __init__(
        self,
        event: str = "5s",
        ack: str = "5s",
        *,
        clean: int = 3,
        action: Act = "reduce_only",
        name: str = "Latency",
    ) -> None:
        super().__init__(name, action, clean)
        self._event, self._ack = span(name, "event", event), span(name, "ack", ack)
        self._sent: dict[str, tuple[int, str]] = {}
        self._late: dict[str, int] = {}

    def watch(self, item: Any, view: View) -> Trip | None:
        """An event came, an order left, or was answered; or a look at those that wait."""
        kind = type(item)
        if kind is Quote or kind is Trade or kind is Bar:
            late = item.received_ns - item.event_ns
            if late > self._event:
                why = f"an event of {item.instrument} came {late / 1e9:.3f} s late"
                return self._bad(item.instrument, f"{why}, over {duration_text(self._event)}")
            if item.instrument not in self._sound:
                self._fine(item.instrument)
            return None
        if kind is OrderSubmitted:
            self._sent[item.client_order_id] = (item.now, item.intent.account)
            return None
        return self._overdue(view) if item is None else self._answered(item, view)

    def calm(self, instrument: str, view: View) -> Calm | None:
        """Events that come in time."""
        return Calm(late_ns=self._event) if instrument in self._sound else None

    def due(self, view: View) -> int:
        """When the oldest unanswered order becomes overdue; else once a minute."""
        waiting = [when + self._ack + 1 for when, _ in self._sent.values()]
        return min([due for due in waiting if due > view.now], default=next_full(LOOK_NS, view))

    def clean(self, scope: str, view: View) -> bool:
        """Whether events, or answers, come in time again."""
        kind, _, account = scope.partition(":")
        if kind != "account":
            return super().clean(scope, view)
        waits = any(a == account and view.now - when > self._ack for when, a in self._sent.values())
        return not waits and view.now >= self._late.get(account, 0) + LOOK_NS

    def _answered(self, item: Any, view: View) -> Trip | None:
        name = item.fill.client_order_id if isinstance(item, Filled) else item.client_order_id
        sent = self._sent.pop(name, None)
        if sent is None:
            return None
        took, account = item.now - sent[0], sent[1]
        if took <= self._ack:
            self._late.pop(account, None)
            return None
        return self._slow(account, took, view)

    def _overdue(self, view: View) -> Trip | None:
        for when, account in self._sent.values():
            if view.now - when > self._ack:
                return self._slow(account, view.now - when, view)
        return None

    def _slow(self, account: str, took: int, view: View) -> Trip:
        self._late[account] = view.now
        why = f"the venue took {took / 1e9:.3f} s to answer an order, over {duration_text(self._ack)}"
        return Trip(why, self._state, f"account:{account}", self._action)
