"""Ctrl-C and SIGTERM, for a run that owns the main thread.

A run owns it where its task is the one that `asyncio.run` was given. In a web application's loop, in a notebook, in
another thread or beside other tasks the handlers belong to somebody else, and are left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def signals(
    loop: asyncio.AbstractEventLoop, told: Callable[[str], None], at_once: Callable[[], None] = lambda: None
) -> Iterator[bool]:
    """Call `told` in the loop with the name of the first signal; at the second the process ends as it stands.

    `at_once` is called where the signal was caught, also while the loop is blocked. Gives whether signals come here.
    What handled them before does so again afterwards.
    """
    if not _owned():
        yield False
        return
    asked = False

    def ask(number: int, _: object) -> None:
        nonlocal asked
        if asked:
            leave_at_once(number)
        asked = True
        at_once()
        loop.call_soon_threadsafe(told, signal.Signals(number).name)

    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in _NUMBERS}
    mine = [number for number, handler in before.items() if handler is not None]  # None: not Python's
    for number in mine:
        signal.signal(number, ask)
    try:
        yield True
    finally:
        for number in mine:
            signal.signal(number, before[number])


def leave_at_once(number: int) -> None:
    """End the process without any farewell: the journal holds all that was decided."""
    os.write(2, b"\nfairlead: ended at once; the next start takes up what the journal holds\n")
    os._exit(128 + number)


def _owned() -> bool:
    """Whether the current task is what `asyncio.run` runs in the main thread.

    It shows in the handler of SIGINT that `asyncio.run` sets, which names its task. A process that was started to
    ignore SIGINT, as a shell starts what runs in its background, has none, and SIGTERM is still unclaimed.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, functools.partial):
        return handler.keywords.get("main_task") is asyncio.current_task()
    return handler is signal.SIG_IGN and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
