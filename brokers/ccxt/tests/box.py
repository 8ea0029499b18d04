"""Binance in a box as the venue under test, and what tests of the adapter share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fairlead_conformance import Fault
from fairlead_sim.serve import LoopClock
from fairlead_venue import Venue

KEY, SECRET = "box-key-0123456789", "box-secret-0123456789"
MID = 50_000.0
COMMAND = "[PD]*/order"
"""The labels of new orders and of cancels."""

_FAULTS: dict[Fault, tuple[str, dict[str, Any]]] = {
    Fault.LOSE: ("lose", {"on": COMMAND}),
    Fault.LOSE_ANSWER: ("lose_answer", {"on": COMMAND, "lasts": "100ms"}),
    Fault.DUPLICATE: ("duplicate", {"on": "event:order"}),
    Fault.REORDER: ("reorder", {"on": "event:order"}),
    Fault.BAN: ("refuse", {"on": COMMAND, "code": -1003}),
    Fault.GARBAGE: ("garbage", {"on": "event:order"}),
    Fault.UNKNOWN_WORD: ("unknown_enum", {"on": "event:order"}),
}


class Box:
    """A venue for each case, in a thread of its own."""

    virtual = False
    faults = frozenset({*_FAULTS, Fault.CUT, Fault.SKEW})

    def __init__(self, **words: Any) -> None:
        self._words = {"cash": ["10_000_000 USDT", "1_000 BTC", "1_000 ETH"], **words}
        self.clock: LoopClock
        self.box: Venue

    @property
    def url(self) -> str:
        return self.box.addresses["rest"]

    async def open(self) -> None:
        self.clock, self._pool = LoopClock(), ThreadPoolExecutor(1)
        self.box = await self._call(lambda: Venue("binance", key=KEY, secret=SECRET, **self._words))

    async def _call(self, fn: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, fn)

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        pair = instrument.partition("@")[0].partition(":")[0]
        await self._call(lambda: self.box.quote(pair, bid, ask, bid_size=size, ask_size=size))

    async def fault(self, fault: Fault) -> None:
        if fault is Fault.CUT:
            await self._call(self.box.disconnect)
            return
        if fault is Fault.SKEW:
            await self._call(lambda: self.box.skew(10_000_000_000))
            return
        if fault is Fault.LOSE_ANSWER:  # and what is pushed at once with it
            await self._call(lambda: self.box.fault("lose", on="event:order"))
        kind, words = _FAULTS[fault]
        await self._call(lambda: self.box.fault(kind, **words))

    async def close(self) -> None:
        await self._call(self.box.close)
        self._pool.shutdown()
