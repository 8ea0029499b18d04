"""Questions of other threads: each is answered in the engine's own, and whoever asked learns what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from fairlead.errors import ConfigurationError, ConnectivityError

T = TypeVar("T")

QUERY_SECONDS = 10.0
"""How long a question from another thread waits for the kernel."""


def ask(question: Callable[[], T], loop: asyncio.AbstractEventLoop) -> T:
    """Have a loop's thread answer a question. Raises what the question raises.

    Raises ConfigurationError where the loop has ended, and ConnectivityError where it does not answer in time: the
    message says whether the question was withdrawn, or is in hand and may yet be carried out.
    """
    answer: Future[T] = Future()

    def reply() -> None:
        if not answer.set_running_or_notify_cancel():  # whoever asked has given up, and been told so
            return
        try:
            answer.set_result(question())
        except Exception as error:  # belongs to whoever asked
            answer.set_exception(error)

    try:
        loop.call_soon_threadsafe(reply)
    except RuntimeError:
        raise ConfigurationError("the engine has ended: ask while it runs") from None
    return _await(answer)


def _await(answer: Future[T]) -> T:
    """The answer to a question; one that nobody has begun with in time is taken back."""
    try:
        return answer.result(QUERY_SECONDS)
    except TimeoutError:
        if answer.cancel():
            raise ConnectivityError(
                f"the engine did not answer within {QUERY_SECONDS:g} s, so the request was withdrawn and is not "
                f"carried out: ask again"
            ) from None
        if answer.done():  # it came at the last moment, or the question itself raised this
            return answer.result()
        raise ConnectivityError(
            f"the engine did not answer within {QUERY_SECONDS:g} s and has the request in hand, which may be carried "
            f"out: look before you ask again, or ask again with the same `request` id"
        ) from None
