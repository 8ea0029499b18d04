"""Events as the lines of a file, and how a file that has been written becomes a recording."""

from __future__ import annotations

import csv
import io
import json
import os
from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fairlead import Book, ConfigurationError, Trade
from fairlead.ports import MarketEvent
from fairlead_streams.recorded import PRICES
from fairlead_streams.sidecar import COLUMNS, PARTIAL, Sidecar, beside, checksum, sync_folder, write_whole
from fairlead_streams.tables import CHUNK

Row = tuple[int, MarketEvent]


def columns_of(kind: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Rows as the columns that the checks look at."""
    head = kind.partition(":")[0]
    columns: dict[str, Any] = {
        "seq": array("q", [seq for seq, _ in rows]),
        "event_ns": array("q", [event.event_ns for _, event in rows]),
        "received_ns": array("q", [event.received_ns for _, event in rows]),
    }
    for role in COLUMNS[head]:
        if role not in ("aggressor", "trade_id"):
            columns[role] = [getattr(event, role) for _, event in rows]
    for role in (*PRICES[head], "volume", "size", "bid_size", "ask_size"):
        if role in columns:
            columns[role] = array("d", columns[role])
    return columns


def head(side: Sidecar) -> bytes:
    """What a file begins with."""
    return b"" if side.encoding == "jsonl" else (",".join(side.columns) + "\n").encode()


def lines(side: Sidecar, rows: Sequence[Row]) -> bytes:
    """Rows as lines. A file that will be Parquet grows as CSV, of which whatever was written can be read."""
    cells = [_cells(seq, event, side.columns) for seq, event in rows]
    if side.encoding == "jsonl":
        texts = [json.dumps(dict(zip(side.columns, row, strict=True)), ensure_ascii=False) for row in cells]
        return "".join(f"{text}\n" for text in texts).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue().encode()


def _cells(seq: int, event: MarketEvent, names: Sequence[str]) -> list[Any]:
    values = [seq, *(getattr(event, name) for name in names[1:])]
    if isinstance(event, Book):
        values[3:] = [
            " ".join(f"{price!r}:{size!r}" for price, size in side) for side in (event.bids, event.asks)
        ]
    elif isinstance(event, Trade):
        values[3:5] = [float(event.price), float(event.size)]
    return values


# --- from a partial file to a recording ---------------------------------------------------------------------


def seal(partial: Path, side: Sidecar, digest: str, size: int) -> Path:
    """Give a file that is whole and synced its final name, its sidecar first. Raises OSError; nothing is lost then."""
    final = partial.with_name(partial.name.removesuffix(PARTIAL))
    ready = partial
    if side.encoding == "parquet":
        ready = final.with_name(final.name + ".new")
        try:
            _to_parquet(partial, ready, side)
        except BaseException:
            ready.unlink(missing_ok=True)
            raise
        digest, size = checksum(ready), ready.stat().st_size
    side.complete, side.sha256, side.bytes = True, digest, size
    write_whole(beside(final), side.text())
    ready.replace(final)
    if ready != partial:
        partial.unlink()
    sync_folder(final.parent)
    return final


def _to_parquet(source: Path, target: Path, side: Sidecar) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = {"trade_id": pyarrow.string(), "aggressor": pyarrow.string()}
    kinds |= dict.fromkeys(("bids", "asks"), pyarrow.string())
    kinds |= dict.fromkeys(("seq", "event_ns", "received_ns", "open_ns"), pyarrow.int64())
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in side.columns])
    numbers: dict[Any, Callable[[str], Any]] = {pyarrow.int64(): int, pyarrow.float64(): float}
    reads = [numbers.get(field.type, str) for field in schema]
    with source.open(encoding="utf-8", newline="") as text, target.open("wb") as file:
        reader = csv.reader(text)
        next(reader)
        with pyarrow.parquet.ParquetWriter(file, schema) as writer:
            while rows := list(islice(reader, CHUNK)):
                columns = [
                    list(map(read, column))
                    for read, column in zip(reads, zip(*rows, strict=True), strict=True)
                ]
                writer.write_table(pyarrow.table(columns, schema=schema))
        file.flush()
        os.fsync(file.fileno())


def _text_is_ready() -> None:
    """Nothing is needed but what is there."""


def _parquet_is_ready() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "format 'parquet' needs pyarrow, which is not installed: pip install 'fairlead-streams[parquet]', or "
            "record csv"
        ) from None


ENCODINGS: dict[str, Callable[[], None]] = {
    "csv": _text_is_ready,
    "jsonl": _text_is_ready,
    "parquet": _parquet_is_ready,
}
"""The formats of a recording, and what makes sure that one can be written."""
