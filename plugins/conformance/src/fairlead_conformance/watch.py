"""What an adapter does to its process: how long it blocks the loop, what it leaves open, what it says in the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Self

LONGEST_NS = 50_000_000
"""What one callback may take."""


class Watch:
    """Watches what runs inside it.

    `stalls` are callbacks that held the loop longer than LONGEST_NS, `log` what was logged, `unhandled` what the loop's
    exception handler was given.
    """

    def __init__(self) -> None:
        self.stalls: list[str] = []
        self.log: list[logging.LogRecord] = []
        self.unhandled: list[str] = []
        self._delay = _open_delay()

    def __enter__(self) -> Self:
        # What was there before is no business of a case, and collecting it would hold the loop.
        gc.freeze()
        self._handler = _Keep(self.log)
        root = logging.getLogger()
        root.addHandler(self._handler)
        # The one place through which every callback of every asyncio loop goes; a loop's debug mode would measure by
        # the loop's own time, which leaps.
        self._original: Callable[[Any], None] = asyncio.Handle._run
        original, check = self._original, self._check

        def timed(handle: Any) -> None:
            began, waited = time.perf_counter_ns(), _waited(self._delay)
            original(handle)
            took = time.perf_counter_ns() - began
            if took > LONGEST_NS:
                check(handle, took - (_waited(self._delay) - waited))

        asyncio.Handle._run = timed  # type: ignore[method-assign,assignment]
        return self

    def __exit__(self, *error: object) -> None:
        gc.unfreeze()
        asyncio.Handle._run = self._original  # type: ignore[method-assign,assignment]
        logging.getLogger().removeHandler(self._handler)
        if self._delay >= 0:
            os.close(self._delay)

    def attend(self) -> None:
        """Hear what the running loop's callbacks raise."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.unhandled.append(str(context.get("exception") or context["message"]))
        )

    def _check(self, handle: Any, took: int) -> None:
        if took > LONGEST_NS:
            self.stalls.append(f"{handle!r} held the loop for {took / 1e6:.0f} ms")


class _Keep(logging.Handler):
    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record)


def _open_delay() -> int:
    try:
        return os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _waited(descriptor: int) -> int:
    """How long this thread has waited for a processor so far, in ns: not the adapter's fault."""
    return int(os.pread(descriptor, 64, 0).split()[1]) if descriptor >= 0 else 0


class Leftovers:
    """What is open now, and what is open more later: tasks of the running loop, threads, file descriptors."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._files = _files()
        self._tasks = _tasks()

    def more(self) -> list[str]:
        """What has been added since and is still there, in words."""
        if self._found():
            gc.collect()  # what is only waiting to be collected is not open; collecting takes long, so only then
        return self._found()

    def _found(self) -> list[str]:
        tasks = [f"task {task.get_name()}" for task in _tasks() - self._tasks if not task.done()]
        threads = [f"thread {thread.name}" for thread in set(threading.enumerate()) - self._threads]
        files = [
            f"{what} (descriptor {number})" for number, what in _files().items() if number not in self._files
        ]
        return [*tasks, *threads, *files]


def _tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks()
    except RuntimeError:  # no loop runs
        return set()


def _files() -> dict[int, str]:
    found: dict[int, str] = {}
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for number in numbers:
        try:
            found[int(number)] = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the descriptor of the listing itself
    return found
