"""Small tools that the tests of the storage share."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead._storage.segments import Header, Kind, SegmentWriter

SMALL = 4096


@pytest.fixture
def new_writer() -> Iterator[Callable[..., SegmentWriter]]:
    """Makes writers of small segments, and closes them."""
    writers: list[SegmentWriter] = []

    def make(folder: Path, previous: Header | None = None, **options: object) -> SegmentWriter:
        options = {"boot_id": "", "segment_bytes": SMALL, **options}
        writers.append(SegmentWriter(folder, previous or Header(Kind.JOURNAL, 0), **options))  # type: ignore[arg-type]
        return writers[-1]

    yield make
    for writer in writers:
        writer.close()


class Disk:
    """A disk that can be full."""

    def __init__(self) -> None:
        self.full = False
        self._allocate = os.posix_fallocate

    def allocate(self, file: int, offset: int, size: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._allocate(file, offset, size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    fake = Disk()
    monkeypatch.setattr(os, "posix_fallocate", fake.allocate)
    return fake
