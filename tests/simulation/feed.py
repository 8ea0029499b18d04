"""The market: what the venue matches against, and what reaches the engine of it, which is not always the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead import Instrument
from fairlead.ports import Clock, MarketEvent, Quote, Subscription
from fairlead.testing import make_instrument
from simulation.exchange import Exchange
from simulation.faults import Weather

if TYPE_CHECKING:
    from simulation.host import Host

EVERY = (1.0, 3.5)
"""Seconds between two quotes of an instrument, at least and at most."""


def listed() -> list[Instrument]:
    """One perpetual, one spot instrument, and one that only values a currency."""
    fees = {"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0005")}
    return [
        make_instrument(
            "BTC/USDT:USDT", "simex", tick="0.1", lot="0.001", min_quantity=Decimal("0.001"),
            initial_margin=Decimal("0.05"), maintenance_margin=Decimal("0.01"), **fees,
        ),
        make_instrument(
            "ETH/USDT", "simex", tick="0.01", lot="0.01", min_quantity=Decimal("0.01"), **fees,
        ),
        make_instrument("BNB/USDT", "simex", tick="0.1", lot="0.01", **fees),
    ]  # fmt: skip


class Tape:
    """Quotes of every instrument: to the venue as they are, to whoever listens as the network lets them."""

    def __init__(self, exchange: Exchange, weather: Weather, seed: int) -> None:
        self.listeners: list[SimexStream] = []
        self.stale = False
        self._exchange = exchange
        self._weather = weather
        self._dice = random.Random(f"market {seed}")
        self._prices = {"BTC/USDT:USDT@simex": 100.0, "ETH/USDT@simex": 50.0, "BNB/USDT@simex": 500.0}
        self._old: dict[str, Quote] = {}

    def start(self) -> None:
        """Begin."""
        for name in self._prices:
            self._next(name)

    def _next(self, name: str) -> None:
        loop, dice, weather = asyncio.get_running_loop(), self._dice, self._weather
        pace = 20 if name.startswith("BNB") else 1
        loop.call_later(pace * dice.uniform(*EVERY), self._next, name)
        step = dice.gauss(0, 0.0015)
        price = self._prices[name] = self._prices[name] * (1 + step)
        half = price * dice.choice((0.0002, 0.0005, 0.001))
        size = 0.002 * dice.randint(1, 40) if weather.strikes("fill.partial") else 50.0
        now = self._exchange.clock.now()
        quote = Quote(name, price - half, price + half, size, size, now, now)
        self._exchange.market(quote)
        if self.stale and name in self._old:
            weather.fire("px.stale")
            quote = self._old[name]
        self._old[name] = quote
        if weather.strikes("px.flash"):
            quote = _priced(quote, price * 0.13)
        elif weather.strikes("px.bad"):
            quote = _priced(quote, dice.choice((float("nan"), 0.0, -price, float("inf"))))
        elif weather.strikes("px.crossed"):
            quote = Quote(name, price + half, price - half, size, size, now, now)
        elif weather.strikes("px.late"):
            loop.call_later(dice.uniform(2, 20), self._hand_out, quote)
            return
        self._hand_out(quote)

    def _hand_out(self, quote: Quote) -> None:
        for listener in list(self.listeners):
            listener.take(quote)


def _priced(quote: Quote, price: float) -> Quote:
    return Quote(
        quote.instrument, price, price, quote.bid_size, quote.ask_size, quote.event_ns, quote.received_ns
    )


class SimexStream:
    """The market data of one process."""

    name = "simex-data"

    def __init__(self, host: Host, tape: Tape) -> None:
        self._host = host
        self._tape = tape
        self._emit: Callable[[MarketEvent], None] | None = None

    async def instruments(self) -> Sequence[Instrument]:
        return [i for i in listed() if i.id in self._tape._prices]

    def offers(self, instrument: str) -> tuple[str, ...]:
        return ("quote",) if any(instrument in (i.id, i.symbol) for i in listed()) else ()

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        self._emit, self._clock = emit, clock
        self._tape.listeners.append(self)

    def take(self, quote: Quote) -> None:
        """One quote came, now."""
        if self._emit is None or self._host.dead:
            return
        received = Quote(
            quote.instrument, quote.bid, quote.ask, quote.bid_size, quote.ask_size,
            quote.event_ns, self._clock.now(),
        )  # fmt: skip
        self._emit(received)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        return frozenset(subscriptions)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Nothing is asked for at the source."""

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        return []

    async def close(self) -> None:
        self._emit = None
        if self in self._tape.listeners:
            self._tape.listeners.remove(self)
