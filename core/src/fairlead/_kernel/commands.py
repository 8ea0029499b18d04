"""What a person may ask of a running engine: each request is a fact with who and why, then its effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fairlead import facts as f
from fairlead._models.accounts import TradingState
from fairlead.errors import ConfigurationError

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

Arguments = Mapping[str, str]


class Commands:
    """One method for each verb. `check` says beforehand what is wrong with a request."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self._verbs: dict[str, Callable[[str, str, Arguments], None]] = {
            "halt": self._halt,
            "resume": self._resume,
            "pause": self._pause,
            "unpause": self._unpause,
            "reset": self._reset,
            "cancel_all": self._cancel_all,
        }

    def check(self, verb: str, arguments: Arguments) -> None:
        """Raises ConfigurationError for a verb, strategy, breaker, account or scope that is not there."""
        kernel = self._kernel
        for name, known in (
            ("strategy", kernel.runners),
            ("breaker", {breaker.name for breaker in kernel.board.breakers}),
            ("account", self._state.accounts),
        ):
            wanted = arguments.get(name)
            if wanted and wanted not in known:
                there = ", ".join(sorted(known)) or "none"
                raise ConfigurationError(f"{verb}: there is no {name} {wanted!r} here (there are: {there})")
        scope = arguments.get("scope", "engine")
        kind, _, name = scope.partition(":")
        scopes = {
            "account": set(self._state.accounts),
            "strategy": set(kernel.runners),
            "instrument": {*self._state.instruments, *kernel.catalogue},
        }
        if scope != "engine" and scope not in self._state.lowered and name not in scopes.get(kind, ()):
            there = f" (there are: {', '.join(sorted(scopes[kind])[:8]) or 'none'})" if kind in scopes else ""
            raise ConfigurationError(
                f"{verb}: there is no scope {scope!r} here{there}: write engine, account:NAME, strategy:NAME or "
                f"instrument:ID"
            )
        if verb not in self._verbs:
            raise ConfigurationError(f"there is no command {verb!r}: write one of {', '.join(self._verbs)}")

    def act(self, verb: str, who: str, why: str, arguments: Arguments) -> None:
        """Write a request down and let it take effect."""
        self._recorder.input(f.Commanded, verb=verb, who=who, why=why, arguments=dict(arguments))
        self._verbs[verb](who, why, arguments)

    def _halt(self, who: str, why: str, arguments: Arguments) -> None:
        self._change(TradingState.HALTED, who, why, arguments)

    def _resume(self, who: str, why: str, arguments: Arguments) -> None:
        self._change(TradingState.ACTIVE, who, why, arguments)

    def _change(self, state: TradingState, who: str, why: str, arguments: Arguments) -> None:
        scope = arguments.get("scope", "engine")
        self._recorder.record(f.StateChanged, scope=scope, state=state, reason=why, who=who)

    def _pause(self, who: str, why: str, arguments: Arguments) -> None:
        self._set_paused(who, why, arguments["strategy"], paused=True)

    def _unpause(self, who: str, why: str, arguments: Arguments) -> None:
        self._set_paused(who, why, arguments["strategy"], paused=False)
        self._kernel.runners[arguments["strategy"]].open()

    def _set_paused(self, who: str, why: str, strategy: str, *, paused: bool) -> None:
        self._recorder.record(f.StrategyPaused, strategy=strategy, paused=paused, who=who, why=why)

    def _reset(self, who: str, why: str, arguments: Arguments) -> None:
        for name, scope in [key for key in self._state.tripped if key[0] == arguments["breaker"]]:
            self._recorder.record(f.BreakerReset, breaker=name, who=who, why=why, scope=scope)

    def _cancel_all(self, who: str, why: str, arguments: Arguments) -> None:
        """Every order that we know of by its id, then what the venue has besides."""
        only = arguments.get("account", "")
        for order in list(self._state.open.values()):
            if not only or order.account == only:
                self._kernel.desk.cancel(order, f"canceled by {who}: {why}")
        for account in self._state.accounts:
            if not only or account == only:
                self._kernel.outbox.cancel_all(account)
