"""The tape of market events."""

import pytest

from fairlead import Bar, Book, Funding, Mark, Quote, Trade
from fairlead._storage.reading import read
from fairlead._storage.segments import Kind
from fairlead._storage.tape import Tape, read_tape
from fairlead.errors import JournalError

EVENTS = [
    Quote("BTC/USDT@sim", 1.5, 2.5, 3.0, 4.0, 10, 11),
    Trade("BTC/USDT@sim", 2.0, 0.1, 12, 13, "buy", "t1"),
    Bar("BTC/USDT@sim", "1m", 1.0, 2.0, 0.5, 1.5, 9.0, 0, 60, 61),
    Book("BTC/USDT@sim", ((1.0, 2.0),), ((3.0, 4.0), (5.0, 6.0)), 70, 71),
    Mark("BTC/USDT@sim", 2.25, 80, 81),
    Funding("BTC/USDT@sim", -0.0001, 90, 91),
]


def test_events_come_back(tmp_path):
    """Every kind of event is read as it was recorded, under the kernel's number; a tape is gone on with."""
    numbers = [3, 4, 9, 10, 12, 20]
    for part in (slice(0, 3), slice(3, 6)):
        tape = Tape(tmp_path, boot_id="")
        for seq, event in zip(numbers[part], EVENTS[part], strict=True):
            tape.append(seq, event)
        tape.close()
    assert list(read_tape(tmp_path)) == list(zip(numbers, EVENTS, strict=True))
    assert [seq for seq, _ in read_tape(tmp_path, since=9)] == [10, 12, 20]


def test_the_cap_keeps_the_newest(tmp_path):
    """The oldest segments go above the cap; the rest is read on from what is left, also by a new writer."""
    for start in (0, 500):
        tape = Tape(tmp_path, boot_id="", cap=20_000, segment_bytes=4096)
        for seq in range(start + 1, start + 501):
            tape.append(seq, EVENTS[0])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
        tape.close()
    kept = [seq for seq, _ in read_tape(tmp_path)]
    assert kept == list(range(kept[0], 1001))
    assert 0 < len(kept) < 250


def test_foreign_records_are_named(tmp_path):
    """A record that is no market event is an error that names it."""
    tape = Tape(tmp_path, boot_id="")
    tape._writer.append(7, b"\xc0")
    with pytest.raises(JournalError, match="record 7 is no market event"):
        list(read_tape(tmp_path))
    tape.close()
    assert [record.seq for record in read(tmp_path, kind=Kind.TAPE)] == [7]
