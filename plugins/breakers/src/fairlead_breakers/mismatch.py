"""No trading on books that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fairlead import ConfigurationError
from fairlead.facts import DiscrepancyFound, DiscrepancyGone
from fairlead.ports import Severity, Trip, View
from fairlead_breakers._latch import LOOK_NS, Act, Latch
from fairlead_breakers._shared import next_full

_RANK = {str(severity): rank for rank, severity in enumerate(Severity)}


class Mismatch(Latch):
    """Halts an account whose books and venue differ by at least `severity`, whatever a reconciler then does.

    Scope: account. Evaluation: at each discrepancy found (seen twice, with nothing in flight that explains it).
    Action: halt. Reset: by a person; `reset="clean"` when all such discrepancies of the account are gone. Nothing is
    unknown; discrepancies and trip survive a restart. Halting on a mismatch is what rules for automated trading want by
    default.
    """

    wants = (DiscrepancyFound, DiscrepancyGone)

    def __init__(
        self,
        severity: Literal["minor", "moderate", "critical"] = "moderate",
        *,
        action: Act = "halt",
        reset: Literal["manual", "clean"] = "manual",
        name: str = "Mismatch",
    ) -> None:
        super().__init__(name, action, "manual")
        if severity not in _RANK:
            raise ConfigurationError(
                f"{name}: severity: {severity!r} is none: write one of {', '.join(_RANK)}"
            )
        if reset not in ("manual", "clean"):
            raise ConfigurationError(f"{name}: reset: {reset!r} is no rule: write 'manual' or 'clean'")
        if reset == "clean":
            self.clean, self.due = self._agrees, lambda view: next_full(LOOK_NS, view)
        self._least = _RANK[severity]
        self._standing: dict[str, str] = {}

    def _seen(self, item: Any, view: View) -> Trip | None:
        if isinstance(item, DiscrepancyGone):
            self._standing.pop(item.discrepancy, None)
        if not isinstance(item, DiscrepancyFound):
            return None
        found = item.discrepancy
        if _RANK[str(found.severity)] < self._least:
            self._standing.pop(found.id, None)
            return None
        self._standing[found.id] = found.account
        return self._trip(str(found), f"account:{found.account}", view)

    def _agrees(self, scope: str, view: View) -> bool:
        return scope.removeprefix("account:") not in self._standing.values()

    def _memory(self) -> dict[str, Any]:
        return {"standing": self._standing}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._standing = dict(memory.get("standing", {}))
