"""When breakers look next, of those that want to look at times of their own."""

from __future__ import annotations

from collections.abc import Callable

from fairlead._kernel.clock import NEVER, TIMER, Schedule
from fairlead._kernel.lookout import broken
from fairlead._kernel.recorder import Recorder
from fairlead._models.accounts import TradingState
from fairlead.ports import CircuitBreaker, Trip, View
from fairlead.units import MINUTE

AGAIN_NS = MINUTE
"""After so long one that failed to say when it looks next is looked at again."""

HASTE_NS, HASTY_LOOKS = 1_000, 1_000
"""A look within so many ns of the last is one at once, and so many of those in a row are a fault. Fewer are none: a
breaker may have several scopes to report, one a look."""


class Looks:
    """Asks each breaker that has a `due` when it wants to look, and has `look` called then.

    One that cannot say it is handed to `fail`, with what it counts as. So is one that wants to look at each nanosecond,
    which would leave no time for anything else: it is `blind` (it makes no look) until `restore`.
    """

    def __init__(
        self,
        recorder: Recorder,
        view: View,
        schedule: Schedule,
        look: Callable[[CircuitBreaker], None],
        fail: Callable[[str, Trip], None],
    ) -> None:
        self._recorder = recorder
        self._view = view
        self._schedule = schedule
        self._look = look
        self._fail = fail
        self._due: dict[str, int] = {}
        self._hasty: dict[str, int] = {}
        self.blind: set[str] = set()

    def arrange(self, breaker: CircuitBreaker) -> None:
        """Ask a breaker for its next look; an earlier one than before takes its place."""
        due = getattr(breaker, "due", None)
        if due is None or breaker.name in self.blind:
            return
        name = breaker.name
        try:
            wanted = due(self._view)
        except Exception as error:  # it goes on looking: what it has tripped may be clean one day
            wanted = self._recorder.now + AGAIN_NS
            self._fail(name, broken(error))
        when = max(wanted, self._recorder.now + 1)
        if when < self._due.get(name, NEVER):
            self._due[name] = when
            self._schedule(when, lambda: self._run(breaker, when), TIMER, 0)

    def saw(self, breaker: CircuitBreaker) -> None:
        """A breaker was shown a fact, which may bring its next look forward."""
        if breaker.name in self._due:
            self.arrange(breaker)

    def restore(self, breaker: CircuitBreaker) -> None:
        """A breaker was reset: let it look again."""
        if breaker.name in self.blind:
            self.blind.discard(breaker.name)
            self.arrange(breaker)

    def _run(self, breaker: CircuitBreaker, when: int) -> None:
        if self._due.get(breaker.name) != when:
            return  # it has wanted to look earlier since
        del self._due[breaker.name]
        self._look(breaker)
        self.arrange(breaker)
        self._check_haste(breaker.name)

    def _check_haste(self, name: str) -> None:
        soon = self._due.get(name, NEVER) - self._recorder.now < HASTE_NS
        looks = self._hasty[name] = self._hasty.get(name, 0) + 1 if soon else 0
        if looks < HASTY_LOOKS:
            return
        self.blind.add(name)
        del self._due[name], self._hasty[name]
        reason = (
            f"{name}.due asked {looks} times in a row for another look at once, and the next look is ahead of now: "
            f"have it return a later time; until {name} is reset it makes no look"
        )
        self._fail(name, Trip(reason, TradingState.REDUCE_ONLY, "engine"))
