"""Which installed distribution a plugin comes from, and whether it was built for this fairlead."""

from __future__ import annotations

import difflib
import inspect
from contextlib import suppress
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

from fairlead.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

GROUP = "fairlead"


@attrs.frozen
class Origin:
    """A distribution and its version; both empty for an object of the user's own script."""

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.name else "your script"


def origin_of(point: metadata.EntryPoint) -> Origin:
    """The distribution of an entry point; an empty one where its metadata cannot be read."""
    try:
        return Origin(point.dist.name, point.dist.version) if point.dist is not None else Origin()
    except (
        Exception
    ):  # half a distribution, left by an install that was broken off: it is another plugin's fault
        return Origin()


def package_of(point: metadata.EntryPoint) -> str:
    """The top-level package that an entry point leads into, "" where it leads nowhere; imports nothing."""
    return point.value.partition(":")[0].partition(".")[0].strip()


def entry_points(name: str = "") -> list[metadata.EntryPoint]:
    """The entry points of all distributions, or those of one name; a damaged distribution hides no other."""
    try:
        found = list(metadata.entry_points(group=GROUP))
    except Exception:  # one file that is no list of entry points: look for it distribution by distribution
        found = []
        for distribution in metadata.distributions():
            with suppress(Exception):
                found += [point for point in distribution.entry_points if point.group == GROUP]
    return [point for point in found if not name or point.name == name]


class Origins:
    """Where plugins come from, as installed at the moment this is made."""

    def __init__(self) -> None:
        self._owners = {"fairlead": Origin("fairlead", core_version())}
        for point in entry_points():
            if (owner := origin_of(point)).name:
                self._owners[package_of(point)] = owner

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
    points = entry_points(name)
    if not points:
        names = sorted({point.name for point in entry_points()})
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
    points = entry_points(name)
    if not points:
        wanted = distribution or f"fairlead-{name}"
        raise ConfigurationError(
            f"a plugin named {name!r} is needed, and none is installed: pip install {wanted}"
        )
    return load(_only(points))


def _only(found: list[metadata.EntryPoint]) -> metadata.EntryPoint:
    if len(found) > 1:
        owners = ", ".join(sorted(origin_of(point).name or "?" for point in found))
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
    except (
        Exception,
        SystemExit,
    ) as error:  # a plugin can fail at import in any way; it is named, and hides no other
        raise _failed(point, "cannot be loaded", error) from error


def _failed(point: metadata.EntryPoint, what: str, error: BaseException) -> PluginError:
    owner = origin_of(point)
    return PluginError(
        f"plugin {point.name!r} of {owner if owner.name else 'an unknown distribution'} {what} "
        f"({type(error).__name__}: {error}): repair or uninstall it, or take it out of plugins=[...]",
        plugin=point.name,
        distribution=owner.name,
    )


def check_version(plugin: str, distribution: metadata.Distribution) -> None:
    """Refuse a plugin whose distribution wants another fairlead than this. Raises PluginError."""
    running = core_version()
    for wanted in fairlead_range(plugin, distribution):
        if not wanted.contains(running, prereleases=True):
            raise PluginError(
                f"plugin {plugin!r} ({distribution.name} {distribution.version}) was built for fairlead "
                f"{wanted}, and this is {running}: install a matching version of either",
                plugin=plugin,
                distribution=distribution.name,
            )


def fairlead_range(plugin: str, distribution: metadata.Distribution) -> list[SpecifierSet]:
    """The versions of fairlead that a distribution says it works with, from its metadata alone.

    Raises PluginError where they cannot be read.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    found = []
    for text in distribution.requires or []:
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            raise PluginError(
                f"plugin {plugin!r} ({distribution.name} {distribution.version}) has a requirement that cannot be "
                f"read ({' '.join(str(error).split())}): reinstall or repair it",
                plugin=plugin,
                distribution=distribution.name,
            ) from error
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if canonicalize_name(wanted.name) == "fairlead" and applies:
            found.append(wanted.specifier)
    return found


def core_version() -> str:
    """The version of fairlead that runs, from its metadata where it is installed."""
    try:
        return metadata.version("fairlead")
    except metadata.PackageNotFoundError:
        from fairlead import __version__

        return __version__
