"""Verbs that installed plugins bring, by the hook `fairlead_register_command`."""

from __future__ import annotations

from collections.abc import Container
from importlib import metadata

import click

from fairlead._engine.distributions import entry_points, load, origin_of
from fairlead.errors import FairleadError, PluginError

_HOOK = "fairlead_register_command"


def _points() -> list[metadata.EntryPoint]:
    """The entry points that bring verbs: their objects are called `verbs`, which metadata says without an import."""
    return [point for point in entry_points() if point.value.strip().endswith(":verbs")]


def verbs(own: Container[str]) -> dict[str, click.Command]:
    """Every verb of every plugin by its name; a plugin that fails, or repeats a verb, says why when its verb is called.

    `own` are the verbs that no plugin can take.
    """
    found: dict[str, click.Command] = {}
    for point in _points():
        try:
            for command in _offered(point):
                name = command.name or point.name
                if name in own or name in found:
                    raise PluginError(
                        f"plugin {point.name!r} of {origin_of(point)} brings a verb {name!r}, and there is one "
                        f"already: uninstall it, or ask its author to rename it",
                        plugin=point.name,
                        distribution=origin_of(point).name,
                    )
                found[name] = command
        except FairleadError as error:
            found.setdefault(point.name, _broken(point.name, error))
    return found


def _offered(point: metadata.EntryPoint) -> list[click.Command]:
    offered: list[click.Command] = []
    made_of = load(point)
    try:
        getattr(made_of, _HOOK)(offered.append)
    except Exception as error:  # a plugin can fail in any way; it is named, and hides no other
        raise PluginError(
            f"plugin {point.name!r} of {origin_of(point)} cannot register its verbs "
            f"({type(error).__name__}: {error}): repair or uninstall it",
            plugin=point.name,
            distribution=origin_of(point).name,
        ) from error
    return offered


def _broken(name: str, error: FairleadError) -> click.Command:
    def fail(**_: object) -> None:
        raise error

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        help=f"Cannot be used: {error}",
        short_help="Cannot be used; call it to see why.",
    )
