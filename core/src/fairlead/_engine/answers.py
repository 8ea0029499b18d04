"""Runs what strategies ask for, outside the kernel, and brings the answers back as inputs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from fairlead._kernel.kernel import Kernel
from fairlead._kernel.runner import Runner


class Answers:
    """Coroutine functions run on the loop, plain ones in its thread pool."""

    def __init__(self, kernel: Kernel, tasks: set[asyncio.Task[None]]) -> None:
        self._kernel = kernel
        self._tasks = tasks

    def ask(self, runner: Runner, number: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Begin to answer."""
        task = asyncio.get_running_loop().create_task(self._answer(runner.name, number, function, args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, strategy: str, number: int, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        value, error = b"", ""
        try:
            if inspect.iscoroutinefunction(function):
                answer = await function(*args)
            else:
                answer = await asyncio.to_thread(function, *args)
            value = msgspec.msgpack.encode(answer)
        except Exception as fault:  # the asker is told, and decides
            error = f"{type(fault).__name__}: {fault}"
        self._kernel.answer(strategy, number, value, error)
