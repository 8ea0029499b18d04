"""Which installed distribution a plugin comes from, and whether it was built for this fairlead."""

from __future__ import annotations

import difflib
import inspect
from importlib import metadata
from types import ModuleType
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


class Origins:
    """Where plugins come from, as installed at the moment this is made."""

    def __init__(self) -> None:
        self._owners = {"fairlead": Origin("fairlead", core_version())}
        for point in metadata.entry_points(group=GROUP):
            if point.dist is not None:
                package = point.module.partition(".")[0]
                self._owners[package] = Origin(point.dist.name, point.dist.version)

    def of(self, item: Any) -> Origin:
        """The distribution of an object's class, or of a module."""
        module = item.__name__ if isinstance(item, ModuleType) else type(item).__module__
        return self._owners.get(module.partition(".")[0], Origin())


def plugin_by_name(name: str) -> Any:
    """The plugin object of an entry point's name, made without arguments.

    Its distribution's requirement on fairlead is checked before anything of it is imported. Raises
    ConfigurationError for a name that none or several offer, or that needs arguments; PluginError for one that
    wants another fairlead, fails to import or cannot be made.
    """
    point = entry_point(name)
    made = load(point)
    if not isinstance(made, type):
        return made
    try:
        inspect.signature(made).bind()
    except TypeError as error:
        raise ConfigurationError(
            f"plugin {name!r} needs arguments ({error}): put an object in plugins=[...], {made.__name__}(...)"
        ) from None
    try:
        return made()
    except Exception as error:  # as in load: whatever went wrong, the plugin is named
        raise _failed(point, "cannot be made", error) from error


def entry_point(name: str) -> metadata.EntryPoint:
    """The entry point of a name, nothing imported. Raises ConfigurationError for one that none or several offer."""
    points = metadata.entry_points(group=GROUP, name=name)
    if not points:
        names = sorted({point.name for point in metadata.entry_points(group=GROUP)})
        close = difflib.get_close_matches(name, names, 1)
        remedy = f"did you mean {close[0]!r}?" if close else "install it, or check the spelling"
        raise ConfigurationError(
            f"no plugin is named {name!r} (installed: {', '.join(names) or 'none'}): {remedy}"
        )
    return _only(points)


def plugin_class(name: str, distribution: str = "") -> Any:
    """The class that an entry point names, from `distribution` unless another is installed for it.

    Raises ConfigurationError with the remedy where none or several offer it, PluginError where it does not load.
    """
    points = metadata.entry_points(group=GROUP, name=name)
    if not points:
        wanted = distribution or f"fairlead-{name}"
        raise ConfigurationError(
            f"a plugin named {name!r} is needed, and none is installed: pip install {wanted}"
        )
    return load(_only(points))


def _only(points: metadata.EntryPoints) -> metadata.EntryPoint:
    found = list(points)
    if len(found) > 1:
        owners = ", ".join(sorted(point.dist.name if point.dist else "?" for point in found))
        raise ConfigurationError(
            f"several distributions offer a plugin {found[0].name!r} ({owners}): uninstall all but one"
        )
    return found[0]


def load(point: metadata.EntryPoint) -> Any:
    """What an entry point names, its version range read first. Raises PluginError."""
    if point.dist is not None:
        check_version(point.name, point.dist)
    try:
        return point.load()
    except Exception as error:  # a plugin can fail at import in any way; it is named, and hides no other
        raise _failed(point, "cannot be loaded", error) from error


def _failed(point: metadata.EntryPoint, what: str, error: Exception) -> PluginError:
    distribution = point.dist.name if point.dist is not None else ""
    owner = f"{distribution} {point.dist.version}" if point.dist is not None else "an unknown distribution"
    return PluginError(
        f"plugin {point.name!r} of {owner} {what} ({type(error).__name__}: {error}): "
        f"repair or uninstall it, or take it out of plugins=[...]",
        plugin=point.name,
        distribution=distribution,
    )


def check_version(plugin: str, distribution: metadata.Distribution) -> None:
    """Refuse a plugin whose distribution wants another fairlead than this. Raises PluginError."""
    from packaging.requirements import Requirement

    running = core_version()
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


def core_version() -> str:
    """The version of fairlead that runs, from its metadata where it is installed."""
    try:
        return metadata.version("fairlead")
    except metadata.PackageNotFoundError:
        from fairlead import __version__

        return __version__
