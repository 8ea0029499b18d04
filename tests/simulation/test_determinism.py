"""The same seed is the same day, byte for byte, whatever the interpreter's hash seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from simulation.day import Outcome, play
from simulation.faults import KINDS
for seed in range({first}, {last}):
    print(play(seed, tuple(KINDS), Outcome.trace))
"""
TESTS = Path(__file__).parent.parent


def traces(hash_seed: str, first: int, last: int) -> list[str]:
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    program = PROGRAM.format(first=first, last=last)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.full
@pytest.mark.timeout(180)
def test_one_seed_one_day() -> None:
    """Two processes with two hash seeds play the same days."""
    assert traces("1", 0, 4) == traces("2", 0, 4)


@pytest.mark.prove
def test_fifty_seeds_fifty_days() -> None:
    """The same over fifty seeds."""
    first = traces("3", 100, 150)
    assert first == traces("4", 100, 150)
    assert len(set(first)) == 50
