"""Closed trades: what a strategy made of an instrument from flat to flat, folded from fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from fairlead import EXTERNAL, Fill, Instrument, OrderType, Side
from fairlead.facts import CashChanged, Filled, FillReversed, StrategiesStarted
from fairlead.ports import View

WANTS = (Filled, FillReversed, CashChanged, StrategiesStarted)
"""What `Trades.see` wants to be shown."""

_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
_ZERO = Decimal(0)
_Key = tuple[str, str, str]


class Closed(NamedTuple):
    """A trade that ended: its profit after fees and funding in the settlement currency, and as a part of its cost.

    `stopped` says that a stop or the venue ended it.
    """

    account: str
    instrument: str
    strategy: str
    profit: Decimal
    ratio: float
    stopped: bool


class _Open(NamedTuple):
    """`cash` is what it has got so far, less what it has paid, fees included; `cost` is what its entries were worth."""

    quantity: Decimal
    cash: Decimal
    cost: Decimal


_FLAT = _Open(_ZERO, _ZERO, _ZERO)


class Trades:
    """All trades that are open, by account, instrument and strategy. What nobody here ordered is left out."""

    def __init__(self) -> None:
        self._open: dict[_Key, _Open] = {}

    def see(self, item: object, view: View) -> Closed | None:
        """Take a fact; the trade that it ended, if it did."""
        if isinstance(item, Filled):
            instrument = view.instrument(item.fill.instrument)
            if item.fill.strategy == EXTERNAL:
                return None
            return self._filled(item, instrument, view)
        if isinstance(item, CashChanged) and item.reason == "funding":
            self._funded(item)
        elif isinstance(item, FillReversed | StrategiesStarted):
            self._settle(view)
        return None

    def _filled(self, fact: Filled, instrument: Instrument, view: View) -> Closed | None:
        fill, key = fact.fill, (fact.fill.account, fact.fill.instrument, fact.fill.strategy)
        held, signed, fee = self._open.get(key, _FLAT), _moved(fill, instrument), _fee(fill, instrument)
        if not held.quantity or (held.quantity > 0) == (signed > 0):
            self._open[key] = _more(held, signed, fill.price, fee, instrument)
            return None
        closing = min(abs(signed), abs(held.quantity))
        part = fee * closing / fill.quantity
        left, rest = (
            held.quantity - closing.copy_sign(held.quantity),
            signed + closing.copy_sign(held.quantity),
        )
        cash = held.cash + _flow(-closing.copy_sign(held.quantity), fill.price, instrument) - part
        if instrument.quantity(left):
            self._open[key] = _Open(left, cash, held.cost)
            return None
        profit = cash - _flow(
            left, fill.price, instrument
        )  # what is too little to be sold is worth something
        del self._open[key]
        if instrument.quantity(rest):
            self._open[key] = _more(_FLAT, rest, fill.price, fee - part, instrument)
        order = view.order(fill.client_order_id)
        stopped = bool(fact.reason) or (order is not None and order.type in _STOPS)
        return Closed(*key, profit, float(profit / held.cost) if held.cost else 0.0, stopped)

    def _funded(self, fact: CashChanged) -> None:
        for strategy, share in fact.shares.items():
            key = (fact.account, fact.instrument, strategy)
            if key in self._open:
                self._open[key] = self._open[key]._replace(cash=self._open[key].cash + share)

    def _settle(self, view: View) -> None:
        """Agree with the positions that there are: a breaker may be new to a run, and a fill may be taken back."""
        there: dict[_Key, _Open] = {}
        for account in view.accounts():
            for position in view.positions(account):
                key = (account, position.key.instrument, position.key.strategy)
                instrument = view.instrument(position.key.instrument)
                if position.key.strategy == EXTERNAL:
                    continue
                held = self._open.get(key)
                if held is None or held.quantity != position.quantity:
                    held = _more(_FLAT, position.quantity, position.average_price, _ZERO, instrument)
                there[key] = held
        self._open = there

    def memory(self) -> Sequence[Sequence[str]]:
        """What must survive a restart."""
        return [[*key, *(str(figure) for figure in held)] for key, held in self._open.items()]

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take it back."""
        for account, instrument, strategy, *figures in memory.get("trades", ()):
            self._open[account, instrument, strategy] = _Open(*(Decimal(figure) for figure in figures))


def _more(held: _Open, signed: Decimal, price: Decimal, fee: Decimal, instrument: Instrument) -> _Open:
    cost = held.cost + instrument.notional(abs(signed), price)
    return _Open(held.quantity + signed, held.cash + _flow(signed, price, instrument) - fee, cost)


def _flow(signed: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """What buying (selling) this much brings in the settlement currency: an inverse contract brings it when bought."""
    worth = instrument.notional(signed, price)
    return worth if instrument.inverse else -worth


def _moved(fill: Fill, instrument: Instrument) -> Decimal:
    """The signed quantity that came or went, a fee in kind taken off."""
    signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
    if instrument.spot and fill.fee_currency == instrument.base:
        signed -= fill.fee / instrument.contract_size
    return signed


def _fee(fill: Fill, instrument: Instrument) -> Decimal:
    """The fee in the settlement currency; one in a third currency is not valued, as in the account's own books."""
    if fill.fee_currency == instrument.settle:
        return fill.fee
    return fill.fee * fill.price if fill.fee_currency == instrument.base else _ZERO
