"""Strategies' timers: named, durable, on the grid of UTC time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.runner import Runner
from fairlead.facts import Noted, TimerCanceled, TimerFired, TimerSet
from fairlead.units import duration_text


class Timers:
    """Sets, fires and restores timers. One that came due while the engine was down fires once, as late."""

    def __init__(self, recorder: Recorder, schedule: Schedule) -> None:
        self._recorder = recorder
        self._state = recorder.state
        self._schedule = schedule
        self._handlers: dict[tuple[str, str], tuple[Runner, Callable[..., Any], Any]] = {}
        self._calls: dict[tuple[str, str], str] = {}
        self._resting = False

    def every(self, runner: Runner, interval: int, function: Callable[[], Any] | None, name: str) -> None:
        """Fire at each full interval of UTC time."""
        key = self._register(runner, function, name, duration_text(interval))
        standing = self._state.timers.get(key)
        if standing is None or standing.every_ns != interval:
            now = self._recorder.now
            self._set(key, now - now % interval + interval, interval)
        elif standing.function != self._calls[key]:
            self._set(key, standing.due_ns, interval)
        self._arm(key)

    def at(self, runner: Runner, when: int, function: Callable[[], Any] | None, name: str) -> None:
        """Fire once, over all restarts: said for the first time after one, it goes on with the time it had."""
        before = len(self._calls)
        key = self._register(runner, function, name, str(when))
        again = len(self._calls) == before
        if self._state.done.get(key) == when:
            return
        standing = self._state.timers.get(key)
        if standing is None or standing.every_ns or (again and standing.due_ns != when):
            self._set(key, when, 0)
        elif standing.function != self._calls[key]:
            self._set(key, standing.due_ns, 0)
        self._arm(key)

    def restore(self, runners: Mapping[str, Runner]) -> None:
        """Strategies have started again: go on with the timers that they set later than that, in a handler."""
        for key, timer in self._state.timers.items():
            runner = runners.get(timer.strategy)
            if runner is None or key in self._handlers:
                continue
            if not timer.function:
                self._handlers[key] = (runner, runner.strategy.on_timer, timer.name)
                self._calls[key] = ""
                self._arm(key)
            elif not runner.closed:  # one that waits or is halted may still set it again
                text = (
                    f"timer {timer.name} of {timer.strategy} calls {timer.function}, which on_start did not set "
                    f"again: it will not fire; set it there, or have it call on_timer"
                )
                self._recorder.record(Noted, source="timers", text=text)

    def rest(self) -> None:
        """Fire no more in this run: what comes due is overdue at the next start."""
        self._resting = True

    def cancel(self, strategy: str, name: str) -> None:
        """Fire no more: the timer of this name, or those that a function of this name has without one."""
        for owner, known in list(self._state.timers):
            if owner == strategy and (known == name or known.startswith(f"{name}:")):
                self._recorder.record(TimerCanceled, strategy=strategy, name=known)

    def _register(
        self, runner: Runner, function: Callable[[], Any] | None, name: str, when: str
    ) -> tuple[str, str]:
        if not name:
            name = f"{function.__name__}:{when}" if function is not None else when
        self._calls[runner.name, name] = "" if function is None else function.__name__
        if function is not None:
            self._handlers[runner.name, name] = (runner, function, None)
        else:
            self._handlers[runner.name, name] = (runner, runner.strategy.on_timer, name)
        return runner.name, name

    def _set(self, key: tuple[str, str], due: int, every: int) -> None:
        self._recorder.record(
            TimerSet, strategy=key[0], name=key[1], due_ns=due, every_ns=every, function=self._calls[key]
        )

    def _arm(self, key: tuple[str, str]) -> None:
        timer = self._state.timers[key]
        due = timer.due_ns
        late = due < self._recorder.now
        self._schedule(
            max(due, self._recorder.now), lambda: self._fire(key, due, late=late), TIMER, timer.every_ns
        )

    def _fire(self, key: tuple[str, str], due: int, *, late: bool) -> None:
        timer = self._state.timers.get(key)
        if self._resting or timer is None or timer.due_ns != due:
            return  # canceled or set anew since
        self._recorder.input(TimerFired, strategy=key[0], name=key[1], due_ns=due, late=late)
        runner, function, item = self._handlers[key]
        runner.deliver(function, item)
        if key in self._state.timers:
            self._arm(key)
