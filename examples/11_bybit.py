"""Trade at Bybit: in a box by default, so without a key or the network; then on its testnet; then for real.

python examples/11_bybit.py            a venue on this machine, with Bybit's protocol and an invented market
python examples/11_bybit.py --testnet  Bybit's testnet; the key is in BYBIT_KEY and BYBIT_SECRET
python examples/11_bybit.py --live     real money, a few dollars of it
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from fairlead import Fill, LiveTradingEngine, Order, Secret, Strategy
from fairlead_breakers import DailyLoss, Limits, StaleData
from fairlead_bybit import BybitBroker, BybitStream
from fairlead_reconcile import HaltOnMismatch
from fairlead_venue import Venue

SYMBOL = "BTC/USDT:USDT"
BOX_KEY = f"box-{os.getpid()}"


class Dip(Strategy):
    """Bids a little below the market; what it gets it sells again, and then it is done."""

    finish: Callable[[], None]

    def on_start(self) -> None:
        self.watch(SYMBOL, quotes=True)
        self.bid: Order | None = None
        self.done = False
        self.every("500ms", self.follow)

    def follow(self) -> None:
        price = self.price()
        if price is None or self.position() or self.done:
            return
        if self.bid is None or self.bid.status in ("canceled", "rejected", "expired", "denied"):
            self.bid = self.buy(0.002, limit_price=price * 0.9999)
        elif self.bid.status == "accepted":
            self.replace(self.bid, limit_price=price * 0.9999)

    def on_fill(self, fill: Fill) -> None:
        print(f"{fill.side} {fill.quantity} at {fill.price}, fee {fill.fee} {fill.fee_currency}")
        if fill.side == "buy":
            self.close()
        else:
            self.done = True
            self.finish()


def engine_of(dip: Dip, where: str, url: str = "") -> LiveTradingEngine:
    """The same engine for each of the three."""
    environment = "live" if where == "live" else "testnet"
    keys: dict[str, Any] = {"key": "secret:BYBIT_KEY", "secret": "secret:BYBIT_SECRET"}
    run = f"runs/bybit-{where}"
    if url:  # an account is one by its key: each box is a new one
        keys = {"key": Secret.of(BOX_KEY), "secret": Secret.of("box-secret")}
        run = f"{run}-{os.getpid()}"
    return LiveTradingEngine(
        dip,
        plugins=[
            BybitBroker(SYMBOL, environment=environment, url=url, **keys),
            BybitStream(SYMBOL, environment=environment, url=url),
            Limits(max_order_value="500 USDT"),
            DailyLoss("50 USDT"),
            StaleData(after="10s"),
            HaltOnMismatch(every="1m"),
        ],
        run=run,
        live=where == "live",
    )


async def trade(where: str) -> None:
    """Until it has bought and sold once."""
    dip = Dip()
    with contextlib.ExitStack() as stack:
        url = ""
        if where == "box":
            box = Venue("bybit", synthetic=True, process=True, key=BOX_KEY, secret="box-secret")
            url = stack.enter_context(box).addresses["rest"]
        engine = engine_of(dip, where, url)
        dip.finish = lambda: engine.stop("bought and sold")
        print(await engine.run())


if __name__ == "__main__":
    asyncio.run(trade("live" if "--live" in sys.argv else "testnet" if "--testnet" in sys.argv else "box"))
