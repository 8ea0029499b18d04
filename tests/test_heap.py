"""What a run leaves behind in its process: nothing, and the collector as it was."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead._engine.heap import FrozenHeap
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

CYCLES, WARM, SAMPLES = 50, 10, 5
"""What one run leaves may stay until the next has begun, so several are counted on either side."""


class Looks(Strategy):
    """Watches, with a handler that waits when the run ends."""

    def on_start(self) -> None:
        self.watch("BTC/USDT", quotes=True, bars="1m")

    async def on_quote(self, quote: Quote) -> None:
        await self.sleep("1h")


def cycle(path: Path) -> None:
    engine = LiveTradingEngine(
        Looks(), plugins=[PaperBroker(), SyntheticStream(seed=1, every="50ms")], run=path, breakers="none"
    )
    with engine.background() as running:
        assert gc.get_freeze_count() > 0
        assert running.running


def counted(path: Path) -> tuple[int, int, int]:
    """Objects, files and threads after one more run."""
    cycle(path)
    gc.collect()
    return len(gc.get_objects()), len(os.listdir("/proc/self/fd")), threading.active_count()


def fifty_cycles(folder: Path) -> None:
    """Raises AssertionError where runs leave something behind."""
    before = [counted(folder / f"warm{number}") for number in range(WARM)]
    for number in range(CYCLES):
        cycle(folder / f"run{number}")
    after = [counted(folder / f"end{number}") for number in range(SAMPLES)]
    assert min(files for _, files, _ in after) <= max(files for _, files, _ in before)
    assert min(threads for *_, threads in after) <= max(threads for *_, threads in before)
    grown = min(objects for objects, *_ in after) - max(objects for objects, *_ in before[-SAMPLES:])
    assert grown < 10 * CYCLES, f"{grown} objects more"
    assert gc.get_freeze_count() == 0


@pytest.mark.full
def test_fifty_cycles(tmp_path: Path) -> None:
    """Started and stopped again and again in one process: objects, files and threads stay as many."""
    child = [
        sys.executable,
        __file__,
        str(tmp_path),
    ]  # one of its own: here all that tests hold would be counted too
    done = subprocess.run(child, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stderr[-2000:]


def test_two_engines_share_the_collector(tmp_path: Path) -> None:
    """The end of one leaves the other's heap frozen, and gives its own back."""
    cycle(tmp_path / "first")  # which imports what the next one has
    with FrozenHeap():
        before = gc.get_freeze_count()
        cycle(tmp_path / "run")
        assert 0 < gc.get_freeze_count() <= before + 5_000
    assert gc.get_freeze_count() == 0


def test_a_run_that_never_started_froze_nothing(tmp_path: Path) -> None:
    """Whatever fails at the start, the collector is as it was."""

    class Fails(SyntheticStream):
        async def connect(self, *_: Any) -> None:
            raise RuntimeError("no")

    engine = LiveTradingEngine(
        Looks(), plugins=[PaperBroker(), Fails(seed=1)], run=tmp_path / "run", breakers="none"
    )
    try:
        engine.background()
    except RuntimeError:
        pass
    assert gc.get_freeze_count() == 0


if __name__ == "__main__":
    fifty_cycles(Path(sys.argv[1]))
