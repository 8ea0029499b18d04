"""Synthetic quotes and bars from a fixed seed, made once and read by every framework: the same numbers for all.

Nothing here is market data. A price wanders on a grid of cents around 50,000 and is drawn back to it, so that a
long series neither drifts to zero nor trips a breaker.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from random import Random

SEED = 20_240_229
START_NS = 1_704_067_200_000_000_000  # 2024-01-01 UTC
QUOTE_STEP_NS = 100_000_000
MINUTE_NS = 60_000_000_000

PRICE_DECIMALS, SIZE_DECIMALS = 2, 3

QUOTES = {"time": "q", "bid": "d", "ask": "d", "bid_size": "d", "ask_size": "d"}
BARS = {"time": "q", "open": "d", "high": "d", "low": "d", "close": "d", "volume": "d"}
KINDS = {"quotes": QUOTES, "bars": BARS}

Columns = dict[str, "array[int] | array[float]"]


def make(kind: str, count: int, seed: int = SEED) -> Columns:
    """Columns of `count` quotes or one-minute bars; `time` is the time of the event, for a bar its close."""
    rows = _quotes(count, Random(seed)) if kind == "quotes" else _bars(count, Random(seed))
    columns = zip(*rows, strict=True)
    return {name: array(code, next(columns)) for name, code in KINDS[kind].items()}


def _quotes(count: int, rng: Random) -> list[tuple[float, ...]]:
    cents = 5_000_000
    rows: list[tuple[float, ...]] = []
    for i in range(count):
        cents += rng.randint(-20, 20) + (5_000_000 - cents) // 10_000
        spread = rng.randint(1, 20)
        rows.append((
            START_NS + i * QUOTE_STEP_NS, cents / 100, (cents + spread) / 100,
            rng.randint(1_000, 9_000) / 1000, rng.randint(1_000, 9_000) / 1000,
        ))  # fmt: skip
    return rows


def _bars(count: int, rng: Random) -> list[tuple[float, ...]]:
    cents = 5_000_000
    rows: list[tuple[float, ...]] = []
    for i in range(count):
        first = cents
        cents += rng.randint(-1000, 1000) + (5_000_000 - cents) // 1_000
        high = max(first, cents) + rng.randint(0, 500)
        low = min(first, cents) - rng.randint(0, 500)
        rows.append((
            START_NS + (i + 1) * MINUTE_NS, first / 100, high / 100, low / 100, cents / 100,
            rng.randint(100_000, 900_000) / 1000,
        ))  # fmt: skip
    return rows


def save(columns: Columns, folder: Path) -> None:
    """One file of machine numbers for each column."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        (folder / name).write_bytes(column.tobytes())


def load(kind: str, folder: Path) -> Columns:
    """What `save` wrote."""
    columns: Columns = {}
    for name, code in KINDS[kind].items():
        columns[name] = array(code)
        columns[name].frombytes((folder / name).read_bytes())
    return columns
