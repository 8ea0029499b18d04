"""What the verbs about journals do: verify, back up, compact."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from fairlead._cli.progress import progress
from fairlead._cli.reading import folder_of
from fairlead._cli.tables import print_json
from fairlead._storage.archive import numbers
from fairlead._storage.backup import copy_journal
from fairlead._storage.reading import last_segment, payload_hash, read
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import RECORD_BYTES, Kind, segment_numbers

_RECORDS_A_STEP = 5_000
"""How often the reading of a journal says how far it is."""


def verify_journal(run: Path, as_json: bool) -> None:
    """Read every record; JournalDamaged says where the first fault is."""
    journal = folder_of(run).journal
    records, last, schema, hashed = 0, 0, 0, payload_hash()
    done, total = 0, sum(path.stat().st_size for path in journal.rglob("*.seg*"))
    with progress("reading the journal", total) as say:
        for record in read(journal):
            records, last, schema = records + 1, record.seq, max(schema, record.schema)
            hashed.update(record.payload)
            done += RECORD_BYTES + len(record.payload)
            if say is not None and not records % _RECORDS_A_STEP:
                say(f"{records:,} records", done)
    _, torn = last_segment(journal, Kind.JOURNAL, cut=False)
    found = hashed.hexdigest() if records else ""
    if as_json:
        segments = numbers(journal)
        packed = len(segments) - len(segment_numbers(journal))
        print_json(
            {
                "records": records,
                "last_seq": last,
                "journal_hash": found,
                "segments": len(segments),
                "packed": packed,
                "schema": schema,
                "torn_bytes": torn,
            }
        )
        return
    click.echo(f"{records:,} records, last sequence number {last:,}, hash {found or '-'}: all verified")
    if torn:
        click.echo(
            f"after them come {torn:,} bytes of a record that was never whole: the next start cuts them"
        )


def backup_journal(run: Path, dest: Path, as_json: bool) -> None:
    """Copy what is in the journal now, and what the run says of itself."""
    folder, copy = folder_of(run), RunFolder(dest)
    at = copy_journal(folder.journal, copy.journal)
    if folder.info.exists():
        shutil.copyfile(folder.info, copy.info)
    if as_json:
        print_json({"journal": str(copy.journal), "last_seq": at.seq, "segments": at.number})
        return
    click.echo(f"{copy.journal} holds the journal up to record {at.seq:,}, verified")
    click.echo(f"to restore it, put it in the place of {folder.journal} while no engine runs there")


def compact_journal(run: Path, as_json: bool) -> None:
    """A snapshot, then everything behind it packed, then a snapshot that knows what was packed."""
    from fairlead._engine.folding import code_id, pack_segments, take_snapshot
    from fairlead._storage.snapshots import newest_snapshot

    folder = folder_of(run)
    take_snapshot(folder)
    packed, freed = pack_segments(folder)
    if packed:
        take_snapshot(folder)
    snapshot, _ = newest_snapshot(folder.snapshots, folder.journal, code_id())
    seq = snapshot.at.seq if snapshot is not None else 0
    if as_json:
        print_json({"snapshot_seq": seq, "packed_segments": len(packed), "freed_bytes": freed})
        return
    click.echo(f"a start goes on from a snapshot after record {seq:,}" if seq else "there is no record yet")
    click.echo(f"{len(packed)} segments packed, {freed:,} bytes freed")
