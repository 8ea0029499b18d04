"""Asks venues what the kernel wants to know, outside of it, and brings the answers back as reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from fairlead._engine.door import Door
from fairlead._kernel.fills import Fills
from fairlead._models.reports import Backfilled, LookedUp, SnapshotTaken, Unanswered
from fairlead._models.venue import FillsSince, Inquiry, Lookup, Snapshot, TakeSnapshot
from fairlead.ports import BrokerAdapter, Clock

log = logging.getLogger("fairlead.engine")

ANSWER_SECONDS = 10.0
"""How long a venue may take to answer; after that it is asked again."""


REASON_LENGTH = 200
"""How much is kept of what an adapter says about a failure, in characters."""

Answer = LookedUp | Backfilled | SnapshotTaken | Unanswered


async def inquire(broker: BrokerAdapter, inquiry: Inquiry, clock: Clock, fills: Fills) -> Answer:
    """One answer of a venue. Raises what the adapter raises."""
    asked = clock.now()
    match inquiry:
        case Lookup(names):
            return LookedUp(asked_ns=asked, orders=dict(await broker.lookup(names)))
        case FillsSince(since):
            listed = await broker.fills(since)
            return Backfilled(
                asked_ns=asked, since_ns=since, fills=tuple(fill for fill in listed if not fills.known(fill))
            )
        case TakeSnapshot():
            return SnapshotTaken(asked_ns=asked, snapshot=await broker.snapshot())


def failed(inquiry: Inquiry, asked_ns: int, why: str) -> Unanswered:
    """What is reported of a question that no answer came to."""
    return Unanswered(
        asked_ns=asked_ns, snapshot=isinstance(inquiry, TakeSnapshot), reason=why[:REASON_LENGTH]
    )


class Inquiries:
    """Runs the questions of a live session; one that fails is logged, proves nothing and is asked again.

    That it failed is reported as well, since when to ask again is the kernel's to decide.
    """

    def __init__(
        self,
        brokers: Mapping[str, BrokerAdapter],
        door: Door,
        clock: Clock,
        fills: Fills,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._brokers = brokers
        self._door = door
        self._clock = clock
        self._fills = fills
        self._tasks = tasks
        self._failing: dict[str, str] = {}
        self._last: dict[str, Snapshot | None] = {}

    def ask(self, account: str, inquiry: Inquiry) -> None:
        """Begin to answer."""
        self._door.hold()
        task = asyncio.get_running_loop().create_task(self._ask(account, inquiry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, account: str, inquiry: Inquiry) -> None:
        emit: Callable[[Answer], None] = self._door.reporter(account)
        asked = self._clock.now()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await inquire(self._brokers[account], inquiry, self._clock, self._fills)
                emit(self._shortened(account, answer))
            self._failing.pop(account, None)
        except Exception as error:  # an adapter can fail in any way: no failure is evidence
            why = f"{type(error).__name__}: {error}"
            self._say(account, why)
            emit(failed(inquiry, asked, why))
        finally:
            self._door.release()

    def _shortened(self, account: str, answer: Answer) -> Answer:
        """A snapshot like the last one is not written down again."""
        if not isinstance(answer, SnapshotTaken):
            return answer
        before, self._last[account] = self._last.get(account), answer.snapshot
        return SnapshotTaken(asked_ns=answer.asked_ns) if before == answer.snapshot else answer

    def _say(self, account: str, why: str) -> None:
        if self._failing.get(account) != why:
            self._failing[account] = why
            log.warning("account %s could not be asked (%s): it is asked again", account, why)

    def why(self, account: str) -> str:
        """What went wrong the last time that an account could not be asked, "" if nothing did."""
        return self._failing.get(account, "")
