"""fairlead as the benchmarks run it: one instrument, the default breakers, an order on every N-th event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import series
from fairlead import Bar, Instrument, LiveTradingEngine, Quote, Result, Strategy, Trade, default_instrument
from fairlead.ports import CircuitBreaker, MarketEvent, Subscription
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_sim import SimulatedBroker
from fairlead_streams import ReplayStream, ReplayTime

SYMBOL, VENUE = "BTC/USDT", "sim"
QUANTITY = "0.01"
CASH = "1_000_000 USDT"


def instrument(venue: str = VENUE) -> Instrument:
    return default_instrument(SYMBOL, venue, tick="0.01", fee="0.0005")


def breakers() -> list[CircuitBreaker]:
    """The set that the example of a first script has."""
    return [
        Limits(max_order_value="10_000 USDT", max_leverage=2),
        DailyLoss("2_000 USDT"),
        Drawdown("10%"),
        StaleData(after="5s"),
    ]


class EveryN(Strategy):
    """Reads each price and sends a market order every N events, the first after half of N, or after N."""

    running: ClassVar[EveryN | None] = None  # the copy that a backtest makes

    def __init__(self, kind: str, every: int, *, half: bool = True) -> None:
        super().__init__()
        self.kind = kind
        self.gap = every
        self.seen = self.first = every // 2 if half else 0
        self.last_price = 0.0
        self.next = self.buy

    def on_start(self) -> None:
        EveryN.running = self
        self.watch(SYMBOL, bars="1m" if self.kind == "bars" else (), quotes=self.kind == "quotes",
                   trades=self.kind == "trades")  # fmt: skip

    def on_quote(self, quote: Quote) -> None:
        self.last_price = quote.bid
        self.seen += 1
        if self.seen % self.gap == 0:
            self.trade()

    def on_bar(self, bar: Bar) -> None:
        self.last_price = bar.close
        self.seen += 1
        if self.seen % self.gap == 0:
            self.trade()

    def on_trade(self, trade: Trade) -> None:
        self.last_price = trade.price
        self.seen += 1
        if self.seen % self.gap == 0:
            self.trade()

    def trade(self) -> None:
        self.next(quantity=QUANTITY)
        self.next = self.sell if self.next == self.buy else self.buy


def replay(kind: str, columns: series.Columns) -> ReplayStream:
    """The columns as a stream."""
    make: Any = ReplayStream.quotes if kind == "quotes" else ReplayStream.bars
    stream: ReplayStream = make(instrument(), *columns.values())
    return stream


class Laps:
    """The same quotes again and again, later each time: as many events as wanted from little memory."""

    name = "laps"

    def __init__(self, columns: series.Columns, laps: int) -> None:
        self._columns = columns
        self._laps = laps

    async def instruments(self) -> Sequence[Instrument]:
        return [instrument()]

    def offers(self, name: str) -> tuple[str, ...]:
        return ("quote",) if name in {SYMBOL, instrument().id} else ()

    def replay(self, subscriptions: Sequence[Subscription]) -> Iterator[MarketEvent]:
        prices = [self._columns[name] for name in ("bid", "ask", "bid_size", "ask_size")]
        length = len(prices[0]) * series.QUOTE_STEP_NS
        for lap in range(self._laps):
            begin = series.START_NS + lap * length
            times = range(begin, begin + length, series.QUOTE_STEP_NS)
            yield from map(Quote, repeat(instrument().id), *prices, times, times)

    def time(self) -> ReplayTime:
        return ReplayTime(series.START_NS)

    async def connect(self, emit: Any, clock: Any) -> None: ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        return frozenset(subscriptions)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None: ...

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        return ()

    async def close(self) -> None: ...


def backtest(strategy: Strategy, stream: Any, folder: Path) -> Result:
    """Run to the end of the data; the result."""
    plugins = [SimulatedBroker(CASH), stream, *breakers()]
    return LiveTradingEngine(strategy, plugins=plugins, run=folder).backtest()
