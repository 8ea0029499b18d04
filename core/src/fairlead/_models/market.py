"""Market events: what a stream emits. Prices are floats; times are integer nanoseconds UTC.

These are `msgspec.Struct`s, frozen and without garbage-collector tracking, because one is made for every tick.
`event_ns` is the source's time of the event, `received_ns` the engine's; where a file has no receive times
the two are equal.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


def utc(ns: int) -> datetime:
    """The aware UTC datetime of integer nanoseconds (to the microsecond)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class Quote(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Best bid and ask of one instrument."""

    instrument: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    event_ns: int
    received_ns: int

    @property
    def time(self) -> datetime:
        """When it happened, aware UTC."""
        return utc(self.event_ns)

    @property
    def mid(self) -> float:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2


class Trade(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A public print: somebody traded. Our own executions are `Fill`s.

    `aggressor` is "buy", "sell" or "" where the venue does not say.
    """

    instrument: str
    price: float
    size: float
    event_ns: int
    received_ns: int
    aggressor: str = ""
    trade_id: str = ""

    @property
    def time(self) -> datetime:
        """When it happened, aware UTC."""
        return utc(self.event_ns)


class Bar(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Open, high, low, close of the half-open bucket [open_ns, event_ns); its event time is its close.

    `interval` is "1m", "4h", … or "tick:100", "volume:50", "value:1000000". `volume` is in base units.
    """

    instrument: str
    interval: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    open_ns: int
    event_ns: int
    received_ns: int

    @property
    def time(self) -> datetime:
        """When it closed, aware UTC."""
        return utc(self.event_ns)


class Book(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The best levels of an order book, best first, each (price, size)."""

    instrument: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    event_ns: int
    received_ns: int

    @property
    def time(self) -> datetime:
        """When it stood so, aware UTC."""
        return utc(self.event_ns)


class Mark(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A venue's mark price, which values positions and decides liquidations."""

    instrument: str
    price: float
    event_ns: int
    received_ns: int


class Funding(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A funding settlement: longs pay `rate` of their notional at this moment (shorts, if it is negative)."""

    instrument: str
    rate: float
    event_ns: int
    received_ns: int


class History(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Bars from before: what a stream gave for a warm-up, oldest first."""

    instrument: str
    interval: str
    bars: tuple[Bar, ...]
    event_ns: int
    received_ns: int


MarketEvent = Quote | Trade | Bar | Book | Mark | Funding | History

EVENT_TYPES = frozenset((Quote, Trade, Bar, Book, Mark, Funding, History))
"""Exactly these: a subclass is none of them, because what is recorded could not be read again."""


def kind_of(event: MarketEvent) -> str:
    """The kind of feed that an event belongs to, as in a subscription: quote, trade, …, `bar:INTERVAL`."""
    return f"bar:{event.interval}" if isinstance(event, Bar | History) else type(event).__name__.lower()
