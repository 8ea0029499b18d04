"""The board of circuit breakers: who is asked when, what a trip lowers, and what resets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

import attrs

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.equity import EquityBooks
from fairlead._kernel.lookout import Lookout, broken, is_calming, speaks_for
from fairlead._kernel.looks import Looks
from fairlead._kernel.market import Lane
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import Tripped
from fairlead._kernel.valuation import Valuer
from fairlead._models.accounts import TradingState
from fairlead._models.market import utc
from fairlead._models.orders import OrderIntent
from fairlead._secrets.scrub import said
from fairlead.errors import ConfigurationError
from fairlead.facts import (
    BreakerHalfOpened,
    BreakerReset,
    BreakerSaved,
    BreakerTripped,
    CashChanged,
    DayStarted,
    Fact,
    FlowSettled,
    HighWaterMark,
    LimitChanged,
)
from fairlead.ports import EQUITY, Allowance, CircuitBreaker, Trip, View

_MOVES_LIMITS = frozenset(
    {DayStarted, HighWaterMark, CashChanged, FlowSettled, BreakerHalfOpened, BreakerReset}
)
"""After these, what equity is measured against may be another."""

_Check = Callable[[OrderIntent, View], Trip | None]
_Checks = tuple[tuple[str, _Check], ...]


class _Bounds(NamedTuple):
    """For one account and instrument: what all breakers allow that say so, and the checks of the others.

    Where some of these are not made in a calm, `lookout` knows whether there is one, and `calm` are those made in it.
    """

    allowance: Allowance
    rest: _Checks
    lookout: Lookout | None
    calm: _Checks


class Board:
    """All breakers of an engine, in the order in which the user listed them."""

    def __init__(
        self,
        recorder: Recorder,
        view: View,
        valuer: Valuer,
        books: EquityBooks,
        schedule: Schedule,
        breakers: Sequence[CircuitBreaker],
    ) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._view = view
        self._valuer = valuer
        self._books = books
        self._schedule = schedule
        self.breakers = tuple(breakers)
        self._rehearsing = False
        self._by_name = {b.name: b for b in breakers}
        self._checks = tuple((b.name, b.check) for b in breakers)
        self._loud = tuple(
            (b.name, b.check) for b in breakers if EQUITY not in b.wants or not hasattr(b, "quiet")
        )
        """The checks that are made also while equity is quiet."""
        self._bounds: dict[tuple[str, str], _Bounds] = {}
        self._configured: dict[str, dict[str, str]] = {}
        self._equity = tuple(b for b in breakers if EQUITY in b.wants)
        self._facts: dict[type[Fact], tuple[CircuitBreaker, ...]] = {}
        self._looks = Looks(
            recorder, view, schedule, self._look, lambda name, trip: self._trip(name, trip, "")
        )
        self._lookouts: dict[str, Lookout] = {}
        self._calm: set[Lookout] = set()
        calming = [b for b in breakers if is_calming(b)]
        self._calming = frozenset(b.name for b in calming)
        self._calming_checks = frozenset(b.name for b in calming if speaks_for(b, "calm", "check"))
        self.act: Callable[[BreakerTripped], None] = lambda _: None
        """Carries out what a trip does besides lowering trading."""

    def start(self) -> None:
        """Give breakers back what they saved, and arrange their first looks."""
        for breaker in self.breakers:
            saved = self._state.breakers.get(breaker.name)
            load = getattr(breaker, "load", None)
            if saved is not None and load is not None:
                load(saved)
            self._looks.arrange(breaker)
        for trip in self._state.tripped.values():
            if trip.until_ns:
                self._close_later(trip)
        self._change_again()

    def _change_again(self) -> None:
        """Limits that a person has changed hold on; where the configuration is another now, the tighter one does."""
        self._configured = {b.name: dict(b.limits()) for b in self.breakers if hasattr(b, "limits")}
        for changed in self._state.limits.values():
            breaker = self._by_name.get(changed.breaker)
            if breaker is None or not hasattr(breaker, "limits"):
                continue
            name, configured = changed.limit, breaker.limits().get(changed.limit)
            try:
                if configured is not None and (
                    configured == changed.configured or breaker.looser(name, changed.value) < 1  # type: ignore[attr-defined]
                ):
                    breaker.change(name, changed.value)  # type: ignore[attr-defined]
            except ConfigurationError:  # it says something else by now: what is configured holds
                continue

    def change(self, breaker: str, limit: str, value: str, who: str, why: str) -> None:
        """Have a person's change of a limit take effect, from the next order on."""
        found: Any = self._by_name[breaker]
        old = found.limits()[limit]
        found.change(limit, value)
        self._recorder.record(
            LimitChanged,
            breaker=breaker,
            limit=limit,
            old=old,
            new=found.limits()[limit],
            configured=self._configured[breaker].get(limit, old),
            who=who,
            why=why,
        )
        self._bounds.clear()
        self._end_calm()
        for account in self._valuer.accounts.values():
            account.listen()

    def _look(self, breaker: CircuitBreaker) -> None:
        self._watch(breaker, None)
        self._clean(breaker)
        self._remember(breaker)

    def _remember(self, breaker: CircuitBreaker) -> None:
        """Write down what a breaker must not forget, where that is another than before."""
        save = getattr(breaker, "save", None)
        if save is None:
            return
        try:
            memory = save()
        except Exception as error:  # what it forgets in a restart it would not find again
            self._trip(breaker.name, broken(error), "")
            return
        if memory != self._state.breakers.get(breaker.name):
            self._recorder.record(BreakerSaved, breaker=breaker.name, state=memory)

    def attach(self, lane: Lane) -> None:
        """Show an instrument's events to the breakers that want them."""
        lookout = Lookout(lane, self.breakers, self._recorder, self._view, self._found, self._calm)
        self._lookouts[lane.id] = lookout
        self._bounds.clear()
        lookout.attach()

    def _end_calm(self) -> None:
        """What breakers have called calm was said before something else happened."""
        for lookout in self._calm:
            lookout.end()
        self._calm.clear()

    def fact(self, fact: Fact) -> None:
        """Show a fact to the breakers that want its kind."""
        kind = type(fact)
        if kind in _MOVES_LIMITS:
            for value in self._valuer.accounts.values():
                value.listen()
        wanting = self._facts.get(kind)
        if wanting is None:
            wanting = self._facts[kind] = tuple(b for b in self.breakers if kind in b.wants)
        for breaker in wanting:
            self._watch(breaker, fact)
            self._remember(breaker)
            self._looks.saw(breaker)
        if kind is BreakerTripped and fact.action:  # type: ignore[attr-defined]
            self.act(fact)  # type: ignore[arg-type]
        if kind is BreakerReset and (reset := self._by_name.get(fact.breaker)) is not None:  # type: ignore[attr-defined]
            self._remember(reset)
            self._looks.restore(reset)

    def equity_moved(self, account: str) -> tuple[float, float]:
        """Equity of an account changed; returns the band within which nobody needs to hear of it again."""
        self._books.moved(self._valuer.accounts[account])
        low, high = -inf, self._state.accounts[account].high_water or -inf
        for breaker in self._equity:
            trip = self._state.tripped.get((breaker.name, f"account:{account}"))
            if trip is not None and not trip.until_ns:
                continue  # it has said so, and stays tripped until it is reset
            self._watch(breaker, account)
            below, above = self._quiet(breaker, account)
            low, high = max(low, below), min(high, above)
        return low, high

    def _quiet(self, breaker: CircuitBreaker, account: str) -> tuple[float, float]:
        """The band that a breaker need not hear of; none where it has none, or cannot say."""
        quiet = getattr(breaker, "quiet", None)
        if quiet is None:
            return inf, -inf
        try:
            below, above = quiet(account, self._view)
        except Exception as error:
            self._trip(breaker.name, broken(error), "")
            return inf, -inf
        return below, above

    def reasons(self, intent: OrderIntent) -> list[str]:
        """Why breakers refuse an order; an exception in a check is a refusal."""
        checks = self._needed(intent)
        if not checks:
            return []
        found: list[str] = []
        view = self._view
        for name, check in checks:
            try:
                trip = check(intent, view)
            except Exception as error:  # a broken check refuses, and says that it is broken
                found.append(f"{name} failed: {said(error)}")
                continue
            if trip is None:
                continue
            if not isinstance(trip, Trip):
                found.append(_no_trip(name, "check", trip))
                continue
            found.append(f"{name}: {trip.reason}")
            self._trip(name, trip, intent.account)
        return found

    def _needed(self, intent: OrderIntent) -> _Checks:
        """The checks that may have something against an order: all but those that have said when they have not."""
        account, instrument = intent.account, intent.instrument
        bounds = self._bounds.get((account, instrument))
        if bounds is None:
            bounds = self._bounds[account, instrument] = self._ask_bounds(account, instrument)
        if self._valuer.within(intent, bounds.allowance):
            lookout = bounds.lookout
            return bounds.calm if lookout is not None and lookout.calm() else bounds.rest
        return self._loud if self._valuer.quiet(account) else self._checks

    def _ask_bounds(self, account: str, instrument: str) -> _Bounds:
        """The narrowest of what breakers allow, and the checks of those that said nothing."""
        allowed: list[Allowance] = []
        rest: list[tuple[str, _Check]] = []
        for name, check in self._loud:
            breaker: Any = self._by_name[name]
            sparing = speaks_for(breaker, "allows", "check")
            said = breaker.allows(account, instrument, self._view) if sparing else None
            if said is None:
                rest.append((name, check))
            else:
                allowed.append(said)
        narrowest = Allowance(
            min((one.value for one in allowed), default=inf),
            min((one.leverage for one in allowed), default=inf),
            min((one.age_ns for one in allowed), default=inf),
            min((one.exposure for one in allowed), default=inf),
        )
        calm = tuple(one for one in rest if one[0] not in self._calming_checks)
        lookout = self._lookouts.get(instrument) if len(calm) < len(rest) else None
        return _Bounds(narrowest, tuple(rest), lookout, calm)

    def refresh(self) -> None:
        """Before an order is judged: reset what is clean again."""
        for name in dict.fromkeys(trip.breaker for trip in self._state.tripped.values()):
            breaker = self._by_name.get(name)
            if breaker is not None:
                self._clean(breaker)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Meanwhile an order is judged as if it were placed now, and nothing comes of it: no trip, and no reset."""
        standing = dict(self._state.tripped)
        self._rehearsing = True
        try:
            for key, trip in standing.items():
                breaker = self._by_name.get(trip.breaker)
                if breaker is None or trip.until_ns or not self._is_clean(breaker, trip):
                    continue
                probe = self._probe(breaker, trip)
                if probe is None:
                    continue
                if probe:
                    self._state.tripped[key] = attrs.evolve(
                        trip, state=TradingState.ACTIVE, until_ns=self._recorder.now + probe
                    )
                else:
                    del self._state.tripped[key]
            yield
        finally:
            self._rehearsing = False
            self._state.tripped.clear()
            self._state.tripped.update(standing)

    def _watch(self, breaker: CircuitBreaker, item: Any) -> None:
        try:
            trip = breaker.watch(item, self._view)
        except Exception as error:
            trip = broken(error)
        if self._calm and breaker.name in self._calming:
            self._end_calm()
        if trip is not None:
            self._found(breaker.name, trip, item)

    def _found(self, name: str, trip: Any, item: Any) -> None:
        """A breaker says something about what it saw."""
        if not isinstance(trip, Trip):
            trip = Trip(_no_trip(name, "watch", trip), TradingState.REDUCE_ONLY, "engine")
        self._trip(name, trip, self._account_of(item))

    def _account_of(self, item: Any) -> str:
        """The account that something seen is about, itself or by its fill, its intent or its order; "" for none."""
        if isinstance(item, str):
            return item
        found: str = getattr(item, "account", "")
        for part in ("fill", "intent"):
            found = found or getattr(getattr(item, part, None), "account", "")
        if not found:
            order = self._state.orders.get(getattr(item, "client_order_id", ""))
            found = order.account if order is not None else ""
        return found

    def _trip(self, name: str, trip: Trip, account: str) -> None:
        if trip.state is None or trip.state is TradingState.ACTIVE or self._rehearsing:
            return
        scope, why = trip.scope or (f"account:{account}" if account else "engine"), trip.reason
        if not self._is_there(scope):  # it would lower nothing, in silence
            scope, why = "engine", f"{why} (there is no scope {scope!r} here, so it holds for all)"
        standing = self._state.tripped.get((name, scope))
        if standing is not None and standing.state.severity >= trip.state.severity:
            return
        self._recorder.record(
            BreakerTripped, breaker=name, reason=why, state=trip.state, scope=scope, action=trip.action
        )
        self._remember(self._by_name[name])

    def _is_there(self, scope: str) -> bool:
        kind, _, name = scope.partition(":")
        known = {"account": set(self._state.accounts), "instrument": set(self._state.instruments)}
        return scope == "engine" or kind == "strategy" or name in known.get(kind, ())

    def _is_clean(self, breaker: CircuitBreaker, trip: Tripped) -> bool:
        """Whether a breaker's own rule resets a trip of it. Only a person lifts a kill."""
        clean = getattr(breaker, "clean", None)
        if clean is None or trip.state is TradingState.KILLED or breaker.name in self._looks.blind:
            return False
        try:
            return bool(clean(trip.scope, self._view))
        except Exception as error:  # one that cannot say so is not clean
            self._trip(breaker.name, broken(error), "")
            return False

    def _clean(self, breaker: CircuitBreaker) -> None:
        if not self._state.tripped:
            return
        for trip in [t for t in self._state.tripped.values() if t.breaker == breaker.name]:
            if trip.until_ns:
                self._close(trip)
            elif self._is_clean(breaker, trip):
                self._open_again(breaker, trip)

    def _open_again(self, breaker: CircuitBreaker, trip: Tripped) -> None:
        """A breaker's rule resets a trip: at once, or half at first."""
        probe = self._probe(breaker, trip)
        if probe is None:
            return
        if not probe:
            self._reset(trip, "clean again")
            return
        until = self._recorder.now + probe
        self._recorder.record(BreakerHalfOpened, breaker=breaker.name, scope=trip.scope, until_ns=until)
        self._close_later(trip)

    def _probe(self, breaker: CircuitBreaker, trip: Tripped) -> int | None:
        """For how long it is half-open first; None where it cannot say, so that it stays as it is."""
        probe = getattr(breaker, "probe", None)
        if probe is None:
            return 0
        try:
            return int(probe(trip.scope, self._view))
        except Exception as error:
            self._trip(breaker.name, broken(error), "")
            return None

    def _close_later(self, trip: Tripped) -> None:
        self._schedule(trip.until_ns, lambda: self._close(trip), TIMER, 0)

    def _close(self, trip: Tripped) -> None:
        """The time of a half-open breaker is over without another trip."""
        standing = self._state.tripped.get((trip.breaker, trip.scope))
        if standing is not None and standing.until_ns and self._recorder.now >= standing.until_ns:
            self._reset(
                standing, f"half-open until {utc(standing.until_ns):%H:%M:%S} UTC without another trip"
            )

    def _reset(self, trip: Tripped, why: str) -> None:
        self._recorder.record(BreakerReset, breaker=trip.breaker, who=trip.breaker, why=why, scope=trip.scope)


def _no_trip(name: str, method: str, said: object) -> str:
    return f"{name}.{method} returned {said!r}: return a Trip or None"
