"""Conditional orders: they wait for a price, or follow it, and then go to work."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import attrs

from fairlead import Bar, Side
from fairlead_venue.exchange import Event, Exchange, MarketMoved
from fairlead_venue.orders import Wanted
from fairlead_venue.tape import Tape


class Waiting(Protocol):
    """Whatever waits for a price: an order, or what becomes one."""

    @property
    def wanted(self) -> Wanted:
        """What it asks for."""
        ...

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        ...


@attrs.define(eq=False)
class Trigger:
    """What sets an order off: `source` (last or mark) at or `above` a price, or at or below it.

    One that trails moves its price: it keeps `rate`, a ratio, away from the best price since it was active. It is
    active from the start, or from `activation` on, which a rising price reaches for a sell and a falling one for a buy.
    """

    order: Waiting
    fire: Callable[[], None]
    price: Decimal
    above: bool
    source: str = "last"
    rate: Decimal = Decimal(0)
    activation: Decimal | None = None
    peak: float = 0.0
    active: bool = True

    def reached(self, price: float) -> bool:
        """Whether this price sets it off; a trailing one follows it first."""
        if self.rate:
            if not self._follow(price):
                return False
            return price >= float(self.price) if self.above else price <= float(self.price)
        return price >= float(self.price) if self.above else price <= float(self.price)

    def _follow(self, price: float) -> bool:
        buy = self.order.wanted.side is Side.BUY
        if not self.active:
            wanted = float(self.activation or 0)
            if not (price <= wanted if buy else price >= wanted):
                return False
            self.active, self.peak = True, price
        self.peak = (min if buy else max)(self.peak or price, price)
        rate = float(self.rate)
        self.price = Decimal(repr(self.peak * (1 + rate) if buy else self.peak * (1 - rate)))
        return True


class Triggers:
    """All orders that wait, by instrument. They are looked at after each market event."""

    def __init__(self, exchange: Exchange) -> None:
        self._waiting: dict[str, list[Trigger]] = {}
        self._exchange = exchange
        exchange.listen(self._heard)

    def arm(self, trigger: Trigger) -> None:
        """Wait for it."""
        self._waiting.setdefault(trigger.order.wanted.instrument.id, []).append(trigger)

    def forget(self, order: Waiting) -> None:
        """Wait no more."""
        waiting = self._waiting.get(order.wanted.instrument.id, [])
        waiting[:] = [trigger for trigger in waiting if trigger.order is not order]

    def _heard(self, event: Event) -> None:
        if isinstance(event, MarketMoved):
            waiting = self._waiting.get(event.tape.instrument.id)
            if waiting:
                for trigger in list(waiting):
                    self._look(trigger, event)

    def _look(self, trigger: Trigger, moved: MarketMoved) -> None:
        if not trigger.order.open:
            self.forget(trigger.order)
            return
        if any(trigger.reached(price) for price in _prices(trigger.source, moved)):
            self.forget(trigger.order)
            trigger.fire()


def price_of(tape: Tape, source: str) -> float | None:
    """The last or the mark price; where no mark is known the last stands for it."""
    return tape.mark if source == "mark" and tape.mark is not None else tape.price


def _prices(source: str, moved: MarketMoved) -> list[float]:
    event = moved.event
    if isinstance(event, Bar) and (source == "last" or moved.tape.mark is None):
        return [event.open, event.low, event.high, event.close]
    price = price_of(moved.tape, source)
    return [] if price is None else [price]
