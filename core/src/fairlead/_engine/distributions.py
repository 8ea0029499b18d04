"""Which installed distribution a plugin comes from, and whether it was built for this fairlead."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

import attrs

from fairlead.errors import ConfigurationError, PluginError

GROUP = "fairlead"


@attrs.frozen
class Origin:
    """A distribution and its version; both empty for an object of the user's own script."""

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.name else "your script"


@functools.cache
def _owners() -> dict[str, str]:
    """Top-level package to distribution, for distributions that offer plugins, and fairlead itself."""
    owners = {"fairlead": "fairlead"}
    for point in metadata.entry_points(group=GROUP):
        if point.dist is not None:
            owners[point.module.partition(".")[0]] = point.dist.name
    return owners


def origin_of(item: Any) -> Origin:
    """Where an object's class comes from."""
    name = _owners().get(type(item).__module__.partition(".")[0])
    if name is None:
        return Origin()
    try:
        return Origin(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Origin(name)


def plugin_by_name(name: str) -> Any:
    """The plugin object of an entry point's name, made without arguments.

    Its distribution's requirement on fairlead is checked before anything of it is imported. Raises
    ConfigurationError for an unknown name, PluginError for one that wants another fairlead, fails to import or
    cannot be made without arguments.
    """
    points = metadata.entry_points(group=GROUP, name=name)
    if not points:
        known = ", ".join(sorted({point.name for point in metadata.entry_points(group=GROUP)})) or "none"
        raise ConfigurationError(
            f"no plugin is named {name!r} (installed: {known}): install it or check the spelling"
        )
    found = list(points)
    if len(found) > 1:
        owners = ", ".join(sorted(point.dist.name if point.dist else "?" for point in found))
        raise ConfigurationError(
            f"several distributions offer a plugin {name!r} ({owners}): uninstall all but one"
        )
    made = load(found[0])
    if not isinstance(made, type):
        return made
    try:
        return made()
    except TypeError as error:
        raise ConfigurationError(
            f"plugin {name!r} needs arguments ({error}): put an object in plugins=[...]"
        ) from None


def plugin_class(name: str) -> Any:
    """The class that an entry point names. Raises ConfigurationError with the remedy where it is not installed."""
    points = list(metadata.entry_points(group=GROUP, name=name))
    if not points:
        raise ConfigurationError(f"a plugin named {name!r} is needed: pip install fairlead-{name}")
    return load(points[0])


def load(point: metadata.EntryPoint) -> Any:
    """What an entry point names, its version range read first. Raises PluginError."""
    distribution = point.dist.name if point.dist is not None else ""
    if point.dist is not None:
        check_version(point.name, point.dist)
    try:
        return point.load()
    except Exception as error:  # a plugin can fail at import in any way; it is named, and hides no other
        raise PluginError(
            f"plugin {point.name!r} of {distribution or 'an unknown distribution'} cannot be loaded: "
            f"{type(error).__name__}: {error}",
            plugin=point.name,
            distribution=distribution,
        ) from error


def check_version(plugin: str, distribution: metadata.Distribution) -> None:
    """Refuse a plugin whose distribution wants another fairlead than this. Raises PluginError."""
    from packaging.requirements import Requirement

    running = metadata.version("fairlead")
    for text in distribution.requires or []:
        wanted = Requirement(text)
        if (
            wanted.name == "fairlead"
            and wanted.marker is None
            and not wanted.specifier.contains(running, prereleases=True)
        ):
            raise PluginError(
                f"plugin {plugin!r} ({distribution.name} {distribution.version}) was built for fairlead "
                f"{wanted.specifier}, and this is {running}: install a matching version of either",
                plugin=plugin,
                distribution=distribution.name,
            )
