"""Recordings: what was taken is what replays, whatever ends the process, and nothing is lost in silence."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import Bar, Book, ConfigurationError, FairleadError, Mark, Quote, Trade, default_instrument
from fairlead.ports import MarketEvent, Subscription
from fairlead_streams import Recorder, ReplayStream, SyntheticStream, inspect, repair, verify
from fairlead_streams import recorder as recording

SECOND = 1_000_000_000
BTC = attrs.evolve(
    default_instrument("BTC/USDT:USDT", "binance", tick="0.1"),
    lot=Decimal("0.001"),
    min_notional=Decimal(5),
    contract_size=Decimal("0.01"),
    maker_fee=Decimal("-0.0001"),
    max_quantity=Decimal(1000),
    native="BTCUSDT",
)
ETH = default_instrument("ETH/USDT", "binance", tick="0.01")


def quote(number: int, instrument: Any = BTC, *, bid: float = 100.0) -> Quote:
    return Quote(instrument.id, bid, 101.0, 1.0, 0.0, number * SECOND, number * SECOND)


def record(folder: Path, events: list[MarketEvent], **settings: Any) -> list[Path]:
    recorder = Recorder(folder, [BTC, ETH], **settings)
    for event in events:
        recorder.take(event)
    recorder.close()
    return recorder.files


def consume(done: Iterable[object]) -> None:
    """Go through all of it."""
    deque(done, maxlen=0)


def sidecar(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{path}.meta.json").read_text(encoding="utf-8"))
    return found


# --- the same sequence --------------------------------------------------------------------------------------------

PRICES = st.floats(min_value=1e-9, max_value=1e12, allow_nan=False)
SIZES = st.floats(min_value=0, max_value=1e12, allow_nan=False)
IDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=8).filter(str.isprintable)
OWNERS = st.sampled_from([BTC.id, ETH.id])
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=3)


@st.composite
def sequences(draw: st.DrawFn) -> list[MarketEvent]:
    """Events of all kinds in the order of receipt, many at the same moment; bars on their grid."""
    now = draw(st.integers(0, 2**62 - 10**15))
    events: list[MarketEvent] = []
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0, 0, 1, 10**6, 61 * SECOND]))
        owner, event_ns = draw(OWNERS), now - draw(st.integers(0, 10**9))
        kind = draw(st.sampled_from(["quote", "trade", "book", "tick", "bar"]))
        prices = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
        if kind == "quote":
            events.append(Quote(owner, prices[0], prices[3], draw(SIZES), draw(SIZES), event_ns, now))
        elif kind == "trade":
            side = draw(st.sampled_from(["", "buy", "sell"]))
            events.append(Trade(owner, prices[0], draw(SIZES), event_ns, now, side, draw(IDS)))
        elif kind == "book":
            bids, asks = draw(LEVELS), draw(LEVELS)
            if not (bids and asks and bids[0][0] >= asks[0][0]):
                events.append(Book(owner, tuple(bids), tuple(asks), event_ns, now))
        else:
            low, first, last, high = prices
            interval, opened = ("tick:10", event_ns - 5) if kind == "tick" else ("1m", event_ns)
            if kind == "bar":
                now = (now // (60 * SECOND) + 1) * 60 * SECOND
                opened, event_ns = now - 60 * SECOND, now
                now += draw(st.integers(0, 10**6))
                if any(
                    isinstance(e, Bar) and (e.instrument, e.event_ns) == (owner, event_ns) for e in events
                ):
                    continue
            events.append(Bar(owner, interval, first, high, low, last, draw(SIZES), opened, event_ns, now))
    return events


@pytest.mark.parametrize("encoding", ["csv", "jsonl", "parquet"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=sequences(), rotate=st.sampled_from([None, "0.4kB", "1m"]))
def test_what_was_recorded_replays_as_it_was(
    encoding: str, events: list[MarketEvent], rotate: str | None, tmp_path_factory: Any
) -> None:
    """Any sequence of events gives the same sequence: times, prices, sizes, ids, sides, and the order of ties."""
    if encoding == "parquet":
        pytest.importorskip("pyarrow", reason="writing Parquet needs the extra fairlead-streams[parquet]")
    folder = tmp_path_factory.mktemp("recording")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # a disk that is waited for makes it no truer
        files = record(folder, events, format=encoding, rotate=rotate)
    assert not list(folder.glob("*.partial")) + list(folder.glob("*.new"))
    if events:
        assert list(ReplayStream(files).replay()) == events
        assert [
            finding for path in files for finding in verify(path) if "missing" not in finding.reason
        ] == []


@pytest.mark.full
def test_a_recorded_day_of_two_markets(tmp_path: Path) -> None:
    """Hours of an invented market, in rotated files, with every tie in its order."""
    stream = SyntheticStream(["BTC/USDT", "ETH/USDT"], duration="2h")
    events = list(stream.replay())
    instruments = asyncio.run(stream.instruments())
    recorder = Recorder(tmp_path, instruments, label=stream.label, rotate="30m")
    for event in events:
        recorder.take(event)
    recorder.close()
    assert len(recorder.files) == 4 * 4
    back = ReplayStream(recorder.files)
    assert list(back.replay()) == events
    assert asyncio.run(back.instruments()) == instruments
    assert "SYNTHETIC" in back.label
    assert all(path.name.startswith("SYNTHETIC-") for path in recorder.files)


# --- what stands beside it ----------------------------------------------------------------------------------------


def test_a_replay_has_the_true_rules(tmp_path: Path) -> None:
    """Tick, lot, fees, contract size and native name are those of the venue, not the default ones."""
    files = record(tmp_path, [quote(1), quote(2)])
    assert ReplayStream(files).instrument == BTC
    assert ReplayStream(files, symbol="BTC/USDT:USDT@paper").instrument == attrs.evolve(BTC, venue="paper")
    assert ReplayStream(files, fee="0.001").instrument.taker_fee == Decimal("0.001")
    with pytest.raises(ConfigurationError, match="its sidecar says that it holds BTC/USDT:USDT@binance"):
        ReplayStream(files, symbol="ETH/USDT").instrument  # noqa: B018 - it is what refuses


def test_the_sidecar_tells_where_the_rows_came_from(tmp_path: Path) -> None:
    """Source, label, times, counts, gaps, terms and a checksum."""
    events = [quote(1), quote(2), quote(300), quote(301, bid=102.0)]
    (path,) = record(tmp_path, events, stream="binance", label="testnet", terms="Private use.")
    found = sidecar(path)
    assert {key: found[key] for key in ("stream", "label", "terms", "rows", "refused", "synthetic")} == {
        "stream": "binance",
        "label": "testnet",
        "terms": "Private use.",
        "rows": 3,
        "refused": 1,
        "synthetic": False,
    }
    assert found["refused_because"] == "bid 102.0 is above ask 101.0"
    assert found["gaps"] == [[2 * SECOND, 300 * SECOND]]
    assert (found["start_ns"], found["end_ns"]) == (SECOND, 300 * SECOND)
    assert found["bytes"] == path.stat().st_size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "its format is not"),
        ({"version": 9}, "its version is 9"),
        ({"kind": "bar"}, "kind is 'bar'"),
        ({"rows": "many"}, "rows is 'many'"),
        ({"gaps": [[1]]}, "gaps are pairs"),
        ({"instrument": []}, "instrument is no object"),
        ({"instrument": {"symbol": "BTC/USDT"}}, "missing"),
        ({"complete": False}, "fairlead data verify --repair"),
    ],
)
def test_a_sidecar_that_cannot_be_believed_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """In one sentence that says what is wrong; the rows are not read by guess."""
    (path,) = record(tmp_path, [quote(1)])
    place = Path(f"{path}.meta.json")
    place.write_text(json.dumps({**sidecar(path), **change}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words) as refusal:
        list(ReplayStream(path).replay())
    assert "\n" not in str(refusal.value)
    assert verify(path)


def test_rows_that_are_not_the_sidecars_are_refused(tmp_path: Path) -> None:
    """A file under another's name is noticed by its columns."""
    quotes, trades = record(tmp_path, [quote(1), Trade(BTC.id, 1.0, 1.0, SECOND, SECOND)])
    trades.replace(quotes)
    with pytest.raises(ConfigurationError, match="and its sidecar says seq, event_ns"):
        list(ReplayStream(quotes).replay())


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"format": "xml"}, "use one of csv, jsonl, parquet"),
        ({"rotate": "often"}, "write 100MB or 1d"),
        ({"rotate": "-1d"}, "write 100MB or 1d"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    """A sentence with the remedy."""
    with pytest.raises(ConfigurationError, match=words):
        Recorder(tmp_path, [BTC], **settings)


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """An instrument that is not known, and a kind of event that no file holds."""
    recorder = Recorder(tmp_path, [BTC])
    with pytest.raises(ConfigurationError, match="name its instrument"):
        recorder.take(quote(1, ETH))
    with pytest.raises(ConfigurationError, match="a Mark cannot be recorded"):
        recorder.take(Mark(BTC.id, 1.0, 1, 1))


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is recorded, with the command that helps."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'fairlead-streams\[parquet\]'"):
        Recorder(tmp_path, [BTC], format="parquet")


# --- ends that nobody wants ---------------------------------------------------------------------------------------

ENDLESS = """
import sys
from fairlead import Quote, default_instrument
from fairlead_streams import Recorder

btc = default_instrument("BTC/USDT", "sim", tick="0.1")
recorder = Recorder(sys.argv[1], [btc], format=sys.argv[2])
for n in range(1, 10**9):
    recorder.take(Quote(btc.id, 100.0, 101.0, 1.0, 1.0, n * 10**6, n * 10**6))
    if n == 2000:
        print("flushed", flush=True)
"""


@pytest.mark.parametrize("encoding", ["csv", "jsonl", "parquet"])
def test_what_was_flushed_survives_a_kill(tmp_path: Path, encoding: str) -> None:
    """After kill -9 the rows are there, and a torn last line is named and cut, never silently."""
    if encoding == "parquet":
        pytest.importorskip("pyarrow", reason="writing Parquet needs the extra fairlead-streams[parquet]")
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, tmp_path, encoding], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (partial,) = tmp_path.glob("*.partial")
    with partial.open("ab") as file:
        file.write(b"17,99")
    with pytest.raises(ConfigurationError, match="was cut short"):
        list(ReplayStream(partial).replay())
    assert "its last line is cut after 5 bytes (b'17,99')" in str(verify(partial)[0])
    said = repair(partial)
    assert "a torn last line of 5 bytes (b'17,99') was cut" in said
    (path,) = tmp_path.glob(f"*.{encoding}")
    events = list(ReplayStream(path).replay())
    assert len(events) >= 1536
    assert [event.event_ns for event in events] == [n * 10**6 for n in range(1, len(events) + 1)]
    assert verify(path) == []
    assert not partial.exists()


def test_a_cut_recording_of_no_row_is_removed(tmp_path: Path) -> None:
    """There is nothing in it."""
    recorder = Recorder(tmp_path, [BTC])
    recorder.take(quote(1))
    recorder.flush()
    (partial,) = tmp_path.glob("*.partial")
    partial.write_bytes(partial.read_bytes()[:-20])
    assert "held no whole row" in repair(partial)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_cut_recording_is_not_repaired(tmp_path: Path) -> None:
    """A whole file stays as it is."""
    (path,) = record(tmp_path, [quote(1)])
    with pytest.raises(ConfigurationError, match="no recording that was cut short"):
        repair(path)


@pytest.mark.parametrize("room", [0, 300, 700, 4000])
def test_a_full_disk_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """It is said, and what was written by then is intact and replays."""
    left, real = room, os.write

    def write(file: int, data: Any) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(file, bytes(data)[:left])
        left -= count
        return count

    monkeypatch.setattr(recording.os, "write", write)
    recorder = Recorder(tmp_path, [BTC])
    with pytest.raises(FairleadError, match=r"No space left on device.*make room"):
        consume(map(recorder.take, map(quote, range(1, 100_000))))
    monkeypatch.undo()
    recorder.close()
    assert not list(tmp_path.glob("*.partial"))
    events = [event for path in recorder.files for event in ReplayStream(path).replay()]
    assert events == [quote(n) for n in range(1, len(events) + 1)]
    assert len(events) == recorder.rows
    assert [finding for path in recorder.files for finding in verify(path)] == []


def test_a_second_recording_takes_the_next_number(tmp_path: Path) -> None:
    """Nothing is overwritten, and both replay as one."""
    files = record(tmp_path, [quote(1)]) + record(tmp_path, [quote(2)])
    assert [path.name.split(".")[-2] for path in files] == ["0001", "0002"]
    assert list(ReplayStream(files).replay()) == [quote(1), quote(2)]


# --- looking at files ---------------------------------------------------------------------------------------------


def test_every_fault_is_named_by_its_line(write: Callable[..., Path]) -> None:
    """Order, duplicates, NaN, negative prices, an impossible bar, and a gap."""
    path = write(
        "time,open,high,low,close,volume\n"
        "2024-01-01T00:00:00Z,1,2,1,2,5\n"
        "2024-01-01T00:01:00Z,1,2,1,2,5\n"
        "2024-01-01T00:01:00Z,1,2,1,2,5\n"
        "2024-01-01T00:02:00Z,1,nan,1,2,5\n"
        "2024-01-01T00:03:00Z,-1,2,-1,2,5\n"
        "2024-01-01T00:04:00Z,1,2,3,2,5\n"
        "2024-01-01T00:05:00Z,1,2,1,2,5\n"
        "2024-01-01T00:04:30Z,1,2,1,2,5\n"
    )
    found = {finding.line: finding.reason for finding in verify(path)}
    assert sorted(found) == [4, 5, 6, 7, 8, 9]
    for line, words in (
        (4, "duplicate"),
        (5, "NaN"),
        (6, "-1.0"),
        (7, "below low"),
        (8, "missing"),
        (9, "before"),
    ):
        assert words in found[line]


def test_a_changed_recording_is_noticed(tmp_path: Path) -> None:
    """By its checksum, also where the change is a good row."""
    (path,) = record(tmp_path, [quote(1), quote(2)])
    path.write_bytes(path.read_bytes().replace(b"100.0", b"100.5"))
    assert "its checksum is not that of its sidecar" in str(verify(path)[0])


def test_a_sidecar_without_its_file_is_a_fault(tmp_path: Path) -> None:
    """With its file it is none."""
    (path,) = record(tmp_path, [quote(1)])
    beside = Path(f"{path}.meta.json")
    assert verify(beside) == []
    path.unlink()
    assert "is not there" in str(verify(beside)[0])


def test_a_look_needs_no_words(write: Callable[..., Path]) -> None:
    """What a replay must be told is a note; what stands in the file is said."""
    path = write(
        "time,open,high,low,close,volume\n2024-01-01 00:00:00,1,2,1,2,5\n2024-01-01 00:01:00,1,2,1,2,5\n"
    )
    found = inspect(path)
    assert [(feed.kind, feed.rows, feed.instrument) for feed in found.feeds] == [("bar:1m", 2, "")]
    assert found.zone == ""
    assert "tz='UTC'" in found.notes[0]
    assert verify(path) == []


def test_trades_seen_twice_are_counted(tmp_path: Path) -> None:
    """By their ids."""
    events = [Trade(BTC.id, 1.0, 2.0, n, n, "buy", str(n // 2)) for n in range(1, 8)]
    (path,) = record(tmp_path, events)
    (feed,) = inspect(path).feeds
    assert (feed.repeated, feed.volume) == (3, 14.0)


def test_a_recording_serves_a_feed_of_books(tmp_path: Path) -> None:
    """Books are played like any other feed."""
    book = Book(BTC.id, ((1.0, 2.0),), ((1.5, 3.0), (2.0, 0.0)), SECOND, SECOND)
    stream = ReplayStream(record(tmp_path, [book]))
    assert stream.offers("BTC/USDT:USDT") == ("book",)
    assert list(stream.replay([Subscription(BTC.id, "book")])) == [book]
