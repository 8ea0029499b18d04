"""A trader that a test kills: trader.py RUN ADDRESS COUNT. It places so many orders in all, one to a quote."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead_breakers import Limits
from fairlead_ib import IbBroker, IbStream

SYMBOL = "AAPL.NASDAQ"


class Dealer(Strategy):
    """Buys and sells in turn, at the market or with a limit that it takes back later."""

    def __init__(self, count: int) -> None:
        super().__init__(allocation="500_000 USD")
        self.count = count
        self.placed = 0

    def on_start(self) -> None:
        self.watch(SYMBOL, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if self.placed < self.count:
            self.placed += 1
            self._deal(quote)
        resting = [order for order in self.orders() if order.type == "limit" and order.status == "accepted"]
        for order in resting[3:] if self.placed < self.count else resting:
            self.cancel(order)

    def _deal(self, quote: Quote) -> None:
        if self.placed == 1:
            self.buy(quantity=100)  # what is sold has to be there
            return
        deal = self.buy if self.placed % 2 else self.sell
        if self.placed % 5 == 0:
            price = quote.bid - 5 if self.placed % 2 else quote.ask + 5
            order = deal(quantity=10, limit_price=price)
        else:
            order = deal(quantity=10)
        if order.denied:
            self.placed -= 1

    def save(self) -> Any:
        return {"placed": self.placed}

    def load(self, saved: Any) -> None:
        self.placed = saved["placed"]


def make(run: Path, address: str, count: int) -> LiveTradingEngine:
    broker = IbBroker(SYMBOL, account="DU1234567", url=address, heartbeat="1s", fee_wait="500ms")
    stream = IbStream(SYMBOL, url=address)
    return LiveTradingEngine(
        Dealer(count),
        plugins=[broker, stream, Limits(max_order_value="100_000 USD")],
        run=run,
        crash_limit=None,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(make(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).run())
