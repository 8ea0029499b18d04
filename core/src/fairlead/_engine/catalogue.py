"""What is installed: every plugin by its entry point, what it would fill, or what is wrong with it."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections import Counter
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import msgspec

from fairlead._engine.distributions import Origin, entry_points, load, origin_of, package_of
from fairlead._engine.wiring import HOOKS, port_of_class

UNKNOWN = ""
"""The kind of what could not be loaded."""


@attrs.frozen
class Installed:
    """One entry point. `kind` is a port's name, "command" or "hooks"; `fault` is one line, empty where all is well.

    `hooks` are those that it enters an engine by, `made_of` what the entry point names (None with a fault),
    `tier` the conformance tier that its distribution was tested to, empty where it says none.
    """

    name: str
    target: str
    origin: Origin
    kind: str = UNKNOWN
    hooks: tuple[str, ...] = ()
    fault: str = ""
    tier: str = ""
    made_of: Any = None
    distribution: metadata.Distribution | None = attrs.field(default=None, repr=False)


def installed(name: str = "") -> list[Installed]:
    """The plugins of all installed distributions by name, or those of one name. None hides another, none raises.

    A plugin is imported to see what it fills, after its version range was read. What it prints meanwhile goes to
    standard error.
    """
    points = entry_points(name)
    offered = Counter(point.name for point in points)
    found = [_judged(point, doubled=offered[point.name] > 1) for point in points]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.origin.name))


def names() -> list[str]:
    """The names of all entry points, importing nothing."""
    return sorted({point.name for point in entry_points()})


def _judged(point: metadata.EntryPoint, *, doubled: bool) -> Installed:
    origin = origin_of(point)
    plugin = Installed(
        point.name, point.value, origin, tier=_tier(point), distribution=point.dist if origin.name else None
    )
    if not origin.name:
        return attrs.evolve(plugin, fault="its distribution's metadata cannot be read: install it again")
    try:
        with redirect_stdout(sys.stderr):
            made_of = load(point)
            kind, hooks = _fills(made_of)
    except (Exception, SystemExit) as error:  # a plugin can fail in any way; it is named, and hides no other
        return attrs.evolve(plugin, fault=" ".join(str(error).split()) or type(error).__name__)
    plugin = attrs.evolve(plugin, kind=kind, hooks=hooks, made_of=made_of)
    if not hooks:
        shown = getattr(made_of, "__name__", type(made_of).__name__)
        return attrs.evolve(plugin, fault=f"{shown} fills no port and implements no hook: see fairlead.ports")
    if doubled:
        return attrs.evolve(
            plugin, fault="another distribution offers this name too: uninstall one of the two"
        )
    return plugin


def _fills(made_of: Any) -> tuple[str, tuple[str, ...]]:
    """A plugin's kind and hooks. A class is judged by its methods: its data may come with the object."""
    marks = (
        (getattr(inspect.getattr_static(made_of, name, None), "fairlead_impl", None), name)
        for name in dir(made_of)
    )
    implemented = {options["specname"] or name for options, name in marks if options is not None}
    marked = tuple(hook for hook in HOOKS if hook in implemented)
    if port := port_of_class(made_of if isinstance(made_of, type) else type(made_of)):
        return port, (f"fairlead_register_{port}", *marked)
    if marked == ("fairlead_register_command",):
        return "command", marked
    return ("hooks" if marked else UNKNOWN), marked


class _Conformance(msgspec.Struct):
    tier: str


def _tier(point: metadata.EntryPoint) -> str:
    """The tier in `conformance.json`, which a wheel may carry in its package; "?" where it cannot be read."""
    try:
        spec = importlib.util.find_spec(package_of(point))
        folders = spec.submodule_search_locations if spec is not None else None
        file = Path(next(iter(folders or []), "")) / "conformance.json"
        if not folders or not file.is_file():
            return ""
        tier = msgspec.json.decode(file.read_bytes(), type=_Conformance).tier
    except (OSError, ValueError, ImportError, msgspec.MsgspecError):
        return "?"
    return tier if tier.isascii() and tier.isalnum() and len(tier) <= len("unknown") else "?"
