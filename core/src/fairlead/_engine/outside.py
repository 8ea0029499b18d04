"""A kill from outside, as the engine sees it: it shows its pulse, sends nothing past the fence, and takes the kill up.

The fence stands before the first order is canceled from outside, and falls when the kill is in the journal: so an
engine that slept through all of it sends nothing when it wakes, and is KILLED from its next breath on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from fairlead._engine.assembly import Learned
from fairlead._engine.door import Door
from fairlead._kernel.kernel import Kernel
from fairlead._models.accounts import KILL, TradingState
from fairlead._storage.home import AccountHome
from fairlead._storage.outside import OutsideKill, archive_kill, latch_reason, read_kill
from fairlead._storage.pulse import FENCE, Pulse
from fairlead.errors import ConfigurationError
from fairlead.facts import BreakerTripped, KilledOutside
from fairlead.ports import Command, NotSent, Replace, ReplaceRejected, Report, Submit

log = logging.getLogger("fairlead.engine")

BEAT_SECONDS = 0.25
"""How often the engine's loop shows that it goes round."""

_WHY = "the account was killed from outside"


def told(account: str, kill: OutsideKill) -> list[Learned]:
    """What there is to write down of a kill from outside: what was done, and the latch."""
    return [
        (
            KilledOutside,
            {
                "account": account,
                "who": kill.who,
                "why": kill.why,
                "at_ns": kill.at_ns,
                "canceled": kill.canceled,
                "closed": kill.closed,
                "left": kill.left,
                "done": kill.done,
            },
        ),
        (
            BreakerTripped,
            {
                "breaker": KILL,
                "reason": latch_reason(kill),
                "state": TradingState.KILLED,
                "scope": f"account:{account}",
            },
        ),
    ]


def learn_kills(homes: Mapping[str, AccountHome]) -> list[Learned]:
    """What was done from outside while no engine ran, or while one hung. Raises ConfigurationError."""
    found: list[Learned] = []
    for account, home in homes.items():
        kill = read_kill(home.folder)
        if kill is not None:
            found += told(account, kill)
    return found


class Outside:
    """A context manager around a run: the pulse beats in it, and rests after an end in good order."""

    def __init__(
        self, kernel: Kernel, homes: Mapping[str, AccountHome], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._kernel = kernel
        self._folders = {name: home.folder for name, home in homes.items()}
        self._pulses = {name: Pulse(folder) for name, folder in self._folders.items()}
        self._loop = loop
        self._door: Door | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._begun: dict[str, int] = {}
        self.in_good_order = False

    def __enter__(self) -> Self:
        self._beat()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        for pulse in self._pulses.values():
            if self.in_good_order:
                pulse.rest()
            pulse.close()

    def _beat(self) -> None:
        for pulse in self._pulses.values():
            pulse.beat()
        self._handle = self._loop.call_later(BEAT_SECONDS, self._beat)
        self._look()

    def guard(
        self, account: str, send: Callable[[Command], None], report: Callable[[Report], None]
    ) -> Callable[[Command], None]:
        """What sends orders only while there is no fence. Cancels pass it."""
        page = self._pulses[account].page

        def sent(command: Command) -> None:
            if not page[FENCE]:
                send(command)
            elif isinstance(command, Submit):
                report(NotSent(client_order_id=command.client_order_id, reason=_WHY))
            elif isinstance(command, Replace):
                name, attempt = command.client_order_id, command.attempt
                report(ReplaceRejected(client_order_id=name, attempt=attempt, code="not_sent", reason=_WHY))
            else:
                send(command)

        return sent

    def started(self, door: Door) -> None:
        """The journal has what was learned at the start: from now on look for what is done meanwhile."""
        self._door = door
        for account, folder in self._folders.items():
            kill = read_kill(folder)
            if kill is not None:
                if (KILL, f"account:{account}") not in self._kernel.state.tripped:  # it came during the start
                    self._take_up(account, kill, latch=True)
                self._begin(account, kill)
            elif self._pulses[account].fenced:
                self._pulses[account].lift()

    def _look(self) -> None:
        if self._door is None or self._door.closed:
            return
        for account, pulse in self._pulses.items():
            if not pulse.fenced and account not in self._begun:
                continue
            try:
                kill = read_kill(self._folders[account])
            except ConfigurationError as error:  # the fence stands until somebody has looked
                log.error("%s", error)
                continue
            if kill is None:
                continue
            if self._begun.get(account) != kill.at_ns:
                self._take_up(account, kill, latch=True)
                self._begin(account, kill)
            elif not kill.goes_on:
                self._take_up(account, kill, latch=False)
                self._finish(account, kill)

    def _begin(self, account: str, kill: OutsideKill) -> None:
        """It is in the journal: nothing passes the gate now, so the fence may fall."""
        self._begun[account] = kill.at_ns
        self._sweep(account, kill)
        if not self._writes:
            return
        self._pulses[account].lift()
        if not kill.goes_on:
            self._finish(account, kill)

    def _finish(self, account: str, kill: OutsideKill) -> None:
        if self._writes:
            self._begun.pop(account, None)
            archive_kill(self._folders[account], kill)

    @property
    def _writes(self) -> bool:
        """Whether the journal has taken all up to now: else the word stays for the next start, behind its fence."""
        return not self._kernel.fatal and self._door is not None and not self._door.closed

    def _take_up(self, account: str, kill: OutsideKill, *, latch: bool) -> None:
        """Write down what was done; the latch is closed once, so that a person can open it."""
        facts = told(account, kill)[: 2 if latch else 1]
        recorder = self._kernel.recorder

        def record() -> None:
            (first, fields), *others = facts
            recorder.input(first, **fields)
            for kind, rest in others:
                recorder.record(kind, **rest)

        self._put(record)
        log.critical("account %s was killed from outside: %s (%s)", account, kill.why, kill.who)

    def _sweep(self, account: str, kill: OutsideKill) -> None:
        """See that what our books have is withdrawn too, whatever was missed from outside."""
        scope = f"account:{account}"
        sweeps = self._kernel.state.sweeps.values()
        if (KILL, scope) in self._kernel.state.tripped and not any(
            sweep.verb == KILL and sweep.scope == scope for sweep in sweeps
        ):
            self._put(lambda: self._kernel.sweeps.begin(KILL, scope, kill.who, kill.why))

    def _put(self, act: Callable[[], Any]) -> None:
        assert self._door is not None
        self._door.note(self._kernel.turn, act)
