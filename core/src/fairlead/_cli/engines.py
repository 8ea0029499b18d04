"""Which engine is meant, and a line to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead._cli.faults import FAULT, USAGE, CommandFailed
from fairlead._control import protocol
from fairlead._control.client import Client
from fairlead._control.places import socket_path
from fairlead._control.registry import Engine, engines

WHO = "cli"

_ARGUMENT = re.compile(r"\bsay ([a-z_]+)=(\w*)")


def named(run: str) -> list[Engine]:
    """The living engines of this folder, or of this name."""
    living = engines()
    path = Path(run).absolute().resolve()
    return [e for e in living if Path(e.run).resolve() == path] or [e for e in living if e.name == run]


def pick(run: str | None) -> str:
    """The socket of the engine that is meant: the one in this folder or of this name, or the only one there is.

    Raises CommandFailed where there is none, or several.
    """
    found = engines() if run is None else named(run)
    if len(found) > 1:
        which = f"{len(found)} engines run here" if run is None else f"{len(found)} engines are named {run}"
        raise CommandFailed(f"{which}: say which, --run {' or --run '.join(_shown(e) for e in found)}", USAGE)
    if found:
        if not found[0].socket:
            raise CommandFailed(
                f"the engine of {_shown(found[0])} has no control socket: its log says why; Ctrl-C or SIGTERM end it"
            )
        return found[0].socket
    if run is None:
        raise CommandFailed("no engine of yours runs on this host: start one, fairlead run FILE.py")
    unlisted = socket_path(Path(run).absolute())
    if unlisted.exists():  # started with another FAIRLEAD_HOME
        return str(unlisted)
    living = ", ".join(_shown(e) for e in engines())
    there = f"the engines here are {living}" if living else "none runs here; start one, fairlead run FILE.py"
    raise CommandFailed(f"no engine runs in {run}: {there}")


def _shown(engine: Engine) -> str:
    """Its folder, as short as it can be written from here."""
    return min(os.path.relpath(engine.run), engine.run, key=len)


@contextmanager
def connected(run: str | None, *, timeout: float = 10.0) -> Iterator[Client]:
    """A line to the engine that is meant. What it refuses ends the command in its words."""
    with Client(pick(run), who=WHO, timeout=timeout) as client, refusals():
        yield client


@contextmanager
def refusals() -> Iterator[None]:
    """What an engine says no to, as the end of a command."""
    try:
        yield
    except protocol.ControlError as error:
        said = _ARGUMENT.sub(_option, str(error))
        raise CommandFailed(said, USAGE if error.kind == protocol.USAGE else FAULT) from None


def _option(argument: re.Match[str]) -> str:
    """An argument that an engine asks for, as the command line has it."""
    name, value = argument.groups()
    return f"add --{name.replace('_', '-')}{'' if value in ('', 'true') else f' {value}'}"


def folder_of_run(run: str | None) -> Path:
    """The folder of a run, running or not: what is named, or that of the only engine. Raises CommandFailed."""
    if run is None:
        found = engines()
        if len(found) == 1:
            return Path(found[0].run)
        if found:
            names = ", ".join(_shown(e) for e in found)
            raise CommandFailed(f"{len(found)} engines run here: say which run, {names}", USAGE)
        raise CommandFailed("no engine of yours runs on this host: name the folder of a run", USAGE)
    living = named(run)
    return Path(living[0].run) if len(living) == 1 else Path(run)


def glance(engine: Engine, timeout: float = 1.0) -> dict[str, Any] | None:
    """The status of an engine, None where it does not answer at once."""
    if not engine.socket:
        return None
    try:
        with Client(engine.socket, who=WHO, timeout=timeout) as client:
            status: dict[str, Any] = client.look("status")
            return status
    except (protocol.ControlError, OSError):
        return None
