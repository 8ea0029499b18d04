"""An engine that trades at Bybit in a box: bybit_trader.py FOLDER URL ORDERS. It goes on where it was killed."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import attrs

from fairlead import LiveTradingEngine, Order, OrderType, Secret, Strategy
from fairlead_breakers import Limits
from fairlead_bybit import BybitBroker, BybitStream

MS = 1_000_000
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT")
OPEN = ("accepted", "partially_filled")


class Rounds(Strategy):
    """Orders of all kinds in both products, so many, then none: what each is follows from its number alone."""

    def __init__(self, orders: int) -> None:
        self.wanted = orders
        self.made = 0
        self.idle = 0

    def on_start(self) -> None:
        for symbol in SYMBOLS:
            self.watch(symbol, bars="1m", quotes=True, warmup=2)
        self.every("25ms", self.turn)

    def turn(self) -> None:
        if any(self.price(symbol) is None for symbol in SYMBOLS):
            return
        if self.made >= self.wanted:
            for order in self.orders():
                if order.status in OPEN:
                    self.cancel(order)
        elif self.idle > 0:
            self.idle -= 1
        else:
            self.made += 1
            self.place(self.made)
            self.tidy()

    def place(self, number: int) -> None:
        symbol = SYMBOLS[number // 2 % 2]
        price, away = self.price(symbol) or 0.0, 1 if number % 2 else -1
        send = self.buy if number % 2 else self.sell
        terms: list[dict[str, Any]] = [
            {},
            {"limit_price": price * (1 - away * 0.0003)},
            {"limit_price": price * (1 - away * 0.008), "post_only": True},
            {"stop_price": price * (1 + away * 0.0015)},
            {"limit_price": price * (1 + away * 0.002), "time_in_force": "IOC"},
        ]
        send(0.005, instrument=symbol, tag=f"order {number}", **terms[number % len(terms)])

    def tidy(self) -> None:
        resting = [order for order in self.orders() if order.status in OPEN]
        for order in resting[:-5]:
            self.cancel(order)
        if self.made % 7 == 0:
            limits = [order for order in resting[-5:] if order.type is OrderType.LIMIT]
            for order in limits[-1:]:
                way = 1 if order.side == "buy" else -1
                self.replace(order, limit_price=float(order.limit_price or 0) * (1 - way * 0.0005))

    def on_order(self, order: Order) -> None:
        if order.status == "rejected":
            self.idle = 4

    def save(self) -> Any:
        return self.made

    def load(self, saved: Any) -> None:
        self.made = saved


async def main(folder: Path, url: str, orders: int) -> None:
    broker = BybitBroker(
        *SYMBOLS, key=Secret.of("venue-key"), secret=Secret.of("venue-secret"), url=url, valid="1s",
        orders_per_second=1000,
    )  # fmt: skip
    # The way is short: doubts are settled sooner than over the internet.
    broker.profile = attrs.evolve(
        broker.profile, query_lag_ns=0, answer_ns=400 * MS, backfill_ns=1_000 * MS, watch_ns=4_000 * MS
    )
    rounds = Rounds(orders)
    engine = LiveTradingEngine(
        rounds,
        plugins=[broker, BybitStream(*SYMBOLS, url=url), Limits(max_order_value="10_000 USDT")],
        run=folder / "run",
        crash_limit="none",
    )

    async def watch() -> None:
        clean = 0
        while clean < 4:
            await asyncio.sleep(0.1)
            if engine._session is None or not engine._session.started.is_set():
                continue
            (folder / "made").write_text(str(rounds.made))
            settled = rounds.made >= orders and not engine.orders() and engine._session.query(books_agree)
            clean = clean + 1 if settled else 0
        engine.stop("done")

    def books_agree(kernel: Any) -> bool:
        state = kernel.state
        held = {key.instrument: str(one.quantity) for key, one in state.positions.items() if not key.strategy}
        cash = {name: str(amount) for name, amount in state.accounts["bybit"].balances.items()}
        (folder / "books").write_text(json.dumps({"held": held, "cash": cash}))
        return not state.discrepancies

    watching = asyncio.create_task(watch())
    print(await engine.run(), flush=True)
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
