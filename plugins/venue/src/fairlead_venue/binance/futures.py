"""The orders of the USD-M futures account.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead import Side
from fairlead_venue.account import Account
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import SIGNED, Asked, Endpoint
from fairlead_venue.binance.futures_orders import FuturesAsking, FuturesReader, refusal_of, shown
from fairlead_venue.binance.limits import Limits
from fairlead_venue.binance.listing import Symbols, plain
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.positions import Positions
from fairlead_venue.binance.prevention import prevent
from fairlead_venue.binance.rules import Refused
from fairlead_venue.clock import Timer
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.orders import Execution, VenueOrder

_ARCHIVE_MS = 90 * 86_400_000
_MOST_LEVERAGE = 125
_BATCH = 5


class Futures:
    """Carries out what is asked about orders."""

    def __init__(
        self, exchange: Exchange, account: Account, symbols: Symbols, limits: Limits, *, fok_refused: bool,
        post_only_expires: bool,
    ) -> None:  # fmt: skip
        self.account = account
        self.limits = limits
        self.read = FuturesReader(exchange, account, symbols)
        self.positions = Positions(exchange, account, symbols)
        self._exchange = exchange
        self._symbols = symbols
        self._fok_refused = fok_refused
        self._post_only_expires = post_only_expires
        self._countdowns: dict[str, Timer] = {}

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self._exchange.clock.now() // 1_000_000

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        f = "/fapi/v1"
        return [
            Endpoint("POST", f"{f}/order", "order", self._place, 0, SIGNED, "order.place", counts=True),
            Endpoint("POST", f"{f}/order/test", "query", self._test, 0, SIGNED),
            Endpoint("GET", f"{f}/order", "query", self._query, 1, SIGNED, "order.status"),
            Endpoint("GET", f"{f}/openOrder", "query", self._query_open, 1, SIGNED),
            Endpoint("PUT", f"{f}/order", "amend", self._modify, 1, SIGNED, "order.modify", counts=True),
            Endpoint("DELETE", f"{f}/order", "cancel", self._cancel, 1, SIGNED, "order.cancel"),
            Endpoint("POST", f"{f}/batchOrders", "order", self._batch, 5, SIGNED, counts=True),
            Endpoint("PUT", f"{f}/batchOrders", "amend", self._batch_modify, 5, SIGNED, counts=True),
            Endpoint("DELETE", f"{f}/batchOrders", "cancel", self._batch_cancel, 1, SIGNED),
            Endpoint("DELETE", f"{f}/allOpenOrders", "cancel", self._cancel_all, 1, SIGNED),
            Endpoint("POST", f"{f}/countdownCancelAll", "cancel", self._countdown, 10, SIGNED),
            Endpoint("GET", f"{f}/openOrders", "query", self._open_orders, 1, SIGNED),
            Endpoint("GET", f"{f}/allOrders", "query", self._all_orders, 5, SIGNED),
            Endpoint("GET", f"{f}/userTrades", "query", self._trades, 5, SIGNED),
            Endpoint("GET", f"{f}/rateLimit/order", "account", lambda _: self.limits.listed()[1:], 1, SIGNED),
        ]  # fmt: skip

    # --- orders -------------------------------------------------------------------------------------------------

    def _place(self, asked: Asked) -> dict[str, Any]:
        return self._answered(self.put(self.read.order(asked.params), asked), asked.params)

    def _answered(self, order: VenueOrder, params: Params) -> dict[str, Any]:
        """ACK shows the order as it was when it came, RESULT as it is now."""
        row = shown(order)
        if params.text("newOrderRespType", "ACK") == "ACK":
            return {
                **row, "status": "NEW", "executedQty": "0", "cumQty": "0", "cumQuote": "0", "avgPrice": "0.00",
            }  # fmt: skip
        return row

    def put(self, asking: FuturesAsking, asked: Asked) -> VenueOrder:
        """Put an order to work. Raises Refused."""
        account, wanted = self.account, asking.wanted
        if any(
            order.extra.get("client") == wanted.client_id for order in account.open_orders() if not order.held
        ):
            raise Refused(rules.F_DUPLICATE)
        order = account.order(wanted, extra=asking.extra)
        self._refuse_too_much(order)
        self.limits.order()
        if asked.call.struck(FaultKind.REJECT_LATER):
            account.hold(order)
            asked.call.after.append(lambda: account.end(order, "rejected", "rejected by the matching engine"))
            return order
        self.work(order)
        if order.status == "rejected" and not order.announced:
            if order.code == "would_cross" and self._post_only_expires:
                order.status = "new"
                account.hold(order)
                account.end(order, "expired", "post-only would have taken")
                return order
            raise refusal_of(order)
        if order.status == "expired" and asking.extra["tif"] == "FOK" and self._fok_refused:
            raise Refused(rules.F_FOK)
        return order

    def work(self, order: VenueOrder) -> None:
        """Let an order meet the market, self-trade prevention first."""
        if prevent(self.account, order, self._exchange.tapes[order.wanted.instrument.id]):
            self.account.submit(order)

    def _refuse_too_much(self, order: VenueOrder) -> None:
        """In hedge mode nobody can sell more of a side than there is."""
        leg = order.extra["leg"]
        if self.positions.closes(order):
            held = abs(self.positions.quantity(order.wanted.instrument.id, leg))
            if order.wanted.quantity > held:
                raise Refused(rules.F_REDUCE_ONLY)

    def _test(self, asked: Asked) -> dict[str, Any]:
        asking = self.read.order(asked.params)
        order = VenueOrder(0, self.account.name, asking.wanted, 0, 0, extra=asking.extra)
        return {**shown(order), "updateTime": self.now_ms}

    def find(self, asked: Asked) -> VenueOrder | None:
        """The order that a request names, by number or by the client's id (of several the last). Raises Refused."""
        params = asked.params
        name = self.read.instrument(params).id
        if "orderId" not in params and "origClientOrderId" not in params:
            raise Refused(rules.MISSING, "orderId")
        if asked.call.struck(FaultKind.FORGET):
            return None
        found = [order for order in self.orders() if order.wanted.instrument.id == name]
        if "orderId" in params:
            number = params.integer("orderId")
            found = [order for order in found if order.number == number]
        else:
            client = params.text("origClientOrderId")
            found = [order for order in found if order.extra["client"] == client]
        return found[-1] if found else None

    def orders(self) -> list[VenueOrder]:
        """All orders that the order endpoints know: conditional ones appear when they go to work."""
        return [
            order
            for order in self.account.orders.values()
            if order.announced and not order.extra.get("algo_only") and "client" in order.extra
        ]

    def _query(self, asked: Asked) -> dict[str, Any]:
        order = self.find(asked)
        if order is None:
            raise Refused(rules.NO_ORDER)
        age = self.now_ms - order.updated_ns // 1_000_000
        if not order.open and not order.filled and age > _ARCHIVE_MS:
            raise Refused(rules.NO_ORDER)
        return shown(order)

    def _query_open(self, asked: Asked) -> dict[str, Any]:
        order = self.find(asked)
        if order is None or not order.open:
            raise Refused(rules.NO_ORDER)
        return shown(order)

    def _cancel(self, asked: Asked) -> dict[str, Any]:
        order = self.find(asked)
        if order is None or not order.open:
            raise Refused(rules.CANCEL_UNKNOWN)
        self.account.cancel(order)
        return shown(order)

    def _modify(self, asked: Asked) -> dict[str, Any]:
        """Change a limit order's price and quantity; both must be sent.

        https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Modify-Order
        """
        order = self.find(asked)
        if order is None or not order.open:
            raise Refused(rules.NO_ORDER)
        if order.extra["type"] != "LIMIT":
            raise Refused(rules.ORDER_TYPE)
        params = asked.params
        words = {
            "symbol": params.text("symbol"), "side": params.text("side"), "type": "LIMIT", "timeInForce": "GTC",
            "quantity": params.text("quantity"), "price": params.text("price"),
            "positionSide": order.extra["leg"], "reduceOnly": str(order.wanted.reduce_only).lower(),
        }  # fmt: skip
        if words["side"] != order.wanted.side.upper():
            raise Refused(rules.SIDE)
        new = self.read.order(Params(words)).wanted
        if (new.quantity, new.limit_price) == (order.wanted.quantity, order.wanted.limit_price):
            raise Refused(rules.F_SAME_ORDER)
        code = self.account.amend(order, quantity=new.quantity, limit_price=new.limit_price)
        if code:
            # A post-only order that a change makes take is canceled, as documented; any other stays as it was.
            if code == "would_cross":
                self.account.end(order, "canceled", "post-only would have taken")
            order.code = code
            refused = refusal_of(order)
            order.code = ""
            raise refused
        return shown(order)

    def _cancel_all(self, asked: Asked) -> dict[str, Any]:
        name = self.read.instrument(asked.params).id
        self._cancel_of(name)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _cancel_of(self, name: str) -> None:
        for order in self.account.open_orders():
            if order.wanted.instrument.id == name and not order.extra.get("algo_only"):
                self.account.cancel(order)

    def _countdown(self, asked: Asked) -> dict[str, Any]:
        """Cancel all orders of a symbol unless this is repeated in time; 0 stops it."""
        name, after = self.read.instrument(asked.params), asked.params.integer("countdownTime")
        if (timer := self._countdowns.pop(name.id, None)) is not None:
            timer.cancel()
        if after:
            self._countdowns[name.id] = self._exchange.clock.call_in(
                after * 1_000_000, lambda: self._cancel_of(name.id)
            )
        return {"symbol": name.native, "countdownTime": str(after)}

    def _batch(self, asked: Asked) -> list[dict[str, Any]]:
        return self._each(asked, "batchOrders", self._place)

    def _batch_modify(self, asked: Asked) -> list[dict[str, Any]]:
        return self._each(asked, "batchOrders", self._modify)

    def _batch_cancel(self, asked: Asked) -> list[dict[str, Any]]:
        names = {"orderIdList": "orderId", "origClientOrderIdList": "origClientOrderId"}
        symbol = asked.params.text("symbol")
        for sent, name in names.items():
            if sent in asked.params:
                rows = [{"symbol": symbol, name: value} for value in _decode(asked.params.text(sent), sent)]
                return self._every(asked, rows, self._cancel)
        raise Refused(rules.MISSING, "orderIdList")

    def _each(self, asked: Asked, name: str, run: Callable[[Asked], dict[str, Any]]) -> list[dict[str, Any]]:
        rows = _decode(asked.params.text(name), name)
        if len(rows) > _BATCH or not all(isinstance(row, dict) for row in rows):
            raise Refused(rules.ILLEGAL, name, "a list of 5 objects at most")
        return self._every(asked, rows, run)

    def _every(
        self, asked: Asked, rows: list[Any], run: Callable[[Asked], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        answers = []
        for row in rows:
            try:
                answers.append(run(Asked(Params(row), asked.call)))
            except Refused as refused:
                answers.append({"code": refused.rule.code, "msg": refused.message})
        return answers

    # --- what there is ------------------------------------------------------------------------------------------

    def _mine(self, params: Params) -> list[VenueOrder]:
        orders = self.orders()
        if "symbol" not in params:
            return orders
        name = self.read.instrument(params).id
        return [order for order in orders if order.wanted.instrument.id == name]

    def _open_orders(self, asked: Asked) -> list[dict[str, Any]]:
        forgotten = asked.call.struck(FaultKind.FORGET)
        return [] if forgotten else [shown(order) for order in self._mine(asked.params) if order.open]

    def _all_orders(self, asked: Asked) -> list[dict[str, Any]]:
        params = asked.params
        self.read.instrument(params)
        first, since = params.integer("orderId", 0), params.integer("startTime", 0)
        found = [
            order
            for order in self._mine(params)
            if order.number >= first and order.created_ns // 1_000_000 >= since
        ]
        limit = params.limit(500, 1000)
        return [shown(order) for order in (found[:limit] if first or since else found[-limit:])]

    def _trades(self, asked: Asked) -> list[dict[str, Any]]:
        params = asked.params
        name = self.read.instrument(params).id if "symbol" in params else ""
        first, since = params.integer("fromId", 0), params.integer("startTime", 0)
        end, number = params.integer("endTime", 1 << 62), params.integer("orderId", 0)
        found = [
            done
            for done in self.account.executions
            if (not name or done.order.wanted.instrument.id == name)
            and not done.busted
            and done.number >= first
            and since <= done.at_ns // 1_000_000 <= end
            and number in {0, done.order.number}
        ]
        limit = params.limit(500, 1000)
        return [self._trade(done) for done in (found[:limit] if first or since else found[-limit:])]

    def _trade(self, done: Execution) -> dict[str, Any]:
        wanted = done.order.wanted
        buyer = wanted.side is Side.BUY
        return {
            "symbol": wanted.instrument.native, "id": done.number, "orderId": done.order.number,
            "side": wanted.side.upper(), "price": plain(done.price), "qty": plain(done.quantity),
            "realizedPnl": plain(self.positions.realised(done)), "quoteQty": plain(done.value),
            "commission": plain(done.fee), "commissionAsset": done.fee_currency,
            "time": done.at_ns // 1_000_000, "positionSide": done.order.extra.get("leg", "BOTH"),
            "buyer": buyer, "maker": done.maker,
        }  # fmt: skip


def _decode(text: str, name: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.MsgspecError as error:
        raise Refused(rules.ILLEGAL, name, "a JSON list") from error
