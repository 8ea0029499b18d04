"""Moves the market at the venue, whether an engine lives or not: venue_market.py ADDRESS."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from victim import BTC, MARKET

from fairlead.ports import Subscription
from fairlead_sim.protocol import Learn, Market, line, parse_address
from fairlead_streams import SyntheticStream


class WallClock:
    """The time that the venue and the engine have."""

    def now(self) -> int:
        return time.time_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None], *more: Any) -> Any:
        return asyncio.get_running_loop().call_later(max(0.0, (when_ns - self.now()) / 1e9), callback)


async def main(address: str) -> None:
    host, port = parse_address(address)
    connecting = asyncio.open_connection(host, port) if port else asyncio.open_unix_connection(host)
    _, writer = await connecting
    stream = SyntheticStream(BTC, **MARKET)
    (instrument,) = await stream.instruments()
    writer.write(line(Learn(instrument)))
    await stream.connect(lambda event: writer.write(line(Market(event))), WallClock())
    await stream.subscribe([Subscription(instrument.id, kind) for kind in ("quote", "trade")])
    while not writer.transport.is_closing():
        await writer.drain()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
