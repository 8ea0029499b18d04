"""Threads for libraries that block."""

import asyncio
import threading

import pytest

from fairlead import ConnectivityError
from fairlead.net import Workers


def test_what_a_call_gives_or_raises_is_handed_on():
    """Results and errors come back as they are, a TimeoutError of the library's own included."""

    def fails(text: str) -> None:
        raise TimeoutError(text)

    async def play() -> None:
        workers = Workers(1, "venue")
        assert await workers.call(5, max, 1, 2) == 2
        with pytest.raises(TimeoutError, match="its own"):
            await workers.call(5, fails, "its own")
        workers.close()
        workers.close()

    asyncio.run(play())


def test_a_call_that_hangs_is_given_up_and_so_is_one_that_finds_no_thread():
    """Who asks is told which call gave no answer; the loop goes on, and what never began never runs."""
    let_go, ran = threading.Event(), threading.Event()

    async def play() -> None:
        workers = Workers(1, "venue")
        with pytest.raises(ConnectivityError, match=r"venue: wait gave no answer within 0.05 s"):
            await workers.call(0.05, let_go.wait)
        with pytest.raises(ConnectivityError, match="set gave no answer"):
            await workers.call(0.05, ran.set)
        let_go.set()
        assert await workers.call(5, threading.current_thread) is not threading.main_thread()
        assert not ran.is_set()
        workers.close()

    asyncio.run(play())
