"""The end of a live run in bounded time: strategies stop, what is in flight settles, connections are closed.

Every step has its time, whatever strategies, venues and streams do meanwhile. What could not be settled is named in
the reason for the end, and the next start takes it up.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from fairlead._engine.door import Door
from fairlead._engine.pacing import Pacer
from fairlead._engine.stall import strategy_in
from fairlead._kernel.clock import END, Agenda
from fairlead._kernel.kernel import Kernel
from fairlead._secrets.scrub import said
from fairlead.facts import EngineStopped

log = logging.getLogger("fairlead.engine")

CLOSE_SECONDS = 5.0
"""How long connections may take to close, all of a kind together."""

GRACE_SECONDS = 2.0
"""How much longer than its time the engine's thread may be blocked before what blocks it is ended."""

_AGAIN_SECONDS = 0.05


class Shutdown:
    """The end of one session: `settle` waits for what is in flight, `finish` writes the last facts."""

    def __init__(self, kernel: Kernel, door: Door, agenda: Agenda, within_ns: int) -> None:
        self._kernel = kernel
        self._door = door
        self._agenda = agenda
        self._within_ns = within_ns
        self._news = asyncio.Event()
        self._over = False
        self._left: list[str] = []

    async def settle(self, reason: str, pacer: Pacer) -> None:
        """Take nothing new, have strategies stop, and wait until all is settled or the time for it is over."""
        kernel, loop = self._kernel, asyncio.get_running_loop()
        self._begin(reason)
        if self._over or self._door.closed or not kernel.ending.left():
            return

        def settled() -> None:
            pacer.stop()  # at that very moment: nothing that is due later belongs to this run
            self._news.set()

        kernel.ending.settled = settled
        due = self._agenda.call_at(kernel.ending.until_ns, self.wake, END)
        wall = loop.call_later(self._within_ns / 1e9 + GRACE_SECONDS, self.wake)
        try:
            while not self._over and kernel.ending.left():
                pacer.start()
                await self._news.wait()
                self._news.clear()
        finally:
            due.cancel()
            wall.cancel()
            pacer.stop()

    def wake(self) -> None:
        """Wait no longer."""
        self._over = True
        self._news.set()

    def finish(self, reason: str) -> str:
        """Have strategies saved, write the last fact, and let nothing in any more; returns the reason in full."""
        kernel, door = self._kernel, self._door
        self._begin(reason)
        door.close_market()
        door.note(kernel.turn, kernel.ending.finish)
        if door.closed:  # it failed on the way
            return reason
        left = kernel.ending.left()
        if left:
            reason = f"{reason}; left unresolved: {'; '.join(left)}"
            log.warning("the engine ends: %s", reason)
        door.note(kernel.turn, lambda: kernel.recorder.record(EngineStopped, reason=reason))
        door.close()
        return reason

    def _begin(self, reason: str) -> None:
        ending = self._kernel.ending
        if not ending.why and not self._door.closed:
            self._door.note(self._kernel.turn, lambda: ending.begin(reason, self._within_ns))


class Watchdog:
    """A context manager around a run that ends what blocks its thread for too long after the end was asked for.

    A handler in Python is ended by an exception, raised where it is in its strategy's own code; one that hides in
    code that cannot be interrupted is not, and `hopeless` is called some time later.
    """

    def __init__(
        self, kernel: Callable[[], Kernel | None], seconds: float, hopeless: Callable[[], None]
    ) -> None:
        self._kernel = kernel
        self._seconds = seconds + GRACE_SECONDS
        self._hopeless = hopeless
        self._watched = threading.get_ident()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """The end was asked for: count from now on. May be called from any thread, and again."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fairlead-end", daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _run(self) -> None:
        if self._done.wait(self._seconds):
            return
        tries = int((self._seconds + 3 * CLOSE_SECONDS) / _AGAIN_SECONDS)
        for _ in range(tries):
            kernel = self._kernel()
            if kernel is not None and kernel.turn_in_hand:
                interrupt(self._watched)
            if self._done.wait(_AGAIN_SECONDS):
                return
        log.critical(
            "the engine's thread is blocked and cannot be ended: the journal holds all that was decided"
        )
        self._hopeless()


class Overran(Exception):
    """Raised inside a handler that blocks the end of a run."""

    def __init__(self, text: str = "it blocked the end of the run, and was ended") -> None:
        super().__init__(text)


def interrupt(thread: int) -> bool:
    """Raise Overran in the strategy's code that a thread runs; False where it runs none, or code of the engine.

    Between the look and the raise the thread does not run, because this one holds the interpreter's lock.
    """
    import ctypes

    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    strategy, lines = strategy_in(sys._current_frames().get(thread))
    if strategy is None or any(_is_core(frame.f_globals.get("__name__", "")) for frame, _ in lines):
        return False
    return bool(raise_in(ctypes.c_ulong(thread), ctypes.py_object(Overran)))


def _is_core(module: str) -> bool:
    return module == "fairlead" or module.startswith("fairlead.")


async def disconnect(closing: Iterable[tuple[str, Callable[[], Awaitable[None]]]]) -> None:
    """Close connections, all at a time, for CLOSE_SECONDS at most; what raises or hangs is logged and left."""
    tasks = {asyncio.ensure_future(close()): name for name, close in closing}
    if not tasks:
        return
    done, hanging = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("%s could not be closed: %s", tasks[task], said(error))
    for task in hanging:
        task.cancel()
        log.error("%s has not closed within %g s: it is left as it is", tasks[task], CLOSE_SECONDS)
