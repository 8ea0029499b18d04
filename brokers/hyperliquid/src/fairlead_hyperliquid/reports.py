"""What Hyperliquid says of an order or an execution, as reports."""

from __future__ import annotations

from decimal import Decimal

from fairlead import Liquidity, Side
from fairlead.ports import FillReport, OrderReport
from fairlead_hyperliquid import codes
from fairlead_hyperliquid.commands import id_of
from fairlead_hyperliquid.frames import Basic, Fill
from fairlead_hyperliquid.instruments import Listing

MS = 1_000_000


def order_report(
    listing: Listing, order: Basic, status: str, before: Decimal, told: Decimal
) -> OrderReport | None:
    """An order; None where what it is in is not listed.

    `before` is what filled under its older numbers, `told` what was told of executions under this one.
    """
    rule = listing.of_coin(order.coin)
    if rule is None:
        return None
    filled = filled_of(order, status)
    return OrderReport(
        client_order_id=id_of(order.cloid, order.oid), broker_order_id=str(order.oid), instrument=rule.id,
        open=codes.ended(status) is not True, quantity=before + order.orig_sz,
        filled_quantity=before + (filled if filled is not None else told), status=status,
        side=Side.BUY if order.side == "B" else Side.SELL, limit_price=order.limit_px,
        stop_price=order.trigger_px if order.is_trigger else None,
    )  # fmt: skip


def filled_of(order: Basic, status: str) -> Decimal | None:
    """How much of an order has filled; None where its figures contradict its status."""
    if codes.rejection(status) is not None:
        return Decimal(0)
    if status != "filled" and codes.ended(status) and not order.sz:
        return None  # canceled, and nothing left to cancel
    return order.orig_sz - order.sz


def fill_id(fill: Fill) -> str:
    """Both sides of a trade have its number, and both may be ours."""
    return f"{fill.tid}-{fill.oid}"


def fill_report(listing: Listing, fill: Fill, name: str, account: str) -> FillReport | None:
    """An execution of the order with this id; None where what it is in is not listed."""
    rule = listing.of_coin(fill.coin)
    if rule is None:
        return None
    forced = fill.liquidation is not None and fill.liquidation.liquidated_user.lower() == account
    return FillReport(
        client_order_id="" if forced else name, event_ns=fill.time * MS, fill_id=fill_id(fill), instrument=rule.id,
        side=Side.BUY if fill.side == "B" else Side.SELL, quantity=fill.sz, price=fill.px, fee=fill.fee,
        fee_currency=fill.fee_token, liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
        cause="liquidation" if forced else "",
    )  # fmt: skip
