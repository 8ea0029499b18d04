"""No new risk on an instrument whose data have stopped."""

from __future__ import annotations

from fairlead import ConfigurationError, OrderIntent, TradingState, duration, duration_text
from fairlead.ports import Allowance, Trip, View
from fairlead_breakers._shared import Wants, next_full, reduces, setting

_BARS_A_LOOK = 15
_LEAST, _LONGEST_LOOK = duration("1ms"), duration("1h")


class StaleData:
    """Makes an instrument reduce-only when what values it is older than `after` and two intervals of its bars.

    It does no work per event: it looks once per `after`, and where there are only bars, once in fifteen of them. So
    the trip comes a little late, and yet no order passes: `check` judges the age
    itself, trips at once, and lets through only what reduces. An instrument that never had data is refused
    without a trip. Fresh data reset it, at the next look or before the next order.
    """

    wants: Wants = ()
    guards = ("stale_data",)

    def __init__(self, after: str | int = "5s", *, name: str = "StaleData") -> None:
        self.name = name
        with setting(name, "after"):
            self._after = duration(after)
            if self._after < _LEAST:
                raise ConfigurationError(f"{after!r} is below 1ms (a bare number is nanoseconds): write '5s'")
        self._rest: list[str] = []  # what a look has still to go through: it can report one instrument only

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce on data that are stale or were never there."""
        age = view.age(intent.instrument)
        if age is None:
            trip: Trip | None = Trip(f"no data of {intent.instrument} yet")
        else:
            trip = self._stale(intent.instrument, age, view)
        return None if trip is None or reduces(intent, view) else trip

    def allows(self, account: str, instrument: str, view: View) -> Allowance:
        """Data that are no older than `after`."""
        return Allowance(age_ns=self._after)

    def watch(self, item: object, view: View) -> Trip | None:
        """Look at the watched instruments, as far as the first that is stale."""
        rest = self._rest or list(view.watched())
        while rest:
            instrument = rest.pop(0)
            age = view.age(instrument)
            trip = None if age is None else self._stale(instrument, age, view)
            if trip is not None:
                self._rest = rest
                return trip
        self._rest = rest
        return None

    def due(self, view: View) -> int:
        """When to look next: at once if a look is half done, else each full `after`, or 15 bars (an hour at most)."""
        if self._rest:
            return view.now
        bars = _BARS_A_LOOK * min(map(view.cadence, view.watched()), default=0)
        return next_full(
            self._after if bars <= self._after else max(self._after, min(bars, _LONGEST_LOOK)), view
        )

    def clean(self, scope: str, view: View) -> bool:
        """Whether the data of a tripped instrument are fresh again."""
        instrument = scope.removeprefix("instrument:")
        age = view.age(instrument)
        return age is not None and age <= self._limit(instrument, view)

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How old the oldest data are, as a part of what is allowed; and the limit in words."""
        used: list[float] = []
        for instrument in view.watched():
            age = view.age(instrument)
            if age is None:
                return None, duration_text(self._after)
            used.append(age / self._limit(instrument, view))
        return max(used, default=None), duration_text(self._after)

    def _limit(self, instrument: str, view: View) -> int:
        return self._after + 2 * view.cadence(instrument)

    def _stale(self, instrument: str, age: int, view: View) -> Trip | None:
        if age <= self._after or age <= (limit := self._limit(instrument, view)):
            return None
        why = f"last data of {instrument} came {age / 1e9:,.3f} s ago, over {duration_text(limit)}"
        return Trip(why, TradingState.REDUCE_ONLY, f"instrument:{instrument}")
