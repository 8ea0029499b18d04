"""The venue of the latency measurements: plain WebSocket on loopback, one thread that never sleeps.

It sends trade frames at a steady pace down one connection, `/ticks`, and takes orders on another, `/orders`. Latency
is the time between just before the send of the tick that is to be ordered on and the return of the `recv` that
brought the order. Each order is answered by an execution report that fills it. Since nothing else runs in the loop,
a turn that took long was a turn in which somebody else had this core: samples that overlap one are dropped.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import os
import socket
from random import Random
from time import perf_counter_ns, time_ns
from typing import Any

from benchmarks.rig import arguments, reply
from benchmarks.system import pin, run_first

INTERVAL_NS = 500_000
BURST_INTERVAL_NS = 20_000_000
EVERY = 5
BURST = 100
STALL_NS = 60_000  # a turn of the loop takes 2 µs, and 20 with a send in it
SILENCE_NS = 5_000_000_000

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes) -> bytes:
    """A text frame as a server sends it, unmasked."""
    size = len(payload)
    head = bytes((0x81, size)) if size < 126 else bytes((0x81, 126)) + size.to_bytes(2, "big")
    return head + payload


def accept(listener: socket.socket) -> tuple[str, socket.socket]:
    """The path and the open connection of the next client."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += connection.recv(4096)
    first, *lines = request.split(b"\r\n")
    named = (line.partition(b":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    key = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n"
    )
    connection.setblocking(False)
    return first.split()[1].decode(), connection


def unmasked(data: bytes | bytearray, begin: int = 0) -> tuple[bytes, int]:
    """The payload of the frame of a client that begins here, and where it ends."""
    size, at = data[begin + 1] & 127, begin + 2
    if size == 126:
        size, at = int.from_bytes(data[at : at + 2], "big"), at + 2
    end = at + 4 + size
    mask = (bytes(data[at : at + 4]) * (size // 4 + 1))[:size]
    body = data[at + 4 : end]
    return (int.from_bytes(mask, "big") ^ int.from_bytes(body, "big")).to_bytes(size, "big"), end


class Ticks:
    """Trade frames as Binance sends them."""

    def __init__(self, seed: int = 7) -> None:
        self._rng = Random(seed)
        self._cents = 5_000_000
        self._id = 1_000_000_000

    def frame(self) -> bytes:
        self._id += 1
        self._cents += self._rng.randint(-20, 20)
        now, price, size = time_ns() // 1_000_000, self._cents / 100, self._rng.randint(1_000, 9_000) / 1000
        maker = "true" if self._id % 2 else "false"
        return frame(
            f'{{"e":"trade","E":{now},"s":"BTCUSDT","t":{self._id},"p":"{price:.2f}","q":"{size:.3f}",'
            f'"T":{now},"m":{maker}}}'.encode()
        )


def fill(order: bytes) -> bytes:
    """The report that fills an order."""
    _, _, rest = order.partition(b'"newClientOrderId":"')
    name = rest[: rest.index(b'"')].decode()
    side = "BUY" if b'"side":"BUY"' in order else "SELL"
    now = time_ns() // 1_000_000
    return frame(
        f'{{"e":"executionReport","E":{now},"s":"BTCUSDT","c":"{name}","S":"{side}","o":"MARKET","x":"TRADE","X":"FILLED",'
        f'"i":"{name}","l":"0.010","z":"0.010","L":"50000.00","n":"0.00","N":"USDT","T":{now},"t":"{name}"}}'.encode()
    )


def measure(
    ticks: socket.socket, orders: socket.socket, count: int, every: int, interval: int, burst: int
) -> dict[str, Any]:
    """Send until `count` orders came, one after every `every` sends of `burst` frames."""
    made = Ticks()
    sent_at: list[int] = []
    came_at: list[int] = []
    stalls: list[tuple[int, int]] = []
    buffer = bytearray(1 << 16)
    wrong = turns = sent = 0
    long_send = STALL_NS if burst == 1 else 5 * STALL_NS
    block = b""
    last = due = perf_counter_ns()
    while len(came_at) < count:
        now = perf_counter_ns()
        if now - last > STALL_NS:
            stalls.append((last, now))
        last = now
        if now >= due:
            block = block or b"".join(made.frame() for _ in range(burst))
            turns += 1
            sent = perf_counter_ns()
            if turns % every == 0:
                sent_at.append(sent)
            ticks.send(block)
            last = perf_counter_ns()
            if last - sent > long_send:
                stalls.append((sent, last))
            block = b""
            due = sent + interval
            continue
        if not block and now - sent > interval // 2:  # long after any order, so that it delays none
            block = b"".join(made.frame() for _ in range(burst))
            last = perf_counter_ns()
        try:
            size = orders.recv_into(buffer)
        except BlockingIOError:
            if sent_at and now - sent_at[-1] > SILENCE_NS:
                raise SystemExit("no order came for 5 seconds") from None
            continue
        at = perf_counter_ns()
        if not size:
            raise SystemExit(f"the client left after {len(came_at)} orders")
        end = 0
        while end < size:  # of a client that was held up, several orders can come at once
            text = buffer[end] & 0x0F in {1, 2}
            order, end = unmasked(buffer, end)
            if len(came_at) == len(sent_at) or not text:
                wrong += 1
                continue
            came_at.append(at)
            orders.send(fill(order))
        last = perf_counter_ns()
    return {"sent": sent_at, "came": came_at, "stalls": stalls, "wrong": wrong}


def latencies(found: dict[str, Any], warm_up: int) -> tuple[list[int], int]:
    """Nanoseconds of the orders after the warm-up, and how many were dropped for a stall of this process."""
    kept, dropped, stalls = [], 0, iter(found["stalls"])
    begin, end = next(stalls, (1 << 63, 1 << 63))
    for sent, came in list(zip(found["sent"], found["came"], strict=False))[warm_up:]:
        while end < sent:
            begin, end = next(stalls, (1 << 63, 1 << 63))
        if begin <= came:
            dropped += 1
        else:
            kept.append(came - sent)
    return kept, dropped


def main() -> None:
    task = arguments()
    pin(task["core"])
    run_first(spinning=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        listener.settimeout(30)
        connections = dict(accept(listener) for _ in range(2))
    gc.collect()
    gc.disable()
    ready = perf_counter_ns()
    while perf_counter_ns() - ready < task["settle_ns"]:
        pass
    count = task["warm_up"] + task["orders"]
    if task["burst"]:
        found = measure(connections["/ticks"], connections["/orders"], count, 1, BURST_INTERVAL_NS, BURST)
    else:
        found = measure(connections["/ticks"], connections["/orders"], count, EVERY, INTERVAL_NS, 1)
    kept, dropped = latencies(found, task["warm_up"])
    reply({"latencies": kept, "dropped": dropped, "wrong": found["wrong"], "load": os.getloadavg()[0]})
    for connection in connections.values():
        connection.close()


if __name__ == "__main__":
    main()
