"""Runs one strategy: one handler at a time, stepping coroutines itself, with a mailbox for what comes meanwhile."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import attrs
import msgspec

from fairlead._kernel.blame import lines_in, lines_of, place
from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.recorder import Recorder
from fairlead._models.market import EVENT_TYPES, Quote
from fairlead._models.orders import AT_VENUE, Order
from fairlead._secrets.scrub import said
from fairlead._strategy.strategy import Strategy
from fairlead.facts import Asked, Noted, StrategyFaulted, StrategyHalted, StrategySaved
from fairlead.units import SECOND

Handler = Callable[..., Any]

LOOK_UP_NS = 5 * SECOND
"""So much longer than it was told a handler waits for an order at most, where its venue has to be asked for it."""

_NO_LOOP = (
    "it wants an event loop, and a handler has none: a handler may await only self.ask(...), self.wait(...) and "
    "self.sleep(...)"
)


class Request:
    """Something a handler awaits; the runner resumes it with `value`, or throws `error` into it."""

    def __await__(self) -> Generator[Request, Any, Any]:
        return (yield self)


@attrs.define(eq=False)
class Sleep(Request):
    """Until so many nanoseconds have passed."""

    duration_ns: int


@attrs.define(eq=False)
class Wait(Request):
    """Until an order is closed, or so many nanoseconds have passed. `since_ns` is when the wait began."""

    order: Order
    within_ns: int
    since_ns: int = 0


@attrs.define(eq=False)
class Ask(Request):
    """Until a function has been run outside, and its answer recorded."""

    number: int
    awaited: bool = False

    def __await__(self) -> Generator[Request, Any, Any]:
        self.awaited = True
        return (yield self)


class Runner:
    """One strategy's handlers.

    `closed` is true while nothing may be delivered at once: a handler runs, awaits, or the strategy is halted.
    `emitted` is set by whoever places an order for it: its `save()` then joins the turn's record.
    """

    def __init__(self, strategy: Strategy, name: str, recorder: Recorder, schedule: Schedule) -> None:
        self.strategy = strategy
        self.name = name
        self.closed = True
        self.emitted = False
        self._busy = False  # something must be followed up when the handler ends
        self._recorder = recorder
        self._schedule = schedule
        self._mailbox: deque[tuple[Handler, Any]] = deque()
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._waiting: Request | None = None
        self._asked: list[Ask] = []
        self._then: dict[int, Handler] = {}
        self._saves = type(strategy).save is not Strategy.save
        self.look_up: Callable[[Order, Callable[[], None]], None] = _nobody_knows
        self.ask_outside: Callable[[Runner, int, Handler, tuple[Any, ...]], None] = _nobody_answers

    @property
    def halted(self) -> bool:
        """Whether it gets no more events."""
        return self.name in self._recorder.state.halted

    @property
    def waiting(self) -> bool:
        """Whether a handler awaits something."""
        return self._waiting is not None

    @property
    def running(self) -> bool:
        """Whether a handler is being run at this moment."""
        return self.closed and self._waiting is None and not self.halted

    def placed(self) -> None:
        """The handler that runs has placed an order: its `save()`, if it has one, joins the turn's record."""
        if self._saves:
            self.emitted = self._busy = True

    # --- delivery -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin with `on_start`; that of a halted strategy waits until it may go on."""
        self._mailbox.append((self.strategy.on_start, None))
        self.open()

    def interrupt(self) -> None:
        """End a handler that waits, and each that would wait after it; facts that have come meanwhile are delivered."""
        self._mailbox = deque(pair for pair in self._mailbox if type(pair[1]) not in EVENT_TYPES)
        while self._waiting is not None:
            self._abandon()
            self._finish()

    def keeps_saved(self) -> None:
        """What was saved before stays, whatever the strategy would save now."""
        self._saves = False

    def open(self) -> None:
        """Begin (or, after a halt was lifted, go on) delivering."""
        if not self.halted:
            self.closed = self._waiting is not None
            self._drain()

    def sink(self, handler: Handler) -> Callable[[object], None]:
        """A market sink that runs `handler`, or keeps the event while the strategy is busy."""

        def deliver(event: object) -> None:
            if self.closed:
                self._keep(handler, event)
                return
            self.closed = True
            try:
                result = handler(event)
            except Exception as error:  # as in _run
                self._fault(error)
                self._finish()
                return
            if result is None and not self._busy:  # nothing to follow up: the common case, kept short
                self.closed = False
            else:
                self._ended(result)

        return deliver

    def deliver(self, handler: Handler, item: Any) -> None:
        """Run a handler now, or when the one that runs has ended."""
        if self.closed:
            self._keep(handler, item)
        else:
            self._run(handler, item)

    def _keep(self, handler: Handler, event: object) -> None:
        if self.halted:
            return
        self._busy = True
        if type(event) is Quote:  # of quotes only the last counts
            for index, (_, kept) in enumerate(self._mailbox):
                if type(kept) is Quote and kept.instrument == event.instrument:
                    self._mailbox[index] = (handler, event)
                    return
        self._mailbox.append((handler, event))

    def _run(self, handler: Handler, item: Any) -> None:
        self.closed = True
        try:
            result = handler(item) if item is not None else handler()
        except Exception as error:  # a strategy's fault is its own: its error policy decides
            self._fault(error)
            self._finish()
        else:
            self._ended(result)

    def _ended(self, result: Any) -> None:
        """A handler returned: a coroutine is stepped, anything else is done."""
        if result is not None and inspect.iscoroutine(result):
            self._coroutine = result
            self._step(None)
        else:
            self._finish()

    def _finish(self) -> None:
        """A handler has ended."""
        if self._asked and any(not ask.awaited for ask in self._asked):
            self.halt("self.ask(...) was neither awaited nor given then=")
        self._asked.clear()
        if self.emitted:
            self.emitted = False
            self.save()
        self._busy = False
        self.closed = self.halted
        if self._mailbox and not self._draining:
            self._drain()

    def _drain(self) -> None:
        self._draining = True
        try:
            while self._mailbox and not self.closed:
                handler, item = self._mailbox.popleft()
                self._run(handler, item)
        finally:
            self._draining = False

    def save(self) -> None:
        """Record what the strategy wants to remember."""
        if not self._saves:
            return
        try:
            kept = msgspec.msgpack.encode(self.strategy.save())
        except Exception as error:  # what cannot be saved cannot be restored: say so now
            self._fault(error)
            return
        if kept != self._recorder.state.saved.get(self.name):
            self._recorder.record(StrategySaved, strategy=self.name, state=kept)

    # --- coroutines -----------------------------------------------------------------------------------------

    def _step(self, value: Any, error: BaseException | None = None) -> None:
        coroutine = self._coroutine
        assert coroutine is not None
        self._waiting = None
        try:
            request = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration:
            self._coroutine = None
        except Exception as fault:  # as in _run
            self._coroutine = None
            self._fault(fault)
        else:
            if isinstance(request, Request) and not self.halted:
                self._wait_for(request)
                return
            where = place(lines_in(self._coroutine), self.strategy)
            self._abandon()
            self.halt(f"{_NO_LOOP} ({where})")
        self._finish()

    def _wait_for(self, request: Request) -> None:
        self._waiting = request
        if self.emitted:  # what was decided before the wait must not be decided again
            self.emitted = False
            self.save()
        if isinstance(request, Sleep):
            self._later(request.duration_ns, request, None)
        elif isinstance(request, Wait):
            request.since_ns = self._recorder.now
            if request.order.closed:
                self._later(0, request, request.order)
            else:
                due = self._recorder.now + request.within_ns
                self._schedule(due, lambda: self._overdue(request), TIMER, 0)

    def _later(self, after_ns: int, request: Request, value: Any) -> None:
        due = self._recorder.now + after_ns
        self._schedule(due, lambda: self._resume(request, value), TIMER, 0)

    def _overdue(self, wait: Wait) -> None:
        """The time to wait is over: where nothing at all was heard of the order in it, its venue is asked first."""
        order = wait.order
        if self._waiting is not wait or self.halted:
            return
        if order.status not in AT_VENUE or order.updated_ns > wait.since_ns:
            self._resume(wait, order)
            return
        self._later(LOOK_UP_NS, wait, order)
        self.look_up(order, lambda: self._resume(wait, order))

    def _resume(self, request: Request, value: Any, error: BaseException | None = None) -> None:
        if self._waiting is request and not self.halted:
            self._step(value, error)

    def order_changed(self, order: Order) -> None:
        """An order of this strategy changed: a handler may be waiting for its end."""
        waiting = self._waiting
        if isinstance(waiting, Wait) and waiting.order is order and order.closed:
            self._resume(waiting, order)

    def sleep(self, duration_ns: int) -> Sleep:
        """What a handler awaits to let time pass."""
        return Sleep(duration_ns)

    def wait(self, order: Order, within_ns: int) -> Wait:
        """What a handler awaits to see an order end."""
        return Wait(order, within_ns)

    # --- ask ------------------------------------------------------------------------------------------------

    def ask(self, function: Handler, args: tuple[Any, ...], then: Handler | None) -> Ask:
        """Have a function run outside; its answer comes back as an input."""
        number = self._recorder.state.asks + 1
        name = getattr(function, "__qualname__", repr(function))
        self._recorder.record(Asked, strategy=self.name, ask=number, function=name)
        ask = Ask(number, awaited=then is not None)
        self._busy = True
        if then is None:
            self._asked.append(ask)
        else:
            self._then[number] = then
        self.ask_outside(self, number, function, args)
        return ask

    def answered(self, number: int, value: Any, error: str) -> None:
        """An answer came back."""
        then = self._then.pop(number, None)
        if then is not None:
            outcome = RuntimeError(error) if error else value
            self.deliver(lambda: then(outcome), None)  # an answer may well be None
        elif isinstance(self._waiting, Ask) and self._waiting.number == number:
            self._resume(self._waiting, value, RuntimeError(error) if error else None)

    # --- faults ---------------------------------------------------------------------------------------------

    def _fault(self, error: BaseException) -> None:
        count = self._recorder.state.faults.get(self.name, 0) + 1
        where = place(lines_of(error), self.strategy)
        if (
            isinstance(error, RuntimeError) and str(error) == "no running event loop"
        ):  # as asyncio says in a backtest
            self.halt(f"{_NO_LOOP} ({where})")
            return
        reason = f"{said(error)}{_forgotten(error)} ({where})"
        allowed = getattr(self.strategy, "errors", "halt")
        if isinstance(allowed, int) and count < allowed:
            self._recorder.record(StrategyFaulted, strategy=self.name, reason=reason, count=count)
        else:
            self.halt(reason)

    def halt(self, reason: str) -> None:
        """It gets no more events; the others go on, its held orders and exits stay. A handler that waits is over."""
        if not self.halted:
            self._recorder.record(StrategyHalted, strategy=self.name, reason=reason)
        self.closed = self._busy = True
        self._mailbox.clear()
        self._asked.clear()
        if self._waiting is not None:
            self._abandon()

    def _abandon(self) -> None:
        """End a handler where it waits."""
        coroutine, self._coroutine, self._waiting = self._coroutine, None, None
        if coroutine is not None:
            try:
                coroutine.close()
            except (
                Exception
            ) as error:  # it is halted for another reason, and this one is not worth more than a note
                text = f"{self.name} raised when its handler was ended: {said(error)}"
                self._recorder.record(Noted, source=self.name, text=text)


def _forgotten(error: BaseException) -> str:
    """The remedy where an answer was used that had not been awaited."""
    for kind in (Ask, Wait, Sleep):
        if isinstance(error, TypeError | AttributeError) and f"'{kind.__name__}'" in str(error):
            return f": await it, `await self.{kind.__name__.lower()}(...)`"
    return ""


def _nobody_knows(_: Order, told: Callable[[], None]) -> None:
    told()


def _nobody_answers(runner: Runner, *_: Any) -> None:
    runner.halt("self.ask(...) has nobody to run it here")
