"""What a run and a venue have left on disk, read without a line of the engine's code.

A segment is a header of 72 bytes and records: u32 length, u32 crc32, u64 seq, u32 chain, payload, zeros up to a
multiple of 8. A payload is a msgpack array of maps. A ledger is a JSON object to a line.
"""

import json
import struct
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

_HEADER_BYTES = 72
_RECORD = struct.Struct("<IIQI")

Entry = dict[str, Any]


class Torn(Exception):
    """A journal that cannot be read to its end."""


def journal(folder: Path) -> list[Entry]:
    """All facts, in order. Raises Torn where a checksum, the chain or the order of numbers breaks (I21)."""
    facts: list[Entry] = []
    chain = seq = 0
    for path in sorted(folder.glob("*.seg")):
        data = path.read_bytes()
        at = _HEADER_BYTES
        while at + _RECORD.size <= len(data):
            length, crc, number, before = _RECORD.unpack_from(data, at)
            if not length:
                break
            end = at + _RECORD.size + length
            if crc32(data[at + 8 : end]) != crc:
                break  # a torn tail; that nothing follows it, the next file's chain proves
            if before != chain or number <= seq:
                raise Torn(f"{path.name} at {at}: record {number} does not follow {seq}")
            found = msgspec.msgpack.decode(data[at + _RECORD.size : end])
            numbers = [fact["seq"] for fact in found]
            if numbers != sorted(set(numbers)) or numbers[0] <= seq or numbers[-1] != number:
                raise Torn(f"{path.name} at {at}: record {number} holds facts {numbers}")
            facts += found
            chain, seq = crc, number
            at = end + 7 & -8
    return facts


def ledger(path: Path) -> list[Entry]:
    """All that a venue wrote down, in order, with what it wrote before each of its own deaths (`ledger.1`, ...)."""
    earlier = sorted(path.parent.glob(f"{path.name}.*"), key=lambda file: int(file.suffix[1:]))
    entries: list[Entry] = []
    for file in [*earlier, path]:
        lines = file.read_bytes().split(b"\n")
        lines.pop()  # what follows the last newline is torn, or nothing
        entries += [json.loads(line) for line in (lines[1:] if entries else lines)]
    return entries
