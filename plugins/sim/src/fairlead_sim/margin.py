"""What an account can afford: conversion at last marks, equity, initial and maintenance margin, liquidation prices.

The whole account backs every position (cross margin), measured in its base currency. Floats, because marks are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf

from fairlead import Contract, Instrument
from fairlead_sim.ledger import Ledger
from fairlead_sim.market import Market
from fairlead_sim.orders import WorkingOrder

_ZERO = Decimal(0)
_SHORT = 1 + 1e-9


class Margin:
    """The account valued at the markets of this moment."""

    def __init__(self, ledger: Ledger, markets: Mapping[str, Market], currency: str, *, borrow: bool) -> None:
        self._ledger = ledger
        self._markets = markets
        self._currency = currency
        self._borrow = borrow
        self._pairs: dict[tuple[str, str], Market] = {}
        self._armed: list[Market] = []

    def learn(self, instrument: Instrument) -> None:
        """Use an instrument's price as a rate of exchange; spot goes before derivatives."""
        pair = (instrument.base, instrument.quote)
        known = self._pairs.get(pair)
        if known is None or (instrument.spot and not known.rules.spot):
            self._pairs[pair] = self._markets[instrument.id]

    def rate(self, currency: str) -> float | None:
        """What one unit is worth in the account's currency; None where no market says."""
        if currency == self._currency:
            return 1.0
        for pair, inverted in (((currency, self._currency), False), ((self._currency, currency), True)):
            market = self._pairs.get(pair)
            price = market.price if market is not None else None
            if price:
                return 1 / price if inverted else price
        return None

    # --- value ------------------------------------------------------------------------------------------------

    def margined(self) -> Iterable[tuple[Market, Decimal, float]]:
        """Positions that are backed by margin: market, signed quantity, price."""
        for name, holding in self._ledger.holdings.items():
            quantity = holding.quantity
            if not quantity:
                continue
            market = self._markets[name]
            if market.rules.spot:
                owed = self._ledger.balance(market.rules.base)
                if not self._borrow or owed >= 0:
                    continue
                quantity = owed / market.rules.contract_size
            yield market, quantity, market.price or float(holding.average_price)

    def equity(self) -> float | None:
        """Cash and unrealised profit; None where a debt has no rate. What is owned without a rate counts nothing."""
        worth = {currency: float(amount) for currency, amount in self._ledger.balances.items() if amount}
        for market, _, price in self.margined():
            if not market.rules.spot:
                holding = self._ledger.holdings[market.id]
                settle = market.rules.settle
                worth[settle] = worth.get(settle, 0.0) + holding.unrealised(market.rules, price)
        total = 0.0
        for currency, amount in worth.items():
            rate = self.rate(currency)
            if rate is not None:
                total += amount * rate
            elif amount < 0:
                return None
        return total

    def maintenance(self) -> float:
        """What equity must not fall below."""
        return sum(
            abs(value(market.rules, float(quantity), price))
            * float(market.rules.maintenance_margin)
            * (self.rate(market.rules.settle) or 1.0)
            for market, quantity, price in self.margined()
        )

    def initial(self, extra: WorkingOrder | None = None) -> float | None:
        """Initial margin of the worst that open orders, and one more, can do to the positions; None without a rate."""
        total = 0.0
        for market in self._markets.values():
            more = extra if extra is not None and extra.instrument == market.id else None
            if market.instrument is None or (market.instrument.spot and not self._borrow):
                continue
            need = self._initial(market, market.instrument, more)
            if need:
                rate = self.rate(market.instrument.settle)
                if rate is None:
                    return None
                total += need * rate
        return total

    def _initial(self, market: Market, rules: Instrument, extra: WorkingOrder | None) -> float:
        quantity = self._ledger.quantity(market.id)
        if rules.spot:
            quantity = min(self._ledger.balance(rules.base) / rules.contract_size, _ZERO)
        if extra is None and not market.orders and not quantity:
            return 0.0
        price = market.price or 0.0
        held = value(rules, float(quantity), price) if price else 0.0
        sides = [0.0, 0.0]
        groups: dict[tuple[str, bool], float] = {}
        for order in (*market.orders.values(), extra):
            if order is None or order.reduce_only:
                continue
            amount = value(rules, float(order.remaining), order.limit or order.stop or price)
            if order.intent.group:
                key = (order.intent.group, order.buy)
                known = groups.get(key, 0.0)
                groups[key] = max(amount, known)
                amount = max(0.0, amount - known)
            sides[order.buy] += amount
        worst = max(abs(held - sides[0]), 0.0 if rules.spot else abs(held + sides[1]))
        if rules.spot:
            owned = value(
                rules, float(max(self._ledger.balance(rules.base), _ZERO) / rules.contract_size), price
            )
            worst = max(abs(held), worst - owned)
        return worst * float(rules.initial_margin)

    # --- liquidation --------------------------------------------------------------------------------------------

    def short(self) -> bool:
        """Whether equity is below maintenance."""
        if not any(True for _ in self.margined()):
            return False
        equity = self.equity()
        return equity is not None and equity <= self.maintenance() * _SHORT

    def arm(self) -> list[Market]:
        """Set each market's liquidation prices; returns those that must arm again.

        With several positions each may lose an equal share of the surplus before anything is computed again, so
        no price can cross its own bound unseen. Several currencies are computed at every event.
        """
        held = list(self.margined())
        before = self._armed
        for market in before:
            market.margin_low, market.margin_high = -inf, inf
        if not held:
            self._armed = []
            return before
        if self._plain(held):
            surplus = (self.equity() or 0.0) - self.maintenance()
            self._armed = [market for market, _, _ in held]
            for market, quantity, price in held:
                bounds = _bounds(market.rules, float(quantity), price, max(surplus, 0.0) / len(held))
                market.margin_low, market.margin_high = bounds
        else:
            self._armed = [market for market in self._markets.values() if market.instrument is not None]
            for market in self._armed:
                market.margin_low = inf
        return [*before, *self._armed]

    def _plain(self, held: Sequence[tuple[Market, Decimal, float]]) -> bool:
        """Whether all money is one currency, so that no rate of exchange moves equity."""
        return not any(
            amount and currency != self._currency for currency, amount in self._ledger.balances.items()
        ) and not any(market.rules.spot or market.rules.settle != self._currency for market, _, _ in held)

    def limits(self, market: Market) -> tuple[float, float]:
        """Where this market alone, all others standing still, would bring liquidation: below, and above."""
        held = list(self.margined())
        if market.mark is None and self._plain(held):
            for other, quantity, price in held:
                if other is market:
                    surplus = max((self.equity() or 0.0) - self.maintenance(), 0.0)
                    return _bounds(market.rules, float(quantity), price, surplus)
        return -inf, inf


def value(rules: Instrument, quantity: float, price: float) -> float:
    """Signed notional as a float."""
    amount = quantity * float(rules.contract_size)
    return amount / price if rules.contract is Contract.INVERSE else amount * price


def _bounds(rules: Instrument, quantity: float, price: float, share: float) -> tuple[float, float]:
    """Where a position has lost a share of the surplus: its loss and the change of its maintenance together."""
    size = float(rules.contract_size)
    keep = abs(quantity) * float(rules.maintenance_margin)
    if rules.contract is Contract.INVERSE:
        slope = (quantity + keep) * size
        limit = 1 / price + share / slope if slope else 0.0
        bound = 1 / limit if limit > 0 else inf
    else:
        slope = (quantity - keep) * size
        bound = price - share / slope if slope else -inf
    return (bound, inf) if quantity > 0 else (-inf, bound)
