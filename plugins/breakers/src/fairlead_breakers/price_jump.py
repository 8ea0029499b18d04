"""Prices that move too far too fast."""

from __future__ import annotations

from typing import Any

from fairlead import OrderIntent, duration_text
from fairlead.ports import Bar, Calm, Quote, Trade, Trip, View
from fairlead_breakers._latch import LOOK_NS, Act, Latch, span
from fairlead_breakers._range import Range
from fairlead_breakers._shared import next_full, price_of, ratio, reduces, setting


class PriceJump(Latch):
    """Trips an instrument whose price moved by more than `limit` within `window`, up from its lowest or down from its
    highest.

    A quote's price is its middle, a bar's its close. The window is counted in twelfths of it, the one going on and the
    twelve before; where there are only bars, two of their intervals are added.

    Scope: instrument. Evaluation: at each quote, trade and bar. Action: reduce-only. Reset: once clean, that is when
    the range of prices in the window is within the limit again. Until a window without a silence of its length has
    passed it is unknown, and reduce-only; only the trip survives a restart. 5 % is a band of the SEC's limit-up,
    limit-down plan (over five minutes).
    """

    wants = (Quote, Trade, Bar)

    def __init__(
        self,
        limit: str | float = "5%",
        window: str = "5m",
        *,
        action: Act = "reduce_only",
        name: str = "PriceJump",
    ) -> None:
        super().__init__(name, action, "manual")
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        self._most = 1 + self._limit
        self._span = span(name, "window", window)
        self._paths: dict[str, Range] = {}

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while the window is not known, or not clean."""
        why = self._why(intent.instrument, view.now)
        return None if not why or reduces(intent, view) else Trip(why)

    def watch(self, item: Any, view: View) -> Trip | None:
        """A price came."""
        price = price_of(item)
        if price is None:
            return None
        path = self._paths.get(item.instrument)
        if path is not None and path.contains(price, item.received_ns):
            return None  # nothing that was not judged before
        return self._judge(item.instrument, price, item.received_ns, view)

    def calm(self, instrument: str, view: View) -> Calm | None:
        """Until the part of the window that goes on has ended, prices that make no jump, in whatever order."""
        path = self._paths.get(instrument)
        spare = path.spare(self._limit) if path is not None and path.full(view.now) else None
        if path is None or spare is None:
            return None
        return Calm(low=spare[0], high=spare[1], until_ns=path.end)

    def due(self, view: View) -> int:
        """Look once a minute whether something is clean again; orders ask anyway."""
        return next_full(LOOK_NS, view)

    def clean(self, scope: str, view: View) -> bool:
        """Whether the window is known, and its range within the limit."""
        return not self._why(scope.removeprefix("instrument:"), view.now)

    def _why(self, name: str, now: int) -> str:
        path = self._paths.get(name)
        if path is None or not path.full(now):
            return f"prices of {name} are not known for {duration_text(self._span)} yet"
        low, high = path.low, path.high
        return "" if high <= low * self._most else self._moved(name, low, high)

    def _judge(self, name: str, price: float, received_ns: int, view: View) -> Trip | None:
        path, length = self._paths.get(name), self._span + 2 * view.cadence(name)
        if path is None or path.length != length:
            path = self._paths[name] = Range(length)
        low, high = path.add(price, received_ns)
        if low * self._most >= price >= high * (1 - self._limit):
            return None
        start = low if price > low * self._most else high
        return self._trip(self._moved(name, start, price), f"instrument:{name}", view)

    def _moved(self, name: str, start: float, end: float) -> str:
        moved = f"{name} moved from {start:.10g} to {end:.10g} within {duration_text(self._span)}"
        return f"{moved}, over {self._limit:.4%}"

    def save(self) -> bytes:
        """Nothing: prices are seen anew."""
        return b""

    def load(self, saved: bytes) -> None:
        """Nothing."""
