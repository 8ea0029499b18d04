"""Warm-up: bars from before a strategy began to watch, from what a stream remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead._kernel.bars import Interval
from fairlead._kernel.kernel import Kernel
from fairlead._models.market import Bar, History, MarketEvent
from fairlead.ports import Subscription


def windows(
    kernel: Kernel, subscription: Subscription, warmup: int, now: int
) -> Iterator[tuple[Interval, int, int]]:
    """The intervals that wait for bars made from a feed, each with the time [start, end] of the bars it wants."""
    for interval in kernel.feeds.cold(subscription):
        size = int(interval.size)
        end = now - now % size
        yield interval, end - size * warmup, end


def history(
    kernel: Kernel,
    subscription: Subscription,
    interval: Interval,
    window: tuple[int, int],
    events: Sequence[MarketEvent],
    now: int,
) -> History | None:
    """The bars that a feed's past events give for an interval; None where they give none."""
    start, end = window
    if subscription.kind == f"bar:{interval.text}":
        bars = [event for event in events if isinstance(event, Bar) and start < event.event_ns <= end]
    else:
        bars = kernel.feeds.bars_of(subscription, interval, events)
    return History(subscription.instrument, interval.text, tuple(bars), end, now) if bars else None
