"""USD-M orders: what a request asks for, checked by the filters, and how an order is shown."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, OrderType, Side, TimeInForce
from fairlead_venue.account import Account
from fairlead_venue.binance import rules
from fairlead_venue.binance.listing import Symbols, places, plain
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused, Rule
from fairlead_venue.exchange import Exchange
from fairlead_venue.orders import ZERO, VenueOrder, Wanted
from fairlead_venue.triggers import price_of

CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
PLAIN = frozenset({"LIMIT", "MARKET"})
CONDITIONAL = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
_STP = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"})
_TIMES = {
    "GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "GTX": TimeInForce.GTC,
    "GTD": TimeInForce.GTD,
}  # fmt: skip
_STATUS = {
    "new": "NEW", "partially_filled": "PARTIALLY_FILLED", "filled": "FILLED", "canceled": "CANCELED",
    "expired": "EXPIRED", "rejected": "REJECTED",
}  # fmt: skip
_CODES: dict[str, Rule] = {
    "insufficient_margin": rules.F_MARGIN, "insufficient_funds": rules.F_MARGIN, "would_cross": rules.F_POST_ONLY,
    "would_not_reduce": rules.F_REDUCE_ONLY, "no_market": rules.F_PERCENT_PRICE, "bad_tick": rules.F_TICK,
    "bad_lot": rules.F_STEP, "min_quantity": rules.F_QUANTITY_MIN, "max_quantity": rules.F_QUANTITY_MAX,
}  # fmt: skip
_LEAST_GTD_MS = 600_000


@attrs.frozen
class FuturesAsking:
    """An order that was asked for and found well-formed."""

    wanted: Wanted
    type: str
    extra: dict[str, Any]


class FuturesReader:
    """Reads orders out of requests. Everything raises Refused. `hedged` says whether positions have sides."""

    def __init__(self, exchange: Exchange, account: Account, symbols: Symbols) -> None:
        self._exchange = exchange
        self._account = account
        self._symbols = symbols
        self.hedged = False

    def instrument(self, params: Params) -> Instrument:
        """What a request is about."""
        return self._account.instrument(self._symbols.id(params.text("symbol")))

    def order(
        self, params: Params, *, conditional: bool = False, client: str = "newClientOrderId"
    ) -> FuturesAsking:
        """An order; a conditional one as it will be when its trigger is reached."""
        rule = self.instrument(params)
        way = Side(params.word("side", {"BUY", "SELL"}, rules.SIDE).lower())
        kind = params.word("type", PLAIN | CONDITIONAL, rules.ORDER_TYPE)
        if (kind in CONDITIONAL) is not conditional:
            raise Refused(rules.ORDER_TYPE if conditional else rules.F_ALGO)
        limited = kind in {"LIMIT", "STOP", "TAKE_PROFIT"}
        close = conditional and params.flag("closePosition")
        if close and (limited or kind == "TRAILING_STOP_MARKET"):
            raise Refused(rules.F_CLOSE, kind, "true")
        times = params.word("timeInForce", _TIMES, rules.TIME_IN_FORCE, None if kind == "LIMIT" else "GTC")
        leg, reduce = self._leg(params, way, close=close)
        price = self._price(params, "price", rule) if limited and "priceMatch" not in params else None
        if limited and price is None:
            price = self._matched(params.text("priceMatch"), rule, way)
        quantity = ZERO if close else params.number(
            "quantity", places=places(rule.lot), precision=rules.F_PRECISION
        )  # fmt: skip
        if not close:
            self._check_quantity(rule, quantity)
            self._check_notional(rule, quantity, price, reduce=reduce)
        if price is not None:
            self._check_price(rule, price, way)
        here = [order for order in self._account.open_orders() if order.wanted.instrument.id == rule.id]
        if not conditional and sum(1 for order in here if not order.held) >= self._symbols.filters.max_orders:
            raise Refused(rules.F_MAX_ORDERS)
        wanted = Wanted(
            instrument=rule, side=way, type=OrderType.LIMIT if limited else OrderType.MARKET,
            quantity=quantity or rule.lot, limit_price=price,
            time_in_force=_TIMES[times] if limited else TimeInForce.IOC, post_only=limited and times == "GTX",
            expires_ns=self._expiry(params) if times == "GTD" else 0, reduce_only=reduce,
            client_id=self.client_id(params, client),
        )  # fmt: skip
        extra = {
            "type": kind, "original": kind, "client": wanted.client_id, "tif": times, "leg": leg, "close": close,
            "reduce": reduce or close, "stp": params.word("selfTradePreventionMode", _STP, rules.ORDER_TYPE, "NONE"),
            "match": params.text("priceMatch", "NONE"), "stop": ZERO,
        }  # fmt: skip
        return FuturesAsking(wanted, kind, extra)

    def client_id(self, params: Params, name: str) -> str:
        """The client's id, or one that nobody chose."""
        client = params.text(name, "")
        if client and not re.fullmatch(CLIENT_ID, client):
            raise Refused(rules.F_CLIENT_ID)
        return client or f"venue{self._exchange.clock.now():x}{len(self._account.orders):04x}"

    def trigger_price(self, params: Params, rule: Instrument) -> Decimal:
        """The price that a conditional order waits for."""
        return self._price(params, "triggerPrice", rule)

    def _leg(self, params: Params, side: Side, *, close: bool) -> tuple[str, bool]:
        leg = params.word("positionSide", {"BOTH", "LONG", "SHORT"}, rules.F_POSITION_SIDE, "BOTH")
        if (leg != "BOTH") is not self.hedged:
            raise Refused(rules.F_POSITION_SIDE)
        reduce = params.flag("reduceOnly")
        if reduce and (self.hedged or close):
            raise Refused(rules.NOT_REQUIRED, "reduceonly")
        return leg, reduce or (close and not self.hedged)

    def _price(self, params: Params, name: str, rule: Instrument) -> Decimal:
        price = params.number(name, places=places(rule.tick), precision=rules.F_PRECISION)
        if price <= 0:
            raise Refused(rules.F_PRICE_SIGN)
        if price % rule.tick:
            raise Refused(rules.F_TICK)
        return price

    def _matched(self, mode: str, rule: Instrument, side: Side) -> Decimal:
        """A price that follows the book: https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition"""
        bid, ask = self._account.touch(rule.id)
        own, other = (bid, ask) if side is Side.BUY else (ask, bid)
        price = other if mode.startswith("OPPONENT") else own if mode.startswith("QUEUE") else None
        if price is None:
            raise Refused(
                rules.ILLEGAL, "priceMatch", "OPPONENT|OPPONENT_5|OPPONENT_10|OPPONENT_20|QUEUE|QUEUE_5 ..."
            )
        return rule.price(price)

    def _check_quantity(self, rule: Instrument, quantity: Decimal) -> None:
        if quantity <= 0:
            raise Refused(rules.F_QUANTITY_SIGN)
        if quantity < rule.min_quantity:
            raise Refused(rules.F_QUANTITY_MIN)
        if rule.max_quantity is not None and quantity > rule.max_quantity:
            raise Refused(rules.F_QUANTITY_MAX)
        if quantity % rule.lot:
            raise Refused(rules.F_STEP)

    def _check_notional(
        self, rule: Instrument, quantity: Decimal, price: Decimal | None, *, reduce: bool
    ) -> None:
        mark = price_of(self._exchange.tapes[rule.id], "mark")
        at = price if price is not None else Decimal(repr(mark or 0.0))
        if not reduce and at and quantity * at < rule.min_notional:
            raise Refused(rules.F_NOTIONAL, plain(rule.min_notional))

    def _check_price(self, rule: Instrument, price: Decimal, side: Side) -> None:
        mark = price_of(self._exchange.tapes[rule.id], "mark")
        if mark is None:
            return
        filters = self._symbols.filters
        if side is Side.BUY and price > Decimal(repr(mark)) * filters.price_up:
            raise Refused(rules.F_PRICE_HIGH)
        if side is Side.SELL and price < Decimal(repr(mark)) * filters.price_down:
            raise Refused(rules.F_PRICE_LOW)

    def _expiry(self, params: Params) -> int:
        until = params.integer("goodTillDate")
        if until < self._exchange.clock.now() // 1_000_000 + _LEAST_GTD_MS:
            raise Refused(rules.ILLEGAL, "goodTillDate", "at least 600 seconds from now")
        return until // 1000 * 1_000_000_000


def refusal_of(order: VenueOrder) -> Refused:
    """How the books' refusal is said."""
    return Refused(_CODES.get(order.code, rules.F_MARGIN))


def status_of(order: VenueOrder) -> str:
    """Its status in Binance's word."""
    if order.status == "expired" and order.extra.get("prevented"):
        return "EXPIRED_IN_MATCH"
    return _STATUS[order.status]


def shown(order: VenueOrder) -> dict[str, Any]:
    """An order as replies show it."""
    wanted, extra = order.wanted, order.extra
    return {
        "orderId": order.number, "symbol": wanted.instrument.native, "status": status_of(order),
        "clientOrderId": extra["client"], "price": plain(wanted.limit_price or ZERO),
        "avgPrice": f"{order.average_price:.5f}" if order.filled else "0.00", "origQty": plain(wanted.quantity),
        "executedQty": plain(order.filled), "cumQty": plain(order.filled), "cumQuote": plain(order.value),
        "timeInForce": extra["tif"], "type": extra["type"], "reduceOnly": extra["reduce"],
        "closePosition": extra["close"], "side": wanted.side.upper(), "positionSide": extra["leg"],
        "stopPrice": plain(extra["stop"]), "workingType": "CONTRACT_PRICE", "priceProtect": False,
        "origType": extra["original"], "priceMatch": extra["match"], "selfTradePreventionMode": extra["stp"],
        "goodTillDate": wanted.expires_ns // 1_000_000, "time": order.created_ns // 1_000_000,
        "updateTime": order.updated_ns // 1_000_000,
    }  # fmt: skip


def by_hand(order: VenueOrder) -> None:
    """Give an order that no request made what the replies show of one."""
    market = order.wanted.type is OrderType.MARKET
    prefix = "autoclose-" if order.cause == "liquidation" else "web_"
    kind = "LIQUIDATION" if order.cause == "liquidation" else "MARKET" if market else "LIMIT"
    usual = {
        "type": kind, "original": kind, "client": order.wanted.client_id or f"{prefix}{order.number}",
        "tif": "IOC" if market else "GTC", "leg": "BOTH", "close": False, "reduce": order.wanted.reduce_only,
        "stp": "NONE", "match": "NONE", "stop": ZERO,
    }  # fmt: skip
    for name, value in usual.items():
        order.extra.setdefault(name, value)
