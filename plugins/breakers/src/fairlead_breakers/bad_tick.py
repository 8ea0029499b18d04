"""Prices that cannot be true."""

from __future__ import annotations

from typing import Any

from fairlead.ports import Bar, Calm, Quote, Trade, Trip, View
from fairlead_breakers._latch import Act, Ticks, count
from fairlead_breakers._shared import price_of, ratio, setting


class BadTick(Ticks):
    """Trips an instrument whose price is more than `limit` away from its last good one.

    A quote's price is its middle, a bar's its close. A bad price is not believed until `confirm` in a row agree with
    each other within the limit: then the market has really moved.

    Scope: instrument. Evaluation: at each quote, trade and bar. Action: reduce-only. Reset: once clean, that is after
    `clean` good prices in a row. Before so many were seen it is unknown, and reduce-only; only the trip survives a
    restart. 10 % is a limit-down band of the first level at stock exchanges (5 % for their largest stocks).
    """

    wants = (Quote, Trade, Bar)

    def __init__(
        self,
        limit: str | float = "10%",
        *,
        confirm: int = 3,
        clean: int = 3,
        action: Act = "reduce_only",
        name: str = "BadTick",
    ) -> None:
        super().__init__(name, action, clean)
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        self._confirm = count(name, "confirm", confirm)
        self._last: dict[str, float] = {}
        self._doubtful: dict[str, list[float]] = {}

    def watch(self, item: Any, view: View) -> Trip | None:
        """A price came."""
        price = price_of(item)
        if price is None:
            return None
        name = item.instrument
        last = self._last.get(name, price)
        if abs(price - last) <= self._limit * last:
            self._last[name] = price
            if name not in self._sound:
                self._doubtful.pop(name, None)
                self._fine(name)
            return None
        return self._doubt(name, price, last)

    def calm(self, instrument: str, view: View) -> Calm | None:
        """A range of prices of which any two are within the limit of each other."""
        if instrument not in self._sound:
            return None
        last, aside = self._last[instrument], self._limit / 3
        return Calm(low=last * (1 - aside), high=last * (1 + aside))

    def _doubt(self, name: str, price: float, last: float) -> Trip:
        """A price too far away; the last of enough that agree is believed."""
        before = self._doubtful.get(name, [])
        if before and abs(price - before[-1]) > self._limit * before[-1]:
            before = []
        self._doubtful[name] = doubtful = [*before, price]
        if len(doubtful) >= self._confirm:
            del self._doubtful[name]
            self._last[name] = price
        why = f"price {price:.10g} of {name} is {abs(price / last - 1):.4%} away from {last:.10g}"
        return self._bad(name, f"{why}, above {self._limit:.4%}")
