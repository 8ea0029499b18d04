"""Watches the kernel from another thread: a handler that blocks is named, with its stack, while it blocks."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from fairlead._kernel.blame import Line, place
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.runner import Runner
from fairlead._strategy.strategy import Strategy

LOOK_SECONDS = 0.5
"""A turn seen going on at this many looks in a row is a stall: named between 1 and 1.5 seconds after it began."""

_LOOKS = 3


class StallSampler:
    """A context manager around a run; `stalled` is called from the sampler's thread, once per stall.

    It is given what happened in one line, and the stack.
    """

    def __init__(self, kernel: Kernel, thread: int, stalled: Callable[[str, str], None]) -> None:
        self._kernel = kernel
        self._watched = thread
        self._stalled = stalled
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairlead-stall", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        seen, looks = -1, 0
        while not self._stop.wait(LOOK_SECONDS):
            turn = self._kernel.turn_in_hand
            looks = looks + 1 if turn and turn == seen else 1
            seen = turn
            if turn and looks == _LOOKS:
                self._stalled(*self._describe())

    def _describe(self) -> tuple[str, str]:
        frame = sys._current_frames().get(self._watched)
        stack = "".join(traceback.format_stack(frame)[-6:]) if frame is not None else ""
        strategy, inner = strategy_in(frame)
        who = f"strategy {strategy.name} blocks" if strategy is not None else "the engine's thread is blocked"
        where = place(inner, strategy)
        handler = inner[0][0].f_code.co_name if strategy is not None and inner else ""
        if handler and not where.startswith(f"in {handler},"):
            where = f"in {handler}, {where.removeprefix('in ')}"
        text = (
            f"{who} for {LOOK_SECONDS * (_LOOKS - 1):g} s so far ({where}): nothing else can be done meanwhile; "
            f"use self.ask(...) for what takes time"
        )
        return text, stack


def strategy_in(frame: FrameType | None) -> tuple[Strategy | None, list[Line]]:
    """The strategy whose handler is being run in this stack, None where none is; and its lines, outermost first."""
    inner: list[Line] = []
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Runner):
            return owner.strategy, inner[::-1]
        if isinstance(owner, Kernel):  # what is further out is the engine's own
            return None, inner[::-1]
        inner.append((frame, frame.f_lineno))
        frame = frame.f_back
    return None, inner[::-1]
