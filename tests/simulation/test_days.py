"""Days of trading under every fault that the engine stands today: nothing lost, nothing sent twice."""

import os
import re

import pytest

from simulation.checker import EXCUSED as EXCUSED_INVARIANTS
from simulation.checker import INVARIANTS, check
from simulation.day import play
from simulation.faults import CATALOGUE, EXCUSED, KINDS, drawn
from simulation.score import AWAITED, HOLDS, simulate

SECONDS = 120.0

COMPANY = {"fill.ids": ("fill.partial", "ws.drop", "kill")}
"""Other faults without which one that is awaited seldom shows."""


def test_every_row_of_the_catalogue_is_drawn_or_excused() -> None:
    """A fault that the catalogue knows is in the simulation, or a sentence says why it is not."""
    assert len(CATALOGUE) == 104
    there = drawn(KINDS)
    assert sorted(set(CATALOGUE) - there) == sorted(EXCUSED)
    assert there <= set(CATALOGUE)
    assert set(AWAITED) < set(KINDS)


def test_every_invariant_is_checked_or_excused() -> None:
    """Of the 36 invariants each has a function, or a sentence that says why it has none."""
    assert sorted({*INVARIANTS, *EXCUSED_INVARIANTS}) == sorted(f"I{n}" for n in range(37))
    assert not set(INVARIANTS) & set(EXCUSED_INVARIANTS)


@pytest.mark.full
def test_a_day_without_faults() -> None:
    """Where nothing goes wrong the checker finds nothing, and orders of every kind fill."""
    score = simulate(range(3), ())
    assert [str(violation) for violation in score.violations] == []
    assert score.fills > 60
    assert not score.fired


@pytest.mark.full
@pytest.mark.timeout(180)
def test_some_days() -> None:
    """A dozen days with faults: no violation, and kills among them."""
    score = simulate(range(12), HOLDS)
    assert [str(violation) for violation in score.violations] == []
    assert score.kills > 20


@pytest.mark.prove
def test_many_days(capsys: pytest.CaptureFixture[str]) -> None:
    """As many days as fit, each fault fired: no violation in any of them."""
    full = os.environ.get("FAIRLEAD_PROVE") == "full"
    if full:
        score = simulate(range(10_000), HOLDS)
    else:
        score = simulate(range(10_000), HOLDS, within=SECONDS, at_least=200)
    with capsys.disabled():
        print("\n" + score.card(HOLDS))
    assert [str(violation) for violation in score.violations] == []
    assert score.silent(HOLDS) == []
    if full:
        assert {name: times for name, times in score.fired.items() if times < 500} == {}


@pytest.mark.prove
@pytest.mark.parametrize("name", AWAITED)
def test_what_is_awaited_does_not_hold(name: str) -> None:
    """A kind of fault waits for its safeguard only as long as it breaks something."""
    kinds = (name, *COMPANY.get(name, ()))
    found = [v for seed in range(10) for v in play(seed, kinds, check, all_of_them=True)]
    assert found, f"{name} holds: move it from AWAITED to HOLDS"


def test_reasons_are_sentences() -> None:
    """What is excused or awaited says why in words."""
    for reasons in (EXCUSED, EXCUSED_INVARIANTS, AWAITED):
        assert all(re.search(r"\w+ \w+", reason) for reason in reasons.values())
