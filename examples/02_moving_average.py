"""A moving-average cross on minute bars: the same script backtests and trades on paper.

fairlead backtest examples/02_moving_average.py --data FILE --symbol BTC/USDT:USDT ...
fairlead run examples/02_moving_average.py
"""

from collections import deque

from fairlead import Bar, LiveTradingEngine, Strategy
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class Cross(Strategy):
    """Long while the fast average of closes is above the slow one, flat otherwise."""

    def __init__(self, symbol: str, fast: int, slow: int) -> None:
        self.symbol = symbol
        self.fast = fast
        self.slow = slow
        self.closes: deque[float] = deque(maxlen=slow)

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=self.slow)
        self.closes.extend(bar.close for bar in self.history(self.slow))

    def on_bar(self, bar: Bar) -> None:
        self.closes.append(bar.close)
        if len(self.closes) < self.slow:
            return
        closes = list(self.closes)
        fast = sum(closes[-self.fast :]) / self.fast
        slow = sum(closes) / self.slow
        if fast > slow and not self.position():
            self.buy(percent="50%")
        elif fast < slow and self.position():
            self.close()


engine = LiveTradingEngine(
    Cross("BTC/USDT:USDT", fast=30, slow=200),
    plugins=[
        PaperBroker(cash="100_000 USDT"),
        SyntheticStream("BTC/USDT:USDT", seed=42, duration="1d"),
        Limits(max_order_value="200_000 USDT", max_leverage=2),
        DailyLoss("5_000 USDT"),
        Drawdown("30%"),
        StaleData(after="5s"),
    ],
    run="runs/moving-average",
)

if __name__ == "__main__":
    print(engine.describe())
    result = engine.backtest()
    for account in result.accounts:
        print(
            f"{result.trades} trades, {result.fills_count} fills, {account.fees:.2f} {account.currency} of fees"
        )
        print(
            f"equity {account.equity_start:,.2f} to {account.equity_end:,.2f}, journal {result.journal_hash}"
        )
