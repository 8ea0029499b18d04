"""A clock that only moves when it is told to, files of a few lines, and the way to real data where there is any."""

import heapq
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest


class Due:
    """What a fake clock was asked to run."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Manual time: `run` moves it through everything that is due."""

    def __init__(self, now_ns: int = 0, late_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.late_ns = late_ns
        self._heap: list[tuple[int, int, Due]] = []
        self._serial = itertools.count()

    def now(self) -> int:
        return self.now_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Due:
        due = Due(callback)
        heapq.heappush(self._heap, (when_ns, next(self._serial), due))
        return due

    @property
    def waiting(self) -> int:
        return sum(due.callback is not None for _, _, due in self._heap)

    def run(self, until_ns: int | None = None) -> None:
        while self._heap and (until_ns is None or self._heap[0][0] <= until_ns):
            when_ns, _, due = heapq.heappop(self._heap)
            self.now_ns = max(self.now_ns, when_ns + self.late_ns)
            if due.callback is not None:
                due.callback()
        if until_ns is not None:
            self.now_ns = max(self.now_ns, until_ns)


@pytest.fixture
def fake_clock() -> type[FakeClock]:
    return FakeClock


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of these lines, or of these bytes, and give its path."""

    def written(content: str | bytes, name: str = "btc.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The path of a file of real data; skips the test where there is none."""

    def find(name: str) -> Path:
        root = Path(__file__).resolve().parents[3]
        folders = [Path(os.environ["FAIRLEAD_DATA"])] if "FAIRLEAD_DATA" in os.environ else []
        for folder in (*folders, root.parent / "shared" / "data"):
            if (folder / name).is_file():
                return folder / name
        pytest.skip(f"{name} is real market data, which is not distributed: name its folder in FAIRLEAD_DATA")

    return find
