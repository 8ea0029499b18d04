"""The door of a live run: everything that comes from outside enters the kernel here.

An input is stamped once, and comes after all that was due before it; what follows from it at once, such as the
answers of a simulated venue, happens at its time. So the order and the times in journal and tape are all that is
needed to run the same again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fairlead._engine.intake import Intake
from fairlead._engine.pacing import TURN_SECONDS
from fairlead._kernel.clock import REPORT, TIMER, Agenda, ManualTime
from fairlead._kernel.kernel import Kernel
from fairlead._models.market import EVENT_TYPES, Bar, History, MarketEvent
from fairlead._models.reports import AccountChanged, Report
from fairlead.facts import Noted
from fairlead.ports import BrokerAdapter


class Door(Intake):
    """Stamps, orders and hands over; safe to call from any thread.

    Reports wait until `open`. A time that is moved by hand stands still while a question is out: events and all
    that is due wait for its answer, as they do in a backtest. `failed` is told of an exception that a turn raised;
    after it, and after `close`, nothing gets in.
    """

    def __init__(
        self,
        kernel: Kernel,
        agenda: Agenda,
        brokers: Iterable[BrokerAdapter],
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(kernel, agenda, brokers)
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._loop = loop
        self._thread = threading.get_ident()
        self._by_hand = isinstance(agenda.time, ManualTime)
        self._failed = failed
        self._early: deque[tuple[str, Report]] | None = deque()
        self._kept: deque[tuple[Callable[[MarketEvent], None], MarketEvent]] = deque()
        self._market_closed = self._closed = False
        self._refused: set[tuple[str, str]] = set()

    # --- market events --------------------------------------------------------------------------------------

    def taker(self, stream: str) -> Callable[[MarketEvent], None]:
        """What a stream is given to emit by. What is no market event is refused in its name, once for each type."""
        take, known = self.take, EVENT_TYPES

        def emit(event: MarketEvent) -> None:
            if type(event) in known:
                take(event)
            else:
                self._refuse(stream, event)

        return emit

    def _refuse(self, stream: str, event: object) -> None:
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._refuse, stream, event)
            return
        kind = f"{type(event).__module__}.{type(event).__qualname__}"
        if (stream, kind) in self._refused:
            return
        self._refused.add((stream, kind))
        text = f"stream {stream} emits {kind}, which is no market event, so it is refused: repair the stream"
        self.note(self._kernel.turn, lambda: self._recorder.input(Noted, source="market", text=text))

    def take(self, event: MarketEvent) -> None:
        """One event, stamped with the time it was received at; one from before what is done comes after it."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.take, event)
            return
        agenda = self._agenda
        if agenda.held:
            self._kept.append((self.take, event))
            return
        if self._market_closed:
            return
        now = event.received_ns
        if now < self._recorder.now:
            now = self._recorder.now + 1
            event = msgspec.structs.replace(event, received_ns=now)
        before = agenda.moment
        agenda.moment = now
        try:
            if agenda.due < now and (reached := self._reach(now)) < now:
                agenda.moment = now = reached
                event = msgspec.structs.replace(event, received_ns=now)
            agenda.time.reach(now)
            simulate, see = self._simulate, self._see
            if simulate is not None:
                simulate(event)
            if agenda.due <= now or agenda.held:
                self._see_after_due(event)
            else:
                see(event)
        except BaseException as error:  # the kernel can go no further: the run ends with it
            self.fail(error)
        finally:
            agenda.moment = before

    def _see_after_due(self, event: MarketEvent) -> None:
        agenda, now = self._agenda, event.received_ns
        if agenda.due <= now:
            agenda.run(now, REPORT if type(event) is Bar else TIMER)
        if agenda.held:
            self._kept.appendleft((self._go_on, event))
        else:
            self._see(event)

    def _go_on(self, event: MarketEvent) -> None:
        """What was due at an event's time has been answered: now the event itself."""
        try:
            self._at(event.received_ns, self._see_after_due, event)
        except BaseException as error:  # as in take
            self.fail(error)

    def warm(self, history: History) -> None:
        """Bars from before, for a warm-up."""
        if self._market_closed:
            return
        now = self._now()
        try:
            self._at(now, self._see, msgspec.structs.replace(history, received_ns=now))
        except BaseException as error:  # as in take
            self.fail(error)

    # --- everything else ------------------------------------------------------------------------------------

    def reporter(self, account: str) -> Callable[[Report], None]:
        """What a broker is given to report by."""

        def emit(report: Report) -> None:
            if threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(emit, report)
            elif self._early is not None:
                self._early.append((account, report))
            elif not self._closed:
                self._guarded(self._kernel.report, account, report)

        return emit

    def open(self) -> None:
        """Let reports in, beginning with those that have come already."""
        early, self._early = self._early or (), None
        for account, report in early:
            self._guarded(self._kernel.report, account, report)

    def movements(self, account: str) -> int:
        """How many movements of cash other than fills have come for an account, and wait."""
        return sum(one == account and type(report) is AccountChanged for one, report in self._early or ())

    def drop_movements(self, account: str) -> None:
        """They are in the account's books already."""
        if self._early is not None:
            kept = [pair for pair in self._early if pair[0] != account or type(pair[1]) is not AccountChanged]
            self._early = deque(kept)

    def answer(self, strategy: str, number: int, value: bytes, error: str) -> None:
        """An answer to a strategy's question."""
        if not self._closed:
            self._guarded(self._kernel.answer, strategy, number, value, error)

    def put(self, act: Callable[..., None], *arguments: Any, **named: str) -> None:
        """Have the kernel do something that is an input of its own. Raises what it raises."""
        if self._agenda.moment:
            act(*arguments, **named)
        else:
            self._at(self._now(), act, *arguments, **named)

    def note(self, act: Callable[..., None], *arguments: Any) -> None:
        """The same, for what nobody waits for."""
        if not self._closed:
            self._guarded(act, *arguments)

    def _now(self) -> int:
        return max(self._agenda.now(), self._recorder.now)

    def _reach(self, now: int) -> int:
        """Run what was due before an input, and say what time it has then.

        That is `now`, unless so much was due that the loop needs its turn: the engine is late then, and the input
        comes at the moment that it has got to, before what is due next.
        """
        agenda = self._agenda
        turn_ends = self._loop.time() + TURN_SECONDS
        while agenda.due < now and not agenda.held:
            agenda.run(agenda.due)
            if agenda.due < now and not self._by_hand and self._loop.time() >= turn_ends:
                return max(agenda.due - 1, self._recorder.now)
        return now

    def _at(self, now: int, act: Callable[..., None], *arguments: Any, **named: str) -> None:
        agenda = self._agenda
        if agenda.due < now:
            now = self._reach(now)
        before, agenda.moment = agenda.moment, now
        try:
            act(*arguments, **named)
        finally:
            agenda.moment = before

    def _guarded(self, act: Callable[..., None], *arguments: Any) -> None:
        try:
            self.put(act, *arguments)
        except BaseException as error:  # as in take
            self.fail(error)

    # --- waiting and ending ---------------------------------------------------------------------------------

    def hold(self) -> None:
        """A question is out: time that is moved by hand stands still."""
        if self._by_hand:
            self._agenda.hold()

    def release(self) -> None:
        """One question less: what waited for it comes in."""
        if not self._by_hand:
            return
        agenda = self._agenda
        if agenda.held == 1:
            agenda.held = 0
            while self._kept and not agenda.held:
                take, event = self._kept.popleft()
                take(event)
            agenda.held += 1
        agenda.release()

    @property
    def closed(self) -> bool:
        """Whether nothing gets in any more."""
        return self._closed

    def close_market(self) -> None:
        """No more market events."""
        self._market_closed = True
        self._kept.clear()

    def close(self) -> None:
        """Nothing more at all; what a venue still says is learned at the next start."""
        self._market_closed = self._closed = True

    def fail(self, error: BaseException) -> None:
        """A turn raised: nothing that comes after it may rest on what it left behind. Raises what asks for an exit."""
        self.close()
        self._failed(error)
        if not isinstance(error, Exception):
            raise error
