"""Commands as Hyperliquid's actions. Numbers are texts made from Decimals; an order's id is its cloid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fairlead import OrderType, Side, TimeInForce
from fairlead.ports import Cancel, Submit
from fairlead_hyperliquid.instruments import Listing, fits, within

_ID = re.compile("[0-9a-f]{32}")
_CLOID = re.compile("0x[0-9a-f]{32}")


class Unsendable(Exception):
    """A command that cannot be written in Hyperliquid's words: why."""


def cloid_of(client_order_id: str) -> str:
    """Our id in Hyperliquid's form. Both are 128 bits, so that the one is the other. Raises Unsendable."""
    if not _ID.fullmatch(client_order_id):
        raise Unsendable(f"the id {client_order_id!r} is not 32 hexadecimal digits, which a cloid is")
    return f"0x{client_order_id}"


def id_of(cloid: str | None, number: int) -> str:
    """The id of an order that has this cloid and this number at the venue: ours, or one that no order of ours has."""
    if cloid is None:
        return f"hl-{number}"
    low = cloid.lower()
    return low[2:] if _CLOID.fullmatch(low) else f"hl-{number}"


def text(value: Decimal) -> str:
    """A number without an exponent and without zeros at its end: that form is signed."""
    return f"{value.normalize():f}" if value else "0"


def submit(listing: Listing, command: Submit, bound: Decimal | None) -> dict[str, Any]:
    """An order. `bound` is the worst price of a market order. Raises Unsendable."""
    intent = command.intent
    rule = listing.rule(intent.instrument)
    if intent.type is OrderType.MARKET:
        if bound is None:
            raise Unsendable(f"no price of {rule.symbol} is known yet, which bounds a market order")
        price, tif = within(bound, rule, intent.side), "Ioc"
    else:
        price, tif = _limit(intent.limit_price), "Ioc" if intent.time_in_force is TimeInForce.IOC else "Gtc"
        tif = "Alo" if intent.post_only else tif
    if not fits(price, rule):
        raise Unsendable(
            f"the price {text(price)} has too many figures: Hyperliquid takes five, and whole numbers; "
            f"the grid of {rule.symbol} has changed since the start, so start again"
        )
    order = {
        "a": listing.number(rule.id), "b": intent.side is Side.BUY, "p": text(price), "s": text(command.quantity),
        "r": command.reduce_only, "t": {"limit": {"tif": tif}}, "c": cloid_of(command.client_order_id),
    }  # fmt: skip
    return {"type": "order", "orders": [order], "grouping": "na"}


def _limit(price: Decimal | None) -> Decimal:
    if price is None:
        raise Unsendable("a limit order has no price")
    return price


def cancel(listing: Listing, command: Cancel) -> dict[str, Any]:
    """By our id; by theirs for an order of somebody else. Raises Unsendable."""
    number = listing.number(command.instrument)
    if _ID.fullmatch(command.client_order_id):
        cloid = cloid_of(command.client_order_id)
        return {"type": "cancelByCloid", "cancels": [{"asset": number, "cloid": cloid}]}
    if not command.broker_order_id.isdecimal():
        raise Unsendable("the order has no number of Hyperliquid's to cancel it by")
    return {"type": "cancel", "cancels": [{"a": number, "o": int(command.broker_order_id)}]}


def cancel_all(orders: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Orders by the number of their asset and their own."""
    return {"type": "cancel", "cancels": [{"a": asset, "o": number} for asset, number in orders]}


def arm(until_ms: int) -> dict[str, Any]:
    """The scheduled cancel; 0 calls it off."""
    return {"type": "scheduleCancel", **({"time": until_ms} if until_ms else {})}
