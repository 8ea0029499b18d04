"""Spot orders: what a request asks for, checked by the filters, and how an order is shown."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, OrderType, Side, TimeInForce
from fairlead_venue.account import Account
from fairlead_venue.binance import rules
from fairlead_venue.binance.listing import Filters, Symbols, floor, text
from fairlead_venue.binance.market import average_price
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused, Rule
from fairlead_venue.exchange import Exchange
from fairlead_venue.orders import ZERO, VenueOrder, Wanted

_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_TYPES = frozenset(
    {"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER"}
)
_STP = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"})
_TIMES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_STATUS = {
    "new": "NEW", "partially_filled": "PARTIALLY_FILLED", "filled": "FILLED", "canceled": "CANCELED",
    "expired": "EXPIRED", "rejected": "REJECTED",
}  # fmt: skip
_CODES: dict[str, tuple[Rule, str]] = {
    "insufficient_funds": (rules.FUNDS, ""),
    "would_cross": (rules.WOULD_TAKE, ""),
    "no_market": (rules.NO_MARKET, ""),
    "min_notional": (rules.FILTER, "NOTIONAL"),
    "bad_tick": (rules.FILTER, "PRICE_FILTER"),
    "bad_lot": (rules.FILTER, "LOT_SIZE"),
    "min_quantity": (rules.FILTER, "LOT_SIZE"),
    "max_quantity": (rules.FILTER, "LOT_SIZE"),
}
_BASIS = Decimal(10_000)


@attrs.frozen
class Asking:
    """An order that was asked for and found well-formed; `stop` and `delta` are of conditional ones."""

    wanted: Wanted
    type: str
    stop: Decimal | None
    delta: int
    extra: dict[str, Any]

    @property
    def conditional(self) -> bool:
        """Whether it waits for a price."""
        return self.stop is not None or bool(self.delta)

    @property
    def above(self) -> bool:
        """Whether a rising price sets it off."""
        return (self.wanted.side is Side.BUY) is self.type.startswith("STOP_LOSS")


class SpotReader:
    """Reads orders out of requests. Everything raises Refused."""

    def __init__(self, exchange: Exchange, account: Account, symbols: Symbols) -> None:
        self._exchange = exchange
        self._account = account
        self._symbols = symbols

    @property
    def filters(self) -> Filters:
        """The filters beyond the instruments' rules."""
        return self._symbols.filters

    def instrument(self, params: Params) -> Instrument:
        """What a request is about."""
        return self._account.instrument(self._symbols.id(params.text("symbol")))

    def order(self, params: Params, *, group: str = "") -> Asking:
        """An order; `group` links those of a list, which share their cover."""
        rule = self.instrument(params)
        way = Side(params.word("side", {"BUY", "SELL"}, rules.SIDE).lower())
        kind = params.word("type", _TYPES, rules.ORDER_TYPE)
        limited = kind in {"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"}
        times = TimeInForce.GTC
        if limited:
            times = _TIMES[params.word("timeInForce", _TIMES, rules.TIME_IN_FORCE)]
        elif "timeInForce" in params and kind != "LIMIT_MAKER":
            raise Refused(rules.NOT_REQUIRED, "timeInForce")
        priced = limited or kind == "LIMIT_MAKER"
        price = params.number("price") if priced else None
        if not priced and "price" in params:
            raise Refused(rules.NOT_REQUIRED, "price")
        stop, delta = self._condition(params, kind)
        quantity, by_value = self._quantity(params, kind, rule, way)
        self._check(rule, way, kind, price, stop, quantity, by_value=by_value is not None)
        client = self.client_id(params, "newClientOrderId")
        wanted = Wanted(
            instrument=rule, side=way, type=OrderType.LIMIT if priced else OrderType.MARKET, quantity=quantity,
            limit_price=price, time_in_force=times if priced else TimeInForce.IOC,
            post_only=kind == "LIMIT_MAKER", group=group, client_id=client,
        )  # fmt: skip
        extra = {
            "type": kind, "client": client, "tif": times.value.upper() if limited else "GTC", "stop": stop,
            "delta": delta, "quote": by_value, "list": -1,
            "stp": params.word("selfTradePreventionMode", _STP, rules.ORDER_TYPE, "NONE"),
        }  # fmt: skip
        return Asking(wanted, kind, stop, delta, extra)

    def client_id(self, params: Params, name: str) -> str:
        """The client's id, or one that nobody chose."""
        client = params.text(name, "")
        if client and not re.fullmatch(_CLIENT_ID, client):
            raise Refused(rules.ILLEGAL, name, _CLIENT_ID)
        return client or f"venue{self._exchange.clock.now():x}{len(self._account.orders):04x}"

    def _condition(self, params: Params, kind: str) -> tuple[Decimal | None, int]:
        if kind in {"LIMIT", "MARKET", "LIMIT_MAKER"}:
            if "stopPrice" in params:
                raise Refused(rules.NOT_REQUIRED, "stopPrice")
            return None, 0
        delta = params.integer("trailingDelta", 0)
        if delta and not 10 <= delta <= 2000:
            raise Refused(rules.FILTER, "TRAILING_DELTA")
        if not delta and "stopPrice" not in params:
            raise Refused(rules.MISSING, "stopPrice")
        return (params.number("stopPrice") if "stopPrice" in params else None), delta

    def _quantity(
        self, params: Params, kind: str, rule: Instrument, side: Side
    ) -> tuple[Decimal, Decimal | None]:
        if kind != "MARKET" or "quoteOrderQty" not in params:
            return params.number("quantity"), None
        if "quantity" in params:
            raise Refused(rules.COMBINATION)
        spend = params.number("quoteOrderQty")
        bid, ask = self._account.touch(rule.id)
        price = ask if side is Side.BUY else bid
        if price is None:
            raise Refused(rules.NO_MARKET)
        return floor(spend / rule.price(price), rule.lot), spend

    def _check(
        self, rule: Instrument, side: Side, kind: str, price: Decimal | None, stop: Decimal | None,
        quantity: Decimal, *, by_value: bool,
    ) -> None:  # fmt: skip
        for shown in (price, stop):
            if shown is not None and (shown <= 0 or shown % rule.tick):
                raise Refused(rules.FILTER, "PRICE_FILTER")
        if quantity <= 0:
            raise Refused(rules.FILTER, "NOTIONAL") if by_value else Refused(rules.QUANTITY)
        most = rule.max_quantity
        if quantity < rule.min_quantity or quantity % rule.lot or (most is not None and quantity > most):
            raise Refused(rules.FILTER, "LOT_SIZE")
        usual = Decimal(repr(average_price(self._exchange.tapes[rule.id])))
        if (
            price is not None
            and usual
            and not (usual * self.filters.price_down <= price <= usual * self.filters.price_up)
        ):
            raise Refused(rules.FILTER, "PERCENT_PRICE_BY_SIDE")
        if quantity * (price or usual) < rule.min_notional:
            raise Refused(rules.FILTER, "NOTIONAL")
        here = [order for order in self._account.open_orders() if order.wanted.instrument.id == rule.id]
        if len(here) >= self.filters.max_orders:
            raise Refused(rules.FILTER, "MAX_NUM_ORDERS")
        waiting = sum(1 for order in here if order.held)
        if stop is not None and waiting >= self.filters.max_algo_orders:
            raise Refused(rules.FILTER, "MAX_NUM_ALGO_ORDERS")

    def afford(self, asking: Asking) -> None:
        """Refuse what the free balance does not cover."""
        wanted = asking.wanted
        rule, locked = wanted.instrument, self._account.locked()
        if wanted.side is Side.BUY:
            price = wanted.limit_price or asking.stop or self._account.price(rule.id)
            need, currency = rule.notional(wanted.quantity, price), rule.quote
        else:
            need, currency = wanted.quantity, rule.base
        if need > self._account.balance(currency) - locked.get(currency, ZERO):
            raise Refused(rules.FUNDS)


def refusal_of(order: VenueOrder) -> Refused:
    """How the books' refusal is said."""
    rule, about = _CODES.get(order.code, (rules.FUNDS, ""))
    return Refused(rule, about)


# --- how an order is shown --------------------------------------------------------------------------------------


def status_of(order: VenueOrder) -> str:
    """Its status in Binance's word."""
    if order.extra.get("pending"):
        return "PENDING_NEW"
    if order.status == "expired" and order.extra.get("prevented"):
        return "EXPIRED_IN_MATCH"
    return _STATUS[order.status]


def shown(order: VenueOrder) -> dict[str, Any]:
    """The fields that all replies about an order share."""
    wanted, extra = order.wanted, order.extra
    return {
        "symbol": wanted.instrument.native, "orderId": order.number, "orderListId": extra["list"],
        "clientOrderId": extra["client"], "price": text(wanted.limit_price or ZERO),
        "origQty": text(wanted.quantity), "executedQty": text(order.filled),
        "origQuoteOrderQty": text(extra["quote"] or ZERO), "cummulativeQuoteQty": text(order.value),
        "status": status_of(order), "timeInForce": extra["tif"], "type": extra["type"],
        "side": wanted.side.upper(),
        **({"stopPrice": text(extra["stop"])} if extra["stop"] is not None else {}),
        **({"trailingDelta": extra["delta"]} if extra["delta"] else {}),
        "selfTradePreventionMode": extra["stp"],
    }  # fmt: skip


def queried(order: VenueOrder) -> dict[str, Any]:
    """An order as a query shows it."""
    return {
        **shown(order), "stopPrice": text(order.extra["stop"] or ZERO), "icebergQty": text(ZERO),
        "time": order.created_ns // 1_000_000, "updateTime": order.updated_ns // 1_000_000,
        "isWorking": not order.held, "workingTime": -1 if order.held else order.created_ns // 1_000_000,
    }  # fmt: skip


def acknowledged(order: VenueOrder, kind: str) -> dict[str, Any]:
    """An order as its placing is answered: ACK, RESULT or FULL."""
    at = order.updated_ns // 1_000_000
    if kind == "ACK":
        return {
            "symbol": order.wanted.instrument.native, "orderId": order.number, "orderListId": order.extra["list"],
            "clientOrderId": order.extra["client"], "transactTime": at,
        }  # fmt: skip
    result = {**shown(order), "transactTime": at, "workingTime": -1 if order.held else at}
    if kind == "FULL":
        result["fills"] = [
            {
                "price": text(done.price), "qty": text(done.quantity), "commission": text(done.fee),
                "commissionAsset": done.fee_currency, "tradeId": done.number,
            }
            for done in order.executions
            if not done.busted
        ]  # fmt: skip
    return result


def trailed(asking: Asking) -> Decimal:
    """The rate of a trailing order; its delta is in hundredths of a percent."""
    return Decimal(asking.delta) / _BASIS
