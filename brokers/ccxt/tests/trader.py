"""An engine that trades by ccxt at a Binance in a box, and goes on where it was killed: trader.py FOLDER URL STEPS."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import attrs

from fairlead import LiveTradingEngine, Secret, Strategy
from fairlead_breakers import Limits
from fairlead_ccxt import CcxtBroker, CcxtStream

MS = 1_000_000
SYMBOL = "BTC/USDT"


class Steps(Strategy):
    """Order number N follows from N alone: had the journal lost one, the next life would place it again."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.step = 0

    def on_start(self) -> None:
        self.watch(SYMBOL, quotes=True)
        self.every("25ms", self.act)

    def act(self) -> None:
        price = self.price()
        if price is None:
            return
        resting = [order for order in self.orders() if order.status in ("accepted", "partially_filled")]
        done = self.step == self.steps
        for order in resting if done else resting[:-3]:
            self.cancel(order)
        if done:
            return
        self.step += 1
        buys = self.step % 2
        side, away = (self.buy, 0.995) if buys else (self.sell, 1.005)
        if self.step % 4 < 2:
            side(0.004, tag=f"step {self.step}")
        else:
            side(0.004, limit_price=price * away, tag=f"step {self.step}")

    def save(self) -> Any:
        return {"step": self.step}

    def load(self, saved: Any) -> None:
        self.step = saved["step"]


async def main(folder: Path, url: str, steps: int) -> None:
    broker = CcxtBroker(
        "binance", SYMBOL, key=Secret.of("venue-key"), secret=Secret.of("venue-secret"), url=url, valid="1s"
    )
    quick = {
        "query_lag_ns": 0,
        "answer_ns": 500 * MS,
        "backfill_ns": 1000 * MS,
        "watch_ns": 5000 * MS,
        "rate_limits": (),
    }
    broker.profile = attrs.evolve(broker.profile, **quick)
    strategy = Steps(steps)
    engine = LiveTradingEngine(
        strategy,
        plugins=[broker, CcxtStream("binance", SYMBOL, url=url), Limits(max_order_value="10_000 USDT")],
        run=folder / "run",
        crash_limit="none",
    )

    async def watch() -> None:
        clean = 0
        while clean < 5:
            await asyncio.sleep(0.1)
            (folder / "step").write_text(str(strategy.step))
            if strategy.step == steps and engine._session is not None and not engine.orders():
                clean = clean + 1 if engine._session.query(lambda kernel: _agrees(kernel, folder)) else 0
        engine.stop("done")

    watching = asyncio.create_task(watch())
    print(await engine.run(), flush=True)
    watching.cancel()


def _agrees(kernel: Any, folder: Path) -> bool:
    balances = kernel.state.accounts["binance"].balances
    (folder / "books").write_text(
        json.dumps({currency: str(amount) for currency, amount in balances.items()})
    )
    return not kernel.state.discrepancies


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
