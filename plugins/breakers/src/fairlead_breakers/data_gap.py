"""Data with holes in them."""

from __future__ import annotations

from typing import Any

from fairlead import duration_text
from fairlead.ports import Bar, Calm, Quote, Trip, View
from fairlead_breakers._latch import Act, Ticks, span


class DataGap(Ticks):
    """Trips an instrument whose bars leave one out, or whose quotes come again after more than `after`.

    `StaleData` speaks while nothing comes; this one when data are there again, and what was computed from them has a
    hole. Where a market closes, `after` must be longer than that: it bounds the gap between bars as well, if it is
    longer than their interval.

    Scope: instrument. Evaluation: at each bar of a stream and each quote, by event time. Action: reduce-only. Reset:
    once clean, that is after `clean` of them in a row without a gap. Before that it is unknown, and reduce-only; only
    the trip survives a restart. A minute without a quote is the length at which most feeds count as broken.
    """

    wants = (Quote, Bar)

    def __init__(
        self, after: str = "1m", *, clean: int = 3, action: Act = "reduce_only", name: str = "DataGap"
    ) -> None:
        super().__init__(name, action, clean)
        self._after = span(name, "after", after)
        self._last: dict[str, int] = {}
        self._bars: dict[tuple[str, str], int] = {}

    def watch(self, item: Any, view: View) -> Trip | None:
        """A quote or a bar came."""
        kind = type(item)
        if kind is Quote:
            name, now = item.instrument, item.event_ns
            gap = now - self._last.get(name, now)
            self._last[name] = now
            most = self._after
        elif kind is Bar:
            name, key = item.instrument, (item.instrument, item.interval)
            gap = item.open_ns - self._bars.get(key, item.open_ns)
            self._bars[key] = item.event_ns
            by_time = ":" not in item.interval
            most = 0 if by_time and self._after <= item.event_ns - item.open_ns else self._after
        else:
            return None
        if gap <= most:
            if name not in self._sound:
                self._fine(name)
            return None
        why = f"data of {name} have a gap of {gap / 1e9:,.3f} s"
        return self._bad(name, f"{why}, over {duration_text(most)}" if most else why)

    def calm(self, instrument: str, view: View) -> Calm | None:
        """Until a quote could come too late: a tenth of the time allowed is left for clocks that disagree."""
        last, early = self._last.get(instrument), self._after // 10
        if last is None or instrument not in self._sound:
            return None
        return Calm(until_ns=last + self._after - early, early_ns=early)
