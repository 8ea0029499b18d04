"""Conditional orders of USD-M futures: an id space of their own, and an ordinary order once they are triggered.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Side
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import SIGNED, Asked, Endpoint
from fairlead_venue.binance.futures import Futures
from fairlead_venue.binance.futures_orders import FuturesAsking, refusal_of
from fairlead_venue.binance.listing import Symbols, plain
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.orders import ZERO, VenueOrder, Wanted
from fairlead_venue.triggers import Trigger, Triggers, price_of

_FIRST = 2_000_001


@attrs.define(eq=False)
class AlgoOrder:
    """A conditional order; `status` is in Binance's word, `actual` the order that it became."""

    number: int
    asking: FuturesAsking
    trigger_price: Decimal
    source: str
    rate: Decimal
    activation: Decimal | None
    created_ms: int
    updated_ms: int
    status: str = "NEW"
    actual: VenueOrder | None = None
    reason: str = ""

    @property
    def wanted(self) -> Wanted:
        """What it will ask for."""
        return self.asking.wanted

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.status == "NEW"

    @property
    def client(self) -> str:
        """The client's id."""
        return self.wanted.client_id


class Algo:
    """The conditional orders of the futures account. `told` hears of each change of one."""

    def __init__(self, futures: Futures, exchange: Exchange, symbols: Symbols, triggers: Triggers) -> None:
        self.told: Callable[[AlgoOrder], None] = _unheard
        self._futures = futures
        self._exchange = exchange
        self._symbols = symbols
        self._triggers = triggers
        self._orders: dict[int, AlgoOrder] = {}
        exchange.listen(self._heard)

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        f = "/fapi/v1"
        return [
            Endpoint("POST", f"{f}/algoOrder", "order", self._place, 0, SIGNED, "algoOrder.place", counts=True),
            Endpoint("GET", f"{f}/algoOrder", "query", self._query, 1, SIGNED),
            Endpoint("DELETE", f"{f}/algoOrder", "cancel", self._cancel, 1, SIGNED, "algoOrder.cancel"),
            Endpoint("GET", f"{f}/openAlgoOrders", "query", self._open, 1, SIGNED),
            Endpoint("GET", f"{f}/allAlgoOrders", "query", self._all, 5, SIGNED),
            Endpoint("DELETE", f"{f}/algoOpenOrders", "cancel", self._cancel_all, 1, SIGNED),
        ]  # fmt: skip

    def _place(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        if params.text("algoType") != "CONDITIONAL":
            raise Refused(rules.ILLEGAL, "algoType", "CONDITIONAL")
        if params.flag("closePosition") and "quantity" in params:
            raise Refused(rules.F_CLOSE_QUANTITY)
        asking = self._futures.read.order(params, conditional=True, client="clientAlgoId")
        waiting = [order for order in self._orders.values() if order.open]
        if any(order.client == asking.wanted.client_id for order in waiting):
            raise Refused(rules.F_DUPLICATE)
        here = asking.wanted.instrument
        if (
            sum(1 for order in waiting if order.wanted.instrument.id == here.id)
            >= self._symbols.filters.max_algo_orders
        ):
            raise Refused(rules.F_STOP_ORDERS)
        source = {"MARK_PRICE": "mark", "CONTRACT_PRICE": "last"}[
            params.word("workingType", {"MARK_PRICE", "CONTRACT_PRICE"}, rules.COMBINATION, "CONTRACT_PRICE")
        ]
        now = self._futures.now_ms
        order = AlgoOrder(_FIRST + len(self._orders), asking, ZERO, source, ZERO, None, now, now)
        if asking.type == "TRAILING_STOP_MARKET":
            self._trailing(order, params)
        else:
            order.trigger_price = self._futures.read.trigger_price(params, here)
        trigger = self._trigger(order)
        price = price_of(self._exchange.tapes[here.id], source)
        if price is not None and not order.rate and trigger.reached(price):
            raise Refused(rules.F_WOULD_TRIGGER)
        self._futures.limits.order()
        self._orders[order.number] = order
        self._triggers.arm(trigger)
        self._change(order, "NEW")
        return self.shown(order)

    def _trailing(self, order: AlgoOrder, params: Params) -> None:
        rate = params.number("callbackRate", places=1, precision=rules.F_CALLBACK)
        if not Decimal("0.1") <= rate <= 10:
            raise Refused(rules.F_CALLBACK)
        order.rate = rate / 100
        if "activatePrice" in params:
            order.activation = params.number("activatePrice")
            price = price_of(self._exchange.tapes[order.wanted.instrument.id], order.source)
            buy = order.wanted.side is Side.BUY
            if price is not None and (order.activation > price if buy else order.activation < price):
                raise Refused(rules.F_ACTIVATION)

    def _trigger(self, order: AlgoOrder) -> Trigger:
        buy = order.wanted.side is Side.BUY
        above = buy is not order.asking.type.startswith("TAKE_PROFIT")
        price = price_of(self._exchange.tapes[order.wanted.instrument.id], order.source) or 0.0
        return Trigger(
            order, lambda: self._fire(order), order.trigger_price, above, order.source, order.rate, order.activation,
            price, order.activation is None,
        )  # fmt: skip

    # --- as it goes on ------------------------------------------------------------------------------------------

    def _fire(self, order: AlgoOrder) -> None:
        """Its price was reached: it becomes an order, unless there is nothing to close or no margin."""
        self._change(order, "TRIGGERING")
        wanted, extra = order.wanted, dict(order.asking.extra)
        if extra["close"]:
            held = abs(self._futures.positions.quantity(wanted.instrument.id, extra["leg"]))
            if not held:
                order.reason = "there is no position to close"
                self._change(order, "EXPIRED")
                return
            wanted = attrs.evolve(wanted, quantity=held)
        kind = "LIMIT" if wanted.limit_price is not None else "MARKET"
        extra |= {"type": kind, "stop": order.trigger_price, "algo": order.number}
        actual = self._futures.account.order(wanted, extra=extra)
        order.actual = actual
        self._futures.work(actual)
        if actual.status == "rejected" and not actual.announced:
            order.reason = refusal_of(actual).message
            self._change(order, "REJECTED")
        else:
            self._change(order, "TRIGGERED" if actual.open else "FINISHED")

    def _heard(self, event: Event) -> None:
        actual = getattr(event, "order", None)
        number = actual.extra.get("algo") if isinstance(actual, VenueOrder) else None
        order = self._orders.get(number) if number is not None else None
        if (
            order is not None
            and order.status == "TRIGGERED"
            and order.actual is not None
            and not order.actual.open
        ):
            self._change(order, "FINISHED")

    def _change(self, order: AlgoOrder, status: str) -> None:
        order.status, order.updated_ms = status, self._futures.now_ms
        self.told(order)

    # --- asked about --------------------------------------------------------------------------------------------

    def _find(self, asked: Asked) -> AlgoOrder | None:
        params = asked.params
        if "algoId" not in params and "clientAlgoId" not in params:
            raise Refused(rules.MISSING, "algoId")
        if asked.call.struck(FaultKind.FORGET):
            return None
        if "algoId" in params:
            return self._orders.get(params.integer("algoId"))
        name = params.text("clientAlgoId")
        return next((order for order in reversed(self._orders.values()) if order.client == name), None)

    def _query(self, asked: Asked) -> dict[str, Any]:
        order = self._find(asked)
        if order is None:
            raise Refused(rules.NO_ORDER)
        return self.shown(order)

    def _cancel(self, asked: Asked) -> dict[str, Any]:
        order = self._find(asked)
        if order is None or not order.open:
            raise Refused(rules.CANCEL_UNKNOWN)
        self._take_back(order)
        return {"algoId": order.number, "clientAlgoId": order.client, "code": "200", "msg": "success"}

    def _take_back(self, order: AlgoOrder) -> None:
        self._triggers.forget(order)
        self._change(order, "CANCELED")

    def _cancel_all(self, asked: Asked) -> dict[str, Any]:
        for order in self._mine(asked.params):
            if order.open:
                self._take_back(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _mine(self, params: Params) -> list[AlgoOrder]:
        name = self._futures.read.instrument(params).id if "symbol" in params else ""
        return [order for order in self._orders.values() if name in {"", order.wanted.instrument.id}]

    def _open(self, asked: Asked) -> list[dict[str, Any]]:
        return [self.shown(order) for order in self._mine(asked.params) if order.open]

    def _all(self, asked: Asked) -> list[dict[str, Any]]:
        return [self.shown(order) for order in self._mine(asked.params)][-asked.params.limit(500, 1000) :]

    def shown(self, order: AlgoOrder) -> dict[str, Any]:
        """An order as replies show it."""
        wanted, extra = order.wanted, order.asking.extra
        return {
            "algoId": order.number, "clientAlgoId": order.client, "algoType": "CONDITIONAL",
            "orderType": order.asking.type, "symbol": wanted.instrument.native, "side": wanted.side.upper(),
            "positionSide": extra["leg"], "timeInForce": extra["tif"],
            "quantity": "0" if extra["close"] else plain(wanted.quantity), "algoStatus": order.status,
            "actualOrderId": str(order.actual.number) if order.actual else "",
            "actualPrice": plain(order.actual.average_price) if order.actual else "0.00000",
            "triggerPrice": plain(order.trigger_price), "price": plain(wanted.limit_price or ZERO),
            "icebergQuantity": None, "selfTradePreventionMode": extra["stp"],
            "workingType": "MARK_PRICE" if order.source == "mark" else "CONTRACT_PRICE",
            "priceMatch": extra["match"], "closePosition": extra["close"], "priceProtect": False,
            "reduceOnly": extra["reduce"],
            "activatePrice": plain(order.activation) if order.activation is not None else "",
            "callbackRate": plain(order.rate * 100) if order.rate else "", "createTime": order.created_ms,
            "updateTime": order.updated_ms, "triggerTime": order.updated_ms if order.actual else 0,
            "goodTillDate": wanted.expires_ns // 1_000_000,
        }  # fmt: skip


def _unheard(order: AlgoOrder) -> None:
    """Nobody asked to hear of it."""
