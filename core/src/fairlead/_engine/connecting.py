"""Connections of a live run: brokers and streams, opened in their order and closed with the run, whatever ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fairlead._engine.door import Door
from fairlead._engine.shutdown import disconnect
from fairlead._engine.supervision import Supervisor
from fairlead._kernel.clock import Agenda
from fairlead._kernel.outbox import Outbox
from fairlead.ports import BrokerAdapter, Command, DataStream, Report

Send = Callable[[Command], None]
Emit = Callable[[Report], None]


async def connect_brokers(
    brokers: Mapping[str, BrokerAdapter],
    outbox: Outbox,
    door: Door,
    agenda: Agenda,
    guard: Callable[[str, Send, Emit], Send],
    stack: contextlib.AsyncExitStack,
) -> None:
    """Connect the private streams; what they report waits until recovery has read the snapshot.

    What is sent goes through what `guard` makes of each broker's `send`.
    """
    closing: list[tuple[str, Callable[[], Any]]] = []
    stack.push_async_callback(disconnect, closing)
    for name, broker in brokers.items():
        emit = door.reporter(name)
        outbox.senders[name] = guard(name, broker.send, emit)
        closing.append((f"account {name}", broker.close))
        await broker.connect(emit, agenda)


async def connect_streams(
    streams: Iterable[DataStream],
    supervisor: Supervisor,
    door: Door,
    feeds: Agenda,
    resume_ns: int | None,
    stack: contextlib.AsyncExitStack,
) -> None:
    """Connect the market's streams; one that can goes on after `resume_ns`, where that is a time."""
    closing: list[tuple[str, Callable[[], Any]]] = []
    stack.push_async_callback(disconnect, closing)
    for stream in streams:
        closing.append((f"stream {stream.name}", stream.close))
        await stream.connect(door.taker(stream.name), feeds)
        supervisor.watch(stream)
        if resume_ns is not None and hasattr(stream, "resume"):
            stream.resume(resume_ns)
