"""The venue under test: the other end of an adapter, which a test can make do what venues do."""

from __future__ import annotations

import enum
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Protocol

from fairlead import OrderType, Quote, Side
from fairlead.ports import Clock, Submit
from fairlead.testing import VirtualClock


class Fault(enum.StrEnum):
    """What a venue under test, or the way to it, can be made to do. Each happens once, to what comes next."""

    LOSE = "lose"
    """The next command never arrives; the connection stays."""
    LOSE_ANSWER = "lose_answer"
    """The next command arrives and is obeyed; its answer is lost, and what the venue pushes at once with it."""
    DUPLICATE = "duplicate"
    """What is said about the next order comes twice."""
    REORDER = "reorder"
    """The next two things said of an order change places: the fill comes before the acceptance."""
    CUT = "cut"
    """The connection breaks now. The venue goes on, and lets the adapter connect again."""
    STALL = "stall"
    """From now on nothing comes and nothing is said, until the adapter connects again."""
    BAN = "ban"
    """The next command is refused, because there were too many."""
    SKEW = "skew"
    """From now on the venue's clock is 10 s ahead."""
    GARBAGE = "garbage"
    """The next thing that is said about an order cannot be read at all."""
    UNKNOWN_WORD = "unknown_word"
    """The next thing that is said about an order has a word in it that nobody knows."""
    MISSING_FIELD = "missing_field"
    """The next thing that is said about an order lacks a field that it should have."""


class Venue(Protocol):
    """A venue under test. The author of an adapter supplies one; a stream's source is one as well.

    `virtual` says that all of it lives in this process without a socket, so that time can leap; else the cases run in
    real time. `faults` are those that it can do: the cases of the others are skipped by name. One that can fill a part
    of an order has besides `async fill(client_order_id, quantity)`, one that has public trades
    `async trade(instrument, price, size)`.
    """

    virtual: bool
    faults: Collection[Fault]

    @property
    def clock(self) -> Clock:
        """The clock that the adapter gets, the same time as the venue's."""
        ...

    async def open(self) -> None:
        """Begin, with an account that has money and no orders. Called in the loop of each case, before `make`."""
        ...

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        """The market is there now: what rests and is reached fills, up to the size; market orders fill at it."""
        ...

    async def fault(self, fault: Fault) -> None:
        """Let this happen."""
        ...

    async def close(self) -> None:
        """End, leaving nothing open."""
        ...


class MarketVenue:
    """A broker that simulates is its own venue: it is shown the market by its own `market(event)`."""

    virtual = True
    faults: Collection[Fault] = ()

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.clock = VirtualClock()
        self.orders: dict[str, Submit] = {}

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """It needs no end."""

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        """Show it a quote."""
        now = self.clock.now()
        self.broker.market(Quote(instrument, bid, ask, size, size, now, now))

    async def fill(self, client_order_id: str, quantity: Decimal) -> None:
        """Show it a quote of just this size at the order's own price, and go away again."""
        intent = self.orders[client_order_id].intent
        assert intent.type is OrderType.LIMIT and intent.limit_price is not None
        price, size = float(intent.limit_price), float(quantity)
        away = price * (1.02 if intent.side is Side.BUY else 0.98)
        if intent.side is Side.BUY:
            await self.quote(intent.instrument, price * 0.98, price, size)
        else:
            await self.quote(intent.instrument, price, price * 1.02, size)
        await self.quote(intent.instrument, min(away, away * 1.001), max(away, away * 1.001), 1e6)

    async def fault(self, fault: Fault) -> None:
        """It can none."""
        raise NotImplementedError(fault)
