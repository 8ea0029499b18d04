"""Whose line it was: the user's own frame among those of the engine, the standard library and installed packages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

from fairlead._strategy.strategy import Strategy

Line = tuple[FrameType, int]
"""A frame and the line that it is at."""


def lines_of(error: BaseException) -> list[Line]:
    """The lines that an exception came through, outermost first."""
    found: list[Line] = []
    trace = error.__traceback__
    while trace is not None:
        found.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def lines_in(coroutine: Any) -> list[Line]:
    """The lines that a coroutine and what it awaits stand at, outermost first."""
    found: list[Line] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            found.append((frame, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found


def place(lines: Iterable[Line], strategy: Strategy | None = None) -> str:
    """Where the innermost line of the user's is, or else the innermost of all: `in on_bar, mine.py:12`."""
    found = list(lines)
    modules = {kind.__module__ for kind in type(strategy).__mro__ if kind not in (Strategy, object)}
    own = [line for line in found if _is_own(line[0], modules if strategy is not None else set())]
    if not found:
        return ""
    frame, number = (own or found)[-1]
    code: CodeType = frame.f_code
    return f"in {code.co_name}, {code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{number}"


def _is_own(frame: FrameType, modules: set[str]) -> bool:
    module: str = frame.f_globals.get("__name__") or ""
    top = module.partition(".")[0]
    ours = top == "fairlead" or top.startswith("fairlead_")
    return module in modules or not (
        ours or top in sys.stdlib_module_names or "site-packages" in frame.f_code.co_filename
    )
