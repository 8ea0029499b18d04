"""The unified account: balances, positions and their settings, and what its key may do.

https://bybit-exchange.github.io/docs/v5/account/wallet-balance
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument, Side
from fairlead_venue.account import Account
from fairlead_venue.bybit import rules
from fairlead_venue.bybit.endpoints import Asked, Endpoint
from fairlead_venue.bybit.listing import Symbols, plain, product_of
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.bybit.trading import Trading
from fairlead_venue.exchange import Exchange
from fairlead_venue.orders import ZERO, VenueOrder
from fairlead_venue.triggers import price_of

MOST_LEVERAGE = Decimal(100)
USUAL_LEVERAGE = Decimal(10)
UID = 24617703
MARGIN_MODES = ("REGULAR_MARGIN", "ISOLATED_MARGIN", "PORTFOLIO_MARGIN")
_STOPS = {"takeProfit": "TakeProfit", "stopLoss": "StopLoss"}


class Wallet:
    """Answers about money, positions and settings. `variants` of the front say what its key may do."""

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        symbols: Symbols,
        trading: Trading,
        variants: Mapping[str, str],
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._symbols = symbols
        self._trading = trading
        self._leverage: dict[str, Decimal] = {}
        self._margin = variants.get("margin_mode", "REGULAR_MARGIN")
        self._key_name = variants.get("key", "trade")
        self._ips = ["*"] if variants.get("ips") == "any" else ["127.0.0.1"]
        self._stops: dict[tuple[str, str], VenueOrder] = {}
        trading.read.hedged = variants.get("position_mode") == "hedge"

    @property
    def _now(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def endpoints(self) -> list[Endpoint]:
        """Everything it answers."""
        p, a = "/v5/position", "/v5/account"
        return [
            Endpoint("GET", f"{a}/wallet-balance", "account", self._balance, "account"),
            Endpoint("GET", f"{a}/info", "account", self._info, "account"),
            Endpoint("GET", f"{a}/fee-rate", "account", self._fees, "account"),
            Endpoint("POST", f"{a}/set-margin-mode", "account", self._set_margin, "setting"),
            Endpoint("GET", f"{p}/list", "account", self._positions, "position"),
            Endpoint("POST", f"{p}/set-leverage", "account", self._set_leverage, "setting"),
            Endpoint("POST", f"{p}/switch-mode", "account", self._switch_mode, "setting"),
            Endpoint("POST", f"{p}/trading-stop", "order", self._trading_stop, "setting"),
            Endpoint("GET", "/v5/user/query-api", "account", self._key, "user"),
        ]

    # --- money --------------------------------------------------------------------------------------------------

    def _balance(self, asked: Asked) -> dict[str, Any]:
        if asked.params.text("accountType") != "UNIFIED":
            raise Refused(rules.PARAMETER, "accountType only support UNIFIED.")
        wanted = {coin for coin in asked.params.text("coin", "").split(",") if coin}
        return {"list": [self.row(wanted)]}

    def row(self, wanted: set[str] | None = None) -> dict[str, Any]:
        """The wallet, with these coins or all."""
        equity, margin = self._account.equity(), self._account.initial_margin()
        locked = self._account.locked()
        coins = [
            self._coin(name, amount, locked.get(name, ZERO))
            for name, amount in self._account.balances().items()
            if not wanted or name in wanted
        ]
        return {
            "accountType": "UNIFIED", "totalEquity": plain(equity), "totalWalletBalance": plain(equity),
            "totalMarginBalance": plain(equity), "totalAvailableBalance": plain(max(equity - margin, ZERO)),
            "totalPerpUPL": plain(sum((self._profit(rule) for rule in self._linear()), ZERO)),
            "totalInitialMargin": plain(margin), "totalMaintenanceMargin": "0", "accountIMRate": "0",
            "accountMMRate": "0", "accountLTV": "0", "coin": coins,
        }  # fmt: skip

    def _coin(self, name: str, amount: Decimal, locked: Decimal) -> dict[str, Any]:
        profit = sum((self._profit(rule) for rule in self._linear() if rule.settle == name), ZERO)
        return {
            "coin": name, "equity": plain(amount + profit), "usdValue": plain(amount), "walletBalance": plain(amount),
            "free": "", "locked": plain(locked), "spotHedgingQty": "0", "borrowAmount": "0", "accruedInterest": "0",
            "totalOrderIM": "0", "totalPositionIM": "0", "totalPositionMM": "0", "unrealisedPnl": plain(profit),
            "cumRealisedPnl": "0", "bonus": "0", "availableToWithdraw": "", "collateralSwitch": True,
            "marginCollateral": True,
        }  # fmt: skip

    def _fees(self, asked: Asked) -> dict[str, Any]:
        product, symbol = self._trading.read.product(asked.params), asked.params.text("symbol", "")
        names = [symbol] if symbol else self._symbols.all(product)
        found = [self._account.instrument(self._symbols.id(product, name)) for name in names]
        return {
            "list": [
                {
                    "symbol": rule.native, "baseCoin": "", "takerFeeRate": plain(rule.taker_fee),
                    "makerFeeRate": plain(rule.maker_fee),
                }
                for rule in found
            ]
        }  # fmt: skip

    # --- positions ----------------------------------------------------------------------------------------------

    def _linear(self) -> list[Instrument]:
        return [
            self._account.instrument(self._symbols.id("linear", name)) for name in self._symbols.all("linear")
        ]

    def _mark(self, rule: Instrument) -> Decimal:
        return Decimal(repr(price_of(self._exchange.tapes[rule.id], "mark") or 0.0))

    def _profit(self, rule: Instrument) -> Decimal:
        held = self._account.holding(rule.id)
        return rule.profit(held.quantity, held.average_price, self._mark(rule)) if held.quantity else ZERO

    def _positions(self, asked: Asked) -> dict[str, Any]:
        """Those that are open, or the one of a symbol, open or not: https://bybit-exchange.github.io/docs/v5/position"""
        params = asked.params
        product, symbol = self._trading.read.product(params), params.text("symbol", "")
        if product == "spot":
            raise Refused(rules.PARAMETER, "category invalid")
        if not symbol and "settleCoin" not in params:
            raise Refused(rules.PARAMETER, "symbol or settleCoin is required")
        if symbol:
            rows = self.rows(self._account.instrument(self._symbols.id(product, symbol)))
        else:
            settle = params.text("settleCoin")
            rows = [row for rule in self._linear() if rule.settle == settle for row in self.rows(rule)]
            rows = [row for row in rows if row["size"] != "0"]
        return {"list": rows[: params.limit(20, 200)], "nextPageCursor": "", "category": product}

    def rows(self, rule: Instrument) -> list[dict[str, Any]]:
        """The position of an instrument: one row, or one for each side in hedge mode."""
        held = self._account.holding(rule.id)
        if not self._trading.read.hedged:
            return [self._row(rule, held.quantity, 0)]
        return [
            self._row(rule, max(held.quantity, ZERO), 1),
            self._row(rule, min(held.quantity, ZERO), 2),
        ]

    def _row(self, rule: Instrument, quantity: Decimal, index: int) -> dict[str, Any]:
        held, mark = self._account.holding(rule.id), self._mark(rule)
        value = abs(quantity) * held.average_price
        return {
            "positionIdx": index, "riskId": 1, "riskLimitValue": "2000000", "symbol": rule.native,
            "side": "Buy" if quantity > 0 else "Sell" if quantity < 0 else "", "size": plain(abs(quantity)),
            "avgPrice": plain(held.average_price) if quantity else "0", "positionValue": plain(value),
            "tradeMode": 0, "autoAddMargin": 0, "positionStatus": "Normal",
            "leverage": plain(self._leverage.get(rule.id, USUAL_LEVERAGE)), "markPrice": plain(mark), "liqPrice": "",
            "bustPrice": "", "positionIM": plain(value * rule.initial_margin),
            "positionMM": plain(value * rule.maintenance_margin), "positionBalance": "0",
            "takeProfit": self._stop(rule, "TakeProfit"), "stopLoss": self._stop(rule, "StopLoss"),
            "trailingStop": "0", "unrealisedPnl": plain(self._profit(rule)) if quantity else "",
            "curRealisedPnl": "0", "cumRealisedPnl": plain(held.realised), "adlRankIndicator": 0,
            "createdTime": str(self._now), "updatedTime": str(self._now), "seq": len(self._account.executions),
            "isReduceOnly": False, "mmrSysUpdatedTime": "", "leverageSysUpdatedTime": "",
        }  # fmt: skip

    def _stop(self, rule: Instrument, kind: str) -> str:
        order = self._stops.get((rule.id, kind))
        return plain(order.extra["trigger"]) if order is not None and order.open else ""

    def _trading_stop(self, asked: Asked) -> dict[str, Any]:
        """Take-profit and stop-loss of a whole position: https://bybit-exchange.github.io/docs/v5/position/trading-stop"""
        params = asked.params
        rule = self._trading.read.instrument(params)
        if rule.spot:
            raise Refused(rules.PARAMETER, "category invalid")
        held = self._account.holding(rule.id)
        if not held.quantity:
            raise Refused(rules.NO_POSITION)
        named = [name for name in _STOPS if name in params]
        if not named:
            raise Refused(rules.NOT_MODIFIED)
        for name in named:
            self._set_stop(rule, _STOPS[name], params.number(name), held.quantity)
        return {}

    def _set_stop(self, rule: Instrument, kind: str, price: Decimal, quantity: Decimal) -> None:
        before = self._stops.pop((rule.id, kind), None)
        if before is not None and before.open:
            self._trading.cancel(before)
        if price:
            side = Side.SELL if quantity > 0 else Side.BUY
            self._stops[rule.id, kind] = self._trading.close_at(rule, side, abs(quantity), price, kind)

    # --- settings -----------------------------------------------------------------------------------------------

    def _info(self, asked: Asked) -> dict[str, Any]:
        return {
            "unifiedMarginStatus": 5, "marginMode": self._margin, "isMasterTrader": False,
            "spotHedgingStatus": "OFF", "updatedTime": str(self._now), "dcpStatus": "OFF", "timeWindow": 10,
            "smpGroup": 0,
        }  # fmt: skip

    def _set_margin(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.params.word("setMarginMode", MARGIN_MODES)
        if wanted == self._margin:
            raise Refused(rules.SAME_MARGIN)
        self._margin = wanted
        return {"reasons": []}

    def _set_leverage(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        rule = self._trading.read.instrument(params)
        buy, sell = params.number("buyLeverage"), params.number("sellLeverage")
        if rule.spot or buy != sell or not 1 <= buy <= MOST_LEVERAGE:
            raise Refused(rules.LEVERAGE_RISK)
        if buy == self._leverage.get(rule.id, USUAL_LEVERAGE):
            raise Refused(rules.SAME_LEVERAGE)
        initial = 1 / buy
        self._account.learn(
            attrs.evolve(
                rule, initial_margin=initial, maintenance_margin=min(rule.maintenance_margin, initial)
            )
        )
        self._leverage[rule.id] = buy
        return {}

    def _switch_mode(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.params.word("mode", ("0", "3")) == "3"
        if wanted is self._trading.read.hedged:
            raise Refused(rules.SAME_POSITION_MODE)
        if any(held.quantity for held in self._account.holdings().values()):
            raise Refused(rules.MODE_IN_USE)
        if any(product_of(order.wanted.instrument) == "linear" for order in self._account.open_orders()):
            raise Refused(rules.MODE_ORDERS)
        self._trading.read.hedged = wanted
        return {}

    def _key(self, asked: Asked) -> dict[str, Any]:
        """https://bybit-exchange.github.io/docs/v5/user/apikey-info"""
        withdraws = ["AccountTransfer", "Withdraw"] if self._key_name == "withdraw" else ["AccountTransfer"]
        return {
            "id": "13770661", "note": "venue", "apiKey": "", "readOnly": int(self._key_name == "read"), "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": withdraws,
                "Options": [], "Derivatives": [], "CopyTrading": [], "BlockTrade": [], "Exchange": [], "NFT": [],
                "Affiliate": [],
            },
            "ips": self._ips, "type": 1, "deadlineDay": 83, "expiredAt": "2031-05-15T03:21:05Z",
            "createdAt": "2026-10-16T02:24:40Z", "unified": 0, "uta": 1, "userID": UID, "inviterID": 0,
            "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0, "rsaPublicKey": "", "isMaster": True,
            "parentUid": "0", "kycLevel": "LEVEL_DEFAULT", "kycRegion": "",
        }  # fmt: skip
