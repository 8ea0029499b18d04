"""Files as venues deliver them: what their columns, times and units mean."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead import Bar, ConfigurationError, Quote, Trade
from fairlead_streams import ReplayStream

Write = Callable[..., Path]
T0 = 1_609_459_200_000_000_000  # 2021-01-01 UTC
MINUTE = 60_000_000_000


def events(path: Path | list[Path], **said: object) -> list[object]:
    return list(ReplayStream(path, **{"symbol": "BTC/USDT", **said}).replay())  # type: ignore[arg-type]


def test_a_bar_labelled_by_its_close_ends_there(write: Write) -> None:
    """With bar_label "close" the time in the file is the event time, and the bucket began an interval before."""
    path = write("timestamp,open,high,low,close,volume\n1609459260,1,3,1,2,8\n1609459320,2,2,2,2,4\n")
    first, second = events(path, bar_label="close", volume_unit="base")
    assert first == Bar("BTC/USDT@sim", "1m", 1.0, 3.0, 1.0, 2.0, 8.0, T0, T0 + MINUTE, T0 + MINUTE)
    assert second.open_ns == first.event_ns  # type: ignore[attr-defined]


def test_a_bar_labelled_by_its_open_is_an_event_an_interval_later(write: Write) -> None:
    """With bar_label "open" the event time is the time in the file plus the interval."""
    path = write("timestamp,open,high,low,close,volume\n1609459200,1,3,1,2,8\n1609459260,2,2,2,2,4\n")
    first = events(path, bar_label="open", volume_unit="base")[0]
    assert first == Bar("BTC/USDT@sim", "1m", 1.0, 3.0, 1.0, 2.0, 8.0, T0, T0 + MINUTE, T0 + MINUTE)


def test_quote_volume_becomes_base_volume_by_the_close(write: Write) -> None:
    """Events carry base units, whatever the file counts in."""
    path = write("timestamp,open,high,low,close,volume\n1609459200,1,3,1,2,8\n1609459260,2,2,2,2,5\n")
    volumes = [bar.volume for bar in events(path, bar_label="open", volume_unit="quote")]  # type: ignore[attr-defined]
    assert volumes == [4.0, 2.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1609459200", T0),
        ("1609459200.25", T0 + 250_000_000),
        ("1609459200123", T0 + 123_000_000),
        ("1609459200123456", T0 + 123_456_000),
        ("1609459200123456789", T0 + 123_456_789),
        ("2021-01-01T00:00:00Z", T0),
        ("2021-01-01 02:00:00+02:00", T0),
        ("2021-01-01T00:00:00.123456789Z", T0 + 123_456_789),
        ("2021-01-01 00:00:00 UTC", T0),
    ],
)
def test_the_unit_of_times_is_told_by_their_size_and_form(write: Write, text: str, expected: int) -> None:
    """Integers of s, ms, us and ns, seconds with decimals and ISO text with a zone need no help."""
    (trade,) = events(write(f"time,price,qty\n{text},10,1\n"))
    assert trade == Trade("BTC/USDT@sim", 10.0, 1.0, expected, expected)


@pytest.mark.parametrize(
    ("tz", "hours"),
    [("UTC", 0), ("Europe/Berlin", -1), ("Asia/Tokyo", -9), (UTC, 0), ("America/New_York", 5)],
)
def test_times_without_zone_are_read_in_the_zone_that_was_said(write: Write, tz: object, hours: int) -> None:
    """`tz` is an IANA name or a tzinfo."""
    (trade,) = events(write("time,price,qty\n2021-01-01 00:00:00,10,1\n"), tz=tz)
    assert trade.event_ns == T0 + hours * 60 * MINUTE  # type: ignore[attr-defined]


def test_dates_and_hours_in_two_columns_are_joined(write: Write) -> None:
    """Terminals export `<DATE>` and `<TIME>`, with dots in the date and tabs between the cells."""
    path = write(
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n"
        "2021.01.01\t00:00:00\t1.1\t1.2\t1.0\t1.1\t5\n"
        "2021.01.01\t01:00:00\t1.1\t1.2\t1.0\t1.1\t5\n"
    )
    first = events(path, symbol="EUR/USD", tz="UTC", bar_label="open", volume_unit="base")[0]
    assert (first.interval, first.open_ns) == ("1h", T0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("header", [True, False])
def test_binance_klines_say_all_of_themselves(write: Write, header: bool) -> None:
    """A dump with open time, close time and quote volume needs nothing said, with or without its header."""
    names = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore\n"
    )
    rows = "1609459200000,10,12,9,11,5,1609459259999,55,7,1,11,0\n"
    rows += "1609459260000,11,12,9,11,6,1609459319999,66,7,1,11,0\n"
    first = events(write((names if header else "") + rows))[0]
    assert first == Bar("BTC/USDT@sim", "1m", 10.0, 12.0, 9.0, 11.0, 5.0, T0, T0 + MINUTE, T0 + MINUTE)


def test_one_kline_shows_its_interval_by_both_its_times(write: Write) -> None:
    """Open time and close time give the interval where there is no second bar to compare with."""
    (bar,) = events(write("1609459200000,10,12,9,11,5,1609459259999,55,7,1,11,0\n"))
    assert (bar.interval, bar.event_ns) == ("1m", T0 + MINUTE)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "row",
    [
        "77,10.5,2,21,1609459200000,True",
        "77,10.5,2,21,1609459200000000,True,True",
        "77,10.5,2,70,72,1609459200000,true",
        "77,10.5,2,70,72,1609459200000,True,True",
    ],
)
def test_binance_trades_need_no_header(write: Write, row: str) -> None:
    """Trades and aggregate trades of spot and futures are told apart by where their flags stand."""
    (trade,) = events(write(row + "\n"))
    assert trade == Trade("BTC/USDT@sim", 10.5, 2.0, T0, T0, "sell", "77")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("timestamp,bid,ask,bid_size,ask_size", "1609459200000,10,11,1,2"),
        ("ts;askPrice;askQty;bidPrice;bidQty", "1609459200000;11;2;10;1"),
        (
            "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
            "5,10,1,11,2,1609459200000,1609459200009",
        ),
    ],
)
def test_quotes_are_told_by_their_names(write: Write, header: str, row: str) -> None:
    """Each venue has its own spelling of bid and ask."""
    assert events(write(f"{header}\n{row}\n")) == [Quote("BTC/USDT@sim", 10.0, 11.0, 1.0, 2.0, T0, T0)]


def test_times_of_arrival_are_kept_and_order_the_events(write: Write) -> None:
    """A recorder's own time is `received_ns`; the venue's may then jitter."""
    path = write(
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        "x,BTCUSDT,1609459200000100,1609459200000200,a,buy,10,1\n"
        "x,BTCUSDT,1609459200000050,1609459200000300,b,sell,11,2\n"
    )
    first, second = events(path)
    assert first == Trade("BTC/USDT@sim", 10.0, 1.0, T0 + 100_000, T0 + 200_000, "buy", "a")
    assert second == Trade("BTC/USDT@sim", 11.0, 2.0, T0 + 50_000, T0 + 300_000, "sell", "b")


@pytest.mark.parametrize("packed", ["gz", "zip"])
def test_packed_files_are_read_as_they_are(write: Write, tmp_path: Path, packed: str) -> None:
    """Venues deliver gzip and zip."""
    text = b"time,price,qty\n1609459200,10,1\n"
    if packed == "gz":
        path = write(gzip.compress(text), "btc.csv.gz")
    else:
        path = tmp_path / "btc.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("btc.csv", text)
    assert len(events(path)) == 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ['{"e":"aggTrade","E":1609459200005,"s":"BTCUSDT","a":7,"p":"10.5","q":"2","T":1609459200000,"m":true}'],
            Trade("BTC/USDT@sim", 10.5, 2.0, T0, T0, "sell", "7"),
        ),
        (
            ['{"stream":"x","data":{"T":1609459200000,"s":"BTCUSDT","S":"Buy","v":"2","p":"10.5","i":"u1"}}'],
            Trade("BTC/USDT@sim", 10.5, 2.0, T0, T0, "buy", "u1"),
        ),
        (
            ['{"u":4,"s":"BTCUSDT","b":"10","B":"1","a":"11","A":"2","T":1609459200000,"E":1609459200004}'],
            Quote("BTC/USDT@sim", 10.0, 11.0, 1.0, 2.0, T0, T0),
        ),
        (
            ['{"k":{"t":1609459200000,"T":1609459259999,"s":"BTCUSDT","i":"1m","o":"10","c":"11","h":"12","l":"9",'
             '"v":"5","n":7,"x":true,"q":"55"}}'],
            Bar("BTC/USDT@sim", "1m", 10.0, 12.0, 9.0, 11.0, 5.0, T0, T0 + MINUTE, T0 + MINUTE),
        ),
        (
            ['{"instId":"BTC-USDT","tradeId":"9","px":"10.5","sz":"2","side":"sell","ts":"1609459200000"}'],
            Trade("BTC/USDT@sim", 10.5, 2.0, T0, T0, "sell", "9"),
        ),
        (
            ['[[1609459200000,"10","12","9","11","5",1609459259999,"55",7,"1","11","0"]]'],
            Bar("BTC/USDT@sim", "1m", 10.0, 12.0, 9.0, 11.0, 5.0, T0, T0 + MINUTE, T0 + MINUTE),
        ),
        (
            ['[1609459200000,"10","12","9","11","5",1609459259999,"55",7,"1","11","0"]'],
            Bar("BTC/USDT@sim", "1m", 10.0, 12.0, 9.0, 11.0, 5.0, T0, T0 + MINUTE, T0 + MINUTE),
        ),
    ],
)  # fmt: skip
def test_json_is_read_as_it_came_over_the_wire(write: Write, lines: list[str], expected: object) -> None:
    """Objects with full or single-letter names, wrapped or not, arrays, and one array of them all."""
    assert events(write("\n".join(lines) + "\n", "btc.jsonl"))[0] == expected


def test_candles_that_have_not_closed_are_left_out(write: Write) -> None:
    """A recorded feed updates each candle many times; only the last, which says so, is a bar."""
    line = '{{"k":{{"t":1609459200000,"T":1609459259999,"o":"9","c":"9","h":"9","l":"9","v":"5","q":"5","x":{}}}}}\n'
    stream = ReplayStream(
        write(line.format("false") * 2 + line.format("true"), "btc.jsonl"), symbol="BTC/USDT"
    )
    assert len(list(stream.replay())) == 1
    assert stream.notes == ("btc.jsonl: 2 updates of unfinished candles are no bars, and were left out",)


def test_json_spread_over_many_lines_is_one_array(write: Write) -> None:
    """A file that somebody indented is read as well."""
    rows = [{"time": 1609459200, "price": 10, "size": 1}, {"time": 1609459201, "price": 11, "size": 1}]
    assert len(events(write(json.dumps(rows, indent=2), "btc.json"))) == 2


def test_parquet_is_read_with_and_without_zones(tmp_path: Path) -> None:
    """Times of pandas carry a zone or none; the second kind waits for `tz` as text does."""
    pa = pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    pq = pytest.importorskip("pyarrow.parquet")
    times = [datetime(2021, 1, 1, 0, minute, tzinfo=UTC) for minute in range(3)]
    for zone, tz in (("UTC", None), ("Asia/Tokyo", None), (None, "UTC")):
        stamps = pa.array(
            times if zone else [time.replace(tzinfo=None) for time in times], pa.timestamp("us", zone)
        )
        table = pa.table(
            {"time": stamps, "price": [10.0, 11.5, 12.0], "qty": [1, 2, 3], "side": ["buy", "sell", "buy"]}
        )
        path = tmp_path / "btc.parquet"
        pq.write_table(table, path)
        found = events(path, tz=tz)
        assert found[1] == Trade("BTC/USDT@sim", 11.5, 2.0, T0 + MINUTE, T0 + MINUTE, "sell")


@pytest.mark.parametrize("day", ["20210101", '"20210101"', '"2021-01-01"'])
def test_days_are_dates_in_the_zone_that_was_said(write: Write, day: str) -> None:
    """Daily bars are often dated by eight digits, which are no count of seconds."""
    line = '{{"date":{},"open":10,"high":12,"low":9,"close":11,"volume":5}}\n'
    path = write(
        line.format(day) + line.format(day.replace("0101", "0102").replace("01-01", "01-02")), "day.jsonl"
    )
    first = events(path, tz="UTC", bar_label="open", volume_unit="base")[0]
    assert (first.interval, first.open_ns) == ("1d", T0)  # type: ignore[attr-defined]


def test_a_symbol_of_the_venue_is_taken_for_the_one_that_was_said(write: Write) -> None:
    """Venues have names of their own, which are noted; another pair is refused."""
    path = write("symbol,time,price,qty\nXBTUSD,1609459200,10,1\n")
    assert ReplayStream(path, symbol="BTC/USD").notes == (
        "btc.csv: its symbol 'XBTUSD' is taken for BTC/USD",
    )
    other = write("symbol,time,price,qty\nETH/USD,1609459200,10,1\n")
    with pytest.raises(
        ConfigurationError, match="it holds ETH/USD, and symbol='BTC/USD' must name one of them"
    ):
        list(ReplayStream(other, symbol="BTC/USD").replay())


def test_columns_may_be_named_by_hand(write: Write) -> None:
    """`columns` maps roles to names, or lists the roles of a file without header."""
    named = events(
        write("moment,last,n\n1609459200,10,1\n"), columns={"time": "moment", "price": "last", "size": "n"}
    )
    listed = events(write("1609459200,x,1,10\n", "bare.csv"), columns=("time", "_", "size", "price"))
    assert named == listed == [Trade("BTC/USDT@sim", 10.0, 1.0, T0, T0)]


def test_a_file_that_runs_backwards_is_turned_round(write: Write) -> None:
    """Some venues deliver the newest row first, which loses nothing and is noted."""
    stream = ReplayStream(
        write("time,price,qty\n1609459202,12,1\n1609459201,11,1\n1609459200,10,1\n"), symbol="A/B"
    )
    assert [trade.price for trade in stream.replay()] == [10.0, 11.0, 12.0]  # type: ignore[union-attr]
    assert stream.notes == ("btc.csv: newest first, and was turned round",)


def test_the_tick_is_the_finest_decimal_of_the_first_thousand_rows(write: Write) -> None:
    """Later rows do not change it, trailing zeros and the noise of binary fractions do not count."""
    rows = [f"{1609459200 + step},10.50,1" for step in range(1000)] + ["1609461000,10.123,1"]
    stream = ReplayStream(write("time,price,qty\n" + "\n".join(rows)), symbol="BTC/USDT", fee="0.001")
    assert stream.instrument.tick == Decimal("0.1")
    assert stream.instrument.taker_fee == Decimal("0.001")
    assert ReplayStream(
        write("time,price,qty\n1609459200,0.30000000000000004,1\n"), symbol="A/B"
    ).instrument.tick == (Decimal("0.1"))
    assert ReplayStream(write("time,price,qty\n1609459200,100,1\n"), symbol="A/B").instrument.tick == 1
    assert ReplayStream(
        write("time,price,qty\n1609459200,100,1\n"), symbol="A/B", tick="0.5"
    ).instrument.tick == (Decimal("0.5"))


def test_a_symbol_may_name_its_venue(write: Write) -> None:
    """`SYMBOL@venue` gives the instrument that venue; without one it is "sim"."""
    stream = ReplayStream(write("time,price,qty\n1609459200,10,1\n"), symbol="BTC/USDT:USDT@deribit")
    assert stream.instrument.id == "BTC/USDT:USDT@deribit"
    assert stream.instrument.symbol == "BTC/USDT:USDT"


def test_one_file_may_hold_many_instruments(write: Write) -> None:
    """A column of symbols parts the rows, each with its own order of time."""
    path = write(
        "symbol,time,price,qty\nA/B,1609459200,1,1\nC/D,1609459199,2,1\nA/B,1609459201,3,1\nC/D,1609459202,4,1\n"
    )
    stream = ReplayStream(path)
    assert [(event.instrument, event.price) for event in stream.replay()] == [  # type: ignore[union-attr]
        ("C/D@sim", 2.0), ("A/B@sim", 1.0), ("A/B@sim", 3.0), ("C/D@sim", 4.0),
    ]  # fmt: skip
    assert [event.price for event in ReplayStream(path, symbol="C/D").replay()] == [2.0, 4.0]  # type: ignore[union-attr]
