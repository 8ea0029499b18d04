"""Strategies that do everything a strategy can do, for the proofs that runs agree with each other."""

import asyncio
import random
from collections import deque
from typing import Any

from fairlead import Bar, Fill, Order, Quote, Strategy, Trade

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class Cross(Strategy):
    def __init__(self, symbol: str, fast: int, slow: int, **more: Any) -> None:
        super().__init__(**more)
        self.symbol, self.fast = symbol, fast
        self.closes: deque[float] = deque(maxlen=slow)

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=self.closes.maxlen or 0)

    def on_bar(self, bar: Bar) -> None:
        self.closes.append(bar.close)
        closes = list(self.closes)
        fast, slow = sum(closes[-self.fast :]) / self.fast, sum(closes) / len(closes)
        if fast > slow and self.position() <= 0:
            self.target(percent="40%")
        elif fast < slow and self.position() >= 0:
            self.target(percent="-40%")


class Dice(Strategy):
    """Every kind of order, at moments that only depend on what it sees."""

    def __init__(self, symbol: str, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.symbol, self.seed = symbol, seed
        self.dice = random.Random(seed)
        self.seen = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "5m", "15m"], quotes=True, trades=True)
        self.every("7s", self.tick)
        self.every("1m", name="minute")

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.dice.random() < 0.01:
            self.buy(0.5, limit_price=quote.bid * 0.9995, time_in_force="GTD", expires="40s")

    def on_trade(self, trade: Trade) -> None:
        if self.dice.random() < 0.003:
            self.sell(0.3, post_only=True, limit_price=trade.price * 1.0004)

    def on_bar(self, bar: Bar) -> None:
        self.note(f"{bar.interval} {bar.close} {self.seen}")
        roll = self.dice.random()
        if bar.interval == "5m":
            self.close()
        elif roll < 0.3:
            self.buy(1, take_profit=bar.close * 1.001, stop_loss=bar.close * 0.999)
        elif roll < 0.6:
            self.sell(1, stop_price=bar.close * 0.9995)
        elif roll < 0.8:
            self.oco("buy", 0.4, limit_price=bar.close * 0.999, stop_price=bar.close * 1.001)

    def tick(self) -> None:
        if self.position() and self.dice.random() < 0.2:
            side = self.sell if self.position() > 0 else self.buy
            side(abs(self.position()), trail="0.05%", reduce_only=True)
        for order in self.orders():
            if self.dice.random() < 0.05:
                self.cancel(order)

    def on_timer(self, name: str) -> None:
        self.note(f"{name} {self.equity}")

    def on_fill(self, fill: Fill) -> None:
        if self.dice.random() < 0.2:
            self.note(f"filled {fill.quantity} at {fill.price}")

    def on_order(self, order: Order) -> None:
        self.seen += 1

    def save(self) -> Any:
        return {"seen": self.seen}


class Patient(Strategy):
    """Coroutines that sleep, wait for orders and ask."""

    def __init__(self, symbol: str, **more: Any) -> None:
        super().__init__(**more)
        self.symbol = symbol
        self.bars = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "5m"], quotes=True)
        self.every("90s", self.later)
        self.ask(told, "at the start", then=self.noted)

    async def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        advice = await self.ask(advise, bar.close, self.bars)
        order = self.buy(1) if advice["buy"] else self.sell(1, limit_price=bar.close * 1.0002)
        await self.sleep("3s")
        order = await self.wait(order, within="20s")
        self.note(f"{order.status} {self.now}")
        if not order.closed:
            self.cancel(order)
        answer = await self.ask(told, str(order.status))
        self.note(answer)

    def later(self) -> None:
        self.ask(advise, 1.0, 1, then=self.noted)
        self.ask(told, "second", then=self.noted)
        self.ask(fail, then=self.noted)

    def on_quote(self, quote: Quote) -> None:
        if quote.event_ns // 1_000_000_000 % 600 == 30:
            self.ask(told, f"{quote.bid}", then=self.noted)

    def noted(self, answer: Any) -> None:
        self.note(f"{answer} {self.now}")


async def advise(close: float, bars: int) -> dict[str, bool]:
    await asyncio.sleep(0.001 * (bars % 3))
    return {"buy": bool(bars % 2)}


def told(text: str) -> str:
    return f"you said {text}"


def fail() -> None:
    raise ValueError("no answer")


class Wanderer(Strategy):
    """Watches another market half-way, with a past, and lets the first one go later."""

    def __init__(self, first: str, second: str, **more: Any) -> None:
        super().__init__(**more)
        self.symbols = (first, second)
        self.bars = 0

    def on_start(self) -> None:
        self.watch(self.symbols[0], bars="1m", warmup=5)

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        self.note(f"{bar.instrument} {bar.interval} {bar.close}")
        if self.bars == 20:
            self.watch(self.symbols[1], bars="1m", warmup=10)
            self.watch(self.symbols[1], bars="5m")
        if self.bars == 90:
            self.note(str(len(self.history(None, bars="1m", instrument=self.symbols[1]))))
            self.unwatch(self.symbols[0])
        if self.bars % 7 == 0:
            self.target(percent="10%" if self.bars % 2 else "0%", instrument=bar.instrument)
