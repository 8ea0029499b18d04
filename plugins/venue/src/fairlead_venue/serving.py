"""A venue as a process: it prints its addresses on one line and ends by SIGTERM, SIGINT or its standard input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from fairlead_venue.opening import box_of


def serve(words: dict[str, Any], *, until_stdin_closes: bool) -> None:
    """Serve until told to end; `words` are those of `box_of`, `host` and `port`. Raises ConfigurationError."""
    asyncio.run(_serve(words, until_stdin_closes))


async def _serve(words: dict[str, Any], until_stdin_closes: bool) -> None:
    host, port = words.pop("host", "127.0.0.1"), words.pop("port", 0)
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    box = box_of(**words)
    try:
        addresses = await box.open(host, port)
        if until_stdin_closes:
            loop.add_reader(0, _read_away, loop, ended)
        print(json.dumps({"venue": box.protocol, "pid": str(os.getpid()), **addresses}), flush=True)
        await ended.wait()
    finally:
        await box.close()


def _read_away(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if not os.read(0, 4096):
        loop.remove_reader(0)
        ended.set()
