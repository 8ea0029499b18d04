"""HTTP and WebSockets on loopback for one front."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from fairlead import ConfigurationError
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import Fault, FaultKind, Faults
from fairlead_venue.fronts import Front, RawFront
from fairlead_venue.gate import Gate, Latency
from fairlead_venue.websocket import WebChannel
from fairlead_venue.wire import Call, Reply, RequestLog

_BODY = 1 << 20
_AT_CONNECT = frozenset(
    {
        FaultKind.REFUSE, FaultKind.ERROR, FaultKind.RATE_LIMIT, FaultKind.BAN, FaultKind.LOSE, FaultKind.DROP,
        FaultKind.CLOSE, FaultKind.STALL, FaultKind.HALF_OPEN, FaultKind.DELAY, FaultKind.SHUTDOWN,
    }
)  # fmt: skip


class VenueServer:
    """Listens, and carries what comes to its front and back."""

    def __init__(self, exchange: Exchange, faults: Faults, latency: Latency) -> None:
        self.exchange = exchange
        self.faults = faults
        self.log = RequestLog()
        self.channels: list[Channel] = []
        self.gate = Gate(exchange, faults, self.log, latency, lambda: self.channels)
        self._front: Front
        self._raw: RawFront | None = None
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._numbers = 0

    async def open(self, front: Front | RawFront, host: str, port: int) -> Mapping[str, str]:
        """Listen, or let the front; returns the addresses for clients. Raises ConfigurationError where it cannot."""
        if isinstance(front, RawFront):
            self.gate.front = self._raw = front
            return await front.open(loopback(host), port)
        self._front = self.gate.front = front
        app = web.Application(client_max_size=_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, loopback(host), port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"{host}:{port} cannot be listened on ({error.strerror}): choose another port, or 0 for any"
            ) from error
        bound = self._runner.addresses[0]
        return front.addresses(str(bound[0]), int(bound[1]))

    async def close(self) -> None:
        """Let go of everybody, and listen no more."""
        for channel in list(self.channels):
            channel.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._raw is not None:
            await self._raw.close()
        if self._runner is not None:
            await asyncio.sleep(0.01)  # who was just let in is known to the server, and can be let go of
            await self._runner.cleanup()

    # --- streams of fronts that listen themselves ---------------------------------------------------------------

    def strike(self, channel: Channel, fault: Fault) -> None:
        """Let a fault strike a stream."""
        self.gate.strike(channel, fault)

    def join(self, channel: Channel) -> None:
        """Count a connection among the streams; faults at `connect` strike it."""
        self.channels.append(channel)
        call = Call("CONNECT", channel.path, ["connect", f"connect {channel.path}", channel.path])
        call.faults = self.faults.strike(call.labels, _AT_CONNECT)
        self.gate.note(call, "open")
        for fault in call.faults:
            self.gate.strike(channel, fault)

    def leave(self, channel: Channel) -> None:
        """It is gone."""
        if channel in self.channels:
            self.channels.remove(channel)
            self.log.changed()

    # --- requests -----------------------------------------------------------------------------------------------

    def serve(self, call: Call) -> None:
        """Carry out a request that came over its channel, and answer there."""
        task = asyncio.ensure_future(self._serve(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, call: Call) -> None:
        reply = await self.gate.answer(call)
        if reply is not None:
            if call.channel is not None and reply.body:
                call.channel.send(reply.body)
            self.gate.done(call)
        elif call.channel is not None and (lasts := _cut_after(call)):
            await self.exchange.clock.sleep(lasts)
            call.channel.drop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            request.method, request.path, query=request.rel_url.raw_query_string, headers=dict(request.headers),
            body=b"" if request.method == "GET" else await request.read(),
        )  # fmt: skip
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request, call)
        reply = await self.gate.answer(call)
        if reply is None:
            return await self._say_nothing(request, call)
        response = _response(reply)
        await response.prepare(request)
        await response.write_eof()
        self.gate.done(call)
        return response

    async def _say_nothing(self, request: web.Request, call: Call) -> web.StreamResponse:
        """Keep the connection open, as one whose answer got lost, and cut it after a while if the fault says so."""
        if lasts := _cut_after(call):
            await self.exchange.clock.sleep(lasts)
            if request.transport is not None:
                request.transport.abort()
        await asyncio.get_running_loop().create_future()
        raise AssertionError  # only the client's leaving ends this

    # --- streams ------------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request, call: Call) -> web.StreamResponse:
        call.labels = ["connect", f"connect {request.path}", request.path]
        call.faults = self.faults.strike(call.labels, _AT_CONNECT)
        for fault in call.faults:
            match fault.kind:
                case FaultKind.REFUSE | FaultKind.RATE_LIMIT | FaultKind.BAN:
                    self.gate.note(call, "refused")
                    return _response(
                        self._front.refused(call, fault, self.exchange.clock.now() + fault.lasts_ns)
                    )
                case FaultKind.ERROR:
                    self.gate.note(call, str(fault.status))
                    return web.Response(status=fault.status, text="<html>no</html>", content_type="text/html")
                case FaultKind.LOSE:
                    self.gate.note(call, "lost")
                    return await self._say_nothing(request, call)
                case FaultKind.DELAY:
                    await self.exchange.clock.sleep(fault.lasts_ns)
        socket = web.WebSocketResponse(autoping=False, compress=False, timeout=2.0, max_msg_size=_BODY)
        self._numbers += 1
        channel = WebChannel(
            self._numbers, socket, request, self._front.enums, faults=self.faults, clock=self.exchange.clock,
            struck=self.gate.strike,
        )  # fmt: skip
        refusal = self._front.connected(channel, request.rel_url.raw_query_string)
        if refusal is not None:
            self.gate.note(call, str(refusal.status))
            return _response(refusal)
        await socket.prepare(request)
        self.channels.append(channel)
        self.gate.note(call, "open")
        for fault in call.faults:
            self.gate.strike(channel, fault)
        pinging = asyncio.ensure_future(self._ping(channel))
        try:
            await channel.run(lambda text: self._front.heard(channel, text))
        finally:
            pinging.cancel()
            self._front.left(channel)
            self.leave(channel)
        return socket

    async def _ping(self, channel: WebChannel) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while self._front.ping_every:
                await asyncio.sleep(self._front.ping_every)
                await channel.ping()


def _cut_after(call: Call) -> int:
    """How many ns after an answer got lost its connection is cut; 0 for never."""
    lost = call.struck(FaultKind.LOSE_ANSWER) or call.struck(FaultKind.LOSE)
    return lost.lasts_ns if lost is not None else 0


def _response(reply: Reply) -> web.Response:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    return web.Response(
        body=body, status=reply.status, headers=dict(reply.headers), content_type=reply.content_type,
        charset="utf-8" if reply.content_type.startswith("text/") else None,
    )  # fmt: skip


def loopback(host: str) -> str:
    """A host that nobody else can reach. Raises ConfigurationError."""
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ConfigurationError(f"{host} is not loopback: this venue is for this machine alone, write 127.0.0.1")
