"""One feed of candles that is asked for again and again: each closed candle once, in order, none left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from fairlead import FairleadError
from fairlead.ports import Clock, Handle
from fairlead_streams.candles import Candle
from fairlead_streams.text import plural, when

log = logging.getLogger("fairlead.streams")

ASKS = 4
"""How often a candle is asked for that is not there while a later one is: then it is taken for one that never was."""

Ask = Callable[[int, int], Awaitable[Sequence[Candle]]]
"""Candles that open in [start, end), ns."""


class Poll:
    """Asks `delay_ns` after each close of an interval, and soon again for what is not there yet.

    `next_ns` is the beginning of the next candle that is wanted. Candles go to `take`, an error to `fail`, which
    ends the poll unless it says to go on.
    """

    def __init__(
        self,
        name: str,
        size: int,
        delay_ns: int,
        next_ns: int,
        ask: Ask,
        take: Callable[[Candle], None],
        fail: Callable[[FairleadError], bool],
    ) -> None:
        self.next_ns = next_ns
        self._name = name
        self._size = size
        self._delay = delay_ns
        self._ask = ask
        self._take = take
        self._fail = fail
        self._tries = 0
        self._handle: Handle | None = None
        self._task: asyncio.Task[None] | None = None
        self._clock: Clock | None = None

    def start(self, clock: Clock) -> None:
        """Ask from now on, first for what has closed since."""
        self.stop()
        self._clock = clock
        self._tries = 0
        self._arrange(clock)

    def stop(self) -> None:
        """Ask no more; harmless to repeat."""
        if self._handle is not None:
            self._handle.cancel()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._handle = self._task = self._clock = None

    async def catch_up(self, clock: Clock) -> None:
        """Ask once, now, whether or not anything is there. Raises what the function does."""
        await self._ask(self.next_ns, max(clock.now(), self.next_ns + self._size))

    def _arrange(self, clock: Clock) -> None:
        due = self.next_ns + self._size + self._delay
        if self._tries:
            due = max(due, clock.now() + min(self._delay << (self._tries - 1), self._size))
        self._handle = clock.call_at(max(due, clock.now()), lambda: self._begin(clock))

    def _begin(self, clock: Clock) -> None:
        if self._clock is clock:
            self._task = asyncio.get_running_loop().create_task(self._poll(clock))

    async def _poll(self, clock: Clock) -> None:
        try:
            candles = await self._ask(self.next_ns, clock.now() // self._size * self._size)
        except FairleadError as error:
            if self._clock is not clock:
                return
            self._tries += 1
            if not self._fail(error):
                return
        else:
            if self._clock is not clock:
                return
            self._hand_over(candles)
        if self._clock is clock:
            self._arrange(clock)

    def _hand_over(self, candles: Sequence[Candle]) -> None:
        begun = self.next_ns
        for candle in candles:
            if candle.open_ns > self.next_ns and not self._gives_up(candle):
                break
            self.next_ns = candle.open_ns + self._size
            self._take(candle)
        self._tries = 0 if self.next_ns > begun else self._tries + 1

    def _gives_up(self, candle: Candle) -> bool:
        """Whether the candles before this one have been asked for often enough."""
        if self._tries + 1 < ASKS:
            return False
        missing = (candle.open_ns - self.next_ns) // self._size
        are = "is" if missing == 1 else "are"
        log.warning(
            "%s: %s from %s to %s %s missing, asked for %d times: the feed goes on without",
            self._name, plural(missing, "candle"), when(self.next_ns), when(candle.open_ns), are, ASKS,
        )  # fmt: skip
        return True
