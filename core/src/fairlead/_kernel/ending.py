"""The end of a run, step by step: nothing new is opened, strategies stop, policies act, what is on its way settles.

Each strategy's `on_exit` says what becomes of what it leaves: "leave" lets orders and positions be, "cancel" takes
back what could still open something, "flatten" closes its positions as well. The last two are sweeps: they stand in
the journal, and a run that ends before they have goes on with them at its next start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead._kernel.clock import TIMER
from fairlead._kernel.runner import Runner
from fairlead._kernel.sweeps import EXIT, in_words
from fairlead._models.orders import STOPS, OrderIntent, OrderStatus
from fairlead.facts import EngineStopping, Noted, StrategiesStopped

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

IN_FLIGHT = frozenset(
    {OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}
)
"""Orders that an answer is still on its way for."""


class Ending:
    """How a run ends. `why` says so from the first step on, "" before; `settled` is told when nothing is left to do.

    `idle` says that no strategy was ever started, so that none has to stop.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._state = kernel.state
        self._stopping: dict[str, Runner] = {}
        self._leaves = False
        self.why = ""
        self.until_ns = 0
        self.idle = False
        self.settled: Callable[[], None] = _nobody

    def begin(self, reason: str, within_ns: int, *, leaves: bool = False) -> None:
        """Take nothing new from now on, and have the strategies stop. What is in flight has until `within_ns` from now.

        A handler that waits is over; `on_stop` may wait for half of that time. `leaves` passes over every `on_exit`.
        """
        kernel, now = self._kernel, self._kernel.recorder.now
        fact = kernel.recorder.input(EngineStopping, reason=reason, until_ns=now + within_ns, leaves=leaves)
        self.why, self.until_ns, self._leaves = f"the engine is ending ({reason})", fact.until_ns, leaves
        kernel.feeds.hush()
        kernel.timers.rest()
        self._stopping = {} if self.idle else dict(kernel.runners)
        for runner in self._stopping.copy().values():
            runner.interrupt()
            runner.deliver(runner.strategy.on_stop, None)
            runner.deliver(self._follower(runner), None)
        kernel.schedule(now + within_ns // 2, self._interrupt, TIMER, 0)
        self.look()

    def refuses(self, intent: OrderIntent) -> bool:
        """Whether an order comes too late: only what reduces may still be placed, and what protects."""
        if not self.why or intent.reduce_only or intent.exits or intent.sweep:
            return False
        return not self._kernel.gate.reduces(intent)

    def look(self) -> None:
        """Something happened: a strategy that was halted stops no better than it has."""
        for runner in list(self._stopping.values()):
            if runner.halted:
                self._stopped(runner)

    def left(self) -> list[str]:
        """What is not settled yet, in words."""
        words = [f"strategy {name} has not ended its on_stop" for name in self._stopping]
        words += [in_words(order) for order in self._state.open.values() if order.status in IN_FLIGHT]
        for sweep in self._state.sweeps.values():
            if sweep.verb != "stop":
                standing = self._kernel.sweeps.left(sweep)
                words += standing or [f"the {sweep.verb} of {sweep.scope} was done for less than a second"]
        return list(dict.fromkeys(words))

    def finish(self) -> None:
        """Strategies have seen their last event: record what they want to remember, and what nobody guards now."""
        kernel = self._kernel
        kernel.recorder.input(StrategiesStopped)
        for runner in () if self.idle else kernel.runners.values():
            runner.save()
        kernel.unfinished.keep()
        if not self._leaves:
            self._say_unguarded()

    def _follower(self, runner: Runner) -> Callable[[], None]:
        """What comes after `on_stop` in a mailbox, and so when that has ended."""
        return lambda: self._stopped(runner)

    def _stopped(self, runner: Runner) -> None:
        """A strategy has stopped: what it leaves is for its policy."""
        if self._stopping.pop(runner.name, None) is None:
            return
        policy = runner.strategy.on_exit
        if policy != "leave" and not self._leaves and self._has_something(runner.name):
            scope, closes = f"strategy:{runner.name}", policy == "flatten"
            self._kernel.sweeps.begin(EXIT, scope, "on_exit", self.why, closes=closes)
        self.tell()

    def _has_something(self, strategy: str) -> bool:
        state = self._state
        held = (key.strategy == strategy and bool(p.quantity) for key, p in state.positions.items())
        return any(held) or any(order.strategy == strategy for order in state.open.values())

    def tell(self) -> None:
        """Say so where nothing is left to do."""
        if not self.left():
            self.settled()

    def _interrupt(self) -> None:
        """An on_stop that still waits has waited long enough."""
        for runner in list(self._stopping.values()):
            text = f"{runner.name} still waits in a handler, which is ended: half of the time to stop is over"
            self._kernel.recorder.record(Noted, source="stop", text=text)
            runner.interrupt()
            self._stopped(runner)

    def _say_unguarded(self) -> None:
        for order in self._state.open.values():
            protects = order.intent.exits or (order.intent.reduce_only and order.type in STOPS)
            if order.status is OrderStatus.HELD and protects:
                text = (
                    f"{order.client_order_id} ({order.type} {order.side} {order.quantity.normalize():f} "
                    f"{order.instrument} of {order.strategy}) is held by the engine: it protects nothing until the "
                    f"next start"
                )
                self._kernel.recorder.record(Noted, source="unprotected", text=text)


def _nobody() -> None:
    pass
