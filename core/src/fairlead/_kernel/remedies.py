"""What lifts what holds trading down, in words for a person."""

from __future__ import annotations

import shlex

from fairlead._kernel.state import DOUBT

_OPTIONS = {"account": "account", "strategy": "strategy", "instrument": "symbol"}

ADOPT = (
    "stop the engine, then put the whole journal back in its place, or have a person adopt the account: "
    "`fairlead account list --run RUN` has its KEY, `fairlead account adopt KEY --run RUN --why WHY` adopts it"
)
"""What lifts a doubt: nothing that an engine could be asked for."""


def to_lift(breaker: str) -> str:
    """What lifts a trip of a breaker, a kill, or a doubt."""
    return ADOPT if breaker == DOUBT else f"`fairlead reset {shlex.quote(breaker)} --why WHY` lifts it"


def to_resume(scope: str) -> str:
    """What lifts a halt or a reduction of a scope."""
    kind, _, name = scope.partition(":")
    where = f" --{_OPTIONS[kind]} {shlex.quote(name)}" if kind in _OPTIONS else ""
    return f"`fairlead resume{where} --why WHY` lifts it"
