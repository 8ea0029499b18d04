"""An engine with one of its safeguards taken out, so that it shows whether the judge would have noticed."""

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead._engine import inquiries
from fairlead._kernel.fills import Fills
from fairlead._models.reports import Backfilled
from fairlead._storage.journal import Journal


def _without_write_ahead() -> None:
    """Records are written later, as by a buffer, and their commands leave at once."""
    append = Journal.append
    late: list[Any] = []

    def append_late(self: Journal, facts: Any, **words: Any) -> None:
        late.append(facts)
        if len(late) > 20:
            append(self, late.pop(0), **words)

    Journal.append = append_late  # type: ignore[method-assign]


def _without_backfill() -> None:
    """The list of fills is not read."""
    inquire = inquiries.inquire

    async def forget(*words: Any) -> Any:
        answer = await inquire(*words)
        return msgspec.structs.replace(answer, fills=()) if isinstance(answer, Backfilled) else answer

    inquiries.inquire = forget


def _without_dedupe() -> None:
    """A fill is booked as often as it is told, and what the venue has counted does not matter."""
    Fills.known = lambda self, report: False  # type: ignore[method-assign]
    Fills.tell = lambda self, order, total: None  # type: ignore[method-assign]


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "write-ahead": _without_write_ahead,
    "backfill": _without_backfill,
    "dedupe": _without_dedupe,
}


def leave_out(name: str) -> None:
    """Take a safeguard out of this process."""
    SAFEGUARDS[name]()
