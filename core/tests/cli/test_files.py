"""From FILE.py to its engine, and the verbs that only read."""

import json
import re
from pathlib import Path

import pytest


def test_check_prints_the_wiring_and_opens_nothing(fairlead, script: Path) -> None:
    """`check` shows what would run, and leaves no folder behind."""
    done = fairlead("check", script)
    assert done.exit_code == 0, done.output
    assert re.search(r"broker +paper +PaperBroker +fairlead-paper", done.stdout)
    assert {path.name for path in script.parent.iterdir()} <= {script.name, "__pycache__"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("x = 1", 2, "has no engine"),
        (
            "ENGINE\nother = LiveTradingEngine(InAndOut(), plugins=engine_plugins())",
            2,
            "has 2 engines (engine, other)",
        ),
        ("import nothing_of_that_name", 2, "line 1, cannot be imported: ModuleNotFoundError"),
        ("def broken(:", 2, "line 1 cannot be imported: SyntaxError"),
        ("from fairlead import *\nLiveTradingEngine(Strategy(), plugins=[])", 5, "no broker: add one"),
    ],
)
def test_a_file_without_one_engine_is_refused(fairlead, script, text: str, code: int, words: str) -> None:
    """One sentence says what is wrong with the file; wiring that refuses is told from a file that is wrong."""
    whole = script.read_text(encoding="utf-8").replace("run=", "breakers=None, run=")
    plugins = 'def engine_plugins():\n    return [PaperBroker(), SyntheticStream(), Drawdown("20%")]\n'
    script.write_text(text.replace("ENGINE", whole + plugins), encoding="utf-8")
    done = fairlead("check", script)
    assert done.exit_code == code, done.output
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["check", "run", "backtest"])
@pytest.mark.parametrize(
    "start",
    [
        "import asyncio\nasyncio.run(engine.run())",
        "engine.background()",
        "engine.backtest()",
        "try:\n    engine.background()\nexcept Exception:\n    pass",
        "import threading\nthread = threading.Thread(target=engine.backtest)\nthread.start()\nthread.join()",
    ],
    ids=["run", "background", "backtest", "swallowed", "thread"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_script_that_starts_its_engine_while_it_is_read_does_not_trade(
    fairlead, script: Path, verb: str, start: str
) -> None:
    """An engine that is started at the top level is refused in one sentence, and nothing is written."""
    script.write_text(f"{script.read_text(encoding='utf-8')}\n{start}\n", encoding="utf-8")
    done = fairlead(verb, script)
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1] == (
        f"fairlead: {script} starts its engine while it is being read: put that under if __name__ == '__main__':"
    )
    assert not (script.parent / "run").exists()


def test_a_missing_file_and_a_name_that_is_taken(fairlead, tmp_path: Path) -> None:
    """A file that is not there, and one that would hide another module, are refused."""
    assert "is no file" in fairlead("check", tmp_path / "none.py").stderr
    taken = tmp_path / "json.py"
    taken.write_text("", encoding="utf-8")
    done = fairlead("check", taken)
    assert done.exit_code == 2
    assert "rename the file" in done.stderr


def test_journal_and_trades_of_a_run(fairlead, script: Path, bars: Path) -> None:
    """`journal verify` counts the records and gives the hash of the run; `trades` lists what was closed."""
    data = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open", "--symbol", "BTC/USDT:USDT")
    result = json.loads(fairlead("backtest", script, "--data", bars, *data, "--json").stdout)
    run = script.parent / "run" / "backtests" / "0001"
    found = json.loads(fairlead("journal", "verify", run, "--json").stdout)
    assert found["journal_hash"] == result["journal_hash"]
    assert found["records"] > 0
    assert result["journal_hash"] in fairlead("journal", "verify", run).stdout
    trades = json.loads(fairlead("trades", run, "--json").stdout)
    assert len(trades) == result["trades"]
    assert all(isinstance(trade["profit"], str) for trade in trades)
    assert "InAndOut" in fairlead("trades", run).stdout
    assert fairlead("report", run).stdout.strip().endswith("report.html")


def test_damage_is_found(fairlead, script: Path, bars: Path) -> None:
    """A flipped byte in the middle of a journal ends the verification with its place."""
    data = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open", "--symbol", "BTC/USDT:USDT")
    fairlead("backtest", script, "--data", bars, *data, "--json")
    run = script.parent / "run" / "backtests" / "0001"
    segment = next((run / "journal").iterdir())
    held = bytearray(segment.read_bytes())
    held[2000] ^= 1
    segment.write_bytes(held)
    done = fairlead("journal", "verify", run)
    assert done.exit_code == 5
    assert "at byte" in done.stderr
    assert "is damaged" in Path(fairlead("report", run).stdout.strip()).read_text(encoding="utf-8")


def test_a_folder_without_a_journal_is_no_run(fairlead, tmp_path: Path) -> None:
    """Whoever names another folder is told what a run's is."""
    done = fairlead("trades", tmp_path)
    assert done.exit_code == 2
    assert "holds no journal" in done.stderr


def test_whoever_misses_a_run_sees_those_there_are(fairlead, script: Path, bars: Path) -> None:
    """A name of no run, and a run that has backtests only, are answered with the runs that can be read."""
    assert "nothing is no run: give the folder of one" in fairlead("trades", "nothing").stderr
    data = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open", "--symbol", "BTC/USDT:USDT")
    fairlead("backtest", script, "--data", bars, *data, "--json")
    (script.parent / "runs").mkdir()
    (script.parent / "run").rename(script.parent / "runs" / "cross")
    for wrong in ("cros", "cross", "runs", "runs/cros", "runs/cross"):
        done = fairlead("trades", wrong)
        assert done.exit_code == 2
        assert "the runs here are runs/cross/backtests/0001" in done.stderr, wrong
        assert done.stderr.count("\n") == 1
    assert fairlead("trades", "runs/cross/backtests/0001").exit_code == 0


def test_trades_are_rounded_for_people_and_exact_for_programs(fairlead, script: Path, bars: Path) -> None:
    """Money is shown to the cent and prices on their grid; --json keeps every digit."""
    data = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open", "--symbol", "BTC/USDT:USDT")
    fairlead("backtest", script, "--data", bars, *data, "--fee", "0.00037", "--json")
    run = script.parent / "run" / "backtests" / "0001"
    rows = [line.split() for line in fairlead("trades", run).stdout.splitlines()[1:]]
    assert rows
    for *_, entry, leaving, profit, fees, unit in rows:
        assert unit == "USDT"
        assert all(re.fullmatch(r"[-+]?[\d,]+\.\d\d", amount) for amount in (profit, fees)), (profit, fees)
        assert all(re.fullmatch(r"[\d,]+(\.\d)?", price) for price in (entry, leaving))
    exact = json.loads(fairlead("trades", run, "--json").stdout)
    assert any(len(trade["fees"].partition(".")[2]) > 2 for trade in exact)


def test_help_is_quick_to_import(process) -> None:
    """`--help` needs neither rich nor a plugin."""
    code = "import sys, fairlead._cli.app; print('rich' in sys.modules, 'fairlead_sim' in sys.modules)"
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.split() == ["False", "False"]
    assert process("--help").stdout.startswith("Usage: fairlead")
    assert process("--version").stdout.startswith("fairlead 0.")
