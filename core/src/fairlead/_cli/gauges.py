"""How far a run's breakers are, as its engine says: asked now and then, and never waited for."""

from __future__ import annotations

from pathlib import Path

from fairlead._cli.engines import WHO, pick
from fairlead._cli.faults import CommandFailed
from fairlead._control.client import Client
from fairlead._control.protocol import ControlError

LOOKS = 4
"""It is asked at every so many looks, and after it gave no answer at ten times as many."""

ANSWER_SECONDS = 0.2

Limits = dict[str, tuple[float | None, str]]
"""By breaker: the part of its limit that is used (None where that cannot be told), and the limit in words."""


class Gauges:
    """Remembers the last answer: an engine that is busy or gone leaves what was known."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._client: Client | None = None
        self._wait = 0
        self.limits: Limits = {}

    def poll(self) -> Limits:
        """What is known now."""
        self._wait -= 1
        if self._wait < 0:
            self._wait = LOOKS if self._ask() else 10 * LOOKS
        return self.limits

    def _ask(self) -> bool:
        try:
            if self._client is None:
                self._client = Client(pick(str(self._run)), who=WHO, timeout=ANSWER_SECONDS)
            rows = self._client.look("breakers")
        except (CommandFailed, ControlError):
            self.close()
            return False
        self.limits = {
            row["breaker"]: (None if row["used"] is None else float(row["used"]), row["limit"])
            for row in rows
        }
        return True

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None
