"""`fairlead backtest`: what it prints, that it is stable, and what it says when it cannot."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

DATA = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open")
SYMBOL = ("--symbol", "BTC/USDT:USDT")


def test_json_is_the_same_under_two_hash_seeds(process, script: Path, bars: Path) -> None:
    """Two runs print the same bytes, whatever order a process's sets have."""
    call = ("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    first, second = process(*call, seed="1"), process(*call, seed="2")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert str(script.parent) not in first.stdout


def test_json_has_the_figures_as_text_and_they_add_up(fairlead, script: Path, bars: Path) -> None:
    """Amounts are strings; equity at the end is that at the start with what was earned and paid."""
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found) == sorted(found)
    assert found["fills"] >= found["trades"] > 10
    assert found["events"] == 60
    assert found["label"] == "bars.csv"
    assert len(found["journal_hash"]) == 32
    assert found["instruments"]["BTC/USDT:USDT@sim"]["tick"] == "0.1"
    assert found["instruments"]["BTC/USDT:USDT@sim"]["taker_fee"] == "0.0005"
    total = Decimal(found["equity_start"]) + Decimal(found["realised"]) + Decimal(found["unrealised"])
    assert abs(total - Decimal(found["fees"]) - Decimal(found["equity_end"])) < Decimal("0.000001")
    assert Decimal(found["max_drawdown"]) > 0


def test_a_table_for_people_and_a_report(fairlead, script: Path, bars: Path, tmp_path: Path) -> None:
    """Without --json there is a table, and the places of report and journal."""
    html = tmp_path / "here.html"
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL, "--fee", "0.1%", "--html", html)
    assert done.exit_code == 0, done.output
    assert "max drawdown" in done.stdout
    assert "tick 0.1, fee 0.1 %" in done.stdout
    assert str(html) in done.stdout
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "\x1b[" not in done.stdout


def test_start_and_end_bound_the_data(fairlead, script: Path, bars: Path) -> None:
    """--start and --end cut the data, in the zone that --tz names."""
    call = ("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    done = fairlead(*call, "--start", "2024-01-01 00:10", "--end", "2024-01-01T00:40:00+00:00")
    assert json.loads(done.stdout)["events"] == 30


def test_the_symbol_of_the_strategy_is_named(fairlead, script: Path, bars: Path) -> None:
    """Data of another symbol end in a sentence that says what to write."""
    done = fairlead("backtest", script, "--data", bars, *DATA, "--symbol", "BTC/USDT")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "pass --symbol BTC/USDT:USDT" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--data", "nowhere.csv"), 2, "nowhere.csv is no file"),
        (("--symbol", "BTC/USDT"), 2, "add --data FILE"),
        ((), 2, "--data FILE"),
        (("--data", "BARS"), 2, "--tz"),
        (("--data", "BARS", *DATA, *SYMBOL, "--start", "soon"), 2, "'soon' is no time"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(fairlead, script, bars, arguments, code, words) -> None:
    """A wrong call ends with its code and one line, without a traceback."""
    done = fairlead("backtest", script, *(bars if word == "BARS" else word for word in arguments))
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_strategy_that_raises_is_a_fault(fairlead, script: Path, bars: Path) -> None:
    """The figures are printed, and the exit code says that they are not to be trusted."""
    script.write_text(
        script.read_text(encoding="utf-8").replace("if self.position():", "if bar.nothing:"), encoding="utf-8"
    )
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["halted"]["InAndOut"].startswith("AttributeError")
    assert "InAndOut was halted" in done.stderr
