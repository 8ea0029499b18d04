"""What breakers have in common: what a trip of theirs does, and when it ends."""

from __future__ import annotations

import json
from typing import Any, Literal

from fairlead import ConfigurationError, OrderIntent, TradingState, duration
from fairlead.facts import DayStarted
from fairlead.ports import Allowance, Trip, View, reduction
from fairlead_breakers._shared import Wants, next_full, reduces, setting

Act = Literal["reduce_only", "halt", "cancel", "flatten", "kill"] | str
"""What a trip does: one of these words, or `"reduce to 50%"`."""

Per = Literal["instrument", "strategy", "account", "engine"]

_ACTS: dict[str, tuple[TradingState, str]] = {
    "reduce_only": (TradingState.REDUCE_ONLY, ""),
    "halt": (TradingState.HALTED, ""),
    "cancel": (TradingState.REDUCE_ONLY, "cancel_entries"),
    "flatten": (TradingState.REDUCE_ONLY, "flatten"),
    "kill": (TradingState.KILLED, "flatten"),
}

DAY = duration("1d")

LOOK_NS = duration("1m")
"""How often what may reset itself is looked at where no order asks."""

_LEAST = duration("1ms")
_PROBE = 10


def act(breaker: str, action: str) -> tuple[TradingState, str]:
    """What an `action` lowers trading to, and what it does besides. Raises ConfigurationError for another word."""
    found = _ACTS.get(action)
    if found is not None:
        return found
    with setting(breaker, "action"):
        if isinstance(action, str) and reduction(action) is not None:
            return TradingState.REDUCE_ONLY, action
    raise ConfigurationError(
        f"{breaker}: action: {action!r} is none: write one of {', '.join(_ACTS)}, 'reduce to 50%'"
    )


def span(breaker: str, name: str, text: str | int) -> int:
    """A duration of at least a millisecond, in ns. Raises ConfigurationError."""
    with setting(breaker, name):
        length = duration(text)
        if length < _LEAST:
            raise ConfigurationError(f"{text!r} is below 1ms (a bare number is nanoseconds): write '5s'")
        return length


def count(breaker: str, name: str, number: int, least: int = 1) -> int:
    """A whole number, not below the least. Raises ConfigurationError."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigurationError(
            f"{breaker}: {name}: {number!r} is no whole number of at least {least}: write for example 3"
        )
    return number


def kind(breaker: str, per: str) -> str:
    """A kind of scope. Raises ConfigurationError for another word."""
    if per not in ("instrument", "strategy", "account", "engine"):
        raise ConfigurationError(
            f"{breaker}: per: {per!r} is no scope: write instrument, strategy, account or engine"
        )
    return per


def scope_of(per: str, account: str, instrument: str, strategy: str) -> str:
    """The scope that something happened in."""
    return {
        "instrument": f"instrument:{instrument}",
        "strategy": f"strategy:{strategy}",
        "account": f"account:{account}",
    }.get(per, "engine")


class Latch:
    """A breaker that trips on what it has seen, and whose trips end by a person, after a time, or on the next day.

    `reset` is "manual", "next_day" (of the account that tripped it) or a duration: after that it is half-open for a
    tenth as long, when one order that adds may work at a time, and then closed unless it trips again. `check` has
    nothing against any order, because the trading state says it all. What it remembers is saved with what `_memory`
    adds.
    """

    wants: Wants = ()

    def __init__(self, name: str, action: str, reset: str) -> None:
        self.name = name
        self._state, self._action = act(name, action)
        self._for = 0
        self._until: dict[str, int] = {}
        self._day_of: dict[str, str] = {}
        self._by_day = reset == "next_day"
        if reset == "manual":
            return
        self.clean = self._is_over  # without it only a person resets
        if not hasattr(type(self), "due"):  # what looks by itself anyway goes on looking as it does
            self.due = self._next_look
        if self._by_day:
            self.wants = (*self.wants, DayStarted)
        else:
            with setting(name, "reset (manual, next_day or a duration)"):
                self._for = span(name, "reset", reset)
            self.probe = self._half_open

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Nothing: what has tripped lowers trading."""
        return None

    def allows(self, account: str, instrument: str, view: View) -> Allowance:
        """Every order."""
        return Allowance()

    def watch(self, item: Any, view: View) -> Trip | None:
        """See a fact; the day of an account ends what was tripped on it."""
        if type(item) is DayStarted and self._by_day:
            for scope in [s for s, account in self._day_of.items() if account == item.account]:
                self._day_of.pop(scope)
                self._until[scope] = view.now + 1  # ahead, so that a look comes and ends it
        return self._seen(item, view)

    def _seen(self, item: Any, view: View) -> Trip | None:
        return None

    def _trip(self, reason: str, scope: str, view: View, account: str = "") -> Trip:
        """A trip, and from when on it is over."""
        if self._by_day:
            self._until.pop(scope, None)
            self._day_of[scope] = account
        elif self._for:
            self._until[scope] = view.now + self._for
        return Trip(reason, self._state, scope, self._action)

    def _is_over(self, scope: str, view: View) -> bool:
        until = self._until.get(scope)
        return until is not None and view.now >= until

    def _half_open(self, scope: str, view: View) -> int:
        return self._for // _PROBE

    def _next_look(self, view: View) -> int:
        ahead = [until for until in self._until.values() if until > view.now]
        return min(ahead, default=view.now + DAY)

    def save(self) -> bytes:
        """What must survive a restart, as JSON."""
        memory = {"until": self._until, "days": self._day_of, **self._memory()}
        return json.dumps({name: value for name, value in memory.items() if value}).encode()

    def load(self, saved: bytes) -> None:
        """Take back what `save` gave."""
        memory = json.loads(saved)
        self._until = dict(memory.get("until", {}))
        self._day_of = dict(memory.get("days", {}))
        self._recall(memory)

    def _memory(self) -> dict[str, Any]:
        return {}

    def _recall(self, memory: dict[str, Any]) -> None:
        pass


class Ticks(Latch):
    """A breaker of single market events: an instrument is reduce-only until so many good ones came in a row.

    That holds at the start as well: what has not been seen yet is unknown. Nothing is saved, so a restart begins anew.
    `check` refuses at once what does not reduce.
    """

    def __init__(self, name: str, action: str, good: int) -> None:
        super().__init__(name, action, "manual")
        self._wanted = count(name, "clean", good)
        self._good: dict[str, int] = {}
        self._sound: set[str] = set()

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while too few good events have come."""
        name = intent.instrument
        if name in self._sound or reduces(intent, view):
            return None
        return Trip(f"{self._good.get(name, 0)} of {self._wanted} good events of {name} so far")

    def due(self, view: View) -> int:
        """Look once a minute whether something is clean again; orders ask anyway."""
        return next_full(LOOK_NS, view)

    def clean(self, scope: str, view: View) -> bool:
        """Whether enough good events came in a row."""
        return scope.removeprefix("instrument:") in self._sound

    def save(self) -> bytes:
        """Nothing: what the market does is seen anew."""
        return b""

    def load(self, saved: bytes) -> None:
        """Nothing."""

    def _bad(self, instrument: str, reason: str) -> Trip:
        self._sound.discard(instrument)
        self._good[instrument] = 0
        return Trip(reason, self._state, f"instrument:{instrument}", self._action)

    def _fine(self, instrument: str) -> None:
        """One more good event of an instrument that is not sound yet."""
        self._good[instrument] = seen = self._good.get(instrument, 0) + 1
        if seen >= self._wanted:
            self._sound.add(instrument)


class Window:
    """How often something happened in the last so many nanoseconds, by key: in (now - length, now]."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.times: dict[str, list[int]] = {}

    def add(self, key: str, now: int) -> int:
        """It happened; how often now."""
        self.count(key, now)
        self.times.setdefault(key, []).append(now)
        return len(self.times[key])

    def count(self, key: str, now: int) -> int:
        """How often."""
        times = self.times.get(key)
        if not times:
            return 0
        if times[0] <= now - self._length:
            kept = [when for when in times if when > now - self._length]
            if not kept:
                del self.times[key]
                return 0
            self.times[key] = times = kept
        return len(times)
