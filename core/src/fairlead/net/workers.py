"""Threads for libraries that block: few of them, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from fairlead.errors import ConnectivityError

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """At most `size` threads that call what blocks. `name` is what they are called in a list of threads."""

    def __init__(self, size: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._name = name
        self._calls: list[Future[Any]] = []

    async def call(self, seconds: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` returns, or raises. Raises ConnectivityError when it took longer, waiting for a thread included.

        A call that is given up runs on in its thread, for Python cannot end it: give `fn` a time limit of its own.
        """
        bound = functools.partial(fn, *args, **kwargs)
        submitted = self._pool.submit(bound)
        self._calls = [*(call for call in self._calls if not call.done()), submitted]
        waiting = asyncio.wrap_future(submitted)
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            if not waiting.cancelled():  # its own
                raise
            called = getattr(fn, "__name__", type(fn).__name__)
            raise ConnectivityError(f"{self._name}: {called} gave no answer within {seconds:g} s") from None

    def close(self) -> None:
        """Begin nothing more; harmless to repeat. What runs is not waited for, else no thread is left."""
        self._pool.shutdown(wait=all(call.done() for call in self._calls), cancel_futures=True)
