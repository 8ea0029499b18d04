"""A clock that cannot be right."""

from __future__ import annotations

from typing import Any

from fairlead import duration_text
from fairlead.facts import ClockStepped
from fairlead.ports import Bar, Calm, Quote, Trade, Trip, View
from fairlead_breakers._latch import Act, Ticks, span
from fairlead_breakers._shared import Wants


class ClockSkew(Ticks):
    """Trips an instrument with an event from more than `limit` in the future, and the engine when its clock steps.

    Only what comes from the future proves that a clock is wrong: what is late may be slow, which is for `Latency`.

    Scope: instrument, or engine for a step of more than `limit`. Evaluation: at each quote, trade and bar, and each
    step of the wall clock. Action: reduce-only. Reset: an instrument once clean, that is after `clean` events in a row
    that are not from the future; the engine after a quiet `rest`. Before so many events were seen an instrument is
    unknown, and reduce-only; only trips survive a restart. A second is the tolerance of Binance's server for
    requests from the future.
    """

    wants: Wants = (Quote, Trade, Bar, ClockStepped)

    def __init__(
        self,
        limit: str = "1s",
        *,
        clean: int = 3,
        rest: str = "1m",
        action: Act = "reduce_only",
        name: str = "ClockSkew",
    ) -> None:
        super().__init__(name, action, clean)
        self._most, self._rest = span(name, "limit", limit), span(name, "rest", rest)
        self._quiet_from: int | None = None

    def watch(self, item: Any, view: View) -> Trip | None:
        """An event came, or the wall clock stepped."""
        if item is None:
            return None
        if type(item) is ClockStepped:
            return self._stepped(item, view)
        ahead = item.event_ns - item.received_ns
        if ahead <= self._most:
            if item.instrument not in self._sound:
                self._fine(item.instrument)
            return None
        why = f"an event of {item.instrument} is {ahead / 1e9:.3f} s ahead of this machine's clock"
        return self._bad(item.instrument, f"{why}, over {duration_text(self._most)}: set the clock by NTP")

    def calm(self, instrument: str, view: View) -> Calm | None:
        """Events that are not from the future."""
        return Calm(early_ns=self._most) if instrument in self._sound else None

    def _stepped(self, fact: ClockStepped, view: View) -> Trip | None:
        if abs(fact.step_ns) <= self._most:
            return None
        self._quiet_from = view.now
        why = f"this machine's clock stepped by {fact.step_ns / 1e9:+.3f} s"
        return Trip(f"{why}, over {duration_text(self._most)}", self._state, "engine", self._action)

    def clean(self, scope: str, view: View) -> bool:
        """Whether events are of the present again, or the clock has not stepped for a while."""
        if scope != "engine":
            return super().clean(scope, view)
        if self._quiet_from is None:  # a restart has read the clock anew
            self._quiet_from = view.now
        return view.now >= self._quiet_from + self._rest
