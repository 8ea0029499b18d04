"""Strategies that place every kind of order at random: from their seed, their own count, and what they see.

A decision has a number, and its order carries it as a tag. `save` keeps the number, so a decision that is in the
journal is never made again, and one that is not leaves no trace: the checker counts on both.
"""

from __future__ import annotations

import random
from typing import Any

from fairlead import Order, OrderStatus, Quote, Strategy

RESTS = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class Gambler(Strategy):
    """Market, limit, stop, trailing, bracket and linked orders, replaced and canceled, at the roll of a die."""

    def __init__(self, symbol: str, seed: int, pace: float, size: float, **more: Any) -> None:
        super().__init__(**more)
        self.symbol, self.seed, self.pace, self.size = symbol, seed, pace, size
        self.serial = 0
        self.quiet = False
        self.shifts = False

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=True)
        self.watch("BNB/USDT", quotes=True)
        self.every("15s", self.tidy)
        if self.shifts:
            self.every("4s", self.shift)

    def on_quote(self, quote: Quote) -> None:
        if self.quiet or not quote.instrument.startswith(self.symbol):
            return
        dice = random.Random(f"{self.seed} {self.serial} {quote.received_ns}")
        if dice.random() >= self.pace or not quote.bid < quote.ask < quote.bid * 2:
            return
        self.serial += 1
        self.decide(dice, quote, f"{self.name}-{self.serial}")

    def decide(self, dice: random.Random, quote: Quote, tag: str) -> None:
        """One decision, one tag."""
        size = round(self.size * dice.uniform(0.5, 2), 3)
        held = float(self.position(self.symbol))
        buying = dice.random() < 0.5 - held / self.size / 20
        side, price = (self.buy, quote.ask) if buying else (self.sell, quote.bid)
        ahead = 1 if buying else -1  # towards a better price for the other side
        roll = dice.random()
        if roll < 0.2:
            side(size, instrument=self.symbol, tag=tag)
        elif roll < 0.4:
            side(
                size,
                instrument=self.symbol,
                limit_price=price * (1 - ahead * dice.uniform(-0.001, 0.002)),
                tag=tag,
            )
        elif roll < 0.5:
            side(
                size,
                instrument=self.symbol,
                stop_price=price * (1 + ahead * dice.uniform(0.0005, 0.003)),
                tag=tag,
            )
        elif roll < 0.7:
            away, gain = dice.uniform(0.002, 0.006), dice.uniform(0.002, 0.006)
            limit = None if dice.random() < 0.6 else price
            side(
                size,
                instrument=self.symbol,
                limit_price=limit,
                stop_loss=price * (1 - ahead * away),
                take_profit=price * (1 + ahead * gain),
                tag=tag,
            )
        elif roll < 0.78:
            self.oco(
                "buy" if buying else "sell",
                size,
                instrument=self.symbol,
                limit_price=price * (1 - ahead * 0.003),
                stop_price=price * (1 + ahead * 0.003),
                tag=tag,
            )
        elif roll < 0.86:
            side(
                size,
                instrument=self.symbol,
                limit_price=price * (1 - ahead * 0.001),
                time_in_force="GTD",
                expires=f"{dice.randint(5, 40)}s",
                tag=tag,
            )
        elif roll < 0.93 and held:
            out = self.sell if held > 0 else self.buy
            out(abs(held), instrument=self.symbol, trail="0.2%", reduce_only=True, tag=tag)
        elif self.target(0, instrument=self.symbol, tag=tag) is None:
            self.serial -= 1  # there was nothing to decide
        self.meddle(dice, quote)

    def meddle(self, dice: random.Random, quote: Quote) -> None:
        """Replace or cancel something that works."""
        working = [o for o in self.orders() if o.limit_price is not None and not o.intent.exits]
        if working and dice.random() < 0.35:
            chosen: Order = dice.choice(working)
            if dice.random() < 0.5:
                self.replace(chosen, limit_price=float(chosen.limit_price or 0) * dice.uniform(0.999, 1.001))
            else:
                self.cancel(chosen)

    def shift(self) -> None:
        """Replace what rests, again and again, in price and size: for days in which that is one request."""
        resting = [o for o in self.orders() if o.limit_price is not None and o.status in RESTS]
        if not self.shifts or self.quiet or not resting:
            return
        dice = random.Random(f"{self.seed} {resting[-1].client_order_id} {resting[-1].replacements}")
        order = dice.choice(resting)
        plain = not order.intent.reduce_only and not order.intent.group
        total = float(order.quantity) * dice.choice((0.5, 1, 1.5)) if plain else None
        self.replace(
            order, quantity=total, limit_price=float(order.limit_price or 0) * dice.uniform(0.999, 1.001)
        )

    def tidy(self) -> None:
        """Not for ever more orders."""
        working = [o for o in self.orders() if not o.intent.exits]
        for order in working[: max(0, len(working) - 5)]:
            self.cancel(order)

    def save(self) -> Any:
        return {"serial": self.serial}

    def load(self, saved: Any) -> None:
        self.serial = saved["serial"]
