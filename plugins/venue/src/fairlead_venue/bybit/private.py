"""Private topics: order, execution, position and wallet. Each frame holds all that happened in one go.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from __future__ import annotations

import asyncio
from typing import Any

from fairlead_venue.account import Account, BalanceEvent, OrderEvent
from fairlead_venue.bybit.listing import PRODUCTS, plain, product_of
from fairlead_venue.bybit.orders import by_hand, execution, shown
from fairlead_venue.bybit.trading import Trading
from fairlead_venue.bybit.wallet import Wallet
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Event, Exchange

DCP_TOPICS = {"dcp.future": "linear", "dcp.spot": "spot", "dcp.option": "option"}
_PLAIN = ("order", "execution", "position", "wallet", "greeks")
TOPICS = frozenset(
    {*_PLAIN, *DCP_TOPICS, *(f"{name}.{product}" for name in _PLAIN[:3] for product in PRODUCTS)}
)
_ORDER = ("order", "execution", "position", "wallet")


class PrivateTopics:
    """The subscribers of the account."""

    def __init__(self, exchange: Exchange, account: Account, trading: Trading, wallet: Wallet) -> None:
        self.channels: list[Channel] = []
        self._exchange = exchange
        self._account = account
        self._trading = trading
        self._wallet = wallet
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._count = 0
        exchange.listen(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderEvent) and event.order.account == self._account.name:
            by_hand(event.order)
            self._order(event)
        elif isinstance(event, BalanceEvent) and event.account == self._account.name:
            if event.cause == "funding":
                self._funding(event)
            self._add("wallet", self._wallet.row())

    def _order(self, event: OrderEvent) -> None:
        """A bust is told of by the wallet alone: no topic says that an execution was taken back."""
        order, rule = event.order, event.order.wanted.instrument
        if event.kind != "busted" and not order.extra.get("quiet") and order.announced:
            row = {"category": product_of(rule), **shown(order)}
            if event.kind == "triggered":
                self._add("order", {**row, "orderStatus": "Triggered"})
            self._add("order", row)
            if event.execution is not None:
                self._add("execution", execution(event.execution, told_currency=self._trading.told_currency))
        if event.execution is not None:
            if not rule.spot:
                for row in self._wallet.rows(rule):
                    entry = {"category": "linear", **row, "entryPrice": row["avgPrice"]}
                    self._add("position", {key: value for key, value in entry.items() if key != "avgPrice"})
            self._add("wallet", self._wallet.row())

    def _funding(self, event: BalanceEvent) -> None:
        """Funding is an execution of the type Funding, whose fee is what was paid."""
        rule, held = self._account.instrument(event.instrument), self._account.holding(event.instrument)
        self._count += 1
        row = {
            "category": "linear", "symbol": rule.native, "orderId": "", "orderLinkId": "",
            "side": "Buy" if held.quantity > 0 else "Sell", "orderPrice": "0", "orderQty": "0", "leavesQty": "0",
            "createType": "", "orderType": "UNKNOWN", "stopOrderType": "UNKNOWN", "execFee": plain(-event.amount),
            "execId": f"{self._count:08x}-f00d-5000-8000-{self._count:012x}",
            "execPrice": plain(self._account.price(rule.id)), "execQty": plain(abs(held.quantity)), "execPnl": "0",
            "execType": "Funding", "execValue": "0", "execTime": str(self._exchange.clock.now() // 1_000_000),
            "isMaker": False, "feeRate": "0", "tradeIv": "", "markIv": "", "markPrice": "", "indexPrice": "",
            "underlyingPrice": "", "blockTradeId": "", "closedSize": "0", "seq": self._count,
            "feeCurrency": event.currency,
        }  # fmt: skip
        self._trading.settled.append(row)
        self._add("execution", row)

    def _add(self, topic: str, row: dict[str, Any]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        rows = self._waiting.setdefault(topic, [])
        if topic in ("wallet", "position"):  # how things stand at the end
            rows[:] = [one for one in rows if one.get("symbol") != row.get("symbol")]
        rows.append(row)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for topic in _ORDER:
            if topic in waiting:
                self._publish(topic, waiting[topic])

    def _publish(self, topic: str, rows: list[dict[str, Any]]) -> None:
        self._count += 1
        for channel in list(self.channels):
            for name in list(channel.topics):
                kind, _, product = name.partition(".")
                mine = [row for row in rows if product in ("", row.get("category"))]
                if kind == topic and mine:
                    frame = {
                        "id": f"{self._count}_{channel.number}", "topic": name,
                        "creationTime": self._exchange.clock.now() // 1_000_000, "data": mine,
                    }  # fmt: skip
                    channel.event(frame, [f"event:{topic}", topic, "stream:private"])
