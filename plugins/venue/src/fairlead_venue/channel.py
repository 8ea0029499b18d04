"""A stream to a client, whatever carries it: events go out in order, and faults strike them on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fairlead_venue.clock import VenueClock
from fairlead_venue.faults import Fault, FaultKind, Faults

EVENT_FAULTS = frozenset(
    {
        FaultKind.LOSE, FaultKind.DELAY, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.GARBAGE,
        FaultKind.UNKNOWN_FIELD, FaultKind.UNKNOWN_ENUM, FaultKind.DROP, FaultKind.CLOSE, FaultKind.SHUTDOWN,
        FaultKind.STALL, FaultKind.HALF_OPEN, FaultKind.EXPIRE, FaultKind.TEAR, FaultKind.NOTICE,
    }
)  # fmt: skip
"""The kinds that can strike at an event."""

_SPOILED = frozenset({FaultKind.GARBAGE, FaultKind.UNKNOWN_FIELD, FaultKind.UNKNOWN_ENUM})


class Channel:
    """A connection of a client. What carries it gives it `send`, `close`, `drop` and `spoil`.

    `labels` name it: its path, then what the front adds (`user`, `market`, `api`). `topics` and `state` belong to the
    front.
    """

    def __init__(
        self,
        number: int,
        path: str,
        *,
        faults: Faults,
        clock: VenueClock,
        struck: Callable[[Channel, Fault], None],
    ) -> None:
        self.number = number
        self.path = path
        self.labels: list[str] = [path]
        self.topics: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.silent = False
        self.stalled = False
        self.open = True
        self.clock = clock
        self._faults = faults
        self._struck = struck
        self._held: list[Any] | None = None
        self._swap: Any = None

    # --- what carries it ----------------------------------------------------------------------------------------

    def send(self, frame: Any) -> None:
        """Send a frame as it is, after those before it; never blocks. Nothing where it is silent or closed."""
        raise NotImplementedError

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in good order, after what waits."""
        raise NotImplementedError

    def drop(self) -> None:
        """Cut it without a word."""
        raise NotImplementedError

    def tear(self) -> None:
        """Cut it in the middle of the next frame; between two where a frame cannot be torn."""
        self.drop()

    def spoil(self, frame: Any, kind: FaultKind) -> Any:
        """A frame as garbage, or with a field or a word that nobody documented."""
        raise NotImplementedError

    def together(self) -> None:
        """What is sent until control returns to the loop leaves in one TCP segment, where that can be had."""

    # --- events -------------------------------------------------------------------------------------------------

    def event(self, frame: Any, labels: Sequence[str] = ()) -> None:
        """Send an event, or what the faults that strike it make of it."""
        if self.stalled:
            return
        copies = 1
        for fault in self._faults.strike([*labels, *self.labels], EVENT_FAULTS):
            match fault.kind:
                case FaultKind.LOSE:
                    copies = 0
                case FaultKind.DUPLICATE:
                    copies = 2
                case FaultKind.DELAY:
                    copies = 0
                    self.clock.call_in(fault.lasts_ns, partial(self._event, frame))
                case FaultKind.REORDER:
                    copies = 0
                    self._swap = frame
                case kind if kind in _SPOILED:
                    frame = self.spoil(frame, kind)
                case _:
                    self._struck(self, fault)
        for _ in range(copies):
            self._event(frame)

    def _event(self, frame: Any) -> None:
        if self._held is not None:
            self._held.append(frame)
            return
        self.send(frame)
        if self._swap is not None:
            swapped, self._swap = self._swap, None
            self.send(swapped)

    def hold(self) -> None:
        """Keep events until `release`."""
        if self._held is None:
            self._held = []

    def release(self, *, together: bool = False) -> None:
        """Send what was kept; `together` puts it into one TCP segment."""
        held, self._held = self._held or [], None
        if together and held:
            self.together()
        for frame in held:
            self._event(frame)

    def stall(self, lasts_ns: int, *, silent: bool) -> None:
        """No events from now on; `silent`: no pongs and answers either. 0 is for ever."""
        self.stalled = True
        self.silent = self.silent or silent
        if lasts_ns:
            self.clock.call_in(lasts_ns, self._recover)

    def _recover(self) -> None:
        self.stalled = self.silent = False
