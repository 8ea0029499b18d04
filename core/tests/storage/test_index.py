"""The index: built by whoever asks, thrown away without a word, never wrong."""

import sqlite3
import subprocess
import sys
from decimal import Decimal

import pytest

from fairlead import Fill, OrderIntent, Side
from fairlead._storage import index
from fairlead._storage.archive import pack
from fairlead._storage.index import find_facts
from fairlead._storage.journal import Journal, read_facts
from fairlead._storage.run import RunFolder
from fairlead.errors import JournalDamaged
from fairlead.facts import Filled, Noted, OrderSubmitted

D = Decimal


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(index, "LARGE_BYTES", 0)


def write(run, first, last, price=1):
    journal = Journal.open(run.journal, boot_id="", sync_behind=False, segment_bytes=4096)
    for seq in range(first, last, 3):
        intent = OrderIntent(strategy="s", account="a", instrument="i", side=Side.BUY, quantity=D("1.50"))
        fill = Fill(
            fill_id=str(seq), client_order_id="o", strategy="s", account="a", instrument="i", side=Side.BUY,
            quantity=D("1.50"), price=D(price), fee=D(0), fee_currency="x",
        )  # fmt: skip
        head = {"now": seq * 10, "cause": seq}
        journal.append(
            [
                OrderSubmitted(
                    seq=seq,
                    client_order_id="o",
                    intent=intent,
                    quantity=intent.quantity,
                    deadline_ns=1,
                    **head,
                ),
                Noted(seq=seq + 1, source="x", text="y", **head),
                Filled(seq=seq + 2, fill=fill, **head),
            ]
        )
    journal.close()


def wanted(run, *kinds):
    return [fact for fact in read_facts(run.journal) if isinstance(fact, kinds)]


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    write(run, 1, 200)
    return run


def test_it_holds_what_the_journal_does(run):
    """In order, by kind and time; and it grows with the journal."""
    assert list(find_facts(run, (Filled, OrderSubmitted))) == wanted(run, Filled, OrderSubmitted)
    assert run.index.exists()
    write(run, 301, 400)
    fills = wanted(run, Filled)
    assert list(find_facts(run, (Filled,))) == fills
    some = [fact for fact in fills if 500 <= fact.now < 3100]
    assert list(find_facts(run, (Filled,), since_ns=500, until_ns=3100)) == some
    assert 0 < len(some) < len(fills)


def test_it_goes_on_from_where_it_ended(run, monkeypatch):
    """Nothing is read twice."""
    list(find_facts(run, (Filled,)))
    write(run, 301, 400)
    read = []
    known = index.known_facts
    monkeypatch.setattr(index, "known_facts", lambda record: read.append(record.seq) or known(record))
    list(find_facts(run, (Filled,)))
    assert read
    assert min(read) > 300


def test_a_kind_that_is_not_in_it_is_read_from_the_journal(run):
    """As is everything, where no kind is named, and where the journal is small."""
    assert list(find_facts(run, (Noted,))) == wanted(run, Noted)
    assert list(find_facts(run, ())) == list(read_facts(run.journal))
    assert not run.index.exists()


def test_a_small_journal_needs_none(run, monkeypatch):
    """It is read at once."""
    monkeypatch.setattr(index, "LARGE_BYTES", 1 << 30)
    assert list(find_facts(run, (Filled,))) == wanted(run, Filled)
    assert not run.index.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: path.write_bytes(b""),
        lambda path: execute(path, "PRAGMA user_version = 99"),
        lambda path: execute(path, "DROP TABLE place"),
        lambda path: execute(path, "UPDATE place SET offset = offset + 8"),
        lambda path: execute(path, "UPDATE place SET number = 999"),
    ],
    ids=["another file", "cut", "empty", "other version", "no place", "wrong place", "no such segment"],
)
def test_one_that_cannot_be_used_is_built_again(run, spoil):
    """Without a word."""
    list(find_facts(run, (Filled,)))
    spoil(run.index)
    assert list(find_facts(run, (Filled,))) == wanted(run, Filled)
    assert execute(run.index, "SELECT COUNT(*) FROM facts") == [(len(wanted(run, Filled, OrderSubmitted)),)]
    assert list(find_facts(run, (OrderSubmitted,))) == wanted(run, OrderSubmitted)


def execute(path, statement):
    connection = sqlite3.connect(path)
    found = connection.execute(statement).fetchall()
    connection.commit()
    connection.close()
    return found


def test_one_of_another_journal_is_built_again(run, tmp_path):
    """A journal that was restored, or begun again, has other facts under the same numbers."""
    other = RunFolder(tmp_path / "other")
    write(other, 1, 200, price=2)
    list(find_facts(run, (Filled,)))
    run.index.rename(other.index)
    assert {fact.fill.price for fact in find_facts(other, (Filled,))} == {D(2)}


def test_packed_segments_are_in_it_too(run):
    """Packed before or after it was built."""
    list(find_facts(run, (Filled,)))
    pack(run.journal, 1)
    assert list(find_facts(run, (Filled,))) == wanted(run, Filled)
    run.index.unlink()
    assert list(find_facts(run, (Filled,))) == wanted(run, Filled)


def test_where_it_cannot_be_written_the_journal_is_read(run):
    """A run on a disk that is read-only, say."""
    run.index.mkdir()
    assert list(find_facts(run, (Filled,))) == wanted(run, Filled)


def test_damage_is_told_and_leaves_no_index(run):
    """What was not verified is not kept."""
    path = run.journal / "000001.seg"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(JournalDamaged):
            list(find_facts(run, (Filled,)))


@pytest.mark.full
def test_several_processes_may_ask_at_once(run):
    """One builds it, the others wait; all get the same."""
    code = (
        "import sys; from fairlead._storage import index; from fairlead._storage.run import RunFolder;"
        "from fairlead.facts import Filled; index.LARGE_BYTES = 0;"
        "print(len(list(index.find_facts(RunFolder(sys.argv[1]), (Filled,)))))"
    )
    words = [sys.executable, "-c", code, str(run.path)]
    children = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {child.communicate(timeout=40)[0].strip() for child in children}
    assert said == {str(len(wanted(run, Filled)))}
