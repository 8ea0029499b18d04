"""Trade a moving-average cross on paper: an invented market, real rules, no key and no network.

python examples/01_paper.py        prints the wiring, trades three hours in 20 seconds, and says what it came to
fairlead run examples/01_paper.py  goes on until Ctrl-C, with a live view and a summary; or add --until 3h

Started again, both go on where they stopped.
"""

import asyncio
from collections import deque

from fairlead import Bar, Fill, LiveTradingEngine, Strategy
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_reconcile import HaltOnMismatch
from fairlead_streams import SyntheticStream


class Cross(Strategy):
    """Long while the fast average of closes is above the slow one, flat otherwise."""

    def __init__(self, symbol: str, fast: int, slow: int) -> None:
        self.symbol = symbol
        self.fast = fast
        self.fills = 0
        self.closes: deque[float] = deque(maxlen=slow)

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=200)

    def on_bar(self, bar: Bar) -> None:
        if not self.closes:  # the first bar: what came before it is in the history
            self.closes.extend(past.close for past in self.history(self.closes.maxlen))
        else:
            self.closes.append(bar.close)
        closes = list(self.closes)
        if len(closes) < (self.closes.maxlen or 0):
            return
        fast, slow = sum(closes[-self.fast :]) / self.fast, sum(closes) / len(closes)
        if fast > slow and not self.position():
            self.buy(value="9_000 USDT")
        elif fast < slow and self.position():
            self.close()

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1


cross = Cross("BTC/USDT", fast=10, slow=30)
engine = LiveTradingEngine(
    cross,
    plugins=[
        PaperBroker(cash="100_000 USDT"),
        SyntheticStream(
            seed=42, speed="600x"
        ),  # ten minutes in a second; without a speed, by the clock on the wall
        Limits(max_order_value="10_000 USDT", max_leverage=2),
        DailyLoss("2_000 USDT"),
        Drawdown("10%"),
        StaleData(after="5s"),
        HaltOnMismatch(every="1m"),
    ],
    run="runs/cross",  # journal, tape, logs and reports of this run live here
)

if __name__ == "__main__":
    print(engine.describe())  # what serves each port and hook, from which distribution and version
    print("\nthree hours of the market, in about 20 seconds; Ctrl-C ends it earlier, in good order")
    reason = asyncio.run(engine.run(until="3h"))
    print(f"{reason}: {cross.fills} fills, equity {cross.equity:,.2f} USDT, fees {cross.pnl().fees:,.2f}")
