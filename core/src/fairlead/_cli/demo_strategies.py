"""The two strategies of the demo: one follows a trend, one bets on its end. Neither is advice."""

from __future__ import annotations

from statistics import fmean, pstdev

from fairlead import Bar, Order, Strategy


class Trend(Strategy):
    """Buys when the fast average of closes crosses above the slow one, and lets a trailing stop end it."""

    def __init__(self, symbol: str, fast: int = 8, slow: int = 24, trail: str = "0.6%") -> None:
        super().__init__(name="Trend", allocation="50%")
        self.symbol = symbol
        self.fast, self.slow, self.trail = fast, slow, trail
        self.was_above = True  # no entry into a trend that is already old

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=2 * self.slow)

    def on_bar(self, bar: Bar) -> None:
        closes = [past.close for past in self.history(self.slow)]
        if len(closes) < self.slow:
            return
        above = fmean(closes[-self.fast :]) > fmean(closes)
        crossed, self.was_above = above and not self.was_above, above
        if crossed and not self.position() and not self.orders():
            self.buy(percent="80%")
        elif self.position() and not above:
            self.close()  # takes the trailing stop back first

    def on_order(self, order: Order) -> None:
        if order.side == "buy" and order.closed and order.filled_quantity:
            self.sell(order.filled_quantity, trail=self.trail, reduce_only=True)


class Reversion(Strategy):
    """Waits with a limit order below the average, or above it, for the way back; a bracket guards what fills."""

    def __init__(self, symbol: str, window: int = 20, width: float = 1.2, patience: int = 20) -> None:
        super().__init__(name="Reversion", allocation="50%")
        self.symbol = symbol
        self.window, self.width, self.patience = window, width, patience
        self.quote_order: Order | None = None
        self.bars_held = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=self.window)

    def on_bar(self, bar: Bar) -> None:
        closes = [past.close for past in self.history(self.window)]
        if len(closes) < self.window:
            return
        self.bars_held = self.bars_held + 1 if self.position() else 0
        if self.bars_held:
            if self.bars_held > self.patience:
                self.close()  # the average did not come back: take the exits away and leave
            return
        if self.quote_order is not None:
            self.cancel(self.quote_order)  # at the price of a minute ago; harmless where it has ended
        mean, band = fmean(closes), self.width * pstdev(closes)
        if band < bar.close * 0.0015:  # fees would eat the way back
            return
        place, sign = (self.buy, -1) if bar.close < mean else (self.sell, 1)
        self.quote_order = place(
            percent="60%",
            limit_price=mean + sign * band,
            take_profit=mean,
            stop_loss=mean + sign * 3 * band,
            time_in_force="GTD",
            expires="5m",
        )
