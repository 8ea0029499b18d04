"""Where the bytes of a segment lie: in its file, or packed in the archive beside the others.

`journal/archive/NNNNNN.seg.gz` takes the place of a segment that no start has to read any more. It holds the same
bytes, so whoever reads a journal reads it too; nothing is ever dropped.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Protocol

from fairlead._storage.files import make_folder, sync_folder, write_whole
from fairlead._storage.segments import segment_numbers, segment_path
from fairlead.errors import JournalDamaged, JournalError

_SUFFIX = ".seg.gz"


class Source(Protocol):
    """The bytes of one segment."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def deleted(self) -> bool:
        """Whether its name is gone."""
        ...

    def read(self, count: int, at: int) -> bytes:
        """Up to `count` bytes from `at` on."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _File:
    """A segment as its writer left it, or goes on writing it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    @property
    def size(self) -> int:
        return os.fstat(self._file).st_size

    @property
    def deleted(self) -> bool:
        return os.fstat(self._file).st_nlink == 0

    def read(self, count: int, at: int) -> bytes:
        return os.pread(self._file, count, at)

    def close(self) -> None:
        os.close(self._file)


class _Packed:
    """A segment from the archive."""

    deleted = False

    def __init__(self, path: Path) -> None:
        try:
            self._data = gzip.decompress(path.read_bytes())
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise JournalDamaged(f"{path} cannot be unpacked ({error})") from error
        self.size = len(self._data)

    def read(self, count: int, at: int) -> bytes:
        return self._data[at : at + count]

    def close(self) -> None:
        self._data = b""


def numbers(folder: Path) -> list[int]:
    """The numbers of the segments of a folder, rising, those in its archive included."""
    return sorted({*_packed_numbers(folder), *segment_numbers(folder)})


def place(folder: Path, number: int) -> Path:
    """The file that holds a segment: its own, else the one in the archive."""
    path = segment_path(folder, number)
    packed = archive_path(folder, number)
    return packed if not path.exists() and packed.exists() else path


def archive_path(folder: Path, number: int) -> Path:
    """Where a segment lies when it is packed."""
    return folder / "archive" / f"{number:06d}{_SUFFIX}"


def number_of(path: Path) -> int:
    """The number in the name of a segment's file."""
    return int(path.name.partition(".")[0])


def open_source(path: Path) -> Source:
    """The bytes of a segment's file; one that was packed just now is found in the archive. Raises JournalError."""
    try:
        return _open(path)
    except FileNotFoundError:
        packed = archive_path(path.parent, number_of(path))
        if not packed.exists():
            raise JournalError(f"{path} was deleted before it was read") from None
        return _open(packed)


def pack(folder: Path, number: int) -> int:
    """Move a segment that nobody writes to into the archive; returns the number of bytes that became free.

    The packed file is complete on disk, and was read back, before the other one goes.
    """
    path, packed = segment_path(folder, number), archive_path(folder, number)
    data = path.read_bytes()
    make_folder(packed.parent)
    write_whole(packed, gzip.compress(data, 6, mtime=0))
    if gzip.decompress(packed.read_bytes()) != data:
        packed.unlink()
        raise JournalError(f"{packed} did not keep what was written to it: check the disk")
    path.unlink()
    sync_folder(folder)
    return len(data) - packed.stat().st_size


def _open(path: Path) -> Source:
    return _Packed(path) if path.name.endswith(_SUFFIX) else _File(path)


def _packed_numbers(folder: Path) -> list[int]:
    found = (path.name.removesuffix(_SUFFIX) for path in (folder / "archive").glob(f"*{_SUFFIX}"))
    return [int(name) for name in found if name.isdecimal()]
