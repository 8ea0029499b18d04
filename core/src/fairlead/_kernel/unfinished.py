"""Bars in progress: kept once a minute and at the end, so that a restart goes on with them instead of beginning anew.

How far a bar has got is market state, and volatile; a BarState is the fact of it. What was seen after the last one
is on the tape: `carried_on` adds it, before strategies start again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fairlead._kernel.bars import Aggregator, Interval
from fairlead._kernel.clock import TIMER, Schedule
from fairlead._kernel.market import Lane, Market
from fairlead._kernel.recorder import Recorder
from fairlead._models.market import History, MarketEvent, kind_of
from fairlead.facts import BarProgress, BarState
from fairlead.units import MINUTE

_Key = tuple[str, str]


class Unfinished:
    """The bars in progress of a kernel. `kept` says whether they are to survive it, as they are not in a backtest."""

    def __init__(self, recorder: Recorder, market: Market, schedule: Schedule) -> None:
        self._recorder = recorder
        self._market = market
        self._schedule = schedule
        self._left: dict[_Key, BarProgress] = {}
        self._sources: dict[_Key, str] = {}
        self._started = False
        self.kept = False

    def start(self) -> None:
        """Have what the last run left at hand for those who watch it again, until `forget`, and keep it from now on."""
        self._left = {(one.instrument, one.interval): one for one in self._recorder.state.bars}
        if self.kept:
            self._later()

    def restore(self, bars: tuple[BarProgress, ...]) -> None:
        """The tape knew more than the journal: this is how far they had got."""
        self._recorder.input(BarState, bars=bars)

    def forget(self) -> None:
        """Nobody has watched the rest in time: to go on later would leave a hole. What goes on is kept at once."""
        self._left.clear()
        self._started = True
        self.keep()

    def made(self, lane: Lane, aggregator: Aggregator, source: str) -> None:
        """Bars of an interval are made from now on: where they were left unfinished, they go on."""
        key = (lane.id, aggregator.interval.text)
        self._sources[key] = source
        left = self._left.pop(key, None)
        if left is not None and left.source == source:
            aggregator.resume(left, self._recorder.now)
        if self._started:  # from here on the tape counts
            self.keep()

    def keep(self) -> None:
        """Write down how far each bar has got."""
        if not self.kept or not self._started:
            return
        bars = tuple(
            made.progress(self._sources[lane.id, interval])
            for lane in self._market.lanes.values()
            for interval, made in lane.aggregators.items()
        )
        if bars or self._recorder.state.bars:
            self._recorder.record(BarState, bars=bars)

    def _later(self) -> None:
        now = self._recorder.now
        self._schedule(now - now % MINUTE + MINUTE, self._each_minute, TIMER, MINUTE)

    def _each_minute(self) -> None:
        self.keep()
        self._later()


def carried_on(
    bars: Iterable[BarProgress],
    events: Iterable[MarketEvent],
    settle: Callable[[str], int],
) -> tuple[BarProgress, ...]:
    """How far bars got with the events that followed. `settle` is how long, in ns, those of an instrument wait."""
    due: list[tuple[int, Callable[[], None]]] = []
    makers: dict[_Key, list[tuple[BarProgress, Aggregator]]] = {}
    made: list[tuple[BarProgress, Aggregator]] = []

    def later(when: int, callback: Callable[[], None], *_: int) -> None:
        due.append((when, callback))

    for left in bars:
        aggregator = Aggregator(
            left.instrument,
            Interval.parse(left.interval),
            later,
            _nobody,
            lambda: None,
            settle(left.instrument),
        )
        aggregator.resume(left, 0)
        made.append((left, aggregator))
        makers.setdefault((left.instrument, left.source), []).append((left, aggregator))
    for event in events:
        if type(event) is History:  # bars from before, which no bar is made of
            continue
        ended = [entry for entry in due if entry[0] <= event.received_ns]
        if ended:
            due[:] = [entry for entry in due if entry[0] > event.received_ns]
            for _, close in sorted(ended, key=lambda entry: entry[0]):
                close()
        for _, aggregator in makers.get((event.instrument, kind_of(event)), ()):
            aggregator.takes(kind_of(event))(event)
    return tuple(aggregator.progress(left.source) for left, aggregator in made)


def _nobody(bar: object) -> None:
    """It was closed before the end, or is missed."""
