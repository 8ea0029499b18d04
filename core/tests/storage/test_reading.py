"""Readers never give wrong data: a true prefix, or an error that says where the damage is."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead._storage import segments
from fairlead._storage.reading import Tail, last_segment, read, repair_tail
from fairlead._storage.segments import HEADER_BYTES, RECORD, RECORD_BYTES, Header, Kind, SegmentWriter
from fairlead.errors import JournalDamaged, JournalError

SEGMENT = 512


def write(folder, records, *, closed=True):
    """Write records into small segments; not closed, they end in preallocated zeros as after kill -9."""
    writer = SegmentWriter(folder, last_segment(folder, Kind.JOURNAL)[0], boot_id="", segment_bytes=SEGMENT)
    for seq, payload in records:
        writer.append(seq, payload)
    size = writer._offset
    writer.close()
    last = max(folder.glob("*.seg"))
    if not closed:
        with last.open("r+b") as file:
            file.truncate(max(SEGMENT, size))
    return last


def on_eight(size):
    """The next multiple of 8: where a record ends that has so many bytes."""
    return size + 7 & -8


def payloads(folder, since=0):
    return [(record.seq, record.payload) for record in read(folder, since)]


@pytest.fixture(scope="module")
def base():
    path = Path(tempfile.mkdtemp(prefix="fairlead-"))
    yield path
    shutil.rmtree(path)


@st.composite
def histories(draw):
    """Records with rising numbers; payloads of many zeros are those that could be taken for the end."""
    steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    body = st.one_of(st.binary(min_size=1, max_size=300), st.integers(1, 700).map(bytes))
    return [(sum(steps[: i + 1]), draw(body)) for i in range(len(steps))]


@given(history=histories(), closed=st.booleans(), data=st.data())
def test_cut_anywhere_is_a_prefix_or_damage(base, history, closed, data):
    """A file cut at any byte reads as a true prefix or raises; the last one is repaired and can be gone on with."""
    folder = Path(tempfile.mkdtemp(dir=base))
    write(folder, history, closed=closed)
    paths = sorted(folder.glob("*.seg"))
    path = data.draw(st.sampled_from(paths))
    size = data.draw(st.integers(0, path.stat().st_size))
    with path.open("r+b") as file:
        file.truncate(size)
    must_be_prefix(folder, history)
    if path == paths[-1] and size >= HEADER_BYTES:
        repair_tail(folder)
        kept = payloads(folder)
        assert repair_tail(folder) == 0
        write(folder, [(1000, b"more")])
        assert payloads(folder) == [*kept, (1000, b"more")] == [*history[: len(kept)], (1000, b"more")]


@given(history=histories(), closed=st.booleans(), data=st.data())
def test_flipped_bits_are_never_read(base, history, closed, data):
    """Whatever bits change anywhere, what is read is a true prefix or the damage is named."""
    folder = Path(tempfile.mkdtemp(dir=base))
    write(folder, history, closed=closed)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(folder.glob("*.seg"))))
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
    must_be_prefix(folder, history)


@given(history=histories(), data=st.data())
def test_loss_before_a_whole_record_is_damage(base, history, data):
    """A changed record with a whole one after it in the last segment is never cut as a torn tail."""
    zeros = bytes(data.draw(st.sampled_from([0, 100])))
    history = [*history, (100, b"first of two"), (101, b"second of two" + zeros)]
    folder = Path(tempfile.mkdtemp(dir=base))
    last = write(folder, history, closed=data.draw(st.booleans()))
    content = bytearray(last.read_bytes())
    at = content.rfind(b"first of two")
    if at < 0 or content.rfind(b"second of two") < at:
        return  # they are in two segments
    start = at - RECORD_BYTES
    where = data.draw(st.integers(start, at + 11))
    content[where] ^= 1 << data.draw(st.integers(0, 7))
    last.write_bytes(content)
    for reader in (payloads, repair_tail):
        with pytest.raises(
            JournalDamaged, match=rf"{last.name} at byte {start}: .* yet byte \d+ has a whole record"
        ):
            reader(folder)


def must_be_prefix(folder, history):
    seen = []
    with contextlib.suppress(JournalDamaged):
        seen.extend((record.seq, record.payload) for record in read(folder))
    assert seen == history[: len(seen)]
    with Tail(folder) as tail:
        try:
            tailed = [(record.seq, record.payload) for record in tail.poll()]
        except JournalDamaged:
            return
    assert tailed == seen


def test_every_cut_of_the_last_segment(tmp_path):
    """At each byte, a cut keeps exactly the records that are whole before it."""
    history = [(1, b"a" * 20), (2, b"b" * 30), (3, b"c" * 7)]
    last = write(tmp_path, history)
    content = last.read_bytes()
    ends = [HEADER_BYTES + RECORD_BYTES + 20, 0, 0]
    ends[1] = HEADER_BYTES + on_eight(RECORD_BYTES + 20) + RECORD_BYTES + 30
    ends[2] = on_eight(ends[1]) + RECORD_BYTES + 7
    for size in range(HEADER_BYTES, len(content) + 1):
        last.write_bytes(content[:size])
        assert payloads(tmp_path) == history[: sum(end <= size for end in ends)]


def test_reader_of_nothing(tmp_path):
    """A missing folder, an empty one and one that was opened and never written to read as empty."""
    assert payloads(tmp_path / "missing") == payloads(tmp_path) == []
    assert repair_tail(tmp_path / "missing") == repair_tail(tmp_path) == 0
    with Tail(tmp_path / "missing") as tail:
        assert tail.poll() == []
    write(tmp_path, [])
    assert payloads(tmp_path) == []
    assert not (tmp_path / "missing").exists()


def test_missing_segment_is_damage(tmp_path):
    """A segment that is gone from the front or the middle of a journal is named."""
    write(tmp_path, [(seq, bytes(100)) for seq in range(1, 20)])
    (tmp_path / "000002.seg").unlink()
    with pytest.raises(JournalDamaged, match=r"000002\.seg at byte 0: the file is missing"):
        payloads(tmp_path)


def test_segment_of_another_journal_is_damage(tmp_path):
    """A valid segment that does not continue the one before is named."""
    write(tmp_path / "one", [(seq, b"one" * 40) for seq in range(1, 20)])
    write(tmp_path / "two", [(seq, b"two" * 40) for seq in range(1, 20)])
    shutil.copy(tmp_path / "two" / "000002.seg", tmp_path / "one")
    with pytest.raises(JournalDamaged, match=r"000001\.seg at byte .* another chain"):
        payloads(tmp_path / "one")
    shutil.copy(tmp_path / "one" / "000001.seg", tmp_path / "one" / "000002.seg")
    with pytest.raises(JournalDamaged, match="its header says that it is number 1"):
        payloads(tmp_path / "one")


def test_torn_before_the_last_segment_is_damage(tmp_path):
    """A record that is not whole at the end of an earlier segment is no torn tail."""
    write(tmp_path, [(seq, b"x" * 100) for seq in range(1, 20)])
    first = tmp_path / "000001.seg"
    first.write_bytes(first.read_bytes()[:-20])
    with pytest.raises(JournalDamaged, match="it is not the last segment"):
        payloads(tmp_path)


def test_record_of_another_chain_is_damage(tmp_path):
    """A whole record that was written after other ones is damage, also as the last."""
    last = write(tmp_path / "one", [(1, b"x" * 24), (2, b"y" * 24)])
    other = write(tmp_path / "two", [(1, b"z" * 24), (2, b"y" * 24)])
    at = HEADER_BYTES + on_eight(RECORD_BYTES + 24)
    last.write_bytes(last.read_bytes()[:at] + other.read_bytes()[at:])
    with pytest.raises(JournalDamaged, match=rf"at byte {at}: the chain of checksums breaks"):
        payloads(tmp_path / "one")


def test_number_that_does_not_rise_is_damage(tmp_path):
    """A whole record of the right chain with a number that was there before is damage."""
    last = write(tmp_path, [(1, b"x" * 24), (2, b"y" * 24)])
    content = bytearray(last.read_bytes())
    at = HEADER_BYTES + on_eight(RECORD_BYTES + 24)
    length, _, _, chain = RECORD.unpack_from(content, at)
    RECORD.pack_into(content, at, length, 0, 1, chain)
    end = at + RECORD_BYTES + length
    RECORD.pack_into(content, at, length, crc32(content[at + 8 : end]), 1, chain)
    last.write_bytes(content)
    with pytest.raises(JournalDamaged, match=rf"at byte {at}: record 1 follows record 1"):
        payloads(tmp_path)


def test_newer_format_is_refused(tmp_path):
    """A file of a later format is no damage: the remedy is a newer fairlead."""
    last = write(tmp_path, [(1, b"x")])
    header = Header(Kind.JOURNAL, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "VERSION", 2)
        last.write_bytes(header.pack() + last.read_bytes()[HEADER_BYTES:])
    with pytest.raises(JournalError, match="use a newer one") as caught:
        payloads(tmp_path)
    assert not isinstance(caught.value, JournalDamaged)


def test_tape_is_no_journal(tmp_path):
    """Reading the wrong folder says so."""
    write(tmp_path, [(1, b"x")])
    with pytest.raises(JournalError, match="is a journal, not a tape"):
        list(read(tmp_path, kind=Kind.TAPE))


def test_repair_reports_the_bytes(tmp_path):
    """What is cut is counted, without the zeros that were never written."""
    last = write(tmp_path, [(1, b"x" * 50), (2, b"y" * 50)], closed=False)
    content = bytearray(last.read_bytes())
    content[content.index(b"yyyy") + 49] = ord("z")
    last.write_bytes(content)
    assert payloads(tmp_path) == [(1, b"x" * 50)]
    assert repair_tail(tmp_path) == RECORD_BYTES + 50
    assert last.stat().st_size == HEADER_BYTES + on_eight(RECORD_BYTES + 50)


def test_damage_stops_a_tail(tmp_path):
    """A tailing reader waits behind a record that is not whole, and raises when the writer has gone on."""
    last = write(tmp_path, [(1, b"x" * 50), (2, b"y" * 50)], closed=False)
    content = bytearray(last.read_bytes())
    content[content.index(b"yyyy")] = 0
    last.write_bytes(content)
    at = HEADER_BYTES + on_eight(RECORD_BYTES + 50)
    with Tail(tmp_path) as tail:
        assert [record.seq for record in tail.poll()] == [1]
        assert tail.poll() == []
        (tmp_path / "000002.seg").write_bytes(Header(Kind.JOURNAL, 2, after=2).pack())
        with pytest.raises(
            JournalDamaged, match=rf"000001\.seg at byte {at}: the checksum of a record does not match"
        ):
            tail.poll()
