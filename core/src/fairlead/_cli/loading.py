"""From `FILE.py` or `FILE.toml` to the engine that it composes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fairlead._cli.faults import REFUSED, USAGE, CommandFailed
from fairlead._config.loading import configure, override
from fairlead._config.scripts import ScriptRefuses, import_script
from fairlead._engine.engine import LiveTradingEngine
from fairlead._secrets.secret import SecretError
from fairlead.errors import ConfigurationError


def composes(file: Path) -> bool:
    """Whether a file is a configuration, and not a script."""
    return file.suffix == ".toml"


def load_engine(
    file: Path,
    profile: str | None = None,
    settings: Sequence[str] = (),
    *,
    live: bool = False,
    secrets: bool = True,
) -> LiveTradingEngine:
    """Make the engine of a configuration, or import a script and take its one module-level engine.

    Without `secrets`, those that are missing are no fault. Raises CommandFailed or ConfigurationError where the file
    cannot be read, holds no engine or several, or composes one that refuses.
    """
    if composes(file):
        return configure(file, profile, settings, live=live, secrets=secrets).engine()
    if profile is not None:
        raise CommandFailed(
            f"--profile {profile} is of a configuration, and {file} is a script, which composes what it says: "
            f"leave it out, or compose the engine in a TOML file",
            USAGE,
        )
    engine = _of_script(file)
    override(engine, settings, os.environ)
    return engine


def _of_script(file: Path) -> LiveTradingEngine:
    try:
        module = import_script(file)
    except ScriptRefuses as error:
        lacks_secret = isinstance(error.__cause__, SecretError)
        raise CommandFailed(str(error), USAGE if lacks_secret else REFUSED) from error
    except ConfigurationError as error:
        raise CommandFailed(str(error), USAGE) from error
    found = {id(value): name for name, value in vars(module).items() if isinstance(value, LiveTradingEngine)}
    if not found:
        raise CommandFailed(
            f"{file} has no engine: put `engine = LiveTradingEngine(...)` at the top level of the file", USAGE
        )
    if len(found) > 1:
        names = ", ".join(found.values())
        raise CommandFailed(
            f"{file} has {len(found)} engines ({names}): keep one of them in this file", USAGE
        )
    engine: LiveTradingEngine = getattr(module, next(iter(found.values())))
    return engine
