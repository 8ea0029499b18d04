"""Scripts and data that the command line is tried on, and how it is called."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

SCRIPT = """
from fairlead import LiveTradingEngine, Strategy
from fairlead_breakers import Drawdown
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream


class InAndOut(Strategy):
    def on_start(self):
        self.watch("BTC/USDT:USDT", bars="1m")

    def on_bar(self, bar):
        if self.position():
            self.close()
        else:
            self.buy(percent="50%")


engine = LiveTradingEngine(
    InAndOut(),
    plugins=[PaperBroker(cash="10_000 USDT"), SyntheticStream("BTC/USDT:USDT", speed=600), Drawdown("20%")],
    run="run",
)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script with an engine, in an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"in_and_out_{os.urandom(4).hex()}.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """Sixty minutes of a price that goes up and down."""
    rows = ["time,open,high,low,close,volume"]
    for minute in range(60):
        first, last = 100 + minute % 7, 100 + (minute + 1) % 7
        low, high = min(first, last) - 0.5, max(first, last) + 0.5
        rows.append(f"2024-01-01 00:{minute:02d}:00,{first}.0,{high},{low},{last}.0,1000.0")
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


DATA = ("--tz", "UTC", "--volume-unit", "base", "--bar-label", "open")


@pytest.fixture
def fairlead() -> Callable[..., Result]:
    """The command line in this process."""
    from fairlead._cli.app import cli

    def call(*arguments: object) -> Result:
        before = set(sys.modules), list(sys.path)
        try:
            return CliRunner().invoke(cli, [str(argument) for argument in arguments])
        finally:
            sys.path[:] = before[1]
            for name in set(sys.modules) - before[0]:
                if name.startswith("in_and_out"):
                    del sys.modules[name]

    return call


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a process of its own."""

    def call(*arguments: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fairlead", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )

    return call
