"""An engine in a thread and loop of its own, for notebooks, web applications and other programs."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from fairlead._engine.engine import LiveTradingEngine


_PATIENCE = 30.0
"""For so many seconds an end that was asked for is waited for, after what it has to settle."""


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        import asyncio

        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class Background:
    """A handle on a running engine; `stop()` waits for its end. Also a context manager."""

    def __init__(self, engine: LiveTradingEngine, until: str | datetime | None = None) -> None:
        self._session = engine.session()
        self._engine = engine
        self._until = until
        self._result: list[Any] = []
        self._thread = threading.Thread(target=self._run, name=f"fairlead-{engine.folder.name}")
        self._thread.start()
        while not self._session.started.wait(0.05):
            if not self._thread.is_alive():
                break
        self._raise()

    def _run(self) -> None:
        import asyncio

        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                self._result.append(runner.run(self._session.run(self._until)))
        except BaseException as error:  # carried to whoever waits
            self._result.append(error)
        finally:
            self._engine._session = None

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    @property
    def overdue(self) -> bool:
        """Whether it cannot end, because something blocks its thread that cannot be interrupted."""
        return self._session.overdue

    def stop(self, timeout: float | None = None, *, when: str = "now", within: str | None = None) -> str:
        """End in good order and wait for it; gives the reason. Raises what the run raised.

        `when` and `within` are as in the engine's `stop`. It waits for `timeout` seconds: without one, half a minute
        more than `stop_within` for an end now, and as long as it takes for an end once flat. Raises TimeoutError.
        """
        if when == "now" and within is None:
            self._session.stop("stopped")
            patience = _PATIENCE + self._engine.stop_within_ns / 1e9
            return self.wait(patience if timeout is None else timeout)
        if self.running:
            self._engine.stop(when=when, within=within)
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> str:
        """Wait until it has ended by itself; gives the reason. Raises what the run raised, or TimeoutError."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the engine has not ended within {timeout} s")
        self._raise()
        return str(self._result[0]) if self._result else ""

    def _raise(self) -> None:
        if self._result and isinstance(self._result[0], BaseException):
            raise self._result[0]

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
