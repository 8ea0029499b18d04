"""Append-only segments: the file format that journal and tape share, and its writer.

A folder holds `000001.seg`, `000002.seg`, …: a header of 72 bytes, then records, each on a multiple of 8 bytes.
Numbers are little-endian.

    header   8s "fairlead" · u16 version · u8 kind · u8 0 · u32 number · u64 after · u32 chain · 36s boot id ·
             u16 schema · u16 0 · u32 crc32
    record   u32 length · u32 crc32 · u64 seq · u32 chain · payload of `length` bytes · zeros up to a multiple of 8

The checksum is the chain: each record holds the crc32 of the one before it (0 before the first) as its `chain`, and
its own crc32 is over seq, chain and payload. So every record can be verified by itself, and none can be missing or
in another place. `version` is that of this layout, `schema` that of what the payloads hold (0 is read as 1). `after`
and `chain` of a header are sequence number and crc32 of the last record before the file.
Length 0, or the end of the file, is the end of the data.

A file gets its name when its header is complete, and every opening of the folder begins a new one: no file is
written to by two processes, and its boot id says since when its pages have been in memory.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import mmap
import os
import struct
import threading
from pathlib import Path
from zlib import crc32

import msgspec

from fairlead._storage.files import make_folder, sync_folder
from fairlead.errors import JournalDamaged, JournalError

SEGMENT_BYTES = 16 << 20
RESERVE_BYTES = 64 << 10
MAGIC = b"fairlead"
VERSION = 1

RECORD = struct.Struct("<IIQI")
RECORD_BYTES = RECORD.size
_HEADER = struct.Struct("<8sHBxIQI36sHxx")
_U32 = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _U32.size

# The hot path calls these as they are: no attribute to look up, no keyword to parse.
_length_and_checksum = struct.Struct("<II").pack
_seq_and_chain = struct.Struct("<QI").pack

_datasync = getattr(os, "fdatasync", os.fsync)


class Kind(enum.IntEnum):
    """What the records of a folder are."""

    JOURNAL = 1
    TAPE = 2


class Header(msgspec.Struct, frozen=True):
    """The beginning of a segment; `after` and `chain` are those of the last record before it."""

    kind: Kind
    number: int
    after: int = 0
    chain: int = 0
    boot_id: str = ""
    schema: int = 1

    def pack(self) -> bytes:
        """Its bytes in the file."""
        fields = (
            MAGIC,
            VERSION,
            self.kind,
            self.number,
            self.after,
            self.chain,
            self.boot_id.encode("ascii"),
            self.schema,
        )
        data = _HEADER.pack(*fields)
        return data + _U32.pack(crc32(data))

    @classmethod
    def unpack(cls, data: bytes, path: Path) -> Header:
        """The header of a file. Raises JournalDamaged, or JournalError where a newer version wrote it."""
        if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
            raise JournalDamaged(f"{path} at byte 0: it does not begin as a segment does")
        if _U32.unpack_from(data, _HEADER.size)[0] != crc32(data[: _HEADER.size]):
            raise JournalDamaged(f"{path} at byte 0: the checksum of its header does not match")
        _, version, kind, number, after, chain, boot_id, schema = _HEADER.unpack_from(data)
        if version > VERSION:
            raise JournalError(
                f"{path} has format {version} and this fairlead knows {VERSION}: use a newer one"
            )
        return cls(Kind(kind), number, after, chain, boot_id.rstrip(b"\0").decode("ascii"), schema or 1)


def boot_id() -> str:
    """The id of this boot of the machine, "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"{number:06d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of the segments that a folder has, rising; none where there is no folder."""
    return sorted(int(path.stem) for path in folder.glob("*.seg") if path.stem.isdecimal())


class SegmentWriter:
    """Appends records to the segments of one folder, after `after`, `chain` and segment `number`.

    `durable` syncs a full segment before the next one appears, so that only the last can lose its end to a power
    cut. `reserve` keeps a small file ready that becomes the last segment when the disk is full. `cap` is the number
    of bytes above which the oldest segments are deleted.

    One writer at a time: the caller holds a lock. Only `sync` may be called from another thread.
    """

    def __init__(
        self,
        folder: Path,
        previous: Header,
        *,
        boot_id: str,
        schema: int = 1,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = False,
        reserve: bool = False,
        cap: int | None = None,
    ) -> None:
        if durable:
            make_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.seq = previous.after
        self.chain = previous.chain
        self._kind = previous.kind
        self._number = previous.number
        self._boot_id = boot_id
        self._schema = schema
        self._before = 0
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._cap = cap
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        self._file = -1
        self._map: mmap.mmap
        self._room = self._offset = self._synced = 0
        self._reserve = folder / "reserve" if reserve else None
        for leftover in (folder / "segment.new", folder / "reserve"):
            leftover.unlink(missing_ok=True)
        if self._reserve is not None:
            os.close(_allocate(self._reserve, RESERVE_BYTES))
        self._begin_segment(0, last_words=False)

    @property
    def written(self) -> int:
        """Bytes that this writer has stored, headers included; may be read from another thread."""
        return self._before + self._offset

    def append(self, seq: int, payload: bytes, last_words: bool = False) -> None:
        """Store one record; it survives the death of the process from the return on.

        `last_words` lets it take the reserve where the disk is full. Raises JournalError and leaves everything
        as it was where there is no space, an earlier sync failed, or `seq` does not rise.
        """
        length = len(payload)
        offset = self._offset
        end = offset + RECORD_BYTES + length
        # One comparison for all that is wrong or rare: a failed sync leaves no room.
        if end > self._room or seq <= self.seq or not length:
            self._make_room(seq, RECORD_BYTES + length, last_words)
            offset = self._offset
            end = offset + RECORD_BYTES + length
        body = _seq_and_chain(seq, self.chain) + payload
        self.chain = checksum = crc32(body)
        # One store. A reader that sees half of it sees a torn record, and looks again.
        self._map[offset:end] = _length_and_checksum(length, checksum) + body
        self.seq = seq
        self._offset = end + 7 & -8

    def sync(self) -> None:
        """Make all records before this call survive a power cut; cheap where they do already.

        Raises JournalError where the disk fails, and from then on always: after a failed sync the system may
        have dropped what was not written, and a second one would call that a success.
        """
        with self._lock:
            self._sync()

    def close(self) -> None:
        """Sync if durable, cut the last segment to its data, drop the reserve; harmless to repeat.

        Raises JournalError where the sync fails, with everything closed.
        """
        with self._lock:
            if self._file < 0:
                return
            try:
                if self._durable:
                    self._sync()
            finally:
                self._end_segment()
                if self._reserve is not None:
                    self._reserve.unlink(missing_ok=True)

    def _sync(self) -> None:
        self._raise_failure()
        end = self._offset
        if end == self._synced or self._file < 0:
            return
        try:
            _datasync(self._file)  # reaches what was stored through the map, without holding the interpreter
        except OSError as error:
            self._failure = error
            self._room = 0
            self._raise_failure()
        self._synced = end

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise JournalError(
                f"{self.folder} could not be synced ({self._failure.strerror}): check the disk, then start again"
            ) from self._failure

    def _make_room(self, seq: int, size: int, last_words: bool) -> None:
        """Begin another segment if that is all that was in the way."""
        if seq <= self.seq or size == RECORD_BYTES:
            raise JournalError(
                f"{self.folder}: record {seq} is empty or not after {self.seq}, so it was not written"
            )
        with self._lock:
            self._raise_failure()
            if self._file < 0:
                raise JournalError(f"{self.folder} is closed: record {seq} was not written")
            self._begin_segment(size, last_words)

    def _begin_segment(self, needed: int, last_words: bool) -> None:
        new = self.folder / "segment.new"
        size = max(self._segment_bytes, HEADER_BYTES + needed)
        file = self._allocate_or_take_reserve(new, size, needed, last_words)
        try:
            if self._durable:
                self._sync()
            self._write_header(file, new)
            memory = mmap.mmap(file, 0)
            self._end_segment()
        except (OSError, JournalError) as error:
            os.close(file)
            new.unlink(missing_ok=True)
            if isinstance(error, JournalError):
                raise
            raise _no_room(self.folder, size, error) from error
        self._number += 1
        self._before += self._offset
        self._file, self._map, self._room = file, memory, len(memory)
        self._offset = self._synced = HEADER_BYTES
        if self._cap is not None:
            self._delete_oldest(self._cap)

    def _allocate_or_take_reserve(self, new: Path, size: int, needed: int, last_words: bool) -> int:
        try:
            return _allocate(new, size)
        except JournalError:
            fits = HEADER_BYTES + needed <= RESERVE_BYTES
            if not (last_words and fits and self._reserve is not None and self._reserve.exists()):
                raise
        # Renamed, not deleted and made again: on a full disk others wait for every block that becomes free.
        self._reserve.replace(new)
        return os.open(new, os.O_RDWR)

    def _write_header(self, file: int, new: Path) -> None:
        header = Header(self._kind, self._number + 1, self.seq, self.chain, self._boot_id, self._schema)
        os.pwrite(file, header.pack(), 0)
        if self._durable:
            os.fsync(file)
        new.rename(segment_path(self.folder, header.number))
        if self._durable:
            sync_folder(self.folder)

    def _end_segment(self) -> None:
        if self._file >= 0:
            self._map.close()
            os.ftruncate(self._file, self._offset)
            os.close(self._file)
            self._file, self._room = -1, 0

    def _delete_oldest(self, cap: int) -> None:
        paths = [segment_path(self.folder, number) for number in segment_numbers(self.folder)]
        sizes = [path.stat().st_size for path in paths]
        total = sum(sizes)
        for path, size in zip(paths[:-1], sizes, strict=False):
            if total <= cap:
                break
            path.unlink()
            total -= size


def _allocate(path: Path, size: int) -> int:
    """A new file of `size` zeros that have their blocks on disk; nothing of it stays where that fails."""
    file = -1
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        _fill(file, size)
    except OSError as error:
        if file >= 0:
            os.close(file)
            path.unlink(missing_ok=True)
        raise _no_room(path.parent, size, error) from error
    return file


def _no_room(folder: Path, size: int, error: OSError) -> JournalError:
    return JournalError(
        f"{folder} cannot take {size:,} bytes more ({error.strerror}), so nothing was written: free some of the disk"
    )


def _fill(file: int, size: int) -> None:
    with contextlib.suppress(AttributeError):  # not every system has the call
        try:
            return os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
                raise
    zeros = bytes(1 << 20)
    for start in range(0, size, len(zeros)):
        os.pwrite(file, zeros[: size - start], start)
