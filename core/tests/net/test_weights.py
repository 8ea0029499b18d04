"""The weight of requests, on virtual time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import ConfigurationError
from fairlead.net import Weights
from fairlead.testing import VirtualClock, run_virtual

SECOND = 1_000_000_000


def test_what_has_room_goes_at_once_and_what_has_none_waits_for_it():
    """Ten of weight 1 in ten seconds, two of them kept: the ninth goes when the first is out of the window."""

    async def play() -> list[int]:
        clock = VirtualClock()
        weights, went = Weights(10, 10 * SECOND, clock.now, kept=2), []
        for _ in range(9):
            await weights.acquire()
            went.append((clock.now() - start(clock)) // SECOND)
        return went

    assert run_virtual(play()) == [0] * 8 + [10]


def start(clock: VirtualClock) -> int:
    """The time at which the virtual loop began."""
    return clock.now() - round(asyncio.get_running_loop().time() * 1e9)


@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 12)), min_size=1, max_size=40))
def test_no_window_ever_holds_more_than_its_weight(asked: list[tuple[int, int]]) -> None:
    """However requests come, any window of what was let through weighs at most what it may, or is one alone."""

    async def play() -> list[tuple[int, int]]:
        clock = VirtualClock()
        weights, went = Weights(10, SECOND, clock.now), []

        async def one(after_ms: int, weight: int) -> None:
            await asyncio.sleep(after_ms / 1e3)
            await weights.acquire(weight)
            went.append((clock.now(), weight))

        await asyncio.gather(*(one(after, weight) for after, weight in asked))
        return went

    went = run_virtual(play())
    assert len(went) == len(asked)
    for when, weight in went:
        inside = [w for t, w in went if when - SECOND < t <= when]
        assert sum(inside) <= 10 or inside == [weight]


def test_the_venues_own_figure_counts_what_went_beside():
    """A figure above ours holds the next question back; one below changes nothing."""
    now = 0
    weights = Weights(10, SECOND, lambda: now)
    weights.used(9)
    assert weights.ready_ns(1) == 0
    assert weights.ready_ns(2) == SECOND
    weights.used(3)
    assert weights.ready_ns(2) == SECOND


def test_a_venue_that_is_closed_is_asked_nothing_before_it_opens():
    """What the venue said last about later holds; an earlier end does not shorten it."""
    weights = Weights(10, SECOND, lambda: 5)
    weights.close(90)
    weights.close(70)
    assert weights.closed_ns == weights.ready_ns() == 90


def test_a_limit_that_lets_nothing_through_is_refused():
    """What keeps all for orders could never answer a question."""
    with pytest.raises(ConfigurationError, match="lets nothing through: keep less"):
        Weights(10, SECOND, lambda: 0, kept=10)
