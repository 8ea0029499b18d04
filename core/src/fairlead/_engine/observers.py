"""Observers: told of facts after the turn's commands are sent; one that raises is told no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pluggy

from fairlead import facts as f
from fairlead._models.accounts import EXTERNAL
from fairlead.facts import Fact

log = logging.getLogger("fairlead.plugins")
spoken = logging.getLogger("fairlead.facts")


_SPOKEN = frozenset(
    {
        f.BreakerHalfOpened,
        f.BreakerReset,
        f.BreakerTripped,
        f.DiscrepancyFound,
        f.DiscrepancyGone,
        f.DiscrepancyResolved,
        f.JournalCut,
        f.Noted,
        f.OrderAdopted,
        f.OrderUnknown,
        f.StateChanged,
        f.StrategyFaulted,
        f.StrategyHalted,
        f.StrategyPaused,
    }
)
_ALARMS = frozenset(
    {
        "command",
        "dead-man switch",
        "flatten",
        "idle",
        "market",
        "protection",
        "reconciliation",
        "reports",
        "tape",
        "unprotected",
    }
)
"""Parts of the engine that note what should not be. What strategies note is theirs; a stall was logged as it began."""


def speak(batch: Sequence[Fact]) -> None:
    """Log what a person should know at once: who was halted, what tripped, what was refused."""
    for fact in batch:
        if type(fact) in _SPOKEN or _is_foreign(fact):
            _say(fact)


def _is_foreign(fact: Fact) -> bool:
    """Whether somebody else traded on the account, or paid in or out."""
    if type(fact) is f.Filled:
        return fact.fill.strategy == EXTERNAL
    return type(fact) is f.CashChanged and bool(fact.flow or not fact.valued)


def _say(fact: Any) -> None:
    from fairlead._report.phrases import event_of

    event = event_of(fact)
    if event is None or (isinstance(fact, f.Noted) and fact.source == "stall"):
        return
    if isinstance(fact, f.Noted):
        level = logging.WARNING if fact.source in _ALARMS else logging.INFO
    else:
        level = logging.ERROR if event.level == "alarm" else logging.WARNING
    spoken.log(level, "%s: %s", event.kind, event.text)


def implementations(manager: pluggy.PluginManager, hook: str) -> list[tuple[str, Callable[[Any], Any]]]:
    """Who implements a hook: each plugin's name and its function of one argument, in the order of registration."""
    return [(found.plugin_name, _pruned(found)) for found in getattr(manager.hook, hook).get_hookimpls()]


def _pruned(hook: pluggy.HookImpl) -> Callable[[Any], Any]:
    """An implementation names the argument only if it wants it."""
    function = hook.function
    return function if hook.argnames else lambda _: function()


class Observers:
    """The observation hooks of an engine, compiled to tuples once."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hooks = {
            name: tuple(implementations(manager, name))
            for name in ("fairlead_started", "fairlead_fact", "fairlead_stopped")
        }
        self._began = False

    def facts(self, batch: Sequence[Fact]) -> None:
        """A turn's facts are in the journal."""
        if self._hooks["fairlead_fact"]:
            for fact in batch:
                self._call("fairlead_fact", fact)

    def started(self, engine: Any) -> None:
        """Strategies are about to get market events."""
        self._began = True
        self._call("fairlead_started", engine)

    def stopped(self, reason: str) -> None:
        """The run has ended; those who were never told of its start are not told of its end."""
        if self._began:
            self._call("fairlead_stopped", reason)

    def _call(self, name: str, argument: Any) -> None:
        for plugin, function in self._hooks[name]:
            try:
                function(argument)
            except Exception:  # an observer's fault must not reach trading
                log.exception("plugin %s raised in %s: it is told of nothing more", plugin, name)
                self._disable(plugin)

    def _disable(self, plugin: str) -> None:
        for name, pairs in self._hooks.items():
            self._hooks[name] = tuple(pair for pair in pairs if pair[0] != plugin)
