"""kill -9 in the middle of a paper session, and a start after it: the same orders, positions and decisions."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import session

from fairlead import facts as f
from fairlead._engine.folding import fold as fold_run
from fairlead._engine.replay import replay
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage.journal import read_facts
from fairlead._storage.reading import Segment, Tail, repair_tail
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import Kind, segment_numbers, segment_path

SESSION = Path(__file__).parent / "stories" / "session.py"
DEADLINE = 30.0


class Story:
    """A run in child processes, one after the other, each killed."""

    def __init__(self, folder: Path, *, plain: bool, seed: int, early: float = 0.0) -> None:
        self.folder = folder
        self.run = RunFolder(folder / "run")
        self.plain = plain
        self.dice = random.Random(seed)
        self.early = early
        self.errors: list[str] = []

    def live(self) -> None:
        """Start, let it trade for a random number of facts, kill it."""
        words = [sys.executable, str(SESSION), str(self.folder), *(["plain"] if self.plain else [])]
        with (self.folder / "stderr").open("ab") as errors:
            child = subprocess.Popen(words, stderr=errors)
        try:
            self._let_trade(child)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGKILL)
            child.wait(DEADLINE)
        assert child.returncode == -signal.SIGKILL, (self.folder / "stderr").read_text()

    def _let_trade(self, child: "subprocess.Popen[bytes]") -> None:
        early = self.dice.random() < self.early  # in the middle of the start
        wanted = self.dice.randint(1, 12) if early else self.dice.randint(40, 400)
        deadline = time.monotonic() + DEADLINE
        with Tail(self.run.journal, self.last_seq()) as tail:
            seen = 0
            while seen < wanted:
                assert child.poll() is None, (self.folder / "stderr").read_text()
                assert time.monotonic() < deadline, f"only {seen} records of {wanted}"
                time.sleep(self.dice.uniform(0, 0.01))
                with contextlib.suppress(FileNotFoundError):
                    seen += len(tail.poll())

    def last_seq(self) -> int:
        return max((fact.seq for fact in read_facts(self.run.journal)), default=0)

    def facts(self) -> list[f.AnyFact]:
        return list(read_facts(self.run.journal))

    def tear(self) -> int:
        """Cut the last record in its middle and write garbage after it; returns the last number that is whole."""
        path = segment_path(self.run.journal, segment_numbers(self.run.journal)[-1])
        with Segment(path, Kind.JOURNAL) as segment:
            ends = [(segment.offset, record.seq) for record in segment.records()]
        assert len(ends) > 2, "too short to tear"
        (start, seq), (end, _) = ends[-2], ends[-1]
        cut = self.dice.randint(start + 4, end - 9)
        with path.open("r+b") as file:
            file.truncate(cut)
            file.seek(cut)
            file.write(self.dice.randbytes(self.dice.randint(1, 300)))
        return seq

    def witness(self, name: str) -> list[bytes]:
        path = self.folder / "witness" / name
        return path.read_bytes().splitlines() if path.exists() else []


def fold(facts: list[f.AnyFact]) -> Iterator[tuple[int, State]]:
    """The state after each fact."""
    state = State()
    for fact in facts:
        apply(state, fact)
        yield fact.seq, state


def check(story: Story, *, torn: bool = False) -> None:
    """Everything that must hold of a run that was killed and started again."""
    facts = story.facts()
    # What lived is what a fold of the journal gives, at every moment that was looked at.
    prints = dict(line.decode().split() for line in story.witness("prints") if line.count(b" ") == 1)
    compared = 0
    for seq, state in fold(facts):
        wanted = prints.get(str(seq))
        if wanted is not None and not torn:
            assert hashlib.sha256(fingerprint(state)).hexdigest() == wanted, f"state at {seq}"
            compared += 1
    assert compared > 0 or torn
    # Nothing was sent twice, and nothing that the journal does not know.
    sent = Counter(line.decode() for line in story.witness("sent"))
    assert [name for name, times in sent.items() if times > 1] == []
    submitted = [fact.client_order_id for fact in facts if isinstance(fact, f.OrderSubmitted)]
    assert len(submitted) == len(set(submitted))
    assert set(sent) <= set(submitted) or torn
    # At each start, venue and journal agreed, all orders were resolved, the epoch had risen.
    starts = [msgspec.json.decode(line) for line in story.witness("starts")]
    epochs = [fact.epoch for fact in facts if isinstance(fact, f.EngineStarted)]
    assert epochs == sorted(set(epochs))
    booked = Counter(fact.fill.fill_id for fact in facts if isinstance(fact, f.Filled))
    assert [name for name, times in booked.items() if times > 1] == []
    for start in starts:
        assert start["balances"], start["epoch"]
        assert start["positions"], start["epoch"]
        assert start["resolved"], start["epoch"]
        assert start["orders"] or torn, start["epoch"]
        assert set(start["fills"]) <= set(booked), start["epoch"]
    check_money(facts)
    check_strategies(facts)


def check_money(facts: list[f.AnyFact]) -> None:
    """Cash and positions by another way: from the fills alone, one after the other, exactly."""
    *_, (_, state) = fold(facts)
    [opened] = [fact for fact in facts if isinstance(fact, f.AccountOpened)]
    cash, held, cost = opened.balances["USDT"], Decimal(0), Decimal(0)
    for fact in facts:
        if not isinstance(fact, f.Filled):
            continue
        fill = fact.fill
        signed = fill.quantity if fill.side == "buy" else -fill.quantity
        cash -= fill.fee
        if held * signed < 0:
            closed = min(abs(signed), abs(held))
            profit = (fill.price - cost) * closed * (1 if held > 0 else -1)
            cash += profit
        after = held + signed
        if held * signed >= 0 and after:
            cost = (cost * abs(held) + fill.price * abs(signed)) / abs(after)
        elif held * after < 0:
            cost = fill.price
        held = after
    [net] = [p.quantity for key, p in state.positions.items() if not key.strategy] or [Decimal(0)]
    assert net == held
    assert abs(state.accounts["paper"].balances["USDT"] - cash) < Decimal("1e-12")


def check_strategies(facts: list[f.AnyFact]) -> None:
    """Each start gave strategies back what they had saved last."""
    saved: dict[str, int] = {}
    restarts = -1
    for fact in facts:
        if isinstance(fact, f.StrategiesStarted):
            restarts += 1
            assert fact.restored is (restarts > 0) or restarts == 0
        elif isinstance(fact, f.StrategySaved):
            saved[fact.strategy] = msgspec.msgpack.decode(fact.state)["bars"]
        elif isinstance(fact, f.Noted) and fact.text.startswith("began"):
            assert fact.text.split()[2] == str(saved.get(fact.source, 0))


def late_timers(facts: list[f.AnyFact]) -> Counter[tuple[int, str, str]]:
    """How often each timer fired late, by start."""
    found: Counter[tuple[int, str, str]] = Counter()
    epoch = 0
    for fact in facts:
        if isinstance(fact, f.EngineStarted):
            epoch = fact.epoch
        elif isinstance(fact, f.TimerFired) and fact.late:
            found[epoch, fact.strategy, fact.name] += 1
    return found


def rounds() -> int:
    return {"full": 100, "ci": 15}.get(os.environ.get("FAIRLEAD_PROVE", "ci"), 15)


def survive(story: Story, kills: int) -> list[f.AnyFact]:
    for _ in range(kills):
        story.live()
        state = State()
        for fact in story.facts():
            apply(state, fact)
        assert fingerprint(fold_run(story.run).state) == fingerprint(state)
    check(story)
    engine, _ = session.make(story.folder, story.plain)
    replayed = replay(engine)
    assert replayed.first_difference is None, str(replayed.first_difference)
    return story.facts()


@pytest.mark.full
@pytest.mark.parametrize("plain", [False, True], ids=["all orders at the venue", "held by the engine"])
def test_three_kills(tmp_path: Path, plain: bool) -> None:
    """A session that is killed three times goes on each time as if nothing had happened."""
    facts = survive(Story(tmp_path, plain=plain, seed=1), 3)
    late = late_timers(facts)
    assert {epoch for epoch, _, _ in late} == {2, 3}
    assert set(late.values()) == {1}


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("plain", [False, True], ids=["all orders at the venue", "held by the engine"])
def test_many_kills(tmp_path: Path, plain: bool) -> None:
    """Killed again and again, at any moment, starts included: nothing is lost, nothing sent twice."""
    facts = survive(Story(tmp_path, plain=plain, seed=2, early=0.2), rounds())
    assert set(late_timers(facts).values()) == {1}


@pytest.mark.full
def test_a_torn_tail(tmp_path: Path) -> None:
    """A last record cut in its middle, garbage after it, is cut away: the rest is the state, and it starts."""
    story = Story(tmp_path, plain=False, seed=4)
    story.live()
    whole = story.tear()
    before = story.facts()
    assert before[-1].seq == whole
    *_, (_, state) = fold(before)
    story.live()
    after = story.facts()
    assert after[: len(before)] == before
    assert fingerprint(state) == fingerprint([s for seq, s in fold(after[: len(before)])][-1])
    check(story, torn=True)
    engine, _ = session.make(story.folder, story.plain)
    assert replay(engine).first_difference is None
    assert repair_tail(story.run.journal) == 0
