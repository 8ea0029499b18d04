"""The futures account's own stream, in Binance's order: TRADE_LITE, ACCOUNT_UPDATE, then ORDER_TRADE_UPDATE.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from typing import Any

from fairlead_venue.account import Account, BalanceEvent, OrderEvent
from fairlead_venue.binance.algo import Algo, AlgoOrder
from fairlead_venue.binance.futures import Futures
from fairlead_venue.binance.futures_account import FuturesAccount
from fairlead_venue.binance.futures_orders import by_hand, status_of
from fairlead_venue.binance.listing import plain
from fairlead_venue.binance.user import Send
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.orders import ZERO, Execution, VenueOrder

_KINDS = {
    "new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED",
    "triggered": "NEW", "amended": "AMENDMENT",
}  # fmt: skip
_REASONS = {"funding": "FUNDING_FEE", "deposit": "DEPOSIT", "withdrawal": "WITHDRAW"}


class FuturesEvents:
    """Makes the events of the futures account and hands them to `send`."""

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        futures: Futures,
        money: FuturesAccount,
        algo: Algo,
        send: Send,
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._futures = futures
        self._algo = algo
        self._send = send
        algo.told = self._algo_changed
        money.configured = self._configured
        exchange.listen(self._heard)

    @property
    def _now_ms(self) -> int:
        return self._exchange.clock.now() // 1_000_000

    def _event(self, kind: str, body: dict[str, Any], labels: list[str]) -> None:
        self._send({"e": kind, "E": self._now_ms, "T": self._now_ms, **body}, [*labels, kind])

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderEvent) and event.order.account == self._account.name:
            by_hand(event.order)
            if event.kind == "busted":
                self._account_update("ADJUSTMENT", event.order)
            elif event.order.announced:
                if event.execution is not None:
                    self._trade_lite(event.order, event.execution)
                    self._account_update("ORDER", event.order)
                self._order_update(event.order, _KINDS[event.kind], event.execution)
        elif isinstance(event, BalanceEvent) and event.account == self._account.name:
            self._account_update(_REASONS.get(event.cause, "ADJUSTMENT"), None, event)

    def _trade_lite(self, order: VenueOrder, done: Execution) -> None:
        wanted = order.wanted
        body = {
            "s": wanted.instrument.native, "q": plain(wanted.quantity), "p": plain(wanted.limit_price or ZERO),
            "m": done.maker, "c": order.extra["client"], "S": wanted.side.upper(), "L": plain(done.price),
            "l": plain(done.quantity), "t": done.number, "i": order.number,
        }  # fmt: skip
        self._event("TRADE_LITE", body, ["event:trade"])

    def _account_update(
        self, reason: str, order: VenueOrder | None, moved: BalanceEvent | None = None
    ) -> None:
        """`bc` is what changed a balance besides trades; only the currency that was moved has any."""
        positions = [] if order is None else self._positions(order)
        balances = [
            {
                "a": name, "wb": f"{amount:.8f}", "cw": f"{amount:.8f}",
                "bc": plain(moved.amount if moved is not None and moved.currency == name else ZERO),
            }
            for name, amount in self._account.balances().items()
        ]  # fmt: skip
        self._event("ACCOUNT_UPDATE", {"a": {"m": reason, "B": balances, "P": positions}}, ["event:balance"])

    def _positions(self, order: VenueOrder) -> list[dict[str, Any]]:
        rules = order.wanted.instrument
        rows = self._futures.positions.rows(rules.native, hedged=self._futures.read.hedged, only_open=False)
        return [
            {
                "s": rules.native, "pa": row["positionAmt"], "ep": row["entryPrice"], "bep": row["breakEvenPrice"],
                "cr": plain(self._account.holding(rules.id).realised), "up": row["unRealizedProfit"],
                "mt": row["marginType"], "iw": "0", "ps": row["positionSide"],
            }
            for row in rows
        ]  # fmt: skip

    def _order_update(self, order: VenueOrder, kind: str, done: Execution | None) -> None:
        wanted, extra = order.wanted, order.extra
        update = {
            "s": wanted.instrument.native, "c": extra["client"], "S": wanted.side.upper(), "o": extra["type"],
            "f": extra["tif"], "q": plain(wanted.quantity), "p": plain(wanted.limit_price or ZERO),
            "ap": plain(order.average_price), "sp": plain(extra["stop"]), "x": kind, "X": status_of(order),
            "i": order.number, "l": plain(done.quantity if done else ZERO), "z": plain(order.filled),
            "L": plain(done.price if done else ZERO), "n": plain(done.fee if done else ZERO),
            "N": done.fee_currency if done else None, "T": order.updated_ns // 1_000_000,
            "t": done.number if done else 0, "b": "0", "a": "0", "m": done.maker if done else False,
            "R": extra["reduce"], "wt": "CONTRACT_PRICE", "ot": extra["original"], "ps": extra["leg"],
            "cp": extra["close"], "rp": plain(self._futures.positions.realised(done)) if done else "0", "pP": False,
            "si": 0, "ss": 0, "V": extra["stp"], "pm": extra["match"], "gtd": wanted.expires_ns // 1_000_000,
        }  # fmt: skip
        self._event("ORDER_TRADE_UPDATE", {"o": update}, ["event:order", f"ORDER_TRADE_UPDATE.{kind}"])

    def _algo_changed(self, order: AlgoOrder) -> None:
        row = self._algo.shown(order)
        update = {
            "caid": row["clientAlgoId"], "aid": row["algoId"], "at": "CONDITIONAL", "o": row["orderType"],
            "s": row["symbol"], "S": row["side"], "ps": row["positionSide"], "f": row["timeInForce"],
            "q": row["quantity"], "X": row["algoStatus"], "ai": row["actualOrderId"], "ap": row["actualPrice"],
            "aq": plain(order.actual.filled) if order.actual else "0.00000",
            "act": order.actual.extra["type"] if order.actual else "0", "tp": row["triggerPrice"], "p": row["price"],
            "V": row["selfTradePreventionMode"], "wt": row["workingType"], "pm": row["priceMatch"],
            "cp": row["closePosition"], "pP": False, "R": row["reduceOnly"], "tt": row["triggerTime"],
            "gtd": row["goodTillDate"], "rm": order.reason,
        }  # fmt: skip
        self._event("ALGO_UPDATE", {"o": update}, ["event:order"])

    def _configured(self, symbol: str, leverage: int) -> None:
        self._event("ACCOUNT_CONFIG_UPDATE", {"ac": {"s": symbol, "l": leverage}}, ["event:config"])
