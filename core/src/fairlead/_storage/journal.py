"""The journal: the facts of a run, one record for each turn of the kernel."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from fairlead._storage.reading import Record, last_segment, payload_hash, read
from fairlead._storage.segments import SEGMENT_BYTES, Kind, SegmentWriter
from fairlead._storage.upcasting import UPCASTERS, upcast
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import SCHEMA, AnyFact, Fact, decode

Durability = Literal["process", "full"]

SYNC_EVERY_SECONDS = 0.05

# A record's payload is a msgpack array of facts, each with the bytes that `fairlead.facts.encode` gives it.
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode


class Journal:
    """Writes facts in the order of their sequence numbers.

    What was appended survives the death of the process; after `barrier` it survives what `durability` promises:
    "process" no more than that, "full" a power cut. `cut` is the number of bytes of a torn tail that opening
    removed, `previous_boot` the boot id under which the last record before that was written, "" if none was.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        durability: Durability,
        sync_behind: bool,
        cut: int,
        previous_boot: str,
    ) -> None:
        self.cut = cut
        self.previous_boot = previous_boot
        self._writer = writer
        self._append = writer.append
        self._full = durability == "full"
        self._syncer = _SyncBehind(writer) if sync_behind else None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        boot_id: str,
        durability: Durability = "process",
        sync_behind: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Journal:
        """Go on after the last record of a folder, or begin one; a torn tail is cut.

        `sync_behind=False` starts no thread and syncs only when told, for backtests and simulation. Only the last
        segment is verified: reading the facts verifies all. Raises JournalDamaged, or JournalError where there is
        no space.
        """
        if durability not in {"process", "full"}:
            raise ConfigurationError(f'durability {durability!r} is neither "process" nor "full"')
        end, cut = last_segment(folder, Kind.JOURNAL)
        durable = sync_behind or durability == "full"
        writer = SegmentWriter(
            folder,
            end,
            boot_id=boot_id,
            schema=SCHEMA,
            segment_bytes=segment_bytes,
            durable=durable,
            reserve=True,
        )
        return cls(writer, durability=durability, sync_behind=sync_behind, cut=cut, previous_boot=end.boot_id)

    @property
    def hash(self) -> str:
        """The hash of all facts, in hex: equal where two journals hold the same. Reads all that was written."""
        digest = payload_hash()
        for record in read(self._writer.folder):
            digest.update(record.payload)
        return digest.hexdigest()

    @property
    def last_seq(self) -> int:
        """The sequence number of the last fact, 0 before the first."""
        return self._writer.seq

    @property
    def last_chain(self) -> int:
        """The checksum of the last record, 0 before the first."""
        return self._writer.chain

    @property
    def written(self) -> int:
        """Bytes written since it was opened; may be read from another thread."""
        return self._writer.written

    def append(self, facts: Sequence[Fact], *, last_words: bool = False) -> None:
        """Write the facts of one turn, all or none; no facts, no record.

        `last_words` is for the fact that says why trading stops: on a full disk it may use the reserve. Raises
        JournalError where nothing was written: no space, an earlier sync that failed, or a number that does not rise.
        """
        if facts:
            self._append(facts[-1].seq, _encode(facts), last_words)

    def barrier(self) -> None:
        """Return when what was appended is as durable as `durability` promises. Raises JournalError."""
        if self._full:
            self._writer.sync()

    def sync(self) -> None:
        """Make all that was appended survive a power cut. Raises JournalError where the disk fails, and ever after."""
        self._writer.sync()

    def close(self) -> None:
        """Stop the thread, sync unless that is off, cut the file to its data; harmless to repeat."""
        if self._syncer is not None:
            self._syncer.stop()
        self._writer.close()


class Synced:
    """A journal whose every record survives a power cut before its commands leave."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, facts: Sequence[Fact]) -> None:
        """Write one record and sync it. Raises JournalError as the journal does."""
        self._journal.append(facts)
        self._journal.barrier()


class _SyncBehind:
    """The thread that syncs what was appended, so that a power cut takes little."""

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairlead-sync", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(SYNC_EVERY_SECONDS):
            try:
                self._writer.sync()
            except JournalError:
                return  # the writer keeps it, and the next append raises it


def read_facts(folder: Path, since: int = 0, *, known_only: bool = False) -> Iterator[AnyFact]:
    """The facts with a sequence number above `since`, in order, up to a torn tail.

    Raises JournalDamaged, or JournalError where a record holds no facts that this version knows; `known_only` passes
    over such facts, for whoever only looks.
    """
    decode = known_facts if known_only else decode_facts
    for record in read(folder, since):
        yield from (fact for fact in decode(record) if fact.seq > since)


def decode_facts(record: Record) -> list[AnyFact]:
    """The facts of a journal's record. Raises JournalError where they are none that this version knows."""
    if record.schema > SCHEMA:
        raise JournalError(
            f"record {record.seq} was written by a newer fairlead, whose facts have version {record.schema}, and this "
            f"one knows {SCHEMA}: start it with that version or a later one; this one can only look"
        )
    try:
        if record.schema < SCHEMA and UPCASTERS:
            return msgspec.convert(upcast(record.payload, record.schema), list[AnyFact])
        return _decoder().decode(record.payload)
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"record {record.seq} holds a fact that this fairlead does not know: {error}"
        ) from error


def known_facts(record: Record) -> list[AnyFact]:
    """The facts of a record that this version can read, one by one where it is not all of them."""
    if record.schema <= SCHEMA:
        try:
            return decode_facts(record)
        except JournalError:
            pass
    found = []
    for raw in msgspec.msgpack.decode(record.payload, type=list[msgspec.Raw]):
        try:
            found.append(decode(raw))
        except msgspec.MsgspecError:
            continue
    return found


@functools.cache
def _decoder() -> msgspec.msgpack.Decoder[list[AnyFact]]:
    return msgspec.msgpack.Decoder(list[AnyFact])
