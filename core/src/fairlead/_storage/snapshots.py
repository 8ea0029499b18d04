"""Snapshots: the state after some record, kept so that a start need not fold what lies before it.

A snapshot only ever saves time. It names the place in the journal that it stands for, the digest of every byte of the
journal before that place, and the code that folded it; where any of these is not what it finds, it is passed over and
the journal is folded from its beginning. So what lies before the place is verified at every start, at the speed of
the disk instead of record by record.

    file     8s "fairsnap" · u32 version · 16s digest of all that follows · msgpack of `Snapshot`
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import msgspec

from fairlead._storage.archive import open_source, place
from fairlead._storage.files import make_folder, sync_folder, write_whole
from fairlead._storage.reading import Position
from fairlead.errors import JournalError
from fairlead.facts import SCHEMA

_MAGIC = b"fairsnap"
_VERSION = 1
_HEAD = struct.Struct("<8sI16s")
_CHUNK = 1 << 20
_KEPT = 2

_encode = msgspec.msgpack.Encoder().encode


class Digest(msgspec.Struct, frozen=True):
    """What a segment held: its first `size` bytes, and the whole packed file where it lay in the archive."""

    number: int
    size: int
    plain: bytes
    packed: bytes = b""


class Snapshot(msgspec.Struct, frozen=True):
    """A packed state, the place behind the last record in it, and the digests of all segments up to there.

    `code` tells which code folded it: another one might have come to another state.
    """

    code: str
    schema: int
    at: Position
    digests: tuple[Digest, ...]
    state: bytes


def write_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Keep a snapshot, whole or not at all, and drop all but the newest two; returns its file."""
    data = _encode(snapshot)
    path = folder / f"{snapshot.at.seq:016d}.snap"
    make_folder(folder)
    write_whole(path, _HEAD.pack(_MAGIC, _VERSION, _hash(data)) + data)
    for old in snapshot_paths(folder)[:-_KEPT]:
        old.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def snapshot_paths(folder: Path) -> list[Path]:
    """The snapshots of a folder, oldest first."""
    return sorted(folder.glob("*.snap"))


def newest_snapshot(folder: Path, journal: Path, code: str) -> tuple[Snapshot | None, list[str]]:
    """The newest snapshot that can be believed, and why those newer than it cannot."""
    refused: list[str] = []
    for path in reversed(snapshot_paths(folder)):
        try:
            snapshot = _read(path)
            why = _refusal(snapshot, journal, code)
        except (OSError, JournalError, msgspec.MsgspecError, struct.error) as error:
            why = str(error) or type(error).__name__
        if not why:
            return snapshot, refused
        refused.append(f"{path.name} is passed over: {why}")
    return None, refused


def digests_of(journal: Path, at: Position, known: tuple[Digest, ...] = ()) -> tuple[Digest, ...]:
    """The digests of all segments up to a place; those of `known` that are whole need not be made again."""
    kept = {digest.number: digest for digest in known[:-1]}  # the last was made of a part
    found = []
    for number in range(1, at.number + 1):
        path = place(journal, number)
        old = kept.get(number)
        size = at.offset if number == at.number else _size(path)
        plain = old.plain if old is not None and old.size == size else _digest(path, size)
        packed = _hash(path.read_bytes()) if path.suffix == ".gz" else b""
        found.append(Digest(number, size, plain, packed))
    return tuple(found)


def _refusal(snapshot: Snapshot, journal: Path, code: str) -> str:
    """Why a snapshot must not be used, "" where it may."""
    if snapshot.schema > SCHEMA:
        return "a newer fairlead made it"
    if snapshot.code != code:
        return "other code made it"
    for digest in snapshot.digests:
        path = place(journal, digest.number)
        if not path.exists():
            return f"the journal has no {path.name}"
        if path.suffix == ".gz" and digest.packed:
            same = _hash(path.read_bytes()) == digest.packed
        else:
            same = _size(path) >= digest.size and _digest(path, digest.size) == digest.plain
        if not same:
            return f"{path.name} is not what it was"
    return ""


def _read(path: Path) -> Snapshot:
    data = path.read_bytes()
    magic, version, digest = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise JournalError("it does not begin as a snapshot does")
    if version > _VERSION:
        raise JournalError("a newer fairlead made it")
    body = data[_HEAD.size :]
    if _hash(body) != digest:
        raise JournalError("it is damaged")
    return msgspec.msgpack.decode(body, type=Snapshot)


def _size(path: Path) -> int:
    source = open_source(path)
    try:
        return source.size
    finally:
        source.close()


def _digest(path: Path, size: int) -> bytes:
    """The digest of the first `size` bytes of a segment."""
    digest = hashlib.blake2b(digest_size=16)
    source = open_source(path)
    try:
        for start in range(0, size, _CHUNK):
            digest.update(source.read(min(_CHUNK, size - start), start))
    finally:
        source.close()
    return digest.digest()


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
