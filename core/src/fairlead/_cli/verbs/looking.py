"""The verbs that look before anything trades: check and doctor."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, SCRIPT, settings_options

LIVE = click.option(
    "--live", is_flag=True, help="Allow FILE.toml brokers that trade real money; a script says live=True."
)


@click.command()
@SCRIPT
@settings_options
@LIVE
@JSON
def check(file: Path, profile: str | None, settings: tuple[str, ...], live: bool, as_json: bool) -> None:
    """Show what the engine of FILE is made of.

    Nothing is connected and nothing is sent. Exit codes: 0 it fits, 2 the file or its configuration is wrong, 5 an
    engine of it refuses to be made.
    """
    from fairlead._cli.checking import check_file

    check_file(file, profile, settings, live=live, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@settings_options
@LIVE
@JSON
def doctor(
    file: Path | None, profile: str | None, settings: tuple[str, ...], live: bool, as_json: bool
) -> None:
    """Look for what is wrong with this machine.

    Clock, disk, permissions, limits, versions, what is installed; with FILE, whether its engine can be made and
    whether each address that its brokers and streams name can be reached, by a connection over which nothing is
    sent. Exit codes: 0 all well, 3 warnings only, 1 something fails.
    """
    from fairlead._cli.doctor import examine

    examine(file, profile, settings, live=live, as_json=as_json)


VERBS = (check, doctor)
