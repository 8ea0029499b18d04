"""Accounts: balances, positions and the states that trading can be in."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import attrs

from fairlead._models.words import Word


class TradingState(Word):
    """What the gate lets through. Breakers only lower it; it rises by a person or a breaker's reset rule."""

    ACTIVE = "active"
    REDUCE_ONLY = "reduce_only"
    RECOVERING = "recovering"
    HALTED = "halted"
    KILLED = "killed"

    @property
    def severity(self) -> int:
        """0 is full trading; the more severe of two states wins."""
        return _SEVERITY[self]


_SEVERITY = {state: rank for rank, state in enumerate(TradingState)}

EXTERNAL = "EXTERNAL"
"""The strategy name under which everything stands that nobody here ordered."""

KILL = "kill"
"""The name under which a person's kill stands among the breakers that tripped, and is reset."""


class Leg(Word):
    """Which side of a hedged account a position is on; NET where the account is not hedged."""

    NET = "net"
    LONG = "long"
    SHORT = "short"


class PositionKey(NamedTuple):
    """Whose position of what, where: one account may hold the virtual positions of several strategies.

    The empty strategy is the account itself: its net position as the venue holds it.
    """

    account: str
    instrument: str
    strategy: str
    leg: Leg = Leg.NET


@attrs.define(kw_only=True)
class Position:
    """A signed quantity (negative is short) and what it has earned; flat is absence.

    `average_price` is the entry price of what is open. `realised`, `fees` and `funding` are sums over the life
    of the key, in the instrument's settlement currency; fees and funding are costs when positive.
    """

    key: PositionKey
    quantity: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    opened_ns: int = 0


@attrs.define
class Balance:
    """One currency of one account: the total, and what is neither reserved nor margined."""

    currency: str
    total: Decimal
    available: Decimal


@attrs.frozen
class Profit:
    """Profit and loss in one currency: exact where realised, a float where it depends on a mark.

    `today` is the change of equity since the trading day began, cash flows excluded.
    """

    currency: str
    realised: Decimal
    unrealised: float
    fees: Decimal
    funding: Decimal
    today: float

    @property
    def total(self) -> float:
        """Realised and unrealised less fees and funding."""
        return float(self.realised - self.fees - self.funding) + self.unrealised
