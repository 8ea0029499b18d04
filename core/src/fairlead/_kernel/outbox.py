"""The outbox: commands that the turn's record releases. Only what the gate approved gets in."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fairlead._kernel.budget import Budgets
from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.gate import Approved
from fairlead._kernel.recorder import Recorder
from fairlead._models.orders import Order, OrderIntent, TimeInForce
from fairlead._models.venue import Cancel, CancelAll, Command, Replace, Submit, VenueProfile
from fairlead.facts import (
    CancelRequested,
    Noted,
    OrderRejected,
    OrderSubmitted,
    ReplaceRefused,
    ReplaceRequested,
)


class Outbox:
    """Writes intents down and keeps their commands until the record that holds them is in the journal.

    `senders` are the brokers' `send` by account. A cancel for which its venue's rate limits have no room waits.
    """

    def __init__(
        self, recorder: Recorder, schedule: Schedule, profiles: dict[str, VenueProfile], budgets: Budgets
    ) -> None:
        self._recorder = recorder
        self._schedule = schedule
        self._profiles = profiles
        self._budgets = budgets
        self._late: dict[str, dict[str, Order]] = {}
        self.senders: dict[str, Callable[[Command], None]] = {}
        self.waiting: list[tuple[str, Command]] = []

    def submit(self, client_order_id: str, approved: Approved) -> None:
        """Record an approved order and queue its command."""
        intent = approved.intent
        recorder, profile = self._recorder, self._profiles[intent.account]
        deadline = recorder.now + profile.patience_ns
        recorder.take(
            OrderSubmitted(
                seq=recorder.seq + 1,
                now=recorder.now,
                cause=recorder.cause,
                client_order_id=client_order_id,
                intent=intent,
                quantity=intent.quantity,
                deadline_ns=deadline,
                reduce_only=approved.reduce_only,
            )
        )
        if intent.time_in_force not in profile.time_in_force:  # the engine ends it itself
            intent = msgspec.structs.replace(intent, time_in_force=TimeInForce.GTC)
        if intent.account in self._budgets:
            self._budgets.spend_order(intent.account)
        command = Submit(client_order_id, intent, intent.quantity, approved.reduce_only, deadline)
        self.waiting.append((intent.account, command))

    def replace(self, order: Order, approved: Approved) -> None:
        """Record the next change of an order in place, to approved terms, and queue its command.

        What is approved is what is still to fill; the venue is told the total.
        """
        intent, recorder = approved.intent, self._recorder
        deadline = recorder.now + self._profiles[order.account].patience_ns
        asked = recorder.record(
            ReplaceRequested,
            client_order_id=order.client_order_id,
            attempt=order.replacements + 1,
            quantity=order.filled_quantity + intent.quantity,
            limit_price=intent.limit_price,
            stop_price=intent.stop_price,
            deadline_ns=deadline,
        )
        if order.account in self._budgets:
            self._budgets.spend_order(order.account)
        command = Replace(
            order.client_order_id,
            order.broker_order_id,
            order.instrument,
            asked.attempt,
            asked.quantity,
            asked.limit_price,
            asked.stop_price,
            deadline,
        )
        self.waiting.append((order.account, command))

    def cancel(self, order: Order, *, expires: bool = False) -> None:
        """Record a cancel and queue its command; it may be repeated freely."""
        self._recorder.record(CancelRequested, client_order_id=order.client_order_id, expires=expires)
        if order.account in self._budgets and not self._has_room(order):
            return
        deadline = self._recorder.now + self._profiles[order.account].patience_ns
        command = Cancel(order.client_order_id, order.broker_order_id, order.instrument, deadline)
        self.waiting.append((order.account, command))

    def _has_room(self, order: Order) -> bool:
        """Whether a cancel may leave now; else it waits, which is said where it is the first."""
        account, now = order.account, self._recorder.now
        late = self._late.setdefault(account, {})
        when = self._budgets.cancel_ns(account)
        if when <= now and not late:
            self._budgets.spend_cancel(account)
            return True
        if not late:
            text = f"cancels on account {account} wait {(when - now) / 1e9:.3g} s for room in its venue's rate limits"
            self._recorder.record(Noted, source="rate limits", text=text)
            self._schedule(when, lambda: self._send_late(account), TIMER, 0)
        late[order.client_order_id] = order
        return False

    def _send_late(self, account: str) -> None:
        late, self._late[account] = self._late[account], {}
        for order in late.values():
            if not order.closed:
                self.cancel(order, expires=order.expiring)

    def cancel_all(self, account: str, instrument: str = "") -> None:
        """Queue a venue-wide cancel: also for what we do not know of."""
        deadline = self._recorder.now + self._profiles[account].patience_ns
        self.waiting.append((account, CancelAll(instrument, deadline)))

    def withdraw(self, allowed: Callable[[OrderIntent], bool]) -> list[Order]:
        """Take back orders that may not be sent any more; what they were is recorded, and returned."""
        kept: list[tuple[str, Command]] = []
        gone: list[Order] = []
        for account, command in self.waiting:
            order = (
                self._recorder.state.orders.get(command.client_order_id)
                if isinstance(command, Submit | Replace)
                else None
            )
            if order is not None and not allowed(order.intent):
                self._withdraw(order, command)
                gone.append(order)
            else:
                kept.append((account, command))
        self.waiting = kept
        return gone

    def _withdraw(self, order: Order, command: Command) -> None:
        name, reason = order.client_order_id, "not sent: trading was lowered in the same turn"
        if not isinstance(command, Replace):
            self._recorder.record(OrderRejected, client_order_id=name, code="not_sent", reason=reason)
        elif order.replacing is not None:
            attempt = command.attempt
            self._recorder.record(
                ReplaceRefused, client_order_id=name, attempt=attempt, code="not_sent", reason=reason
            )

    def release(self) -> None:
        """Send what waits, in order: its record is in the journal."""
        waiting, self.waiting = self.waiting, []
        for account, command in waiting:
            self.senders[account](command)
