"""Runs what strategies ask for, outside the kernel, and brings the answers back as inputs."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from fairlead._engine.door import Door
from fairlead._kernel.runner import Runner
from fairlead._secrets.scrub import said


class Answers:
    """Coroutine functions run on the loop, plain ones in its thread pool.

    Answers come in as they are ready; under a time that is moved by hand in the order of the questions, as in a
    backtest.
    """

    def __init__(self, door: Door, tasks: set[asyncio.Task[None]], *, in_order: bool) -> None:
        self._door = door
        self._tasks = tasks
        self._in_order = in_order
        self._asked: deque[int] = deque()
        self._ready: dict[int, tuple[str, bytes, str]] = {}

    def ask(self, runner: Runner, number: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Begin to answer."""
        self._door.hold()
        self._asked.append(number)
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
                if inspect.isawaitable(answer):
                    answer = await answer
            value = msgspec.msgpack.encode(answer)
        except Exception as fault:  # the asker is told, and decides
            error = said(fault)
        self._ready[number] = (strategy, value, error)
        while self._asked and (ready := self._next(number)) is not None:
            self._asked.remove(ready)
            who, value, error = self._ready.pop(ready)
            self._door.answer(who, ready, value, error)
            self._door.release()

    def _next(self, number: int) -> int | None:
        wanted = self._asked[0] if self._in_order else number
        return wanted if wanted in self._ready else None
