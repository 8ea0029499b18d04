"""Every key that a configuration may have, from the code that takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from fairlead._config.fitting import words_of
from fairlead._config.loading import engine_signature
from fairlead._config.sections import SECTIONS, STRATEGY_KEYS, Section
from fairlead._config.showing import default_text
from fairlead._config.signatures import ON_EXIT, Parameter, signature_of
from fairlead._engine.catalogue import installed


@attrs.frozen
class Key:
    """One key of a table: its type in words, its default as text (empty for none), whether it must be given."""

    name: str
    type: str
    default: str
    required: bool


@attrs.frozen
class Plugin:
    """What can be used in a section, from which distribution, and the keys that it takes."""

    use: str
    distribution: str
    purpose: str
    keys: list[Key]


@attrs.frozen
class Part:
    """A section, with its own keys and what can be used in it."""

    section: Section
    keys: list[Key]
    plugins: list[Plugin]


def schema() -> list[Part]:
    """All sections, with the plugins that are installed. One that does not load is left out: `check` says why."""
    plugins = list(_installed())
    parts = []
    for section in SECTIONS.values():
        fitting = [plugin for port, plugin in plugins if port == section.port and port]
        parts.append(Part(section, _own_keys(section), fitting))
    return parts


def _own_keys(section: Section) -> list[Key]:
    if section.name == "engine":
        return [_key(parameter) for parameter in engine_signature().parameters.values()]
    if section.name == "strategy":
        assert STRATEGY_KEYS == ("use", "allocation", "on_exit")
        return [
            Key("use", "text", "", True),
            Key("allocation", "text", "", False),
            Key("on_exit", words_of(ON_EXIT.kind), "leave", False),
        ]
    return [Key("use", "text", "the table's name", False)]


def _installed() -> Iterator[tuple[str, Plugin]]:
    for plugin in installed():
        made = plugin.made_of
        if isinstance(made, type) and plugin.kind and not plugin.fault:
            yield plugin.kind, Plugin(plugin.name, plugin.origin.name, _purpose(made), _keys(made))


def _keys(made: Callable[..., Any]) -> list[Key]:
    parameters = signature_of(made).parameters
    return [_key(parameter) for name, parameter in parameters.items() if name != "name"]


def _key(parameter: Parameter) -> Key:
    default = "" if parameter.required else default_text(parameter)
    return Key(parameter.name, words_of(parameter.kind), default, parameter.required)


def _purpose(made: Any) -> str:
    """The first sentence of a docstring, in one line."""
    return " ".join((inspect.getdoc(made) or "").split("\n\n", maxsplit=1)[0].split())


# --- for people -------------------------------------------------------------------------------------------------


def markdown() -> str:
    """The tables of docs/configuration.md."""
    lines: list[str] = []
    for part in schema():
        lines += [
            f"### `{part.section.heading}`",
            "",
            *_wrapped(part.section.purpose),
            "",
            *_table(part.keys),
        ]
        for plugin in part.plugins:
            lines += [f"#### `{plugin.use}` ({part.section.name}, {plugin.distribution})", ""]
            lines += [*_wrapped(plugin.purpose), "", *_table(plugin.keys)]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _table(keys: list[Key]) -> list[str]:
    if not keys:
        return []
    rows = [f"| `{key.name}` | {key.type.replace('|', '/')} | {_default(key)} |" for key in keys]
    return ["| Key | Type | Default |", "|---|---|---|", *rows, ""]


def _default(key: Key) -> str:
    if key.required:
        return "must be given"
    return key.default if " name" in key.default else f"`{key.default}`" if key.default else ""
