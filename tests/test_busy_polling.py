"""A loop that never sleeps: it runs what is due, and does not get slower with what it has run."""

import asyncio
import time

from fairlead._engine.pacing import Pacer
from fairlead._kernel.clock import Agenda


class Counted:
    """Real time that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> int:
        self.asked += 1
        return time.monotonic_ns()

    def reach(self, when_ns: int) -> None: ...

    def delay(self, when_ns: int) -> float:
        return (when_ns - time.monotonic_ns()) / 1e9


def test_one_look_a_turn_of_the_loop() -> None:
    """Entries that schedule the next one, from the agenda or from outside, leave one look in each turn."""

    async def run() -> None:
        counted = Counted()
        agenda, feeds = Agenda(counted), Agenda(counted)
        done: list[None] = []
        failed: list[Exception] = []

        def again() -> None:
            done.append(None)
            if len(done) < 20:
                agenda.call_at(counted.now() + 1, again)

        pacer = Pacer(agenda, feeds, asyncio.get_running_loop(), failed.append, busy=True)
        pacer.start()
        again()
        while len(done) < 20:
            await asyncio.sleep(0)
            feeds.call_at(time.monotonic_ns() + 10**12, lambda: None)
        before = counted.asked
        for _ in range(50):
            await asyncio.sleep(0)
        assert counted.asked - before <= 51
        pacer.stop()
        await asyncio.sleep(0)
        after = counted.asked
        await asyncio.sleep(0)
        assert counted.asked == after
        assert not failed

    asyncio.run(run())
