"""Orders of the unified account: create, amend, cancel, ask. What is acknowledged has not been accepted yet.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead import Instrument, OrderType, Side
from fairlead_venue.account import Account
from fairlead_venue.bybit import rules
from fairlead_venue.bybit.endpoints import Asked, Endpoint
from fairlead_venue.bybit.listing import product_of
from fairlead_venue.bybit.orders import (
    BY_USER,
    NO_QUANTITY,
    POST_ONLY,
    SPOT_FILTERS,
    OrderReader,
    execution,
    order_id,
    refusal_of,
    shown,
    status_of,
)
from fairlead_venue.bybit.pages import page, within
from fairlead_venue.bybit.params import Params
from fairlead_venue.bybit.rules import Refused, Rule
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.orders import VenueOrder, Wanted
from fairlead_venue.triggers import Trigger, Triggers

_KEPT = 500
_BATCH = {"linear": 20, "spot": 10}


class Trading:
    """Carries out what is asked about orders. `settled` are executions that were no trades: funding."""

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        read: OrderReader,
        triggers: Triggers,
        *,
        told_currency: bool,
    ) -> None:
        self.read = read
        self.settled: list[dict[str, Any]] = []
        self.told_currency = told_currency
        self._exchange = exchange
        self._account = account
        self._triggers = triggers
        self._links: dict[tuple[str, str], VenueOrder] = {}

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        o = "/v5/order"
        return [
            Endpoint("POST", f"{o}/create", "order", self._create, "order", "order.create"),
            Endpoint("POST", f"{o}/amend", "amend", self._amend, "amend", "order.amend"),
            Endpoint("POST", f"{o}/cancel", "cancel", self._cancel, "cancel", "order.cancel"),
            self._batch("create", "order", self._create),
            self._batch("amend", "amend", self._amend),
            self._batch("cancel", "cancel", self._cancel),
            Endpoint("POST", f"{o}/cancel-all", "cancel", self._cancel_all, "cancel-all"),
            Endpoint("GET", f"{o}/realtime", "query", self._realtime, "query"),
            Endpoint("GET", f"{o}/history", "query", self._history, "query"),
            Endpoint("GET", "/v5/execution/list", "query", self._executions, "query"),
        ]  # fmt: skip

    # --- changes ------------------------------------------------------------------------------------------------

    def _create(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        wanted = self.read.order(params)
        extra = self.read.extra(params, wanted)
        product = product_of(wanted.instrument)
        if wanted.client_id and (product, wanted.client_id) in self._links:
            raise Refused(rules.S_DUPLICATE if product == "spot" else rules.DUPLICATE)
        order = self._account.order(wanted, extra=extra)
        if asked.call.struck(FaultKind.REJECT_LATER):
            asked.call.after.append(lambda: self._reject(order))
        elif extra["conditional"]:
            self.wait(order)
        else:
            self.work(order)
        if wanted.client_id:
            self._links[product, wanted.client_id] = order
        return _ids(order)

    def _reject(self, order: VenueOrder) -> None:
        order.extra |= {"reason": "EC_Others", "quiet": True}
        self._account.hold(order)
        del order.extra["quiet"]
        self._account.end(order, "rejected", "rejected by the matching engine")

    def wait(self, order: VenueOrder) -> None:
        """Let a conditional order wait for its price."""
        self._account.hold(order)
        self.arm(order)

    def arm(self, order: VenueOrder) -> None:
        """Wait for the price that it says."""
        extra = order.extra
        self._triggers.arm(
            Trigger(
                order, lambda: self._fire(order), extra["trigger"], extra["direction"] == 1,
                self.read.source(extra["source"]),
            )
        )  # fmt: skip

    def _fire(self, order: VenueOrder) -> None:
        try:
            self.work(order)
        except Refused:
            order.extra["reason"] = "EC_Others"

    def work(self, order: VenueOrder) -> None:
        """Let an order meet the market. Raises Refused where nothing was acknowledged."""
        self._account.submit(order)
        if order.status == "rejected" and not order.announced:
            if order.code != "would_cross":
                del self._account.orders[order.number]
                raise refusal_of(order)
            order.status, order.extra["quiet"] = "new", True
            self._account.hold(order)
            del order.extra["quiet"]
            self._end(order, POST_ONLY, "CancelByUser")
        elif order.status in ("expired", "canceled"):
            order.extra.setdefault("reason", NO_QUANTITY)

    def _end(self, order: VenueOrder, reason: str, kind: str) -> None:
        order.extra |= {"reason": reason, "cancel_type": kind}
        self._account.end(order, "canceled", reason)

    def cancel(self, order: VenueOrder, kind: str = "CancelByUser") -> None:
        """Take an order back."""
        order.extra |= {"reason": BY_USER, "cancel_type": kind}
        self._triggers.forget(order)
        self._account.cancel(order)

    def _cancel(self, asked: Asked) -> dict[str, Any]:
        """A conditional order of spot is found under its filter: https://bybit-exchange.github.io/docs/v5/order/cancel-order"""
        order = self._open(asked)
        if order.wanted.instrument.spot and _filter(order) != asked.params.word(
            "orderFilter", SPOT_FILTERS, "Order"
        ):
            raise Refused(rules.S_NO_ORDER)
        self.cancel(order)
        return _ids(order)

    def _amend(self, asked: Asked) -> dict[str, Any]:
        """https://bybit-exchange.github.io/docs/v5/order/amend-order"""
        order = self._open(asked)
        changes, trigger = self.read.amended(asked.params, order)
        if trigger is not None:
            self._triggers.forget(order)
            order.extra["trigger"] = trigger
            self.arm(order)
        code = self._account.amend(order, **changes)
        if code == "would_cross":
            self._end(order, POST_ONLY, "CancelByUser")
        elif code:
            raise refusal_of(order, code)
        return _ids(order)

    def _cancel_all(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        product = self.read.product(params)
        if product == "linear" and not any(name in params for name in ("symbol", "baseCoin", "settleCoin")):
            raise Refused(rules.PARAMETER, "symbol, baseCoin or settleCoin is required")
        wanted = params.text("orderFilter", "Order" if product == "spot" else "")
        found = [
            order
            for order in self._matching(params, list(self._account.open_orders()))
            if wanted in ("", _filter(order))
        ]
        for order in found:
            self.cancel(order, "CancelAllBeforeLiq" if order.cause else "CancelByUser")
        return {"list": [_ids(order) for order in found], "success": "1"}

    def cancel_product(self, product: str) -> None:
        """The disconnection protection: every order of a product."""
        for order in list(self._account.open_orders()):
            if product_of(order.wanted.instrument) == product:
                self.cancel(order, "CancelByDCP")

    def close_at(
        self, rule: Instrument, side: Side, quantity: Decimal, price: Decimal, kind: str
    ) -> VenueOrder:
        """A trading stop: a conditional order of the position that reduces it by market."""
        above = (kind == "TakeProfit") is (side is Side.SELL)
        wanted = Wanted(
            instrument=rule, side=side, type=OrderType.MARKET, quantity=quantity, reduce_only=True
        )  # fmt: skip
        extra = {
            "link": "", "tif": "IOC", "index": 0, "smp": "None", "filter": "Order", "trigger": price,
            "direction": 1 if above else 2, "source": "LastPrice", "conditional": True, "stop_type": kind,
            "close": True, "create": f"CreateBy{kind}",
        }  # fmt: skip
        order = self._account.order(wanted, extra=extra)
        self.wait(order)
        return order

    def _batch(self, word: str, label: str, run: Callable[[Asked], dict[str, Any]]) -> Endpoint:
        """Each request of a batch by itself: https://bybit-exchange.github.io/docs/v5/order/batch-place"""

        def all_of(asked: Asked) -> dict[str, Any]:
            product, rows = self.read.product(asked.params), asked.params.words.get("request")
            if not isinstance(rows, list) or not 0 < len(rows) <= _BATCH[product]:
                raise Refused(rules.PARAMETER, "request invalid")
            answers, codes = [], []
            for row in rows:
                try:
                    one = Params({**row, "category": product} if isinstance(row, dict) else {})
                    answers.append({"category": product, **run(Asked(one, asked.call))})
                    codes.append({"code": 0, "msg": "OK"})
                except Refused as refused:
                    answers.append({"category": product, "orderId": "", "orderLinkId": ""})
                    codes.append({"code": refused.rule.code, "msg": refused.message})
            return {"list": answers, "_ext": {"list": codes}}

        return Endpoint(
            "POST", f"/v5/order/{word}-batch", label, all_of, label, f"order.{word}-batch", "request"
        )

    # --- questions ----------------------------------------------------------------------------------------------

    def _open(self, asked: Asked) -> VenueOrder:
        """The order that a change names; orderId counts before orderLinkId. Raises Refused."""
        params = asked.params
        rule = self.read.instrument(params)
        if "orderId" not in params and "orderLinkId" not in params:
            raise Refused(rules.PARAMETER, "orderId or orderLinkId is required")
        order = None if asked.call.struck(FaultKind.FORGET) else self._named(params, self.orders())
        if order is None or order.wanted.instrument.id != rule.id:
            raise Refused(rules.S_NO_ORDER if rule.spot else rules.NO_ORDER)
        if not order.open:
            raise Refused(_ended(order))
        return order

    def _named(self, params: Params, orders: list[VenueOrder]) -> VenueOrder | None:
        number, link = params.text("orderId", ""), params.text("orderLinkId", "")
        found = [
            order
            for order in orders
            if (order_id(order) == number if number else order.extra["link"] == link)
        ]
        return found[-1] if found else None

    def orders(self) -> list[VenueOrder]:
        """All orders that were acknowledged."""
        return [order for order in self._account.orders.values() if "link" in order.extra]

    def _matching(self, params: Params, orders: list[VenueOrder]) -> list[VenueOrder]:
        """Those of a product, and of the symbol, coin or id that is named."""
        product = self.read.product(params)
        symbol, base = params.text("symbol", ""), params.text("baseCoin", "")
        settle, number = params.text("settleCoin", ""), params.text("orderId", "")
        link = "" if number else params.text("orderLinkId", "")
        return [
            order
            for order in orders
            if product_of(rule := order.wanted.instrument) == product
            and symbol in ("", rule.native)
            and base in ("", rule.base)
            and settle in ("", rule.settle)
            and number in ("", order_id(order))
            and link in ("", order.extra.get("link"))
        ]

    def _realtime(self, asked: Asked) -> dict[str, Any]:
        """Open orders and, with openOnly=1, the last 500 closed ones.

        https://bybit-exchange.github.io/docs/v5/order/open-order
        """
        params = asked.params
        product = self.read.product(params)
        if product == "linear" and not any(name in params for name in ("symbol", "baseCoin", "settleCoin")):
            raise Refused(rules.PARAMETER, "symbol, settleCoin or baseCoin is required")
        found = self._matching(params, self.orders())
        closed = [order for order in found if not order.open][-_KEPT:]
        found = closed if params.integer("openOnly", 0) == 1 else [order for order in found if order.open]
        if asked.call.struck(FaultKind.FORGET):
            found = []
        return self._listed(product, params, found)

    def _history(self, asked: Asked) -> dict[str, Any]:
        """Orders that ended: https://bybit-exchange.github.io/docs/v5/order/order-list"""
        params = asked.params
        begin, end = within(params, self._exchange.clock.now())
        found = [
            order
            for order in self._matching(params, self.orders())
            if not order.open and begin <= order.created_ns // 1_000_000 <= end
        ]
        return self._listed(
            self.read.product(params), params, [] if asked.call.struck(FaultKind.FORGET) else found
        )

    def _listed(self, product: str, params: Params, found: list[VenueOrder]) -> dict[str, Any]:
        rows, cursor = page(params, found, 20, 50, lambda order: order.number)
        return {"list": [shown(order) for order in rows], "nextPageCursor": cursor, "category": product}

    def _executions(self, asked: Asked) -> dict[str, Any]:
        """https://bybit-exchange.github.io/docs/v5/order/execution"""
        params = asked.params
        product = self.read.product(params)
        begin, end = within(params, self._exchange.clock.now())
        kind = params.text("execType", "")
        orders = {order.number for order in self._matching(params, self.orders())}
        rows = [
            execution(done, told_currency=self.told_currency)
            for done in self._account.executions
            if done.order.number in orders and not done.busted
        ]
        symbol = params.text("symbol", "")
        rows += [row for row in self.settled if product == "linear" and symbol in ("", row["symbol"])]
        rows = [row for row in rows if begin <= int(row["execTime"]) <= end and kind in ("", row["execType"])]
        rows.sort(key=lambda row: (int(row["execTime"]), row["seq"]))
        found, cursor = page(params, rows, 50, 100, lambda row: int(row["seq"]))
        return {"list": found, "nextPageCursor": cursor, "category": product}


def _ids(order: VenueOrder) -> dict[str, Any]:
    return {"orderId": order_id(order), "orderLinkId": order.extra["link"]}


def _filter(order: VenueOrder) -> str:
    """The filter that finds an open order; all plain orders, and what was triggered, are under Order."""
    waits = order.extra.get("conditional") and not order.triggered
    named: str = order.extra["filter"]
    return (named if named != "Order" else "StopOrder") if waits else "Order"


def _ended(order: VenueOrder) -> Rule:
    """Why an order that ended cannot be changed."""
    spot, filled = order.wanted.instrument.spot, status_of(order) == "Filled"
    if spot:
        return rules.S_FILLED if filled else rules.S_CANCELED
    return rules.DONE if filled else rules.NO_ORDER
