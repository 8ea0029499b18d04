"""USD-M positions: one per symbol, or one per symbol and side, with their leverage and margin type.

The books keep the net position. In hedge mode the two sides are kept here, of the same executions; their sum is
the net position, and profit is told per side.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead import Instrument, Side
from fairlead_sim import Holding
from fairlead_venue.account import Account, OrderEvent
from fairlead_venue.binance.listing import Symbols, plain
from fairlead_venue.exchange import Event, Exchange
from fairlead_venue.orders import ZERO, Execution, VenueOrder
from fairlead_venue.triggers import price_of

_LEGS = ("LONG", "SHORT")
LEVERAGE = 20


class Positions:
    """The positions of the futures account, and their settings."""

    def __init__(self, exchange: Exchange, account: Account, symbols: Symbols) -> None:
        self.leverage: dict[str, int] = {}
        self.isolated: set[str] = set()
        self._exchange = exchange
        self._account = account
        self._symbols = symbols
        self._legs: dict[tuple[str, str], Holding] = {}
        exchange.listen(self._heard)

    def _heard(self, event: Event) -> None:
        if (
            not isinstance(event, OrderEvent)
            or event.execution is None
            or event.order.account != self._account.name
        ):
            return
        leg = event.order.extra.get("leg", "BOTH")
        if leg in _LEGS:
            done, rules = event.execution, event.order.wanted.instrument
            sign = 1 if event.order.wanted.side is Side.BUY else -1
            sign = -sign if event.kind == "busted" else sign
            holding = self._legs.setdefault((rules.id, leg), Holding())
            profit = holding.trade(rules, sign * done.quantity, done.price)
            event.order.extra.setdefault("realised", {})[done.number] = profit

    def realised(self, done: Execution) -> Decimal:
        """What an execution realised, of its side where there are sides."""
        found: Decimal = done.order.extra.get("realised", {}).get(done.number, done.realised)
        return found

    def quantity(self, instrument: str, leg: str) -> Decimal:
        """The signed quantity of a side, or of the whole."""
        return self._holding(instrument, leg).quantity

    def _holding(self, instrument: str, leg: str) -> Holding:
        if leg in _LEGS:
            return self._legs.get((instrument, leg)) or Holding()
        return self._account.holding(instrument)

    def closes(self, order: VenueOrder) -> bool:
        """Whether an order of a side takes from it."""
        leg, side = order.extra["leg"], order.wanted.side
        return (leg == "LONG" and side is Side.SELL) or (leg == "SHORT" and side is Side.BUY)

    def legs(self, *, hedged: bool) -> list[str]:
        """The sides that there are."""
        return list(_LEGS) if hedged else ["BOTH"]

    def any_open(self) -> bool:
        """Whether anything is held."""
        return any(held.quantity for held in self._account.holdings().values())

    def instruments(self, symbol: str = "") -> list[Instrument]:
        """Those of a symbol, or all."""
        wanted = [symbol] if symbol else self._symbols.all()
        return [self._account.instrument(self._symbols.id(name)) for name in wanted]

    def rows(self, symbol: str = "", *, hedged: bool, only_open: bool) -> list[dict[str, Any]]:
        """All positions with everything that any reply says of one."""
        found = [
            self._row(rules, leg) for rules in self.instruments(symbol) for leg in self.legs(hedged=hedged)
        ]
        return [row for row in found if not only_open or row["positionAmt"] != "0"]

    def _row(self, rules: Instrument, leg: str) -> dict[str, Any]:
        held = self._holding(rules.id, leg)
        mark = price_of(self._exchange.tapes[rules.id], "mark") or 0.0
        price = Decimal(repr(mark))
        notional = held.quantity * price
        profit = rules.profit(held.quantity, held.average_price, price) if held.quantity else ZERO
        leverage = self.leverage.get(rules.id, LEVERAGE)
        margin = abs(notional) / leverage
        isolated = rules.id in self.isolated
        return {
            "symbol": rules.native, "positionSide": leg, "positionAmt": plain(held.quantity),
            "entryPrice": plain(held.average_price), "breakEvenPrice": plain(held.average_price),
            "markPrice": f"{price:.8f}", "unRealizedProfit": f"{profit:.8f}", "unrealizedProfit": f"{profit:.8f}",
            "liquidationPrice": "0", "leverage": str(leverage), "maxNotionalValue": "1000000000",
            "marginType": "isolated" if isolated else "cross", "isolatedMargin": "0.00000000",
            "isAutoAddMargin": "false", "isolated": isolated, "notional": plain(notional), "isolatedWallet": "0",
            "marginAsset": rules.settle, "initialMargin": plain(margin), "maintMargin": plain(
                abs(notional) * rules.maintenance_margin),
            "positionInitialMargin": plain(margin), "openOrderInitialMargin": "0", "adl": 0, "bidNotional": "0",
            "askNotional": "0", "maxNotional": "1000000000",
            "updateTime": self._exchange.clock.now() // 1_000_000,
        }  # fmt: skip
