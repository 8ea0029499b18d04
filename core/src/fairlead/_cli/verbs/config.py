"""The verbs that look at configurations."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, settings_options


@click.group()
def config() -> None:
    """What a configuration says, and what it may say."""


@config.command("show")
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE.toml]", required=False)
@settings_options
@click.option(
    "--live", is_flag=True, help="Allow FILE.toml brokers that trade real money; a script says live=True."
)
@JSON
def config_show(
    file: Path | None, profile: str | None, settings: tuple[str, ...], live: bool, as_json: bool
) -> None:
    """Print each value of FILE.toml with its origin, and what is wrong; fairlead.toml without a name.

    Secrets show as their names and where they are, never as themselves.
    """
    from fairlead._cli.configuring import show

    show(file, profile, settings, live, as_json)


@config.command("schema")
@JSON
def config_schema(as_json: bool) -> None:
    """Print every section and key, with types and defaults, of all that is installed."""
    from fairlead._cli.configuring import show_schema

    show_schema(as_json)


VERBS = (config,)
