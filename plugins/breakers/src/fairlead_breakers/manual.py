"""A breaker for a person's own hand, or their own code."""

from __future__ import annotations

from typing import Literal

from fairlead import ConfigurationError, OrderIntent, TradingState, duration
from fairlead.ports import Trip, View
from fairlead_breakers._shared import Wants, next_full, reduces

_LOOK_EVERY = duration("1s")


class Manual:
    """Trips the engine when `trip` is called, and never else; only a person resets it.

    From the call on, the next order that does not only reduce is refused, and trips it. If none comes, a look
    does, once a second of engine time; a call not yet seen is forgotten if the process dies. In a backtest these
    looks cost time and nobody is there to call, so leave it out of one. Nobody calls in a replay either, which then
    ends at this trip: what is to be replayed is a command, such as `engine.halt`.

    Call it in the engine's thread; from another, `loop.call_soon_threadsafe(manual.trip, reason)`.
    """

    wants: Wants = ()

    def __init__(self, name: str = "Manual") -> None:
        self.name = name
        self._pending: Trip | None = None

    def trip(
        self,
        reason: str,
        state: Literal[TradingState.REDUCE_ONLY, TradingState.HALTED] = TradingState.REDUCE_ONLY,
    ) -> None:
        """Lower trading of the whole engine to `state`, for this reason. Raises ConfigurationError for other states."""
        if state not in (TradingState.REDUCE_ONLY, TradingState.HALTED):
            raise ConfigurationError(
                f"{self.name}: {state!r} is no state to trip to: use REDUCE_ONLY or HALTED; killing is a command"
            )
        if self._pending is None or self._pending.state is not TradingState.HALTED:
            self._pending = Trip(reason, state, "engine")

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse at once, unless the order only reduces."""
        if self._pending is None or reduces(intent, view):
            return None
        return self._pending  # handed over in `watch`: one may only be checked

    def watch(self, item: object, view: View) -> Trip | None:
        """Hand over what a person asked for."""
        return self._take()

    def due(self, view: View) -> int:
        """Look each second."""
        return next_full(_LOOK_EVERY, view)

    def _take(self) -> Trip | None:
        trip, self._pending = self._pending, None
        return trip
