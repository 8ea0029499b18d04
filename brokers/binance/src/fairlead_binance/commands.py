"""Commands as Binance takes them: one request each, over WebSocket or HTTP; numbers are exact."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from fairlead import OrderIntent, OrderType, Side, TimeInForce
from fairlead.ports import Cancel, Replace, Submit
from fairlead_binance.instruments import Listing

ALGO = "algo:"
"""What the id of a conditional order of futures begins with: their numbers are none of orders'."""


class Request(NamedTuple):
    """One request: its WebSocket method, its HTTP verb and path, and its parameters."""

    method: str
    verb: str
    path: str
    params: dict[str, str]


class Unsendable(Exception):
    """Binance has no request for a command, or one that lacks something we do not know; nothing is sent."""


_SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
_TIMES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_SPOT_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
}
_USDM_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOP_MARKET",
    OrderType.STOP_LIMIT: "STOP",
}


def plain(value: Decimal) -> str:
    """A number without an exponent, and with no more decimals than it has."""
    return f"{value.normalize():f}"


def _common(listing: Listing, command: Submit, types: dict[OrderType, str]) -> dict[str, str]:
    intent = command.intent
    if intent.type not in types or intent.time_in_force not in _TIMES:
        raise Unsendable(f"Binance has no {intent.type} order with {intent.time_in_force} here")
    return {
        "symbol": _native(listing, intent.instrument),
        "side": _SIDES[intent.side],
        "type": types[intent.type],
        "quantity": plain(command.quantity),
        **intent.venue_options,
    }


def _native(listing: Listing, name: str) -> str:
    try:
        return listing.native(name)
    except KeyError:
        raise Unsendable(f"{name} is not listed at Binance here") from None


def _price(price: Decimal | None, what: str) -> str:
    if price is None:
        raise Unsendable(f"an order of this type needs a {what}")
    return plain(price)


def spot_submit(listing: Listing, command: Submit) -> Request:
    """An order of spot. Raises Unsendable."""
    intent = command.intent
    params = _common(listing, command, _SPOT_TYPES)
    params |= {"newClientOrderId": command.client_order_id, "newOrderRespType": "ACK"}
    if intent.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        params["price"] = _price(intent.limit_price, "limit price")
        if intent.post_only and intent.type is OrderType.LIMIT:
            params["type"] = "LIMIT_MAKER"
        else:
            params["timeInForce"] = _TIMES[intent.time_in_force]
    if intent.type in (OrderType.STOP, OrderType.STOP_LIMIT):
        params["stopPrice"] = _price(intent.stop_price, "stop price")
    return Request("order.place", "post", "v3/order", params)


def usdm_submit(listing: Listing, command: Submit) -> Request:
    """An order of USD-M futures; one that waits for a price goes to the algo endpoint. Raises Unsendable."""
    intent = command.intent
    params = _common(listing, command, _USDM_TYPES)
    if command.reduce_only:
        params["reduceOnly"] = "true"
    if intent.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        params["price"] = _price(intent.limit_price, "limit price")
        params["timeInForce"] = "GTX" if intent.post_only else _TIMES[intent.time_in_force]
    if intent.type in (OrderType.MARKET, OrderType.LIMIT):
        params |= {"newClientOrderId": command.client_order_id, "newOrderRespType": "ACK"}
        return Request("order.place", "post", "v1/order", params)
    params |= {
        "algoType": "CONDITIONAL",
        "clientAlgoId": command.client_order_id,
        "triggerPrice": _price(intent.stop_price, "stop price"),
    }
    return Request("algoOrder.place", "post", "v1/algoOrder", params)


def conditional(intent: OrderIntent) -> bool:
    """Whether an order of futures waits for a price at the algo endpoint."""
    return intent.type in (OrderType.STOP, OrderType.STOP_LIMIT)


def spot_cancel(listing: Listing, command: Cancel) -> Request:
    """The cancel of an order of spot. Raises Unsendable."""
    return Request("order.cancel", "delete", "v3/order", _which(listing, command))


def usdm_cancel(listing: Listing, command: Cancel, *, waits: bool) -> Request:
    """The cancel of an order of futures; `waits` says of one without an id of theirs that it is a conditional one.

    Raises Unsendable.
    """
    if command.broker_order_id.startswith(ALGO) or (waits and not command.broker_order_id):
        params = {"clientAlgoId": command.client_order_id}
        return Request("algoOrder.cancel", "delete", "v1/algoOrder", params)
    return Request("order.cancel", "delete", "v1/order", _which(listing, command))


def _which(listing: Listing, command: Cancel) -> dict[str, str]:
    """Their number where we have it: what a triggered order is called is not ours to choose."""
    found = {"symbol": _native(listing, command.instrument)}
    if command.broker_order_id.isdecimal():
        return {**found, "orderId": command.broker_order_id}
    return {**found, "origClientOrderId": command.client_order_id}


def usdm_replace(listing: Listing, command: Replace, side: Side | None) -> Request:
    """The change of a limit order of futures: quantity, the total, and price must both be sent. Raises Unsendable."""
    if side is None:
        raise Unsendable("its side is not known yet, which Binance wants to be told")
    params = {
        "symbol": _native(listing, command.instrument),
        "origClientOrderId": command.client_order_id,
        "side": _SIDES[side],
        "quantity": plain(command.quantity),
        "price": _price(command.limit_price, "limit price"),
    }
    return Request("order.modify", "put", "v1/order", params)
