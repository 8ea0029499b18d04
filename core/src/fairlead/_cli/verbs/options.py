"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

SCRIPT = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
RUN = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON with a stable schema.")

_SETTINGS = (
    click.option("--profile", metavar="NAME", help="Profile of FILE.toml, such as paper, testnet or live."),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change a setting, such as breaker.limits.max_leverage=2; may be repeated.",
    ),
)


def settings_options(command: Any) -> Any:
    """What is said over a file's settings."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


_DATA = (
    click.option("--tz", metavar="ZONE", help="Zone of times that have none: UTC, Europe/Berlin."),
    click.option("--volume-unit", type=click.Choice(["base", "quote"]), help="What volumes count."),
    click.option(
        "--bar-label", type=click.Choice(["open", "close"]), help="Which end of a bar its time marks."
    ),
    click.option("--tick", help="Price step; the finest decimal of the first rows without it."),
    click.option("--fee", help="Fee ratio, such as 0.0005, or 0.05%."),
    click.option("--interval", help="Length of the bars, where the file does not tell."),
    click.option(
        "--kind", type=click.Choice(["bars", "quotes", "trades"]), help="What the rows are, if unclear."
    ),
    click.option(
        "--columns", metavar="ROLE=COLUMN,..", help="Columns of other names, such as close=settle,volume=vol."
    ),
    click.option(
        "--on-fault",
        type=click.Choice(["refuse", "skip"]),
        help="Rows that cannot be used; skip leaves them out.",
    ),
)


def data_options(command: Any) -> Any:
    """What a data file may leave unsaid."""
    for option in reversed(_DATA):
        command = option(command)
    return command
