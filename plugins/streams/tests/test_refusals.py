"""Input that cannot be used is refused in one sentence: the culprit, the rule and the remedy."""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from fairlead import ConfigurationError
from fairlead_streams import Fault, ReplayStream

Write = Callable[..., Path]
BARS = "timestamp,open,high,low,close,volume\n"
TRADES = "time,price,qty\n"
SAID = {"symbol": "BTC/USDT", "bar_label": "open", "volume_unit": "base"}


def refusal(path: Path | list[Path], **said: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ReplayStream(path, **{**SAID, **said}).instrument  # type: ignore[arg-type]  # noqa: B018
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1609459260,NaN,12,9,11,5", "line 3: open is NaN, and a price is a finite number above 0"),
        ("1609459260,10,inf,9,11,5", "line 3: high is infinite, and a price is a finite number above 0"),
        ("1609459260,10,12,0,11,5", "line 3: low is 0.0, and a price is a finite number above 0"),
        ("1609459260,10,12,9,-11,5", "line 3: close is -11.0, and a price is a finite number above 0"),
        ("1609459260,10,8,9,11,5", "line 3: high 8.0 is below low 9.0"),
        ("1609459260,13,12,9,11,5", "line 3: open 13.0 is outside low 9.0 to high 12.0"),
        ("1609459260,10,12,9,8,5", "line 3: close 8.0 is outside low 9.0 to high 12.0"),
        ("1609459260,10,12,9,11,-5", "line 3: volume is -5.0, and it is a finite number not below 0"),
        ("1609459260,10,12,9,eleven,5", "line 3: close 'eleven' is not a number"),
        ("1609459260,10,12,9,,5", "line 3: close is missing"),
        ("yesterday,10,12,9,11,5", "line 3: time 'yesterday' is neither ISO 8601 nor a count since 1970"),
        (",10,12,9,11,5", "line 3: it has no time"),
        ("1609459260000,10,12,9,11,5", "line 3: time '1609459260000' is in ms, and the file began in s"),
        ("1609459260,10,12,9", "line 3: it has 4 cells, and the others have 6"),
        ("1609459140,10,12,9,11,5", "line 3: its time 2020-12-31T23:59:00Z is before that of line 2"),
        (
            "1609459200,10,12,9,11,5",
            "line 3: its time 2021-01-01T00:00:00Z is that of line 2 again: a duplicate bar",
        ),
        ("1609459500,10,12,9,11,5", "line 3: its time 2021-01-01T00:05:00Z is after that of line 4"),
        ("1609459230,10,12,9,11,5", "line 3: it comes 30s after line 2, and bars here last 1m"),
    ],
)
def test_a_bad_bar_refuses_the_file_by_its_line(write: Write, row: str, reason: str) -> None:
    """The message names file, line, rule and remedy."""
    good = [f"{1609459200 + 60 * step},10,12,9,11,5" for step in (0, 2, 3, 4)]
    text = refusal(write(BARS + "\n".join([good[0], row, *good[1:]]) + "\n"))
    assert text == (
        f"btc.csv: 1 row cannot be used ({reason}), and every row must hold finite prices above 0 in the order of "
        f"time: correct the file, or leave them out with on_fault='skip'"
    )


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("time,bid,ask,bid_size,ask_size", "1609459200,11,10,1,1", "line 2: bid 11.0 is above ask 10.0"),
        ("time,bid,ask,bid_size,ask_size", "1609459200,-1,10,1,1", "line 2: bid is -1.0"),
        ("time,bid,ask,bid_size,ask_size", "1609459200,9,10,nan,1", "line 2: bid_size is NaN"),
        ("time,price,qty", "1609459200,10,0", "line 2: size is 0.0, and it is a finite number above 0"),
        ("time,price,qty,side", "1609459200,10,1,up", "line 2: side 'up' is none of buy"),
    ],
)
def test_bad_quotes_and_trades_refuse_the_file_too(write: Write, header: str, row: str, reason: str) -> None:
    """Crossed quotes, empty trades and unknown sides are faults."""
    assert reason in refusal(write(f"{header}\n{row}\n"))


def test_many_faults_are_told_at_once(write: Write) -> None:
    """The first ten are named, and how many there are."""
    text = refusal(write(TRADES + "".join(f"{1609459200 + step},-1,1\n" for step in range(1, 26))))
    assert "25 rows cannot be used (line 2: " in text
    assert "line 11: " in text
    assert "line 12" not in text
    assert "and 15 more)" in text


def test_skipping_leaves_bad_rows_out_and_reports_them_once(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """`on_fault="skip"` keeps the list of what it left out, and logs it one time."""
    path = write(TRADES + "1609459200,10,1\n1609459201,nan,1\n\n1609459199,9,1\n1609459203,11,1\n")
    stream = ReplayStream(path, symbol="BTC/USDT", on_fault="skip")
    with caplog.at_level(logging.WARNING, "fairlead.streams"):
        assert [trade.price for trade in stream.replay()] == [10.0, 11.0]  # type: ignore[union-attr]
        assert len(list(stream.replay())) == 2
    assert stream.faults == (
        Fault("btc.csv", 3, "price is NaN, and a price is a finite number above 0"),
        Fault("btc.csv", 5, "its time 2020-12-31T23:59:59Z is before that of line 2"),
    )
    assert len(caplog.records) == 1
    assert "left out 2 rows: line 3: price is NaN" in caplog.text


def test_a_file_of_bad_rows_only_is_refused_even_when_skipping(write: Write) -> None:
    """Nothing left is not a recording."""
    text = refusal(write(TRADES + "1609459200,-1,1\n"), on_fault="skip")
    assert text.endswith("correct the file: nothing is left without them")


def test_one_row_from_the_future_is_the_one_that_is_named(write: Write) -> None:
    """A single leap forward does not condemn all rows after it."""
    path = write(TRADES + "1609459200,10,1\n1999999999,11,1\n1609459201,12,1\n1609459202,13,1\n")
    stream = ReplayStream(path, symbol="BTC/USDT", on_fault="skip")
    assert [fault.line for fault in stream.faults] == [3]


def test_missing_bars_are_gaps_and_no_faults(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """They are listed with their line, bounds and number, logged once, and refuse nothing."""
    rows = [f"{1609459200 + 60 * step},10,12,9,11,5" for step in (0, 1, 2, 5, 6)]
    stream = ReplayStream(write(BARS + "\n".join(rows)), **SAID)  # type: ignore[arg-type]
    assert len(list(stream.replay())) == 5
    (gap,) = stream.gaps
    assert (gap.line, gap.missing, gap.end_ns - gap.start_ns) == (5, 2, 120_000_000_000)
    assert str(gap) == "line 5: 2 bars are missing from 2021-01-01T00:03:00Z to 2021-01-01T00:05:00Z"
    assert caplog.text.count("2 bars are missing in 1 gap:") == 1
    assert stream.faults == ()


def test_an_ambiguous_bar_file_is_refused_with_all_questions_at_once(write: Write) -> None:
    """Zone, unit of volume and label are asked for in one sentence."""
    path = write(BARS + "2021-01-01 00:00:00,10,12,9,11,5\n2021-01-01 00:01:00,10,12,9,11,5\n")
    assert refusal(path, bar_label=None, volume_unit=None) == (
        "btc.csv: it does not say what must be known, and a guess could be wrong without a sign: pass tz='UTC' or "
        "another zone (its times, such as '2021-01-01 00:00:00', name none), volume_unit='base' or 'quote' (what its "
        "volume counts), bar_label='open' or 'close' (which end of a bar its time marks)"
    )
    assert refusal(path) == (
        "btc.csv: it does not say what must be known, and a guess could be wrong without a sign: pass tz='UTC' or "
        "another zone (its times, such as '2021-01-01 00:00:00', name none)"
    )


def test_a_time_without_zone_in_the_middle_of_a_file_is_refused_as_well(write: Write) -> None:
    """A first row with a zone does not speak for the others."""
    path = write(TRADES + "2021-01-01T00:00:00Z,10,1\n2021-01-01T00:00:01,10,1\n")
    assert "name no zone" in refusal(path)
    assert "pass tz=" in refusal(path)


def test_naive_timestamps_of_parquet_are_refused(tmp_path: Path) -> None:
    """pandas writes times without zone unless it is told to."""
    pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "btc.parquet"
    times = pa.array([1_609_459_200_000], pa.timestamp("ms"))
    pq.write_table(pa.table({"time": times, "price": [10.0], "qty": [1.0]}), path)
    assert "pass tz='UTC' or another zone (its times, such as '2021-01-01T00:00:00', name none)" in refusal(
        path
    )


@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, keep: float) -> None:
    """Its index stands at its end, so a part of it cannot be trusted."""
    pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "btc.parquet"
    pq.write_table(
        pa.table({"time": list(range(1609459200, 1609460200)), "price": [1.0] * 1000, "qty": [1.0] * 1000}),
        path,
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    text = refusal(path)
    assert text.startswith("btc.parquet: it cannot be read as Parquet (")
    assert text.endswith("a cut or damaged file holds no rows that can be trusted: copy or download it again")


def test_a_bad_row_of_parquet_is_named_by_its_row(tmp_path: Path) -> None:
    """Rows count from 1; a missing value is a fault like any other."""
    pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "btc.parquet"
    times = pa.array([1_609_459_200_000, None, 1_609_459_202_000], pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"time": times, "price": [10.0, 11.0, None], "qty": [1.0, 1.0, 1.0]}), path)
    assert "(row 2: it has no time; row 3: price is missing)" in refusal(path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path) -> None:
    """The reader is optional, and says how to get it."""
    path = tmp_path / "btc.parquet"
    path.write_bytes(b"PAR1 and so on")
    with mock.patch.dict("sys.modules", {"pyarrow": None, "pyarrow.parquet": None}):
        assert "pip install 'fairlead-streams[parquet]'" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name in ("btc.csv", "btc.parquet", "btc.jsonl") for content in ("", "\n \n")]
    + [("btc.csv", BARS)],
)
def test_an_empty_file_is_refused(write: Write, content: str, name: str) -> None:
    """No bytes, blank lines or a header alone are no market data."""
    text = refusal(write(content, name))
    assert text.startswith(f"{name}: it ")
    assert "and a file of market data has" in text
    assert text.endswith("record or download it again")


def test_packed_data_that_ends_early_is_refused(write: Write) -> None:
    """A cut gzip file is not read for the whole."""
    rows = "".join(f"{1609459200 + step},{step + 1},1\n" for step in range(5000))
    packed = gzip.compress((TRADES + rows).encode())
    text = refusal(write(packed[: len(packed) // 2], "btc.csv.gz"))
    assert text.startswith("btc.csv.gz: its packed data ends early or is damaged")


@pytest.mark.parametrize(
    ("content", "said", "culprit", "remedy"),
    [
        (
            "when,what\n1609459200,5\n",
            {},
            "its columns (when, what) are neither bars, quotes nor trades",
            "name them",
        ),
        ("price,qty\n5,5\n", {}, "none of its columns (price, qty) is a time", "name it"),
        (
            "1609459200,5,6\n",
            {},
            "it has no header, and its 3 columns are of no shape that is known",
            "columns=(",
        ),
        ("time,price,qty,bid,ask\n1609459200,5,6,4,5\n", {}, "could be quotes or trades", "pass kind="),
        (
            TRADES + "1609459200,5,1\n",
            {"kind": "quotes"},
            "quotes need bid and ask",
            "name bid and ask, such as",
        ),
        (
            "time,open,high,low,settle\n1609459200,5,6,4,5\n",
            {},
            "only close of bars is wanting",
            "columns={'close': 'last'}",
        ),
        (TRADES + "1609459200,5,1\n", {"tick": 0}, "tick 0 is no step between prices", "or leave it out"),
        (TRADES + "1609459200,5,1\n", {"interval": "0m"}, "interval 0m is no length", "or leave it out"),
        (
            BARS + "1609459200,10,12,9,11,5\n1609459260,10,12,9,11,5\n1609459320,10,12,9,11,5\n",
            {**SAID, "interval": "5m"},
            "its bars follow each other by 1m, and interval='5m' would have them overlap",
            "pass interval='1m', or leave it out",
        ),
        (
            BARS + "2021-01-01 00:00:00,10,12,9,11,5\n2021-01-01 00:01:00,10,12,9,11,5\n",
            {"symbol": None, "bar_label": None},
            "symbol='BTC/USDT' or another (its instrument), tz='UTC'",
            "bar_label='open' or 'close'",
        ),
        (TRADES + "1609459200,5,1\n", {"fee": "5"}, "a fee is a ratio below 5 %", "write 0.0005 for 0.05 %"),
        (TRADES + "1609459200,5,1\n", {"fee": "-0.05"}, "fee -0.05 is -5.00 %", "write 0.0005 for 0.05 %"),
        (
            TRADES + "1609459200,5,1\n",
            {"columns": {"price": "last"}},
            "it has no column 'last' for price",
            "time, price",
        ),
        (TRADES + "1609459200,5,1\n", {"columns": {"cost": "price"}}, "'cost' is not a role", "use one of"),
        (TRADES + "1609459200,5,1\n", {"symbol": None}, "it does not name its instrument", "pass symbol="),
        (TRADES + "1609459200,5,1\n", {"symbol": "BTCUSDT"}, "'BTCUSDT' is not a symbol", "write BASE/QUOTE"),
        (
            "symbol,time,price,qty\nBTCUSDT,1609459200,5,1\n",
            {"symbol": None},
            "its symbol 'BTCUSDT'",
            "pass symbol=",
        ),
        (
            "symbol,time,price,qty\nA,1609459200,5,1\nB,1609459200,5,1\n",
            {},
            "it holds A, B",
            "must name one of them",
        ),
        (
            BARS + "1609459200,10,12,9,11,5\n",
            {},
            "its one bar does not show how long bars last",
            "pass interval=",
        ),
        (
            "open_time,open,high,low,close,volume\n1609459200,10,12,9,11,5\n",
            {"bar_label": "close"},
            "its times are open times by their name",
            "leave bar_label out",
        ),
        ("\xff\xfe\x00", {}, "is not UTF-8 text", "convert it first"),
    ],
)
def test_what_cannot_be_told_is_asked_for(
    write: Write, content: str, said: dict[str, object], culprit: str, remedy: str
) -> None:
    """Each question names what to pass."""
    text = refusal(write(content.encode("latin-1")), **said)
    assert culprit in text
    assert remedy in text


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"kind": "candles"}, "kind 'candles' is not known: use one of 'bars'"),
        ({"volume_unit": "lots"}, "volume_unit 'lots' is not known: use one of 'base', 'quote'"),
        ({"bar_label": "left"}, "bar_label 'left' is not known: use one of 'open', 'close'"),
        ({"on_fault": "ignore"}, "on_fault 'ignore' is not known: use one of 'refuse', 'skip'"),
        (
            {"tz": "Mars/Olympus"},
            "tz 'Mars/Olympus' is not a time zone: write UTC or a name such as 'Europe/Berlin'",
        ),
        ({"speed": "fast"}, "speed 'fast' is not a factor above 0: write 60 or '60x'"),
        ({"speed": 0}, "speed 0 is not a factor above 0"),
        ({"start": "soon"}, "start 'soon' is not a time: write one such as 2024-01-31T09:30Z"),
        (
            {"end": "2024-01-31T09:30"},
            "end 2024-01-31T09:30 names no zone, and a time without zone is refused",
        ),
        ({"interval": "1 minute"}, "'1 minute' is not a duration"),
        ({"tick": "x"}, "tick 'x' is not a number"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(said: dict[str, object], message: str) -> None:
    """Constructing opens no file, and checks everything that needs none."""
    with pytest.raises(ConfigurationError, match=r".") as caught:
        ReplayStream("nowhere.csv", **said)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named_when_it_is_needed(tmp_path: Path) -> None:
    """Constructing a stream opens nothing."""
    stream = ReplayStream(tmp_path / "none.csv", symbol="BTC/USDT")
    with pytest.raises(ConfigurationError, match=r"none\.csv: there is no such file: check the path"):
        list(stream.replay())
    with pytest.raises(
        ConfigurationError, match="it is a folder, and market data is read from files: list them"
    ):
        list(ReplayStream(tmp_path, symbol="BTC/USDT").replay())
    with pytest.raises(ConfigurationError, match="a ReplayStream of no files has nothing to replay"):
        ReplayStream([])


def test_files_of_one_feed_that_overlap_are_refused(write: Write) -> None:
    """Rows that are in two files would be events twice."""
    first = write(BARS + "".join(f"{1609459200 + 60 * step},10,12,9,11,5\n" for step in range(3)), "a.csv")
    second = write(
        BARS + "".join(f"{1609459200 + 60 * step},10,12,9,11,5\n" for step in range(2, 5)), "b.csv"
    )
    text = refusal([first, second])
    assert "b.csv: its bar:1m rows begin 2021-01-01T00:03:00Z, before a.csv ends" in text
    assert "leave one of them out" in text


def test_bars_missing_between_two_files_are_a_gap(write: Write) -> None:
    """Files of one feed are one recording."""
    first = write(BARS + "".join(f"{1609459200 + 60 * step},10,12,9,11,5\n" for step in range(3)), "a.csv")
    second = write(
        BARS + "".join(f"{1609459200 + 60 * step},10,12,9,11,5\n" for step in range(5, 8)), "b.csv"
    )
    stream = ReplayStream([second, first], **SAID)  # type: ignore[arg-type]
    assert len(list(stream.replay())) == 6
    assert [(gap.file, gap.line, gap.missing) for gap in stream.gaps] == [("b.csv", 2, 2)]


def test_broken_json_is_named_by_its_line(write: Write) -> None:
    """Lines that are no JSON, or no row, are faults; a cut array is refused as a whole."""
    line = '{"time": 1609459200, "price": 10, "qty": 1}\n'
    assert "line 2: '{\"time\": 16' is not JSON" in refusal(write(line + '{"time": 16\n', "btc.jsonl"))
    assert "line 2: it is neither a JSON object nor an array" in refusal(write(line + "7\n", "btc.jsonl"))
    assert "line 2: it is not of the form of the first" in refusal(write(line + "[1, 2, 3]\n", "btc.jsonl"))
    assert "btc.json: it is one JSON array that ends early" in refusal(write("[" + line + ",", "btc.json"))
