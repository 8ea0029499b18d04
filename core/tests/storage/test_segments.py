"""The writer of segments."""

import errno
import os

import pytest

from fairlead._storage import reading
from fairlead._storage.reading import Tail, last_segment, read
from fairlead._storage.segments import HEADER_BYTES, RECORD_BYTES, RESERVE_BYTES, Header, Kind
from fairlead.errors import JournalDamaged, JournalError


def payloads(folder, since=0):
    return [(record.seq, record.payload) for record in read(folder, since)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_reads_what_was_written(tmp_path, new_writer):
    """Records come back in order, with the numbers and the bytes they were written with."""
    writer = new_writer(tmp_path)
    wanted = [(seq, b"x" * seq) for seq in (1, 2, 7, 8, 100)]
    for seq, payload in wanted:
        writer.append(seq, payload)
    assert payloads(tmp_path) == wanted
    assert [record.checksum for record in read(tmp_path)][-1] == writer.chain


def test_rolls_over(tmp_path, new_writer):
    """A full segment is cut to its data and followed by another, and the reader sees one sequence."""
    writer = new_writer(tmp_path)
    for seq in range(1, 101):
        writer.append(seq, b"%0100d" % seq)
    writer.close()
    assert payloads(tmp_path) == [(seq, b"%0100d" % seq) for seq in range(1, 101)]
    assert names(tmp_path) == ["000001.seg", "000002.seg", "000003.seg", "000004.seg"]
    assert all(path.stat().st_size < 4096 for path in tmp_path.iterdir())


def test_since_skips_segments(tmp_path, new_writer):
    """Reading from the middle gives what follows, and does not look at the segments before."""
    writer = new_writer(tmp_path)
    for seq in range(1, 101):
        writer.append(seq, b"%0100d" % seq)
    writer.close()
    (tmp_path / "000001.seg").write_bytes(b"not a segment")
    for since in (60, 99, 100, 1000):
        assert [seq for seq, _ in payloads(tmp_path, since)] == list(range(since + 1, 101))


def test_large_record_has_its_own_segment(tmp_path, new_writer):
    """A record larger than a segment, and than the reader's window, is one record all the same."""
    writer = new_writer(tmp_path)
    large = os.urandom(200_000)
    for seq, payload in ((1, b"a"), (2, large), (3, b"b")):
        writer.append(seq, payload)
    assert payloads(tmp_path) == [(1, b"a"), (2, large), (3, b"b")]


def test_chain_does_not_depend_on_segments(tmp_path, new_writer):
    """The chain is of numbers and payloads alone: other segments, other openings, another boot give the same."""
    one, other = (
        new_writer(tmp_path / "one", segment_bytes=1 << 16),
        new_writer(tmp_path / "other", boot_id="b"),
    )
    for seq in range(1, 51):
        one.append(seq, b"%0100d" % seq)
        other.append(seq, b"%0100d" % seq)
        if seq == 25:
            other.close()
            other = new_writer(tmp_path / "other", last_segment(tmp_path / "other", Kind.JOURNAL)[0])
    assert one.chain == other.chain


def test_same_records_same_bytes(tmp_path, new_writer):
    """Two closed folders with the same records are equal byte for byte."""
    for name in ("one", "other"):
        writer = new_writer(tmp_path / name, reserve=True)
        for seq in range(1, 51):
            writer.append(seq, b"%0100d" % seq)
        writer.close()
    files = names(tmp_path / "one")
    assert files == names(tmp_path / "other") == ["000001.seg", "000002.seg"]
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "other" / f).read_bytes() for f in files)


@pytest.mark.parametrize(("seq", "payload"), [(5, b"x"), (4, b"x"), (6, b"")])
def test_refuses_what_is_no_next_record(tmp_path, new_writer, seq, payload):
    """A number that does not rise and an empty payload are refused, and nothing is changed."""
    writer = new_writer(tmp_path)
    writer.append(5, b"five")
    with pytest.raises(JournalError, match=f"record {seq}"):
        writer.append(seq, payload)
    writer.append(6, b"six")
    assert payloads(tmp_path) == [(5, b"five"), (6, b"six")]


def test_closed_writer_refuses(tmp_path, new_writer):
    """After close there is no append; closing again is harmless."""
    writer = new_writer(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(JournalError, match="is closed"):
        writer.append(1, b"x")


def fill(writer, disk):
    """Append until the segment is full and the disk refuses another; return the last number that was written."""
    disk.full = True
    last = (4096 - HEADER_BYTES) // (RECORD_BYTES + 100 + 7 & -8)
    for seq in range(1, last + 1):
        writer.append(seq, b"x" * 100)
    with pytest.raises(JournalError, match="No space left on device"):
        writer.append(last + 1, b"x" * 100)
    return last


def test_full_disk_writes_nothing(tmp_path, new_writer, disk):
    """On a full disk a record is refused as a whole, what was written stays, and space makes it go on."""
    writer = new_writer(tmp_path)
    last = fill(writer, disk)
    chain = writer.chain
    assert payloads(tmp_path) == [(seq, b"x" * 100) for seq in range(1, last + 1)]
    assert names(tmp_path) == ["000001.seg"]
    disk.full = False
    writer.append(last + 1, b"y")
    assert payloads(tmp_path, last) == [(last + 1, b"y")]
    assert chain != writer.chain


def test_last_words_fit_on_a_full_disk(tmp_path, new_writer, disk):
    """The reserve becomes the segment of the last words, which nothing else may take."""
    writer = new_writer(tmp_path, reserve=True, durable=True)
    last = fill(writer, disk)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= RESERVE_BYTES
    writer.append(last + 1, b"halted" * 50, last_words=True)
    writer.close()
    assert payloads(tmp_path, last) == [(last + 1, b"halted" * 50)]
    assert "reserve" not in names(tmp_path)


def test_last_words_have_an_end(tmp_path, new_writer, disk):
    """Last words larger than the reserve are refused, and leave it for shorter ones."""
    writer = new_writer(tmp_path, reserve=True)
    last = fill(writer, disk)
    with pytest.raises(JournalError, match="No space left on device"):
        writer.append(last + 1, b"x" * RESERVE_BYTES, last_words=True)
    writer.append(last + 1, b"short" * 50, last_words=True)
    assert payloads(tmp_path, last) == [(last + 1, b"short" * 50)]


def test_no_preallocation_in_the_system(tmp_path, new_writer, monkeypatch):
    """Where the file system or the system cannot preallocate, zeros are written instead."""

    def unsupported(file, offset, size):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    writer = new_writer(tmp_path / "one", segment_bytes=(1 << 20) + 4096)
    assert (tmp_path / "one" / "000001.seg").stat().st_size == (1 << 20) + 4096
    monkeypatch.delattr(os, "posix_fallocate")
    other = new_writer(tmp_path / "other")
    assert (tmp_path / "other" / "000001.seg").stat().st_blocks * 512 >= 4096
    for each in (writer, other):
        each.append(1, b"x")
    assert payloads(tmp_path / "one") == payloads(tmp_path / "other") == [(1, b"x")]


def test_failed_sync_is_final(tmp_path, new_writer, monkeypatch):
    """After a sync that failed once nothing is appended or synced again, whatever the disk says then."""
    writer = new_writer(tmp_path)
    writer.append(1, b"x")
    calls = []

    def broken(file):
        calls.append(file)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fairlead._storage.segments._datasync", broken)
    for attempt in (writer.sync, writer.sync, lambda: writer.append(2, b"y")):
        with pytest.raises(JournalError, match="Input/output error"):
            attempt()
    assert len(calls) == 1


def test_sync_of_what_is_synced_is_free(tmp_path, new_writer, monkeypatch):
    """A sync with nothing new does not go to the disk, also on an empty segment and after close."""
    calls = []
    monkeypatch.setattr("fairlead._storage.segments._datasync", calls.append)
    writer = new_writer(tmp_path)
    writer.sync()
    writer.append(1, b"x")
    writer.sync()
    writer.sync()
    writer.close()
    writer.sync()
    assert len(calls) == 1


def test_a_full_segment_is_synced_before_the_next_appears(tmp_path, new_writer, monkeypatch):
    """Only the last segment can lose its end to a power cut, so that a torn tail can be in no other."""
    seen = []
    monkeypatch.setattr("fairlead._storage.segments._datasync", lambda file: seen.append(names(tmp_path)))
    writer = new_writer(tmp_path, durable=True)
    for seq in range(1, 41):
        writer.append(seq, b"x" * 100)
    assert seen == [["000001.seg", "segment.new"]]


def test_cap_deletes_the_oldest(tmp_path, new_writer):
    """With a cap the oldest segments go, the rest still verifies, and the newest always stays."""
    writer = new_writer(tmp_path, cap=3 * 4096)
    for seq in range(1, 301):
        writer.append(seq, b"%0100d" % seq)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * 4096
    with pytest.raises(JournalDamaged, match=r"000001\.seg at byte 0: the file is missing"):
        payloads(tmp_path)


def test_leftovers_are_removed(tmp_path, new_writer):
    """What a process left half made when it was killed is gone at the next opening."""
    (tmp_path / "segment.new").write_bytes(b"half")
    (tmp_path / "reserve").write_bytes(b"half")
    new_writer(tmp_path, reserve=True)
    assert names(tmp_path) == ["000001.seg", "reserve"]
    assert (tmp_path / "reserve").read_bytes() == bytes(RESERVE_BYTES)


def test_tail_follows_over_rollover(tmp_path, new_writer):
    """A tailing reader has every record once, each after it was written, through segments and a new writer."""
    with Tail(tmp_path / "journal", since=2) as tail:
        assert tail.poll() == []
        writer = new_writer(tmp_path / "journal")
        assert tail.poll() == []
        seen = []
        for seq in range(1, 101):
            writer.append(seq, b"%0100d" % seq)
            if seq % 30 == 0:
                writer.close()
                seen += tail.poll()
                writer = new_writer(tmp_path / "journal", last_segment(tmp_path / "journal", Kind.JOURNAL)[0])
            if seq % 7 == 0:
                seen += tail.poll()
                assert seen[-1].seq == tail.seq == seq
        seen += tail.poll()
        assert [(record.seq, record.payload) for record in seen] == [
            (n, b"%0100d" % n) for n in range(3, 101)
        ]
        assert tail.poll() == []


def test_tail_takes_what_came_before_a_rollover(tmp_path, new_writer, monkeypatch):
    """What is written between a reader's look at a segment and its look for the next one is not missed."""
    writer = new_writer(tmp_path)
    writer.append(1, b"x" * 100)
    real = reading.place

    def meanwhile(folder, number):
        if writer.seq < 40:
            for seq in range(writer.seq + 1, 41):
                writer.append(seq, b"x" * 100)
        return real(folder, number)

    with Tail(tmp_path) as tail:
        assert len(tail.poll()) == 1
        monkeypatch.setattr(reading, "place", meanwhile)
        assert [record.seq for record in tail.poll()] == list(range(2, 41))


def test_reader_beside_a_writer(tmp_path, new_writer, monkeypatch):
    """Records written while the end is being verified are read, and are no damage."""
    writer = new_writer(tmp_path)
    writer.append(1, b"x")
    real = reading.Segment._rest

    def meanwhile(segment):
        if writer.seq < 6:
            for seq in (writer.seq + 1, writer.seq + 2):
                writer.append(seq, b"x")
        return real(segment)

    monkeypatch.setattr(reading.Segment, "_rest", meanwhile)
    assert [seq for seq, _ in payloads(tmp_path)] == list(range(1, 8))


def test_tail_overtaken_by_the_cap_says_so(tmp_path, new_writer):
    """A reader too slow for a capped tape is told that it missed records, and never skips them silently."""
    writer = new_writer(tmp_path, Header(Kind.TAPE, 0), cap=3 * 4096)
    with Tail(tmp_path, kind=Kind.TAPE) as tail:
        for seq in range(1, 301):
            writer.append(seq, b"%0100d" % seq)
            if seq == 10:
                assert len(tail.poll()) == 10
        with pytest.raises(JournalError, match="was deleted before it was read"):
            tail.poll()
    kept = [record.seq for record in read(tmp_path, kind=Kind.TAPE)]
    assert kept == list(range(kept[0], 301))
    assert kept[0] > 10
