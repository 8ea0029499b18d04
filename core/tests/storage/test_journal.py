"""The journal of facts."""

import errno
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from hashlib import blake2b

import pytest

from fairlead._storage import journal as module
from fairlead._storage.journal import Journal, read_facts
from fairlead._storage.reading import read
from fairlead.errors import ConfigurationError, JournalError
from fairlead.facts import CashChanged, Noted, encode


def note(seq, text="x"):
    return Noted(seq=seq, now=seq * 1000, cause=seq, source="test", text=text)


@pytest.fixture
def opened():
    journals = []

    def make(folder, **options):
        journals.append(Journal.open(folder, **{"boot_id": "", "sync_behind": False, **options}))
        return journals[-1]

    yield make
    for journal in journals:
        journal.close()


def test_facts_come_back(tmp_path, opened):
    """What is read equals what was appended, Decimals included, from any number on, in the middle of a turn too."""
    journal = opened(tmp_path)
    cash = CashChanged(
        seq=3, now=1, cause=1, account="a", reason="deposit", currency="EUR", amount=Decimal("0.10")
    )
    turns = [[note(1), note(2), cash], [note(4)], [note(6), note(9)]]
    for turn in turns:
        journal.append(turn)
    facts = [fact for turn in turns for fact in turn]
    assert list(read_facts(tmp_path)) == facts
    assert [fact.seq for fact in read_facts(tmp_path, since=2)] == [3, 4, 6, 9]
    assert journal.last_seq == 9


def test_one_record_a_turn(tmp_path, opened):
    """A turn is one record, numbered as its last fact, and holds each fact's own bytes; no facts, no record."""
    journal = opened(tmp_path)
    journal.append([])
    journal.append([note(1), note(2)])
    (record,) = read(tmp_path)
    assert record.seq == 2
    assert record.payload == b"\x92" + encode(note(1)) + encode(note(2))
    assert journal.hash == blake2b(record.payload, digest_size=16).hexdigest()


def test_reopens_after_the_last_record(tmp_path, opened):
    """A journal goes on after its last fact, under the boot of now, and knows the boot of what it holds."""
    first = opened(tmp_path, boot_id="one")
    first.append([note(1)])
    state = first.hash
    first.close()
    opened(tmp_path, boot_id="two").close()
    last = opened(tmp_path, boot_id="three")
    assert (last.hash, last.last_seq, last.previous_boot, last.cut) == (state, 1, "one", 0)
    last.append([note(2)])
    assert [fact.seq for fact in read_facts(tmp_path)] == [1, 2]


def test_opening_cuts_a_torn_tail(tmp_path, opened):
    """Half a record at the end is cut at opening, which says how much it was."""
    journal = opened(tmp_path)
    journal.append([note(1)])
    journal.append([note(2)])
    journal.close()
    path = tmp_path / "000001.seg"
    path.write_bytes(path.read_bytes()[:-20])
    again = opened(tmp_path)
    assert again.cut > 0
    assert again.last_seq == 1


def test_unknown_facts_are_named(tmp_path, opened):
    """A record with a fact of a later version is an error that names it, not damage."""
    journal = opened(tmp_path)
    journal._writer.append(5, b"\x91" + encode(note(5)).replace(b"Noted", b"Later"))
    with pytest.raises(JournalError, match="record 5 holds a fact that this fairlead does not know"):
        list(read_facts(tmp_path))


def test_full_durability_syncs_at_the_barrier(tmp_path, opened, monkeypatch):
    """Under "full" a barrier reaches the disk before it returns; under "process" it does not go there."""
    calls = []
    monkeypatch.setattr("fairlead._storage.segments._datasync", calls.append)
    for durability, wanted in (("process", 0), ("full", 1)):
        journal = opened(tmp_path / durability, durability=durability)
        journal.append([note(1)])
        journal.barrier()
        assert len(calls) == wanted


def test_durability_has_two_words(tmp_path):
    """Another word is refused before anything is created."""
    with pytest.raises(ConfigurationError, match="durability"):
        Journal.open(tmp_path / "journal", boot_id="", durability="strict")
    assert not (tmp_path / "journal").exists()


def test_a_thread_syncs_behind(tmp_path, opened, monkeypatch):
    """What is appended reaches the disk soon, from another thread."""
    synced = threading.Event()
    threads = []

    def sync(file):
        threads.append(threading.current_thread())
        synced.set()

    monkeypatch.setattr("fairlead._storage.segments._datasync", sync)
    journal = opened(tmp_path, sync_behind=True)
    journal.append([note(1)])
    assert synced.wait(5)
    assert threads[0] is not threading.current_thread()


def test_a_failure_behind_is_fatal(tmp_path, monkeypatch):
    """When the thread's sync fails the next append raises, and the thread has ended."""

    def broken(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fairlead._storage.segments._datasync", broken)
    journal = Journal.open(tmp_path, boot_id="")
    journal.append([note(1)])
    journal._syncer._thread.join(5)
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append([note(2)])
    with pytest.raises(JournalError, match="Input/output error"):
        journal.close()


def test_no_thread_where_it_is_off(tmp_path, opened):
    """Backtests and simulation have one thread."""
    before = threading.active_count()
    opened(tmp_path)
    assert threading.active_count() == before


def test_last_words_on_a_full_disk(tmp_path, opened, disk):
    """On a full disk a turn is refused whole, and the fact that says why trading stops still fits."""
    journal = opened(tmp_path, segment_bytes=4096)
    disk.full = True
    last = 8  # more would pass the end of the segment
    for seq in range(1, last + 1):
        journal.append([note(seq, "x" * 400)])
    with pytest.raises(JournalError, match="nothing was written"):
        journal.append([note(last + 1, "x" * 400)])
    journal.append([note(last + 1, "halted: disk full" * 40)], last_words=True)
    assert [fact.seq for fact in read_facts(tmp_path)] == list(range(1, last + 2))


WRITER = """
import sys
from pathlib import Path
from fairlead._storage.journal import Journal
from fairlead.facts import Noted
journal = Journal.open(Path(sys.argv[1]), boot_id="", segment_bytes=1 << 16)
first = seq = journal.last_seq
while seq < first + 400_000:
    seq += 2
    journal.append([Noted(seq=n, now=n, cause=n, source="child", text="x" * (n % 300)) for n in (seq - 1, seq)])
    if seq % 100 == 0:
        print(seq, flush=True)
"""


def test_killed_in_mid_write(tmp_path):
    """After kill -9 at any moment all that was acknowledged is there, whole, in order, and a new writer goes on."""
    for lines in (1, 7, 30):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as child:
            acknowledged = 0
            for _ in range(lines):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        numbers = [fact.seq for fact in read_facts(tmp_path)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= acknowledged
        assert len(numbers) % 2 == 0


def test_encoding_is_that_of_facts():
    """The journal's encoder gives each fact the bytes that `fairlead.facts.encode` documents."""
    assert module._encode(note(1)) == encode(note(1))


FILL = """
import os, sys
from pathlib import Path
from fairlead._storage.journal import Journal, read_facts
from fairlead.errors import JournalError
from fairlead.facts import EngineStopped, Noted

folder = Path(sys.argv[1], "run", "journal")
journal = Journal.open(folder, boot_id="", segment_bytes=256 << 10)
seq = 0
try:
    while True:
        seq += 1
        journal.append([Noted(seq=seq, now=seq, cause=seq, source="x", text="y" * 1000)])
except JournalError as error:
    assert "No space left on device" in str(error), error
Path(sys.argv[1], "others").write_bytes(b"")
for _ in range(3):  # whoever else writes here takes what there is
    try:
        Path(sys.argv[1], "others").open("ab").write(bytes(1 << 20))
    except OSError:
        pass
try:
    journal.append([Noted(seq=seq, now=seq, cause=seq, source="x", text="y" * 1000)])
except JournalError:
    journal.append([EngineStopped(seq=seq, now=seq, cause=seq, reason="full")], last_words=True)
journal.sync()
journal.close()
facts = list(read_facts(folder))
print(len(facts), type(facts[-1]).__name__, facts[-1].seq == len(facts))
"""


@pytest.mark.full
def test_a_disk_that_is_really_full(tmp_path):
    """On a small file system of its own: what was written is there, and the last words with it."""
    script = tmp_path / "fill.py"
    script.write_text(FILL)
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = f"mount -t tmpfs -o size=2m tmpfs {disk} && exec {sys.executable} -W ignore {script} {disk}"
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    count, last, whole = done.stdout.split()
    assert int(count) > 1000
    assert (last, whole) == ("EngineStopped", "True")
