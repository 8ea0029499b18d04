"""Backtests: the kernel driven by a manual clock and replayed streams, as fast as it can, without a loop."""

from __future__ import annotations

import asyncio
import copy
import heapq
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from fairlead._engine.assembly import Parts, build, fresh, introduce, open_accounts, stream_for
from fairlead._engine.distributions import plugin_class
from fairlead._engine.intake import Intake
from fairlead._engine.priceline import PriceLine
from fairlead._engine.result import Result, summarise
from fairlead._kernel.clock import Agenda, ManualTime
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.runner import Runner
from fairlead._kernel.state import State
from fairlead._models.market import MarketEvent
from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import EngineStopped
from fairlead.ports import BrokerAdapter, DataStream, Replayable, Subscription


class _Timed(Protocol):
    """A stream that brings its own time."""

    def time(self) -> Any:
        """An object with `start_ns` and `speed`."""
        ...


def backtest(
    parts: Parts,
    folder: RunFolder,
    *,
    start: int | None = None,
    end: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run copies of these parts over the streams' data, from nothing, in a fresh folder.

    `start` and `end` bound the data, in ns. Raises ConfigurationError where the data cannot be replayed.
    """
    for name, stream in parts.streams.items():
        if not isinstance(stream, Replayable):
            raise ConfigurationError(f"stream {name} cannot be replayed: pass data=... to backtest()")
    simulated = Parts(
        strategies=[fresh(strategy) for strategy in parts.strategies],
        brokers={name: _simulate(broker) for name, broker in parts.brokers.items()},
        streams=parts.streams,
        breakers=[copy.deepcopy(breaker) for breaker in parts.breakers],
    )
    journal = Journal.open(folder.journal, boot_id="", sync_behind=False)
    try:
        run = _Backtest(simulated, journal, start, end)
        run.run(progress)
    finally:
        journal.close()
    return summarise(folder, run.kernel, journal.hash, simulated, run.events, run.prices.points)


def _simulate(broker: BrokerAdapter) -> BrokerAdapter:
    simulated: BrokerAdapter = plugin_class("sim").like(broker)
    return simulated


class _Backtest:
    """One run over the data."""

    def __init__(self, parts: Parts, journal: Journal, start: int | None, end: int | None) -> None:
        self._parts = parts
        self._start = start
        self._end = end
        self.events = 0
        self._time = ManualTime(start or min(_starts(parts.streams.values()), default=0))
        self._agenda = Agenda(self._time)
        self._questions: list[tuple[Runner, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._new: list[Subscription] = []
        self._interrupted = False
        self.kernel = build(parts, state=State(), agenda=self._agenda, journal=journal, tape=None)
        self.kernel.failed = _give_up
        self.kernel.feeds.subscribe = self._subscribe
        self.prices = PriceLine(self.kernel.market, self.kernel.recorder)
        self.kernel.observers.append(self.prices.facts)

    def run(self, progress: Callable[[int], None] | None) -> None:
        """From the first event to the last."""
        loop = asyncio.new_event_loop()
        try:
            self._begin(loop)
            self._through(loop, progress)
            self._agenda.run(self._time.now())
            self.kernel.turn(self.kernel.stop_strategies)
            self.kernel.turn(
                lambda: self.kernel.recorder.record(EngineStopped, reason="the data ended") and None
            )
        finally:
            loop.close()

    def _end_run(self) -> None:
        self.kernel.recorder.record(EngineStopped, reason="the data ended")

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        kernel, parts = self.kernel, self._parts
        kernel.recorder.now = self._time.now()
        snapshots = {}
        for name, broker in parts.brokers.items():
            loop.run_until_complete(broker.connect(_reporter(kernel, name), self._agenda))
            kernel.outbox.senders[name] = broker.send
        loop.run_until_complete(introduce(kernel, parts))

        def begin() -> None:
            for name, broker in parts.brokers.items():
                snapshots[name] = loop.run_until_complete(broker.snapshot())
            open_accounts(kernel, parts, snapshots, namespace=0, epoch=0)
            kernel.start_accounts()

        kernel.turn(begin)
        for runner in kernel.runners.values():
            runner.ask_outside = self._ask
        kernel.turn(lambda: kernel.start_strategies(restored=False))
        self._answer(loop)

    def _ask(self, runner: Runner, number: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._questions.append((runner, number, function, args))
        self._interrupted = True

    def _subscribe(self, subscription: Subscription, warmup: int) -> None:
        self._new.append(subscription)
        self._interrupted = True

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Time stands still while questions are answered."""
        while self._questions:
            runner, number, function, args = self._questions.pop(0)
            value, error = b"", ""
            try:
                answer = function(*args)
                if inspect.isawaitable(answer):
                    answer = loop.run_until_complete(_await(answer))
                value = msgspec.msgpack.encode(answer)
            except Exception as fault:  # the asker is told, and decides
                error = f"{type(fault).__name__}: {fault}"
            self.kernel.answer(runner.name, number, value, error)

    def _through(self, loop: asyncio.AbstractEventLoop, progress: Callable[[int], None] | None) -> None:
        take = Intake(self.kernel, self._agenda, self._parts.brokers.values()).take
        events = self._events(iter(()))
        count = 0
        while True:
            for event in events:
                take(event)
                count += 1
                if self._interrupted:
                    self._interrupted = False
                    self._answer(loop)
                    if self._new:
                        break
                if progress is not None and not count % 10_000:
                    progress(event.received_ns)
            else:
                break
            events = self._events(events)
        self.events = count

    def _events(self, rest: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        """What is left of the data, and the feeds that were asked for since, from now on."""
        wanted: dict[str, list[Subscription]] = {}
        for subscription in self._new:
            stream = stream_for(self._parts.streams.values(), subscription)
            if stream is not None:
                wanted.setdefault(stream.name, []).append(subscription)
        self._new.clear()
        sources = [rest] if self.events or wanted == {} else []
        after = self._time.now()
        for name, subscriptions in wanted.items():
            sources.append(self._cut(self._parts.streams[name], subscriptions, after))
        if len(sources) == 1:
            return sources[0]
        return heapq.merge(rest, *sources, key=lambda event: event.received_ns)

    def _cut(
        self, stream: DataStream, subscriptions: Sequence[Subscription], after: int
    ) -> Iterator[MarketEvent]:
        assert isinstance(stream, Replayable)
        if self._start is None and self._end is None and not self.events:
            return stream.replay(subscriptions)
        return self._between(stream, subscriptions, after)

    def _between(
        self, stream: Replayable, subscriptions: Sequence[Subscription], after: int
    ) -> Iterator[MarketEvent]:
        first = after if self._start is None else max(after, self._start)
        end = self._end
        for event in stream.replay(subscriptions):
            if event.received_ns < first:
                continue
            if end is not None and event.received_ns >= end:
                return
            yield event


def _give_up(reason: str) -> None:
    raise JournalError(reason)


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _reporter(kernel: Kernel, account: str) -> Callable[[Any], None]:
    return lambda report: kernel.report(account, report)


def _starts(streams: Iterable[Any]) -> Iterator[int]:
    for stream in streams:
        brought = stream.time() if hasattr(stream, "time") else None
        if brought is not None:
            yield brought.start_ns


def moment(when: datetime | int | str | None, what: str) -> int | None:
    """Nanoseconds of an aware datetime, an ISO text with a zone, or nanoseconds. Raises ConfigurationError."""
    if when is None or isinstance(when, int):
        return when
    try:
        parsed = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        raise ConfigurationError(
            f"{what} {when!r} is no time: write it as 2024-01-31T12:00:00+00:00"
        ) from None
    if parsed.tzinfo is None:
        raise ConfigurationError(f"{what} {when!r} has no time zone: add one, such as +00:00")
    return int(parsed.timestamp() * 1_000_000) * 1000
