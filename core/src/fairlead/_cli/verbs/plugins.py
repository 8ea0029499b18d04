"""The verbs about plugins."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON


@click.group()
def plugins() -> None:
    """What is installed, and how to make more."""


@plugins.command("list")
@JSON
def plugins_list(as_json: bool) -> None:
    """List what is installed, and what is wrong with it.

    Installed is not enabled: only what an engine names runs.
    """
    from fairlead._cli.installed import list_plugins

    list_plugins(as_json)


@plugins.command("info")
@click.argument("name")
@JSON
def plugins_info(name: str, as_json: bool) -> None:
    """Show one plugin, and how to write it down."""
    from fairlead._cli.installed import show_plugin

    show_plugin(name, as_json)


@plugins.command("new")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder that gets the package; this one without it.",
)
def plugins_new(kind: str, name: str, into: Path) -> None:
    """Write a package that works, to make yours.

    KIND is broker, stream, breaker or reconciler. The package is called fairlead-NAME.
    """
    from fairlead._cli.scaffold import new_plugin

    new_plugin(kind, name, into)


VERBS = (plugins,)
