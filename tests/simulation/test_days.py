"""Days of trading under every fault: nothing lost, nothing sent twice."""

import os
import re

import pytest

from simulation.checker import EXCUSED as EXCUSED_INVARIANTS
from simulation.checker import INVARIANTS
from simulation.faults import CATALOGUE, EXCUSED, KINDS, drawn
from simulation.score import simulate

SECONDS = 120.0


def test_every_row_of_the_catalogue_is_drawn_or_excused() -> None:
    """A fault that the catalogue knows is in the simulation, or a sentence says why it is not."""
    assert len(CATALOGUE) == 104
    there = drawn(KINDS)
    assert sorted(set(CATALOGUE) - there) == sorted(EXCUSED)
    assert there <= set(CATALOGUE)


def test_every_invariant_is_checked_or_excused() -> None:
    """Of the 36 invariants each has a function, or a sentence that says why it has none; two rules have one as well."""
    names = {*(f"I{n}" for n in range(37)), "R8", "R9"}
    assert sorted({*INVARIANTS, *EXCUSED_INVARIANTS}) == sorted(names)
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
    score = simulate(range(12), tuple(KINDS))
    assert [str(violation) for violation in score.violations] == []
    assert score.kills > 20


@pytest.mark.prove
def test_many_days(capsys: pytest.CaptureFixture[str]) -> None:
    """As many days as fit, each fault fired: no violation in any of them."""
    full = os.environ.get("FAIRLEAD_PROVE") == "full"
    if full:
        score = simulate(range(10_000), tuple(KINDS))
    else:
        score = simulate(range(10_000), tuple(KINDS), within=SECONDS, at_least=200)
    with capsys.disabled():
        print("\n" + score.card(tuple(KINDS)))
    assert [str(violation) for violation in score.violations] == []
    assert score.silent(tuple(KINDS)) == []
    if full:
        assert {name: times for name, times in score.fired.items() if times < 500} == {}


def test_reasons_are_sentences() -> None:
    """What is excused says why in words."""
    for reasons in (EXCUSED, EXCUSED_INVARIANTS):
        assert all(re.search(r"\w+ \w+", reason) for reason in reasons.values())
