"""What `fairlead backtest` says of data: all that is wanting at once, in its own words, and nothing left behind."""

import json
from pathlib import Path

import pytest

from fairlead._cli.data import in_options
from fairlead._report import svg

DATA = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open")
SYMBOL = ("--symbol", "BTC/USDT:USDT")


def backtests(script: Path) -> list[str]:
    folder = script.parent / "run" / "backtests"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "pass --symbol BTC/USDT or another (its instrument), --tz UTC or another zone"),
        ((*DATA,), "pass --symbol, such as --symbol BTC/USDT"),
        ((*DATA, *SYMBOL, "--tick", "0"), "pass one such as --tick 0.01, or leave it out"),
        ((*DATA, *SYMBOL, "--interval", "5m"), "pass --interval 1m, or leave it out"),
        ((*DATA, *SYMBOL, "--fee", "0.05"), "write 0.0005 for 0.05 %"),
        ((*DATA, *SYMBOL, "--columns", "close"), "write ROLE=COLUMN,.. such as close=settle"),
        ((*DATA, *SYMBOL, "--kind", "quotes"), "name bid and ask, such as --columns bid=last"),
        (
            (*DATA, *SYMBOL, "--start", "2025-01-01", "--end", "2025-02-01"),
            "no rows between 2025-01-01 00:00:00 and 2025-02-01 00:00:00: bars.csv has 2024-01-01 00:01:00 to "
            "2024-01-01 01:00:00 UTC",
        ),
        ((*DATA, *SYMBOL, "--end", "2023-01-01"), "no rows before 2023-01-01 00:00:00: bars.csv has 2024"),
        ((*DATA, *SYMBOL, "--start", "2025-01-01"), "no rows from 2025-01-01 00:00:00 on: bars.csv has 2024"),
        (("--symbol", "BTC/USDT", *DATA), "pass --symbol BTC/USDT:USDT, or change the symbol in the script"),
    ],
)
def test_refused_data_leave_one_sentence_and_no_folder(fairlead, script, bars, arguments, words) -> None:
    """Remedies are options of the command line, and no numbered backtest is made of what was refused."""
    done = fairlead("backtest", script, "--data", bars, *arguments)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert backtests(script) == []


def test_a_time_without_a_zone_asks_for_tz(fairlead, script: Path) -> None:
    """`--start 2024-01-31` has no zone: one can be written, or given for all times."""
    done = fairlead("backtest", script, "--start", "2024-01-31")
    assert done.exit_code == 2
    assert "--start 2024-01-31 names no zone: write 2024-01-31T00:00+00:00, or give --tz UTC" in done.stderr
    assert (
        "--tz 'Mars' is not a time zone"
        in fairlead("backtest", script, "--end", "2024-01-31", "--tz", "Mars").stderr
    )


def test_a_column_of_another_name_is_named(fairlead, script: Path, bars: Path) -> None:
    """The refusal says which column is wanting, and `--columns` tells which one it is."""
    bars.write_text(bars.read_text(encoding="utf-8").replace("close", "settle", 1), encoding="utf-8")
    call = ("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    assert "only close of bars is wanting" in fairlead(*call).stderr
    assert "--columns close=last" in fairlead(*call).stderr
    done = fairlead(*call, "--columns", "close=settle")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == 60


def test_rows_that_cannot_be_used_may_be_left_out(fairlead, script: Path, bars: Path) -> None:
    """The refusal names `--on-fault skip`, which leaves them out and says so once."""
    text = bars.read_text(encoding="utf-8").splitlines()
    text[10] = text[10].replace(text[10].split(",")[1], "nothing")
    bars.write_text("\n".join(text) + "\n", encoding="utf-8")
    call = ("backtest", script, "--data", bars, *DATA, *SYMBOL, "--json")
    assert "or leave them out with --on-fault skip" in fairlead(*call).stderr
    done = fairlead(*call, "--on-fault", "skip")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == 59
    assert "left out 1 row: line 11: open 'nothing' is not a number" in done.stderr
    assert "1 bar is missing in 1 gap" in done.stderr
    assert backtests(script) == ["0001"]


def test_a_strategy_that_watches_nothing_is_told_to(fairlead, script: Path, bars: Path) -> None:
    """A backtest without an event is an error, not a table of zeros."""
    text = script.read_text(encoding="utf-8").replace('self.watch("BTC/USDT:USDT", bars="1m")', "pass")
    script.write_text(text, encoding="utf-8")
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL)
    assert done.exit_code == 2
    assert "no row of bars.csv reached a strategy" in done.stderr
    assert backtests(script) == []


def test_a_wrong_symbol_is_one_line_in_a_terminal_too(process, script: Path, bars: Path) -> None:
    """In a process of its own the halt that it led to is not logged besides."""
    done = process("backtest", script, "--data", bars, *DATA, "--symbol", "BTC/USDT")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_report_that_cannot_be_drawn_hides_nothing(fairlead, script, bars, monkeypatch) -> None:
    """The figures are printed and the exit code is that of the run; stderr says what is wanting."""

    def broken(*_: object) -> None:
        raise ValueError("math domain error")

    monkeypatch.setattr(svg, "_values", broken)
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL)
    assert done.exit_code == 0, done.output
    assert "equity at end" in done.stdout
    assert "the report was not written (ValueError: math domain error)" in done.stderr


def test_a_run_that_never_trades_has_a_report(fairlead, script: Path, bars: Path) -> None:
    """Flat equity has no drawdown, and both are drawn."""
    text = script.read_text(encoding="utf-8").replace('self.buy(percent="50%")', "pass")
    script.write_text(text, encoding="utf-8")
    done = fairlead("backtest", script, "--data", bars, *DATA, *SYMBOL)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    report = script.parent / "run" / "backtests" / "0001" / "reports" / "report.html"
    assert "Drawdown of paper in percent" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("pass symbol=, such as symbol='BTC/USDT'", "pass --symbol, such as --symbol BTC/USDT"),
        ("volume_unit='base' or 'quote' (what it counts)", "--volume-unit base or quote (what it counts)"),
        ("such as columns={'time': 'when'}", "such as --columns time=when"),
        ("such as columns=('time', 'price', 'size')", "such as --columns time,price,size"),
        ("leave bar_label out, with columns=", "leave --bar-label out, with --columns"),
    ],
)
def test_arguments_are_written_as_options(said: str, written: str) -> None:
    """What a stream asks for in Python is asked for as the command line takes it."""
    assert in_options(said) == written
