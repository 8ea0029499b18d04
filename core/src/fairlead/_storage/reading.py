"""Reading segments: at once or behind a living writer, with every record verified.

Readers use `pread` and map nothing: a writer cuts its file when it ends, and a mapping of what was cut kills its
process.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from zlib import crc32

import msgspec

from fairlead._storage.segments import (
    HEADER_BYTES,
    RECORD,
    RECORD_BYTES,
    Header,
    Kind,
    segment_numbers,
    segment_path,
)
from fairlead.errors import JournalDamaged, JournalError

_CHUNK = 1 << 16
_ZEROS = bytes(_CHUNK)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One verified record; its checksum is the chain of the next one."""

    seq: int
    payload: bytes
    checksum: int


def read(folder: Path, since: int = 0, *, kind: Kind = Kind.JOURNAL) -> Iterator[Record]:
    """The records with a sequence number above `since`, in order; none where the folder is missing or empty.

    Ends before a torn tail: a last record that is not whole, with no whole record after it. Anything else that is
    wrong raises JournalDamaged with file, offset and rule. A tape begins with the oldest record that it still has.
    """
    paths = _paths_since(folder, since, kind)
    previous: Segment | None = None
    for path in paths:
        with Segment(path, kind) as segment:
            if previous is not None:
                segment.must_continue(previous)
            yield from (record for record in segment.records() if record.seq > since)
            segment.must_end(last=path is paths[-1])
        previous = segment


def segment_starts(folder: Path, *, kind: Kind = Kind.JOURNAL) -> list[int]:
    """After which sequence number each segment of a folder begins, in order: from there `read` is quick."""
    return [_header(path).after for path in _paths(folder, kind)]


def payload_hash() -> hashlib.blake2b:
    """What the payloads of a folder's records, in order, are put into to get its hash.

    It is equal where two folders hold the same, in whatever segments and under whatever boot.
    """
    return hashlib.blake2b(digest_size=16)


def last_segment(folder: Path, kind: Kind) -> tuple[Header, int]:
    """Cut the torn tail of a folder, if it has one, and say how many bytes that took.

    The header is what a next segment continues: number, sequence and chain of the folder's end, and the boot in
    which its last record was written. Raises JournalDamaged where what is wrong is no torn tail.
    """
    paths = _paths(folder, kind)
    if not paths:
        return Header(kind, 0), 0
    with Segment(paths[-1], kind) as segment:
        for _ in segment.records():
            pass
        torn = segment.must_end(last=True)
        if segment.size > segment.offset:
            _truncate(segment.path, segment.offset)
    return Header(kind, segment.header.number, segment.seq, segment.chain, _boot_of_last_record(paths)), torn


def repair_tail(folder: Path, *, kind: Kind = Kind.JOURNAL) -> int:
    """Cut a torn tail and return its number of bytes, 0 where there is none. Raises JournalDamaged as `read` does.

    Looks at the last segment only; no writer may be alive.
    """
    return last_segment(folder, kind)[1]


class Tail:
    """Follows a folder that somebody writes to, from the record after `since`; it may not exist yet.

    The caller decides when to look: nothing here waits.
    """

    def __init__(self, folder: Path, since: int = 0, *, kind: Kind = Kind.JOURNAL) -> None:
        self.folder = folder
        self.seq = since
        self._kind = kind
        self._segment: Segment | None = None

    def __enter__(self) -> Tail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def poll(self) -> list[Record]:
        """The records that have come since the last call.

        Raises JournalDamaged as `read` does, and JournalError where a tape was deleted faster than it was read.
        """
        if self._segment is None and not self._open_first():
            return []
        found = self._take()
        while self._open_next(found):
            found += self._take()
        if found:
            self.seq = found[-1].seq
        return found

    def close(self) -> None:
        """Let go of the file; harmless to repeat."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _open_first(self) -> bool:
        paths = _paths_since(self.folder, self.seq, self._kind)
        if paths:
            self._segment = Segment(paths[0], self._kind)
        return bool(paths)

    def _take(self) -> list[Record]:
        assert self._segment is not None
        return [record for record in self._segment.whole_records() if record.seq > self.seq]

    def _open_next(self, found: list[Record]) -> bool:
        segment = self._segment
        assert segment is not None
        path = segment_path(self.folder, segment.header.number + 1)
        if not path.exists():
            if segment.is_deleted():
                raise JournalError(
                    f"{self.folder}: what follows record {segment.seq} was deleted before it was read"
                )
            return False
        # The writer ended this file before it named the next: what is in it now is all.
        found += [record for record in segment.records() if record.seq > self.seq]
        segment.must_end(last=False)
        self._segment = Segment(path, self._kind)
        segment.close()
        self._segment.must_continue(segment)
        return True


class Segment:
    """One file and how far it has been read: `offset` is behind the last whole record."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise JournalError(f"{path} was deleted before it was read") from None
        try:
            self.header = Header.unpack(os.pread(self._file, HEADER_BYTES, 0), path)
            self._check_header(kind)
        except BaseException:  # whatever stopped it, the file must not stay open
            os.close(self._file)
            raise
        self.offset = HEADER_BYTES
        self.seq = self.header.after
        self.chain = self.header.chain

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes of the file, those not used yet included."""
        return os.fstat(self._file).st_size

    def is_deleted(self) -> bool:
        """Whether the file has lost its name."""
        return os.fstat(self._file).st_nlink == 0

    def whole_records(self) -> Iterator[Record]:
        """The whole records from `offset` on, up to the first that is not."""
        while data := self._window():
            at = 0
            while isinstance(record := self._parse(data, at), Record):
                size = RECORD_BYTES + len(record.payload) + 7 & -8
                at += size
                self.offset += size
                self.seq, self.chain = record.seq, record.checksum
                yield record
            if at == 0:
                return

    def records(self) -> Iterator[Record]:
        """The same, but sure to reach what a living writer stored before the end was found."""
        yield from self.whole_records()
        while self._rest() and isinstance(self._parse(self._window(), 0), Record):
            yield from self.whole_records()

    def must_end(self, *, last: bool) -> int:
        """Bytes of a torn tail after `offset`. Raises JournalDamaged where what is there is something else."""
        rest = self._rest()
        if not rest:
            return 0
        fault = self._parse(self._window(), 0)
        if isinstance(fault, Record):
            return 0  # a living writer has just stored it
        if not last:
            raise JournalDamaged(
                f"{self.path} at byte {self.offset}: {fault}, and it is not the last segment"
            )
        if (valid := _first_valid(rest, self.size - self.offset)) is not None:
            raise JournalDamaged(
                f"{self.path} at byte {self.offset}: {fault}, yet byte {self.offset + valid} has a whole record"
            )
        return len(rest)

    def must_continue(self, previous: Segment) -> None:
        """Raise JournalDamaged unless this file begins where `previous` was read to."""
        if (self.header.after, self.header.chain) != (previous.seq, previous.chain):
            raise JournalDamaged(
                f"{previous.path} at byte {previous.offset}: it ends with record {previous.seq}, "
                f"but {self.path.name} continues record {self.header.after} of another chain or number"
            )

    def _check_header(self, kind: Kind) -> None:
        if self.header.kind is not kind:
            raise JournalError(f"{self.path} is a {self.header.kind.name.lower()}, not a {kind.name.lower()}")
        if self.header.number != int(self.path.stem):
            raise JournalDamaged(
                f"{self.path} at byte 0: its header says that it is number {self.header.number}"
            )

    def _window(self) -> bytes:
        """Bytes from `offset` on: a chunk, or all of the record there if that is larger."""
        data = os.pread(self._file, _CHUNK, self.offset)
        if len(data) >= RECORD_BYTES:
            needed = RECORD_BYTES + RECORD.unpack_from(data)[0]
            if len(data) < needed <= self.size - self.offset:
                data = os.pread(self._file, needed, self.offset)
        return data

    def _parse(self, data: bytes, at: int) -> Record | str:
        """The record at `at`, or the rule that says there is none."""
        start = at + RECORD_BYTES
        if start > len(data):
            return "a record is cut off in its header"
        length, crc, seq, chain = RECORD.unpack_from(data, at)
        if length == 0:
            return "the data ends"
        if start + length > len(data):
            return "a record is cut off in its payload"
        if crc32(data[at + 8 : start + length]) != crc:
            return "the checksum of a record does not match"
        if chain != self.chain:
            return "the chain of checksums breaks"
        if seq <= self.seq:
            return f"record {seq} follows record {self.seq}"
        return Record(seq, data[start : start + length], crc)

    def _rest(self) -> bytes:
        """What is written after `offset`: up to the last byte of the file that is not zero."""
        parts: list[bytes] = []
        at, used = self.offset, 0
        while data := os.pread(self._file, _CHUNK, at):
            parts.append(data)
            if data != _ZEROS[: len(data)]:
                used = len(parts)
            at += len(data)
        return b"".join(parts[:used]).rstrip(b"\0")


def _first_valid(rest: bytes, size: int) -> int | None:
    """Where in `rest` a record stands whose checksum matches; at its beginning, it is the chain that is wrong.

    `rest` goes on with zeros up to `size`: they may be the end of a record's payload, or of its header.
    """
    data = rest + bytes(RECORD_BYTES)
    for at in range(0, len(rest), 8):
        length, crc, _, _ = RECORD.unpack_from(data, at)
        body = RECORD_BYTES - 8 + length
        if (
            0 < length <= size - at - RECORD_BYTES
            and crc32(rest[at + 8 : at + 8 + body].ljust(body, b"\0")) == crc
        ):
            return at
    return None


def _paths(folder: Path, kind: Kind) -> list[Path]:
    """The segments of a folder in order. Raises JournalDamaged where one is missing."""
    numbers = segment_numbers(folder)
    first = 1
    if kind is Kind.TAPE and numbers:
        # The oldest of a tape may be gone, and may be going while the folder is listed.
        first = next(n for i, n in enumerate(numbers) if numbers[-1] - n == len(numbers) - 1 - i)
        numbers = [n for n in numbers if n >= first]
    for expected, number in enumerate(numbers, first):
        if number != expected:
            raise JournalDamaged(f"{segment_path(folder, expected)} at byte 0: the file is missing")
    return [segment_path(folder, number) for number in numbers]


def _paths_since(folder: Path, since: int, kind: Kind) -> list[Path]:
    """The segments that can hold a record after `since`, and perhaps one before them."""
    paths = _paths(folder, kind)
    if since == 0:
        return paths
    for index in reversed(range(len(paths))):
        if _header(paths[index]).after <= since:
            return paths[index:]
    return paths


def _boot_of_last_record(paths: list[Path]) -> str:
    """The boot id of the last segment that has a record; openings without one leave segments that have none."""
    for path in reversed(paths):
        if path.stat().st_size > HEADER_BYTES:
            return _header(path).boot_id
    return ""


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        return Header.unpack(file.read(HEADER_BYTES), path)


def _truncate(path: Path, size: int) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)
