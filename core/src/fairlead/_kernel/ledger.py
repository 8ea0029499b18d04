"""Positions and cash: exact arithmetic of fills."""

from __future__ import annotations

from decimal import Decimal

from fairlead._kernel.state import ZERO, State
from fairlead._models.accounts import Position, PositionKey
from fairlead._models.instrument import Instrument
from fairlead._models.orders import Fill, Side


def book(state: State, fill: Fill, sign: int) -> None:
    """Enter a fill into the account and into its strategy's virtual position; `sign` -1 takes it back."""
    instrument = state.instruments[fill.instrument]
    signed = fill.quantity if (fill.side is Side.BUY) == (sign > 0) else -fill.quantity
    fee = fill.fee * sign
    balances = state.accounts[fill.account].balances
    moved = signed
    if instrument.spot and fill.fee_currency == instrument.base:
        moved -= fee / instrument.contract_size  # a fee in kind: so much less is there to sell again
    change = trade if sign > 0 else untrade
    net = position(state, fill.account, fill.instrument, "")
    realised = change(net, moved, fill.price, instrument, fill.event_ns)
    if instrument.spot:
        _add(balances, instrument.base, signed * instrument.contract_size)
        _add(balances, instrument.quote, -signed * fill.price * instrument.contract_size)
    else:
        _add(balances, instrument.settle, realised)
    _add(balances, fill.fee_currency, -fee)
    virtual = position(state, fill.account, fill.instrument, fill.strategy)
    change(virtual, moved, fill.price, instrument, fill.event_ns)
    for one in (net, virtual):
        one.fees += _in_settlement(fee, fill, instrument)


def position(state: State, account: str, instrument: str, strategy: str) -> Position:
    """The position under a key, made flat where there was none."""
    key = PositionKey(account, instrument, strategy)
    found = state.positions.get(key)
    if found is None:
        found = state.positions[key] = Position(key=key)
    return found


def trade(held: Position, signed: Decimal, price: Decimal, instrument: Instrument, now: int) -> Decimal:
    """Change a position by a signed quantity at a price; returns the profit this realised."""
    before = held.quantity
    after = before + signed
    realised = ZERO
    if before == 0 or (before > 0) == (signed > 0):
        held.average_price = instrument.average(abs(before), held.average_price, abs(signed), price)
        if before == 0:
            held.opened_ns = now
    else:
        closing = -signed if abs(signed) <= abs(before) else before
        realised = instrument.profit(closing, held.average_price, price)
        if after == 0:
            held.average_price = ZERO
        elif (after > 0) != (before > 0):
            held.average_price = price
            held.opened_ns = now
    held.quantity = after
    held.realised += realised
    return realised


def untrade(held: Position, signed: Decimal, price: Decimal, instrument: Instrument, now: int) -> Decimal:
    """Take a fill back, `signed` being its opposite; returns the change of realised profit.

    Exact for a fill that opened, and for one that closed part of what is still open. The entry price of a
    position that is gone is not known any more: there the profit is right in sum, realised or not.
    """
    before = held.quantity
    after = before + signed
    opened = before * signed < 0 and abs(signed) < abs(before)
    if not opened and before * signed <= 0:
        return trade(held, signed, price, instrument, now)
    held.quantity = after
    if opened:
        held.average_price = instrument.average(abs(before), held.average_price, -abs(signed), price)
        return ZERO
    realised = -instrument.profit(signed, held.average_price, price)
    held.realised += realised
    return realised


def _in_settlement(fee: Decimal, fill: Fill, instrument: Instrument) -> Decimal:
    """A fee in the settlement currency; one paid in the base is valued at the fill, a third currency is not."""
    if fill.fee_currency == instrument.settle:
        return fee
    return fee * fill.price if fill.fee_currency == instrument.base else ZERO


def _add(balances: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    if amount:
        balances[currency] = balances.get(currency, ZERO) + amount
