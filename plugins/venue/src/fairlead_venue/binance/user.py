"""The spot account's own stream: what happened to orders and balances, in the order in which Binance tells it.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead import OrderType
from fairlead_venue.account import Account, BalanceEvent, OrderEvent
from fairlead_venue.binance.listing import text
from fairlead_venue.binance.lists import OrderList
from fairlead_venue.binance.spot import by_hand
from fairlead_venue.binance.spot_orders import status_of
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.orders import ZERO, Execution, VenueOrder

_KINDS = {
    "new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED",
    "triggered": "NEW", "amended": "REPLACED",
}  # fmt: skip

Send = Callable[[dict[str, Any], list[str]], None]
"""Takes an event and its labels."""


class SpotEvents:
    """Makes the events of the spot account and hands them to `send`."""

    def __init__(self, exchange: Exchange, account: Account, send: Send) -> None:
        self._exchange = exchange
        self._account = account
        self._send = send
        self._number = 0
        self._told: dict[str, tuple[Decimal, Decimal]] = {}
        exchange.listen(self._heard)
        self._changed()

    @property
    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderEvent) and event.order.account == self._account.name:
            by_hand(event.order)
            order = event.order
            prevented = order.extra.get("prevented")
            if event.kind == "busted":
                self._position()  # no public event says that a trade was busted: balances do, and queries
            elif order.announced:
                kind = "TRADE_PREVENTION" if prevented and event.kind == "expired" else _KINDS[event.kind]
                self._report(order, kind, event.execution)
                if event.kind != "new" or order.held or order.wanted.type is not OrderType.MARKET:
                    self._position()  # what takes at once is told with its trades
        elif isinstance(event, BalanceEvent) and event.account == self._account.name:
            update = {
                "e": "balanceUpdate", "E": self._now_ms, "a": event.currency, "d": text(event.amount),
                "T": self._now_ms,
            }  # fmt: skip
            self._send(update, ["event:balance", "balanceUpdate"])
            self._position()

    def _report(self, order: VenueOrder, kind: str, done: Execution | None) -> None:
        wanted, extra = order.wanted, order.extra
        self._number += 1
        client, original = extra["client"], ""
        if kind == "CANCELED" and extra.get("cancel"):
            client, original = extra["cancel"], extra["client"]
        elif kind == "REPLACED":
            original = extra.get("replaced", "")
        report = {
            "e": "executionReport", "E": self._now_ms, "s": wanted.instrument.native, "c": client,
            "S": wanted.side.upper(), "o": extra["type"], "f": extra["tif"], "q": text(wanted.quantity),
            "p": text(wanted.limit_price or ZERO), "P": text(extra["stop"] or ZERO), "F": text(ZERO),
            "g": extra["list"], "C": original, "x": kind, "X": status_of(order),
            "r": "NONE" if kind != "REJECTED" else "INSUFFICIENT_BALANCES", "i": order.number,
            "l": text(done.quantity if done else ZERO), "z": text(order.filled),
            "L": text(done.price if done else ZERO), "n": text(done.fee) if done else "0",
            "N": done.fee_currency if done else None, "T": order.updated_ns // 1_000_000,
            "t": done.number if done else -1, "I": self._number, "w": not order.held,
            "m": done.maker if done else False, "M": done is not None, "O": order.created_ns // 1_000_000,
            "Z": text(order.value), "Y": text(done.value if done else ZERO), "Q": text(extra["quote"] or ZERO),
            "V": extra["stp"],
        }  # fmt: skip
        if not order.held:
            report["W"] = order.created_ns // 1_000_000
        if extra["delta"]:
            report["d"] = extra["delta"]
        self._send(report, ["event:order", "executionReport", f"executionReport.{kind}"])

    def _position(self) -> None:
        """Which balances changed since they were told last."""
        if changed := self._changed():
            position = {
                "e": "outboundAccountPosition", "E": self._now_ms, "u": self._now_ms,
                "B": [
                    {"a": name, "f": text(total - held), "l": text(held)} for name, (total, held) in changed.items()
                ],
            }  # fmt: skip
            self._send(position, ["event:balance", "outboundAccountPosition"])

    def _changed(self) -> dict[str, tuple[Decimal, Decimal]]:
        locked = self._account.locked()
        now = {name: (total, locked.get(name, ZERO)) for name, total in self._account.balances().items()}
        changed = {name: amounts for name, amounts in now.items() if self._told.get(name) != amounts}
        self._told = now
        return changed

    def list_changed(self, made: OrderList, status: str) -> None:
        """Tell of an order list."""
        symbol = made.orders[0].wanted.instrument.native
        event = {
            "e": "listStatus", "E": self._now_ms, "s": symbol, "g": made.number, "c": made.kind, "l": status,
            "L": "ALL_DONE" if made.done else "EXECUTING", "r": "NONE", "C": made.client, "T": self._now_ms,
            "O": [
                {"s": symbol, "i": order.number, "c": order.extra["client"]} for order in made.orders
            ],
        }  # fmt: skip
        self._send(event, ["event:list", "listStatus"])
