"""What a person asks of a running engine: from other threads, over restarts, and by Ctrl-C."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from stories import BTC

from fairlead import ConfigurationError, ConnectivityError, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine import asking
from fairlead._engine.replay import replay
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State
from fairlead._storage.journal import read_facts
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

DEADLINE = 20.0


class Watcher(Strategy):
    """Sees quotes, and does what a test has it do."""

    def __init__(self, buys: str = "", name: str | None = None, allocation: str | None = None) -> None:
        super().__init__(name=name, allocation=allocation)
        self.buys = buys

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if self.buys and not self.restored and not self.position() and not self.orders():
            self.buy(self.buys, stop_loss=quote.bid / 2)


def make(path: Path, *strategies: Strategy) -> LiveTradingEngine:
    stream = SyntheticStream(BTC, seed=3, every="20ms")
    return LiveTradingEngine(
        strategies or [Watcher()], plugins=[PaperBroker("1_000_000 USDT"), stream], run=path, breakers="none"
    )


def facts_of(engine: LiveTradingEngine, kind: type[Any] = f.Fact) -> list[Any]:
    return [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, kind)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def priced(engine: LiveTradingEngine) -> None:
    until(lambda: engine.health()["data_age"] != {})


def held(engine: LiveTradingEngine) -> dict[str, Any]:
    return {position.key.strategy: position.quantity for position in engine.positions()}


# --- an engine too busy to answer ---------------------------------------------------------------------------------


@contextlib.contextmanager
def busy(engine: LiveTradingEngine) -> Iterator[None]:
    """Its thread does something else for as long as this is entered."""
    session = engine._session
    assert session is not None
    assert session._loop is not None
    begun, free = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        assert free.wait(DEADLINE)

    session._loop.call_soon_threadsafe(block)
    assert begun.wait(DEADLINE)
    try:
        yield
    finally:
        free.set()


def test_a_request_that_nobody_answered_is_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks again does not have it done twice."""
    engine = make(tmp_path / "run")
    with engine.background():
        priced(engine)
        with monkeypatch.context() as patch:
            patch.setattr(asking, "QUERY_SECONDS", 0.05)
            with busy(engine):
                for _ in range(2):
                    with pytest.raises(
                        ConnectivityError, match=r"withdrawn and is not carried out: ask again"
                    ):
                        engine.submit(instrument=BTC, side="buy", quantity="0.01")
                with pytest.raises(ConnectivityError, match="withdrawn"):
                    engine.positions()
        engine.submit(instrument=BTC, side="buy", quantity="0.01")
    assert len(facts_of(engine, f.Commanded)) == 1


def test_a_request_in_hand_says_so_and_its_id_makes_it_safe_to_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be carried out; asked again under its id it is done once."""
    engine = make(tmp_path / "run")
    with engine.background():
        priced(engine)
        session = engine._session
        assert session is not None
        put, begun, free = session._door.put, threading.Event(), threading.Event()

        def slow(*arguments: Any, **named: Any) -> None:
            begun.set()
            assert free.wait(DEADLINE)
            put(*arguments, **named)

        def buy() -> dict[str, Any]:
            return engine.submit(instrument=BTC, side="buy", quantity="0.01", request="buy-1")

        with monkeypatch.context() as patch:
            patch.setattr(asking, "QUERY_SECONDS", 0.5)
            patch.setattr(session._door, "put", slow)
            try:
                with pytest.raises(
                    ConnectivityError, match="has the request in hand, which may be carried out"
                ):
                    buy()
                assert begun.is_set()
            finally:
                free.set()
        again = buy()
        assert again["repeated"]
        order = engine.submit(
            instrument=BTC, side="buy", quantity="0.01", limit_price=40_000, request="rest"
        )["order"]
        for verb in (
            lambda: engine.replace(order, quantity="0.02", request="more"),
            lambda: engine.flatten("enough", request="flat"),
            lambda: engine.kill("enough", request="kill"),
        ):
            assert [verb()["repeated"] for _ in range(2)] == [False, True]
    verbs = [fact.verb for fact in facts_of(engine, f.Commanded)]
    assert verbs == ["submit", "submit", "replace", "flatten", "kill"]


def test_a_damaged_journal_halts_an_engine_that_is_busy_when_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds it does not wait for the answer, and the halt is not withdrawn."""
    monkeypatch.setattr(asking, "QUERY_SECONDS", 0.05)
    engine = make(tmp_path / "run")
    with engine.background() as running:
        session = engine._session
        assert session is not None
        with busy(engine):
            session._journal_rots("a record is not what was written")
        until(lambda: bool(facts_of(engine, f.Commanded)))
        running.stop()
    session._journal_rots("found after the end")
    commanded = facts_of(engine, f.Commanded)
    assert [(fact.verb, fact.who) for fact in commanded] == [("halt", "engine")]
    assert "not what was written" in commanded[0].why


# --- verbs ------------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_orders_of_a_person(tmp_path: Path) -> None:
    """Checked, submitted, replaced, canceled, while strategies trade; the answers are plain data."""
    engine = make(tmp_path / "run")
    with engine.background():
        priced(engine)
        verdict = engine.check(instrument=BTC, side="buy", value="10_000 USDT")
        assert (verdict["status"], verdict["reasons"]) == ("approved", [])
        bought = engine.submit(
            instrument=BTC, side="buy", quantity=verdict["intent"]["quantity"], why="to see"
        )
        assert bought["reasons"] == []
        until(lambda: held(engine) == {"EXTERNAL": Decimal(verdict["intent"]["quantity"])})
        resting = engine.submit(
            instrument=BTC, side="buy", quantity=0.5, limit_price=1000, strategy="Watcher"
        )
        until(lambda: [order.status for order in engine.orders()] == ["accepted"])
        again = engine.replace(resting["order"], limit_price=1001, quantity="0.4")
        until(
            lambda: [(o.client_order_id, o.status) for o in engine.orders()] == [(again["order"], "accepted")]
        )
        assert engine.cancel(again["order"], who="me")["order"] == again["order"]
        until(lambda: engine.orders() == [])
        with pytest.raises(ConfigurationError, match="there is no open order 'x' here"):
            engine.cancel("x")
        denied = engine.submit(instrument=BTC, side="buy", quantity=10**6)
        assert denied["status"] == "denied"
        assert denied["reasons"]
    verbs = [(fact.verb, fact.who) for fact in facts_of(engine, f.Commanded)]
    assert verbs == [("submit", "script"), ("submit", "script"), ("replace", "script"), ("cancel", "me"),
                     ("submit", "script")]  # fmt: skip


@pytest.mark.full
def test_flatten_closes_what_strategies_hold_and_keeps_them_paused(tmp_path: Path) -> None:
    """With a stop held beside it; after it nothing is held, nothing works, and a restart still pauses."""
    pair = [Watcher("2", name="one", allocation="50%"), Watcher("3", name="two", allocation="50%")]
    engine = make(tmp_path / "run", *pair)
    with engine.background():
        until(lambda: len(held(engine)) == 2)
        answer = engine.flatten("enough", scope="strategy:one")
        assert len(answer["orders"]) == 1
        assert answer["withdrawn"]
        until(lambda: set(held(engine)) == {"two"})
        engine.flatten("enough of all")
        until(lambda: held(engine) == {} and not engine.orders())
        until(lambda: len(facts_of(engine, f.SweepEnded)) == 2)
    with engine.background():
        priced(engine)
        denied = engine.submit(instrument=BTC, side="buy", quantity=1, strategy="one")
        assert denied["status"] == "denied"
        engine.resume("on we go")
        engine.resume("on we go", scope="strategy:one")
        assert engine.check(instrument=BTC, side="buy", quantity=1, strategy="one")["status"] == "approved"
    state = State()
    for fact in facts_of(engine):
        apply(state, fact)
    assert not state.paused
    assert not state.sweeps


@pytest.mark.full
def test_a_kill_outlives_the_process_until_it_is_reset(tmp_path: Path) -> None:
    """Everything is withdrawn and closed; the next run sends nothing before a person resets it."""
    engine = make(tmp_path / "run", Watcher("2"))
    with engine.background():
        until(lambda: held(engine) != {})
        assert engine.kill("a fire", who="me", flatten=True)["orders"]
        until(lambda: held(engine) == {} and not engine.orders())
    with engine.background():
        priced(engine)
        assert engine.health()["tripped"] == ["kill on engine: a fire (me)"]
        assert engine.submit(instrument=BTC, side="buy", quantity=1)["status"] == "denied"
        engine.reset("kill", "it is out", who="me")
        assert engine.submit(instrument=BTC, side="buy", quantity=1)["status"] != "denied"


@pytest.mark.full
def test_a_request_is_carried_out_once_in_all_runs(tmp_path: Path) -> None:
    """Who asks again after a lost answer gets it again, from the next process too."""
    engine = make(tmp_path / "run")
    wanted = {"instrument": BTC, "side": "buy", "quantity": "1"}

    def ask() -> dict[str, Any]:
        assert engine._session is not None
        return engine._session.command("submit", "me", "", wanted, "r1")

    with engine.background():
        priced(engine)
        first = ask()
        assert ask() == {**first, "repeated": True}
        until(lambda: sum(fact.fill.quantity for fact in facts_of(engine, f.Filled)) == 1)
    with engine.background():
        assert ask() == {**first, "repeated": True}
    assert len(facts_of(engine, f.OrderSubmitted)) == 1


@pytest.mark.full
def test_what_was_asked_for_is_replayed(tmp_path: Path) -> None:
    """Commands are inputs: the same facts come of them again, sweeps and their answers included."""
    engine = make(tmp_path / "run", Watcher("2"))
    with engine.background():
        until(lambda: held(engine) != {})
        engine.submit(instrument=BTC, side="buy", quantity=1, limit_price=1000)
        assert engine._session is not None
        engine._session.command("flatten", "me", "to see", {"scope": "strategy:Watcher"}, "r1")
        until(lambda: bool(facts_of(engine, f.SweepEnded)))
        engine.cancel_all("the rest")
        until(lambda: not engine.orders())
        engine.kill("the end")
    replayed = replay(engine)
    assert replayed.first_difference is None


# --- the end ----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_a_stop_once_flat(tmp_path: Path) -> None:
    """The engine goes on until the last position is gone, and says why it ended."""
    engine = make(tmp_path / "run", Watcher("2"))
    handle = engine.background()
    until(lambda: held(engine) != {})
    engine.stop("going home", when="flat", who="me")
    assert handle.running
    assert engine.check(instrument=BTC, side="buy", quantity=1)["status"] == "denied"
    engine.flatten("now")
    assert handle.wait(DEADLINE) == "going home (me): flat"
    assert facts_of(engine)[-1].reason == "going home (me): flat"
    engine.stop(when="flat")


@pytest.mark.full
def test_a_stop_once_flat_ends_within_its_time(tmp_path: Path) -> None:
    """What is left stands in the reason; the position and its stop are there after the restart."""
    engine = make(tmp_path / "run", Watcher("2"))
    handle = engine.background()
    until(lambda: held(engine) == {"Watcher": 2})
    reason = handle.stop(when="flat", within="100ms")
    assert reason.startswith("stopped (script): its time is over, and this is left: Watcher holds ")
    with engine.background():
        assert list(held(engine)) == ["Watcher"]
        assert engine.orders()
        priced(engine)
        assert engine.check(instrument=BTC, side="buy", quantity=1)["status"] == "approved"


@pytest.mark.full
def test_two_engines_in_one_process_are_steered_apart(tmp_path: Path) -> None:
    """Each in its own thread, or both in one loop: what one is told the other does not hear."""
    one, two = (make(tmp_path / name) for name in ("one", "two"))
    with one.background() as first, two.background() as second:
        priced(one)
        priced(two)
        one.halt("a look")
        assert one.check(instrument=BTC, side="buy", quantity=1)["status"] == "denied"
        assert two.check(instrument=BTC, side="buy", quantity=1)["status"] == "approved"
        first.stop()
        assert second.running
        assert two.check(instrument=BTC, side="buy", quantity=1)["status"] == "approved"

    async def together() -> list[str]:
        tasks = [asyncio.create_task(engine.run()) for engine in (one, two)]
        async for fact in one.events():
            if isinstance(fact, f.StrategiesStarted) and fact.restored:
                break
        one.resume("looked")
        one.stop("one is done")
        assert await tasks[0] == "one is done"
        assert not tasks[1].done()
        two.pause("in the same loop")
        two.stop("so is two")
        return [task.result() for task in tasks if await task]

    assert asyncio.run(asyncio.wait_for(together(), DEADLINE)) == ["one is done", "so is two"]
    assert [fact.verb for fact in facts_of(two, f.Commanded)] == ["pause"]


def test_leaving_the_tail_ends_nothing_else(tmp_path: Path) -> None:
    """The engine trades on, and other tails go on."""
    engine = make(tmp_path / "run")

    async def session() -> str:
        running = asyncio.create_task(engine.run())
        other = engine.events()
        async for _ in engine.events():
            break
        async for fact in engine.events():
            if isinstance(fact, f.StrategiesStarted):
                break
        while not isinstance(await anext(other), f.StrategiesStarted):
            pass
        engine.pause("still here")
        while not isinstance(await anext(other), f.Commanded):
            pass
        await other.aclose()  # type: ignore[attr-defined]
        assert not running.done()
        engine.stop("seen")
        return await running

    assert asyncio.run(asyncio.wait_for(session(), DEADLINE)) == "seen"


# --- signals ----------------------------------------------------------------------------------------------------

SCRIPT = """
    import asyncio, signal, sys, threading, time
    from stories import BTC
    from fairlead import LiveTradingEngine, Strategy
    from fairlead_paper import PaperBroker
    from fairlead_streams import SyntheticStream

    class Ticks(Strategy):
        def on_start(self):
            self.watch(BTC, quotes=True)
            self.every("50ms", name="tick")
        def on_stop(self):
            if "slow" in sys.argv:
                print("stopping", flush=True)
                time.sleep(60)

    engine = LiveTradingEngine(
        Ticks(), plugins=[PaperBroker("100_000 USDT"), SyntheticStream(BTC, every="100ms")],
        run=sys.argv[1], breakers="none",
    )
"""

PLAIN = """
    def mine(*_): print("mine", flush=True)
    signal.signal(signal.SIGTERM, mine)
    print("ended:", asyncio.run(engine.run()), flush=True)
    print("restored:", signal.getsignal(signal.SIGTERM) is mine,
          signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
"""

IN_AN_APPLICATION = """
    async def application():
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, done.set)
        before = signal.getsignal(signal.SIGTERM)
        running = asyncio.create_task(engine.run())
        await done.wait()
        print("mine:", signal.getsignal(signal.SIGTERM) is before, engine.health()["running"], flush=True)
        engine.stop("the application ends")
        print("ended:", await running, flush=True)

    asyncio.run(application())
"""

AWAITED = """
    async def main():
        print("ended:", await engine.run(), flush=True)

    asyncio.run(main())
"""


@contextlib.contextmanager
def script(tmp_path: Path, text: str, *arguments: str) -> Iterator[tuple[Any, LiveTradingEngine]]:
    """A process that runs an engine, once that trades."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT + text), str(tmp_path / "run"), *arguments],
        cwd=Path(__file__).parent / "stories",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    engine = make(tmp_path / "run")
    try:
        until(lambda: child.poll() is not None or bool(facts_of(engine, f.TimerFired)))
        yield child, engine
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait(DEADLINE)


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("text", [PLAIN, AWAITED], ids=["alone", "awaited"])
def test_the_first_signal_ends_a_script_in_good_order(
    tmp_path: Path, number: signal.Signals, text: str
) -> None:
    """What handled signals before handles them again afterwards."""
    with script(tmp_path, text) as (child, engine):
        child.send_signal(number)
        output, _ = child.communicate(timeout=DEADLINE)
    lines = output.splitlines()
    assert (child.returncode, lines[0]) == (0, f"ended: {number.name}")
    assert lines[1:] in ([], ["restored: True True"])
    assert facts_of(engine)[-1].reason == number.name


@pytest.mark.full
def test_the_second_signal_ends_a_script_at_once(tmp_path: Path) -> None:
    """Even while a strategy blocks; the journal has all, and the next start takes it up."""
    with script(tmp_path, PLAIN, "slow") as (child, engine):
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopping\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=DEADLINE)
    assert child.returncode == 130
    assert "ended at once" in errors
    assert facts_of(engine, f.TimerFired)
    assert not facts_of(engine, f.EngineStopped)
    with engine.background():
        assert engine.health()["running"]


@pytest.mark.full
def test_in_the_loop_of_an_application_signals_are_its_own(tmp_path: Path) -> None:
    """Its handlers stay what they are, and the engine trades on until it is told to end."""
    with script(tmp_path, IN_AN_APPLICATION) as (child, engine):
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=DEADLINE)
    assert output.splitlines() == ["mine: True True", "ended: the application ends"], errors
    assert facts_of(engine)[-1].reason == "the application ends"


def test_in_another_thread_signals_are_left_alone(tmp_path: Path) -> None:
    """A run there takes none, whatever the loop."""
    engine = make(tmp_path / "run")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=lambda: asyncio.run(engine.run()))
    thread.start()
    until(lambda: engine._session is not None and engine._session.started.is_set())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    engine.stop()
    thread.join(DEADLINE)
    assert not thread.is_alive()
