"""Snapshots save time and nothing else: one that cannot be believed is passed over; damage is found all the same."""

import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journals import trades, write

from fairlead import ConfigurationError, JournalDamaged, JournalError
from fairlead import facts as f
from fairlead._engine import folding, keeping
from fairlead._engine.folding import code_id, fold, pack_segments, take_snapshot
from fairlead._engine.keeping import SnapshotKeeper
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage import snapshots
from fairlead._storage.archive import archive_path
from fairlead._storage.backup import copy_journal
from fairlead._storage.files import FileLock
from fairlead._storage.journal import Journal, read_facts
from fairlead._storage.reading import Tail, read
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import segment_numbers
from fairlead._storage.snapshots import newest_snapshot, snapshot_paths

SEGMENT = 4096


TURNS = trades(250)


def whole(run: RunFolder) -> bytes:
    state = State()
    for fact in read_facts(run.journal):
        apply(state, fact)
    return fingerprint(state)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Half of the turns, a snapshot of them, and the other half."""
    run = RunFolder(tmp_path / "run")
    write(run.journal, TURNS[: len(TURNS) // 2])
    assert take_snapshot(run) is not None
    write(run.journal, TURNS[len(TURNS) // 2 :])
    return run


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_fold_from_a_snapshot_is_the_fold_of_the_journal(tmp_path: Path) -> None:
    """Wherever the snapshots were made, one on top of the other."""
    dice, run = random.Random(5), RunFolder(tmp_path / "run")
    rest = list(TURNS)
    while rest:
        some = dice.randint(1, 60)
        write(run.journal, rest[:some])
        rest = rest[some:]
        assert fingerprint(fold(run).state) == whole(run)
        assert take_snapshot(run) is not None
        assert len(snapshot_paths(run.snapshots)) <= 2
    folded = fold(run)
    assert folded.snapshot is not None
    assert folded.snapshot.at == folded.at
    assert fingerprint(folded.state) == whole(run)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda run, path: path.unlink(), ""),
        (lambda run, path: flip(path, 200), "it is damaged"),
        (lambda run, path: path.write_bytes(path.read_bytes()[:90]), "it is damaged"),
        (lambda run, path: path.write_bytes(b"x"), "unpack_from requires a buffer"),
        (lambda run, path: path.write_bytes(b"y" * 100), "does not begin as a snapshot does"),
        (lambda run, path: path.write_bytes(b"fairsnap\x02\0\0\0" + bytes(16)), "a newer fairlead made it"),
    ],
    ids=["missing", "flipped", "cut", "tiny", "another file", "newer"],
)
def test_a_snapshot_that_cannot_be_read_is_passed_over(run: RunFolder, spoil: Any, why: str) -> None:
    """The whole journal is folded instead, and the reason is told."""
    spoil(run, snapshot_paths(run.snapshots)[-1])
    folded = fold(run)
    assert folded.snapshot is None
    assert why in "".join(folded.refused)
    assert bool(folded.refused) is bool(why)
    assert fingerprint(folded.state) == whole(run)


def test_a_snapshot_of_other_code_is_passed_over(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have folded to another state."""
    monkeypatch.setattr(folding, "code_id", lambda: "another")
    folded = fold(run)
    assert folded.snapshot is None
    assert "other code made it" in folded.refused[0]
    assert fingerprint(folded.state) == whole(run)


def test_all_that_a_fold_runs_tells_code_from_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever module a fold imports, near or far: with another text it makes snapshots of its own."""
    names = folding.folding_code()
    assert {"fairlead._kernel.apply", "fairlead.facts", "fairlead.units", "fairlead._models.words"} <= set(
        names
    )
    assert not [name for name in names if name.startswith(("fairlead._engine", "fairlead._storage"))]
    program = f"import sys; import {', '.join(names)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    packages = {name.rpartition(".")[0] for name in names}
    assert {name for name in loaded.stdout.split() if name.startswith("fairlead._kernel.")} <= {
        *names,
        *packages,
    }
    source, code = folding._source, folding.code_id.__wrapped__
    found = {code()}
    for name in names:
        monkeypatch.setattr(
            folding, "_source", lambda one, name=name: source(one) + (b"\n# other" if one == name else b"")
        )
        found.add(code())
    assert len(found) == len(names) + 1


def test_a_snapshot_of_a_newer_schema_is_passed_over(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts may have meant something else."""
    monkeypatch.setattr(snapshots, "SCHEMA", 0)
    assert newest_snapshot(run.snapshots, run.journal, code_id())[1][0].endswith("a newer fairlead made it")


def test_a_snapshot_of_another_journal_is_passed_over(run: RunFolder, tmp_path: Path) -> None:
    """Its anchor does not stand in this one."""
    other = RunFolder(tmp_path / "other")
    write(other.journal, trades(60, seed=9))
    run.snapshots.rename(other.snapshots)
    folded = fold(other)
    assert folded.snapshot is None
    assert folded.refused[0].endswith(("is not what it was", "the journal has no 000002.seg"))
    assert fingerprint(folded.state) == whole(other)


def test_damage_before_a_snapshot_is_found_at_every_start(run: RunFolder) -> None:
    """A bit anywhere in what it stands for: the snapshot is not believed, and reading finds the record."""
    snapshot, _ = newest_snapshot(run.snapshots, run.journal, code_id())
    assert snapshot is not None
    dice = random.Random(3)
    for _ in range(40):
        number = dice.randint(1, snapshot.at.number)
        path = run.journal / f"{number:06d}.seg"
        size = next(digest.size for digest in snapshot.digests if digest.number == number)
        before, at = path.read_bytes(), dice.randrange(size)
        flip(path, at)
        try:
            folded = fold(run)
        except (JournalDamaged, JournalError):
            pass
        else:  # only in the zeros between two records, which mean nothing
            assert folded.snapshot is None
            assert fingerprint(folded.state) == whole(run)
        path.write_bytes(before)
    assert fold(run).snapshot is not None


def test_a_missing_segment_before_a_snapshot_is_damage(run: RunFolder) -> None:
    """Also where the snapshot would do without it."""
    (run.journal / "000001.seg").unlink()
    with pytest.raises(JournalDamaged, match=r"000001\.seg at byte 0: the file is missing"):
        fold(run)


def test_packed_segments_are_read_like_others(run: RunFolder) -> None:
    """By whoever reads, follows, folds, copies; nothing is lost, and the hash of all facts stays."""
    facts, state = list(read_facts(run.journal)), whole(run)
    assert pack_segments(run)[0] != []
    assert take_snapshot(run) is not None
    packed, freed = pack_segments(run)
    assert freed > 0
    assert segment_numbers(run.journal)[0] == packed[-1] + 1
    assert list(read_facts(run.journal)) == facts
    assert fingerprint(fold(run).state) == state
    with Tail(run.journal) as tail:
        assert [record.seq for record in tail.poll()] == [record.seq for record in read(run.journal)]
    assert take_snapshot(run) is not None, "the digests of what was packed are new"
    folded = fold(run)
    assert folded.snapshot is not None
    assert fingerprint(folded.state) == state
    copy = run.path / "copy"
    copy_journal(run.journal, copy)
    assert list(read_facts(copy)) == facts
    flip(archive_path(run.journal, packed[0]), 500)
    with pytest.raises(JournalDamaged):
        fold(run)


def test_a_reader_follows_while_segments_are_packed(run: RunFolder) -> None:
    """A tail in the middle of a segment that is packed goes on from there."""
    seqs = [record.seq for record in read(run.journal)]
    with Tail(run.journal) as tail:
        tail._open_first()
        first = [record.seq for record in tail._take()]
        assert take_snapshot(run) is not None
        assert pack_segments(run)[0] != []
        assert first + [record.seq for record in tail.poll()] == seqs


def test_two_snapshots_are_not_made_at_once(run: RunFolder) -> None:
    """The second is told who makes one."""
    lock = FileLock(run.snapshots / "lock")
    assert lock.take()
    with pytest.raises(ConfigurationError, match="is being made by process"):
        take_snapshot(run)
    lock.release()


# --- while an engine runs -------------------------------------------------------------------------------------


@pytest.mark.full
def test_snapshots_are_made_beside_a_running_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process, once enough has been written; damage that it finds is told."""
    run, told = RunFolder(tmp_path / "run"), []
    monkeypatch.setattr(keeping, "SNAPSHOT_BYTES", 10_000)
    monkeypatch.setattr(keeping, "_LOOK_SECONDS", 0.01)
    journal = Journal.open(run.journal, boot_id="", segment_bytes=SEGMENT)
    keeper = SnapshotKeeper(run, journal, told.append)
    try:
        for turn in TURNS[:-1]:
            journal.append(turn)
        wait_for(lambda: len(snapshot_paths(run.snapshots)) > 0 and keeper._child is None)
        flip(run.journal / "000001.seg", 150)
        for number in range(120):
            note = f.Noted(seq=TURNS[-2][-1].seq + number + 1, now=1, cause=1, source="test", text="x" * 100)
            journal.append([note])
        wait_for(lambda: bool(told))
    finally:
        keeper.stop()
        journal.close()
    assert "000001.seg" in told[0]


def wait_for(condition: Any) -> None:
    import time

    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.full
def test_the_process_that_makes_one_says_how_it_went(run: RunFolder) -> None:
    """0 when it is there, 3 and the damage where there is some."""

    def make() -> tuple[int, str]:
        words = [sys.executable, "-m", "fairlead._engine.keeping", str(run.path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout

    assert make() == (0, "")
    assert fold(run).snapshot is not None
    flip(run.journal / "000001.seg", 150)
    code, said = make()
    assert code == 3
    assert "000001.seg" in said


def test_a_snapshot_is_a_file_with_a_head(run: RunFolder) -> None:
    """As the module describes it."""
    magic, version, _ = struct.unpack_from("<8sI16s", snapshot_paths(run.snapshots)[0].read_bytes())
    assert (magic, version) == (b"fairsnap", 1)
