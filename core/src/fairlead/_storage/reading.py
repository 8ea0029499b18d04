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

from fairlead._storage.archive import number_of, numbers, open_source, place
from fairlead._storage.segments import HEADER_BYTES, RECORD, RECORD_BYTES, Header, Kind
from fairlead.errors import JournalDamaged, JournalError

_CHUNK = 1 << 16
_ZEROS = bytes(_CHUNK)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One verified record; its checksum is the chain of the next one, `schema` that of its segment."""

    seq: int
    payload: bytes
    checksum: int
    schema: int = 1


class Position(msgspec.Struct, frozen=True):
    """A place between two records: `offset` in segment `number`, behind record `seq`, whose checksum is `chain`.

    Number 0 is the place before the first record of a folder.
    """

    number: int = 0
    offset: int = 0
    seq: int = 0
    chain: int = 0


BEGINNING = Position()
"""The place before the first record."""


def read(folder: Path, since: int = 0, *, kind: Kind = Kind.JOURNAL) -> Iterator[Record]:
    """The records with a sequence number above `since`, in order; none where the folder is missing or empty.

    Ends before a torn tail: a last record that is not whole, with no whole record after it. Anything else that is
    wrong raises JournalDamaged with file, offset and rule. A tape begins with the oldest record that it still has.
    """
    for segment in _walk(_paths_since(folder, since, kind), kind):
        yield from (record for record in segment.records() if record.seq > since)


def read_on(folder: Path, after: Position) -> Iterator[tuple[Record, Position]]:
    """The records of a journal behind a place, each with the place behind it. Raises JournalDamaged as `read` does.

    The place itself is believed: whoever kept it has to know that what lies before it is what it was.
    """
    paths = [path for path in _paths(folder, Kind.JOURNAL) if number_of(path) >= after.number]
    if after.number and (not paths or number_of(paths[0]) != after.number):
        raise JournalDamaged(f"{place(folder, after.number)} at byte 0: the file is missing")
    for segment in _walk(paths, Kind.JOURNAL, after):
        number = segment.header.number
        for record in segment.records():
            yield record, Position(number, segment.offset, record.seq, record.checksum)


def _walk(paths: list[Path], kind: Kind, after: Position = BEGINNING) -> Iterator[Segment]:
    """Segments one after the other, each to be read to its end by the caller; the first from `after` on."""
    previous: Segment | None = None
    for path in paths:
        with Segment(path, kind) as segment:
            if previous is not None:
                segment.must_continue(previous)
            elif after.number:
                segment.offset, segment.seq, segment.chain = after.offset, after.seq, after.chain
            yield segment
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


def last_segment(folder: Path, kind: Kind, *, cut: bool = True) -> tuple[Header, int]:
    """Cut the torn tail of a folder, if it has one, and say how many bytes that took; `cut=False` only says it.

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
        if cut and segment.size > segment.offset:
            _truncate(segment.path, segment.offset)
    boot, header = _boot_of_last_record(paths, kind), segment.header
    return Header(kind, header.number, segment.seq, segment.chain, boot, header.schema), torn


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
        path = place(self.folder, segment.header.number + 1)
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
        self._source = open_source(path)
        self._read = self._source.read
        try:
            self.header = Header.unpack(self._read(HEADER_BYTES, 0), path)
            self._check_header(kind)
        except BaseException:  # whatever stopped it, the file must not stay open
            self._source.close()
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
        self._source.close()

    @property
    def size(self) -> int:
        """Bytes of the file, those not used yet included."""
        return self._source.size

    def is_deleted(self) -> bool:
        """Whether the file has lost its name."""
        return self._source.deleted

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
        if self.header.number != number_of(self.path):
            raise JournalDamaged(
                f"{self.path} at byte 0: its header says that it is number {self.header.number}"
            )

    def _window(self) -> bytes:
        """Bytes from `offset` on: a chunk, or all of the record there if that is larger."""
        data = self._read(_CHUNK, self.offset)
        if len(data) >= RECORD_BYTES:
            needed = RECORD_BYTES + RECORD.unpack_from(data)[0]
            if len(data) < needed <= self.size - self.offset:
                data = self._read(needed, self.offset)
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
        return Record(seq, data[start : start + length], crc, self.header.schema)

    def _rest(self) -> bytes:
        """What is written after `offset`: up to the last byte of the file that is not zero."""
        parts: list[bytes] = []
        at, used = self.offset, 0
        while data := self._read(_CHUNK, at):
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
    found = numbers(folder)
    first = 1
    if kind is Kind.TAPE and found:
        # The oldest of a tape may be gone, and may be going while the folder is listed.
        first = next(n for i, n in enumerate(found) if found[-1] - n == len(found) - 1 - i)
        found = [n for n in found if n >= first]
    for expected, number in enumerate(found, first):
        if number != expected:
            raise JournalDamaged(f"{place(folder, expected)} at byte 0: the file is missing")
    return [place(folder, number) for number in found]


def _paths_since(folder: Path, since: int, kind: Kind) -> list[Path]:
    """The segments that can hold a record after `since`, and perhaps one before them."""
    paths = _paths(folder, kind)
    if since == 0:
        return paths
    for index in reversed(range(len(paths))):
        if _header(paths[index]).after <= since:
            return paths[index:]
    return paths


def _boot_of_last_record(paths: list[Path], kind: Kind) -> str:
    """The boot id of the last segment that has a record; openings without one leave segments that have none."""
    for path in reversed(paths):
        with Segment(path, kind) as segment:
            if segment.size > HEADER_BYTES:
                return segment.header.boot_id
    return ""


def _header(path: Path) -> Header:
    source = open_source(path)
    try:
        return Header.unpack(source.read(HEADER_BYTES, 0), path)
    finally:
        source.close()


def _truncate(path: Path, size: int) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)
