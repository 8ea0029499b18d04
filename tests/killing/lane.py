"""One engine, killed again and again, against one venue and one market that go on in processes of their own."""

import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import evidence
import verdict

HERE = Path(__file__).parent
DEADLINE = 60.0
LABEL_SECONDS, SLOW_SECONDS = 8.0, 4.0
PLAN = (
    "lose:2% lose_answer:3% delay:2% duplicate:3% reorder:2% drop:0.5% reject:1% patience=300ms seed={seed}"
)

AT_START = [
    "before restore", "after restore", "before connect", "after connect",
    "before append EngineStarted", "within append EngineStarted", "after append EngineStarted",
    "before fills", "after fills", "before lookup", "after lookup", "before snapshot", "after snapshot",
    "before applying Backfilled", "after applying Backfilled", "before applying LookedUp", "after applying LookedUp",
    "before applying SnapshotTaken", "after applying SnapshotTaken", "after append FillsListed",
    "before append AccountRecovered", "after append AccountRecovered",
    "before append StrategiesStarted", "after append StrategiesStarted",
]  # fmt: skip
"""Moments of recovery: every start passes them."""

AT_WORK = [
    "before append OrderSubmitted", "within append OrderSubmitted", "after append OrderSubmitted",
    "before send Submit", "after send Submit", "after append OrderAccepted",
    "before applying Accepted", "after applying Accepted", "before append Filled", "within append Filled",
    "after append Filled", "before applying FillReport", "after applying FillReport",
    "before append CancelRequested", "after append CancelRequested", "before send Cancel", "after send Cancel",
    "before applying Canceled", "after applying Canceled", "after append OrderCanceled",
    "before append Replacement", "after append Replacement", "before append OrderReleased",
    "before append ReplaceRequested", "after append ReplaceRequested", "before send Replace", "after send Replace",
    "before applying Replaced", "after applying Replaced", "after append OrderReplaced",
    "after append OrderReleased", "after append OrderHeld", "after append HeldResized",
    "after append OrderUnknown", "after append OrderRejected",
]  # fmt: skip
"""Moments of trading; the last two come with a fault only."""

AT_A_DRILL = [
    "before append SweepStarted", "after append SweepStarted", "before send CancelAll", "after send CancelAll",
    "before send closing Submit", "after send closing Submit", "before append SweepEnded", "after append SweepEnded",
]  # fmt: skip
"""Moments of a flatten or a kill, which a drill brings about."""

AT_A_SNAPSHOT = ["before snapshot file", "amid snapshot file", "after snapshot file"]
"""Moments of keeping the state, which another process does."""

LABELS = AT_START + AT_WORK + AT_A_DRILL + AT_A_SNAPSHOT


@attrs.define
class Tally:
    """What came of some kills."""

    kills: int = 0
    venue_kills: int = 0
    reached: Counter[str] = attrs.Factory(Counter)
    missed: Counter[str] = attrs.Factory(Counter)
    restarts: list[float] = attrs.Factory(list)
    breaches: list[str] = attrs.Factory(list)
    facts: int = 0
    orders: int = 0
    fills: int = 0

    def add(self, other: "Tally") -> None:
        """Take another one in."""
        self.kills += other.kills
        self.venue_kills += other.venue_kills
        self.reached += other.reached
        self.missed += other.missed
        self.restarts += other.restarts
        self.breaches += other.breaches
        self.facts += other.facts
        self.orders += other.orders
        self.fills += other.fills


class Lane:
    """A run folder, a venue with its ledger, a market, and lives of the engine one after the other."""

    def __init__(
        self, folder: Path, *, seed: int, plain: bool, labels: Iterator[str], without: str = ""
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.tally = Tally()
        self._dice = random.Random(seed)
        self._options = [*(["--plain"] if plain else []), *(["--without", without] if without else [])]
        self._labels = labels
        self._seed = seed
        self._address = f"unix://{folder}/venue.sock"
        self._patience = 10.0 if without else DEADLINE
        self._births: list[int] = []
        self._deaths: list[int] = []
        self._there: list[subprocess.Popen[bytes]] = []

    def run(self, kills: int) -> Tally:
        """Kill that often, let it come to rest, and judge."""
        with self._errors() as errors, self._venue(errors):
            for _ in range(kills):
                self._live(errors)
                time.sleep(self._dice.choice((0.0, 0.0, 0.1, 0.4)))
                if self._dice.random() < 0.05:
                    self._kill_venue(errors)
            last, snapshot = self._come_to_rest(errors)
        facts = evidence.journal(self.journal)
        entries = evidence.ledger(self.folder / "ledger")
        self.tally.breaches += verdict.judge(facts, entries)
        if last:
            self.tally.breaches += verdict.cash(facts, entries, last, snapshot)
        self._count(facts, entries)
        self.tally.breaches = [f"{self.folder.name}: {text}" for text in self.tally.breaches]
        return self.tally

    # --- starts alone ---------------------------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        """Where the facts are."""
        return self.folder / "run" / "journal"

    def start_and_stop(self) -> None:
        """A start, and an end in good order."""
        with self._errors() as errors, self._venue(errors), self._victim(errors, "--quiet") as child:
            assert self._wait_for(child, "active"), (self.folder / "errors").read_text()
            child.terminate()
            assert child.wait(DEADLINE) == 0, (self.folder / "errors").read_text()

    def start_and_kill(self) -> float:
        """A start, killed once strategies have started; returns how long that took, in seconds."""
        with self._errors() as errors, self._venue(errors):
            begun = time.monotonic()
            with self._victim(errors, "--quiet") as child:
                assert self._wait_for(child, "active"), (self.folder / "errors").read_text()
                return time.monotonic() - begun

    # --- processes ------------------------------------------------------------------------------------------

    def _errors(self) -> Any:
        return (self.folder / "errors").open("ab")

    @contextlib.contextmanager
    def _venue(self, errors: Any) -> Iterator[None]:
        self._open_venue(errors)
        try:
            yield
        finally:
            self._close_venue(signal.SIGTERM)

    def _open_venue(self, errors: Any) -> None:
        """The venue and what moves its market; another plan of faults each time."""
        self._seed += 1
        socket_path, ledger = f"{self.folder}/venue.sock", str(self.folder / "ledger")
        words = ["-m", "fairlead_sim.serve", "--cash", "10_000_000 USDT", "--unix", socket_path]
        words += ["--ledger", ledger, "--faults", PLAN.format(seed=self._seed), "--until-stdin-closes"]
        venue = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        assert venue.stdout is not None
        venue.stdout.readline()
        mover = [sys.executable, str(HERE / "venue_market.py"), self._address]
        self._there = [subprocess.Popen(mover, stderr=subprocess.DEVNULL), venue]

    def _close_venue(self, how: int) -> None:
        for process in self._there:
            process.send_signal(how)
            process.wait(DEADLINE)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _kill_venue(self, errors: Any) -> None:
        """It dies as well, and comes back with the ledger that it had."""
        self._close_venue(signal.SIGKILL)
        self.tally.venue_kills += 1
        shutil.copy(self.folder / "ledger", self.folder / f"ledger.{self.tally.venue_kills}")
        time.sleep(self._dice.uniform(0, 1))
        self._open_venue(errors)

    @contextlib.contextmanager
    def _victim(self, errors: Any, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, str(HERE / "victim.py"), str(self.folder), self._address]
        self._births.append(time.time_ns())
        with subprocess.Popen(
            [*command, *self._options, *words], stdout=subprocess.PIPE, stderr=errors
        ) as child:
            try:
                yield child
            finally:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                child.wait(DEADLINE)
                self._deaths.append(time.time_ns())

    # --- a life ---------------------------------------------------------------------------------------------

    def _live(self, errors: Any) -> None:
        roll = self._dice.random()
        if roll < 0.2:
            label, words, wait, patience = "any moment", [], "", self._dice.uniform(0.2, 2.5)
        elif roll < 0.4:
            label, words, wait, patience = "any moment of trading", [], "active", self._dice.uniform(0, 0.7)
        else:
            label = next(self._labels)
            passes = self._dice.randint(1, 12) if label in AT_WORK[:-2] else 1
            words = ["--die", label, "--pass", str(passes), *(["--drill"] if label in AT_A_DRILL else [])]
            wait, patience = "label", 0.0
        with self._victim(errors, *words) as child:
            there = not wait or self._wait_for(child, wait)
            if wait == "active" and self._dice.random() < 0.25:
                self._sleep(child, self._dice.uniform(0, 0.5))
                self._kill_venue(errors)
                patience *= 4
            if wait != "label":
                self._sleep(child, patience)
            child.send_signal(signal.SIGKILL)
            child.wait(DEADLINE)
        if child.returncode != -signal.SIGKILL:
            self.tally.breaches.append(
                f"an engine ended by itself with {child.returncode}: see {self.folder}/errors"
            )
        self.tally.kills += 1
        self._write_down(label, words, there)
        (self.tally.reached if there else self.tally.missed)[label] += 1

    def _write_down(self, label: str, words: list[str], there: bool) -> None:
        """For whoever looks at a folder that was kept: what each life was."""
        born, age = self._births[-1], (time.time_ns() - self._births[-1]) / 1e9
        with (self.folder / "lives").open("a") as file:
            file.write(f"{born} {age:.3f} {label}, {' '.join(words)}{'' if there else ': not reached'}\n")

    def _wait_for(self, child: "subprocess.Popen[bytes]", word: str) -> bool:
        """Wait until a child writes a word; False where that takes too long."""
        assert child.stdout is not None
        deadline = time.monotonic() + (LABEL_SECONDS if word == "label" else self._patience)
        said = b""
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([child.stdout], [], [], left)
            if ready:
                found = os.read(child.stdout.fileno(), 4096)
                said += found
                if word.encode() in said:
                    return True
                if not found:
                    return False
        return False

    @staticmethod
    def _sleep(child: "subprocess.Popen[bytes]", seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)

    # --- the end --------------------------------------------------------------------------------------------

    def _come_to_rest(self, errors: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A last start, without new orders: all must be resolved and equal, then flat, then end in good order."""
        (self.folder / "books.json").unlink(missing_ok=True)
        with self._victim(errors, "--quiet") as child:
            if not self._wait_for(child, "active"):
                self.tally.breaches.append(f"the last start did not come up: see {self.folder}/errors")
                return {}, {}
            self._agree(flat=False)
            child.send_signal(signal.SIGUSR1)
            found = self._agree(flat=True)
            child.terminate()
            if child.wait(DEADLINE) != 0:
                self.tally.breaches.append(f"the last end was not in good order: see {self.folder}/errors")
        return found

    def _agree(self, *, flat: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        deadline = time.monotonic() + self._patience
        differences = ["nothing was said"]
        books: dict[str, Any] = {}
        snapshot: dict[str, Any] = {}
        while differences and time.monotonic() < deadline:
            time.sleep(0.1)
            with contextlib.suppress(FileNotFoundError, ValueError):
                snapshot = _snapshot(self.folder / "venue.sock")
                books = json.loads((self.folder / "books.json").read_text())
                differences = verdict.at_rest(books, snapshot)
                if flat and not differences and (books["positions"] or books["open"]):
                    differences = [f"it is not flat: {books}"]
        self.tally.breaches += [f"at rest: {text}" for text in differences]
        return books, snapshot

    def _count(self, facts: list[evidence.Entry], entries: list[evidence.Entry]) -> None:
        tally = self.tally
        tally.facts = len(facts)
        tally.orders = sum(entry["t"] == "Placed" for entry in entries)
        tally.fills = sum(entry["t"] == "Executed" for entry in entries)
        begun = sorted(fact["now"] for fact in facts if fact["t"] == "StrategiesStarted")
        for birth, death in zip(self._births, self._deaths, strict=True):
            found = [(now - birth) / 1e9 for now in begun if birth < now < death]
            lived = (death - birth) / 1e9  # one that was long under way counts as at least that
            tally.restarts += found or ([lived] if lived > SLOW_SECONDS else [])


def _snapshot(path: Path) -> dict[str, Any]:
    """The venue's own view of the account."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(b'{"do":"snapshot","id":1}\n')
        data = b""
        while not data.endswith(b"\n"):
            data += line.recv(1 << 16)
    answer: dict[str, Any] = json.loads(data)["snapshot"]
    return answer
