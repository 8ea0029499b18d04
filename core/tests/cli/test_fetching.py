"""`fairlead data fetch`: the past of any stream into files that replay."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead._cli import fetching
from fairlead_streams import ReplayStream, SyntheticStream, inspect, verify

STREAM = '''
"""Bars that a test can take away, and a stream that fails when it is told to."""

import asyncio
import json
from pathlib import Path

from fairlead import Bar, ConnectivityError
from fairlead.testing import FakeStream, make_instrument

MINUTE = 60_000_000_000
START = 1_704_067_200 * 1_000_000_000


class Past(FakeStream):
    def __init__(self, *symbols, script="script.json"):
        names = symbols or ("BTC/USDT",)
        super().__init__(*(make_instrument(name) for name in names), kinds=("bar:1m",), name="past")
        self.script = Path(script)

    async def history(self, subscription, start, end):
        said = json.loads(self.script.read_text()) if self.script.exists() else {}
        with open("asked.txt", "a") as file:
            file.write(f"{(start - START) // MINUTE} {(end - START) // MINUTE}\\n")
        if start >= START + MINUTE * said.get("hangs", 10**9):
            Path("hangs").touch()
            await asyncio.sleep(60)
        if start >= START + MINUTE * said.get("fails", 10**9):
            raise ConnectivityError("no route to the venue")
        if "breaks" in said:
            raise KeyError("close")
        missing = set(said.get("missing", ()))
        found = []
        for number in range((start - START) // MINUTE, (end - START) // MINUTE + 1):
            opened, price = START + number * MINUTE, 100.0 + number % 7
            if number not in missing and opened + MINUTE < end and opened >= start:
                low = 0.0 if number in said.get("bad", ()) else price - 1
                close = opened + MINUTE
                times = (opened, opened + MINUTE, opened + MINUTE)
                found.append(Bar(subscription.instrument, "1m", price, price + 1, low, price, 5.0, *times))
        return found


stream = Past()
number = 5
'''
DAY = ("--interval", "1m", "--since", "2024-01-01", "--until", "2024-01-02")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0))
    # One of its own name, since a script is imported once by its name.
    Path("in_and_out_past.py").write_text(STREAM)
    return None


@pytest.fixture
def fetch(fairlead: Any) -> Any:
    """The verb on the stream of the file, or another."""

    def call(*more: object, name: str = "in_and_out_past.py:Past", symbol: str = "BTC/USDT") -> Any:
        return fairlead("data", "fetch", "--stream", name, "--symbol", symbol, *more)

    return call


def script(**said: Any) -> None:
    Path("script.json").write_text(json.dumps(said))
    Path("asked.txt").unlink(missing_ok=True)


def asked() -> list[list[int]]:
    return [list(map(int, line.split())) for line in Path("asked.txt").read_text().splitlines()]


def bars_of(path: str) -> list[int]:
    stream = ReplayStream(path)
    start = 1_704_067_200 * 1_000_000_000
    return [(bar.open_ns - start) // 60_000_000_000 for bar in stream.replay()]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_day_is_fetched_in_pages_into_a_file_that_replays(fetch: Any, ending: str) -> None:
    """With the instrument's own rules, nothing to be said, and no fault in it."""
    done = fetch(*DAY, "--out", f"btc.{ending}")
    assert done.exit_code == 0, done.output
    assert bars_of(f"btc.{ending}") == list(range(1440))
    assert [page[0] for page in asked()] == [0, 1000]
    assert verify(f"btc.{ending}") == []
    (feed,) = inspect(f"btc.{ending}").feeds
    assert (feed.rows, feed.gaps) == (1440, 0)
    assert str(ReplayStream(f"btc.{ending}").instrument.lot) == "0.001"
    assert "1,440 bars of 1m of BTC/USDT@fake from 2024-01-01 00:00:00 to 2024-01-02 00:00:00" in done.output


def test_invented_bars_say_so_and_are_those_of_the_stream(fetch: Any) -> None:
    """The file is named by it, replays what the stream remembers, and backtests with its rules."""
    done = fetch(*DAY, "--set", "seed=3", name="synthetic")
    assert done.exit_code == 0, done.output
    name = "SYNTHETIC-BTC-USDT@sim.bar-1m.csv"
    assert len(bars_of(name)) == 1440
    stream, made = ReplayStream(name), SyntheticStream(seed=3)
    assert stream.instrument == made.instrument
    list(stream.replay())
    assert "SYNTHETIC seed=3" in stream.label


def test_a_recording_can_be_fetched_from(fetch: Any) -> None:
    """A stream that brings its own time has all of it behind."""
    assert fetch(*DAY, "--out", "one.csv").exit_code == 0
    done = fetch(*DAY, "--set", "path=one.csv", "--out", "two.csv", name="replay", symbol="BTC/USDT@fake")
    assert done.exit_code == 0, done.output
    assert bars_of("two.csv") == bars_of("one.csv")


def test_a_file_is_gone_on_with_where_it_ends(fetch: Any) -> None:
    """Only what it lacks is asked for, before and after what is there."""
    assert fetch(*DAY, "--out", "btc.csv").exit_code == 0
    script()
    done = fetch(
        "--interval", "1m", "--since", "2023-12-31T23:00Z", "--until", "2024-01-02T02:00Z", "--out", "btc.csv"
    )
    assert asked() == [[-60, 0], [1440, 1560]]
    assert "180 of them new" in done.output
    assert bars_of("btc.csv") == list(range(-60, 1560))
    script()
    again = fetch(*DAY, "--out", "btc.csv")
    assert again.exit_code == 0
    assert not Path("asked.txt").exists()
    assert "0 of them new" in again.output


def test_gaps_are_reported_by_time_and_filled_later(fetch: Any) -> None:
    """Those within a page of each other by one question; what is there is not asked for."""
    script(missing=[5, 6, 7, 300])
    done = fetch(*DAY, "--out", "btc.csv")
    assert done.exit_code == 0
    assert "missing: 3 bars from 2024-01-01 00:05:00 to 2024-01-01 00:08:00" in done.output
    assert "missing: 1 bar from 2024-01-01 05:00:00 to 2024-01-01 05:01:00" in done.output
    script(missing=[300])
    told = json.loads(fetch(*DAY, "--out", "btc.csv", "--json").output)
    assert asked() == [[5, 301]]
    start = 1_704_067_200 * 1_000_000_000
    assert told == {
        "complete": True,
        "files": [
            {
                "file": "btc.csv",
                "instrument": "BTC/USDT@fake",
                "interval": "1m",
                "rows": 1439,
                "added": 3,
                "start_ns": start,
                "end_ns": start + 86_400 * 10**9,
                "refused": 0,
                "gaps": [
                    {
                        "start_ns": start + 300 * 60 * 10**9,
                        "end_ns": start + 301 * 60 * 10**9,
                        "missing_bars": 1,
                    }
                ],
            }
        ],
    }


def test_a_bar_that_cannot_be_is_left_out(fetch: Any) -> None:
    """It is counted, and is a gap in the file."""
    script(bad=[10])
    done = fetch(*DAY, "--out", "btc.csv")
    assert "left out: 1 bar that cannot be" in done.output
    assert 10 not in bars_of("btc.csv")


def test_what_came_before_a_failure_is_kept(fetch: Any) -> None:
    """A question is asked again; in the end the file has what came, and the same command goes on."""
    script(fails=1000)
    done = fetch(*DAY, "--out", "btc.csv")
    assert done.exit_code == 1
    assert "no route to the venue" in done.output
    assert "asked again in" in done.output
    assert "the same command goes on from there" in done.output
    assert [page[0] for page in asked()] == [0, 1000, 1000, 1000]
    assert bars_of("btc.csv") == list(range(1000))
    script()
    assert fetch(*DAY, "--out", "btc.csv").exit_code == 0
    assert bars_of("btc.csv") == list(range(1440))


@pytest.mark.full
def test_ctrl_c_leaves_a_good_file(process: Any) -> None:
    """What had come by then is in it, whole."""
    script(hangs=1000)
    command = (
        "data",
        "fetch",
        "--stream",
        "in_and_out_past.py:stream",
        "-s",
        "BTC/USDT",
        *DAY,
        "--out",
        "btc.csv",
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "fairlead", *command], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    ends = time.monotonic() + 30
    while not Path("hangs").exists() and time.monotonic() < ends:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 1
    assert said == "fairlead: interrupted before all was fetched: the same command goes on from there\n"
    assert bars_of("btc.csv") == list(range(1000))
    assert verify("btc.csv") == []


def test_several_symbols_get_a_file_each(fetch: Any) -> None:
    """In the folder, by their names; one file for two is refused."""
    done = fetch("-s", "ETH/USDT", *DAY)
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path().glob("*.csv")} == {
        "BTC-USDT@fake.bar-1m.csv",
        "ETH-USDT@fake.bar-1m.csv",
    }
    assert "2 symbols need one each" in fetch("-s", "ETH/USDT", *DAY, "--out", "both.csv").output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--since", "yesterday"),
            "is no time: write 2024-01-31, 2024-01-31T09:30Z, or how long ago, such as 30d",
        ),
        (("--since", "2024-01-01T00:00"), "names no zone: write 2024-01-01T00:00Z"),
        (("--until", "2023-01-01"), "no bar of 1m has opened and closed from 2024-01-01"),
        (("--interval", "1q"), "is no interval of time: write 1m, 1h or 1d"),
        (("--interval", "tick:100"), "is no interval of time"),
        (("--out", "btc.txt"), "its ending says no format that is written: name it .csv, .jsonl, .parquet"),
        (("--symbol", "XRP/USDT", "--set", 'symbols=["ETH/USDT"]'), "nobody trades 'BTC/USDT' here"),
        (("--set", "colour=3"), "has no argument 'colour'"),
        (("--stream", "in_and_out_past.py"), "write in_and_out_past.py:OBJECT"),
        (("--stream", "in_and_out_past.py:nothing"), "has no 'nothing': name a stream of it"),
        (("--stream", "in_and_out_past.py:number"), "is int, and no stream"),
        (("--stream", "in_and_out_past.py:json"), "is module, and no stream"),
        (("--stream", "in_and_out_past.py:make_instrument"), "makes Instrument, and no stream"),
        (("--stream", "in_and_out_past.py:stream", "--set", "a=1"), "is for what makes a stream"),
        (("--stream", "nothing"), "is neither FILE.py nor an installed stream"),
        (("--broker", "paper"), "is no stream"),
    ],
)
def test_what_cannot_be_fetched_is_refused(fetch: Any, more: tuple[str, ...], said: str) -> None:
    """Code 2, and no file."""
    done = fetch(*DAY, *more)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not list(Path().glob("*.csv"))


def test_nothing_at_all_is_a_fault(fetch: Any) -> None:
    """With what the stream does offer."""
    script(missing=list(range(1440)))
    done = fetch(*DAY)
    assert done.exit_code == 1
    assert "has no bars of 1m of BTC/USDT@fake" in done.output
    assert "(it offers bar:1m)" in done.output


def test_a_stream_that_breaks_is_named(fetch: Any) -> None:
    """In one sentence, without a traceback."""
    script(breaks=True)
    done = fetch(*DAY)
    assert done.exit_code == 1
    assert "stream past failed in history (KeyError: 'close')" in done.output


def test_another_file_is_left_alone(fetch: Any) -> None:
    """One of another instrument or interval, or without a sidecar, is never written over."""
    Path("mine.csv").write_text("time,open\n")
    assert "it is there already and has no sidecar" in fetch(*DAY, "--out", "mine.csv").output
    assert Path("mine.csv").read_text() == "time,open\n"
    assert fetch(*DAY, "--out", "btc.csv").exit_code == 0
    before = Path("btc.csv").read_bytes()
    done = fetch(*DAY, "--out", "btc.csv", symbol="ETH/USDT")
    assert done.exit_code == 2
    assert "it holds bar:1m of BTC/USDT@fake" in done.output
    assert "invented and real bars" in fetch(
        *DAY, "--out", "btc.csv", name="synthetic", symbol="BTC/USDT"
    ).output or ("it holds bar:1m" in done.output)
    assert Path("btc.csv").read_bytes() == before


@pytest.mark.full
def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch, fetch: Any) -> None:
    """A bar on the error stream, of a terminal only."""
    seen: list[tuple[str, int]] = []

    class Bar:
        def __enter__(self) -> Any:
            return lambda text, done: seen.append((text, done))

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(fetching, "progress", lambda what, total: Bar())
    assert fetch(*DAY).exit_code == 0
    assert seen == [
        ("bars of BTC/USDT@fake to 2024-01-01 16:40:00", 1000),
        ("bars of BTC/USDT@fake to 2024-01-02 00:00:00", 1440),
    ]
