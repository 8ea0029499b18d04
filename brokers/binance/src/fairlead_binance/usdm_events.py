"""The USD-M account's own events as reports.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from fairlead import Liquidity
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
from fairlead_binance.commands import ALGO
from fairlead_binance.instruments import ZERO, Listing
from fairlead_binance.known import Known
from fairlead_binance.spot_events import SIDES, Ended, Kind

log = logging.getLogger("fairlead.binance")


class Update(msgspec.Struct):
    """`o` of ORDER_TRADE_UPDATE. Fields are Binance's own."""

    s: str
    c: str
    S: Literal["BUY", "SELL"]
    q: Decimal
    p: Decimal
    x: str
    X: str
    i: int
    filled: Decimal = msgspec.field(name="l")
    z: Decimal
    L: Decimal
    T: int
    t: int
    m: bool
    n: Decimal = ZERO
    N: str | None = None


class OrderTradeUpdate(msgspec.Struct):
    """What happened to an order."""

    o: Update


class AlgoUpdate(msgspec.Struct):
    """`o` of ALGO_UPDATE."""

    caid: str
    aid: int
    s: str
    S: Literal["BUY", "SELL"]
    X: str
    ai: str = ""
    rm: str = ""


class AlgoEvent(msgspec.Struct):
    """What happened to a conditional order."""

    T: int
    o: AlgoUpdate


class Changed(msgspec.Struct):
    """One balance: `bc` is what changed it besides trades."""

    a: str
    bc: Decimal


class Position(msgspec.Struct):
    """One position."""

    s: str


class Account(msgspec.Struct):
    """`a` of ACCOUNT_UPDATE."""

    m: str
    B: list[Changed] = []
    P: list[Position] = []


class AccountUpdate(msgspec.Struct):
    """What happened to balances and positions."""

    T: int
    a: Account


_kinds = msgspec.json.Decoder(Kind)
_orders = msgspec.json.Decoder(OrderTradeUpdate)
_algos = msgspec.json.Decoder(AlgoEvent)
_accounts = msgspec.json.Decoder(AccountUpdate)
_SILENT = frozenset(
    {"TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT"}
)  # fmt: skip
"""TRADE_LITE is a trade without its fee, of which ORDER_TRADE_UPDATE tells all; snapshots tell settings."""

_CAUSES = {"DEPOSIT": "deposit", "WITHDRAW": "withdrawal", "INSURANCE_CLEAR": "liquidation"}
_FORCED = {
    "autoclose-": "liquidation",
    "adl_autoclose": "auto-deleveraging",
    "settlement_autoclose-": "settlement",
}
"""How the names of orders begin that Binance itself places."""


class UsdmEvents:
    """Turns events into reports, given to `emit`; `funded` is called where funding was paid, of what we do not know."""

    def __init__(
        self,
        listing: Listing,
        known: Known,
        emit: Callable[[Report], None],
        funded: Callable[[int], None],
    ) -> None:
        self._listing = listing
        self._known = known
        self._emit = emit
        self._funded = funded
        self._handlers: dict[str, Callable[[Update, str], None]] = {
            "NEW": self._new,
            "TRADE": self._trade,
            "CALCULATED": self._trade,
            "CANCELED": self._canceled,
            "EXPIRED": self._expired,
            "AMENDMENT": self._amended,
            "REJECTED": self._rejected,
        }

    def take(self, payload: bytes) -> None:
        """One event. Raises Ended, and msgspec.DecodeError for what cannot be read."""
        kind = _kinds.decode(payload).e
        if kind == "ORDER_TRADE_UPDATE":
            self._order(_orders.decode(payload).o)
        elif kind == "ALGO_UPDATE":
            event = _algos.decode(payload)
            self._algo(event.o, _ns(event.T))
        elif kind == "ACCOUNT_UPDATE":
            self._account(_accounts.decode(payload))
        elif kind in ("listenKeyExpired", "serverShutdown"):
            raise Ended(f"Binance ended the account's stream ({kind})")
        elif kind == "MARGIN_CALL":
            log.critical("Binance calls for margin: positions of this account are near their liquidation")
        elif kind not in _SILENT:
            log.warning("Binance told of %.40s, which nobody here knows", kind)

    # --- orders -------------------------------------------------------------------------------------------------

    def _order(self, event: Update) -> None:
        handler = self._handlers.get(event.x)
        if handler is None:
            raise Ended(f"Binance told of an execution of the unknown kind {event.x:.40}")
        name = self._known.ours(event.s, str(event.i), event.c)
        self._known.number(event.s, str(event.i), name)
        self._known.order(name, self._listing.id(event.s), SIDES[event.S])
        handler(event, name)

    def _new(self, event: Update, name: str) -> None:
        self._emit(Accepted(client_order_id=name, broker_order_id=str(event.i), event_ns=_ns(event.T)))

    def _trade(self, event: Update, name: str) -> None:
        cause = next((cause for begin, cause in _FORCED.items() if name.startswith(begin)), "")
        self._emit(
            FillReport(
                client_order_id="" if cause else name,
                event_ns=_ns(event.T),
                fill_id=f"{event.s}:{event.t}",
                instrument=self._listing.id(event.s),
                side=SIDES[event.S],
                quantity=event.filled,
                price=event.L,
                fee=event.n,
                fee_currency=event.N or "",
                liquidity=Liquidity.MAKER if event.m else Liquidity.TAKER,
                cumulative_quantity=None if cause else event.z,
                cause=cause,
            )
        )

    def _canceled(self, event: Update, name: str) -> None:
        number = str(event.i)
        self._emit(
            Canceled(
                client_order_id=name, event_ns=_ns(event.T), filled_quantity=event.z, broker_order_id=number
            )
        )

    def _expired(self, event: Update, name: str) -> None:
        reason = "" if event.X == "EXPIRED" else event.X
        number = str(event.i)
        self._emit(
            Expired(
                client_order_id=name,
                event_ns=_ns(event.T),
                reason=reason,
                filled_quantity=event.z,
                broker_order_id=number,
            )
        )

    def _amended(self, event: Update, name: str) -> None:
        if not self._known.changes(name, event.q, event.p):
            return
        self._emit(
            Replaced(
                client_order_id=name,
                event_ns=_ns(event.T),
                broker_order_id=str(event.i),
                quantity=event.q,
                limit_price=event.p,
            )
        )

    def _rejected(self, event: Update, name: str) -> None:
        self._emit(Rejected(client_order_id=name, event_ns=_ns(event.T), code="REJECTED", reason=event.X))

    def _algo(self, event: AlgoUpdate, at: int) -> None:
        """A conditional order until it is triggered; from then on it is an order like any other, and tells itself."""
        name = event.caid
        self._known.order(name, self._listing.id(event.s), SIDES[event.S], waits=True)
        self._known.number(event.s, event.ai, name)
        match event.X:
            case "NEW":
                self._emit(Accepted(client_order_id=name, broker_order_id=f"{ALGO}{event.aid}", event_ns=at))
            case "TRIGGERING" | "TRIGGERED":
                self._known.waits.pop(name, None)
                self._emit(Triggered(client_order_id=name, event_ns=at))
            case "CANCELED":
                self._emit(Canceled(client_order_id=name, event_ns=at, filled_quantity=ZERO))
            case "EXPIRED":
                self._emit(Expired(client_order_id=name, event_ns=at, reason=event.rm, filled_quantity=ZERO))
            case "REJECTED":
                reason = f"refused when it was triggered: {event.rm}"
                self._emit(Canceled(client_order_id=name, event_ns=at, reason=reason, filled_quantity=ZERO))
            case "FINISHED":
                self._known.waits.pop(name, None)
            case _:
                raise Ended(f"Binance told of a conditional order's unknown status {event.X:.40}")

    # --- money --------------------------------------------------------------------------------------------------

    def _account(self, event: AccountUpdate) -> None:
        reason = event.a.m
        if reason == "FUNDING_FEE":
            self._funded(_ns(event.T))
            return
        if reason == "ORDER":  # profits and fees: trades tell of them
            return
        for changed in event.a.B:
            if changed.bc:
                self._emit(
                    AccountChanged(
                        cause=_CAUSES.get(reason, "transfer"),
                        currency=changed.a,
                        amount=changed.bc,
                        event_ns=_ns(event.T),
                    )
                )


def _ns(ms: int) -> int:
    return ms * 1_000_000
