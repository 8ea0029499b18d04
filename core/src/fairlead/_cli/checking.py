"""`fairlead check`: a file read, its engine made, and what it is made of. Nothing is connected, nothing is sent."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from fairlead._cli.faults import OK, REFUSED, CommandFailed, code_of
from fairlead._cli.loading import load_engine
from fairlead._cli.tables import print_json
from fairlead._engine.distributions import core_version
from fairlead._engine.engine import LiveTradingEngine
from fairlead._engine.needs import missing, waived
from fairlead._engine.parts import kind_of
from fairlead.errors import FairleadError


def check_file(
    file: Path, profile: str | None, settings: Sequence[str], *, live: bool, as_json: bool
) -> None:
    """Show the wiring, or end with the fault; as JSON the fault stands on standard output as well."""
    try:
        with redirect_stdout(sys.stderr):  # what a script prints is no part of the answer
            engine = load_engine(file, profile, settings, live=live)
    except (CommandFailed, FairleadError) as error:
        if as_json:
            code = error.code if isinstance(error, CommandFailed) else code_of(error)
            faults = [str(fault) for fault in getattr(error, "faults", ())] or [str(error)]
            print_json({"file": str(file), "ok": False, "faults": faults, "exit_code": code})
        raise
    lacking = missing(engine)
    if as_json:
        print_json(_found(file, engine, lacking))
        if lacking:
            click.get_current_context().exit(REFUSED)
        return
    click.echo(engine.describe())
    click.echo()
    account = kind_of(engine.wiring.brokers.values())
    click.echo(f"run         {engine.folder.path}")
    click.echo(f"accounts    {account}{', live=True is said' if engine.live else ''}")
    click.echo(f"durability  {engine.durability}")
    if waived(engine):
        click.echo(f"waived      {', '.join(waived(engine))}")
    click.echo(f"versions    fairlead {core_version()}, Python {platform.python_version()}")
    if lacking:
        raise CommandFailed(
            "\n  ".join([f"{file} would not start, real money needs more:", *lacking]), REFUSED
        )


def _found(file: Path, engine: LiveTradingEngine, lacking: Sequence[str]) -> dict[str, Any]:
    origins = engine.wiring.origins
    rows = [("strategy", s.name, type(s).__qualname__, origins.of(s)) for s in engine.strategies]
    rows += [(wire.port, wire.name, wire.plugin, wire.origin) for wire in engine.wiring.table]
    hooks: dict[str, list[str]] = {}
    for wire in engine.wiring.table:
        if wire.port.startswith("fairlead_"):
            hooks.setdefault(wire.port, []).append(wire.plugin)
    return {
        "file": str(file),
        "ok": not lacking,
        "faults": list(lacking),
        "exit_code": REFUSED if lacking else OK,
        "run": str(engine.folder.path),
        "accounts": kind_of(engine.wiring.brokers.values()).lower(),
        "live": engine.live,
        "waived": list(waived(engine)),
        "durability": engine.durability,
        "wiring": [
            {
                "port": port,
                "name": name,
                "plugin": plugin,
                "distribution": origin.name,
                "version": origin.version,
            }
            for port, name, plugin, origin in rows
        ],
        "hooks": hooks,
        "versions": {"fairlead": core_version(), "python": platform.python_version()},
    }
