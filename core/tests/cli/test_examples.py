"""The examples that show the command line and an engine inside another program."""

import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_first_example_is_wired_as_it_reads(fairlead) -> None:
    """Broker, stream, breakers and reconciler stand in the wiring table, in the order of the list."""
    done = fairlead("check", EXAMPLES / "01_paper.py")
    assert done.exit_code == 0, done.output
    names = [line.split()[1] for line in done.stdout.partition("\n\n")[0].splitlines()[1:]]
    breakers = ["Limits", "DailyLoss", "Drawdown", "StaleData"]
    assert names == ["Cross", "paper", "synthetic", *breakers, "HaltOnMismatch"]


@pytest.mark.full
def test_the_first_example_says_what_it_came_to(tmp_path: Path) -> None:
    """Interrupted by Ctrl-C it ends in good order and prints fills, equity and fees."""
    child = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "01_paper.py")], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    ends = time.monotonic() + 15
    while not (tmp_path / "runs" / "cross" / "run.json").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    assert said.splitlines()[-1].startswith("SIGINT: 0 fills, equity 100,000.00 USDT, fees 0.00")


def test_an_engine_inside_a_program_is_heard_and_stopped(tmp_path: Path, capsys) -> None:
    """The program hears of fills while it asks for profit, and its engine ends when it says so."""
    example = runpy.run_path(str(EXAMPLES / "06_inside_your_application.py"))
    fills = example["main"](str(tmp_path / "inside"), seconds=1.6)
    said = capsys.readouterr().out
    assert fills
    assert "USDT in all" in said
    assert f"stopped after {len(fills)} fills" in said


def test_an_engine_that_is_killed_goes_on(tmp_path: Path, capsys) -> None:
    """Killed in the middle of its orders and started again: steps, orders and position go on, nothing is sent twice."""
    example = runpy.run_path(str(EXAMPLES / "04_crash_and_resume.py"))
    facts = example["main"](str(tmp_path / "crash"), steps=8)
    said = capsys.readouterr().out
    assert "sent in lives [1, 2], sent twice: none" in said
    numbers = [int(text.split()[1].rstrip(":")) for text in example["notes"](facts)]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(numbers[-1] + 1))
    assert "the run ended: SIGTERM" in said
    last = example["notes"](facts)[-1]
    assert example["held"](facts) != 0, last
