"""An engine that waits: one strategy that watches an invented market by the clock on the wall, until it is stopped."""

from __future__ import annotations

import asyncio

from fairlead import LiveTradingEngine, Strategy
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_reconcile import HaltOnMismatch
from fairlead_streams import SyntheticStream


class Watching(Strategy):
    """It wants bars with their history, and does nothing with them."""

    def on_start(self) -> None:
        self.watch("BTC/USDT", bars="1m", warmup=200)


engine = LiveTradingEngine(
    Watching(),
    plugins=[
        PaperBroker(cash="100_000 USDT"),
        SyntheticStream(seed=42),
        Limits(max_order_value="10_000 USDT", max_leverage=2),
        DailyLoss("2_000 USDT"),
        Drawdown("10%"),
        StaleData(after="5s"),
        HaltOnMismatch(every="1m"),
    ],
    run="runs/idle",
)

if __name__ == "__main__":
    asyncio.run(engine.run())
