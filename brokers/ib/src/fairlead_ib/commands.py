"""Orders as IB takes them, written from decimals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fairlead import OrderType, Side, TimeInForce
from fairlead.ports import Replace, Submit
from fairlead_ib.instruments import text

TYPES = {
    OrderType.MARKET: "MKT", OrderType.LIMIT: "LMT", OrderType.STOP: "STP", OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAILING_STOP: "TRAIL",
}  # fmt: skip
_HUNDRED = 100
_YES = ("1", "true", "yes")


def order(sdk: Any, command: Submit, account: str) -> Any:
    """A new order; our id goes along as its reference."""
    intent = command.intent
    made = sdk.Order()
    made.action = "BUY" if intent.side is Side.BUY else "SELL"
    made.totalQuantity = text(command.quantity)
    made.orderType = TYPES[intent.type]
    made.tif = intent.time_in_force.value
    made.account, made.orderRef = account, command.client_order_id
    made.lmtPrice, made.auxPrice = text(intent.limit_price), text(intent.stop_price)
    if intent.trail is not None and intent.trail.percent:
        made.trailingPercent = text(intent.trail.distance * _HUNDRED)
    elif intent.trail is not None:
        made.auxPrice = text(intent.trail.distance)
    if intent.time_in_force is TimeInForce.GTD:
        # To the second, which is as exact as they are there.
        at = datetime.fromtimestamp(intent.expires_ns // 10**9, UTC)
        made.goodTillDate = at.strftime("%Y%m%d-%H:%M:%S")
    made.outsideRth = intent.venue_options.get("outsideRth", "").lower() in _YES
    return made


def changed(before: Any, command: Replace) -> Any:
    """The same order on new terms: every other field has to be as it was."""
    before.totalQuantity = text(command.quantity)
    if command.limit_price is not None:
        before.lmtPrice = text(command.limit_price)
    if command.stop_price is not None:
        before.auxPrice = text(command.stop_price)
    return before
