"""Backtests: the kernel driven by a manual clock and replayed streams, as fast as it can, without a loop."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from fairlead._engine.assembly import build, currency_of, introduce, open_accounts, stream_for
from fairlead._engine.distributions import plugin_class
from fairlead._engine.inquiries import inquire
from fairlead._engine.intake import Intake
from fairlead._engine.observers import speak
from fairlead._engine.parts import Parts, fresh
from fairlead._engine.priceline import PriceLine
from fairlead._engine.references import refuse_unknown, unlisted
from fairlead._engine.result import Result, summarise
from fairlead._engine.warmup import history, windows
from fairlead._kernel.clock import ANSWER, Agenda, ManualTime
from fairlead._kernel.kernel import Kernel
from fairlead._kernel.runner import Runner
from fairlead._kernel.state import State
from fairlead._models.market import MarketEvent, kind_of
from fairlead._models.venue import Inquiry
from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import EngineStopped
from fairlead.ports import BrokerAdapter, DataStream, Replayable, Subscription

log = logging.getLogger("fairlead.engine")


def backtest(
    parts: Parts,
    folder: RunFolder,
    *,
    start: int | None = None,
    end: int | None = None,
    progress: Callable[[int], None] | None = None,
    stop_within_ns: int = 0,
) -> Result:
    """Run copies of these strategies and brokers over the streams' data, from nothing, in a fresh folder.

    `start` and `end` bound the data, in ns; orders that are on their way after the last event have `stop_within_ns`
    to settle, and positions stay, valued at the last prices. Raises ConfigurationError where it cannot be replayed.
    """
    for name, stream in parts.streams.items():
        if not isinstance(stream, Replayable):
            raise ConfigurationError(f"stream {name} cannot be replayed: pass data=... to backtest()")
    simulated = Parts(
        strategies=[fresh(strategy) for strategy in parts.strategies],
        brokers={name: _simulate(broker) for name, broker in parts.brokers.items()},
        streams=parts.streams,
        breakers=parts.breakers,
    )
    loop = asyncio.new_event_loop()  # for what brokers and streams do as coroutines
    journal = Journal.open(folder.journal, boot_id="", sync_behind=False)
    try:
        run = _Backtest(simulated, journal, loop, start, end)
        run.run(progress, stop_within_ns)
    finally:
        journal.close()
        loop.close()
    return summarise(folder, run.kernel, journal.hash, simulated, run.events, run.prices.points)


def _simulate(broker: BrokerAdapter) -> BrokerAdapter:
    simulated: BrokerAdapter = plugin_class("sim").like(broker)
    return simulated


class _Backtest:
    """One run over the data."""

    def __init__(
        self,
        parts: Parts,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        start: int | None,
        end: int | None,
    ) -> None:
        self._parts = parts
        self._loop = loop
        self._start = start
        self._end = end
        self.events = 0
        self._time = ManualTime(start or self._first_moment())
        self._agenda = Agenda(self._time)
        self._questions: list[tuple[Runner, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._new: list[tuple[Subscription, int]] = []
        self._feeds: dict[str, list[Subscription]] = {}
        self._served: set[Subscription] = set()
        self._left_out: set[Subscription] = set()
        self._began = False
        self._interrupted = False
        self.kernel = build(parts, state=State(), agenda=self._agenda, journal=journal, tape=None)
        self.kernel.failed = _give_up
        self.kernel.feeds.subscribe = self._subscribe
        self.kernel.feeds.unsubscribe = self._unsubscribe
        self.prices = PriceLine(self.kernel.market, self.kernel.recorder)
        self.kernel.observers += [speak, self.prices.facts]

    def _first_moment(self) -> int:
        """When the data begin: as their streams say, or at the first event of those that do not."""
        moments: list[int] = []
        for stream in self._parts.streams.values():
            brought = stream.time() if hasattr(stream, "time") else None
            if brought is not None:
                moments.append(brought.start_ns)
                continue
            assert isinstance(stream, Replayable)
            listed = self._loop.run_until_complete(stream.instruments())
            every = [Subscription(i.id, kind) for i in listed for kind in stream.offers(i.id)]
            moments += [event.received_ns for event in islice(stream.replay(every), 1)]
        return min(moments, default=0)

    def run(self, progress: Callable[[int], None] | None, stop_within_ns: int) -> None:
        """From the first event to the last, and until what is on its way then has settled."""
        self._begin(self._loop)
        self._through(progress)
        self._agenda.run(self._time.now())
        ending = self.kernel.ending
        self.kernel.turn(lambda: ending.begin("the data ended", stop_within_ns, leaves=True))
        while ending.left() and self._agenda.due <= ending.until_ns:
            self._agenda.run(self._agenda.due)
        self.kernel.turn(ending.finish)
        self.kernel.turn(lambda: self.kernel.recorder.record(EngineStopped, reason="the data ended"))

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
            kept = {currency_of(parts.brokers[name], snapshot) for name, snapshot in snapshots.items()}
            refuse_unknown(parts.breakers, currencies=kept)
            for text in unlisted(parts.breakers, kernel.catalogue.values()):
                log.warning("%s", text)
            open_accounts(kernel, parts, snapshots, namespace=0, epoch=0)
            kernel.start_accounts()

        kernel.resolver.inquire = self._inquire
        kernel.turn(begin)
        for runner in kernel.runners.values():
            runner.ask_outside = self._ask
        kernel.turn(lambda: kernel.start_strategies(restored=False))
        self._settle()

    def _ask(self, runner: Runner, number: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._questions.append((runner, number, function, args))
        self._interrupt()

    def _inquire(self, account: str, inquiry: Inquiry) -> None:
        asked = inquire(self._parts.brokers[account], inquiry, self._agenda, self.kernel.reports.fills)
        self.kernel.report(account, self._loop.run_until_complete(asked))

    def _subscribe(self, subscription: Subscription, warmup: int) -> None:
        self._new.append((subscription, warmup))
        if self._began:
            self._interrupt()

    def _unsubscribe(self, subscription: Subscription) -> None:
        """What was read together is left out on the way, since a merged order has no way back."""
        self._left_out.add(subscription)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._agenda.call_at(self._time.now(), self._settle, ANSWER)

    def _settle(self) -> None:
        """Time stands still while new feeds get their past and questions are answered."""
        new, self._new = self._new, []
        for subscription, warmup in new:
            stream = stream_for(self._parts.streams.values(), subscription)
            if stream is not None:
                self._left_out.discard(subscription)
                if subscription not in self._served:
                    self._served.add(subscription)
                    self._feeds.setdefault(stream.name, []).append(subscription)
                if self._began and warmup:
                    self._warm(stream, subscription, warmup)
        while self._questions:
            runner, number, function, args = self._questions.pop(0)
            value, error = b"", ""
            try:
                answer = function(*args)
                if inspect.isawaitable(answer):
                    answer = self._loop.run_until_complete(_await(answer))
                value = msgspec.msgpack.encode(answer)
            except Exception as fault:  # the asker is told, and decides
                error = f"{type(fault).__name__}: {fault}"
            self.kernel.answer(runner.name, number, value, error)

    def _through(self, progress: Callable[[int], None] | None) -> None:
        take = Intake(self.kernel, self._agenda, self._parts.brokers.values()).take
        events = self._events(iter(()))
        left_out = self._left_out
        count = seen = 0
        while True:
            for count, event in enumerate(events, seen + 1):
                if left_out and Subscription(event.instrument, kind_of(event)) in left_out:
                    continue
                take(event)
                if self._interrupted:
                    self._interrupted = False
                    self._settle()
                    if self._feeds:
                        break
                if progress is not None and not count % 10_000:
                    progress(event.received_ns)
            else:
                break
            events, seen = self._events(events), count
        self.events = count

    def _events(self, rest: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        """What is left of the data, and the feeds that were asked for since: from the beginning or from now on."""
        after = self._time.now() + 1
        feeds, self._feeds = self._feeds, {}
        sources = [rest] if self._began else []
        sources += [self._cut(self._parts.streams[name], wanted, after) for name, wanted in feeds.items()]
        self._began = True
        return sources[0] if len(sources) == 1 else heapq.merge(*sources, key=lambda event: event.received_ns)

    def _warm(self, stream: DataStream, subscription: Subscription, warmup: int) -> None:
        """Whoever begins to watch in mid-run gets the past of the data, as a live run asks its stream for it."""
        assert isinstance(stream, Replayable)
        now = self._time.now()
        for interval, start, end in windows(self.kernel, subscription, warmup, now):
            last = min(end, now - 1)
            events = [e for e in self._cut(stream, [subscription], 0) if start <= e.received_ns <= last]
            past = history(self.kernel, subscription, interval, (start, end), events, now)
            if past is not None:
                self.kernel.event(past)

    def _cut(
        self, stream: DataStream, subscriptions: Sequence[Subscription], after: int
    ) -> Iterator[MarketEvent]:
        assert isinstance(stream, Replayable)
        if self._start is None and self._end is None and not self._began:
            return stream.replay(subscriptions)
        return self._between(stream, subscriptions, after if self._began else 0)

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
