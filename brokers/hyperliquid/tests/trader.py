"""The engine of the story: trader.py RUN REST ACCOUNT; its key is in HYPERLIQUID_AGENT_KEY."""

import asyncio
import sys
from typing import Any

from fairlead import LiveTradingEngine, Strategy
from fairlead_breakers import DailyLoss, Limits, StaleData
from fairlead_hyperliquid import HyperliquidBroker, HyperliquidStream
from fairlead_reconcile import WarnOnly

BTC = "BTC/USDC:USDC"
ORDERS = 210


class Busy(Strategy):
    """Over two hundred orders: at the market, resting near and far, canceled and let be; then it cleans up."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.step = 0
        self.said = False

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)
        self.every("25ms", self.act)

    def act(self) -> None:
        price = self.price()
        if price is None:
            return
        if self.sent >= ORDERS:
            for order in self.orders():
                self.cancel(order)
            if not self.orders() and not self.said:
                self.said = True
                self.note("done")
            return
        self.step += 1
        side, way = (self.buy, 1) if self.step // 4 % 2 else (self.sell, -1)
        match self.step % 4:
            case 0:
                order = side("0.002")
            case 1:
                order = side("0.003", limit_price=price * (1 - way * 0.0001))
            case 2:
                order = side("0.002", limit_price=price * (1 - way * 0.01), post_only=True)
            case _:
                for order in self.orders()[:3]:
                    self.cancel(order)
                order = side("0.001", limit_price=price * (1 + way * 0.001), time_in_force="IOC")
        self.sent += order.status != "denied"  # as it is while a connection is gone

    def save(self) -> Any:
        return {"sent": self.sent, "step": self.step}

    def load(self, saved: Any) -> None:
        self.sent, self.step = saved["sent"], saved["step"]


def make_engine(run: str, rest: str, account: str) -> LiveTradingEngine:
    return LiveTradingEngine(
        Busy(),
        plugins=[
            HyperliquidBroker(BTC, account=account, key="secret:HYPERLIQUID_AGENT_KEY", url=rest, valid="1s"),
            HyperliquidStream(BTC, url=rest),
            Limits(max_order_value="10_000 USDC"),
            DailyLoss("50_000 USDC"),
            StaleData(after="30s"),
            WarnOnly(every="10s"),
        ],
        run=run,
    )


if __name__ == "__main__":
    asyncio.run(make_engine(*sys.argv[1:4]).run())
