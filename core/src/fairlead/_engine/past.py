"""A stream that is connected for its past alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fairlead._engine.pacing import Pacer
from fairlead._kernel.clock import Agenda, ManualTime, SystemTime
from fairlead.ports import Clock, DataStream


@asynccontextmanager
async def connected(stream: DataStream, until_ns: int) -> AsyncIterator[Clock]:
    """The stream connected, nothing subscribed, and the clock that it has got; closed in the end.

    One that brings its own time stands just after `until_ns`: what lies before is its past. Raises ConnectivityError.
    """
    brought = getattr(stream, "time", lambda: None)()
    time = SystemTime() if brought is None else ManualTime(until_ns + 1)
    agenda, events = Agenda(time), Agenda(time)
    pacer = Pacer(agenda, events, asyncio.get_running_loop(), _unheard, busy=False)
    try:
        await stream.connect(_unheard, events)
        if brought is None:
            pacer.start()
        yield events
    finally:
        pacer.stop()
        await stream.close()


def _unheard(_: Any) -> None:
    """What it says of the present."""
