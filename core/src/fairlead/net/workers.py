"""Threads for libraries that block: few of them, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fairlead.errors import ConnectivityError

P = ParamSpec("P")
T = TypeVar("T")
_CLOSE_SECONDS = 0.25


class Workers:
    """At most `size` threads that call what blocks. `name` is what they are called in a list of threads."""

    def __init__(self, size: int, name: str) -> None:
        self._alive: list[Callable[[], bool]] = []
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name, initializer=self._begun)
        self._name = name

    def _begun(self) -> None:
        self._alive.append(threading.current_thread().is_alive)

    async def call(self, seconds: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` returns, or raises. Raises ConnectivityError when it took longer, waiting for a thread included.

        A call that is given up runs on in its thread, for Python cannot end it: give `fn` a time limit of its own.
        """
        bound = functools.partial(fn, *args, **kwargs)
        waiting = asyncio.get_running_loop().run_in_executor(self._pool, bound)
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            if not waiting.cancelled():  # its own
                raise
            called = getattr(fn, "__name__", type(fn).__name__)
            raise ConnectivityError(f"{self._name}: {called} gave no answer within {seconds:g} s") from None

    def close(self) -> None:
        """Begin nothing more; harmless to repeat. What runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def wait_closed(self) -> None:
        """Wait after `close` until no thread is left; a quarter of a second at most, for what runs may take long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _CLOSE_SECONDS
        while any(alive() for alive in self._alive) and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # a thread tells nobody that it ends
