"""What the venue knows of one instrument's market, and at which prices it must look at its orders again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import inf

from fairlead import Bar, Book, Instrument, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_sim.orders import WorkingOrder

INFINITE = Decimal("Infinity")


class Market:
    """One instrument at the venue: the last events and the working orders, oldest first.

    `event` is the event in hand while orders are matched. Nothing can happen while prices stay strictly between
    `low` and `high`: that is how an event with nothing to do costs next to nothing. `margin_low` and
    `margin_high` are the same for liquidation alone.
    """

    __slots__ = (
        "_taken",
        "_used",
        "_used_of",
        "bar",
        "event",
        "high",
        "id",
        "instrument",
        "interval",
        "low",
        "margin_high",
        "margin_low",
        "mark",
        "orders",
        "span",
        "top",
        "trade",
        "walk",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.id = name
        self.instrument: Instrument | None = None
        self.orders: dict[str, WorkingOrder] = {}
        self.top: Quote | Book | None = None
        self.trade: Trade | None = None
        self.bar: Bar | None = None
        self.mark: float | None = None
        self.event: MarketEvent | None = None
        self.interval = ""
        self.span: float = inf
        self.walk: float | None = None
        self.low = self.margin_low = -inf
        self.high = self.margin_high = inf
        self._used: dict[tuple[bool, float], Decimal] = {}
        self._used_of: MarketEvent | None = None
        self._taken = Decimal(0)

    @property
    def rules(self) -> Instrument:
        """The instrument; only for a market that has one."""
        assert self.instrument is not None
        return self.instrument

    @property
    def bars_only(self) -> bool:
        """Whether bars are the finest data seen."""
        return self.top is None and self.trade is None

    @property
    def volume(self) -> float:
        """The traded size of the event in hand: a bar's volume, a trade's size, else infinite."""
        event = self.event
        size = event.volume if isinstance(event, Bar) else event.size if isinstance(event, Trade) else inf
        return size if size >= 0 else inf

    @property
    def price(self) -> float | None:
        """What values a position: the venue's mark where there is one, else the freshest price known."""
        if self.mark is not None:
            return self.mark
        bid, ask = self.touch()
        if bid is not None and ask is not None:
            return (bid + ask) / 2
        return bid if ask is None else ask

    @property
    def strained(self) -> bool:
        """Whether the price is where positions may have to be liquidated."""
        if self.margin_low == -inf and self.margin_high == inf:
            return False
        price = self.price
        return price is not None and not self.margin_low < price < self.margin_high

    def touch(self) -> tuple[float | None, float | None]:
        """Best bid and best ask; the last price is both where no quote was seen; None where there is none."""
        bids, asks = self.levels(buy=False), self.levels(buy=True)
        return (bids[0][0] if bids else None), (asks[0][0] if asks else None)

    def levels(self, *, buy: bool) -> Sequence[tuple[float, float]]:
        """What an aggressive order meets, best first: (price, size), infinite where the data do not say."""
        top = self.top
        if self.walk is not None:
            return ((self.walk, inf),)
        if isinstance(top, Quote):
            price, size = (top.ask, top.ask_size) if buy else (top.bid, top.bid_size)
            return ((price, size if size > 0 else inf),) if 0 < price < inf else ()
        if top is not None:
            return top.asks if buy else top.bids
        if self.trade is not None:
            return ((self.trade.price, inf),)
        return ((self.bar.close, inf),) if self.bar is not None else ()

    def prints(self, *, buy: bool) -> Sequence[tuple[float, float]]:
        """What a resting order meets: a public trade with its size, else the other side as an aggressive one does."""
        event = self.event
        if isinstance(event, Trade) and self.walk is None:
            return ((event.price, event.size if event.size > 0 else inf),)
        return self.levels(buy=buy)

    def displayed(self, *, buy: bool, price: float) -> float:
        """The size shown at a price on the own side: what queues ahead of a new order there.

        Behind the best price of a quote nothing is shown; the best price's size is taken for it.
        """
        top = self.top
        if isinstance(top, Quote):
            best, size = (top.bid, top.bid_size) if buy else (top.ask, top.ask_size)
            return size if (price <= best if buy else price >= best) else 0.0
        if top is not None:
            return next((size for level, size in (top.bids if buy else top.asks) if level == price), 0.0)
        return 0.0

    def left(self, *, buy: bool, price: float, size: float) -> Decimal:
        """What own orders have left of a level of the event in hand."""
        if size == inf:
            return INFINITE
        used = self._used.get((buy, price)) if self._used_of is self.event else None
        return Decimal(str(size)) - (used or Decimal(0))

    @property
    def taken(self) -> Decimal:
        """What own orders traded on the event in hand."""
        return self._taken if self._used_of is self.event else Decimal(0)

    def use(self, *, buy: bool, price: float, quantity: Decimal) -> None:
        """Take a quantity out of a level of the event in hand."""
        if self._used_of is not self.event:
            self._used_of = self.event
            self._used = {}
            self._taken = Decimal(0)
        self._used[buy, price] = self._used.get((buy, price), Decimal(0)) + quantity
        self._taken += quantity

    def finest(self, bar: Bar) -> bool:
        """Whether to match against this bar: no quote or trade was ever seen, and no bar of a smaller interval."""
        if bar.interval != self.interval:
            span = 0 if ":" in bar.interval else duration(bar.interval)
            if span >= self.span:
                return False
            self.interval, self.span = bar.interval, span
        return self.top is None and self.trade is None

    def arm(self) -> None:
        """Work out anew between which prices nothing can happen to the orders."""
        low, high = (self.margin_low, self.margin_high) if self.mark is None else (-inf, inf)
        for order in self.orders.values():
            if not order.triggered:
                if order.stop is None or (order.trail and not order.peak):
                    low = inf
                elif order.buy:
                    high = min(high, order.stop)
                    low = max(low, order.peak)
                else:
                    low = max(low, order.stop)
                    high = min(high, order.peak or high)
            elif order.fresh or order.limit is None:
                low = inf
            elif order.buy:
                low = max(low, order.limit)
            else:
                high = min(high, order.limit)
        self.low, self.high = low, high
