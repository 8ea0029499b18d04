"""The classes that tables name: plugins by entry point, strategies by file or module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from fairlead._config.faults import suggestion
from fairlead._config.scripts import import_script
from fairlead._config.sections import SECTIONS
from fairlead._engine.distributions import entry_point, load
from fairlead._engine.wiring import port_of_class
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError


def plugin_for(section: str, use: str, folder: Path) -> Callable[..., Any]:
    """What an entry point names, or `file.py:Class` (beside the configuration), where it fits into a section.

    Raises ConfigurationError where there is none or it is of another section, PluginError where it does not load.
    """
    made = _class_of(use, folder, SECTIONS[section].port) if ":" in use else load(entry_point(use))
    port = port_of_class(made) if isinstance(made, type) else ""
    if port and port != SECTIONS[section].port:
        right = next((other for other in SECTIONS.values() if other.port == port), None)
        remedy = f"put it under {right.heading}" if right else "it can only be given in a script"
        raise ConfigurationError(f"{use!r} is a {port} and no {SECTIONS[section].port}: {remedy}")
    if not callable(made):
        raise ConfigurationError(
            f"{use!r} is an object that is made already: put it into a script's plugins=[...]"
        )
    return made  # type: ignore[no-any-return]


def _class_of(use: str, folder: Path, port: str) -> Any:
    """The class of a plugin that is the user's own."""
    module, where, name = _module(use, folder)
    kinds = {
        key: kind for key, kind in vars(module).items() if isinstance(kind, type) and port_of_class(kind)
    }
    if name in kinds:
        return kinds[name]
    if hasattr(module, name):
        raise ConfigurationError(
            f"{where} has {name}, and it is no {port}: give it what fairlead.ports wants of one"
        )
    raise ConfigurationError(f"{where} has no {port} {name!r}: {suggestion(name, kinds)}")


def strategy_class(use: str, folder: Path) -> type[Strategy]:
    """The class that `file.py:Class` (beside the configuration) or `package.module:Class` names.

    Raises ConfigurationError.
    """
    module, where, name = _module(use, folder)
    kinds = {
        key: kind
        for key, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Strategy) and kind is not Strategy
    }
    if name in kinds:
        return kinds[name]
    if hasattr(module, name):
        raise ConfigurationError(
            f"{where} has {name}, and it is no strategy: derive it from fairlead.Strategy"
        )
    raise ConfigurationError(f"{where} has no strategy {name!r}: {suggestion(name, kinds)}")


def _module(use: str, folder: Path) -> tuple[ModuleType, str, str]:
    """The module that is named before the colon, its name, and that of the class."""
    where, colon, name = use.rpartition(":")
    if not colon or not where or not name:
        raise ConfigurationError(
            f"{use!r} names no class: write 'strategies.py:Cross' or 'package.module:Cross'"
        )
    if where.endswith(".py"):
        return import_script(folder / where), where, name
    if str(folder) not in sys.path:  # a module beside the file is found, as it is beside a script
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(where), where, name
    except Exception as error:  # anything can go wrong in a user's module; it is named
        raise ConfigurationError(
            f"{where} cannot be imported ({type(error).__name__}: {error}): repair it, install it, or write the "
            f"path of a file, such as 'strategies.py:{name}'"
        ) from error
