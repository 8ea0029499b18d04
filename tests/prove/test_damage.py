"""Damage of every kind, by dice: no journal that was spoiled gives a state that would trade on what is not verified."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from journals import trades, write

from fairlead import JournalError
from fairlead._engine.folding import pack_segments, take_snapshot
from fairlead._engine.reopening import doubt, reopen
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage.home import Mark
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import Segment, read
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import HEADER_BYTES, Kind

pytestmark = pytest.mark.prove

ROUNDS = {"full": 5_000, "ci": 500}.get(os.environ.get("FAIRLEAD_PROVE", ""), 500)


class Original:
    """A run as it was, what its home knows of it, and the state after each of its records."""

    def __init__(self, folder: Path, *, snapshot: bool, closed: bool) -> None:
        self.run = RunFolder(folder)
        self.closed = closed
        turns = trades(150, seed=7 + snapshot + 2 * closed)
        write(self.run.journal, turns[:200])
        if snapshot:
            take_snapshot(self.run)
            pack_segments(self.run)
            take_snapshot(self.run)
        write(self.run.journal, turns[200:], close=closed)
        state = State()
        self.states = {0: fingerprint(state)}
        for fact in read_facts(self.run.journal):
            apply(state, fact)
            self.states[fact.seq] = fingerprint(state)
        records = list(read(self.run.journal))
        self.last, started = records[-1].seq, records[0].seq
        chain = records[-1].checksum
        self.mark = Mark("fake", 1, self.last, chain) if closed else Mark("fake", 1, started)

    def copy(self, to: Path) -> RunFolder:
        shutil.copytree(self.run.path, to)
        return RunFolder(to)


def segments(run: RunFolder) -> list[Path]:
    return sorted(run.journal.glob("*.seg"))


def records(path: Path) -> list[tuple[int, int]]:
    """Where the records of a segment begin and end."""
    with Segment(path, Kind.JOURNAL) as segment:
        segment.chain = segment.header.chain
        ends = [segment.offset for _ in segment.records()]
    return list(zip([HEADER_BYTES, *ends], ends, strict=False))


def flip(dice: random.Random, run: RunFolder) -> None:
    """One to three bits anywhere, packed segments and snapshots among them."""
    files = [path for path in run.path.rglob("*") if path.is_file() and path.stat().st_size]
    for _ in range(dice.randint(1, 3)):
        path = dice.choice(files)
        data = bytearray(path.read_bytes())
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)


def cut(dice: random.Random, run: RunFolder) -> None:
    """The end of any file gone."""
    path = dice.choice(segments(run))
    os.truncate(path, dice.randrange(path.stat().st_size))


def zero(dice: random.Random, run: RunFolder) -> None:
    """A block of zeros, as a disk gives back what it has lost."""
    path = dice.choice(segments(run))
    data = bytearray(path.read_bytes())
    start = dice.randrange(len(data))
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.write_bytes(data)


def scribble(dice: random.Random, run: RunFolder) -> None:
    """Somebody else's bytes."""
    path = dice.choice(segments(run))
    data = bytearray(path.read_bytes())
    start = dice.randrange(len(data))
    data[start : start + dice.randint(1, 200)] = dice.randbytes(dice.randint(1, 200))
    path.write_bytes(data)


def lose(dice: random.Random, run: RunFolder) -> None:
    """A segment gone."""
    dice.choice(segments(run)[:-1]).unlink()


def swap(dice: random.Random, run: RunFolder) -> None:
    """Two segments in each other's place."""
    one, two = dice.sample(segments(run), 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def drop(dice: random.Random, run: RunFolder) -> None:
    """A record taken out, the others moved up."""
    path = dice.choice(segments(run))
    places = records(path)
    if len(places) > 1:
        start, end = dice.choice(places[:-1])
        data = path.read_bytes()
        path.write_bytes(data[:start] + data[end:] + bytes(end - start))


def repeat(dice: random.Random, run: RunFolder) -> None:
    """A record twice."""
    path = dice.choice(segments(run))
    places = records(path)
    if places:
        start, end = dice.choice(places)
        data = path.read_bytes()
        path.write_bytes(data[:end] + data[start:end] + data[end:])


HARM: list[Callable[[random.Random, RunFolder], None]] = [flip, cut, zero, scribble, lose, swap, drop, repeat]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("closed", [True, False], ids=["ended in good order", "killed"])
@pytest.mark.parametrize("snapshot", [False, True], ids=["plain", "with a snapshot"])
def test_nothing_is_traded_on_a_spoiled_journal(tmp_path: Path, snapshot: bool, closed: bool) -> None:
    """It is found out, or it is a true beginning of what was written, and what is missing at its end is told."""
    original = Original(tmp_path / "original", snapshot=snapshot, closed=closed)
    told: Counter[str] = Counter()
    for seed in range(ROUNDS // 4):
        dice = random.Random(seed)
        run = original.copy(tmp_path / "spoiled")
        harm = dice.choice(HARM)
        harm(dice, run)
        told[judge(original, run, f"{harm.__name__}, seed {seed}")] += 1
        shutil.rmtree(run.path)
    assert told["found"] > ROUNDS // 16


def judge(original: Original, run: RunFolder, what: str) -> str:
    """What became of a spoiled run; an assertion fails where it would be traded on wrongly."""
    try:
        opened = reopen(run, "")
    except JournalError:
        return "found"  # nothing starts
    if opened.lost:
        assert run.quarantined is not None, what
        assert not opened.state.seq, what
        return "found"
    if doubt(opened, original.mark):
        return "found"
    seq = opened.state.seq
    assert fingerprint(opened.state) == original.states[seq], what
    if seq == original.last:
        return "whole"
    # Of a journal that nobody closed, the last record can be gone without a trace but in what follows the others.
    assert not original.closed, what
    assert opened.cut or seq >= original.mark.seq, what
    return "cut"
