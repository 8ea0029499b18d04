"""Engines that hang, in real processes on loopback: `fairlead kill --standalone`, and the venue's dead-man switch."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import facts as f
from fairlead._engine.folding import fold
from fairlead._storage.journal import read_facts
from fairlead._storage.run import RunFolder
from fairlead.ports import Snapshot
from fairlead_sim import RemoteBroker

pytestmark = pytest.mark.full

SCRIPT = Path(__file__).parent / "stories" / "hanging.py"
SECONDS = 40.0


class Scene:
    """A venue, an engine that trades there, and who kills it; all in processes of their own."""

    def __init__(self, folder: Path, address: str) -> None:
        self.run = folder / "run"
        self.hang = folder / "run.hang"
        self.home = folder / "home"
        self.env = {
            **os.environ,
            "VENUE": address,
            "RUN": str(self.run),
            "FAIRLEAD_HOME": str(self.home),
        }
        self.address = address
        self.log = (folder / "stderr").open("ab")
        self.engine: subprocess.Popen[bytes] | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the engine, and wait until it has traded."""
        self.engine = subprocess.Popen([sys.executable, str(SCRIPT)], env=self.env, stderr=self.log)
        return self.engine

    def until(self, true, what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < deadline, f"{what}: {self.said()}"
            time.sleep(0.1)

    def said(self) -> str:
        return (self.log.name and Path(self.log.name).read_text())[-3000:]

    def facts(self) -> list[f.AnyFact]:
        return list(read_facts(self.run / "journal")) if (self.run / "journal").exists() else []

    def begin_trading(self) -> "subprocess.Popen[bytes]":
        engine = self.start()

        def trades() -> bool:
            assert engine.poll() is None, self.said()
            found = self.snapshot()
            return len(found.orders or ()) >= 4 and bool(found.positions)

        self.until(trades, "it does not trade")
        return engine

    def snapshot(self) -> Snapshot:
        """The account as the venue has it."""

        class Clock:
            def now(self) -> int:
                return time.time_ns()

            def call_at(self, when_ns, callback):
                return asyncio.get_running_loop().call_later(60, callback)

        async def ask() -> Snapshot:
            broker = RemoteBroker(self.address, name="venue")
            await broker.connect(lambda report: None, Clock())
            try:
                return await broker.snapshot()
            finally:
                await broker.close()

        return asyncio.run(ask())

    def kill(self, *words: str, seconds: float = SECONDS) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "fairlead", "kill", str(SCRIPT), "--standalone", "--yes", *words]
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )

    def end(self) -> None:
        if self.engine is not None:
            with contextlib.suppress(ProcessLookupError):
                self.engine.send_signal(signal.SIGKILL)
            self.engine.wait(10)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    command = [sys.executable, "-m", "fairlead_sim.serve", "--cash", "1_000_000 USDT"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        made = Scene(tmp_path, venue.stdout.readline().strip())
        try:
            yield made
        finally:
            made.end()
            made.log.close()
            venue.terminate()


def killed(facts: list[f.AnyFact]) -> list[f.KilledOutside]:
    return [fact for fact in facts if isinstance(fact, f.KilledOutside)]


def is_killed(scene: Scene) -> bool:
    return ("kill", "account:venue") in fold(RunFolder(scene.run)).state.tripped


def sends(facts: list[f.AnyFact], after: int) -> list[f.AnyFact]:
    """What was put on its way after a fact, or would have been."""
    kinds = (f.OrderSubmitted, f.ReplaceRequested)
    return [fact for fact in facts if fact.seq > after and isinstance(fact, kinds)]


def test_an_engine_that_hangs_is_killed_once_it_was_silent(scene: Scene) -> None:
    """Everything is canceled and closed at the venue, and its next start knows who did it, and why."""
    engine = scene.begin_trading()
    scene.hang.touch()
    done = scene.kill("--when-silent", "2s", "--flatten", "--json")
    assert done.returncode == 0, done.stderr
    [account] = json.loads(done.stdout)["accounts"]
    assert account["verified"]
    assert account["engine_pid"] == engine.pid
    assert len(account["canceled"]) >= 4
    assert account["closed"] == ["sell 0.001 BTC/USDT:USDT@sim"]
    found = scene.snapshot()
    assert not found.orders
    assert not found.positions
    assert engine.poll() is None, "it hangs still"
    scene.end()
    scene.hang.unlink()
    last = scene.facts()[-1].seq

    again = scene.start()
    scene.until(lambda: killed(scene.facts()) != [], "it does not say that it was killed")
    scene.until(lambda: is_killed(scene), "it is not KILLED")
    scene.until(
        lambda: any(isinstance(x, f.AccountRecovered) for x in scene.facts() if x.seq > last), "no start"
    )
    time.sleep(1.0)
    again.send_signal(signal.SIGTERM)
    assert again.wait(SECONDS) == 0, scene.said()
    [fact] = killed(scene.facts())
    assert fact.done
    assert fact.why == "its engine was silent for 2s"
    assert set(fact.canceled) == set(account["canceled"])
    assert not sends(scene.facts(), last)
    assert is_killed(scene)
    assert not scene.snapshot().orders


def test_an_engine_that_was_stopped_in_its_tracks_sends_nothing_when_it_goes_on(scene: Scene) -> None:
    """It finds the fence before its next order, and is KILLED from its next breath on."""
    engine = scene.begin_trading()
    engine.send_signal(signal.SIGSTOP)
    done = scene.kill("--why", "it does not answer")
    assert done.returncode == 0, done.stderr
    assert "venue is KILLED" in done.stdout
    assert "verified at the venue" in done.stdout
    assert not scene.snapshot().orders
    held = scene.snapshot().positions
    engine.send_signal(signal.SIGCONT)
    scene.until(lambda: is_killed(scene), "it is not KILLED")
    latched = next(x.seq for x in scene.facts() if isinstance(x, f.BreakerTripped) and x.breaker == "kill")
    time.sleep(1.5)
    assert engine.poll() is None, scene.said()
    facts = scene.facts()
    assert next(x for x in facts if isinstance(x, f.KilledOutside)).why == "it does not answer"
    assert not sends(facts, latched)
    found = scene.snapshot()
    assert not found.orders
    assert found.positions == held, "nothing more was traded"
    late = [x for x in facts if isinstance(x, f.ReportReceived) and type(x.report).__name__ == "NotSent"]
    assert all(x.report.reason == "the account was killed from outside" for x in late)
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(SECONDS) == 0, scene.said()
    assert is_killed(scene)
    assert not list((scene.run / "paper").glob("accounts/*/killed")), "it is in the journal"
    assert list((scene.run / "paper").glob("accounts/*/killed.*"))


def test_a_healthy_engine_and_one_that_ended_are_left_alone(scene: Scene) -> None:
    """Only silence is acted upon, and who has said goodbye is not silent."""
    engine = scene.begin_trading()
    with pytest.raises(subprocess.TimeoutExpired):
        scene.kill("--when-silent", "2s", seconds=6)
    assert scene.snapshot().orders
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(SECONDS) == 0, scene.said()
    with pytest.raises(subprocess.TimeoutExpired):
        scene.kill("--when-silent", "1s", seconds=5)
    assert scene.snapshot().orders, "they are to stay"


def test_one_that_was_killed_is_silent(scene: Scene) -> None:
    """Nobody looks after its orders any more."""
    scene.begin_trading()
    scene.end()
    done = scene.kill("--when-silent", "1s", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["silent"] == "venue"
    assert not scene.snapshot().orders


def test_a_venue_that_cannot_be_reached_is_said(scene: Scene) -> None:
    """What could not be done is named, and the exit code says so; the engine is fenced all the same."""
    scene.env["VENUE"] = "tcp://127.0.0.1:1"
    done = scene.kill("--within", "3s", "--json")
    assert done.returncode == 1
    [account] = json.loads(done.stdout)["accounts"]
    assert not account["verified"]
    assert "no venue answers at tcp://127.0.0.1:1" in account["left"][0]
    assert "not all could be done" in done.stderr


# --- the dead-man switch ------------------------------------------------------------------------------------------


def test_the_venue_cancels_everything_when_an_engine_hangs(scene: Scene) -> None:
    """Nobody has to be there; a strategy that never returns is enough."""
    scene.env["DEAD_MAN"] = "2s"
    scene.begin_trading()
    time.sleep(3.0)
    assert scene.snapshot().orders, "it is told in time"
    scene.hang.touch()
    scene.until(lambda: not scene.snapshot().orders, "the orders are there still")


def test_an_engine_that_wakes_after_its_switch_fired_knows_what_happened(scene: Scene) -> None:
    """Orders end with that cause, the stop is placed again, and the account only reduces until a person has looked."""
    scene.env["DEAD_MAN"] = "2s"
    engine = scene.begin_trading()
    engine.send_signal(signal.SIGSTOP)
    scene.until(lambda: not scene.snapshot().orders, "the orders are there still")
    engine.send_signal(signal.SIGCONT)
    scene.until(lambda: any(isinstance(x, f.DeadManTripped) for x in scene.facts()), "it does not notice")

    def stopped_again() -> bool:
        return any(order.stop_price is not None for order in scene.snapshot().orders or ())

    scene.until(stopped_again, "the position has no stop")
    facts = scene.facts()
    ended = [x for x in facts if isinstance(x, f.OrderCanceled) and "dead-man switch" in x.reason]
    assert len(ended) >= 3
    assert any(isinstance(x, f.StateChanged) and x.scope == "account:venue" for x in facts)
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(SECONDS) == 0, scene.said()


def test_a_stop_in_good_order_calls_the_switch_off(scene: Scene) -> None:
    """Its orders are to stay."""
    scene.env["DEAD_MAN"] = "2s"
    engine = scene.begin_trading()
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(SECONDS) == 0, scene.said()
    time.sleep(3.0)
    assert scene.snapshot().orders
