"""One instrument as breakers see it: every event, but for those that all of them have called calm beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from fairlead._kernel.market import BREAKER, Lane, Sink
from fairlead._kernel.recorder import Recorder
from fairlead._models.accounts import TradingState
from fairlead._models.market import Bar, Book, Quote, Trade
from fairlead._secrets.scrub import said
from fairlead.ports import CircuitBreaker, Trip, View

_Found = Callable[[str, Any, Any], None]
"""Takes the name of a breaker, what it says, and what it saw."""

_KINDS: dict[type, str] = {Quote: "quote", Trade: "trade", Book: "book", Bar: "bar"}

_REST = 16
"""So many events are shown before a calm is asked for again, after one that held back next to nothing."""


def speaks_for(breaker: CircuitBreaker, word: str, method: str) -> bool:
    """Whether its `word` speaks for its `method`: a class that inherits the one may do more in its own other."""
    for owner in (breaker, *type(breaker).__mro__):
        members = getattr(owner, "__dict__", {})
        if word in members or method in members:
            return word in members
    return False


def is_calming(breaker: CircuitBreaker) -> bool:
    """Whether a breaker is asked for a calm, in which its `watch` is not called."""
    return (Quote in breaker.wants or Trade in breaker.wants) and speaks_for(breaker, "calm", "watch")


def broken(error: Exception) -> Trip:
    """A breaker that cannot watch counts as tripped."""
    return Trip(f"it failed: {said(error)}", TradingState.REDUCE_ONLY, "engine")


class _Kept:
    """Of the events of one kind that were held back, what is shown later: the lowest, the highest and the last."""

    __slots__ = ("high", "highest", "last", "low", "lowest")

    def __init__(self) -> None:
        self.low, self.high = inf, -inf
        self.lowest: Any = None
        self.highest: Any = None
        self.last: Any = None

    def widen(self, price: float, event: Quote | Trade) -> None:
        """Take one that is lower or higher than all before."""
        if price < self.low:
            self.low, self.lowest = price, event
        if price > self.high:
            self.high, self.highest = price, event
        self.last = event


class Lookout:
    """Shows an instrument's events to the breakers that want them.

    A quote or trade within the calm that is common to all those that have one is held back from them. The next that is
    not ends it: they see the lowest, the highest and the last of what was held back, then this one, and are asked anew.
    `active` are the lookouts in a calm, for whoever must `end` it because something else has happened.
    """

    __slots__ = (
        "_active", "_askers", "_breakers", "_early", "_everyone", "_found", "_high", "_lane", "_late", "_latest",
        "_low", "_plain", "_quotes", "_recorder", "_rest", "_spread", "_trades", "_until", "_view",
    )  # fmt: skip

    def __init__(
        self,
        lane: Lane,
        breakers: Sequence[CircuitBreaker],
        recorder: Recorder,
        view: View,
        found: _Found,
        active: set[Lookout],
    ) -> None:
        self._lane = lane
        self._recorder = recorder
        self._view = view
        self._found = found
        self._active = active
        self._breakers = [(b, is_calming(b)) for b in breakers]
        self._askers: list[Any] = [b for b, calms in self._breakers if calms]
        self._everyone = {kind: self._show_to(b for b in breakers if kind in b.wants) for kind in _KINDS}
        self._plain: dict[type, Sink | None] = {}
        self._early, self._late = inf, -inf
        self._low, self._high = inf, -inf
        self._spread = inf
        self._until: float = 0
        self._rest = 0
        self._forget()

    def _forget(self) -> None:
        """Nothing is held back."""
        self._quotes, self._trades = _Kept(), _Kept()
        self._latest: _Kept | None = None

    def attach(self) -> None:
        """Be called for whatever a breaker wants to see."""
        calmly: dict[type, Sink] = {Quote: self.quote, Trade: self.trade}
        for kind, name in _KINDS.items():
            plain = [b for b, calms in self._breakers if kind in b.wants and not calms]
            calm = [b for b, calms in self._breakers if kind in b.wants and calms]
            if calm:
                self._plain[kind] = self._show_to(plain) if plain else None
                self._lane.attach(name, BREAKER, calmly.get(kind, self._show))
            elif plain:
                self._lane.attach(name, BREAKER, self._everyone[kind])

    def _show_to(self, breakers: Iterable[CircuitBreaker]) -> Sink:
        """One call for all of them: it is made at every tick."""
        view, found = self._view, self._found
        watching = tuple((b.name, b.watch) for b in breakers)

        def show(event: object) -> None:
            for name, watch in watching:
                try:
                    trip = watch(event, view)  # type: ignore[arg-type]
                except Exception as error:
                    trip = broken(error)
                if trip is not None:
                    found(name, trip, event)

        return show

    # --- in a calm ------------------------------------------------------------------------------------------

    def quote(self, event: Quote) -> None:
        """A quote came."""
        bid, ask = event.bid, event.ask
        if ask - bid <= self._spread and self._is_calm(self._quotes, (bid + ask) * 0.5, event):
            plain = self._plain[Quote]
            if plain is not None:
                plain(event)
        else:
            self._show(event)
            self._ask()

    def trade(self, event: Trade) -> None:
        """A trade came."""
        if self._is_calm(self._trades, event.price, event):
            plain = self._plain[Trade]
            if plain is not None:
                plain(event)
        else:
            self._show(event)
            self._ask()

    def _is_calm(self, kept: _Kept, price: float, event: Quote | Trade) -> bool:
        """Whether an event need not be shown; if so, it is held back."""
        if not (
            self._recorder.now < self._until
            and self._low <= self._lane.mark <= self._high
            and self._early <= event.received_ns - event.event_ns <= self._late
        ):
            return False
        if kept.low <= price <= kept.high:
            kept.last = event
        elif self._low <= price <= self._high:
            kept.widen(price, event)
        else:
            return False
        self._latest = kept
        return True

    def calm(self) -> bool:
        """Whether nothing has ended the calm until now: then no `check` of those that have one finds anything."""
        return self._recorder.now < self._until and self._low <= self._lane.mark <= self._high

    def end(self) -> None:
        """Something else has happened: the next event is shown, after what was held back."""
        self._until = 0

    # --- out of it ------------------------------------------------------------------------------------------

    def _show(self, event: Quote | Trade | Book | Bar) -> None:
        """Show an event to all who want it, those that had a calm after what they have missed."""
        missed = self._missed()
        if self in self._active:
            self._active.discard(self)
            self._until = 0
            self._rest = _REST if len(missed) < 2 else 0
        if not missed:
            self._everyone[type(event)](event)
            return
        self._forget()
        for breaker, calms in self._breakers:
            show = self._show_to((breaker,))
            for one in (*missed, event) if calms else (event,):
                if type(one) in breaker.wants:
                    show(one)

    def _missed(self) -> list[Quote | Trade]:
        """What was held back and matters: of each kind the lowest, the highest and, after these, the last."""
        latest, quotes, trades = self._latest, self._quotes, self._trades
        if latest is None:
            return []
        before = trades if latest is quotes else quotes
        lasts = [kept.last for kept in (before, latest) if kept.last is not None]
        extremes = dict.fromkeys((quotes.lowest, quotes.highest, trades.lowest, trades.highest))
        found = [event for event in extremes if event is not None and event not in lasts]
        return [*sorted(found, key=lambda event: event.received_ns), *lasts]

    def _ask(self) -> None:
        """Ask for the calm that is common to all; while one has none, each event is shown."""
        if self._rest:
            self._rest -= 1
            return
        name, view = self._lane.id, self._view
        low, high, spread, until, early, late = 0.0, inf, inf, inf, inf, inf
        for asker in self._askers:
            try:
                calm = asker.calm(name, view)
                if calm is None:
                    self._askers.remove(asker)
                    self._askers.insert(0, asker)  # the next time, nobody is asked in vain before it
                    return
                low, high = max(low, calm.low), min(high, calm.high)
                spread, until = min(spread, calm.spread), min(until, calm.until_ns)
                early, late = min(early, calm.early_ns), min(late, calm.late_ns)
            except Exception as error:
                self._found(asker.name, broken(error), None)
                return
        self._low, self._high, self._spread, self._until = low, high, spread, until
        self._early, self._late = -early, late
        self._active.add(self)
