"""Commands as ccxt takes them: the name of a method and its arguments, numbers as texts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from fairlead import OrderType, Side, TimeInForce
from fairlead.ports import Cancel, Submit
from fairlead_ccxt.facts import Facts

_TYPES = {OrderType.MARKET: "market", OrderType.LIMIT: "limit"}
_SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
_LONGEST_MS = 60_000


class Request(NamedTuple):
    """One call of ccxt's."""

    method: str
    args: tuple[Any, ...]


class Unsendable(Exception):
    """ccxt has no request for a command, or would change it on the way; nothing is sent."""


def plain(value: Decimal) -> str:
    """A number without an exponent, and with no more decimals than it has."""
    return f"{value.normalize():f}"


def submit(facts: Facts, command: Submit, symbol: str, left_ns: int) -> Request:
    """A new order, which the exchange is to take within `left_ns`. Raises Unsendable."""
    intent = command.intent
    if intent.type not in _TYPES:
        raise Unsendable(f"a {intent.type} order is held by the engine, not sent by ccxt")
    price = None
    if intent.type is OrderType.LIMIT:
        if intent.limit_price is None:
            raise Unsendable("a limit order needs a price")
        price = plain(intent.limit_price)
    params: dict[str, Any] = {
        **intent.venue_options,
        facts.client_id: facts.names.write(command.client_order_id),
        **_window(facts, left_ns),
    }
    if intent.post_only:
        params["postOnly"] = True
    elif intent.time_in_force is not TimeInForce.GTC:
        params["timeInForce"] = str(intent.time_in_force)
    if command.reduce_only:
        params["reduceOnly"] = True
    quantity = plain(command.quantity)
    return Request(
        "create_order", (symbol, _TYPES[intent.type], _SIDES[intent.side], quantity, price, params)
    )


def cancel(facts: Facts, command: Cancel, symbol: str, number: str, left_ns: int) -> Request:
    """The cancel of an order: by their id where it is known, else by ours. Raises Unsendable."""
    window = _window(facts, left_ns)
    if number:
        return Request("cancel_order", (number, symbol, window))
    if not facts.cancel:
        raise Unsendable("its id there is not known yet, and the exchange finds no order by ours")
    name = facts.names.write(command.client_order_id)
    if facts.cancel == "id":
        return Request("cancel_order", (name, symbol, window))
    return Request("cancel_order", (None, symbol, {facts.cancel: name, **window}))


def exact(exchange: Any, request: Request) -> None:
    """Refuse numbers that ccxt would round on the way. Raises Unsendable."""
    symbol, _, _, quantity, price, _ = request.args
    for what, text, rounded in (
        ("quantity", quantity, exchange.amount_to_precision),
        ("price", price, exchange.price_to_precision),
    ):
        if text is not None and Decimal(rounded(symbol, text)) != Decimal(text):
            raise Unsendable(f"ccxt would send another {what} than {text}: {rounded(symbol, text)}")


def _window(facts: Facts, left_ns: int) -> dict[str, int]:
    if not facts.window:
        return {}
    return {facts.window: max(1, min(left_ns // 1_000_000, _LONGEST_MS))}
