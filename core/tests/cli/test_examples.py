"""The examples that show the command line and an engine inside another program."""

import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairlead._storage.journal import read_facts
from fairlead.facts import BreakerTripped, Filled, OrderSubmitted
from fairlead.testing import run_virtual
from fairlead_streams import SyntheticStream

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
    assert re.match(r"SIGINT: \d+ fills, equity [\d,]+\.\d\d USDT, fees [\d.]+$", said.splitlines()[-1])


def test_the_first_example_has_something_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three hours of its market, after those that warm it up, it buys and sells more than once."""
    monkeypatch.chdir(tmp_path)
    example = runpy.run_path(str(EXAMPLES / "01_paper.py"))
    result = example["engine"].backtest(SyntheticStream("BTC/USDT", seed=42, duration="380m"))
    assert len(result.round_trips()) >= 2


def test_an_engine_inside_a_program_is_heard_and_stopped(tmp_path: Path, capsys) -> None:
    """The program hears of fills while it asks for profit, and its engine ends when it says so."""
    example = runpy.run_path(str(EXAMPLES / "06_inside_your_application.py"))
    fills = example["main"](str(tmp_path / "inside"), seconds=1.6)
    said = capsys.readouterr().out
    assert fills
    assert "USDT in all" in said
    assert f"stopped after {len(fills)} fills" in said


def test_market_data_is_had_without_an_engine(capsys) -> None:
    """A stream is watched, and three functions are a venue."""
    example = runpy.run_path(str(EXAMPLES / "07_stream_only.py"))
    run_virtual(example["main"]())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("00:01  BTC/USDT@sim")
    assert lines[-3:] == [
        "360 quotes",
        "SOL/USDT@sim: tick 0.01, lot 0.0001",
        "60 bars, the last closed at 00:59",
    ]


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


@pytest.mark.full
def test_limits_and_breakers_are_told_of_as_they_speak(tmp_path: Path, capsys) -> None:
    """The slip of a key, the burst, a person's limit, the script's own breaker and its reset stand in the output."""
    example = runpy.run_path(str(EXAMPLES / "03_safety_controls.py"))
    narrator = run_virtual(example["main"](tmp_path / "safety"))
    said = capsys.readouterr().out
    assert re.search(
        r"5 min  refused: buy 30: Limits: order value [\d,.]+ is above 5,000.00 USDT; leverage", said
    )
    assert re.search(r"10 min  refused: buy 0.001: Limits: max_order_rate", said)
    assert "limit: max_order_value from 5000 USDT to 200 USDT, by you: news at noon" in said
    assert "TRIPPED: TooManyFills: 50 fills and nobody has looked; account:paper is reduce_only now" in said
    assert "reset: TooManyFills, by you: looked at them, they are what was wanted" in said
    assert narrator.refused["trading is reduce_only"] > 0


@pytest.mark.full
def test_markets_groups_and_budgets(capsys) -> None:
    """Both strategies trade, each market is traded, groups and a budget refuse; euros count."""
    example = runpy.run_path(str(EXAMPLES / "08_multi_asset.py"))
    held, denied = example["main"]()
    said = capsys.readouterr().out
    assert {strategy for strategy, _ in held} == {"balanced", "breakout"}
    assert {market for _, market in held} == {example["BTC"], example["ETH"], example["SOL"]}
    reasons = " ".join(reason for fact in denied for reason in fact.reasons)
    for words in ("(strategy breakout)", "(group altcoins)"):
        assert words in reasons
    assert "20,000.00 EUR" in said


@pytest.mark.full
def test_an_emergency_stop_leaves_nothing(tmp_path: Path, capsys) -> None:
    """Watchers hear of fills; the switch withdraws and closes everything, and holds through a restart."""
    example = runpy.run_path(str(EXAMPLES / "09_watchers_and_emergency_stop.py"))
    before, killed, after = example["main"](tmp_path / "stop", fills=3)
    said = capsys.readouterr().out
    assert before[0] == 1
    assert killed == after == (0, 0)
    assert "an order would be denied: trading is killed" in said
    assert "reset, and it would be approved" in said
    facts = list(read_facts(tmp_path / "stop" / "journal"))
    kill = next(fact.seq for fact in facts if isinstance(fact, BreakerTripped))
    late = [fact.intent for fact in facts if isinstance(fact, OrderSubmitted) and fact.seq > kill]
    assert all(intent.sweep and intent.reduce_only for intent in late)
    fills = [fact.fill for fact in facts if isinstance(fact, Filled)]
    assert sum(fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills) == 0


@pytest.mark.full
def test_interactive_brokers_are_traded_in_a_box() -> None:
    """A share is bought and sold again, at a TWS in a box with a market that moves."""
    example = runpy.run_path(str(EXAMPLES / "14_ib.py"))
    fills = example["in_a_box"](10.0)
    assert [fact.fill.side for fact in fills] == ["buy", "sell"]
