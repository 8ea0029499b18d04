"""Executions and their commissions, under ids whose last part counts corrections.

https://interactivebrokers.github.io/tws-api/executions_commissions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Side
from fairlead_venue.account import Account
from fairlead_venue.orders import ZERO, Execution, VenueOrder
from fairlead_venue.tws.catalogue import Catalogue
from fairlead_venue.tws.orders import perm_id
from fairlead_venue.tws.rules import Refused
from fairlead_venue.tws.session import Session

_DAY = 86_400 * 10**9


@attrs.frozen
class Told:
    """An execution as clients hear of it; `quantity` is 0 where it was taken back."""

    exec_id: str
    execution: Execution
    quantity: Decimal
    cumulative: Decimal
    average: Decimal


class Executions:
    """All executions of the account, told live and on request."""

    def __init__(self, account: Account, catalogue: Catalogue, number: str) -> None:
        self._account = account
        self._catalogue = catalogue
        self._number = number
        self._told: list[Told] = []
        self._ids: dict[int, tuple[str, int]] = {}
        self._taken_back: Execution | None = None

    def note(self, execution: Execution) -> Told:
        """An execution, which corrects the one that was taken back just now if it is like it."""
        old = self._taken_back
        if old is not None and (old.order, old.at_ns) == (execution.order, execution.at_ns):
            self._taken_back = None
            stem, revision = self._ids[old.number]
            return self._add(execution, stem, revision + 1, execution.quantity)
        return self._add(execution, f"0000e0d5.{execution.number:08x}.01", 1, execution.quantity)

    def take_back(self, execution: Execution) -> None:
        """An execution that was busted, or is about to be corrected."""
        self._taken_back = execution

    def busted(self) -> Told | None:
        """What was taken back and not corrected: the same id again, with nothing executed."""
        old, self._taken_back = self._taken_back, None
        if old is None:
            return None
        stem, revision = self._ids[old.number]
        return self._add(old, stem, revision + 1, ZERO)

    def _add(self, execution: Execution, stem: str, revision: int, quantity: Decimal) -> Told:
        self._ids[execution.number] = (stem, revision)
        order = execution.order
        told = Told(f"{stem}.{revision:02d}", execution, quantity, order.filled, order.average_price)
        self._told.append(told)
        return told

    # --- tell ---------------------------------------------------------------------------------------------------

    def chosen(self, asked: Mapping[str, Any], now: int) -> Iterable[Told]:
        """Today's executions that a client's filter lets through. Raises Refused."""
        since = now // _DAY * _DAY
        if asked["time"]:
            since = max(since, _time(asked["time"]))
        for told in self._told:
            order = told.execution.order
            about = self._catalogue.contracts[order.wanted.instrument.id].about
            if (
                told.execution.at_ns >= since
                and asked["clientId"] in ("", "0", str(order.extra.get("client_id", 0)))
                and asked["account"] in ("", self._number)
                and asked["symbol"] in ("", about["symbol"])
                and asked["secType"] in ("", about["secType"])
                and asked["side"].upper() in ("", *_SIDES[order.wanted.side])
            ):
                yield told

    def tell(self, session: Session, told: Told, request: int = -1) -> None:
        """An execution."""
        done = told.execution
        order, extra = done.order, done.order.extra
        at = datetime.fromtimestamp(done.at_ns // 10**9, UTC).strftime("%Y%m%d %H:%M:%S UTC")
        session.tell(
            "execDetails", reqId=request, orderId=extra.get("order_id", 0),
            contract=self._catalogue.contracts[order.wanted.instrument.id].about, execId=told.exec_id, time=at,
            acctNumber=self._number, exchange="ISLAND", side=_SIDES[order.wanted.side][0], shares=told.quantity,
            price=done.price, permId=perm_id(order), clientId=extra.get("client_id", 0), liquidation=0,
            cumQty=told.cumulative, avgPrice=told.average, orderRef=order.wanted.client_id, evRule="",
            evMultiplier="", modelCode="", lastLiquidity=1 if done.maker else 2,
        )  # fmt: skip

    def tell_commission(self, session: Session, told: Told) -> None:
        """What an execution cost, and earned."""
        done = told.execution
        session.tell(
            "commissionReport", execId=told.exec_id, commission=done.fee if told.quantity else ZERO,
            currency=done.fee_currency or done.order.wanted.instrument.quote, realizedPNL=done.realised,
            **{"yield": "", "yieldRedemptionDate": ""},
        )  # fmt: skip


_SIDES = {Side.BUY: ("BOT", "BUY"), Side.SELL: ("SLD", "SELL")}


def _time(text: str) -> int:
    for form in ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S UTC"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * 10**9
        except ValueError:
            continue
    raise Refused(321, f"Error validating request:-'time {text!r}: write yyyymmdd-hh:mm:ss in UTC'")


def orders_of(account: Account, now: int) -> Iterable[VenueOrder]:
    """Orders that ended today."""
    today = now // _DAY * _DAY
    return [order for order in account.orders.values() if not order.open and order.updated_ns >= today]
