"""Commands as Bybit takes them: one request each, by socket or by REST; numbers are exact texts.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from fairlead import Instrument, OrderType, Side, TimeInForce
from fairlead.ports import Cancel, Replace, Submit
from fairlead_bybit.instruments import LINEAR, SPOT, Listing, product_of


class Request(NamedTuple):
    """One request: its operation on the trade socket, the SDK's method for it, and its parameters."""

    op: str
    method: str
    params: dict[str, Any]


class Unsendable(Exception):
    """Bybit has no request for a command; nothing is sent."""


SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_TIMES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "Market",
    OrderType.STOP_LIMIT: "Limit",
}
_RISES, _FALLS = 1, 2


def plain(value: Decimal) -> str:
    """A number without an exponent, and with no more decimals than it has."""
    return f"{value.normalize():f}"


def submit(listing: Listing, command: Submit) -> Request:
    """An order; one that waits for a price waits at the venue. Raises Unsendable."""
    intent, instrument = command.intent, _known(listing, command.intent.instrument)
    if intent.type not in _TYPES or intent.time_in_force not in _TIMES:
        raise Unsendable(f"Bybit has no {intent.type} order with {intent.time_in_force}")
    params = _where(instrument) | {
        "side": SIDES[intent.side], "orderType": _TYPES[intent.type], "qty": plain(command.quantity),
        "orderLinkId": command.client_order_id,
    }  # fmt: skip
    if params["orderType"] == "Limit":
        params["price"] = _price(intent.limit_price, "limit price")
        params["timeInForce"] = "PostOnly" if intent.post_only else _TIMES[intent.time_in_force]
    elif instrument.spot:
        params["marketUnit"] = "baseCoin"  # by itself Bybit takes a market buy's quantity for money
    if not instrument.spot:
        params["positionIdx"] = 0
        if command.reduce_only:
            params["reduceOnly"] = True
    if waits(command):
        params |= _trigger(command, instrument)
    return Request("order.create", "place_order", params | dict(intent.venue_options))


def waits(command: Submit) -> bool:
    """Whether an order waits for a price at the venue."""
    return command.intent.type in (OrderType.STOP, OrderType.STOP_LIMIT)


def _trigger(command: Submit, instrument: Instrument) -> dict[str, Any]:
    price = _price(command.intent.stop_price, "stop price")
    if instrument.spot:
        return {"triggerPrice": price, "orderFilter": "StopOrder"}
    way = _RISES if command.intent.side is Side.BUY else _FALLS
    return {"triggerPrice": price, "triggerDirection": way, "triggerBy": "LastPrice"}


def cancel(listing: Listing, command: Cancel, *, waiting: bool) -> Request:
    """The cancel of an order; `waiting` says of one of spot that it still waits for its price. Raises Unsendable."""
    instrument = _known(listing, command.instrument)
    params = _where(instrument) | {"orderLinkId": command.client_order_id}
    if waiting and instrument.spot:
        params["orderFilter"] = "StopOrder"
    return Request("order.cancel", "cancel_order", _by_number(params, command.broker_order_id))


def replace(listing: Listing, command: Replace) -> Request:
    """The amend of an order: the quantity is the new total. Raises Unsendable."""
    instrument = _known(listing, command.instrument)
    params = _where(instrument) | {"orderLinkId": command.client_order_id, "qty": plain(command.quantity)}
    if command.limit_price is not None:
        params["price"] = plain(command.limit_price)
    if command.stop_price is not None:
        params["triggerPrice"] = plain(command.stop_price)
    return Request("order.amend", "amend_order", _by_number(params, command.broker_order_id))


def cancel_all(listing: Listing, name: str, products: tuple[str, ...]) -> list[dict[str, str]]:
    """What cancels every order of an instrument, or of all: spot has conditional orders apart, linear its coins.

    https://bybit-exchange.github.io/docs/v5/order/cancel-all. Raises Unsendable.
    """
    if name:
        where = _where(_known(listing, name))
        return _filters(where) if where["category"] == SPOT else [where]
    found: list[dict[str, str]] = []
    if SPOT in products:
        found += _filters({"category": SPOT})
    if LINEAR in products:
        found += [{"category": LINEAR, "settleCoin": coin} for coin in settles(listing)]
    return found


def settles(listing: Listing) -> list[str]:
    """What linear contracts are settled in."""
    return sorted({one.settle for one in listing if not one.spot})


def _filters(where: dict[str, str]) -> list[dict[str, str]]:
    return [{**where, "orderFilter": name} for name in ("Order", "StopOrder", "tpslOrder")]


def _by_number(params: dict[str, Any], number: str) -> dict[str, Any]:
    """Their number where we have it: an order that somebody placed by hand has no link id."""
    if not number:
        return params
    return {name: value for name, value in params.items() if name != "orderLinkId"} | {"orderId": number}


def _where(instrument: Instrument) -> dict[str, Any]:
    return {"category": product_of(instrument.symbol), "symbol": instrument.native}


def _known(listing: Listing, name: str) -> Instrument:
    try:
        return listing.get(name)
    except KeyError:
        raise Unsendable(f"{name} is not listed at Bybit here") from None


def _price(price: Decimal | None, what: str) -> str:
    if price is None:
        raise Unsendable(f"an order of this type needs a {what}")
    return plain(price)
