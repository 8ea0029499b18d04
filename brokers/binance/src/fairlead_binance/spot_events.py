"""The spot account's own events as reports.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from fairlead import Liquidity, Side
from fairlead.ports import (
    Accepted,
    AccountChanged,
    Canceled,
    Expired,
    FillReport,
    Rejected,
    Replaced,
    Report,
    Triggered,
)
from fairlead_binance.instruments import Listing, trimmed
from fairlead_binance.known import Known

log = logging.getLogger("fairlead.binance")

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class Ended(Exception):
    """The stream of events has ended, or said what cannot be understood: what comes next may be missing."""


class Kind(msgspec.Struct):
    """Which event it is."""

    e: str


class Execution(msgspec.Struct):
    """executionReport: what happened to an order. Fields are Binance's own."""

    E: int
    s: str
    c: str
    S: Literal["BUY", "SELL"]
    o: str
    q: Decimal
    p: Decimal
    C: str
    x: str
    X: str
    r: str
    i: int
    filled: Decimal = msgspec.field(name="l")
    z: Decimal
    L: Decimal
    n: Decimal
    N: str | None
    T: int
    t: int
    w: bool
    m: bool


class BalanceUpdate(msgspec.Struct):
    """balanceUpdate: money that no trade moved."""

    a: str
    d: Decimal
    T: int


_kinds = msgspec.json.Decoder(Kind)
_executions = msgspec.json.Decoder(Execution)
_balances = msgspec.json.Decoder(BalanceUpdate)
_SILENT = frozenset({"outboundAccountPosition", "listStatus", "externalLockUpdate"})
"""What others tell too: snapshots tell balances, executions tell of each order of a list."""


class SpotEvents:
    """Turns events into reports, given to `emit`."""

    def __init__(self, listing: Listing, known: Known, emit: Callable[[Report], None]) -> None:
        self._listing = listing
        self._known = known
        self._emit = emit
        self._handlers: dict[str, Callable[[Execution, str], None]] = {
            "NEW": self._new,
            "TRADE": self._trade,
            "CANCELED": self._canceled,
            "EXPIRED": self._expired,
            "REPLACED": self._replaced,
            "REJECTED": self._rejected,
            "TRADE_PREVENTION": self._prevented,
        }

    def take(self, raw: msgspec.Raw) -> None:
        """One event. Raises Ended, and msgspec.DecodeError for what cannot be read."""
        kind = _kinds.decode(raw).e
        if kind == "executionReport":
            self._execution(_executions.decode(raw))
        elif kind == "balanceUpdate":
            self._balance(_balances.decode(raw))
        elif kind in ("eventStreamTerminated", "serverShutdown"):
            raise Ended(f"Binance ended the account's stream ({kind})")
        elif kind not in _SILENT:
            log.warning("Binance told of %.40s, which nobody here knows", kind)

    def _execution(self, event: Execution) -> None:
        handler = self._handlers.get(event.x)
        if handler is None:
            raise Ended(f"Binance told of an execution of the unknown kind {event.x:.40}")
        number = str(event.i)
        # A cancel, and an amendment, has a name of its own; the order's is C then.
        name = self._known.ours(event.s, number, event.C or event.c)
        if event.x == "REPLACED" and event.C:
            self._known.alias(event.c, name)
        self._known.number(event.s, number, name)
        self._known.order(name, self._listing.id(event.s), SIDES[event.S])
        handler(event, name)

    def _new(self, event: Execution, name: str) -> None:
        self._emit(Accepted(client_order_id=name, broker_order_id=str(event.i), event_ns=_ns(event.T)))
        if event.o in _STOPS and event.w:
            self._emit(Triggered(client_order_id=name, event_ns=_ns(event.T)))

    def _trade(self, event: Execution, name: str) -> None:
        self._emit(
            FillReport(
                client_order_id=name,
                event_ns=_ns(event.T),
                fill_id=f"{event.s}:{event.t}",
                instrument=self._listing.id(event.s),
                side=SIDES[event.S],
                quantity=trimmed(event.filled),
                price=trimmed(event.L),
                fee=trimmed(event.n),
                fee_currency=event.N or "",
                liquidity=Liquidity.MAKER if event.m else Liquidity.TAKER,
                cumulative_quantity=trimmed(event.z),
            )
        )

    def _canceled(self, event: Execution, name: str) -> None:
        self._emit(
            Canceled(
                client_order_id=name,
                event_ns=_ns(event.T),
                filled_quantity=event.z,
                broker_order_id=str(event.i),
            )
        )

    def _expired(self, event: Execution, name: str) -> None:
        reason = "" if event.X == "EXPIRED" else event.X
        self._emit(
            Expired(
                client_order_id=name,
                event_ns=_ns(event.T),
                reason=reason,
                filled_quantity=event.z,
                broker_order_id=str(event.i),
            )
        )

    def _prevented(self, event: Execution, name: str) -> None:
        """Its own order stood in the way: it ends, or goes on with less."""
        if event.X.startswith("EXPIRED"):
            self._expired(event, name)
        else:
            log.warning("Binance kept %s from trading with an order of its own account", name)

    def _replaced(self, event: Execution, name: str) -> None:
        self._emit(
            Replaced(
                client_order_id=name, event_ns=_ns(event.T), broker_order_id=str(event.i), quantity=event.q
            )
        )

    def _rejected(self, event: Execution, name: str) -> None:
        self._emit(Rejected(client_order_id=name, event_ns=_ns(event.T), code=event.r, reason=event.r))

    def _balance(self, event: BalanceUpdate) -> None:
        """A deposit, a withdrawal or a transfer between wallets: Binance does not say which."""
        self._emit(AccountChanged(cause="transfer", currency=event.a, amount=event.d, event_ns=_ns(event.T)))


def _ns(ms: int) -> int:
    return ms * 1_000_000
