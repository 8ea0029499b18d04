"""What a person may ask of a running engine: each request is a fact with who and why, then its effect.

A request is understood before anything is written: one that makes no sense is an error to whoever asked, and leaves
no fact. What makes sense is a fact, also where the gate then refuses the order that it asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fairlead import facts as f
from fairlead._kernel.person import Person
from fairlead._kernel.reducing import REDUCE
from fairlead._kernel.remedies import ADOPT, to_lift
from fairlead._kernel.state import DOUBT, scopes_of
from fairlead._kernel.words import flag, needed, only
from fairlead._models.accounts import EXTERNAL, KILL, TradingState
from fairlead._models.orders import Order, OrderStatus
from fairlead._models.reconciliation import BOOKING, Action, Discrepancy, Resolution, fitting
from fairlead.errors import ConfigurationError, FairleadError
from fairlead.units import duration_text, written_duration

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

Arguments = Mapping[str, str]
Answer = dict[str, Any]
Act = Callable[[], Answer]

_LONGEST_REQUEST = 200

_FREELY = 1.5
"""A limit may be loosened by this factor in one step; beyond it, a person must confirm."""

_NEED_NO_REASON = ("submit", "cancel", "replace", "limit")
"""An order speaks for itself; a limit asks for its reason itself, where it is loosened."""

_SCOPES = "write engine, account:NAME, strategy:NAME or instrument:ID"


class Commands:
    """One method for each verb: it raises ConfigurationError for a wrong request, else returns what to do."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._person = Person(kernel)
        self._verbs: dict[str, Callable[[str, str, Arguments], Act]] = {
            "pause": self._pause,
            "resume": self._resume,
            "halt": self._halt,
            "cancel_all": self._cancel_all,
            "flatten": self._flatten,
            "kill": self._kill,
            "reset": self._reset,
            "limit": self._limit,
            "stop": self._stop,
            "reconcile": self._reconcile,
            "approve": self._approve,
            "resolve": self._resolve,
            "submit": self._person.submit,
            "cancel": self._person.cancel,
            "replace": self._person.replace,
        }

    def prepare(self, verb: str, who: str, why: str, arguments: Arguments) -> Act:
        """Understand a request. Raises ConfigurationError for what is not there, or not said."""
        prepare = self._verbs.get(verb)
        if prepare is None:
            raise ConfigurationError(
                f"there is no command {verb!r}: write one of {', '.join(self._verbs)}, check"
            )
        if not who.strip():
            raise ConfigurationError(f"{verb} needs to know who asks: say who=")
        if not why.strip() and verb not in _NEED_NO_REASON:
            raise ConfigurationError(f"{verb} needs a reason: say why=")
        with _understood(verb):
            return prepare(who, why, {name: value for name, value in arguments.items() if value != ""})

    def act(self, verb: str, who: str, why: str, request: str, arguments: Arguments) -> Answer:
        """Write a request down and carry it out; one whose id was seen before gets its first answer again.

        Raises ConfigurationError for what makes no sense, and for an id that was used to ask for something else.
        """
        if len(request) > _LONGEST_REQUEST:
            raise ConfigurationError(
                f"a request id has at most {_LONGEST_REQUEST} characters: send a shorter one"
            )
        asked = _digest(verb, arguments)
        before = self._state.requests.get(request)
        if before is not None:
            if before.asked not in ("", asked):
                what = f"{before.verb} with other arguments" if before.verb == verb else before.verb
                raise ConfigurationError(f"{verb}: request id {request} was used for {what}: use another")
            return {"seq": before.command, "repeated": True, **json.loads(before.answer)}
        act = self.prepare(verb, who, why, arguments)
        fact = self._recorder.input(
            f.Commanded, verb=verb, who=who, why=why, arguments=dict(arguments), request=request
        )
        answer = act()
        if request:
            text = json.dumps(answer)
            self._recorder.record(
                f.CommandAnswered, request=request, command=fact.seq, answer=text, verb=verb, asked=asked
            )
        return {"seq": fact.seq, "repeated": False, **answer}

    def rehearse(self, who: str, arguments: Arguments) -> Answer:
        """What the gate says to an order; nothing is written down, and nothing reserved."""
        given = {name: value for name, value in arguments.items() if value != ""}
        with _understood("check"):
            return {"seq": self._state.seq, "repeated": False, **self._person.check(who, given)}

    # --- trading states -------------------------------------------------------------------------------------

    def _pause(self, who: str, why: str, arguments: Arguments) -> Act:
        """Strategies in the scope open nothing new; their positions stay managed."""
        only("pause", arguments, "scope")
        scope = self._scope("pause", arguments)
        return lambda: self._set_paused(scope, who, why, paused=True)

    def _resume(self, who: str, why: str, arguments: Arguments) -> Act:
        """Undo a pause, a halt, a flatten or a reduction under way and a stop once flat, of this very scope.

        What else holds trading down, tripped breakers for one, is in the answer.
        """
        only("resume", arguments, "scope")
        scope = self._scope("resume", arguments)
        return lambda: self._resume_now(scope, who, why)

    def _resume_now(self, scope: str, who: str, why: str) -> Answer:
        kind, _, name = scope.partition(":")
        if scope in self._state.lowered:
            self._recorder.record(f.StateChanged, scope=scope, state=TradingState.ACTIVE, reason=why, who=who)
        self._kernel.sweeps.call_off(scope, f"called off by {who}: {why}", "flatten", REDUCE, "stop")
        if scope in self._state.paused or (kind == "strategy" and name in self._state.halted):
            self._set_paused(scope, who, why, paused=False)
        if kind == "strategy" and name in self._kernel.runners:
            self._kernel.runners[name].open()
        return {"scope": scope, "standing": self._standing()}

    def _standing(self) -> list[str]:
        """What holds trading down, in words."""
        state = self._state
        return [
            *(f"{scope} is {lowered}" for scope, lowered in state.lowered.items()),
            *(f"{trip}; {to_lift(trip.breaker)}" for trip in state.tripped.values()),
            *(f"{scope} is paused: {why}" for scope, why in state.paused.items()),
            *(f"strategy:{name} is halted: {why}" for name, why in state.halted.items()),
        ]

    def _halt(self, who: str, why: str, arguments: Arguments) -> Act:
        """Only protection of what is held, and what a person sends to reduce it, gets through."""
        only("halt", arguments, "scope")
        scope = self._scope("halt", arguments)

        def act() -> Answer:
            self._recorder.record(f.StateChanged, scope=scope, state=TradingState.HALTED, reason=why, who=who)
            return {"scope": scope}

        return act

    def _set_paused(self, scope: str, who: str, why: str, *, paused: bool) -> Answer:
        kind, _, name = scope.partition(":")
        strategy, wider = (name, "") if kind == "strategy" else ("", scope)
        self._recorder.record(
            f.StrategyPaused, strategy=strategy, scope=wider, paused=paused, who=who, why=why
        )
        return {"scope": scope}

    def _reset(self, who: str, why: str, arguments: Arguments) -> Act:
        """Close a tripped breaker again, in one scope or wherever it tripped; `kill` lifts a kill."""
        only("reset", arguments, "breaker", "scope")
        if arguments.get("breaker") == DOUBT and self._state.doubted:
            raise ConfigurationError(f"reset: no breaker tripped, the account is in doubt: {ADOPT}")
        # One that is not in the engine's list any more holds trading down all the same.
        standing = {name for name, _ in self._state.tripped if name != DOUBT}
        known = {breaker.name for breaker in self._kernel.board.breakers} | standing | {KILL}
        breaker = self._known("reset", "breaker", arguments.get("breaker", ""), known)
        where = self._scope("reset", arguments) if "scope" in arguments else ""

        def act() -> Answer:
            scopes = [s for name, s in self._state.tripped if name == breaker and where in ("", s)]
            for scope in scopes:
                self._recorder.record(f.BreakerReset, breaker=breaker, who=who, why=why, scope=scope)
                if breaker == KILL:
                    self._kernel.sweeps.call_off(scope, f"called off by {who}: {why}", KILL)
            answer: Answer = {"breaker": breaker, "scopes": scopes, "standing": self._standing()}
            return answer if scopes else {**answer, "note": f"{breaker} had not tripped"}

        return act

    def _limit(self, who: str, why: str, arguments: Arguments) -> Act:
        """Change a limit of a breaker: from the next order on, and after restarts.

        `breaker` may be left out where only one has a limit of this name. Loosening it needs a reason, and beyond 1.5
        times in one step `confirm`.
        """
        only("limit", arguments, "name", "value", "breaker", "confirm")
        name, value = needed("limit", arguments, "name"), needed("limit", arguments, "value")
        all_limits = {
            breaker.name: breaker for breaker in self._kernel.board.breakers if hasattr(breaker, "limits")
        }
        if "breaker" in arguments:
            chosen = self._known("limit", "breaker with limits", arguments["breaker"], set(all_limits))
        else:
            chosen = _only_one(name, all_limits)
        breaker: Any = all_limits[chosen]
        self._known("limit", f"limit of {chosen}", name, set(breaker.limits()))
        factor = breaker.looser(name, value)
        if factor > 1 and not why.strip():
            raise ConfigurationError(
                f"limit: {value} is looser than {breaker.limits()[name]}, and loosening needs a reason: say why="
            )
        if factor > _FREELY and not flag("confirm", arguments):
            raise ConfigurationError(
                f"limit: {value} lets {factor:.3g} times as much through as {breaker.limits()[name]} does, and more "
                f"than {_FREELY:g} times in one step must be meant: say confirm=true, or go in smaller steps"
            )

        def act() -> Answer:
            old = breaker.limits()[name]
            self._kernel.board.change(chosen, name, value, who, why)
            return {"breaker": chosen, "limit": name, "old": old, "new": breaker.limits()[name]}

        return act

    # --- taking back ----------------------------------------------------------------------------------------

    def _cancel_all(self, who: str, why: str, arguments: Arguments) -> Act:
        """Take every order of the scope back, entries before what protects; then what the venue has besides."""
        only("cancel_all", arguments, "scope")
        scope = self._scope("cancel_all", arguments)

        def act() -> Answer:
            there = self._orders(scope)
            self._kernel.sweeps.begin("cancel_all", scope, who, why)
            return {"scope": scope, "orders": there}

        return act

    def _flatten(self, who: str, why: str, arguments: Arguments) -> Act:
        """Pause the strategies of the scope, withdraw its orders, and close what is held.

        The pause comes first, so that nothing is opened again, and stays until `resume`.
        """
        only("flatten", arguments, "scope")
        scope = self._scope("flatten", arguments)
        return lambda: self._flatten_now(scope, who, why)

    def _flatten_now(self, scope: str, who: str, why: str) -> Answer:
        if scope not in self._state.paused:
            self._set_paused(scope, who, why, paused=True)
        return {"scope": scope, **self._sweep("flatten", scope, who, why)}

    def _sweep(self, verb: str, scope: str, who: str, why: str) -> Answer:
        """Withdraw and close. `orders` are those that close, `withdrawn` those that are taken back."""
        there = self._orders(scope)
        sweep = self._kernel.sweeps.begin(verb, scope, who, why, closes=True)
        closing = [
            order.client_order_id
            for order in self._state.orders.values()
            if order.intent.sweep == sweep.number
            or (order.intent.sweep and not order.closed and _within(order, scope))
        ]
        held = [f"{key.strategy} {key.instrument} {key.account}" for key in self._kernel.sweeps.held(sweep)]
        answer: Answer = {"orders": closing, "withdrawn": there}
        if not closing and not held:
            answer["note"] = f"nothing is held in {scope}"
        return answer

    def _kill(self, who: str, why: str, arguments: Arguments) -> Act:
        """Latch KILLED and withdraw everything, stops that protect included; with `flatten` close all as well.

        Only `reset` of the breaker `kill` lifts it: no restart does.
        """
        only("kill", arguments, "scope", "flatten")
        scope = self._scope("kill", arguments)
        if scope != "engine" and not scope.startswith("account:"):
            raise ConfigurationError(f"kill has no scope {scope!r}: write engine or account:NAME")
        closes = flag("flatten", arguments)
        return lambda: self._kill_now(scope, who, why, closes=closes)

    def _kill_now(self, scope: str, who: str, why: str, *, closes: bool) -> Answer:
        self._recorder.record(
            f.BreakerTripped,
            breaker=KILL,
            reason=f"{why} ({who})",
            state=TradingState.KILLED,
            scope=scope,
        )
        there = self._orders(scope)
        if not closes:
            self._kernel.sweeps.begin(KILL, scope, who, why)
            return {"scope": scope, "orders": there}
        swept = self._sweep(KILL, scope, who, why)
        return {**swept, "scope": scope, "orders": there, "closing": swept["orders"]}

    def _orders(self, scope: str) -> list[str]:
        return [order.client_order_id for order in self._state.open.values() if _within(order, scope)]

    # --- books and venue ------------------------------------------------------------------------------------

    def _reconcile(self, who: str, why: str, arguments: Arguments) -> Act:
        """Compare books and venue now, on one account or all. The answer has the differences that stand already."""
        only("reconcile", arguments, "account")
        accounts = list(self._state.accounts)
        if "account" in arguments:
            accounts = [self._known("reconcile", "account", arguments["account"], set(accounts))]

        def act() -> Answer:
            for account in accounts:
                self._kernel.reconciliation.check(account)
            standing = self._kernel.reconciliation.standing(accounts)
            return {
                "accounts": accounts,
                "now_ns": self._recorder.now,
                "standing": [{"id": one.id, "what": str(one)} for one in standing],
            }

        return act

    def _approve(self, who: str, why: str, arguments: Arguments) -> Act:
        """Decide about one difference: take the venue's truth over, unless another `action` is named."""
        only("approve", arguments, "discrepancy", "action", "cause")
        known = self._state.discrepancies
        found = known[self._known("approve", "discrepancy", arguments.get("discrepancy", ""), set(known))]
        action = arguments.get("action", _usual(found))
        actions = sorted(fitting(found.kind) - {Action.WARN, Action.ASK})
        if action not in actions:
            raise ConfigurationError(
                f"approve has no action {action!r} for {found.kind}: write one of {', '.join(actions)}"
            )
        if Action(action) in BOOKING and (left := self._kernel.reconciliation.obstacle(found)):
            raise ConfigurationError(f"{found.id} cannot be booked now: {left}")
        resolution = Resolution(Action(action), arguments.get("cause", ""), why)

        def act() -> Answer:
            self._kernel.reconciliation.resolve(found, resolution, who)
            self._kernel.reconciliation.check(found.account)
            return {"discrepancy": found.id, "action": action, "what": str(found)}

        return act

    def _resolve(self, who: str, why: str, arguments: Arguments) -> Act:
        """Say that an order in doubt is not at its venue, where no evidence will ever come."""
        only("resolve", arguments, "order")
        doubtful = {o.client_order_id for o in self._state.open.values() if _doubtful(o)}
        name = self._known("resolve", "order in doubt", arguments.get("order", ""), doubtful)

        def act() -> Answer:
            order = self._state.orders[name]
            self._kernel.reports.give_up(order, f"{who} says that it is not there: {why}")
            return {"order": name, "status": str(order.status)}

        return act

    # --- ending ---------------------------------------------------------------------------------------------

    def _stop(self, who: str, why: str, arguments: Arguments) -> Act:
        """End now, or once flat: until then nothing is opened, entries are withdrawn, exits stay.

        `within` is a duration after which it ends all the same.
        """
        only("stop", arguments, "when", "within")
        when = arguments.get("when", "now")
        if when not in ("now", "flat"):
            raise ConfigurationError(f"stop has no when {when!r}: write now or flat")
        within = written_duration(arguments["within"]) if "within" in arguments else 0
        if within and when == "now":
            raise ConfigurationError("stop now needs no within: say when=flat, or leave within out")
        return lambda: self._stop_now(who, why, when, within)

    def _stop_now(self, who: str, why: str, when: str, within: int) -> Answer:
        sweeps = self._kernel.sweeps
        sweeps.call_off("engine", f"asked again by {who}: {why}", "stop")
        if when == "now":
            sweeps.finished(f"{why} ({who})")
            return {"when": when}
        until = self._recorder.now + within if within else 0
        sweep = sweeps.begin("stop", "engine", who, why, until_ns=until)
        answer: Answer = {"when": when, "left": sweeps.left(sweep)}
        return {**answer, "within": duration_text(within)} if within else answer

    # --- names ----------------------------------------------------------------------------------------------

    def _scope(self, verb: str, arguments: Arguments) -> str:
        scope = arguments.get("scope", "engine")
        kind, _, name = scope.partition(":")
        scopes = {
            "account": set(self._state.accounts),
            "strategy": {*self._kernel.runners, EXTERNAL},
            "instrument": {*self._state.instruments, *self._kernel.catalogue},
        }
        standing = {*self._state.lowered, *self._state.paused, *(s for _, s in self._state.tripped)}
        if scope != "engine" and scope not in standing and name not in scopes.get(kind, ()):
            known = sorted(scopes.get(kind, set()) - {EXTERNAL})[:8]
            there = f" (there are: {', '.join(known) or 'none'})" if kind in scopes else ""
            raise ConfigurationError(f"{verb}: there is no scope {scope!r} here{there}: {_SCOPES}")
        return scope

    def _known(self, verb: str, what: str, name: str, known: set[str]) -> str:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(f"{verb}: there is no {what} {name!r} here (there are: {there})")
        return name


def _only_one(name: str, all_limits: Mapping[str, Any]) -> str:
    """The one breaker that has a limit of this name, else the only one that has limits. Raises ConfigurationError."""
    if not all_limits:
        raise ConfigurationError("limit: no breaker here has limits: add Limits to the engine's plugins")
    having = [one for one, breaker in all_limits.items() if name in breaker.limits()] or [*all_limits]
    if len(having) != 1:
        raise ConfigurationError(
            f"limit: {len(having)} breakers could be meant ({', '.join(having)}): say breaker="
        )
    return having[0]


def _usual(found: Discrepancy) -> str:
    """What approving a difference means where nothing else is said; "" where nothing can be booked."""
    fit = fitting(found.kind)
    return next((str(action) for action in (Action.ADOPT, Action.CANCEL) if action in fit), "")


def _digest(verb: str, arguments: Arguments) -> str:
    """What tells one request from another: its verb and what it says, in whatever order; who and why may differ."""
    said = sorted((name, value) for name, value in arguments.items() if value != "")
    return hashlib.sha256(json.dumps([verb, said]).encode()).hexdigest()[:32]


@contextmanager
def _understood(verb: str) -> Iterator[None]:
    """Nothing has happened yet: whatever the words of a request bring about is the request's fault."""
    try:
        yield
    except FairleadError:
        raise
    except Exception as error:  # a number of a million digits, a time before all times
        raise ConfigurationError(
            f"{verb} makes no sense like this ({type(error).__name__}: {error}): check its arguments"
        ) from error


def _doubtful(order: Order) -> bool:
    """Whether its venue has never shown it: the cancel of such an order proves nothing either."""
    seen = order.broker_order_id or order.filled_quantity
    canceling = order.status is OrderStatus.PENDING_CANCEL and not seen
    return canceling or order.status is OrderStatus.UNKNOWN


def _within(order: Order, scope: str) -> bool:
    return scope in scopes_of(order.account, order.instrument, order.strategy)
