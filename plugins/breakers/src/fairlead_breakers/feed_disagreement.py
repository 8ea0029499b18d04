"""Sources that should say the same, and do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead import ConfigurationError, OrderIntent, duration_text
from fairlead.ports import Trip, View
from fairlead_breakers._latch import Act, Latch, span
from fairlead_breakers._shared import next_full, ratio, reduces, setting


class FeedDisagreement(Latch):
    """Trips an instrument whose mark differs by more than `limit` from that of the same thing elsewhere.

    The same thing is what has the same symbol at another venue, both watched by strategies, and each list of long names
    in `same` besides (`[["BTC/USDT@a", "BTC/USDC@b"]]`). What stands alone is not compared.

    Scope: instrument, each of the two. Evaluation: once per `every`, and before each order. Action: reduce-only. Reset:
    once clean, that is when all agree at a look. While the other mark is missing or older than `after` (and two
    intervals of its bars) it is unknown, and reduce-only. Only the trip survives a restart. 1 % is beyond what
    arbitrage leaves between liquid venues.
    """

    def __init__(
        self,
        limit: str | float = "1%",
        *,
        same: Sequence[Sequence[str]] = (),
        after: str = "5s",
        every: str = "1s",
        action: Act = "reduce_only",
        name: str = "FeedDisagreement",
    ) -> None:
        super().__init__(name, action, "manual")
        with setting(name, "limit"):
            self._limit = float(ratio(limit))
        if any(isinstance(group, str) or len(group) < 2 for group in same):
            raise ConfigurationError(f"{name}: same: one name alone is no comparison: write [['A@x', 'B@y']]")
        self._same = [tuple(group) for group in same]
        self._after, self._every = span(name, "after", after), span(name, "every", every)
        self._rest: list[str] = []
        self._watched: Sequence[str] = ()
        self._partners: dict[str, tuple[str, ...]] = {}

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while another source disagrees or cannot be told."""
        if not self._others(intent.instrument, view):
            return None
        why, known = self._differs(intent.instrument, view)
        if not why or reduces(intent, view):
            return None
        return Trip(why, self._state if known else None, f"instrument:{intent.instrument}", self._action)

    def watch(self, item: Any, view: View) -> Trip | None:
        """Look at what is watched; a look reports one, the next follows at once."""
        self._rest = self._rest or list(view.watched())
        while self._rest:
            name = self._rest.pop(0)
            why, known = self._differs(name, view)
            if why and known:
                return self._trip(why, f"instrument:{name}", view)
        return None

    def due(self, view: View) -> int:
        """At the next full `every`, at once while a look is half done."""
        return view.now if self._rest else next_full(self._every, view)

    def clean(self, scope: str, view: View) -> bool:
        """Whether all agree again."""
        return not self._differs(scope.removeprefix("instrument:"), view)[0]

    def _differs(self, name: str, view: View) -> tuple[str, bool]:
        """What is against an instrument in words, and whether that is known and not only unknown."""
        others, unknown = self._others(name, view), ""
        mine = self._mark(name, view) if others else None
        for other in others:
            theirs = self._mark(other, view)
            if mine is None or theirs is None:
                silent = f"no mark of {name if mine is None else other} for {duration_text(self._after)}"
                unknown = f"{name} cannot be compared with {other}: {silent}"
            elif abs(mine - theirs) > self._limit * min(mine, theirs):
                why = f"{name} is at {mine:.10g}, {other} at {theirs:.10g}"
                return f"{why}: more than {self._limit:.4%} apart", True
        return unknown, False

    def _others(self, name: str, view: View) -> tuple[str, ...]:
        """What an instrument is compared with, worked out anew where other things are watched."""
        watched = view.watched()
        if watched is not self._watched:
            self._watched, self._partners = watched, {}
        found = self._partners.get(name)
        if found is None:
            symbol = name.rpartition("@")[0]
            groups = [*self._same, [other for other in watched if other.rpartition("@")[0] == symbol]]
            tied = [other for group in groups if name in group for other in group if other != name]
            found = self._partners[name] = tuple(dict.fromkeys(tied))
        return found

    def _mark(self, name: str, view: View) -> float | None:
        age = view.age(name)
        return None if age is None or age > self._after + 2 * view.cadence(name) else view.mark(name)
