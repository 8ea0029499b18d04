"""No new risk where buying and selling are far apart."""

from __future__ import annotations

from typing import Any

from fairlead.ports import Calm, Quote, Trip, View
from fairlead_breakers._latch import Act, Ticks
from fairlead_breakers._shared import NEAR, ratio, setting

_LOWER = 0.98


class Spread(Ticks):
    """Trips an instrument whose ask is more than `limit` above its bid, as a part of their middle.

    Scope: instrument. Evaluation: at each quote. Action: reduce-only. Reset: once clean, that is after `clean` quotes
    in a row within the limit. Before so many were seen it is unknown, and reduce-only; nothing survives a restart but
    the trip. An instrument without quotes stays unknown: watch its quotes, or leave this out. 0.5 % is what freqtrade's
    SpreadFilter takes.
    """

    wants = (Quote,)

    def __init__(
        self,
        limit: str | float = "0.5%",
        *,
        clean: int = 3,
        action: Act = "reduce_only",
        name: str = "Spread",
    ) -> None:
        super().__init__(name, action, clean)
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        self._half = self._limit / 2

    def watch(self, item: Any, view: View) -> Trip | None:
        """A quote came."""
        if item is None:
            return None
        bid, ask = item.bid, item.ask
        if ask - bid <= (ask + bid) * self._half:
            if item.instrument not in self._sound:
                self._fine(item.instrument)
            return None
        wide = 2 * (ask - bid) / (ask + bid)
        return self._bad(
            item.instrument, f"spread of {item.instrument} is {wide:.4%}, above {self._limit:.4%}"
        )

    def calm(self, instrument: str, view: View) -> Calm | None:
        """The spread that is within the limit even at a price that is 2 % lower."""
        mark = view.mark(instrument)
        if mark is None or instrument not in self._sound:
            return None
        low = mark * _LOWER
        return Calm(low=low, spread=low * self._limit * NEAR)
