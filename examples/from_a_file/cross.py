"""The strategy of fairlead.toml: a moving-average cross on minute bars."""

from collections import deque

from fairlead import Bar, Strategy


class Cross(Strategy):
    """Long while the fast average of closes is above the slow one, flat otherwise."""

    def __init__(self, symbol: str, fast: int = 10, slow: int = 30) -> None:
        self.symbol = symbol
        self.fast = fast
        self.closes: deque[float] = deque(maxlen=slow)

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m")

    def on_bar(self, bar: Bar) -> None:
        self.closes.append(bar.close)
        closes = list(self.closes)
        if len(closes) < (self.closes.maxlen or 0):
            return
        fast, slow = sum(closes[-self.fast :]) / self.fast, sum(closes) / len(closes)
        if fast > slow and not self.position():
            self.buy(percent="50%")
        elif fast < slow and self.position():
            self.close()
