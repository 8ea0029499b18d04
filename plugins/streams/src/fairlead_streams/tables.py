"""What every reader hands over: the names of the columns, and the rows in chunks of columns."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import attrs

from fairlead import ConfigurationError

CHUNK = 65_536


@attrs.frozen
class Chunk:
    """Some rows: where each stands in the file, and their cells by column."""

    lines: Sequence[int]
    columns: Sequence[Any]

    def head(self, rows: int) -> list[list[Any]]:
        """The first few rows, as rows."""
        return [[column[index] for column in self.columns] for index in range(min(rows, len(self.lines)))]


@attrs.define
class Table:
    """A file being read. `names` is None where it has no header.

    While chunks are read `ragged` fills with rows that do not fit, and `unfinished` counts the updates of candles
    that had not closed yet, which a recorded feed is full of and which are no bars.
    """

    names: tuple[str, ...] | None
    chunks: Iterator[Chunk]
    word: str = "line"
    ragged: list[tuple[int, str]] = attrs.field(factory=list)
    unfinished: int = 0


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, bytes]]:
    """The bytes of a file, out of their gzip or zip, and the first few of them.

    Raises ConfigurationError where the file is not there, is empty, or ends in the middle.
    """
    try:
        with path.open("rb") as raw:
            stream = _unpacked(path.name, raw)
            head = stream.peek(4096)[:4096] if isinstance(stream, io.BufferedReader) else b""
            if not head.strip():
                raise ConfigurationError(
                    f"{path.name}: it is empty, and a file of market data has rows: record or download it again"
                )
            yield stream, head
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file: check the path") from None
    except IsADirectoryError:
        raise ConfigurationError(
            f"{path}: it is a folder, and market data is read from files: list them"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as fault:
        raise ConfigurationError(
            f"{path.name}: its packed data ends early or is damaged ({fault}), and a part of a file is not read for "
            f"the whole: copy or download it again"
        ) from None
    except OSError as fault:
        raise ConfigurationError(
            f"{path}: it cannot be read ({fault.strerror or fault}): check the file"
        ) from None
    except UnicodeDecodeError as fault:
        raise ConfigurationError(
            f"{path.name}: byte {fault.start} is not UTF-8 text, and CSV and JSON lines are: convert it first"
        ) from None


def _unpacked(name: str, raw: BinaryIO) -> BinaryIO:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if magic == b"PK\x03\x04":
        archive = zipfile.ZipFile(raw)
        members = archive.namelist()
        if len(members) != 1:
            raise ConfigurationError(
                f"{name}: it packs {len(members)} files, and one is read: unpack it and list them"
            )
        return io.BufferedReader(cast(Any, archive.open(members[0])))
    return raw


def in_columns(lines: array[int], rows: list[list[Any]], table: Table) -> Chunk:
    """A chunk of rows; those of another width than the header's, or than the first, are ragged and left out."""
    width = len(table.names) if table.names is not None else len(rows[0])
    if any(len(row) != width for row in rows):
        kept = []
        for line, row in zip(lines, rows, strict=True):
            if len(row) == width:
                kept.append((line, row))
            else:
                table.ragged.append((line, f"it has {len(row)} cells, and the others have {width}"))
        lines, rows = array("q", [line for line, _ in kept]), [row for _, row in kept]
    return Chunk(lines, list(zip(*rows, strict=True)) or [()] * width)
