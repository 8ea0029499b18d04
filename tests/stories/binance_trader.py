"""An engine that trades at a Binance in a box, and goes on where it was killed.

binance_trader.py FOLDER URL PRODUCT STEPS
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import attrs

from fairlead import LiveTradingEngine, Order, OrderType, Secret, Strategy
from fairlead_binance import BinanceBroker, BinanceStream
from fairlead_breakers import Limits

MS = 1_000_000
SYMBOLS = {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"}


class Busy(Strategy):
    """One order at each step, until it has made them all; what a step does follows from its number alone."""

    def __init__(self, symbol: str, steps: int) -> None:
        self.symbol = symbol
        self.steps = steps
        self.step = 0
        self.pause = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", quotes=True, warmup=3)
        self.every("20ms", self.act)

    def act(self) -> None:
        price = self.price()
        if price is None:
            return
        if self.step == self.steps:
            for order in self.orders():
                if order.status != "pending_cancel":
                    self.cancel(order)
            return
        self.pause -= 1
        if self.pause > 0:
            return
        self.step += 1
        side, way = (self.buy, 1) if self.step % 2 else (self.sell, -1)
        tag = f"step {self.step}"
        match self.step % 6:
            case 0 | 1:
                side(0.004, tag=tag)
            case 2 | 3:
                side(0.004, limit_price=price * (1 - way * 0.0004), tag=tag)
            case 4:
                side(0.004, stop_price=price * (1 + way * 0.002), tag=tag)
            case _:
                side(0.004, limit_price=price * (1 - way * 0.01), post_only=True, tag=tag)
        for order in self._limits()[:-4]:
            self.cancel(order)
        for order in self._limits()[-1:]:
            if self.step % 10 == 0:
                self.replace(order, limit_price=price * (1 - way * 0.005))

    def on_order(self, order: Order) -> None:
        if order.status == "rejected" and "not sent" in str(order.reasons):
            self.pause = 10  # there is no connection: it will be back

    def _limits(self) -> list[Order]:
        kinds = (OrderType.LIMIT, OrderType.STOP)
        return [o for o in self.orders() if o.type in kinds and o.status in ("accepted", "partially_filled")]

    def save(self) -> Any:
        return {"step": self.step}

    def load(self, saved: Any) -> None:
        self.step = saved["step"]


async def main(folder: Path, url: str, product: str, steps: int) -> None:
    symbol = SYMBOLS[product]
    broker = BinanceBroker(
        symbol,
        key=Secret.of("venue-key"),
        secret=Secret.of("venue-secret"),
        product=product,
        url=url,
        valid="1s",
    )
    # Quick to be sure, since the way is short, and told of a loss soon.
    broker.profile = attrs.evolve(
        broker.profile,
        query_lag_ns=0,
        answer_ns=500 * MS,
        backfill_ns=1_000 * MS,
        watch_ns=5_000 * MS,
        rate_limits=(),
    )
    busy = Busy(symbol, steps)
    engine = LiveTradingEngine(
        busy,
        plugins=[
            broker,
            BinanceStream(symbol, product=product, url=url),
            Limits(max_order_value="10_000 USDT"),
        ],
        run=folder / "run",
        crash_limit="none",
    )

    async def watch() -> None:
        clean = 0
        while clean < 5:
            await asyncio.sleep(0.1)
            if engine._session is not None and engine._session.started.is_set():
                (folder / "step").write_text(str(busy.step))
                over = busy.step == steps and not engine.orders()
                agrees = over and engine._session.query(_agrees)
                clean = clean + 1 if agrees else 0
        engine.stop("done")

    watching = asyncio.create_task(watch())
    reason = await engine.run()
    watching.cancel()
    print(reason, flush=True)


def _agrees(kernel: Any) -> bool:
    state = kernel.state
    account = state.accounts["binance"]
    books = {
        "balances": {currency: str(amount) for currency, amount in account.balances.items()},
        "positions": {
            key.instrument: [str(held.quantity), str(held.average_price)]
            for key, held in state.positions.items()
            if not key.strategy and held.quantity
        },
    }
    (Path(sys.argv[1]) / "books").write_text(json.dumps(books))
    return not state.discrepancies


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
