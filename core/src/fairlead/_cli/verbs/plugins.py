"""The verbs about plugins."""

from __future__ import annotations

import click

from fairlead._cli.verbs.options import JSON


@click.group()
def plugins() -> None:
    """What is installed."""


@plugins.command("list")
@JSON
def plugins_list(as_json: bool) -> None:
    """List the plugins of all installed distributions, importing none."""
    from fairlead._cli.reading import list_plugins

    list_plugins(as_json)


VERBS = (plugins,)
