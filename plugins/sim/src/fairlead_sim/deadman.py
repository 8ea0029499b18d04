"""The venue's dead-man switch: it cancels everything when it has not been told otherwise in time."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.ports import Clock, DeadManFired, DeadManSet, Handle, Report


class DeadMan:
    """One switch for the account; it ends with the venue's process."""

    def __init__(self, report: Callable[[Report], None], cancel_all: Callable[[], None]) -> None:
        self._report = report
        self._cancel_all = cancel_all
        self._handle: Handle | None = None

    def arm(self, clock: Clock, timeout_ns: int) -> None:
        """Fire so long from now unless it is armed again; 0 disarms it."""
        if self._handle is not None:
            self._handle.cancel()
        until = clock.now() + timeout_ns if timeout_ns else 0
        self._handle = clock.call_at(until, self._fire) if until else None
        self._report(DeadManSet(until_ns=until))

    def _fire(self) -> None:
        self._handle = None
        self._report(DeadManFired(reason="it was not told in time"))
        self._cancel_all()
