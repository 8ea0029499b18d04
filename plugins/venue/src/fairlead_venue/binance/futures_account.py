"""The USD-M futures account beside its orders: money, positions, settings, and the contract's market data.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from fairlead_venue.account import BalanceEvent, OrderEvent
from fairlead_venue.binance import rules
from fairlead_venue.binance.endpoints import KEY, NONE, SIGNED, Asked, Endpoint
from fairlead_venue.binance.futures import Futures
from fairlead_venue.binance.listing import Symbols, futures_symbol, plain
from fairlead_venue.binance.market import MarketData
from fairlead_venue.binance.positions import LEVERAGE
from fairlead_venue.binance.rules import Refused
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.orders import ZERO
from fairlead_venue.tape import Tape
from fairlead_venue.triggers import price_of

_MOST_LEVERAGE = 125


class FuturesAccount:
    """Carries out what is asked of the account. `configured` hears of changed leverage."""

    def __init__(self, futures: Futures, exchange: Exchange, symbols: Symbols) -> None:
        self.configured: Callable[[str, int], None] = _unheard
        self._futures = futures
        self._wallet = futures.account
        self._read = futures.read
        self._positions = futures.positions
        self._exchange = exchange
        self._symbols = symbols
        self._market = MarketData(exchange, symbols, futures=True)
        self._income: list[dict[str, Any]] = []
        exchange.listen(self._heard)

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self._futures.now_ms

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
                     lambda _: {"dualSidePosition": self._read.hedged}, 30, SIGNED),
            Endpoint("POST", f"{f}/positionSide/dual", "account", self._dual, 1, SIGNED),
            Endpoint("GET", f"{f}/multiAssetsMargin", "account", lambda _: {"multiAssetsMargin": False}, 30, SIGNED),
            Endpoint("GET", f"{f}/commissionRate", "account", self._commission, 20, SIGNED),
            Endpoint("GET", f"{f}/apiTradingStatus", "account", lambda _: {"indicators": {}}, 1, KEY),
        ]  # fmt: skip

    # --- money and positions ------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        """Note what earned or cost money, for the income history."""
        if isinstance(event, BalanceEvent) and event.account == self._wallet.name:
            kind = {"funding": "FUNDING_FEE", "deposit": "TRANSFER"}.get(event.cause, "TRANSFER")
            self._earn(kind, event.amount, event.currency, event.instrument, "")
        elif isinstance(event, OrderEvent) and event.order.account == self._wallet.name and event.execution:
            done, wanted = event.execution, event.order.wanted
            sign = -1 if event.kind == "busted" else 1
            if profit := self._positions.realised(done):
                self._earn(
                    "REALIZED_PNL", sign * profit, wanted.instrument.settle, wanted.instrument.id, done.number
                )
            self._earn("COMMISSION", -sign * done.fee, done.fee_currency, wanted.instrument.id, done.number)

    def _earn(self, kind: str, amount: Decimal, currency: str, instrument: str, trade: object) -> None:
        symbol = self._wallet.instrument(instrument).native if instrument else ""
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
        equity, margin = self._wallet.equity(), self._wallet.initial_margin()
        return [
            {
                "accountAlias": "venue", "asset": name, "balance": f"{amount:.8f}",
                "crossWalletBalance": f"{amount:.8f}",
                "crossUnPnl": f"{equity - amount:.8f}", "availableBalance": f"{max(equity - margin, ZERO):.8f}",
                "maxWithdrawAmount": f"{max(equity - margin, ZERO):.8f}", "marginAvailable": True,
                "updateTime": self.now_ms,
            }
            for name, amount in self._wallet.balances().items()
        ]  # fmt: skip

    def _account(self, asked: Asked) -> dict[str, Any]:
        account = self._wallet
        equity, margin = account.equity(), account.initial_margin()
        wallet = next(iter(account.balances().values()), ZERO)
        rows = self._positions.rows(
            hedged=self._read.hedged, only_open=asked.call.path.startswith("/fapi/v3")
        )
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
        return self._positions.rows(
            asked.params.text("symbol", ""), hedged=self._read.hedged, only_open=False
        )

    def _risk_open(self, asked: Asked) -> list[dict[str, Any]]:
        return self._positions.rows(asked.params.text("symbol", ""), hedged=self._read.hedged, only_open=True)

    def _account_config(self, asked: Asked) -> dict[str, Any]:
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True,
            "dualSidePosition": self._read.hedged, "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip

    def _symbol_config(self, asked: Asked) -> list[dict[str, Any]]:
        return [
            {
                "symbol": found.native,
                "marginType": "ISOLATED" if found.id in self._positions.isolated else "CROSSED",
                "isAutoAddMargin": False, "leverage": self._positions.leverage.get(found.id, LEVERAGE),
                "maxNotionalValue": "1000000000",
            }
            for found in self._positions.instruments(asked.params.text("symbol", ""))
        ]  # fmt: skip

    # --- settings -----------------------------------------------------------------------------------------------

    def _leverage(self, asked: Asked) -> dict[str, Any]:
        found, times = self._read.instrument(asked.params), asked.params.integer("leverage")
        if not 1 <= times <= _MOST_LEVERAGE:
            raise Refused(rules.F_LEVERAGE, times)
        initial = Decimal(1) / times
        self._wallet.learn(
            attrs.evolve(
                found, initial_margin=initial, maintenance_margin=min(found.maintenance_margin, initial)
            )
        )
        self._positions.leverage[found.id] = times
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
            for found in self._positions.instruments(asked.params.text("symbol", ""))
        ]  # fmt: skip

    def _margin_type(self, asked: Asked) -> dict[str, Any]:
        """The type is kept and shown; margin itself is computed over the whole account."""
        found = self._read.instrument(asked.params)
        wanted = asked.params.word("marginType", {"ISOLATED", "CROSSED"}, rules.COMBINATION) == "ISOLATED"
        if wanted is (found.id in self._positions.isolated):
            raise Refused(rules.F_SAME_MARGIN)
        if any(order.wanted.instrument.id == found.id for order in self._wallet.open_orders()):
            raise Refused(rules.F_MARGIN_ORDERS)
        if self._wallet.holding(found.id).quantity:
            raise Refused(rules.F_MARGIN_POSITION)
        (self._positions.isolated.add if wanted else self._positions.isolated.discard)(found.id)
        return {"code": 200, "msg": "success"}

    def _dual(self, asked: Asked) -> dict[str, Any]:
        asked.params.text("dualSidePosition")
        wanted = asked.params.flag("dualSidePosition")
        if wanted is self._read.hedged:
            raise Refused(rules.F_SAME_SIDE)
        if next(self._wallet.open_orders(), None) is not None:
            raise Refused(rules.F_SIDE_ORDERS)
        if self._positions.any_open():
            raise Refused(rules.F_SIDE_POSITION)
        self._read.hedged = wanted
        return {"code": 200, "msg": "success"}

    def _commission(self, asked: Asked) -> dict[str, Any]:
        found = self._read.instrument(asked.params)
        return {
            "symbol": found.native, "makerCommissionRate": plain(found.maker_fee),
            "takerCommissionRate": plain(found.taker_fee),
        }  # fmt: skip

    # --- the market ---------------------------------------------------------------------------------------------

    def _info(self, asked: Asked) -> dict[str, Any]:
        coins = sorted({found.settle for found in self._positions.instruments()})
        return {
            "timezone": "UTC", "serverTime": self.now_ms, "futuresType": "U_MARGINED",
            "rateLimits": self._futures.limits.listed(), "exchangeFilters": [],
            "assets": [{"asset": coin, "marginAvailable": True, "autoAssetExchange": "0"} for coin in coins],
            "symbols": [futures_symbol(found, self._symbols.filters) for found in self._positions.instruments()],
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
        found = self._read.instrument(asked.params)
        held = abs(self._wallet.holding(found.id).quantity)
        return {"symbol": found.native, "openInterest": plain(held), "time": self.now_ms}


def _unheard(symbol: str, leverage: int) -> None:
    """Nobody asked to hear of it."""
