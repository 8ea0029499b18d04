"""No second position in what is the same risk."""

from __future__ import annotations

from statistics import StatisticsError, correlation
from typing import Any

from fairlead import OrderIntent, Side
from fairlead.ports import Trip, View
from fairlead_breakers._returns import Returns
from fairlead_breakers._shared import ratio, reduces, setting


class Correlation(Returns):
    """Refuses an order in an instrument that moves like one that its account holds already.

    Pearson's correlation of log returns over the last `samples` times `every`, turned round where one of the two is
    sold: what hedges passes. It is refused above `limit`; 0.8 is where risk handbooks begin to say "the same".

    Scope: order. Evaluation: before each order that does not only reduce, from marks at each full `every`. Action:
    refuses; it trips nothing, so there is nothing to reset. Without other positions every order passes; with one, what
    is unknown (too few samples in a row) is refused. Nothing survives a restart.
    """

    def __init__(
        self, limit: str | float = "80%", samples: int = 60, every: str = "1m", *, name: str = "Correlation"
    ) -> None:
        super().__init__(name, "reduce_only", samples, every)
        with setting(name, "limit"):
            self._limit = float(ratio(limit))

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Compare with each other instrument that is held."""
        sign = 1.0 if intent.side is Side.BUY else -1.0
        for position in view.positions(intent.account):
            other = position.key.instrument
            if other == intent.instrument:
                continue
            both = self._moves(intent.instrument, other)
            if both is None:
                why = f"correlation of {intent.instrument} with {other} is not known yet"
            elif both * (sign if position.quantity > 0 else -sign) > self._limit:
                why = f"correlation of {intent.instrument} with {other}, which is held, is {both:.2f}"
            else:
                continue
            return None if reduces(intent, view) else Trip(why)
        return None

    def watch(self, item: Any, view: View) -> Trip | None:
        """Sample."""
        self._sample(view)
        return None

    def _moves(self, one: str, other: str) -> float | None:
        """The correlation of two instruments; what does not move at all has none, and is 0."""
        mine, theirs = self._known(one), self._known(other)
        if mine is None or theirs is None:
            return None
        try:
            return correlation(mine, theirs)
        except StatisticsError:
            return 0.0
