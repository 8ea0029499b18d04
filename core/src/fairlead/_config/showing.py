"""What a configuration comes to: each value, where it was said, and nothing that is secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

from fairlead._config.layers import Setting
from fairlead._config.loading import Configuration, engine_signature
from fairlead._config.signatures import Parameter, Signature
from fairlead._secrets.scrub import scrub
from fairlead._secrets.secret import HIDDEN, PREFIX, Secret
from fairlead.errors import ConfigurationError

_SOUNDS_SECRET = re.compile(r"(secret|password|passphrase|passwd|token|private)|(^|_|api)key$", re.IGNORECASE)


@attrs.frozen
class Shown:
    """One value of a configuration, as text of a file, and its origin."""

    path: str
    value: str
    origin: str


def values_of(configuration: Configuration) -> list[Shown]:
    """Every value: those that were said, and the defaults of those that were not."""
    merged, shown = configuration.merged, Values(configuration)
    found = list(shown.of("engine", merged.engine(), engine_signature()))
    for table, origin in merged.tables.items():
        own, path = merged.of(table), ".".join(table)
        if "use" not in own:
            found.append(Shown(f"{path}.use", json.dumps(table[1]), origin))
        found += shown.of(path, own, configuration.composer.signatures.get(table, Signature({})))
    return found


@attrs.frozen
class Values:
    """Shows the settings of one configuration."""

    configuration: Configuration

    def of(self, path: str, own: dict[str, Setting], signature: Signature) -> Iterator[Shown]:
        """The settings of a table, `use` first, then its defaults."""
        for key in sorted(own, key=lambda key: key != "use"):
            said = own[key]
            parameter = signature.parameters.get(key)
            value = said.value if said.written is None or key != "use" else said.written
            yield Shown(f"{path}.{key}", self._text(key, value, parameter), said.origin)
        for key, parameter in signature.parameters.items():
            if key not in own and not parameter.required:
                yield Shown(f"{path}.{key}", default_text(parameter), "default")

    def _text(self, key: str, value: Any, parameter: Parameter | None) -> str:
        if isinstance(value, str) and value.startswith(PREFIX):
            return f"{value} ({self._found(value)})"
        if isinstance(value, dict):
            inner = (f"{name} = {self._text(name, item, None)}" for name, item in value.items())
            return "{" + ", ".join(inner) + "}"
        secret = parameter is not None and "Secret" in str(parameter.kind)
        if secret or (isinstance(value, str) and _SOUNDS_SECRET.search(key)):
            return HIDDEN
        return scrub(text_of(value))

    def _found(self, reference: str) -> str:
        try:
            folder = self.configuration.composer.folder
            return f"found in {Secret(reference.removeprefix(PREFIX), folder=folder).store}"
        except ConfigurationError as error:
            return "missing" if " is nowhere" in str(error) else scrub(str(error))


def default_text(parameter: Parameter) -> str:
    """A default as text of a file; nothing for none."""
    return "" if parameter.default is None else text_of(parameter.default)


def text_of(value: Any) -> str:
    """A value as TOML writes it; what TOML has no word for, as Python does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {text_of(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, bool | str | int | float):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
