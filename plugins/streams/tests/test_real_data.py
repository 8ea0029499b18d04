"""Real recordings, where there are any: they are no part of this project."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead import Bar, Quote, Trade
from fairlead.ports import Subscription
from fairlead_streams import Recorder, ReplayStream, inspect, verify

Find = Callable[[str], Path]
SAID = {"symbol": "BTC/USDT:USDT", "tz": "UTC", "volume_unit": "quote", "bar_label": "close"}


def test_a_month_of_real_bars(real_data: Find) -> None:
    """45,031 one-minute bars, none bad, none missing, volume in base units."""
    path = real_data("btc-perp-1m.csv")
    stream = ReplayStream(path, **SAID)  # type: ignore[arg-type]
    bars = list(stream.replay())
    assert len(bars) == 45_031
    first = bars[0]
    assert isinstance(first, Bar)
    assert (first.interval, first.time.isoformat()) == ("1m", "2021-12-31T23:01:00+00:00")
    assert first.open_ns == first.event_ns - 60_000_000_000
    assert first.volume == pytest.approx(2300413.7295 / 46377.0)
    assert (stream.faults, stream.gaps, stream.notes, stream.label) == ((), (), (), "btc-perp-1m.csv")
    assert stream.instrument.tick == Decimal("0.01")
    assert list(ReplayStream(path, **SAID).replay()) == bars  # type: ignore[arg-type]


def test_the_front_of_real_bars_is_history(real_data: Find) -> None:
    """With a start the rows before it warm a strategy up, and both together are the file."""
    stream = ReplayStream(real_data("btc-perp-1m.csv"), start="2022-01-01", **SAID)  # type: ignore[arg-type]
    history = asyncio.run(stream.history(Subscription("BTC/USDT:USDT", "bar:1m"), 0, stream.time().start_ns))
    assert len(history) == 59
    assert len(history) + sum(1 for _ in stream.replay()) == 45_031


def test_real_quotes_and_trades_in_one_order(real_data: Find) -> None:
    """2,001 trades and 451 quotes of the same minute, from Parquet."""
    pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    paths = [real_data("btcusdt-quotes.parquet"), real_data("btcusdt-trades.parquet")]
    stream = ReplayStream(paths, symbol="BTC/USDT")
    events = list(stream.replay())
    assert sum(isinstance(event, Trade) for event in events) == 2_001
    assert sum(isinstance(event, Quote) for event in events) == 451
    times = [event.received_ns for event in events]
    assert times == sorted(times)
    assert events[0] == Trade(
        "BTC/USDT@sim", 39432.48, 0.000263, 1610064000278000000, 1610064000278000000, "sell", "553287559"
    )
    assert stream.instrument.tick == Decimal("0.01")
    assert stream.faults == ()


def test_a_look_at_real_files(real_data: Find) -> None:
    """Nothing need be said to see what they hold, and that nothing is wrong with them."""
    (bars,) = inspect(real_data("btc-perp-1m.csv")).feeds
    assert (bars.kind, bars.rows, bars.gaps, bars.tick) == ("bar:1m", 45_031, 0, Decimal("0.01"))
    assert verify(real_data("btc-perp-1m.csv")) == []
    pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    (quotes,) = inspect(real_data("btcusdt-quotes.parquet")).feeds
    assert (quotes.kind, quotes.rows, quotes.locked) == ("quote", 451, 0)
    (trades,) = inspect(real_data("btcusdt-trades.parquet")).feeds
    assert (trades.kind, trades.rows, trades.repeated) == ("trade", 2_001, 0)


@pytest.mark.full
def test_real_data_recorded_again_are_the_same(real_data: Find, tmp_path: Path) -> None:
    """45,031 bars, and quotes and trades of one minute, through files and back."""
    pytest.importorskip("pyarrow", reason="reading Parquet needs the extra fairlead-streams[parquet]")
    ticks = ReplayStream(
        [real_data("btcusdt-quotes.parquet"), real_data("btcusdt-trades.parquet")], symbol="BTC/USDT"
    )
    bars = ReplayStream(real_data("btc-perp-1m.csv"), **SAID)  # type: ignore[arg-type]
    for name, stream in (("ticks", ticks), ("bars", bars)):
        recorder = Recorder(tmp_path / name, [stream.instrument])
        for event in stream.replay():
            recorder.take(event)
        recorder.close()
        assert recorder.refused == 0
        back = ReplayStream(recorder.files)
        assert list(back.replay()) == list(stream.replay())
        assert back.instrument == stream.instrument
