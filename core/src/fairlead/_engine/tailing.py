"""Following a journal from outside the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fairlead._kernel.clock import NEVER
from fairlead._storage.journal import decode_facts
from fairlead._storage.reading import Tail
from fairlead._storage.segments import Kind
from fairlead.facts import AnyFact

LOOK_SECONDS = 0.02


async def tail_facts(journal: Path, since: int = 0, until: int = NEVER) -> AsyncIterator[AnyFact]:
    """Facts after `since` as they are written. Leaving the loop ends the tail and nothing else."""
    with Tail(journal, since, kind=Kind.JOURNAL) as tail:
        while True:
            for record in tail.poll():
                for fact in decode_facts(record):
                    if fact.seq > since:
                        yield fact
                        if fact.seq >= until:
                            return
            await asyncio.sleep(LOOK_SECONDS)
