"""`/info`: what anybody may ask about markets and accounts.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from fairlead import Instrument
from fairlead_venue.account import Account
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import FaultKind
from fairlead_venue.hyperliquid.listing import LEVERAGE, QUOTE, Assets, wire
from fairlead_venue.hyperliquid.orders import basic, fill, full, status_of
from fairlead_venue.hyperliquid.rules import UNREADABLE, Unreadable
from fairlead_venue.hyperliquid.security import Security
from fairlead_venue.orders import ZERO, VenueOrder
from fairlead_venue.tape import Tape, interval_ns
from fairlead_venue.triggers import price_of
from fairlead_venue.wire import Call

_FILLS = 2000
_ORDERS = 2000
_CANDLES = 5000
INTERVALS = frozenset(["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"])
_LIGHT = frozenset({"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState"})
_PER_ITEMS = {
    "userFills": 20,
    "userFillsByTime": 20,
    "historicalOrders": 20,
    "userFunding": 20,
    "candleSnapshot": 60,
}
_MARKET = frozenset(
    {
        "meta", "spotMeta", "metaAndAssetCtxs", "spotMetaAndAssetCtxs", "allMids", "l2Book", "candleSnapshot",
        "perpDexs", "fundingHistory", "exchangeStatus",
    }
)  # fmt: skip


def label(kind: str) -> str:
    """The common word for a query."""
    return "query" if kind == "orderStatus" else "market" if kind in _MARKET else "account"


class Queries:
    """Answers `/info`. Who is not the account has nothing. Raises Unreadable.

    `fills=cloid` puts the client's id into executions.
    """

    def __init__(
        self, exchange: Exchange, wallets: Mapping[bool, Account], assets: Assets, security: Security,
        variants: Mapping[str, str], fundings: Callable[[], list[dict[str, Any]]],
    ) -> None:  # fmt: skip
        self._exchange = exchange
        self._wallets = wallets
        self._assets = assets
        self._security = security
        self._cloid = variants.get("fills") == "cloid"
        self._fundings = fundings
        self._runs: dict[str, Callable[[dict[str, Any], Call], Any]] = {
            "meta": self._meta, "spotMeta": lambda _words, _call: assets.spot_meta(),
            "metaAndAssetCtxs": self._contexts, "spotMetaAndAssetCtxs": self._spot_contexts,
            "allMids": lambda _words, _call: self.mids(), "l2Book": self._book, "candleSnapshot": self._candles,
            "perpDexs": lambda _words, _call: [None], "clearinghouseState": self._state,
            "spotClearinghouseState": self._spot_state, "openOrders": self._open, "frontendOpenOrders": self._frontend,
            "userFills": self._fills, "userFillsByTime": self._fills_by_time, "historicalOrders": self._history,
            "orderStatus": self._status, "userFunding": self._funding, "userRole": self._role,
            "userRateLimit": lambda _words, _call: security.budget(), "extraAgents": self._agents,
            "fundingHistory": lambda _words, _call: [], "userFees": self._fees,
            "exchangeStatus": lambda _words, _call: {"specialStatuses": None, "time": self._now_ms},
        }  # fmt: skip

    @property
    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def run(self, words: dict[str, Any], call: Call) -> tuple[Any, int]:
        """What is answered, and what it weighs."""
        kind = words.get("type")
        if not isinstance(kind, str) or kind not in self._runs:
            raise Unreadable(UNREADABLE)
        try:
            found = self._runs[kind](words, call)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreadable(UNREADABLE) from error
        weight = 2 if kind in _LIGHT else 60 if kind == "userRole" else 20
        return found, weight + (len(found) // _PER_ITEMS[kind] if kind in _PER_ITEMS else 0)

    # --- markets ------------------------------------------------------------------------------------------------

    def _meta(self, words: dict[str, Any], call: Call) -> Any:
        if words.get("dex"):
            raise Unreadable(UNREADABLE)
        return self._assets.meta()

    def _contexts(self, words: dict[str, Any], call: Call) -> Any:
        return [self._assets.meta(), [self.context(rule) for rule in self._assets.perps()]]

    def _spot_contexts(self, words: dict[str, Any], call: Call) -> Any:
        return [self._assets.spot_meta(), [self.context(rule) for rule in self._assets.spots()]]

    def context(self, rule: Instrument) -> dict[str, Any]:
        """Mark, oracle and funding of a coin."""
        tape = self._exchange.tapes[rule.id]
        mark, mid = wire(price_of(tape, "mark") or 0.0), middle(tape)
        both = {"prevDayPx": mark, "dayNtlVlm": "0.0", "markPx": mark, "midPx": mid, "dayBaseVlm": "0.0"}
        if rule.spot:
            return {**both, "circulatingSupply": "0.0", "coin": self._assets.coin(rule.id)}
        return {
            **both, "funding": wire(tape.funding_rate), "openInterest": "0.0", "premium": "0.0", "oraclePx": mark,
            "impactPxs": [mid, mid] if mid else None,
        }  # fmt: skip

    def mids(self) -> dict[str, str]:
        """The middle of every book."""
        found = {
            self._assets.coin(rule.id): middle(self._exchange.tapes[rule.id]) for rule in self._assets.listed
        }
        return {coin: mid for coin, mid in found.items() if mid is not None}

    def tape(self, coin: object) -> Tape:
        """The market of a coin. Raises Unreadable."""
        name = self._assets.named(coin)
        if name is None:
            raise Unreadable(UNREADABLE)
        return self._exchange.tapes[name]

    def _book(self, words: dict[str, Any], call: Call) -> Any:
        return self.book(self.tape(words["coin"]))

    def book(self, tape: Tape) -> dict[str, Any]:
        """Twenty levels of each side."""
        return {
            "coin": self._assets.coin(tape.instrument.id), "time": self._now_ms,
            "levels": [[level(row) for row in side[:20]] for side in (tape.bids, tape.asks)],
        }  # fmt: skip

    def _candles(self, words: dict[str, Any], call: Call) -> Any:
        asked = words["req"]
        tape, interval = self.tape(asked["coin"]), asked["interval"]
        if interval not in INTERVALS:
            raise Unreadable(UNREADABLE)
        begin, end = int(asked["startTime"]), int(asked.get("endTime") or 1 << 60)
        found = [candle for candle in tape.candles(interval) if begin <= candle.open_ns // 1_000_000 <= end]
        return [self.candle(tape, interval, candle) for candle in found[-_CANDLES:]]

    def candle(self, tape: Tape, interval: str, candle: Any) -> dict[str, Any]:
        """A candle."""
        begin = candle.open_ns // 1_000_000
        return {
            "t": begin, "T": begin + interval_ns(interval) // 1_000_000 - 1,
            "s": self._assets.coin(tape.instrument.id), "i": interval, "o": wire(candle.open),
            "c": wire(candle.close), "h": wire(candle.high), "l": wire(candle.low), "v": wire(candle.volume),
            "n": candle.count,
        }  # fmt: skip

    # --- the account --------------------------------------------------------------------------------------------

    def _mine(self, words: dict[str, Any]) -> bool:
        user = words["user"].lower()
        if len(user) != 42 or not user.startswith("0x"):
            raise Unreadable(UNREADABLE)
        return bool(user == self._security.account)

    def _state(self, words: dict[str, Any], call: Call) -> dict[str, Any]:
        mine, account = self._mine(words), self._wallets[False]
        rows = [
            self._position(rule)
            for rule in self._assets.perps()
            if mine and account.holding(rule.id).quantity
        ]
        used = account.initial_margin() if mine else ZERO
        worth = sum((Decimal(row["position"]["positionValue"]) for row in rows), ZERO)
        open_profit = sum((Decimal(row["position"]["unrealizedPnl"]) for row in rows), ZERO)
        held = sum((self._value(row["position"]["coin"]) for row in rows), ZERO)
        equity = (account.balance(QUOTE) if mine else ZERO) + open_profit
        margin = {
            "accountValue": wire(equity), "totalNtlPos": wire(worth), "totalMarginUsed": wire(used),
            "totalRawUsd": wire(equity - held),
        }  # fmt: skip
        return {
            "assetPositions": rows, "marginSummary": margin, "crossMarginSummary": margin,
            "crossMaintenanceMarginUsed": "0.0", "withdrawable": wire(max(ZERO, equity - used)),
            "time": self._now_ms,
        }  # fmt: skip

    def _value(self, coin: str) -> Decimal:
        """What a position is worth, with its sign."""
        tape = self.tape(coin)
        mark = Decimal(repr(price_of(tape, "mark") or 0.0))
        return self._wallets[False].holding(tape.instrument.id).quantity * mark

    def _position(self, rule: Instrument) -> dict[str, Any]:
        held = self._wallets[False].holding(rule.id)
        price = Decimal(repr(price_of(self._exchange.tapes[rule.id], "mark") or 0.0))
        live = self._wallets[False].instrument(rule.id)
        times = int(1 / live.initial_margin) if live.initial_margin else LEVERAGE
        worth = abs(held.quantity) * price
        return {"type": "oneWay", "position": {
            "coin": self._assets.coin(rule.id), "szi": wire(held.quantity), "entryPx": wire(held.average_price),
            "positionValue": wire(worth), "marginUsed": wire(worth / times), "returnOnEquity": "0.0",
            "unrealizedPnl": wire(rule.profit(held.quantity, held.average_price, price)), "liquidationPx": None,
            "leverage": {"type": "cross", "value": times}, "maxLeverage": 40,
            "cumFunding": {"allTime": wire(-held.funding), "sinceOpen": wire(-held.funding), "sinceChange": "0.0"},
        }}  # fmt: skip

    def _spot_state(self, words: dict[str, Any], call: Call) -> dict[str, Any]:
        if not self._mine(words):
            return {"balances": []}
        account = self._wallets[True]
        locked = account.locked()
        tokens = {token["name"]: token["index"] for token in self._assets.spot_meta()["tokens"]}
        return {"balances": [
            {"coin": name, "token": tokens[name], "hold": wire(locked.get(name, ZERO)), "total": wire(amount),
             "entryNtl": "0.0"}
            for name, amount in account.balances().items() if name in tokens
        ]}  # fmt: skip

    def _orders(self, words: dict[str, Any]) -> list[VenueOrder]:
        if not self._mine(words):
            return []
        found = [
            order
            for account in set(self._wallets.values())
            for order in account.orders.values()
            if "tif" in order.extra or order.announced
        ]
        return sorted(found, key=lambda order: -order.number)

    def _open(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        if call.struck(FaultKind.FORGET):
            return []
        return [basic(order, self._assets) for order in self._orders(words) if order.open]

    def _frontend(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        if call.struck(FaultKind.FORGET):
            return []
        return [full(order, self._assets) for order in self._orders(words) if order.open]

    def _history(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        """An order stands in it with each state that it was in: an oid may be listed twice."""
        rows = []
        for order in self._orders(words)[:_ORDERS]:
            rows.append(self._stated(order))
            if not order.open and order.announced and order.status != "rejected":
                before = {**full(order, self._assets), "sz": wire(order.wanted.quantity)}
                rows.append(
                    {"order": before, "status": "open", "statusTimestamp": order.created_ns // 1_000_000}
                )
        return rows

    def _stated(self, order: VenueOrder) -> dict[str, Any]:
        return {
            "order": full(order, self._assets), "status": status_of(order),
            "statusTimestamp": order.updated_ns // 1_000_000,
        }  # fmt: skip

    def _status(self, words: dict[str, Any], call: Call) -> dict[str, Any]:
        """An order by its number, or by the client's id: then the newest that has it."""
        wanted = words["oid"].lower() if isinstance(words["oid"], str) else int(words["oid"])
        found = [] if call.struck(FaultKind.FORGET) else self._orders(words)
        for order in found:
            if wanted in {order.number, order.wanted.client_id} and (
                order.announced or order.status != "new"
            ):
                return {"status": "order", "order": self._stated(order)}
        return {"status": "unknownOid"}

    def fills(self, begin: int = 0, end: int = 1 << 60) -> list[dict[str, Any]]:
        """Executions of all wallets from `begin` to `end` in ms, oldest first."""
        done = [
            done
            for account in set(self._wallets.values())
            for done in account.executions
            if not done.busted and begin <= done.at_ns // 1_000_000 <= end
        ]
        return [
            fill(row, self._assets, cloid=self._cloid) for row in sorted(done, key=lambda row: row.number)
        ]

    def _fills(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        return self.fills()[: -_FILLS - 1 : -1] if self._mine(words) else []

    def _fills_by_time(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        """The oldest ones first, and at most 2,000: whoever wants more asks again from the last one's time."""
        if not self._mine(words):
            return []
        return self.fills(int(words["startTime"]), int(words.get("endTime") or 1 << 60))[:_FILLS]

    def _funding(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        begin, end = int(words["startTime"]), int(words.get("endTime") or 1 << 60)
        rows = [row for row in self._fundings() if begin <= row["time"] <= end] if self._mine(words) else []
        return [
            {"time": row["time"], "hash": f"0x{0:064x}", "delta": {
                "type": "funding", **{key: row[key] for key in ("coin", "usdc", "szi", "fundingRate")}}}
            for row in rows
        ]  # fmt: skip

    def _role(self, words: dict[str, Any], call: Call) -> dict[str, Any]:
        if self._mine(words):
            return {"role": "user"}
        if words["user"].lower() == self._security.agent:
            return {"role": "agent", "data": {"user": self._security.account}}
        return {"role": "missing"}

    def _agents(self, words: dict[str, Any], call: Call) -> list[dict[str, Any]]:
        until = self._now_ms + 90 * 86_400_000
        agent = {"name": "venue", "address": self._security.agent, "validUntil": until}
        return [agent] if self._mine(words) else []

    def _fees(self, words: dict[str, Any], call: Call) -> dict[str, Any]:
        self._mine(words)
        return {"userCrossRate": "0.00045", "userAddRate": "0.00015", "userSpotCrossRate": "0.0007",
                "userSpotAddRate": "0.0004", "dailyUserVlm": []}  # fmt: skip


def middle(tape: Tape) -> str | None:
    """The middle of a book; None where a side is empty."""
    if not tape.bids or not tape.asks:
        return None
    return wire(round((tape.bids[0][0] + tape.asks[0][0]) / 2, 8))


def level(row: tuple[float, float]) -> dict[str, Any]:
    """A level of a book."""
    return {"px": wire(row[0]), "sz": wire(row[1]), "n": 1}


@attrs.define
class Weight:
    """The IP address's limit: 1,200 a minute.

    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits
    """

    most: int
    now_ms: Callable[[], int]
    _minute: int = 0
    _used: int = 0

    def use(self, weight: int) -> bool:
        """Whether so much may still be asked for in this minute."""
        minute = self.now_ms() // 60_000
        if minute != self._minute:
            self._minute, self._used = minute, 0
        if self._used + weight > self.most:
            return False
        self._used += weight
        return True
