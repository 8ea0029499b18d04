"""Dead-man switches: venues that cancel every order unless they hear of the engine in time.

They are told again when a third of their time is over, in a turn of the kernel: one that hangs tells nobody, which is
what the switch is for, and no strategy has a part in it. A switch that is not armed though it should be, lets only
reductions pass. One that fired is said aloud, and its account may only reduce until a person has looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fairlead import facts as f
from fairlead._kernel.clock import TIMER
from fairlead._models import reports as r
from fairlead._models.orders import AT_VENUE, Order
from fairlead._models.venue import ArmDeadMan
from fairlead.units import SECOND

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

CAUSE = "its venue's dead-man switch canceled it"
"""Why an order ended that the switch has canceled."""

_PARTS = 3
_ECHO_NS = 600 * SECOND
"""So long what ends of itself, and was there before, counts as canceled by the switch."""


class DeadMen:
    """The switches of an engine's accounts. `timeouts` says which are used, and after what time in ns they fire."""

    def __init__(self, kernel: Kernel, timeouts: Mapping[str, int]) -> None:
        self._kernel = kernel
        self._recorder = kernel.recorder
        self._state = kernel.state
        self.timeouts = dict(timeouts)
        self._asked: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._called_off = False
        self.told: Callable[[], None] = _nobody

    # --- telling the venue ----------------------------------------------------------------------------------

    def recover(self) -> None:
        """Before anything is found out at a start: what fired meanwhile explains what is missing."""
        for name, account in self._state.accounts.items():
            if 0 < account.dead_man_ns <= self._recorder.now:
                self._missed(name)

    def start(self) -> None:
        """Arm what is configured, and call off what an engine before this one left armed and is not any more."""
        for name, account in self._state.accounts.items():
            if name in self.timeouts:
                self._beat(name)
            elif account.dead_man_ns and name in self._kernel.profiles:
                self._send(name, 0)

    def reconnected(self, name: str) -> None:
        """The private stream is there again: a switch that was not told meanwhile has fired, and is armed again."""
        if 0 < self._state.accounts[name].dead_man_ns <= self._recorder.now:
            self._missed(name)
        if name in self._asked:
            self._send(name, self.timeouts[name])

    def widen(self) -> None:
        """One more instrument is traded: venues that have a switch for each arm that one too."""
        for name in self._asked:
            if name in self.timeouts and not self._called_off:
                self._send(name, self.timeouts[name])

    def call_off(self) -> list[str]:
        """Disarm every switch, because orders are to stay where nobody looks after them; gives the accounts."""
        self._called_off = True
        armed = [name for name, account in self._state.accounts.items() if account.dead_man_ns]
        for name in armed:
            self._send(name, 0)
        return armed

    @property
    def armed(self) -> list[str]:
        """The accounts whose venue would cancel everything at some time."""
        return [name for name, account in self._state.accounts.items() if account.dead_man_ns]

    def _beat(self, name: str) -> None:
        if self._called_off or self._kernel.fatal:
            return
        timeout = self.timeouts[name]
        self._send(name, timeout)
        self._kernel.schedule(self._recorder.now + timeout // _PARTS, lambda: self._beat(name), TIMER, 0)

    def _send(self, name: str, timeout_ns: int) -> None:
        kernel, now = self._kernel, self._recorder.now
        self._asked.setdefault(name, now)
        traded = tuple(sorted(lane for lane in kernel.market.lanes if lane in kernel.state.instruments))
        deadline = now + min(
            kernel.profiles[name].patience_ns, timeout_ns or kernel.profiles[name].patience_ns
        )
        kernel.outbox.senders[name](ArmDeadMan(timeout_ns, traded, deadline))

    # --- what the venue says --------------------------------------------------------------------------------

    def is_set(self, name: str, report: r.DeadManSet) -> None:
        """The switch is armed until then, or called off; or it could not be, which changes nothing."""
        account = self._state.accounts[name]
        if not report.until_ns and report.reason:
            if self._refused.get(name) != report.reason:
                self._refused[name] = report.reason
                self._say(f"the dead-man switch of account {name} could not be set: {report.reason}")
            return
        self._refused.pop(name, None)
        if report.until_ns != account.dead_man_ns:
            self._recorder.record(f.DeadManChanged, account=name, until_ns=report.until_ns)
        self.told()

    def has_fired(self, name: str, report: r.DeadManFired) -> None:
        """The venue cancels every order."""
        self._trip(name, report.reason or "it was not told in time")

    def _missed(self, name: str) -> None:
        """Its time is over and it was not told: where there was something to cancel, that is canceled."""
        there = any(o.account == name and o.status in AT_VENUE for o in self._state.open.values())
        if there:
            self._trip(name, "it was not told in time")
        else:
            self._recorder.record(f.DeadManChanged, account=name, until_ns=0)

    def _trip(self, name: str, reason: str) -> None:
        self._recorder.record(f.DeadManTripped, account=name, reason=reason)
        self._kernel.reports.fills.lower(
            name,
            f"the dead-man switch of account {name} fired ({reason}): its venue cancels every order there, stops that "
            f"protect positions among them; look at what is held, then resume account:{name}",
        )
        if name in self._asked and not self._called_off:
            self._send(name, self.timeouts.get(name, 0))

    def explains(self, order: Order) -> bool:
        """Whether the switch has canceled an order that nobody here had asked to end."""
        account, now = self._state.accounts[order.account], self._recorder.now
        if 0 < account.dead_man_ns <= now:
            self._trip(order.account, "it was not told in time")
        fired = account.dead_man_fired_ns
        return 0 < order.sent_ns <= fired and now < fired + _ECHO_NS

    # --- what follows ---------------------------------------------------------------------------------------

    def lapse(self, name: str) -> str:
        """Why an account must not take new risk: its switch should be armed and is not. "" where all is well."""
        asked = self._asked.get(name)
        if asked is None or name not in self.timeouts:
            return ""
        until, now = self._state.accounts[name].dead_man_ns, self._recorder.now
        if until > now:
            return ""
        if not until and name not in self._refused and now <= asked + self._kernel.profiles[name].answer_ns:
            return ""  # its first answer is on the way
        why = self._refused.get(name) or "its venue does not confirm it"
        return f"the dead-man switch of account {name} is not armed: {why}"

    def _say(self, text: str) -> None:
        self._recorder.record(f.Noted, source="dead-man switch", text=text)


def _nobody() -> None:
    """Nobody waits for an answer."""
