"""No new risk in a market that is too wild."""

from __future__ import annotations

from math import sqrt
from statistics import stdev
from typing import Any

from fairlead import OrderIntent, duration_text
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act
from fairlead_breakers._returns import Returns
from fairlead_breakers._shared import ratio, reduces, setting


class Volatility(Returns):
    """Trips an instrument whose volatility over the last `samples` times `every` is above `limit`.

    Volatility is the standard deviation of log returns times the root of their number, as freqtrade's VolatilityFilter
    computes it: about how far the price goes in the whole window. 5 % an hour is ten times a calm day's of bitcoin.

    Scope: instrument. Evaluation: at each full `every`, from marks. Action: reduce-only. Reset: once clean, that is
    when it is within the limit again. Until there are so many samples in a row it is unknown, and reduce-only; only the
    trip survives a restart.
    """

    def __init__(
        self,
        limit: str | float = "5%",
        samples: int = 60,
        every: str = "1m",
        *,
        action: Act = "reduce_only",
        name: str = "Volatility",
    ) -> None:
        super().__init__(name, action, samples, every)
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        self._now: dict[str, float] = {}
        self._rest: list[str] = []

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while it is unknown or too high."""
        wild = self._now.get(intent.instrument)
        if (wild is not None and wild <= self._limit) or reduces(intent, view):
            return None
        return Trip(self._why(intent.instrument))

    def watch(self, item: Any, view: View) -> Trip | None:
        """Sample, and report what is too wild; a look reports one, the next follows at once."""
        if not self._rest:
            self._sample(view)
            known = {name: self._known(name) for name in self._returns}
            self._now = {name: stdev(r) * sqrt(len(r)) for name, r in known.items() if r is not None}
            self._rest = [name for name, wild in self._now.items() if wild > self._limit]
        if not self._rest:
            return None
        name = self._rest.pop(0)
        return self._trip(self._why(name), f"instrument:{name}", view)

    def due(self, view: View) -> int:
        """At the next full interval, at once while there is more to report."""
        return view.now if self._rest else super().due(view)

    def clean(self, scope: str, view: View) -> bool:
        """Whether it is known and within the limit."""
        wild = self._now.get(scope.removeprefix("instrument:"))
        return wild is not None and wild <= self._limit

    def _why(self, name: str) -> str:
        wild, length = self._now.get(name), duration_text(self._samples * self._every)
        if wild is None:
            return f"volatility of {name} is not known for {length} yet"
        return f"volatility of {name} is {wild:.4%} over {length}, above {self._limit:.4%}"
