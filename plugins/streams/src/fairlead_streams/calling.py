"""A user's functions, plain or async, called with a time limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from fairlead import ConnectivityError, FairleadError
from fairlead.net import Workers

_THREADS = 4


class Caller:
    """Calls functions for a stream; plain ones in threads of their own, so that one that waits blocks nobody.

    An error or a silence becomes a ConnectivityError that names the function.
    """

    def __init__(self, name: str, timeout_ns: int) -> None:
        self._name = name
        self._seconds = timeout_ns / 1e9
        self._workers: Workers | None = None

    async def call(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        """What it returns. Raises ConnectivityError."""
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                return await self._answer(function, args)
        except FairleadError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                raise ConnectivityError(
                    f"{self._name}: {what} gave no answer within {self._seconds:g} s"
                ) from None
            raise ConnectivityError(
                f"{self._name}: {what} failed ({type(error).__name__}: {error})"
            ) from error

    async def _answer(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
            return await function(*args)
        if self._workers is None:
            self._workers = Workers(_THREADS, self._name)
        found = await self._workers.call(self._seconds, function, *args)
        return await found if inspect.isawaitable(found) else found

    def close(self) -> None:
        """Let the threads go; the next call makes others."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
