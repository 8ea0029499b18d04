"""What this distribution serves, proven: from memory, from a file, and invented, on the wall's clock and on its own."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.testing import run_virtual
from fairlead_conformance import StreamConformance
from fairlead_streams import FunctionStream, ReplayStream, SyntheticStream


class TestSynthetic(StreamConformance):
    """An invented market, on the clock on the wall."""

    def make(self) -> SyntheticStream:
        return SyntheticStream(["BTC/USDT", "ETH/USDT"], duration="20m")


class TestSyntheticAtSpeed(StreamConformance):
    """An invented market that brings its own time."""

    def make(self) -> SyntheticStream:
        return SyntheticStream("BTC/USDT", name="synthetic at speed", duration="20m", speed="60x")


class TestReplayOfTicks(StreamConformance):
    """Quotes and trades that are in memory."""

    def make(self) -> ReplayStream:
        return ReplayStream.of(TICKS, instrument=INSTRUMENTS, name="replay of ticks")


class TestReplayOfAFile(StreamConformance):
    """Bars of a CSV file."""

    span = "20m"
    file: Path

    @pytest.fixture(autouse=True)
    def write(self, tmp_path: Path) -> None:
        start = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
        rows = [
            f"{(start + datetime.timedelta(minutes=n)).isoformat()},{100 + n % 9},{112},{95},{101 + n % 7},{n + 1}"
            for n in range(300)
        ]
        self.file = tmp_path / "bars.csv"
        self.file.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8")

    def make(self) -> ReplayStream:
        return ReplayStream(
            self.file, symbol="BTC/USDT", name="replay of a file", bar_label="open", volume_unit="base"
        )


class TestFunctions(StreamConformance):
    """Candles of a user's function."""

    span = "10m"

    def make(self) -> FunctionStream:
        return FunctionStream(["BTC/USDT", "ETH/USDT"], _candles, tick="0.01", lot="0.001")


def _candles(symbol: str, interval: str, since: int, limit: int) -> list[tuple[float, ...]]:
    minutes = range(since // 60_000, since // 60_000 + limit)
    return [(minute * 60_000, 100, 101, 99, 100 + minute % 2 / 2, 1 + minute % 3) for minute in minutes]


def _market() -> tuple[list[Any], list[Any]]:
    made = SyntheticStream(["BTC/USDT", "ETH/USDT"], seed=3, duration="20m")
    return list(made.replay()), list(run_virtual(made.instruments()))


TICKS, INSTRUMENTS = _market()
