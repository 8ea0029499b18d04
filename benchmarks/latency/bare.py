"""The raw limit: picows on uvloop, a typed decode, a signed order back, nothing else."""

from __future__ import annotations

import asyncio
import time

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.latency import wire
from benchmarks.rig import arguments, reply
from benchmarks.system import pin, run_first


class Ticks(WSListener):
    """Decodes each frame and orders on every N-th."""

    def __init__(self, orders: WSTransport, every: int) -> None:
        self._send = orders.send
        self._every = every
        self._count = 0
        self.price = 0.0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        tick = wire.decode(frame.get_payload_as_bytes())
        self.price = float(tick.p)  # type: ignore[union-attr]
        self._count += 1
        if self._count % self._every == 0:
            side = "BUY" if self._count // self._every % 2 else "SELL"
            now = time.time_ns() // 1_000_000
            order = wire.market_order(f"bare-{self._count}", tick.s, side, "0.010", now)
            self._send(WSMsgType.TEXT, order)


class Reports(WSListener):
    """Decodes what became of the orders."""

    def __init__(self) -> None:
        self.last: object = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.last = wire.decode(frame.get_payload_as_bytes())


async def run(port: int, every: int, *, spinning: bool) -> None:
    base = f"ws://127.0.0.1:{port}"
    orders, _ = await ws_connect(Reports, f"{base}/orders")
    ticks, _ = await ws_connect(lambda: Ticks(orders, every), f"{base}/ticks")
    if spinning:
        spin(asyncio.get_running_loop())
    await ticks.wait_disconnected()


def spin(loop: asyncio.AbstractEventLoop) -> None:
    """Never let the loop sleep."""
    loop.call_soon(spin, loop)


def main() -> None:
    import uvloop

    task = arguments()
    pin(task["core"])
    priority = run_first(spinning=task["spinning"])
    uvloop.run(run(task["port"], task["every"], spinning=task["spinning"]))
    reply({"priority": priority})


if __name__ == "__main__":
    main()
