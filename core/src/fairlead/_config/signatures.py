"""What a class can be given: its constructor's parameters, with their types as far as they can be known."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal

import attrs

MISSING: Any = inspect.Parameter.empty
"""There is no default, or no annotation."""


@attrs.frozen
class Parameter:
    """One argument. `kind` is its annotation, Any where it has none or one that means nothing here."""

    name: str
    kind: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


ON_EXIT = Parameter("on_exit", Literal["leave", "cancel", "flatten"], None)
"""What every strategy can be told, whatever its constructor takes."""


@attrs.frozen
class Signature:
    """The parameters by name; `open` says that any other name is taken too (`**options`)."""

    parameters: dict[str, Parameter]
    open: bool = False


def signature_of(made: Callable[..., Any]) -> Signature:
    """What can be passed by name. A callable that shows no signature takes anything."""
    try:
        found = inspect.signature(made)
    except (TypeError, ValueError):
        return Signature({}, open=True)
    scope = _scope(made)
    parameters, is_open = {}, False
    for name, parameter in found.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        elif parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            parameters[name] = Parameter(name, _resolved(parameter.annotation, scope), parameter.default)
    return Signature(parameters, is_open)


def _scope(made: Callable[..., Any]) -> dict[str, Any]:
    """The names that annotations of a callable may use: those of the module which writes its constructor."""
    if isinstance(made, type) and not attrs.has(made):  # attrs writes constructors in no module
        made = made.__init__  # type: ignore[misc]
    names = getattr(made, "__globals__", None)
    return names if names is not None else vars(sys.modules[made.__module__])


def _resolved(annotation: Any, scope: dict[str, Any]) -> Any:
    if annotation is MISSING:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(scope))
    except Exception:  # a name for type checkers only, or for a newer Python: then nothing is known of it
        return Any
