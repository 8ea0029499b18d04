"""The way between an adapter and a venue under test, where faults happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from fairlead_conformance.venue import Fault

Damage = Callable[[bytes], bytes]


@attrs.define
class Link:
    """Carries messages, one at a time, and does to each what a fault asks for.

    The author says which messages up are commands (`is_command`), which messages down are about an order
    (`is_report`), what a refusal for too many commands looks like (`refusal`), and how a report is damaged (`damage`,
    by fault). A venue hands each message to `up` or `down`, and passes on what comes back: nothing, one or two.
    """

    is_command: Callable[[bytes], bool]
    is_report: Callable[[bytes], bool]
    refusal: Callable[[bytes], bytes] | None = None
    damage: Mapping[Fault, Damage] = attrs.Factory(dict)
    stalled: bool = False
    _up: list[Fault] = attrs.Factory(list)
    _down: list[Fault] = attrs.Factory(list)
    _twice: int = 0
    _held: bytes | None = None
    answering: bool = False

    @property
    def faults(self) -> frozenset[Fault]:
        """What it can do, besides breaking the connection and setting a clock, which are not its own."""
        can = {Fault.LOSE, Fault.LOSE_ANSWER, Fault.DUPLICATE, Fault.REORDER, Fault.STALL, *self.damage}
        return frozenset(can | ({Fault.BAN} if self.refusal is not None else set()))

    def fault(self, fault: Fault) -> None:
        """Let it happen to what comes next."""
        if fault is Fault.STALL:
            self.stalled = True
        elif fault in (Fault.LOSE, Fault.LOSE_ANSWER, Fault.BAN):
            self._up.append(fault)
        else:
            self._down.append(fault)

    def renew(self) -> None:
        """A new connection: what the old one held is gone."""
        self.stalled, self._held, self._twice, self.answering = False, None, 0, False

    def up(self, message: bytes) -> tuple[list[bytes], list[bytes]]:
        """A message of the adapter: what reaches the venue, and what comes straight back."""
        if self.stalled:
            return [], []
        if not self.is_command(message):
            return [message], []
        fault = self._up.pop(0) if self._up else None
        self.answering = fault is Fault.LOSE_ANSWER
        if fault is Fault.LOSE:
            return [], []
        if fault is Fault.BAN and self.refusal is not None:
            return [], [self.refusal(message)]
        return [message], []

    def down(self, message: bytes) -> list[bytes]:
        """A message of the venue: what reaches the adapter, in this order."""
        if self.stalled:
            return []
        if not self.is_report(message):
            return [message]
        if self.answering:
            self.answering = False
            return []
        if self._twice:
            self._twice -= 1
            return [message, message]
        if self._held is not None:
            held, self._held = self._held, None
            return [message, held]
        fault = self._down.pop(0) if self._down else None
        if fault is Fault.DUPLICATE:
            self._twice = 1
            return [message, message]
        if fault is Fault.REORDER:
            self._held = message
            return []
        if fault is not None:
            return [self.damage[fault](message)]
        return [message]
