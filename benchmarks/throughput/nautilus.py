"""One timed run of NautilusTrader's BacktestEngine; runs in the peers' environment."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import nautilus_trader
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from benchmarks import series
from benchmarks.rig import arguments, reply
from benchmarks.throughput import CASH, QUANTITY

VENUE = Venue("SIM")
ID = InstrumentId(Symbol("BTC/USDT"), VENUE)
BARS = BarType.from_str("BTC/USDT.SIM-1-MINUTE-LAST-EXTERNAL")


class EveryN(Strategy):
    """Reads each price and sends a market order every N events."""

    def __init__(self, kind: str, every: int) -> None:
        super().__init__()
        self.kind = kind
        self.every = every
        self.seen = every // 2
        self.price: object = None
        self.next = OrderSide.BUY

    def on_start(self) -> None:
        if self.kind == "quotes":
            self.subscribe_quote_ticks(ID)
        else:
            self.subscribe_bars(BARS)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.price = tick.bid_price
        self.seen += 1
        if self.seen % self.every == 0:
            self.trade()

    def on_bar(self, bar: Bar) -> None:
        self.price = bar.close
        self.seen += 1
        if self.seen % self.every == 0:
            self.trade()

    def trade(self) -> None:
        side, self.next = self.next, OrderSide.SELL if self.next == OrderSide.BUY else OrderSide.BUY
        self.submit_order(self.order_factory.market(ID, side, Quantity.from_str(QUANTITY)))


def instrument() -> CurrencyPair:
    return CurrencyPair(
        instrument_id=ID, raw_symbol=Symbol("BTCUSDT"), base_currency=BTC, quote_currency=USDT,
        price_precision=series.PRICE_DECIMALS, size_precision=series.SIZE_DECIMALS,
        price_increment=price(10**-series.PRICE_DECIMALS), size_increment=quantity(10**-series.SIZE_DECIMALS),
        ts_event=0, ts_init=0, maker_fee=Decimal("0.0005"), taker_fee=Decimal("0.0005"),
    )  # fmt: skip


def events(kind: str, columns: series.Columns) -> list[Any]:
    rows = zip(*columns.values(), strict=True)
    if kind == "quotes":
        return [
            QuoteTick(ID, price(bid), price(ask), quantity(bid_size), quantity(ask_size), at, at)
            for at, bid, ask, bid_size, ask_size in rows
        ]
    return [
        Bar(BARS, price(first), price(high), price(low), price(last), quantity(volume), at, at)
        for at, first, high, low, last, volume in rows
    ]


def price(value: float) -> Price:
    return Price(value, series.PRICE_DECIMALS)


def quantity(value: float) -> Quantity:
    return Quantity(value, series.SIZE_DECIMALS)


def side_of(order: Any) -> str:
    return "buy" if order.side == OrderSide.BUY else "sell"


def main() -> None:
    task = arguments()
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        VENUE, oms_type=OmsType.NETTING, account_type=AccountType.CASH, starting_balances=[Money(CASH, USDT)]
    )
    engine.add_instrument(instrument())
    engine.add_data(events(task["kind"], series.load(task["kind"], Path(task["folder"]))))
    strategy = EveryN(task["kind"], task["every"])
    engine.add_strategy(strategy)
    begun = perf_counter()
    engine.run()
    seconds = perf_counter() - begun
    orders = sorted(engine.cache.orders(), key=lambda order: order.ts_init)
    sides = [side_of(order) for order in orders if order.is_closed and order.filled_qty]
    reply({
        "seconds": seconds, "seen": strategy.seen - task["every"] // 2, "sides": sides,
        "version": f"nautilus_trader {nautilus_trader.__version__}",
    })  # fmt: skip


if __name__ == "__main__":
    main()
