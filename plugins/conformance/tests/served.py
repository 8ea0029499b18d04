"""The simulated venue of `fairlead_sim.serve` as a venue under test: over a socket, or in memory on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from fairlead import Quote, Trade, default_instrument
from fairlead.ports import Rejected
from fairlead.testing import VirtualClock
from fairlead_conformance import Fault
from fairlead_conformance.link import Link
from fairlead_sim import SimulatedBroker
from fairlead_sim.protocol import Pushed, SendSubmit, line, requests
from fairlead_sim.serve import LoopClock, Server

SKEW_NS = 10_000_000_000


class Skewed:
    """A clock that can be set ahead."""

    def __init__(self, clock: Any) -> None:
        self._clock, self.ahead = clock, 0

    def now(self) -> int:
        return self._clock.now() + self.ahead

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Any:
        return self._clock.call_at(when_ns - self.ahead, callback)


def is_command(text: bytes) -> bool:
    return json.loads(text)["do"] in ("submit", "cancel", "cancel_all", "replace", "dead_man")


def is_report(text: bytes) -> bool:
    message = json.loads(text)
    return message["is"] == "report" and "client_order_id" in message["report"]


def refusal(text: bytes) -> bytes:
    message = requests.decode(text)
    name = message.command.client_order_id if isinstance(message, SendSubmit) else ""
    return line(Pushed(Rejected(client_order_id=name, code="too_many", reason="too many requests")))


def garbage(text: bytes) -> bytes:
    return b"\xff{" + text[3:]


def unknown_word(text: bytes) -> bytes:
    message = json.loads(text)
    message["report"]["t"] = "Transmogrified"
    return json.dumps(message).encode() + b"\n"


def missing_field(text: bytes) -> bytes:
    message = json.loads(text)
    for field in ("price", "client_order_id"):
        if message["report"].pop(field, None) is not None:
            break
    return json.dumps(message).encode() + b"\n"


class ServedVenue:
    """A venue with money, two instruments and a line protocol. In memory, time leaps and nothing has a socket."""

    def __init__(self, *, sockets: bool = False) -> None:
        self.virtual = not sockets
        self.link = Link(
            is_command,
            is_report,
            refusal,
            {Fault.GARBAGE: garbage, Fault.UNKNOWN_WORD: unknown_word, Fault.MISSING_FIELD: missing_field},
        )
        self.faults = self.link.faults | {Fault.CUT, Fault.SKEW}
        self.exchange = SimulatedBroker("1_000_000 USDT", name="sim")
        for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT"):
            self.exchange.learn(default_instrument(symbol, "sim", tick="0.1"))
        self.address = "tcp://127.0.0.1:1"
        self._lines: set[Any] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders: dict[str, Any] = {}

    async def open(self) -> None:
        self.clock = VirtualClock() if self.virtual else LoopClock()
        self._skewed = Skewed(self.clock)
        self._server = Server(self.exchange)
        await self._server.open(self._skewed)
        loop = asyncio.get_running_loop()
        if self.virtual:
            loop.create_connection = self._dial
        else:
            self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self.address = "tcp://{}:{}".format(*self._listening.sockets[0].getsockname())

    async def quote(self, instrument: str, bid: float, ask: float, size: float) -> None:
        now = self.clock.now()
        self.exchange.market(Quote(instrument, bid, ask, size, size, now, now))

    async def trade(self, instrument: str, price: float, size: float) -> None:
        now = self.clock.now()
        self.exchange.market(Trade(instrument, price, size, now, now))

    async def fill(self, client_order_id: str, quantity: Any) -> None:
        order = self.exchange.venue.desk.orders[client_order_id]
        price, size = float(order.intent.limit_price), float(quantity)
        await self.quote(order.instrument, price * 0.98, price, size)
        await self.quote(order.instrument, price * 1.02, price * 1.021, 1e6)

    async def fault(self, fault: Fault) -> None:
        if fault is Fault.CUT:
            for one in list(self._lines):
                one.abort()
        elif fault is Fault.SKEW:
            self._skewed.ahead = SKEW_NS
        else:
            self.link.fault(fault)

    async def close(self) -> None:
        if not self.virtual:
            self._listening.close()
        for one in list(self._lines):
            one.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.exchange.close()

    # --- connections ----------------------------------------------------------------------------------------

    def _connected(self, down: Callable[[bytes], None], lost: Callable[[], None]) -> End:
        self.link.renew()
        end = End(self.link, down, lost)
        self._lines.add(end)
        task = asyncio.ensure_future(self._server.serve(end.reader, end))
        self._tasks.add(task)
        task.add_done_callback(lambda _: (self._tasks.discard(task), self._lines.discard(end)))
        return end

    async def _dial(self, make: Callable[[], Any], host: str, port: int) -> Any:
        protocol = make()
        transport = Memory(protocol)
        transport.end = self._connected(transport.deliver, transport.ended)
        protocol.connection_made(transport)
        return transport, protocol

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = self._connected(writer.write, writer.transport.abort)
        with contextlib.suppress(ConnectionError):
            while text := await reader.readline():
                end.up(text)
        end.abort()
        writer.close()


class End:
    """The venue's end of a connection: a writer for the server, and a reader that faults feed."""

    def __init__(self, link: Link, down: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.reader = asyncio.StreamReader()
        self.transport = self
        self._link, self._down, self._lost = link, down, lost
        self._open = True

    def up(self, text: bytes) -> None:
        there, back = self._link.up(text)
        for message in there:
            self.reader.feed_data(message)
        for message in back:
            self._down(message)

    def write(self, text: bytes) -> None:
        if self._open:
            for message in self._link.down(text):
                self._down(message)

    def abort(self) -> None:
        if self._open:
            self._open = False
            self.reader.feed_eof()
            self._lost()

    close = abort

    def get_write_buffer_size(self) -> int:
        return 0

    async def drain(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass


class Memory(asyncio.Transport):
    """The adapter's end of a connection in memory: what is written arrives a moment later."""

    end: End

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol, self._open, self._rest = protocol, True, b""
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for text in lines:
            self._loop.call_later(0.001, self.end.up, text + b"\n")

    def deliver(self, text: bytes) -> None:
        self._loop.call_later(0.001, self._hand, text)

    def _hand(self, text: bytes) -> None:
        if self._open:
            self._protocol.data_received(text)

    def ended(self) -> None:
        self._loop.call_later(0.001, self._end)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._protocol.connection_lost(None)

    def close(self) -> None:
        self.end.abort()
        self._loop.call_soon(self._end)

    abort = close
