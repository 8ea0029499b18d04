"""The spot account: orders, their lists, balances and trades.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from fairlead import Instrument, OrderType, Side
from fairlead_venue.account import Account
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import KEY, NONE, SIGNED, Asked, Endpoint
from fairlead_venue.binance.limits import Limits
from fairlead_venue.binance.listing import Symbols, spot_symbol, text
from fairlead_venue.binance.lists import Lists
from fairlead_venue.binance.market import MarketData
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.prevention import prevent
from fairlead_venue.binance.rules import Refused
from fairlead_venue.binance.spot_orders import (
    Asking,
    SpotReader,
    acknowledged,
    queried,
    refusal_of,
    shown,
    trailed,
)
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.orders import ZERO, Execution, VenueOrder
from fairlead_venue.triggers import Trigger, Triggers, price_of

_ARCHIVE_MS = 90 * 86_400_000
_ANSWERS = frozenset({"ACK", "RESULT", "FULL"})


class Spot:
    """Carries out what is asked of the spot account."""

    def __init__(
        self, exchange: Exchange, account: Account, symbols: Symbols, triggers: Triggers, limits: Limits
    ) -> None:
        self.account = account
        self.limits = limits
        self._exchange = exchange
        self._symbols = symbols
        self._triggers = triggers
        self._read = SpotReader(exchange, account, symbols)
        self._market = MarketData(exchange, symbols, futures=False)
        self.lists = Lists(self, exchange, self._read)

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self._exchange.clock.now() // 1_000_000

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        v3, market = "/api/v3", self._market
        return [
            Endpoint("GET", f"{v3}/ping", "market", lambda _: {}, 1, NONE, "ping"),
            Endpoint("GET", f"{v3}/time", "market", lambda _: {"serverTime": self.now_ms}, 1, NONE, "time"),
            Endpoint("GET", f"{v3}/exchangeInfo", "market", self._info, 20, NONE, "exchangeInfo"),
            Endpoint("GET", f"{v3}/depth", "market", lambda a: market.depth(a.params), 5, NONE, "depth"),
            Endpoint("GET", f"{v3}/trades", "market", lambda a: market.trades(a.params), 25, NONE, "trades.recent"),
            Endpoint("GET", f"{v3}/historicalTrades", "market", lambda a: market.trades(a.params), 25, NONE,
                     "trades.historical"),
            Endpoint("GET", f"{v3}/aggTrades", "market", lambda a: market.agg_trades(a.params), 4, NONE,
                     "trades.aggregate"),
            Endpoint("GET", f"{v3}/klines", "market", lambda a: market.klines(a.params), 2, NONE, "klines"),
            Endpoint("GET", f"{v3}/uiKlines", "market", lambda a: market.klines(a.params), 2, NONE, "uiKlines"),
            Endpoint("GET", f"{v3}/avgPrice", "market", lambda a: market.average(a.params), 2, NONE, "avgPrice"),
            Endpoint("GET", f"{v3}/ticker/24hr", "market", lambda a: market.ticker(a.params), 2, NONE, "ticker.24hr"),
            Endpoint("GET", f"{v3}/ticker/price", "market", lambda a: market.price(a.params), 2, NONE,
                     "ticker.price"),
            Endpoint("GET", f"{v3}/ticker/bookTicker", "market", lambda a: market.book_ticker(a.params), 2, NONE,
                     "ticker.book"),
            Endpoint("POST", f"{v3}/order", "order", self._place, 1, SIGNED, "order.place", counts=True),
            Endpoint("POST", f"{v3}/order/test", "query", self._test, 1, SIGNED, "order.test"),
            Endpoint("GET", f"{v3}/order", "query", self._query, 4, SIGNED, "order.status"),
            Endpoint("DELETE", f"{v3}/order", "cancel", self._cancel, 1, SIGNED, "order.cancel"),
            Endpoint("POST", f"{v3}/order/cancelReplace", "amend", self._cancel_replace, 1, SIGNED,
                     "order.cancelReplace", counts=True),
            Endpoint("PUT", f"{v3}/order/amend/keepPriority", "amend", self._amend, 4, SIGNED,
                     "order.amend.keepPriority"),
            Endpoint("GET", f"{v3}/openOrders", "query", self._open_orders, 6, SIGNED, "openOrders.status"),
            Endpoint("DELETE", f"{v3}/openOrders", "cancel", self._cancel_all, 1, SIGNED, "openOrders.cancelAll"),
            Endpoint("GET", f"{v3}/allOrders", "query", self._all_orders, 20, SIGNED, "allOrders"),
            Endpoint("GET", f"{v3}/myTrades", "query", self._trades, 20, SIGNED, "myTrades"),
            Endpoint("GET", f"{v3}/account", "account", self._account, 20, SIGNED, "account.status"),
            Endpoint("GET", f"{v3}/account/commission", "account", self._commission, 20, SIGNED,
                     "account.commission"),
            Endpoint("GET", f"{v3}/rateLimit/order", "account", lambda _: self.limits.listed(counts=True)[1:], 40,
                     SIGNED, "account.rateLimits.orders"),
            *self.lists.endpoints(),
            *self._wallet(),
        ]  # fmt: skip

    def _wallet(self) -> list[Endpoint]:
        """What SDKs ask of the wallet API before they trade."""
        s = "/sapi/v1"
        return [
            Endpoint("GET", f"{s}/account/apiRestrictions", "account", lambda _: self._restrictions(), 1, SIGNED),
            Endpoint("GET", f"{s}/account/apiTradingStatus", "account",
                     lambda _: {"data": {"isLocked": False, "plannedRecoverTime": 0, "updateTime": 0}}, 1, SIGNED),
            Endpoint("GET", f"{s}/account/status", "account", lambda _: {"data": "Normal"}, 1, SIGNED),
            Endpoint("GET", f"{s}/system/status", "market", lambda _: {"status": 0, "msg": "normal"}),
            Endpoint("GET", f"{s}/capital/config/getall", "account", lambda _: self._coins(), 10, SIGNED),
            Endpoint("GET", f"{s}/asset/tradeFee", "account", lambda _: self._fees(), 1, SIGNED),
            Endpoint("GET", f"{s}/margin/allPairs", "market", lambda _: [], 1, KEY),
            Endpoint("GET", f"{s}/margin/isolated/allPairs", "market", lambda _: [], 10, SIGNED),
        ]  # fmt: skip

    # --- orders -------------------------------------------------------------------------------------------------

    def _place(self, asked: Asked) -> dict[str, Any]:
        asking = self._read.order(asked.params)
        kind = self._answer_kind(asked.params, asking)
        order = self.put(asking, asked)
        return acknowledged(order, kind)

    def put(self, asking: Asking, asked: Asked, *, unfunded: bool = False) -> VenueOrder:
        """Put an order to work, or to wait for its price. Raises Refused."""
        self._refuse_duplicate(asking.wanted.client_id)
        if asking.conditional:
            self._refuse_triggered(asking)
        if not unfunded:
            self._read.afford(asking)
        self.limits.order()
        account = self.account
        if asked.call.struck(FaultKind.REJECT_LATER):
            order = account.order(asking.wanted, extra=asking.extra)
            account.hold(order)
            asked.call.after.append(lambda: account.end(order, "rejected", "rejected by the matching engine"))
            return order
        if asking.conditional:
            order = account.order(asking.wanted, extra=asking.extra)
            self.wait(order, asking)
            return order
        order = account.order(asking.wanted, extra=asking.extra)
        if prevent(account, order, self._exchange.tapes[asking.wanted.instrument.id]):
            account.submit(order)
        if order.status == "rejected" and not order.announced:
            raise refusal_of(order)
        return order

    def wait(self, order: VenueOrder, asking: Asking) -> None:
        """Let an order wait for its price."""
        last = price_of(self._exchange.tapes[asking.wanted.instrument.id], "last") or 0.0
        fire = partial(self.account.submit, order)
        trigger = Trigger(order, fire, asking.stop or ZERO, asking.above)
        if asking.delta:
            # https://developers.binance.com/docs/binance-spot-api-docs/faqs/trailing-stop-faq
            trigger = Trigger(
                order, fire, ZERO, asking.above, rate=trailed(asking), activation=asking.stop,
                active=asking.stop is None, peak=last,
            )  # fmt: skip
        self._triggers.arm(trigger)
        self.account.hold(order)

    def _refuse_duplicate(self, client: str) -> None:
        """Ids are unique among open orders only: one that is done may be used again."""
        if any(order.extra["client"] == client for order in self.account.open_orders()):
            raise Refused(rules.DUPLICATE)

    def _refuse_triggered(self, asking: Asking) -> None:
        price = price_of(self._exchange.tapes[asking.wanted.instrument.id], "last")
        if price is None:
            raise Refused(rules.NO_MARKET)
        if asking.stop is not None and not asking.delta:
            reached = price >= float(asking.stop) if asking.above else price <= float(asking.stop)
            if reached:
                raise Refused(rules.WOULD_TRIGGER)

    def _answer_kind(self, params: Params, asking: Asking) -> str:
        usual = "FULL" if asking.type in {"MARKET", "LIMIT"} else "ACK"
        return params.word("newOrderRespType", _ANSWERS, rules.COMBINATION, usual)

    def _test(self, asked: Asked) -> dict[str, Any]:
        asking = self._read.order(asked.params)
        if not asked.params.flag("computeCommissionRates"):
            return {}
        return {"standardCommissionForOrder": _rates(asking.wanted.instrument)}

    def find(
        self, asked: Asked, number: str = "orderId", client: str = "origClientOrderId"
    ) -> VenueOrder | None:
        """The order that a request names, by number or by the client's id (of several the last). Raises Refused."""
        instrument = self._read.instrument(asked.params)
        if number not in asked.params and client not in asked.params:
            raise Refused(rules.MISSING, number)
        if asked.call.struck(FaultKind.FORGET):
            return None
        found = [order for order in self.account.orders.values() if order.announced or order.held]
        if number in asked.params:
            wanted = asked.params.integer(number)
            found = [order for order in found if order.number == wanted]
        if client in asked.params:
            name = asked.params.text(client)
            found = [order for order in found if name in {order.extra["client"], order.wanted.client_id}]
        found = [order for order in found if order.wanted.instrument.id == instrument.id]
        return found[-1] if found else None

    def _query(self, asked: Asked) -> dict[str, Any]:
        order = self.find(asked)
        if order is None:
            raise Refused(rules.NO_ORDER)
        age = self.now_ms - order.updated_ns // 1_000_000
        if not order.open and not order.filled and age > _ARCHIVE_MS:
            raise Refused(rules.ARCHIVED)
        return queried(order)

    def _cancel(self, asked: Asked) -> dict[str, Any]:
        order = self.find(asked)
        if order is None or not order.open:
            raise Refused(rules.CANCEL_UNKNOWN)
        only = asked.params.text("cancelRestrictions", "")
        if (only == "ONLY_NEW" and order.filled) or (only == "ONLY_PARTIALLY_FILLED" and not order.filled):
            raise Refused(rules.CANCEL_RESTRICTION)
        return self.take_back(order, asked.params)

    def take_back(self, order: VenueOrder, params: Params) -> dict[str, Any]:
        """Cancel an order, and its list with it; the cancel has an id of its own."""
        if order.extra["list"] != -1:
            return self.lists.cancel(order.extra["list"])
        order.extra["cancel"] = self._read.client_id(params, "newClientOrderId")
        self._triggers.forget(order)
        self.account.cancel(order)
        return {
            **shown(order), "origClientOrderId": order.extra["client"], "clientOrderId": order.extra["cancel"],
            "transactTime": self.now_ms,
        }  # fmt: skip

    def _cancel_all(self, asked: Asked) -> list[dict[str, Any]]:
        instrument = self._read.instrument(asked.params)
        mine = [order for order in self.account.open_orders() if order.wanted.instrument.id == instrument.id]
        if not mine:
            raise Refused(rules.CANCEL_UNKNOWN)
        return [self.take_back(order, Params({})) for order in mine if order.open]

    def _cancel_replace(self, asked: Asked) -> dict[str, Any]:
        """Cancel and place; either half can fail, and the status says which.

        https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#cancel-an-existing-order-and-send-a-new-order-trade
        """
        params = asked.params
        mode = params.word("cancelReplaceMode", {"STOP_ON_FAILURE", "ALLOW_FAILURE"}, rules.COMBINATION)
        asking = self._read.order(params)
        result: dict[str, Any] = {
            "cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED", "cancelResponse": None,
            "newOrderResponse": None,
        }  # fmt: skip
        order = self.find(asked, "cancelOrderId", "cancelOrigClientOrderId")
        try:
            if order is None or not order.open:
                raise Refused(rules.CANCEL_UNKNOWN)
            named = {"newClientOrderId": params.text("cancelNewClientOrderId", "")}
            result["cancelResponse"] = self.take_back(order, Params(named))
        except Refused as refused:
            result["cancelResult"], result["cancelResponse"] = "FAILURE", _error(refused)
            if mode == "STOP_ON_FAILURE":
                raise Refused(rules.CANCEL_REPLACE_FAILED, data=result) from refused
        try:
            placed = self.put(asking, asked)
            result["newOrderResponse"] = acknowledged(placed, self._answer_kind(params, asking))
            result["newOrderResult"] = "SUCCESS"
        except Refused as refused:
            result["newOrderResult"], result["newOrderResponse"] = "FAILURE", _error(refused)
        failed = [name for name in ("cancelResult", "newOrderResult") if result[name] == "FAILURE"]
        if len(failed) == 2:
            raise Refused(rules.CANCEL_REPLACE_FAILED, data=result)
        if failed:
            raise Refused(rules.CANCEL_REPLACE_PARTIAL, data=result)
        return result

    def _amend(self, asked: Asked) -> dict[str, Any]:
        """Less of an order, which keeps its number and place: https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority"""
        order = self.find(asked)
        if order is None or not order.open:
            raise Refused(rules.NO_ORDER)
        quantity = asked.params.number("newQty")
        rule = order.wanted.instrument
        if quantity <= 0 or quantity % rule.lot or quantity < rule.min_quantity:
            raise Refused(rules.FILTER, "LOT_SIZE")
        if quantity >= order.wanted.quantity or quantity <= order.filled:
            raise Refused(rules.AMEND_UP)
        order.extra["replaced"] = order.extra["client"]
        order.extra["client"] = self._read.client_id(asked.params, "newClientOrderId")
        self.account.amend(order, quantity=quantity)
        return {
            "transactTime": self.now_ms, "executionId": self.now_ms,
            "amendedOrder": {
                "symbol": rule.native, "orderId": order.number, "orderListId": order.extra["list"],
                "origClientOrderId": order.extra["replaced"], "clientOrderId": order.extra["client"],
                "price": text(order.wanted.limit_price or ZERO), "qty": text(order.wanted.quantity),
                "executedQty": text(order.filled), "preventedQty": text(ZERO), "quoteOrderQty": text(ZERO),
                "cumulativeQuoteQty": text(order.value), "status": queried(order)["status"],
                "timeInForce": order.extra["tif"], "type": order.extra["type"],
                "side": order.wanted.side.upper(), "workingTime": order.created_ns // 1_000_000,
                "selfTradePreventionMode": order.extra["stp"],
            },
        }  # fmt: skip

    # --- what there is ------------------------------------------------------------------------------------------

    def _info(self, asked: Asked) -> dict[str, Any]:
        wanted = [asked.params.text("symbol")] if "symbol" in asked.params else self._symbols.all()
        if "symbols" in asked.params:
            wanted = [
                name for name in asked.params.text("symbols").strip("[]").replace('"', "").split(",") if name
            ]
        listed = [self.account.instrument(self._symbols.id(name)) for name in wanted]
        return {
            "timezone": "UTC", "serverTime": self.now_ms, "rateLimits": self.limits.listed(), "exchangeFilters": [],
            "symbols": [spot_symbol(instrument, self._symbols.filters) for instrument in listed],
        }  # fmt: skip

    def _mine(self, params: Params, *, needed: bool) -> list[VenueOrder]:
        orders = [order for order in self.account.orders.values() if order.announced or order.held]
        if not needed and "symbol" not in params:
            return orders
        name = self._read.instrument(params).id
        return [order for order in orders if order.wanted.instrument.id == name]

    def _open_orders(self, asked: Asked) -> list[dict[str, Any]]:
        forgotten = asked.call.struck(FaultKind.FORGET)
        return (
            []
            if forgotten
            else [queried(order) for order in self._mine(asked.params, needed=False) if order.open]
        )

    def _all_orders(self, asked: Asked) -> list[dict[str, Any]]:
        params = asked.params
        first, since = params.integer("orderId", 0), params.integer("startTime", 0)
        found = [
            order
            for order in self._mine(params, needed=True)
            if order.number >= first and order.created_ns // 1_000_000 >= since
        ]
        limit = params.limit(500, 1000)
        return [queried(order) for order in (found[:limit] if first or since else found[-limit:])]

    def _trades(self, asked: Asked) -> list[dict[str, Any]]:
        params = asked.params
        name = self._read.instrument(params).id
        first, since = params.integer("fromId", 0), params.integer("startTime", 0)
        end, number = params.integer("endTime", 1 << 62), params.integer("orderId", 0)
        found = [
            done
            for done in self.account.executions
            if done.order.wanted.instrument.id == name
            and not done.busted
            and done.number >= first
            and since <= done.at_ns // 1_000_000 <= end
            and number in {0, done.order.number}
        ]
        limit = params.limit(500, 1000)
        return [_trade(done) for done in (found[:limit] if first or since else found[-limit:])]

    def _account(self, asked: Asked) -> dict[str, Any]:
        locked = self.account.locked()
        names = {
            *self.account.balances(),
            *(name for instrument in self._listed() for name in (instrument.base, instrument.quote)),
        }
        rows = [self._balance(name, locked) for name in sorted(names)]
        if asked.params.flag("omitZeroBalances"):
            rows = [row for row in rows if Decimal(row["free"]) or Decimal(row["locked"])]
        return {
            "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
            "commissionRates": {"maker": "0.00100000", "taker": "0.00100000", "buyer": text(0), "seller": text(0)},
            "canTrade": True, "canWithdraw": False, "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False, "updateTime": self.now_ms,
            "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": 354937868,
        }  # fmt: skip

    def _balance(self, currency: str, locked: dict[str, Decimal]) -> dict[str, str]:
        held = locked.get(currency, ZERO)
        return {"asset": currency, "free": text(self.account.balance(currency) - held), "locked": text(held)}

    def _listed(self) -> list[Instrument]:
        return [self.account.instrument(self._symbols.id(symbol)) for symbol in self._symbols.all()]

    def _commission(self, asked: Asked) -> dict[str, Any]:
        instrument = self._read.instrument(asked.params)
        none = {"maker": text(0), "taker": text(0), "buyer": text(0), "seller": text(0)}
        return {
            "symbol": instrument.native, "standardCommission": _rates(instrument), "taxCommission": none,
            "specialCommission": none,
            "discount": {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB",
                         "discount": text(0)},
        }  # fmt: skip

    def _restrictions(self) -> dict[str, Any]:
        return {
            "ipRestrict": False, "createTime": 1_700_000_000_000, "enableInternalTransfer": False,
            "enableFutures": True, "enablePortfolioMarginTrading": False, "enableVanillaOptions": False,
            "permitsUniversalTransfer": False, "enableReading": True, "enableMargin": False,
            "enableWithdrawals": False, "enableSpotAndMarginTrading": True,
        }  # fmt: skip

    def _coins(self) -> list[dict[str, Any]]:
        locked = self.account.locked()
        return [
            {
                "coin": name, "name": name, "free": text(amount - locked.get(name, ZERO)),
                "locked": text(locked.get(name, ZERO)), "trading": True, "isLegalMoney": False,
                "depositAllEnable": True, "withdrawAllEnable": True, "networkList": [],
            }
            for name, amount in self.account.balances().items()
        ]  # fmt: skip

    def _fees(self) -> list[dict[str, str]]:
        return [
            {
                "symbol": instrument.native,
                "makerCommission": str(instrument.maker_fee),
                "takerCommission": str(instrument.taker_fee),
            }
            for instrument in self._listed()
        ]


def _trade(done: Execution) -> dict[str, Any]:
    order = done.order
    return {
        "symbol": order.wanted.instrument.native, "id": done.number, "orderId": order.number,
        "orderListId": order.extra.get("list", -1), "price": text(done.price),
        "qty": text(done.quantity), "quoteQty": text(done.value), "commission": text(done.fee),
        "commissionAsset": done.fee_currency, "time": done.at_ns // 1_000_000,
        "isBuyer": order.wanted.side is Side.BUY, "isMaker": done.maker, "isBestMatch": True,
    }  # fmt: skip


def _rates(instrument: Instrument) -> dict[str, str]:
    return {
        "maker": text(instrument.maker_fee), "taker": text(instrument.taker_fee), "buyer": text(0), "seller": text(0),
    }  # fmt: skip


def _error(refused: Refused) -> dict[str, Any]:
    return {"code": refused.rule.code, "msg": refused.message}


def by_hand(order: VenueOrder) -> None:
    """Give an order that no request made what the replies show of one."""
    market = order.wanted.type is OrderType.MARKET
    usual = {
        "type": "MARKET" if market else "LIMIT", "client": order.wanted.client_id or f"web_{order.number}",
        "tif": "GTC", "stop": None, "delta": 0, "quote": None, "list": -1, "stp": "NONE",
    }  # fmt: skip
    for name, value in usual.items():
        order.extra.setdefault(name, value)
