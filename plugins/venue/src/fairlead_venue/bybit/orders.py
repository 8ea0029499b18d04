"""Orders: what a request asks for, checked by the rules of its product, and how Bybit shows them.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from fairlead import Instrument, OrderType, Side, TimeInForce
from fairlead_venue.account import Account
from fairlead_venue.bybit import rules
from fairlead_venue.bybit.listing import PRODUCTS, Symbols, plain, product_of
from fairlead_venue.bybit.params import Params
from fairlead_venue.bybit.rules import Refused, Rule
from fairlead_venue.exchange import Exchange
from fairlead_venue.orders import ZERO, Execution, VenueOrder, Wanted
from fairlead_venue.triggers import price_of

LINK_ID = re.compile("[A-Za-z0-9_-]{1,36}")
SPOT_FILTERS = frozenset({"Order", "StopOrder", "tpslOrder"})
_TIMES = {
    "GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "PostOnly": TimeInForce.GTC,
}  # fmt: skip
_SMP = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
_SOURCES = {"LastPrice": "last", "MarkPrice": "mark", "IndexPrice": "last"}
_MOST_ORDERS = 500
_LINEAR: dict[str, Rule] = {
    "price_high": rules.PRICE_RANGE, "price_low": rules.PRICE_RANGE, "quantity_least": rules.PARAMETER,
    "quantity_most": rules.PARAMETER, "quantity_places": rules.PARAMETER, "price_places": rules.PARAMETER,
    "notional": rules.NOTIONAL,
}  # fmt: skip
_SPOT: dict[str, Rule] = {
    "price_high": rules.S_PRICE_MOST, "price_low": rules.S_PRICE_LEAST, "quantity_least": rules.S_QUANTITY_LEAST,
    "quantity_most": rules.S_QUANTITY_MOST, "quantity_places": rules.S_QUANTITY_PLACES,
    "price_places": rules.S_PRICE_PLACES, "notional": rules.S_VALUE_LEAST,
}  # fmt: skip
_BOOKS: dict[str, Rule] = {
    "insufficient_margin": rules.AVAILABLE, "insufficient_funds": rules.S_BALANCE,
    "would_not_reduce": rules.REDUCE_ONLY, "no_market": rules.S_NO_BOOK, "bad_tick": rules.PARAMETER,
    "bad_lot": rules.PARAMETER, "too_late": rules.DONE, "min_notional": rules.NOTIONAL,
}  # fmt: skip
_BAND = {"spot": Decimal("0.05"), "linear": Decimal("0.02")}
POST_ONLY = "EC_PostOnlyWillTakeLiquidity"
NO_QUANTITY = "EC_NoImmediateQtyToFill"
BY_USER = "EC_PerCancelRequest"


class OrderReader:
    """Reads orders out of requests. Everything raises Refused. `hedged` says whether positions have sides."""

    def __init__(self, exchange: Exchange, account: Account, symbols: Symbols) -> None:
        self._exchange = exchange
        self._account = account
        self._symbols = symbols
        self.hedged = False

    def product(self, params: Params) -> str:
        """The category that a request names."""
        return params.word("category", PRODUCTS)

    def instrument(self, params: Params) -> Instrument:
        """What a request is about."""
        product = self.product(params)
        return self._account.instrument(self._symbols.id(product, params.text("symbol")))

    def order(self, params: Params) -> Wanted:
        """An order; a conditional one as it will be when its trigger is reached."""
        rule = self.instrument(params)
        side = Side(params.word("side", {"Buy", "Sell"}).lower())
        limited = params.word("orderType", {"Limit", "Market"}) == "Limit"
        times = params.word("timeInForce", _TIMES, "GTC") if limited else "IOC"
        price = self._price(params, "price", rule) if limited else None
        quantity = self._quantity(params, rule, side, limited=limited)
        reduce = not rule.spot and (params.flag("reduceOnly") or params.flag("closeOnTrigger"))
        self._check(rule, side, quantity, price, reduce=reduce, waits="triggerPrice" in params)
        self._check_index(params, rule)
        return Wanted(
            instrument=rule, side=side, type=OrderType.LIMIT if limited else OrderType.MARKET, quantity=quantity,
            limit_price=price, time_in_force=_TIMES[times], post_only=times == "PostOnly", reduce_only=reduce,
            client_id=self.link_id(params),
        )  # fmt: skip

    def extra(self, params: Params, wanted: Wanted) -> dict[str, Any]:
        """What is kept of a request to show it again: its trigger too, where it has one."""
        rule = wanted.instrument
        market = wanted.type is OrderType.MARKET
        extra = {
            "link": wanted.client_id, "tif": "IOC" if market else params.text("timeInForce", "GTC"),
            "index": params.integer("positionIdx", 0), "smp": params.word("smpType", _SMP, "None"),
            "filter": params.word("orderFilter", SPOT_FILTERS, "Order") if rule.spot else "Order",
            "trigger": ZERO, "direction": 0, "source": "", "conditional": False, "stop_type": "",
            "close": params.flag("closeOnTrigger"),
        }  # fmt: skip
        conditional = extra["filter"] != "Order" if rule.spot else "triggerPrice" in params
        if conditional:
            trigger = self._price(params, "triggerPrice", rule)
            extra |= {
                "trigger": trigger, "conditional": True, "source": self._source(params),
                "stop_type": "Stop" if extra["filter"] != "tpslOrder" else "tpslOrder",
                "direction": self.direction(params, rule, trigger, wanted.side),
            }  # fmt: skip
        return extra

    def _source(self, params: Params) -> str:
        return params.word("triggerBy", _SOURCES, "LastPrice")

    def direction(self, params: Params, rule: Instrument, trigger: Decimal, side: Side) -> int:
        """1 where the price has to rise to the trigger, 2 where it has to fall. Spot tells by where the price is."""
        now = self.price(rule, _SOURCES[self._source(params)])
        if rule.spot:
            return 1 if trigger > now else 2
        way = params.integer("triggerDirection", 0)
        if way not in (1, 2):
            raise Refused(rules.PARAMETER, "triggerDirection invalid")
        if way == 1 and trigger <= now:
            raise Refused(rules.EXPECT_RISING, plain(trigger), plain(now))
        if way == 2 and trigger >= now:
            raise Refused(rules.EXPECT_FALLING, plain(trigger), plain(now))
        return way

    def price(self, rule: Instrument, source: str = "last") -> Decimal:
        """The last or mark price, 0 where none is known."""
        found = price_of(self._exchange.tapes[rule.id], source)
        return ZERO if found is None else Decimal(repr(found))

    def source(self, name: str) -> str:
        """What a trigger looks at: last or mark."""
        return _SOURCES[name or "LastPrice"]

    def link_id(self, params: Params) -> str:
        """The client's id of an order, or none: 36 letters, digits, dashes and underscores at most."""
        link = params.text("orderLinkId", "")
        if link and not LINK_ID.fullmatch(link):
            raise Refused(rules.PARAMETER, "orderLinkId invalid")
        return link

    def amended(self, params: Params, order: VenueOrder) -> tuple[dict[str, Any], Decimal | None]:
        """What an amend changes in `Wanted`, and the new trigger price if there is one."""
        rule, wanted = order.wanted.instrument, order.wanted
        changes: dict[str, Any] = {}
        if "qty" in params:
            changes["quantity"] = self._on_lot(params.number("qty"), rule)
            if changes["quantity"] <= order.filled:
                raise Refused(rules.PARAMETER, "the qty is not above cumExecQty")
        if "price" in params and wanted.limit_price is not None:
            changes["limit_price"] = self._price(params, "price", rule)
        trigger = self._price(params, "triggerPrice", rule) if "triggerPrice" in params else None
        same = all(getattr(wanted, name) == value for name, value in changes.items())
        if same and trigger in (None, order.extra["trigger"]):
            raise Refused(rules.PARAMETER, "order not modified")
        if trigger is not None and (not order.extra["conditional"] or order.triggered):
            raise Refused(rules.PARAMETER, "triggerPrice invalid")
        self._check(
            rule, wanted.side, changes.get("quantity", wanted.quantity),
            changes.get("limit_price", wanted.limit_price), reduce=wanted.reduce_only,
            waits=order.extra["conditional"] and not order.triggered, again=True,
        )  # fmt: skip
        return changes, trigger

    # --- the rules of a product ---------------------------------------------------------------------------------

    def _refuse(self, rule: Instrument, word: str, *about: object) -> Refused:
        found = (_SPOT if rule.spot else _LINEAR)[word]
        return Refused(found, *(about or (word,)))

    def _price(self, params: Params, name: str, rule: Instrument) -> Decimal:
        price = params.number(name)
        if not price:
            raise Refused(rules.PARAMETER, f"{name} invalid")
        if price % rule.tick:
            raise self._refuse(rule, "price_places")
        return price

    def _quantity(self, params: Params, rule: Instrument, side: Side, *, limited: bool) -> Decimal:
        """Market buys of spot are in the quote coin unless `marketUnit` says otherwise."""
        quantity = params.number("qty")
        usual = "quoteCoin" if side is Side.BUY else "baseCoin"
        if (
            rule.spot
            and not limited
            and params.word("marketUnit", {"baseCoin", "quoteCoin"}, usual) == "quoteCoin"
        ):
            touch = self._account.touch(rule.id)[1 if side is Side.BUY else 0]
            if touch is None:
                raise Refused(rules.S_NO_BOOK)
            return rule.quantity(quantity / Decimal(repr(touch)))
        return self._on_lot(quantity, rule)

    def _on_lot(self, quantity: Decimal, rule: Instrument) -> Decimal:
        if quantity % rule.lot:
            raise self._refuse(rule, "quantity_places")
        return quantity

    def _check(
        self,
        rule: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        *,
        reduce: bool,
        waits: bool,
        again: bool = False,
    ) -> None:
        if quantity < rule.min_quantity or not quantity:
            raise self._refuse(rule, "quantity_least")
        if rule.max_quantity is not None and quantity > rule.max_quantity:
            raise self._refuse(rule, "quantity_most")
        last, band = self.price(rule), _BAND[product_of(rule)]
        if price is not None and last and not waits:
            if side is Side.BUY and price > last * (1 + band):
                raise self._refuse(rule, "price_high")
            if side is Side.SELL and price < last * (1 - band):
                raise self._refuse(rule, "price_low")
        value = rule.notional(quantity, price or last)
        if not reduce and value and value < rule.min_notional:
            raise self._refuse(rule, "notional", plain(rule.min_notional))
        here = sum(1 for order in self._account.open_orders() if order.wanted.instrument.id == rule.id)
        if not again and here >= _MOST_ORDERS:
            raise Refused(rules.TOO_MANY_ORDERS)

    def _check_index(self, params: Params, rule: Instrument) -> None:
        index = params.integer("positionIdx", 0)
        if not rule.spot and (index not in (1, 2) if self.hedged else index != 0):
            raise Refused(rules.POSITION_INDEX)


def refusal_of(order: VenueOrder, code: str = "") -> Refused:
    """How the books' refusal is said."""
    found = _BOOKS.get(code or order.code, rules.AVAILABLE)
    return Refused(
        found, plain(order.wanted.instrument.min_notional) if found is rules.NOTIONAL else order.code
    )


# --- how it is shown ------------------------------------------------------------------------------------------------


def order_id(order: VenueOrder) -> str:
    """Bybit's id of an order: a long number for spot, a UUID for derivatives."""
    if order.wanted.instrument.spot:
        return str(1_523_000_000_000_000_000 + order.number)
    return f"{order.number:08x}-b17b-4000-8000-{order.number:012x}"


def execution_id(done: Execution) -> str:
    """Bybit's id of an execution."""
    if done.order.wanted.instrument.spot:
        return str(2_290_000_000_000_000_000 + done.number)
    return f"{done.number:08x}-e8ec-5000-8000-{done.number:012x}"


def status_of(order: VenueOrder) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#orderstatus"""
    extra = order.extra
    if order.status in ("canceled", "expired"):
        if extra["conditional"] and not order.triggered:
            return "Deactivated"
        return "PartiallyFilledCanceled" if order.wanted.instrument.spot and order.filled else "Cancelled"
    if order.open and extra["conditional"] and not order.triggered:
        return "Untriggered"
    return {
        "new": "New", "partially_filled": "PartiallyFilled", "filled": "Filled", "rejected": "Rejected",
    }[order.status]  # fmt: skip


def by_hand(order: VenueOrder) -> None:
    """Give an order that no request made what is shown of one."""
    market = order.wanted.type is OrderType.MARKET
    usual = {
        "link": order.wanted.client_id, "tif": "IOC" if market else "GTC", "index": 0, "smp": "None",
        "filter": "Order", "trigger": ZERO, "direction": 0, "source": "", "conditional": False, "stop_type": "",
        "close": False, "create": "CreateByLiq" if order.cause == "liquidation" else "CreateByUser",
    }  # fmt: skip
    for name, value in usual.items():
        order.extra.setdefault(name, value)


def shown(order: VenueOrder) -> dict[str, Any]:
    """An order as `/v5/order/realtime` and the stream show it."""
    wanted, extra = order.wanted, order.extra
    status = status_of(order)
    left = wanted.quantity - order.filled if order.open else ZERO
    fee = sum((done.fee for done in order.executions if not done.busted), ZERO)
    return {
        "orderId": order_id(order), "orderLinkId": extra["link"], "blockTradeId": "",
        "symbol": wanted.instrument.native, "price": plain(wanted.limit_price or ZERO),
        "qty": plain(wanted.quantity), "side": wanted.side.capitalize(), "isLeverage": "",
        "positionIdx": extra["index"], "orderStatus": status, "createType": extra.get("create", "CreateByUser"),
        "cancelType": extra.get("cancel_type", "UNKNOWN"), "rejectReason": extra.get("reason", "EC_NoError"),
        "avgPrice": plain(order.average_price) if order.filled else "", "leavesQty": plain(left),
        "leavesValue": plain(wanted.instrument.notional(left, wanted.limit_price or ZERO)),
        "cumExecQty": plain(order.filled), "cumExecValue": plain(order.value), "cumExecFee": plain(fee),
        "timeInForce": extra["tif"], "orderType": "Limit" if wanted.type is OrderType.LIMIT else "Market",
        "stopOrderType": extra["stop_type"], "orderIv": "", "triggerPrice": plain(extra["trigger"]) if extra[
            "conditional"] else "", "takeProfit": "", "stopLoss": "", "tpTriggerBy": "", "slTriggerBy": "",
        "triggerDirection": extra["direction"], "triggerBy": extra["source"], "lastPriceOnCreated": "",
        "reduceOnly": wanted.reduce_only, "closeOnTrigger": extra["close"], "smpType": extra["smp"],
        "smpGroup": 0, "smpOrderId": "", "tpslMode": "", "tpLimitPrice": "", "slLimitPrice": "",
        "placeType": "", "createdTime": str(order.created_ns // 1_000_000),
        "updatedTime": str(order.updated_ns // 1_000_000),
    }  # fmt: skip


def execution(done: Execution, *, told_currency: bool = True) -> dict[str, Any]:
    """An execution as `/v5/execution/list` and the stream show it."""
    order, wanted = done.order, done.order.wanted
    rate = done.fee / done.value if done.value and done.fee_currency == wanted.instrument.quote else (
        wanted.instrument.maker_fee if done.maker else wanted.instrument.taker_fee
    )  # fmt: skip
    so_far = sum((one.quantity for one in order.executions if one.number <= done.number), ZERO)
    row = {
        "category": product_of(wanted.instrument), "symbol": wanted.instrument.native, "orderId": order_id(order),
        "orderLinkId": order.extra["link"], "side": wanted.side.capitalize(),
        "orderPrice": plain(wanted.limit_price or done.price), "orderQty": plain(wanted.quantity),
        "leavesQty": plain(max(wanted.quantity - so_far, ZERO)),
        "createType": order.extra.get("create", "CreateByUser"),
        "orderType": "Limit" if wanted.type is OrderType.LIMIT else "Market",
        "stopOrderType": order.extra["stop_type"], "execFee": plain(done.fee), "execId": execution_id(done),
        "execPrice": plain(done.price),
        "execQty": plain(done.quantity), "execPnl": plain(done.realised),
        "execType": "BustTrade" if order.cause == "liquidation" else "Trade", "execValue": plain(done.value),
        "execTime": str(done.at_ns // 1_000_000), "isMaker": done.maker, "feeRate": plain(rate), "tradeIv": "",
        "markIv": "", "markPrice": plain(done.price), "indexPrice": "", "underlyingPrice": "", "blockTradeId": "",
        "closedSize": "0", "seq": done.number,
    }  # fmt: skip
    return {**row, "feeCurrency": done.fee_currency} if told_currency else row
