"""The simulated venue in a process of its own: `python -m fairlead_sim.serve --cash "100_000 USDT"`.

It listens on loopback or a Unix socket, prints its address on one line, keeps its own ledger, and ends by SIGTERM,
SIGINT, or, with `--until-stdin-closes`, with whoever started it. Input that it cannot read ends that connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from fairlead import ConfigurationError, FairleadError, default_instrument
from fairlead.ports import Clock, Handle, Report
from fairlead_sim.broker import SimulatedBroker
from fairlead_sim.faults import FaultPlan
from fairlead_sim.protocol import (
    LIMIT,
    AskFills,
    AskInstruments,
    AskLookup,
    AskSnapshot,
    Failure,
    Hello,
    IsFills,
    IsInstruments,
    IsLookup,
    IsSnapshot,
    Learn,
    Market,
    Pushed,
    Request,
    Welcome,
    line,
    requests,
)
from fairlead_sim.store import LedgerFile

_BACKLOG = 64 << 20


class LoopClock:
    """Wall time at the start plus the loop's own time: never backwards."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = time.time_ns() - int(self._loop.time() * 1e9)

    def now(self) -> int:
        """The time now."""
        return self._start + int(self._loop.time() * 1e9)

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Handle:
        """Run `callback` then."""
        return self._loop.call_at((when_ns - self._start) / 1e9, callback)


class Server:
    """A venue and those who are connected to it; every one of them sees every report."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self._broker = broker
        self._listeners: set[asyncio.StreamWriter] = set()

    async def open(self, clock: Clock | None = None) -> None:
        """Start the venue, on the loop's own clock unless one is given."""
        await self._broker.connect(self._push, clock or LoopClock())

    def _push(self, report: Report) -> None:
        text = line(Pushed(report))
        for writer in list(self._listeners):
            if writer.transport.get_write_buffer_size() > _BACKLOG:
                writer.transport.abort()
            else:
                writer.write(text)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it leaves or cannot be understood."""
        try:
            while text := await reader.readline():
                await self._handle(requests.decode(text), writer)
                await writer.drain()
        except (msgspec.DecodeError, UnicodeError) as error:
            writer.write(line(Failure(f"not a request: {error}")))
        except ValueError:
            writer.write(line(Failure(f"not a request: a line is longer than {LIMIT} bytes")))
        except FairleadError as error:
            writer.write(line(Failure(str(error))))
        except (ConnectionError, asyncio.CancelledError):
            pass  # it left, or this process ends
        finally:
            self._listeners.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        broker = self._broker
        match request:
            case Market(event):
                broker.market(event)
            case Learn(instrument):
                broker.learn(instrument)
            case Hello(number):
                self._listeners.add(writer)
                writer.write(line(Welcome(number, broker.profile)))
            case AskSnapshot(number):
                writer.write(line(IsSnapshot(number, await broker.snapshot())))
            case AskLookup(number, names):
                writer.write(line(IsLookup(number, await broker.lookup(names))))
            case AskFills(number, since):
                writer.write(line(IsFills(number, await broker.fills(since))))
            case AskInstruments(number):
                writer.write(line(IsInstruments(number, await broker.instruments())))
            case _:
                broker.send(request.command)


async def run(arguments: argparse.Namespace) -> None:
    """Serve until told to end."""
    broker = SimulatedBroker(
        arguments.cash or "100_000 USDT",
        name=arguments.name,
        fees=arguments.fees,
        slippage=arguments.slippage,
        latency=arguments.latency,
        fill_at=arguments.fill_at,
        leverage=arguments.leverage,
        faults=_plan(arguments.faults),
    )
    for text in arguments.instrument:
        name, _, tick = text.partition("=")
        symbol, _, venue = name.rpartition("@")
        if not symbol or not tick:
            raise ConfigurationError(f"instrument {text!r}: write SYMBOL@VENUE=TICK")
        broker.learn(default_instrument(symbol, venue, tick=tick))
    store = LedgerFile(arguments.ledger, broker.venue.desk) if arguments.ledger else None
    server = Server(broker)
    await server.open()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if arguments.until_stdin_closes:
        loop.add_reader(0, _read_away, loop, ended)
    if arguments.unix:
        listening = await asyncio.start_unix_server(server.serve, arguments.unix, limit=LIMIT)
        address = f"unix://{arguments.unix}"
    else:
        listening = await asyncio.start_server(server.serve, arguments.host, arguments.port, limit=LIMIT)
        host, port = listening.sockets[0].getsockname()[:2]
        address = f"tcp://{host}:{port}"
    print(address, flush=True)
    await ended.wait()
    listening.close()
    if store is not None:
        store.close()


def _read_away(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if not os.read(0, 4096):
        loop.remove_reader(0)
        ended.set()


def _plan(text: str) -> FaultPlan | None:
    if not text:
        return None
    file = Path(text)
    return FaultPlan.parse(file.read_text(encoding="utf-8") if file.is_file() else text)


def _loopback(text: str) -> str:
    if text != "localhost" and not ipaddress.ip_address(text).is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is not loopback")
    return text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(
        prog="python -m fairlead_sim.serve", description=__doc__.partition("\n")[0]
    )
    words.add_argument("--host", type=_loopback, default="127.0.0.1", help="a loopback address")
    words.add_argument("--port", type=int, default=0, help="0 takes a free one")
    words.add_argument("--unix", default="", metavar="PATH", help="listen on a Unix socket instead")
    words.add_argument(
        "--cash", action="append", metavar="MONEY", help="'100_000 USDT'; repeat for more currencies"
    )
    words.add_argument("--name", default="sim")
    words.add_argument("--instrument", action="append", default=[], metavar="SYMBOL@VENUE=TICK")
    words.add_argument("--fees", help="one rate for maker and taker; default: each instrument's own")
    words.add_argument("--slippage", help="'1 tick', '2 bp' or '0.01%%'")
    words.add_argument("--latency", default="0ms")
    words.add_argument("--fill-at", choices=("open", "close"), default="open")
    words.add_argument("--leverage")
    words.add_argument("--faults", default="", metavar="PLAN", help="a fault plan, or a file that holds one")
    words.add_argument("--ledger", type=Path, metavar="FILE", help="keep the books in this file")
    words.add_argument(
        "--until-stdin-closes", action="store_true", help="end with whoever holds the other end"
    )
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and say in one line what is wrong if it cannot."""
    try:
        asyncio.run(run(parser().parse_args(arguments)))
    except (FairleadError, OSError) as error:
        print(f"fairlead_sim.serve: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
