"""Ctrl-C and SIGTERM, for every session of a loop that owns them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

_NUMBERS = (signal.SIGINT, signal.SIGTERM)

_listening: dict[asyncio.AbstractEventLoop, list[Callable[[str], None]]] = {}
"""Who is told, by loop: a loop has one handler for each signal, and may have several sessions."""


@contextlib.contextmanager
def signals(loop: asyncio.AbstractEventLoop, told: Callable[[str], None]) -> Iterator[None]:
    """Call `told` with a signal's name instead of what it does by default, in the main thread; elsewhere nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listeners = _listening.setdefault(loop, [])
    listeners.append(told)
    if len(listeners) == 1:
        for number in _NUMBERS:
            with contextlib.suppress(NotImplementedError, ValueError):
                loop.add_signal_handler(number, _tell, loop, number.name)
    try:
        yield
    finally:
        listeners.remove(told)
        if not listeners:
            del _listening[loop]
            for number in _NUMBERS:
                with contextlib.suppress(NotImplementedError, ValueError):
                    loop.remove_signal_handler(number)


def _tell(loop: asyncio.AbstractEventLoop, name: str) -> None:
    for told in list(_listening.get(loop, ())):
        told(name)
