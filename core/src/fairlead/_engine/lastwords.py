"""What an engine still writes and sends when it ends because something failed.

Where the disk is full the journal has a reserve for just this: the halt, and the cancels of orders that could still
add to a position. What protects one stays at the venue. Nothing is sent that could not be written first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from fairlead._kernel.kernel import Kernel
from fairlead._models.accounts import TradingState
from fairlead._models.orders import AT_VENUE, Order
from fairlead._storage.journal import Journal
from fairlead.errors import JournalError
from fairlead.facts import CancelRequested, EngineStopped, Fact, StateChanged
from fairlead.ports import Cancel

_MOST = 300
"""Cancels that surely fit into the reserve, beside the halt and the end."""


def say_last_words(kernel: Kernel, journal: Journal, reason: str) -> None:
    """Write why it ended. Where the journal failed, halt for good and take back what could add to a position."""
    pen = _Pen(kernel)
    with contextlib.suppress(JournalError):
        if kernel.fatal:
            why = f"{kernel.fatal}; resume when it can be written again"
            halt = pen.fact(StateChanged, scope="engine", state=TradingState.HALTED, reason=why, who="engine")
            journal.append([halt], last_words=True)
            adding = _adding(kernel)[:_MOST]
            cancels = [pen.fact(CancelRequested, client_order_id=order.client_order_id) for order in adding]
            journal.append(cancels, last_words=True)
            _send(kernel, adding)
        journal.append([pen.fact(EngineStopped, reason=reason, failed=True)], last_words=True)
        journal.sync()


class _Pen:
    """Makes facts, each its own cause, after the last number that was given."""

    def __init__(self, kernel: Kernel) -> None:
        self._seq, self._now = kernel.recorder.seq, kernel.recorder.now

    def fact(self, kind: type[Fact], **fields: Any) -> Fact:
        self._seq += 1
        return kind(seq=self._seq, now=self._now, cause=self._seq, **fields)


def _adding(kernel: Kernel) -> list[Order]:
    """Orders at the venue that the journal knows and that protect nothing."""
    return [
        order
        for order in kernel.state.open.values()
        if order.status in AT_VENUE
        and order.client_order_id not in kernel.unwritten
        and not (order.intent.exits or order.intent.reduce_only or order.intent.closes)
    ]


def _send(kernel: Kernel, orders: Sequence[Order]) -> None:
    for order in orders:
        deadline = kernel.agenda.now() + kernel.profiles[order.account].patience_ns
        command = Cancel(order.client_order_id, order.broker_order_id, order.instrument, deadline)
        kernel.outbox.senders[order.account](command)
