"""Settings from outside a file: `FAIRLEAD__SECTION__NAME__KEY=value` and `--set section.name.key=value`.

They change tables that the file has; what is not in the file does not run, and no variable can add to it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fairlead._config.faults import Fault, suggestion
from fairlead._config.layers import Layer, Setting, Table
from fairlead._config.sections import SECTIONS
from fairlead._secrets.secret import is_unicode

PREFIX = "FAIRLEAD__"

Tables = Collection[Table] | None
"""The tables that a file has; None where there is no file, and every name will do."""


def from_environment(environment: Mapping[str, str], tables: Tables, faults: list[Fault]) -> Layer:
    """The settings of the environment; a variable that can name no key is a fault. `tables` None are any."""
    layer = Layer()
    for variable in sorted(environment):
        if variable.startswith(PREFIX):
            parts = [part.lower() for part in variable.removeprefix(PREFIX).split("__")]
            origin = f"environment {variable}"
            _place(layer, parts, environment[variable], (variable, origin), tables, faults)
    return layer


def from_settings(settings: Sequence[str], tables: Tables, faults: list[Fault]) -> Layer:
    """The settings of `--set`; the last of a key wins. `tables` None are any."""
    layer = Layer()
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            faults.append(Fault(f"--set {name}", "it has no value: write --set section.name.key=value"))
            continue
        _place(
            layer, name.strip().split("."), value.strip(), (f"--set {name.strip()}", "--set"), tables, faults
        )
    return layer


def _place(
    layer: Layer,
    parts: list[str],
    text: str,
    said: tuple[str, str],
    tables: Collection[Table] | None,
    faults: list[Fault],
) -> None:
    """Put a setting where its words say, or say why there is no such place."""
    where, origin = said
    section = parts[0]
    if not is_unicode("".join([*parts, text])):
        faults.append(Fault(ascii(where), "it is not UTF-8: write it as text"))
        return
    if section not in SECTIONS:
        faults.append(Fault(where, f"no such section {section!r}: {suggestion(section, SECTIONS)}"))
        return
    wanted = 2 if section == "engine" else 3
    if len(parts) != wanted or not all(parts):
        form = "engine.KEY" if section == "engine" else f"{section}.NAME.KEY"
        faults.append(Fault(where, f"it names no key: the words are {form}"))
        return
    setting = Setting(parsed(text), origin, text)
    if section == "engine":
        layer.settings[section, parts[1]] = setting
        return
    names = [parts[1]] if tables is None else [name for kind, name in tables if kind == section]
    matching = [name for name in names if name == parts[1]] or [
        name for name in names if _plain(name) == _plain(parts[1])
    ]
    if len(matching) > 1:
        faults.append(Fault(where, f"{parts[1]!r} can be {' and '.join(matching)}: rename one of the tables"))
    elif not matching:
        faults.append(
            Fault(
                where,
                f"the file has no [{section}.{parts[1]}], and only the file adds one: {suggestion(parts[1], names)}",
            )
        )
    else:
        layer.settings[section, matching[0], parts[2]] = setting


def _plain(name: str) -> str:
    """As names of variables can say it."""
    return name.lower().replace("-", "_")


def parsed(text: str) -> Any:
    """A value as TOML would read it, or the text itself: `5`, `true`, `[1, 2]`, but `5s`."""
    if "\n" in text or "#" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
