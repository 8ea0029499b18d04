"""Reads Parquet with pyarrow, which is imported here only and comes with the extra `fairlead-streams[parquet]`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead import ConfigurationError
from fairlead_streams.tables import CHUNK, Chunk, Table
from fairlead_streams.times import Stamps


def read_parquet(path: Path) -> Table:
    """A Parquet file as a table; rows count from 1."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            f"{path.name}: reading Parquet needs pyarrow, which is not installed: "
            f"pip install 'fairlead-streams[parquet]'"
        ) from None
    try:
        source = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as fault:
        raise _damaged(path, fault) from None
    return Table(tuple(source.schema_arrow.names), _chunks(path, source), "row")


def _chunks(path: Path, source: Any) -> Iterator[Chunk]:
    import pyarrow

    first = 1
    try:
        for batch in source.iter_batches(batch_size=CHUNK):
            yield Chunk(range(first, first + batch.num_rows), [_column(column) for column in batch.columns])
            first += batch.num_rows
    except (pyarrow.ArrowException, OSError) as fault:
        raise _damaged(path, fault) from None


def _column(column: Any) -> Any:
    """Numbers and times as stdlib arrays straight from their buffers; everything else as Python objects."""
    import pyarrow

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        return _column(column.dictionary_decode())
    if column.null_count == 0 and pyarrow.types.is_timestamp(kind):
        return Stamps(_buffer(column.cast(pyarrow.timestamp("ns", kind.tz)), "q"), kind.tz is None)
    if column.null_count == 0 and (pyarrow.types.is_floating(kind) or pyarrow.types.is_decimal(kind)):
        return _buffer(column.cast(pyarrow.float64()), "d")
    if column.null_count == 0 and pyarrow.types.is_integer(kind) and kind != pyarrow.uint64():
        return _buffer(column.cast(pyarrow.int64()), "q")
    if pyarrow.types.is_timestamp(kind):
        return column.cast(pyarrow.timestamp("us", kind.tz), safe=False).to_pylist()
    if pyarrow.types.is_date(kind):
        return _column(column.cast(pyarrow.timestamp("ns")))
    return column.to_pylist()


def _buffer(column: Any, typecode: str) -> Any:
    values: Any = array(typecode)
    data = column.buffers()[1]
    if data is not None and len(column):
        values.frombytes(memoryview(data)[column.offset * 8 : (column.offset + len(column)) * 8])
    return values


def _damaged(path: Path, fault: Exception) -> ConfigurationError:
    reason = str(fault).split("\n")[0].rstrip(".")
    return ConfigurationError(
        f"{path.name}: it cannot be read as Parquet ({reason}), and a cut or damaged file holds no rows that can be "
        f"trusted: copy or download it again"
    )
