"""`fairlead data`: streams watched and recorded without an engine, files looked at and verified."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead_streams import ReplayStream, SyntheticStream

FAST = ("--set", "speed=max", "--set", "seed=7")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_watching_prints_a_line_for_each_event(fairlead: Any) -> None:
    """Quotes, trades and bars made of them, plain."""
    done = fairlead(
        "data",
        "watch",
        "synthetic",
        "BTC/USDT",
        *FAST,
        "--quotes",
        "--trades",
        "--bars",
        "1m",
        "--until",
        "1m",
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert len(lines) == 61 + 61 + 1
    assert lines[0].startswith("2024-01-01 00:00:00.000  BTC/USDT@sim  quote   ")
    assert sum("  bar:1m  " in line for line in lines) == 1
    assert "\x1b" not in done.output


def test_watching_as_json_has_a_stable_schema(fairlead: Any) -> None:
    """Prices and sizes are text, times are integers."""
    done = fairlead("data", "watch", "synthetic", "BTC/USDT", *FAST, "--json", "--count", "2")
    first, second = map(json.loads, done.output.splitlines())
    assert list(first) == [
        "type",
        "instrument",
        "bid",
        "ask",
        "bid_size",
        "ask_size",
        "event_ns",
        "received_ns",
    ]
    assert isinstance(first["bid"], str)
    assert isinstance(first["event_ns"], int)
    assert (first["type"], second["type"]) == ("quote", "trade")


def test_the_streams_of_a_script_are_watched(fairlead: Any, script: Path) -> None:
    """All of its engine's."""
    done = fairlead("data", "watch", script, "BTC/USDT:USDT", "--trades", "--count", "1")
    assert done.exit_code == 0, done.output
    assert "BTC/USDT:USDT@sim  trade" in done.output


def test_what_is_recorded_replays(fairlead: Any, tmp_path: Path) -> None:
    """The files hold what the stream gave, verify cleanly, and say what they are."""
    done = fairlead(
        "data", "record", "synthetic", "BTC/USDT", *FAST, "--until", "2m", "--into", "rec", "--json"
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    wanted = list(SyntheticStream(seed=7, duration="121s").replay())
    assert list(ReplayStream(found["files"]).replay()) == wanted
    assert (found["rows"], found["refused"]) == (len(wanted), 0)
    told = fairlead("data", "info", *found["files"], "--json")
    (feed,) = json.loads(told.output)["files"][0]["feeds"]
    assert (feed["instrument"], feed["kind"], feed["rows"]) == ("BTC/USDT@sim", "quote", 121)
    assert fairlead("data", "verify", *found["files"]).exit_code == 0


def test_the_recorded_data_serve_a_backtest(fairlead: Any, script: Path) -> None:
    """With nothing said of them."""
    done = fairlead("data", "record", script, "BTC/USDT:USDT", "--until", "5m", "--into", "rec")
    assert done.exit_code == 0, done.output
    files = done.output.splitlines()[:-1]
    tested = fairlead("backtest", script, *(word for file in files for word in ("--data", file)))
    assert tested.exit_code == 0, tested.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("watch", "synthetik", "BTC/USDT"), 2, "neither FILE.py nor an installed stream"),
        (("watch", "paper", "BTC/USDT"), 2, "is no stream"),
        (("watch", "synthetic", "BTC/USDT", "--set", "sed=1"), 2, "has no argument 'sed'"),
        (("watch", "synthetic", "BTC/USDT", "--set", "seed"), 2, "write KEY=VALUE"),
        (("watch", "replay", "BTC/USDT"), 2, "give it with --set KEY=VALUE"),
        (("watch", "synthetic", "BTC/USDT", "--book"), 2, "no stream has book of BTC/USDT@sim"),
        (("watch", "synthetic", "BTC/USDT", "--until", "soon"), 2, "write 10s, 5m or 8h"),
        (("watch", "synthetic", "BTC/USDT", "--set", 'symbols="ETH/USDT"'), 2, "nobody trades 'BTC/USDT'"),
        (("record", "synthetic", "BTC/USDT", "--into", "x", "--rotate", "often"), 2, "write 100MB or 1d"),
        (("record", "synthetic", "BTC/USDT", "--into", "/proc/nope"), 2, "name another folder"),
        (("info", "nothing.csv"), 2, "is no file"),
        (("verify", "nothing.csv"), 2, "is no file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    fairlead: Any, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """With its remedy, and the code for usage."""
    done = fairlead("data", *arguments)
    assert done.exit_code == code
    assert words in done.output
    assert done.output.startswith("fairlead: ")
    assert len(done.output.splitlines()) == 1


def test_without_the_streams_it_says_what_to_install(fairlead: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core has no reader of its own."""
    from fairlead._engine import distributions

    monkeypatch.setattr(distributions.metadata, "entry_points", lambda **_: [])
    Path("some.csv").write_text("x", encoding="utf-8")
    done = fairlead("data", "verify", "some.csv")
    assert done.exit_code == 2
    assert "pip install fairlead-streams" in done.output


def test_faults_are_listed_and_end_with_one(fairlead: Any, bars: Path) -> None:
    """Each with its line; the words are those of the command line."""
    lines = bars.read_text(encoding="utf-8").splitlines()
    bars.write_text("\n".join([*lines[:5], lines[4], *lines[5:]]) + "\n", encoding="utf-8")
    done = fairlead("data", "verify", bars, "--json")
    assert done.exit_code == 1
    assert '"line": 6' in done.output
    assert "a duplicate bar" in done.output
    assert "1 fault in 1 file" in done.output
    looked = fairlead("data", "info", bars)
    assert "bad rows    1, 1 of them duplicates" in looked.output
    assert "--tz UTC" in looked.output


def test_a_killed_recording_is_repaired(fairlead: Any, tmp_path: Path) -> None:
    """What a kill left is named at the next recording and finished by verify --repair."""
    command = [
        sys.executable,
        "-m",
        "fairlead",
        "data",
        "record",
        "synthetic",
        "BTC/USDT",
        "--set",
        "every=5ms",
    ]
    process = subprocess.Popen([*command, "--quotes", "--into", "rec"], cwd=tmp_path)
    folder = tmp_path / "rec"
    try:
        while not any(path.stat().st_size > 500 for path in folder.glob("*.partial")):
            assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (partial,) = folder.glob("*.partial")
    with partial.open("ab") as file:
        file.write(b"1,2")
    again = fairlead("data", "record", "synthetic", "BTC/USDT", *FAST, "--until", "5s", "--into", "rec")
    assert f"{partial.name} was cut short" in again.output
    assert fairlead("data", "verify", partial).exit_code == 1
    done = fairlead("data", "verify", "--repair", partial)
    assert done.exit_code == 0, done.output
    assert "a torn last line of 3 bytes (b'1,2') was cut" in done.output
    assert not partial.exists()


def test_an_interrupt_ends_a_recording_in_good_order(tmp_path: Path) -> None:
    """Ctrl-C finishes the files and says what is in them."""
    command = [
        sys.executable,
        "-m",
        "fairlead",
        "data",
        "record",
        "synthetic",
        "BTC/USDT",
        "--set",
        "every=5ms",
    ]
    process = subprocess.Popen(
        [*command, "--into", "rec"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not any((tmp_path / "rec").glob("*.partial")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "in 2 files in rec" in output
    files = [tmp_path / line for line in output.splitlines()[:-1]]
    assert all(path.is_file() for path in files)
    assert list(ReplayStream(files).replay())
