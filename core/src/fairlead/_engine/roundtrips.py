"""Round trips: what was opened and closed again, from fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import attrs

from fairlead._models.instrument import Instrument
from fairlead._models.orders import Fill, Side

ZERO = Decimal(0)


@attrs.frozen(kw_only=True)
class RoundTrip:
    """A position from flat to flat (or through it). `profit` is in the settlement currency, fees taken off."""

    strategy: str
    account: str
    instrument: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    profit: Decimal
    fees: Decimal
    opened_ns: int
    closed_ns: int


@attrs.define
class _Open:
    signed: Decimal
    bought: Decimal
    value_in: Decimal
    closed: Decimal
    value_out: Decimal
    fees: Decimal
    opened_ns: int


def round_trips(fills: Iterable[Fill], instrument_of: Callable[[str], Instrument]) -> list[RoundTrip]:
    """Closed trades per account, instrument and strategy, in the order in which they closed."""
    trips: list[RoundTrip] = []
    standing: dict[tuple[str, str, str], _Open] = {}
    for fill in fills:
        key = (fill.account, fill.instrument, fill.strategy)
        left = fill.quantity if fill.side is Side.BUY else -fill.quantity
        fee = fill.fee
        now = standing.get(key)
        if now is not None and (now.signed > 0) != (left > 0):
            closing = min(abs(left), abs(now.signed))
            part = fee * closing / fill.quantity
            now.closed += closing
            now.value_out += closing * fill.price
            now.fees += part
            fee -= part
            change = closing if left > 0 else -closing
            now.signed += change
            left -= change
            if now.signed == 0:
                trips.append(_trip(key, now, fill, instrument_of(fill.instrument)))
                del standing[key]
                now = None
        if left:
            if now is None:
                now = standing[key] = _Open(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, fill.event_ns)
            now.signed += left
            now.bought += abs(left)
            now.value_in += abs(left) * fill.price
            now.fees += fee
    return trips


def _trip(key: tuple[str, str, str], done: _Open, fill: Fill, instrument: Instrument) -> RoundTrip:
    entry, leaving = done.value_in / done.bought, done.value_out / done.closed
    side = Side.SELL if fill.side is Side.BUY else Side.BUY
    signed = done.bought if side is Side.BUY else -done.bought
    return RoundTrip(
        strategy=key[2],
        account=key[0],
        instrument=key[1],
        side=side,
        quantity=done.bought,
        entry_price=entry,
        exit_price=leaving,
        profit=instrument.profit(signed, entry, leaving) - done.fees,
        fees=done.fees,
        opened_ns=done.opened_ns,
        closed_ns=fill.event_ns,
    )
