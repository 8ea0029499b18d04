"""One configuration file, read, overridden, checked and made into an engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from fairlead._config.composing import Composer, check_whole
from fairlead._config.faults import Fault, FaultyConfiguration, suggestion
from fairlead._config.layers import Layer, Setting, merge
from fairlead._config.overrides import from_environment, from_settings
from fairlead._config.reading import Document, read_document
from fairlead._config.sections import PROFILE_KEY
from fairlead._config.signatures import Parameter, Signature, signature_of
from fairlead._engine.engine import LiveTradingEngine
from fairlead._engine.needs import waivers
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, PluginError
from fairlead.units import duration

_LIVE = "live"

_ALOUD = {_LIVE: "--live, or write live = true", "waive": "--set engine.waive=[...], or write waive = [...]"}
"""The keys of `[engine]` that no variable can say, and how they are said."""


@attrs.define
class Configuration:
    """A file with all that overrides it: its settings with their origins, and what is wrong with them."""

    file: Path
    profile: str
    merged: Layer
    composer: Composer
    arguments: dict[str, Any]

    @property
    def faults(self) -> list[Fault]:
        """What is wrong; empty where it can run."""
        return self.composer.faults

    def engine(self) -> LiveTradingEngine:
        """The engine. Raises FaultyConfiguration with all faults."""
        if not self.faults:
            try:
                return LiveTradingEngine(
                    self.composer.strategies, plugins=self.composer.plugins, **self.arguments
                )
            except PluginError as error:
                self.composer.fault("", str(error), refused=True)
            except ConfigurationError as error:
                self.composer.fault("", str(error))
        raise FaultyConfiguration(str(self.file), self.faults)


def configure(
    file: Path,
    profile: str | None = None,
    settings: Sequence[str] = (),
    *,
    live: bool = False,
    secrets: bool = True,
) -> Configuration:
    """Read a file and everything that overrides it: profile, environment, settings, in this order.

    `live` says aloud that real money may be traded. Without `secrets` missing ones are no fault. Raises
    FaultyConfiguration for a file that cannot be read at all; other faults are in what is returned.
    """
    document = read_document(file)
    faults = document.faults
    tables = [*document.base.tables, *(t for layer in document.profiles.values() for t in layer.tables)]
    environment = from_environment(os.environ, dict.fromkeys(tables), faults)
    said = from_settings(settings, dict.fromkeys(tables), faults)
    outside = [environment, said]
    chosen = _profile(document, profile, outside, faults)
    layers = [document.base]
    if chosen in document.profiles:
        layers.append(document.profiles[chosen])
    merged = merge(layers)
    for layer in outside:
        _drop_absent(layer, merged, chosen, faults)
    merged = merge([*layers, *outside])
    if profile is not None:
        merged.settings["engine", PROFILE_KEY] = Setting(profile, "--profile")
    if live:
        merged.settings["engine", _LIVE] = Setting(True, "--live")
    composer = Composer(file.absolute().parent, merged, secrets, faults)
    arguments = engine_arguments(composer, merged.engine())
    composer.compose()
    check_whole(composer, arguments)
    return Configuration(file, chosen, merged, composer, arguments)


def _profile(document: Document, asked: str | None, outside: Sequence[Layer], faults: list[Fault]) -> str:
    """The profile: asked for, else the last word of `[engine] profile`; empty for none."""
    setting = Setting(asked, "--profile") if asked is not None else None
    for layer in (*reversed(outside), document.base):
        setting = setting or layer.settings.get(("engine", PROFILE_KEY))
    if setting is None:
        return ""
    name = setting.value if setting.written is None else setting.written
    if not isinstance(name, str) or name not in document.profiles:
        none = "the file has none: add [profile.NAME]"
        remedy = suggestion(str(name), document.profiles) if document.profiles else none
        faults.append(Fault(f"profile {name!r}", f"there is no such profile: {remedy}", setting.origin))
        return ""
    return name


def _drop_absent(layer: Layer, merged: Layer, chosen: str, faults: list[Fault]) -> None:
    """Settings from outside for tables of another profile: it is not in use, so nothing is added."""
    for path in list(layer.settings):
        if path[0] != "engine" and path[:2] not in merged.tables:
            origin = layer.settings.pop(path).origin
            used = f"profile {chosen} is" if chosen else "no profile is"
            text = f"{used} in use, which has no [{'.'.join(path[:2])}]: choose the one that has"
            faults.append(Fault(".".join(path), text, origin))


# --- the engine -------------------------------------------------------------------------------------------------


def engine_signature() -> Signature:
    """The keys of `[engine]`: what the engine itself can be told, and the profile."""
    found = signature_of(LiveTradingEngine).parameters
    keys = {name: found[name] for name in found if name not in ("strategy", "plugins")}
    keys[PROFILE_KEY] = Parameter(PROFILE_KEY, str | None, None)
    return Signature(keys)


def engine_arguments(composer: Composer, own: dict[str, Setting]) -> dict[str, Any]:
    """The settings of `[engine]` that fit; faults are noted."""
    known, fitted = engine_signature().parameters, dict[str, Any]()
    for key, setting in own.items():
        if key not in known:
            composer.fault(f"engine.{key}", f"no such key: {suggestion(key, known)}", setting.origin)
        elif key in _ALOUD and setting.origin.startswith("environment"):
            composer.fault(
                f"engine.{key}",
                f"a variable can be left over from another day, and what is about real money is said aloud: say "
                f"{_ALOUD[key]} in the file",
                setting.origin,
            )
        elif key != PROFILE_KEY:
            composer.fit(f"engine.{key}", setting, known[key], fitted)
    return fitted


_OF_A_SCRIPT = ("run", "durability", "busy_poll", "stop_within", "waive")
"""The keys of `[engine]` that can still be changed on an engine that a script has made."""


def override(engine: LiveTradingEngine, settings: Sequence[str], environment: Mapping[str, str]) -> None:
    """Change an engine of a script by what the environment and `--set` say of `[engine]`, and of nothing else.

    Raises FaultyConfiguration.
    """
    faults: list[Fault] = []
    merged = Layer()
    for layer in (from_environment(environment, None, faults), from_settings(settings, None, faults)):
        merged = merge([merged, layer])
    composer = Composer(Path().absolute(), merged, secrets=True, faults=faults)
    for path, setting in list(merged.settings.items()):
        if path[0] != "engine":
            text = "a script composes its plugins itself: change the script, or compose the engine in a TOML file"
        elif path[1] in engine_signature().parameters and path[1] not in _OF_A_SCRIPT:
            text = f"a script says this itself, and of [engine] only {', '.join(_OF_A_SCRIPT)} can be changed: edit it"
        else:
            continue
        del merged.settings[path]
        composer.fault(".".join(path), text, setting.origin)
    arguments = engine_arguments(composer, merged.engine())
    if faults:
        raise FaultyConfiguration("settings", faults)
    if "run" in arguments:
        engine.folder = RunFolder(arguments["run"])
    engine.durability = arguments.get("durability", engine.durability)
    engine.busy_poll = arguments.get("busy_poll", engine.busy_poll)
    if "stop_within" in arguments:
        engine.stop_within_ns = duration(arguments["stop_within"])
    if "waive" in arguments:
        engine.waive = waivers(arguments["waive"])
