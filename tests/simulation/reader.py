"""The journal's bytes, read without the engine: its format from the description, in plain dicts.

Nothing here is shared with what writes the files: a mistake that writer and reader of the engine have in common is
one that this reader does not have.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

HEADER_BYTES = 72
_HEAD = struct.Struct("<8sHBBIQI36sI")
_RECORD = struct.Struct("<IIQI")


class Turn(NamedTuple):
    """One record of the journal: its place, and the facts of one turn as plain dicts."""

    segment: int
    seq: int
    facts: list[dict[str, Any]]


class Log(NamedTuple):
    """All records of a folder, and every fault found in its bytes."""

    records: list[tuple[int, int, bytes]]
    faults: list[str]
    boots: list[str]


def read_log(folder: Path, kind: int) -> Log:
    """The records (segment, seq, payload) of a folder of segments; what is wrong with it, in words."""
    records: list[tuple[int, int, bytes]] = []
    faults: list[str] = []
    boots: list[str] = []
    chain = after = 0
    paths = sorted(folder.glob("*.seg"))
    for index, path in enumerate(paths):
        data = path.read_bytes()
        magic, version, of, _, number, begins, starts, boot, _ = _HEAD.unpack_from(data)
        crc = struct.unpack_from("<I", data, _HEAD.size)[0]
        if magic != b"fairlead" or version != 1 or of != kind or zlib.crc32(data[: _HEAD.size]) != crc:
            faults.append(f"{path.name}: its header is not a segment's")
            continue
        if number != int(path.stem) or number != index + 1:
            faults.append(f"{path.name}: it says that it is number {number}, and it is file {index + 1}")
        if (begins, starts) != (after, chain):
            faults.append(
                f"{path.name}: it continues record {begins}, and the one before it ends with {after}"
            )
        boots.append(boot.rstrip(b"\0").decode())
        at = HEADER_BYTES
        while at + _RECORD.size <= len(data):
            length, crc, seq, link = _RECORD.unpack_from(data, at)
            body = data[at + 8 : at + _RECORD.size + length]
            if not length:
                break
            if len(body) != 12 + length or zlib.crc32(body) != crc:
                if index + 1 < len(paths):
                    faults.append(f"{path.name} at {at}: a record is not whole, and other files follow")
                break
            if link != chain:
                faults.append(f"{path.name} at {at}: the chain breaks")
            if seq <= after:
                faults.append(f"{path.name} at {at}: record {seq} follows {after}")
            records.append((number, seq, body[12:]))
            chain, after = crc, seq
            at = (at + _RECORD.size + length + 7) // 8 * 8
    return Log(records, faults, boots)


def read_turns(folder: Path) -> tuple[list[Turn], list[str]]:
    """The turns of a journal, and what is wrong with its bytes."""
    log = read_log(folder, 1)
    decode = msgspec.msgpack.Decoder(strict=False).decode
    return [Turn(segment, seq, decode(payload)) for segment, seq, payload in log.records], log.faults


def read_numbers(folder: Path) -> tuple[list[int], list[str]]:
    """The sequence numbers of a tape, and what is wrong with its bytes."""
    log = read_log(folder, 2)
    return [seq for _, seq, _ in log.records], log.faults
