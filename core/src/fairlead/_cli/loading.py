"""From `FILE.py` to the engine that it composes."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from fairlead._cli.faults import REFUSED, USAGE, CommandFailed
from fairlead._engine.engine import LiveTradingEngine
from fairlead._engine.guard import reading
from fairlead.errors import FairleadError


def load_engine(file: Path) -> LiveTradingEngine:
    """Import a script and take its one module-level engine.

    Raises CommandFailed where the file cannot be imported, holds no engine or several, or composes one that
    refuses.
    """
    module = _import(file)
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


def _import(file: Path) -> ModuleType:
    """The script as a module. It is read, not run: an engine that it starts would trade before anybody asked."""
    if not file.is_file():
        raise CommandFailed(f"{file} is no file: give the script that composes your engine", USAGE)
    if file.suffix != ".py":
        raise CommandFailed(f"{file} is no Python file: its name must end in .py", USAGE)
    if file.stem in sys.modules or file.stem in sys.stdlib_module_names:
        raise CommandFailed(
            f"{file} has the name of another Python module, {file.stem}: rename the file", USAGE
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.parent.resolve()))  # a script finds what lies beside it
    with reading() as script:
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # anything can go wrong in a user's file; it is named with its line
            if not script.started:
                raise _unreadable(file, error) from error
    if script.started:  # whatever became of the refusal: a script may swallow it
        raise CommandFailed(
            f"{file} starts its engine while it is being read: put that under if __name__ == '__main__':",
            USAGE,
        )
    return module


def _unreadable(file: Path, error: Exception) -> CommandFailed:
    if isinstance(error, FairleadError):
        return CommandFailed(f"{file}: {error}", REFUSED)
    return CommandFailed(f"{file}{_line(error, file)} cannot be imported: {_said(error)}", USAGE)


def _line(error: Exception, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file.absolute()]
    frames = frames or [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
    return f", line {frames[-1].lineno}," if frames else ""


def _said(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
