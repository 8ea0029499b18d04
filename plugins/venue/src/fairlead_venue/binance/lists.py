"""Order lists of spot: OCO (one cancels the other), OTO (one triggers the other) and OTOCO (one triggers an OCO).

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#order-lists
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from fairlead_venue.account import OrderEvent
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import SIGNED, Asked, Endpoint
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused
from fairlead_venue.binance.spot_orders import Asking, SpotReader, acknowledged
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.orders import VenueOrder
from fairlead_venue.triggers import price_of

if TYPE_CHECKING:
    from fairlead_venue.binance.spot import Spot

_SHARED = ("symbol", "selfTradePreventionMode")
_LEG = {
    "Type": "type", "Price": "price", "StopPrice": "stopPrice", "TrailingDelta": "trailingDelta",
    "TimeInForce": "timeInForce", "ClientOrderId": "newClientOrderId", "Side": "side", "Quantity": "quantity",
}  # fmt: skip


@attrs.define(eq=False)
class OrderList:
    """A list; `pending` are orders that wait until the first has filled."""

    number: int
    kind: str
    client: str
    orders: list[VenueOrder]
    pending: list[tuple[VenueOrder, Asking]] = attrs.Factory(list)
    done: bool = False
    busy: bool = False


class Lists:
    """All lists of the account. `told` hears of each change of one."""

    def __init__(self, spot: Spot, exchange: Exchange, read: SpotReader) -> None:
        self.told: Callable[[OrderList, str], None] = _unheard
        self._spot = spot
        self._exchange = exchange
        self._read = read
        self._lists: dict[int, OrderList] = {}
        exchange.listen(self._heard)

    def endpoints(self) -> list[Endpoint]:
        """What it answers."""
        v3 = "/api/v3"
        return [
            Endpoint("POST", f"{v3}/orderList/oco", "order", self._oco, 1, SIGNED, "orderList.place.oco", counts=True),
            Endpoint("POST", f"{v3}/orderList/oto", "order", self._oto, 1, SIGNED, "orderList.place.oto", counts=True),
            Endpoint("POST", f"{v3}/orderList/otoco", "order", self._otoco, 1, SIGNED, "orderList.place.otoco",
                     counts=True),
            Endpoint("POST", f"{v3}/order/oco", "order", self._old_oco, 1, SIGNED, "orderList.place", counts=True),
            Endpoint("GET", f"{v3}/orderList", "query", self._query, 4, SIGNED, "orderList.status"),
            Endpoint("DELETE", f"{v3}/orderList", "cancel", self._cancel, 1, SIGNED, "orderList.cancel"),
            Endpoint("GET", f"{v3}/openOrderList", "query", self._open, 6, SIGNED, "openOrderLists.status"),
            Endpoint("GET", f"{v3}/allOrderList", "query", self._all, 20, SIGNED, "allOrderLists"),
        ]  # fmt: skip

    # --- placing ------------------------------------------------------------------------------------------------

    def _oco(self, asked: Asked) -> dict[str, Any]:
        p = asked.params
        shared = {"side": p.text("side"), "quantity": p.text("quantity")}
        return self._place(asked, "OCO", [], [_leg(p, "above", shared), _leg(p, "below", shared)])

    def _old_oco(self, asked: Asked) -> dict[str, Any]:
        p = asked.params
        shared = {"symbol": p.text("symbol"), "side": p.text("side"), "quantity": p.text("quantity")}
        maker = {**shared, "type": "LIMIT_MAKER", "price": p.text("price"),
                 "newClientOrderId": p.text("limitClientOrderId", "")}  # fmt: skip
        limited = "stopLimitPrice" in p
        stop = {**shared, "type": "STOP_LOSS_LIMIT" if limited else "STOP_LOSS", "stopPrice": p.text("stopPrice"),
                "newClientOrderId": p.text("stopClientOrderId", "")}  # fmt: skip
        if limited:
            stop |= {"price": p.text("stopLimitPrice"), "timeInForce": p.text("stopLimitTimeInForce")}
        legs = [maker, stop] if shared["side"] == "SELL" else [stop, maker]
        return self._place(asked, "OCO", [], [Params(leg) for leg in legs])

    def _oto(self, asked: Asked) -> dict[str, Any]:
        return self._place(asked, "OTO", [_leg(asked.params, "working")], [_leg(asked.params, "pending")])

    def _otoco(self, asked: Asked) -> dict[str, Any]:
        p = asked.params
        shared = {"side": p.text("pendingSide"), "quantity": p.text("pendingQuantity")}
        legs = [_leg(p, "pendingAbove", shared), _leg(p, "pendingBelow", shared)]
        return self._place(asked, "OTO", [_leg(p, "working")], legs)

    def _place(self, asked: Asked, kind: str, working: list[Params], others: list[Params]) -> dict[str, Any]:
        number = len(self._lists) + 1
        first = [self._read.order(leg) for leg in working]
        rest = [self._read.order(leg, group=f"list{number}") for leg in others]
        if len(rest) == 2:
            self._check_prices(*rest, now=not first)
        client = asked.params.text("listClientOrderId", f"list{number:020d}")
        if any(found.client == client and not found.done for found in self._lists.values()):
            raise Refused(rules.DUPLICATE)
        made = OrderList(number, kind, client, [])
        self._lists[number] = made
        made.busy = True
        try:
            self._put(asked, made, first, rest)
        except Refused:
            for order in made.orders:
                self._spot.account.end(order, "canceled", "its list was refused")
            del self._lists[number]
            raise
        finally:
            made.busy = False
        self.told(made, "EXEC_STARTED")
        answers = asked.params.word(
            "newOrderRespType", {"ACK", "RESULT", "FULL"}, rules.COMBINATION, "RESULT"
        )
        reply = {**self._shown(made), "orderReports": [acknowledged(order, answers) for order in made.orders]}
        self._settle(made)
        return reply

    def _put(self, asked: Asked, made: OrderList, first: list[Asking], rest: list[Asking]) -> None:
        for asking in first:
            asking.extra["list"] = made.number
            made.orders.append(self._spot.put(asking, asked))
        for index, asking in enumerate(rest):
            asking.extra["list"] = made.number
            if first:
                asking.extra["pending"] = True
                order = self._spot.account.order(asking.wanted, extra=asking.extra)
                made.pending.append((order, asking))
                made.orders.append(order)
                self._spot.account.hold(order)
            else:
                made.orders.append(self._spot.put(asking, asked, unfunded=index > 0))

    def _check_prices(self, above: Asking, below: Asking, *, now: bool) -> None:
        """The upper leg is above the lower, and the market between them where they go to work now."""
        high = above.stop or above.wanted.limit_price
        low = below.stop or below.wanted.limit_price
        last = price_of(self._exchange.tapes[above.wanted.instrument.id], "last")
        if high is None or low is None:
            return  # a leg that only trails has no price yet
        if high <= low or (now and last is not None and not float(low) < last < float(high)):
            raise Refused(rules.LIST_PRICES)

    # --- as it goes on ------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            made = self._lists.get(event.order.extra.get("list", -1))
            if made is not None and not made.busy and not made.done:
                made.busy = True
                self._go_on(made, event)
                made.busy = False
                self._settle(made)

    def _go_on(self, made: OrderList, event: OrderEvent) -> None:
        order = event.order
        if made.pending:
            if order.status == "filled":
                self._release(made)
            elif not order.open:
                for waiting, _ in made.pending:
                    self._spot.account.end(waiting, "expired", "its working order did not fill")
                made.pending.clear()
            return
        if event.kind in {"trade", "triggered", "canceled", "expired", "rejected"}:
            ended = "canceled" if event.kind == "canceled" else "expired"
            for other in made.orders:
                if other is not order and other.open and other.wanted.group:
                    self._spot.account.end(other, ended, f"order {order.number} of its list")

    def _release(self, made: OrderList) -> None:
        waiting, made.pending = made.pending, []
        for order, asking in waiting:
            order.extra.pop("pending", None)
            if asking.conditional:
                self._spot.wait(order, asking)
            else:
                self._spot.account.submit(order)

    def _settle(self, made: OrderList) -> None:
        if not made.done and not any(order.open for order in made.orders):
            made.done = True
            self.told(made, "ALL_DONE")

    # --- asked about --------------------------------------------------------------------------------------------

    def cancel(self, number: int) -> dict[str, Any]:
        """Cancel all of a list."""
        made = self._lists[number]
        made.busy = True
        for order in made.orders:
            if order.open:
                self._spot.account.cancel(order)
        made.busy = False
        made.pending.clear()
        self._settle(made)
        return {**self._shown(made), "orderReports": [acknowledged(order, "RESULT") for order in made.orders]}

    def _find(self, params: Params) -> OrderList:
        if "orderListId" in params:
            found = self._lists.get(params.integer("orderListId"))
        else:
            name = params.text("listClientOrderId" if "listClientOrderId" in params else "origClientOrderId")
            found = next((made for made in reversed(self._lists.values()) if made.client == name), None)
        if found is None:
            raise Refused(rules.NO_LIST)
        return found

    def _query(self, asked: Asked) -> dict[str, Any]:
        return self._shown(self._find(asked.params))

    def _cancel(self, asked: Asked) -> dict[str, Any]:
        made = self._find(asked.params)
        if made.done:
            raise Refused(rules.CANCEL_UNKNOWN)
        return self.cancel(made.number)

    def _open(self, asked: Asked) -> list[dict[str, Any]]:
        return [self._shown(made) for made in self._lists.values() if not made.done]

    def _all(self, asked: Asked) -> list[dict[str, Any]]:
        return [self._shown(made) for made in self._lists.values()][-asked.params.limit(500, 1000) :]

    def _shown(self, made: OrderList) -> dict[str, Any]:
        return {
            "orderListId": made.number, "contingencyType": made.kind,
            "listStatusType": "ALL_DONE" if made.done else "EXEC_STARTED",
            "listOrderStatus": "ALL_DONE" if made.done else "EXECUTING", "listClientOrderId": made.client,
            "transactionTime": self._spot.now_ms, "symbol": made.orders[0].wanted.instrument.native,
            "orders": [
                {"symbol": order.wanted.instrument.native, "orderId": order.number,
                 "clientOrderId": order.extra["client"]}
                for order in made.orders
            ],
        }  # fmt: skip


def _leg(params: Params, prefix: str, shared: dict[str, str] | None = None) -> Params:
    """One order of a list as a request of its own."""
    words = {name: params.words[name] for name in _SHARED if name in params.words} | (shared or {})
    for suffix, name in _LEG.items():
        if (value := params.words.get(f"{prefix}{suffix}")) is not None:
            words[name] = value
    return Params(words)


def _unheard(made: OrderList, status: str) -> None:
    """Nobody asked to hear of it."""
