"""A venue's clock, measured."""

import asyncio

import pytest

from fairlead import ConnectivityError
from fairlead.net import VenueClock


def clock(round_trips: list[int], ahead: int) -> tuple[VenueClock, list[int]]:
    """A venue that is `ahead` of us, and answers half way through each of these round trips."""
    now = [1_000]

    async def ask() -> int:
        took = round_trips.pop(0)
        now[0] += took
        return now[0] - took // 2 + ahead

    return VenueClock(lambda: now[0], ask), now


def test_the_fastest_round_trip_tells_the_offset():
    """Of three answers the one that took least counts; half of what it took may be wrong."""
    venue, now = clock([500, 20, 90], ahead=7_000)
    assert venue.now() == now[0]
    asyncio.run(venue.measure())
    assert (venue.offset_ns, venue.error_ns) == (7_000, 10)
    assert venue.now() == now[0] + 7_000


def test_it_is_asked_again_only_when_the_answer_is_old():
    """A fresh measurement is kept."""
    venue, now = clock([10] * 6, ahead=5)
    asyncio.run(venue.measure())
    asyncio.run(venue.measure(older_than_ns=100))
    now[0] += 100
    asyncio.run(venue.measure(older_than_ns=100))  # the venue has no seventh answer
    assert venue.offset_ns == 5


def test_a_clock_that_runs_backwards_measures_nothing():
    """What it would give is nonsense, so it is an error."""
    venue, _ = clock([-10] * 3, ahead=0)
    with pytest.raises(ConnectivityError, match="runs backwards"):
        asyncio.run(venue.measure())
