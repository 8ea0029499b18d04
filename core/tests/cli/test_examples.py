"""The examples that show the command line and an engine inside another program."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_first_example_is_wired_as_it_reads(fairlead) -> None:
    """Its four breakers, its broker and its stream stand in the wiring table, in the order of the list."""
    done = fairlead("check", EXAMPLES / "01_paper.py")
    assert done.exit_code == 0, done.output
    names = [line.split()[1] for line in done.stdout.splitlines()[1:]]
    assert names == ["Cross", "paper", "synthetic", "Limits", "DailyLoss", "Drawdown", "StaleData"]


def test_an_engine_inside_a_program_is_heard_and_stopped(tmp_path: Path, capsys) -> None:
    """The program hears of fills while it asks for profit, and its engine ends when it says so."""
    example = runpy.run_path(str(EXAMPLES / "06_inside_your_application.py"))
    fills = example["main"](str(tmp_path / "inside"), seconds=1.6)
    said = capsys.readouterr().out
    assert fills
    assert "USDT in all" in said
    assert f"stopped after {len(fills)} fills" in said
