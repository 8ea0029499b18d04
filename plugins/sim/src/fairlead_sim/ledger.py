"""The venue's own books: balances by currency, net positions, and what they earned and cost. Exact."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from fairlead import Contract, Instrument

_ZERO = Decimal(0)


class Holding(msgspec.Struct):
    """A net position: signed quantity and average entry price, with its lifetime sums in the settlement currency.

    `fees` and `funding` are costs when positive; fees paid in another currency are in the balances only.
    """

    quantity: Decimal = _ZERO
    average_price: Decimal = _ZERO
    realised: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO

    def trade(self, instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
        """Take a signed quantity at a price; returns the profit that this realised."""
        held = self.quantity
        after = held + quantity
        if held * quantity >= 0:
            if instrument.contract is Contract.INVERSE and held:
                self.average_price = after / (held / self.average_price + quantity / price)
            else:
                self.average_price = (self.average_price * held + price * quantity) / after
            self.quantity = after
            return _ZERO
        closed = -quantity if abs(quantity) <= abs(held) else held
        profit = instrument.profit(closed, self.average_price, price)
        self.realised += profit
        self.quantity = after
        if not after:
            self.average_price = _ZERO
        elif (after > 0) is not (held > 0):
            self.average_price = price
        return profit

    def unrealised(self, instrument: Instrument, price: float) -> float:
        """What closing at a price would earn, as a float in the settlement currency."""
        if not self.quantity:
            return 0.0
        amount = float(self.quantity * instrument.contract_size)
        if instrument.contract is Contract.INVERSE:
            return amount * (1 / float(self.average_price) - 1 / price)
        return amount * (price - float(self.average_price))


class Ledger(msgspec.Struct):
    """All money of one account; it changes by fills, fees and funding only."""

    balances: dict[str, Decimal]
    holdings: dict[str, Holding] = {}

    @classmethod
    def of(cls, cash: Mapping[str, Decimal]) -> Ledger:
        """A new account with this cash."""
        return cls(dict(cash))

    def balance(self, currency: str) -> Decimal:
        """The total of one currency."""
        return self.balances.get(currency, _ZERO)

    def quantity(self, instrument: str) -> Decimal:
        """The signed net position."""
        holding = self.holdings.get(instrument)
        return holding.quantity if holding is not None else _ZERO

    def change(self, currency: str, amount: Decimal) -> None:
        """Add a signed amount of cash."""
        self.balances[currency] = self.balance(currency) + amount

    def fill(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, fee: Decimal, fee_currency: str
    ) -> Decimal:
        """Book a trade of a signed quantity; returns the profit that it realised, fee not included."""
        holding = self.holdings.setdefault(instrument.id, Holding())
        profit = holding.trade(instrument, quantity, price)
        if instrument.spot:
            self.change(instrument.base, quantity * instrument.contract_size)
            self.change(instrument.quote, -instrument.notional(quantity, price))
        else:
            self.change(instrument.settle, profit)
        self.change(fee_currency, -fee)
        if fee_currency == instrument.settle:
            holding.fees += fee
        return profit

    def fund(self, instrument: Instrument, amount: Decimal) -> None:
        """Book a funding payment: negative is paid."""
        self.change(instrument.settle, amount)
        self.holdings[instrument.id].funding -= amount

    def positions(self) -> dict[str, Decimal]:
        """Open positions; flat is absence."""
        return {name: holding.quantity for name, holding in self.holdings.items() if holding.quantity}
