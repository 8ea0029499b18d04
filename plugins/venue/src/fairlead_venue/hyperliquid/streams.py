"""Subscriptions, and what is sent to those who have them.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions. Books and quotes are told of
when they change, instead of twice a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fairlead import Bar, Book, Funding, Mark, Quote, Side, Trade
from fairlead_venue.account import Account, BalanceEvent, OrderEvent
from fairlead_venue.channel import Channel
from fairlead_venue.clock import VenueClock
from fairlead_venue.exchange import Event, Exchange, MarketMoved
from fairlead_venue.hyperliquid.listing import Assets, wire
from fairlead_venue.hyperliquid.orders import basic, fill, status_of
from fairlead_venue.hyperliquid.queries import INTERVALS, Queries, level
from fairlead_venue.orders import ZERO, Execution, VenueOrder
from fairlead_venue.tape import Tape

IDLE_NS = 60_000_000_000
_OF_USER = frozenset(
    {"orderUpdates", "userFills", "userEvents", "userFundings", "userNonFundingLedgerUpdates"}
)
_OF_COIN = frozenset({"l2Book", "bbo", "trades", "candle", "activeAssetCtx"})
_MOST = 1000
_LEDGER = {"deposit": "deposit", "withdrawal": "withdraw"}
_IMMEDIATE = frozenset({"Ioc", "FrontendMarket"})


class Streams:
    """Everybody who is connected, what they subscribed to, and what they are sent."""

    def __init__(
        self, exchange: Exchange, wallets: Mapping[bool, Account], assets: Assets, variants: Mapping[str, str]
    ) -> None:
        self.channels: list[Channel] = []
        self.volume = ZERO
        self.fundings: list[dict[str, Any]] = []
        self.queries: Queries
        self.user = ""
        self._exchange = exchange
        self._accounts = {account.name: account for account in wallets.values()}
        self._assets = assets
        self._cloid = variants.get("fills") == "cloid"
        self._later: VenueOrder | None = None
        self._waiting: Callable[[], None] | None = None
        exchange.listen(self._heard)

    @property
    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    # --- connections --------------------------------------------------------------------------------------------

    def join(self, channel: Channel) -> None:
        """A new connection; it is closed when it was sent nothing for a minute."""
        channel.state["sent_ns"] = self._exchange.clock.now()
        self.channels.append(channel)
        _watch(channel, self._exchange.clock)

    def left(self, channel: Channel) -> None:
        """A connection is gone."""
        channel.state["idle"].cancel()
        if channel in self.channels:
            self.channels.remove(channel)

    def answer(self, channel: Channel, payload: Any) -> None:
        """Send an answer."""
        channel.state["sent_ns"] = self._exchange.clock.now()
        channel.send(payload)

    def subscribe(self, channel: Channel, method: str, wanted: Any) -> None:
        """Subscribe, or unsubscribe, and answer."""
        key = self._key(wanted)
        if key is None:
            self._error(channel, f"Invalid subscription {wanted}")
        elif method == "unsubscribe":
            if channel.topics.pop(key, None) is None:
                self._error(channel, f"Already unsubscribed: {wanted}")
            else:
                self._confirm(channel, method, wanted)
        elif key in channel.topics:
            self._error(channel, f"Already subscribed: {wanted}")
        elif len(channel.topics) >= _MOST:
            self._error(channel, f"Cannot subscribe to more than {_MOST} topics")
        else:
            self._confirm(channel, method, wanted)
            channel.topics[key] = wanted
            self._first(channel, key, wanted)

    def _error(self, channel: Channel, text: str) -> None:
        self.answer(channel, {"channel": "error", "data": text})

    def _confirm(self, channel: Channel, method: str, wanted: Any) -> None:
        data = {"method": method, "subscription": wanted}
        self.answer(channel, {"channel": "subscriptionResponse", "data": data})

    def _key(self, wanted: Any) -> str | None:
        if not isinstance(wanted, dict):
            return None
        kind, coin, user = wanted.get("type"), wanted.get("coin"), wanted.get("user")
        if kind == "allMids":
            return "allMids"
        if kind in _OF_USER and isinstance(user, str) and len(user) == 42:
            return f"{kind}:{user.lower()}"
        if kind not in _OF_COIN or self._assets.named(coin) is None:
            return None
        if kind == "candle":
            return f"candle:{coin},{wanted['interval']}" if wanted.get("interval") in INTERVALS else None
        return f"{kind}:{coin}"

    def _first(self, channel: Channel, key: str, wanted: dict[str, Any]) -> None:
        """What a subscription begins with."""
        kind, mine = wanted["type"], key.endswith(self.user)
        data: Any = None
        if kind == "userFills":
            rows = self.queries.fills()[:-2001:-1] if mine else []
            data = {"isSnapshot": True, "user": wanted["user"].lower(), "fills": rows}
        elif kind == "userFundings":
            data = {
                "isSnapshot": True,
                "user": wanted["user"].lower(),
                "fundings": self.fundings if mine else [],
            }
        elif kind == "userNonFundingLedgerUpdates":
            data = {"isSnapshot": True, "user": wanted["user"].lower(), "nonFundingLedgerUpdates": []}
        elif kind == "allMids":
            data = {"mids": self.queries.mids()}
        elif kind in _OF_COIN:
            data = self._state(kind, self.queries.tape(wanted["coin"]))
        if data is not None:
            self._send(channel, kind, key, data)

    def _state(self, kind: str, tape: Tape) -> Any:
        match kind:
            case "l2Book":
                return self.queries.book(tape)
            case "bbo":
                return self._bbo(tape)
            case "activeAssetCtx":
                return self._context(tape)
            case "trades" if tape.prints:
                return [self._trade(tape, row) for row in list(tape.prints)[-10:]]
        return None

    # --- sending ------------------------------------------------------------------------------------------------

    def _send(self, channel: Channel, kind: str, key: str, data: Any) -> None:
        name = "user" if kind == "userEvents" else kind
        if kind == "activeAssetCtx" and ("@" in key or "/" in key):
            name = "activeSpotAssetCtx"
        channel.state["sent_ns"] = self._exchange.clock.now()
        channel.event({"channel": name, "data": data}, [f"event:{_WORDS.get(kind, kind)}", kind, key])

    def _publish(self, kind: str, key: str, data: Any) -> None:
        for channel in list(self.channels):
            if key in channel.topics:
                self._send(channel, kind, key, data)

    def _to_user(self, kind: str, data: Any) -> None:
        self._publish(kind, f"{kind}:{self.user}", data)

    # --- what happened ------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if isinstance(event, MarketMoved):
            self._moved(event)
        elif isinstance(event, BalanceEvent) and event.account in self._accounts:
            self._paid(event)
        elif isinstance(event, OrderEvent) and event.order.account in self._accounts:
            self._order(event)

    def open_first(self, order: VenueOrder) -> None:
        """Tell of the end of this order after the next one was opened."""
        self._later = order

    def _order(self, event: OrderEvent) -> None:
        order = event.order
        if event.kind == "trade" and event.execution is not None:
            self._traded(event.execution)
        if event.kind in {"amended", "busted"} or (event.kind == "trade" and order.open):
            return
        if event.kind == "new" and order.extra.get("tif") in _IMMEDIATE:
            return
        status = "triggered" if event.kind == "triggered" else status_of(order)
        row = {"order": basic(order, self._assets), "status": status, "statusTimestamp": self._now_ms}
        if order is self._later and event.kind == "canceled":
            self._later, self._waiting = None, lambda: self._to_user("orderUpdates", [row])
            return
        self._to_user("orderUpdates", [row])
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting()

    def _traded(self, done: Execution) -> None:
        order = done.order
        rule = order.wanted.instrument
        signed = done.quantity if order.wanted.side is Side.BUY else -done.quantity
        account = self._accounts[order.account]
        after = account.balance(rule.base) if rule.spot else account.holding(rule.id).quantity
        order.extra.setdefault("before", {})[done.number] = after - signed
        self.volume += done.value
        row = fill(done, self._assets, cloid=self._cloid)
        self._to_user("userFills", {"user": self.user, "fills": [row]})
        self._to_user("userEvents", {"fills": [row]})

    def _paid(self, event: BalanceEvent) -> None:
        if event.cause == "funding":
            tape = self._exchange.tapes[event.instrument]
            held = self._accounts[event.account].holding(event.instrument).quantity
            row = {
                "time": self._now_ms, "coin": self._assets.coin(event.instrument), "usdc": wire(event.amount),
                "szi": wire(held), "fundingRate": wire(tape.funding_rate), "nSamples": None,
            }  # fmt: skip
            self.fundings.append(row)
            self._to_user("userFundings", {"user": self.user, "fundings": [row]})
            self._to_user("userEvents", {"funding": row})
            return
        amount = wire(abs(event.amount) if event.cause in _LEDGER else event.amount)
        delta = {"type": _LEDGER.get(event.cause, event.cause), "usdc": amount}
        row = {"time": self._now_ms, "hash": f"0x{self._now_ms:064x}", "delta": delta}
        self._to_user("userNonFundingLedgerUpdates", {"user": self.user, "nonFundingLedgerUpdates": [row]})

    def _moved(self, moved: MarketMoved) -> None:
        tape, event = moved.tape, moved.event
        coin = self._assets.coin(tape.instrument.id)
        if moved.change is not None and isinstance(event, Quote | Book):
            self._publish("l2Book", f"l2Book:{coin}", self.queries.book(tape))
            self._publish("bbo", f"bbo:{coin}", self._bbo(tape))
            self._publish("allMids", "allMids", {"mids": self.queries.mids()})
        elif isinstance(event, Trade):
            self._publish("trades", f"trades:{coin}", [self._trade(tape, tape.prints[-1])])
        if isinstance(event, Mark | Funding | Trade):
            self._publish("activeAssetCtx", f"activeAssetCtx:{coin}", self._context(tape))
        if isinstance(event, Trade | Bar):
            for interval in sorted(INTERVALS):
                self._candle(tape, coin, interval)

    def _candle(self, tape: Tape, coin: str, interval: str) -> None:
        key = f"candle:{coin},{interval}"
        if not any(key in channel.topics for channel in self.channels):
            return
        candles = tape.candles(interval)
        if candles:
            self._publish("candle", key, self.queries.candle(tape, interval, candles[-1]))

    def _bbo(self, tape: Tape) -> dict[str, Any]:
        best = [level(side[0]) if side else None for side in (tape.bids, tape.asks)]
        return {"coin": self._assets.coin(tape.instrument.id), "time": tape.at_ns // 1_000_000, "bbo": best}

    def _context(self, tape: Tape) -> dict[str, Any]:
        coin = self._assets.coin(tape.instrument.id)
        return {"coin": coin, "ctx": self.queries.context(tape.instrument)}

    def _trade(self, tape: Tape, done: Any) -> dict[str, Any]:
        return {
            "coin": self._assets.coin(tape.instrument.id), "side": "A" if done.buyer_made else "B",
            "px": wire(done.price), "sz": wire(Decimal(repr(done.size))), "time": done.at_ns // 1_000_000,
            "hash": f"0x{done.number:064x}", "tid": done.number, "users": [f"0x{1:040x}", f"0x{2:040x}"],
        }  # fmt: skip


_WORDS = {
    "orderUpdates": "order",
    "userFills": "fill",
    "userEvents": "user",
    "l2Book": "depth",
    "trades": "trade",
}


def _watch(channel: Channel, clock: VenueClock) -> None:
    def look() -> None:
        if not channel.open:
            return
        silent = clock.now() - channel.state["sent_ns"]
        if silent >= IDLE_NS:
            channel.close(1000, "Inactive")
        else:
            channel.state["idle"] = clock.call_in(IDLE_NS - silent, look)

    channel.state["idle"] = clock.call_in(IDLE_NS, look)
