"""The tape: the market events of a run, each under the kernel's sequence number of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fairlead._models.market import MarketEvent
from fairlead._storage.reading import Record, last_segment, read
from fairlead._storage.segments import SEGMENT_BYTES, Kind, SegmentWriter
from fairlead.errors import JournalError

TAPE_BYTES = 2 << 30

_encode = msgspec.msgpack.Encoder().encode


class Tape:
    """Records market events before they are handled; the oldest go where it passes `cap` bytes in all.

    Events survive the death of the process, and a power cut as far as the system had written them.
    """

    def __init__(
        self, folder: Path, *, boot_id: str, cap: int = TAPE_BYTES, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        """Go on after the last event of a folder, or begin one. Raises JournalDamaged, JournalError."""
        end, _ = last_segment(folder, Kind.TAPE)
        self._writer = SegmentWriter(folder, end, boot_id=boot_id, segment_bytes=segment_bytes, cap=cap)
        self._append = self._writer.append

    @property
    def last_seq(self) -> int:
        """The sequence number of the last event, 0 before the first."""
        return self._writer.seq

    def append(self, seq: int, event: MarketEvent) -> None:
        """Record an event. Raises JournalError where there is no space or `seq` does not rise."""
        append = self._append
        append(seq, _encode(event))

    def close(self) -> None:
        """Cut the file to its data; harmless to repeat."""
        self._writer.close()


def last_event(folder: Path) -> int:
    """The sequence number of the last event of a tape, 0 where there is none. Raises JournalDamaged."""
    return last_segment(folder, Kind.TAPE)[0].after


def read_tape(folder: Path, since: int = 0) -> Iterator[tuple[int, MarketEvent]]:
    """The events after `since` that the tape still has, each with its sequence number. Raises JournalDamaged."""
    for record in read(folder, since, kind=Kind.TAPE):
        yield record.seq, decode_event(record)


def decode_event(record: Record) -> MarketEvent:
    """The event of a tape's record. Raises JournalError where it is none that this version knows."""
    try:
        return _decoder().decode(record.payload)
    except msgspec.MsgspecError as error:
        raise JournalError(f"record {record.seq} is no market event: {error}") from error


@functools.cache
def _decoder() -> msgspec.msgpack.Decoder[MarketEvent]:
    return msgspec.msgpack.Decoder(MarketEvent)
