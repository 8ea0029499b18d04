"""The USD-M futures account: orders, positions, settings and money.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from fairlead import Side
from fairlead_venue.account import Account, BalanceEvent, OrderEvent
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import KEY, NONE, SIGNED, Asked, Endpoint
from fairlead_venue.binance.futures_orders import FuturesAsking, FuturesReader, refusal_of, shown
from fairlead_venue.binance.limits import Limits
from fairlead_venue.binance.listing import Symbols, futures_symbol, plain
from fairlead_venue.binance.market import MarketData
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.positions import LEVERAGE, Positions
from fairlead_venue.binance.prevention import prevent
from fairlead_venue.binance.rules import Refused
from fairlead_venue.clock import Timer
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.orders import ZERO, Execution, VenueOrder
from fairlead_venue.tape import Tape
from fairlead_venue.triggers import price_of

_ARCHIVE_MS = 90 * 86_400_000
_MOST_LEVERAGE = 125
_BATCH = 5


class Futures:
    """Carries out what is asked of the futures account. `configured` hears of changed leverage."""

    def __init__(
        self, exchange: Exchange, account: Account, symbols: Symbols, limits: Limits, *, fok_refused: bool,
        post_only_expires: bool,
    ) -> None:  # fmt: skip
        self.account = account
        self.limits = limits
        self.read = FuturesReader(exchange, account, symbols)
        self.positions = Positions(exchange, account, symbols)
        self.configured: Callable[[str, int], None] = _unheard
        self._exchange = exchange
        self._symbols = symbols
        self._market = MarketData(exchange, symbols, futures=True)
        self._fok_refused = fok_refused
        self._post_only_expires = post_only_expires
        self._income: list[dict[str, Any]] = []
        self._countdowns: dict[str, Timer] = {}
        exchange.listen(self._heard)

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self._exchange.clock.now() // 1_000_000

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        f, v2, v3, m = "/fapi/v1", "/fapi/v2", "/fapi/v3", self._market
        return [
            Endpoint("GET", f"{f}/ping", "market", lambda _: {}),
            Endpoint("GET", f"{f}/time", "market", lambda _: {"serverTime": self.now_ms}),
            Endpoint("GET", f"{f}/exchangeInfo", "market", self._info),
            Endpoint("GET", f"{f}/depth", "market", lambda a: m.depth(a.params), 10, NONE, "depth"),
            Endpoint("GET", f"{f}/trades", "market", lambda a: m.trades(a.params), 5),
            Endpoint("GET", f"{f}/aggTrades", "market", lambda a: m.agg_trades(a.params), 20),
            Endpoint("GET", f"{f}/klines", "market", lambda a: m.klines(a.params), 5),
            Endpoint("GET", f"{f}/ticker/24hr", "market", lambda a: m.ticker(a.params), 1),
            Endpoint("GET", f"{f}/ticker/price", "market", lambda a: m.price(a.params), 1, NONE, "ticker.price"),
            Endpoint("GET", f"{v2}/ticker/price", "market", lambda a: m.price(a.params)),
            Endpoint("GET", f"{f}/ticker/bookTicker", "market", lambda a: m.book_ticker(a.params), 2, NONE,
                     "ticker.book"),
            Endpoint("GET", f"{f}/premiumIndex", "market", self._premium),
            Endpoint("GET", f"{f}/fundingRate", "market", self._funding_rates),
            Endpoint("GET", f"{f}/fundingInfo", "market", lambda _: [], 0),
            Endpoint("GET", f"{f}/openInterest", "market", self._open_interest),
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
            Endpoint("GET", f"{f}/income", "account", self._incomes, 30, SIGNED),
            Endpoint("GET", f"{v2}/balance", "account", self._balance, 5, SIGNED, "account.balance"),
            Endpoint("GET", f"{v3}/balance", "account", self._balance, 5, SIGNED, "v2/account.balance"),
            Endpoint("GET", f"{v2}/account", "account", self._account, 5, SIGNED, "account.status"),
            Endpoint("GET", f"{v3}/account", "account", self._account, 5, SIGNED, "v2/account.status"),
            Endpoint("GET", f"{v2}/positionRisk", "account", self._risk, 5, SIGNED, "account.position"),
            Endpoint("GET", f"{v3}/positionRisk", "account", self._risk_open, 5, SIGNED, "v2/account.position"),
            Endpoint("GET", f"{f}/accountConfig", "account", self._account_config, 5, SIGNED),
            Endpoint("GET", f"{f}/symbolConfig", "account", self._symbol_config, 5, SIGNED),
            Endpoint("POST", f"{f}/leverage", "account", self._leverage, 1, SIGNED),
            Endpoint("GET", f"{f}/leverageBracket", "account", self._brackets, 1, SIGNED),
            Endpoint("POST", f"{f}/marginType", "account", self._margin_type, 1, SIGNED),
            Endpoint("GET", f"{f}/positionSide/dual", "account",
                     lambda _: {"dualSidePosition": self.read.hedged}, 30, SIGNED),
            Endpoint("POST", f"{f}/positionSide/dual", "account", self._dual, 1, SIGNED),
            Endpoint("GET", f"{f}/multiAssetsMargin", "account", lambda _: {"multiAssetsMargin": False}, 30, SIGNED),
            Endpoint("GET", f"{f}/commissionRate", "account", self._commission, 20, SIGNED),
            Endpoint("GET", f"{f}/rateLimit/order", "account", lambda _: self.limits.listed()[1:], 1, SIGNED),
            Endpoint("GET", f"{f}/apiTradingStatus", "account", lambda _: {"indicators": {}}, 1, KEY),
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

    def _heard(self, event: Event) -> None:
        """Note what earned or cost money, for the income history."""
        if isinstance(event, BalanceEvent) and event.account == self.account.name:
            kind = {"funding": "FUNDING_FEE", "deposit": "TRANSFER"}.get(event.cause, "TRANSFER")
            self._earn(kind, event.amount, event.currency, event.instrument, "")
        elif isinstance(event, OrderEvent) and event.order.account == self.account.name and event.execution:
            done, wanted = event.execution, event.order.wanted
            sign = -1 if event.kind == "busted" else 1
            if profit := self.positions.realised(done):
                self._earn(
                    "REALIZED_PNL", sign * profit, wanted.instrument.settle, wanted.instrument.id, done.number
                )
            self._earn("COMMISSION", -sign * done.fee, done.fee_currency, wanted.instrument.id, done.number)

    def _earn(self, kind: str, amount: Decimal, currency: str, instrument: str, trade: object) -> None:
        symbol = self.account.instrument(instrument).native if instrument else ""
        self._income.append(
            {
                "symbol": symbol, "incomeType": kind, "income": plain(amount), "asset": currency, "info": str(trade),
                "time": self.now_ms, "tranId": len(self._income) + 1, "tradeId": str(trade),
            }
        )  # fmt: skip

    def _incomes(self, asked: Asked) -> list[dict[str, Any]]:
        params = asked.params
        kind, symbol = params.text("incomeType", ""), params.text("symbol", "")
        since, end = params.integer("startTime", 0), params.integer("endTime", 1 << 62)
        found = [
            row
            for row in self._income
            if kind in {"", row["incomeType"]}
            and symbol in {"", row["symbol"]}
            and since <= row["time"] <= end
        ]
        return found[-params.limit(100, 1000) :]

    def _balance(self, asked: Asked) -> list[dict[str, Any]]:
        equity, margin = self.account.equity(), self.account.initial_margin()
        return [
            {
                "accountAlias": "venue", "asset": name, "balance": f"{amount:.8f}",
                "crossWalletBalance": f"{amount:.8f}",
                "crossUnPnl": f"{equity - amount:.8f}", "availableBalance": f"{max(equity - margin, ZERO):.8f}",
                "maxWithdrawAmount": f"{max(equity - margin, ZERO):.8f}", "marginAvailable": True,
                "updateTime": self.now_ms,
            }
            for name, amount in self.account.balances().items()
        ]  # fmt: skip

    def _account(self, asked: Asked) -> dict[str, Any]:
        account = self.account
        equity, margin = account.equity(), account.initial_margin()
        wallet = next(iter(account.balances().values()), ZERO)
        rows = self.positions.rows(hedged=self.read.hedged, only_open=asked.call.path.startswith("/fapi/v3"))
        free = max(equity - margin, ZERO)
        keeping = sum((Decimal(row["maintMargin"]) for row in rows), ZERO)
        totals = {
            "totalInitialMargin": f"{margin:.8f}", "totalMaintMargin": f"{keeping:.8f}",
            "totalWalletBalance": f"{wallet:.8f}", "totalUnrealizedProfit": f"{equity - wallet:.8f}",
            "totalMarginBalance": f"{equity:.8f}", "totalPositionInitialMargin": f"{margin:.8f}",
            "totalOpenOrderInitialMargin": "0.00000000", "totalCrossWalletBalance": f"{wallet:.8f}",
            "totalCrossUnPnl": f"{equity - wallet:.8f}", "availableBalance": f"{free:.8f}",
            "maxWithdrawAmount": f"{free:.8f}",
        }  # fmt: skip
        assets = [
            {
                "asset": name, "walletBalance": f"{amount:.8f}", "unrealizedProfit": f"{equity - amount:.8f}",
                "marginBalance": f"{equity:.8f}", "maintMargin": f"{keeping:.8f}", "initialMargin": f"{margin:.8f}",
                "positionInitialMargin": f"{margin:.8f}", "openOrderInitialMargin": "0.00000000",
                "crossWalletBalance": f"{amount:.8f}", "crossUnPnl": f"{equity - amount:.8f}",
                "availableBalance": f"{free:.8f}", "maxWithdrawAmount": f"{free:.8f}", "marginAvailable": True,
                "updateTime": self.now_ms,
            }
            for name, amount in account.balances().items()
        ]  # fmt: skip
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0,
            "multiAssetsMargin": False, "tradeGroupId": -1, **totals, "assets": assets, "positions": rows,
        }  # fmt: skip

    def _risk(self, asked: Asked) -> list[dict[str, Any]]:
        return self.positions.rows(asked.params.text("symbol", ""), hedged=self.read.hedged, only_open=False)

    def _risk_open(self, asked: Asked) -> list[dict[str, Any]]:
        return self.positions.rows(asked.params.text("symbol", ""), hedged=self.read.hedged, only_open=True)

    def _account_config(self, asked: Asked) -> dict[str, Any]:
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True,
            "dualSidePosition": self.read.hedged, "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip

    def _symbol_config(self, asked: Asked) -> list[dict[str, Any]]:
        return [
            {
                "symbol": found.native,
                "marginType": "ISOLATED" if found.id in self.positions.isolated else "CROSSED",
                "isAutoAddMargin": False, "leverage": self.positions.leverage.get(found.id, LEVERAGE),
                "maxNotionalValue": "1000000000",
            }
            for found in self.positions.instruments(asked.params.text("symbol", ""))
        ]  # fmt: skip

    # --- settings -----------------------------------------------------------------------------------------------

    def _leverage(self, asked: Asked) -> dict[str, Any]:
        found, times = self.read.instrument(asked.params), asked.params.integer("leverage")
        if not 1 <= times <= _MOST_LEVERAGE:
            raise Refused(rules.F_LEVERAGE, times)
        initial = Decimal(1) / times
        self.account.learn(_with_margin(found, initial, min(found.maintenance_margin, initial)))
        self.positions.leverage[found.id] = times
        self.configured(found.native, times)
        return {"leverage": times, "maxNotionalValue": "1000000000", "symbol": found.native}

    def _brackets(self, asked: Asked) -> list[dict[str, Any]]:
        return [
            {
                "symbol": found.native, "notionalCoef": 1.0,
                "brackets": [
                    {"bracket": 1, "initialLeverage": _MOST_LEVERAGE, "notionalCap": 1_000_000_000, "notionalFloor": 0,
                     "maintMarginRatio": float(found.maintenance_margin), "cum": 0.0}
                ],
            }
            for found in self.positions.instruments(asked.params.text("symbol", ""))
        ]  # fmt: skip

    def _margin_type(self, asked: Asked) -> dict[str, Any]:
        """The type is kept and shown; margin itself is computed over the whole account."""
        found = self.read.instrument(asked.params)
        wanted = asked.params.word("marginType", {"ISOLATED", "CROSSED"}, rules.COMBINATION) == "ISOLATED"
        if wanted is (found.id in self.positions.isolated):
            raise Refused(rules.F_SAME_MARGIN)
        if any(order.wanted.instrument.id == found.id for order in self.account.open_orders()):
            raise Refused(rules.F_MARGIN_ORDERS)
        if self.account.holding(found.id).quantity:
            raise Refused(rules.F_MARGIN_POSITION)
        (self.positions.isolated.add if wanted else self.positions.isolated.discard)(found.id)
        return {"code": 200, "msg": "success"}

    def _dual(self, asked: Asked) -> dict[str, Any]:
        asked.params.text("dualSidePosition")
        wanted = asked.params.flag("dualSidePosition")
        if wanted is self.read.hedged:
            raise Refused(rules.F_SAME_SIDE)
        if next(self.account.open_orders(), None) is not None:
            raise Refused(rules.F_SIDE_ORDERS)
        if self.positions.any_open():
            raise Refused(rules.F_SIDE_POSITION)
        self.read.hedged = wanted
        return {"code": 200, "msg": "success"}

    def _commission(self, asked: Asked) -> dict[str, Any]:
        found = self.read.instrument(asked.params)
        return {
            "symbol": found.native, "makerCommissionRate": plain(found.maker_fee),
            "takerCommissionRate": plain(found.taker_fee),
        }  # fmt: skip

    # --- the market ---------------------------------------------------------------------------------------------

    def _info(self, asked: Asked) -> dict[str, Any]:
        coins = sorted({found.settle for found in self.positions.instruments()})
        return {
            "timezone": "UTC", "serverTime": self.now_ms, "futuresType": "U_MARGINED",
            "rateLimits": self.limits.listed(), "exchangeFilters": [],
            "assets": [{"asset": coin, "marginAvailable": True, "autoAssetExchange": "0"} for coin in coins],
            "symbols": [futures_symbol(found, self._symbols.filters) for found in self.positions.instruments()],
        }  # fmt: skip

    def _premium(self, asked: Asked) -> Any:
        rows = [self._index(tape) for tape in self._market.tapes(asked.params)]
        return rows[0] if "symbol" in asked.params else rows

    def _index(self, tape: Tape) -> dict[str, Any]:
        mark = price_of(tape, "mark") or 0.0
        return {
            "symbol": tape.instrument.native, "markPrice": f"{mark:.8f}", "indexPrice": f"{tape.price or 0.0:.8f}",
            "estimatedSettlePrice": f"{mark:.8f}", "lastFundingRate": f"{tape.funding_rate:.8f}",
            "interestRate": "0.00010000",
            "nextFundingTime": tape.next_funding(self._exchange.clock.now()) // 1_000_000, "time": self.now_ms,
        }  # fmt: skip

    def _funding_rates(self, asked: Asked) -> list[dict[str, Any]]:
        """The rates that were paid, as far as the income history has any; else the present one at its last time."""
        return [
            {
                "symbol": tape.instrument.native, "fundingRate": f"{tape.funding_rate:.8f}",
                "fundingTime": tape.next_funding(self._exchange.clock.now()) // 1_000_000 - 28_800_000,
                "markPrice": f"{price_of(tape, 'mark') or 0.0:.8f}",
            }
            for tape in self._market.tapes(asked.params)
        ]  # fmt: skip

    def _open_interest(self, asked: Asked) -> dict[str, Any]:
        found = self.read.instrument(asked.params)
        held = abs(self.account.holding(found.id).quantity)
        return {"symbol": found.native, "openInterest": plain(held), "time": self.now_ms}


def _decode(text: str, name: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.MsgspecError as error:
        raise Refused(rules.ILLEGAL, name, "a JSON list") from error


def _with_margin(instrument: Any, initial: Decimal, maintenance: Decimal) -> Any:
    import attrs

    return attrs.evolve(instrument, initial_margin=initial, maintenance_margin=maintenance)


def _unheard(symbol: str, leverage: int) -> None:
    """Nobody asked to hear of it."""
