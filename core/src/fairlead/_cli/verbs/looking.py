"""The verbs that look before anything trades: check and doctor."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead._cli.verbs.options import JSON, SCRIPT, settings_options

LIVE = click.option("--live", is_flag=True, help="Allow brokers that trade real money.")


@click.command()
@SCRIPT
@settings_options
@LIVE
@JSON
def check(file: Path, profile: str | None, settings: tuple[str, ...], live: bool, as_json: bool) -> None:
    """Read FILE, and show what its engine is made of; nothing is connected and nothing is sent.

    Exit codes: 0 it fits, 2 the file or its configuration is wrong, 5 an engine of it refuses to be made.
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
    """Look at this machine, and at what FILE needs of it: clock, disk, permissions, versions, reachability.

    Exit codes: 0 all well, 3 warnings only, 1 something fails. Nothing is sent but the opening of a connection to
    each address that a broker or stream of FILE names.
    """
    from fairlead._cli.doctor import examine

    examine(file, profile, settings, live=live, as_json=as_json)


VERBS = (check, doctor)
