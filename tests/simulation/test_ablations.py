"""Each safeguard that is taken out is missed by the checker."""

import pytest

from simulation.ablations import ABLATIONS, first_caught

SEEDS = 200

FIRST = {
    "exits after a restart": 23,
    "listing before adjusting": 27,
    "lost orders are adopted": 5,
    "states survive": 19,
    "wait after a power cut": 24,
}
"""Seeds near which the slower ones show; the others show at once."""


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(set(ABLATIONS) - set(FIRST)))
def test_taken_out_and_missed_at_once(name: str) -> None:
    """The engine without one safeguard breaks an invariant within a few days."""
    assert first_caught(ABLATIONS[name], range(5)) is not None


@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(FIRST))
def test_taken_out_and_missed(name: str) -> None:
    """The engine without one safeguard breaks an invariant within 200 days."""
    first = FIRST[name]
    seeds = [*range(max(0, first - 3), first + 3), *range(SEEDS)]
    assert first_caught(ABLATIONS[name], seeds) is not None
