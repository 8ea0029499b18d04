"""Reading a Python file of the user's: imported under its own name, and never run by that."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from fairlead._engine.guard import reading
from fairlead.errors import ConfigurationError, FairleadError


class ScriptRefuses(ConfigurationError):
    """The script was read, and what it composes refuses."""


def import_script(file: Path) -> ModuleType:
    """The file as a module; the one that is there already if it has been read before.

    An engine that it starts would trade before anybody asked, so that is refused. Raises ConfigurationError, and
    ScriptRefuses where fairlead itself refuses what the file does.
    """
    if not file.is_file():
        raise ConfigurationError(f"{file} is no file: give the Python file that you mean")
    if file.suffix != ".py":
        raise ConfigurationError(f"{file} is no Python file: its name must end in .py")
    known = sys.modules.get(file.stem)
    if known is not None and _same(known, file):
        return known
    if known is not None or file.stem in sys.stdlib_module_names:
        raise ConfigurationError(
            f"{file} has the name of another Python module, {file.stem}: rename the file"
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.parent.resolve()))  # a script finds what lies beside it
    error: Exception | None = None
    with reading() as script:
        try:
            spec.loader.exec_module(module)
        except Exception as raised:  # anything can go wrong in a user's file; it is named with its line
            error = raised
    if script.started:  # whatever became of the refusal: a script may swallow it
        del sys.modules[file.stem]
        raise ConfigurationError(
            f"{file} starts its engine while it is being read: put that under if __name__ == '__main__':"
        )
    if error is not None:
        del sys.modules[file.stem]
        raise _unreadable(file, error) from error
    return module


def _same(module: ModuleType, file: Path) -> bool:
    origin = getattr(module, "__file__", None)
    return origin is not None and Path(origin).resolve() == file.resolve()


def _unreadable(file: Path, error: Exception) -> ConfigurationError:
    if isinstance(error, FairleadError):
        return ScriptRefuses(f"{file}: {error}")
    return ConfigurationError(f"{file}{_line(error, file)} cannot be imported: {_said(error)}")


def _line(error: Exception, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file.absolute()]
    frames = frames or [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
    return f", line {frames[-1].lineno}," if frames else ""


def _said(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
