"""The chain inside the process, warm: from the frame of a tick to the bytes of its order, with no socket at all.

The network is swapped for a pair of fakes in the same process, so neither the kernel's scheduler nor the other core
has a say: the figure is steady where the one over loopback is not, and shows what the engine adds.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import perf_counter_ns, time_ns
from typing import Any

import fairlead.net
from benchmarks.latency import wire
from benchmarks.latency.server import EVERY, Ticks, fill
from benchmarks.rig import arguments, reply

SERVER_HEADER = 4  # of a frame of 126 bytes or more; a shorter one has 2


class FakeSocket:
    """Notes when an order's bytes arrive."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        self.on_frame = on_frame
        self.at = 0
        self.sent = b""

    def send_text(self, payload: bytes) -> None:
        self.at = perf_counter_ns()
        self.sent = payload

    def close(self) -> None: ...


def unframed(data: bytes) -> bytes:
    return data[SERVER_HEADER if data[1] == 126 else 2 :]


def measure(ticks: Callable[[bytes], None], orders: FakeSocket, count: int) -> list[int]:
    """Nanoseconds of each order; the fill of each comes before the next tick."""
    made, taken = Ticks(), []
    frames = [unframed(made.frame()) for _ in range(EVERY)]
    for _ in range(count):
        for frame in frames[:-1]:
            ticks(frame)
        orders.sent = b""
        begun = perf_counter_ns()
        ticks(frames[-1])
        if not orders.sent:
            raise SystemExit("a tick that was to be ordered on caused no order")
        taken.append(orders.at - begun)
        orders.on_frame(unframed(fill(orders.sent)))
        frames = [unframed(made.frame()) for _ in range(EVERY)]
    return taken


def forget(frame: bytes) -> None:
    wire.decode(frame)


def bare(count: int) -> list[int]:
    """The same work by hand: decode, count, sign."""
    orders = FakeSocket(forget)
    seen = 0

    def tick(frame: bytes) -> None:
        nonlocal seen
        trade: Any = wire.decode(frame)
        float(trade.p)
        seen += 1
        if seen % EVERY == 0:
            side = "BUY" if seen // EVERY % 2 else "SELL"
            orders.send_text(
                wire.market_order(f"bare-{seen}", trade.s, side, "0.010", time_ns() // 1_000_000)
            )

    return measure(tick, orders, count)


def engine(count: int, folder: Path) -> list[int]:
    """The whole engine."""
    from benchmarks import composition
    from benchmarks.latency.adapters import WireBroker, WireStream

    sockets: dict[str, FakeSocket] = {}
    subscribed = asyncio.Event()

    async def connect(url: str, on_frame: Callable[[bytes], None], _: Any) -> FakeSocket:
        sockets[url] = FakeSocket(on_frame)
        if url == "ticks":
            subscribed.set()
        return sockets[url]

    fairlead.net.connect_websocket = connect  # type: ignore[assignment]
    made = fairlead.LiveTradingEngine(
        composition.EveryN("trades", EVERY, half=False),
        plugins=[WireBroker("orders"), WireStream("ticks"), *composition.breakers()],
        run=folder,
    )

    async def run() -> list[int]:
        running = asyncio.ensure_future(made.run())
        await _unless_it_ends(running, subscribed.wait())
        await _unless_it_ends(running, asyncio.sleep(0.1))  # the engine does what is left to do at the start
        taken: list[int] = []
        while len(taken) < count:
            taken += measure(sockets["ticks"].on_frame, sockets["orders"], min(20, count - len(taken)))
            await _unless_it_ends(running, asyncio.sleep(0))
        made.stop()
        await running
        return taken

    return asyncio.run(run())


async def _unless_it_ends(running: asyncio.Future[str], awaited: Coroutine[Any, Any, object]) -> None:
    """Wait for something that comes only while the engine runs. Raises what it ended with, or SystemExit."""
    waiting = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            raise SystemExit(f"the engine ended early: {running.result()}")
    finally:
        waiting.cancel()


def main() -> None:
    task = arguments()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        os.environ["FAIRLEAD_HOME"] = str(Path(folder, "home"))
        reply({
            "bare_ns": sorted(bare(task["orders"])[task["warm_up"] :]),
            "engine_ns": sorted(engine(task["orders"], Path(folder, "run"))[task["warm_up"] :]),
        })  # fmt: skip


if __name__ == "__main__":
    main()
