"""Live sessions: how they begin, who may talk to them, and how they end, also when something goes wrong."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from stories import BTC, ETH, Cross

from fairlead import Bar, ConfigurationError, Fill, LeaseLost, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine.background import new_loop
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State
from fairlead._storage.journal import read_facts
from fairlead.errors import ConnectivityError
from fairlead.ports import VenueProfile
from fairlead.testing import MARKET_AND_LIMIT, FakeBroker, FakeStream, ManualClock, Recorder, make_instrument
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream, SyntheticStream

DEADLINE = 20.0
START = "2024-01-01T00:00+00:00"


def fast(symbol: str = BTC, **settings: Any) -> SyntheticStream:
    return SyntheticStream(symbol, seed=3, volatility="30%", speed="max", start=START, **settings)


def live(symbol: str = BTC) -> SyntheticStream:
    return SyntheticStream(symbol, seed=3, every="100ms")


def make(path: Path, strategy: Any, stream: Any, *plugins: Any, broker: Any = None, **settings: Any) -> Any:
    broker = broker or PaperBroker("1_000_000 USDT")
    return LiveTradingEngine(
        strategy, plugins=[broker, stream, *plugins], run=path, breakers="none", **settings
    )


def facts_of(engine: Any, kind: type[Any] = f.Fact) -> list[Any]:
    return [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, kind)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


class Watcher(Strategy):
    """Counts what it sees."""

    def __init__(self, symbol: str = BTC, **more: Any) -> None:
        super().__init__(**more)
        self.symbol = symbol
        self.seen = 0

    def on_start(self) -> None:
        self.watch(self.symbol, quotes=True, bars="1m")

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1


# --- where a session runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, new_loop], ids=["asyncio", "uvloop"])
def test_any_loop(tmp_path: Path, factory: Any) -> None:
    """A session runs on asyncio's own loop and on uvloop."""
    engine = make(tmp_path / "run", Cross(BTC, 2, 5), fast())
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(engine.run("30m")) == "the time was up"
    assert facts_of(engine, f.Filled)


def test_two_engines_in_one_process(tmp_path: Path) -> None:
    """Engines share nothing: two at a time give what each gives alone."""

    def pair(path: Path) -> list[Any]:
        return [make(path / "btc", Cross(BTC, 2, 5), fast()), make(path / "eth", Cross(ETH, 2, 5), fast(ETH))]

    async def together(engines: list[Any]) -> None:
        await asyncio.gather(*[engine.run("30m") for engine in engines])

    alone, both = pair(tmp_path / "alone"), pair(tmp_path / "both")
    for engine in alone:
        asyncio.run(engine.run("30m"))
    asyncio.run(together(both))
    for one, other in zip(alone, both, strict=True):
        fills = [(fill.fill.price, fill.fill.quantity) for fill in facts_of(one, f.Filled)]
        assert fills == [(fill.fill.price, fill.fill.quantity) for fill in facts_of(other, f.Filled)] != []


def test_one_engine_again(tmp_path: Path) -> None:
    """A second run of the same engine goes on where the first ended, with strategies made anew."""
    engine = make(tmp_path / "run", Cross(BTC, 2, 5), fast())
    asyncio.run(engine.run("30m"))
    first = engine.strategies[0]
    last = facts_of(engine)[-1]
    asyncio.run(engine.run("30m"))
    facts = facts_of(engine)
    assert engine.strategies[0] is not first
    assert [fact.epoch for fact in facts if isinstance(fact, f.EngineStarted)] == [1, 2]
    assert [fact.restored for fact in facts if isinstance(fact, f.StrategiesStarted)] == [False, True]
    assert all(fact.now >= last.now for fact in facts if fact.seq > last.seq)
    ids = [fact.fill.fill_id for fact in facts if isinstance(fact, f.Filled)]
    assert len(ids) == len(set(ids))
    assert any(fact.seq > last.seq for fact in facts if isinstance(fact, f.Filled))
    broker = engine.wiring.brokers["paper"]
    assert [fill.fill_id for fill in broker.venue.fills(0)] == ids
    other = make(tmp_path / "run", Cross(BTC, 2, 5), fast())
    asyncio.run(other.run("30m"))
    assert len(facts_of(other, f.Filled)) > len(ids)
    with pytest.raises(ConfigurationError, match="make the broker anew"):
        asyncio.run(engine.run("30m"))


def test_running_it_twice_at_once_is_refused(tmp_path: Path) -> None:
    """An engine that runs cannot be run."""
    engine = make(tmp_path / "run", Watcher(), live())
    with engine.background(), pytest.raises(ConfigurationError, match="running already"):
        asyncio.run(engine.run())


@pytest.mark.parametrize("settings", [{"durability": "full"}, {"busy_poll": True}], ids=str)
def test_other_ways_to_run(tmp_path: Path, settings: Any) -> None:
    """Durable against power cuts, or never sleeping: the same facts as always."""

    def facts(path: Path, **more: Any) -> list[Any]:
        engine = make(path, Cross(BTC, 2, 5), fast(), **more)
        asyncio.run(engine.run("30m"))
        return [(fact.seq, type(fact), fact.now) for fact in facts_of(engine)]

    assert facts(tmp_path / "other", **settings) == facts(tmp_path / "plain")


# --- locks ------------------------------------------------------------------------------------------------------


def test_a_run_in_use(tmp_path: Path) -> None:
    """Two engines in one folder: the second is told who is there, in one sentence, and the first goes on."""
    first, second = (make(tmp_path / "run", Watcher(), live()) for _ in range(2))
    with first.background():
        with pytest.raises(ConfigurationError, match=r"is in use by .*: stop it") as refused:
            asyncio.run(second.run())
        assert "\n" not in str(refused.value)
        assert first.health()["running"]
    asyncio.run(second.run("50ms"))
    assert [fact.epoch for fact in facts_of(second, f.EngineStarted)] == [1, 2]


def test_an_account_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account is traded by one engine at a time, and from one run until a person moves it."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    profile = attrs.evolve(MARKET_AND_LIMIT, environment="testnet")

    def engine(name: str) -> Any:
        stream = FakeStream(kinds=("quote",))
        return make(tmp_path / name, Watcher(), stream, broker=FakeBroker(profile=profile))

    first, second = engine("first"), engine("second")
    with first.background(), pytest.raises(LeaseLost, match="is being traded by"):
        asyncio.run(second.run())
    with pytest.raises(ConfigurationError, match=r"belongs to the run .*first"):
        asyncio.run(second.run())
    asyncio.run(first.run("10ms"))


class Refusing(FakeStream):
    """A stream that cannot be reached."""

    reachable = False

    async def connect(self, emit: Any, clock: Any) -> None:
        if not self.reachable:
            raise ConnectivityError("the venue does not answer")
        await super().connect(emit, clock)


def test_a_stream_that_fails_to_connect(tmp_path: Path) -> None:
    """Nothing is left half-started: locks are free, adapters closed, and the next try begins."""
    broker, stream = FakeBroker(), Refusing(kinds=("quote",))
    engine = make(tmp_path / "run", Watcher(), stream, broker=broker)
    with pytest.raises(ConnectivityError, match="does not answer"):
        asyncio.run(engine.run())
    assert stream.closed
    with pytest.raises(RuntimeError, match="not connected"):
        broker.emit(None)  # type: ignore[arg-type]
    assert engine.health() == {"running": False}
    with pytest.raises(ConnectivityError), engine.background():
        pass
    stream.reachable = True
    assert asyncio.run(engine.run("10ms")) == "the time was up"


# --- from other threads -----------------------------------------------------------------------------------------


def test_in_the_background(tmp_path: Path) -> None:
    """The handle waits for the start and for the end; questions and commands come from this thread meanwhile."""
    engine = make(tmp_path / "run", Watcher(), live())
    handle = engine.background()
    assert handle.running
    until(lambda: engine.health()["data_age"] != {})
    assert engine.positions() == []
    engine.halt("a look", who="me")
    engine.resume("looked", who="me")
    with pytest.raises(ConfigurationError, match=r"no scope 'strategy:nobody' here \(there are: Watcher"):
        engine.pause("to see", scope="strategy:nobody")
    assert handle.stop() == "stopped"
    assert not handle.running
    assert handle.stop() == "stopped"
    assert [fact.verb for fact in facts_of(engine, f.Commanded)] == ["halt", "resume"]
    assert isinstance(facts_of(engine)[-1], f.EngineStopped)
    with pytest.raises(ConfigurationError, match="needs a running engine"):
        engine.halt("too late")


def test_stop_from_another_thread(tmp_path: Path) -> None:
    """Any thread may ask for the end, more than once; the first reason stands."""
    engine = make(tmp_path / "run", Watcher(), live(), recorder := Recorder())

    def stop() -> None:
        until(lambda: any(isinstance(fact, f.StrategiesStarted) for fact in recorder.facts))
        engine.stop("enough")
        engine.stop("more than enough")

    thread = threading.Thread(target=stop)
    thread.start()
    assert asyncio.run(engine.run()) == "enough"
    thread.join(DEADLINE)
    engine.stop("nobody hears this")
    assert facts_of(engine)[-1].reason == "enough"


def test_what_ends_in_the_background(tmp_path: Path) -> None:
    """What a run raises in its thread is raised by whoever waits for it."""

    class Broken(Watcher):
        def on_quote(self, quote: Quote) -> None:
            raise SystemExit("out of here")

    handle = make(tmp_path / "run", Broken(), live()).background()
    with pytest.raises(SystemExit, match="out of here"):
        handle.wait(DEADLINE)


def test_reports_and_events_from_threads(tmp_path: Path) -> None:
    """What an adapter says in a thread of its own reaches the kernel in the engine's thread."""
    where: list[int] = []

    class Notes(Watcher):
        def on_quote(self, quote: Quote) -> None:
            where.append(threading.get_ident())

    stream = FakeStream(kinds=("quote",))
    engine = make(tmp_path / "run", Notes(), stream, broker=FakeBroker())
    with engine.background() as handle:
        now = time.time_ns()
        stream.emit(Quote(make_instrument().id, 99.0, 101.0, 1.0, 1.0, now, now))
        until(lambda: bool(where))
        assert where == [handle._thread.ident]


# --- ends -------------------------------------------------------------------------------------------------------


def test_until_a_moment(tmp_path: Path) -> None:
    """`until` is a duration of the engine's time or an aware datetime; nothing later is seen."""
    engine = make(tmp_path / "run", Watcher(), fast())
    assert asyncio.run(engine.run(datetime(2024, 1, 1, 0, 10, tzinfo=UTC))) == "the time was up"
    assert facts_of(engine)[-1].now == 1704067200_000000000 + 600_000000000
    asyncio.run(engine.run("10m"))
    assert facts_of(engine)[-1].now == 1704067200_000000000 + 1200_000000000
    with pytest.raises(ConfigurationError, match="no time zone"):
        asyncio.run(engine.run(datetime(2024, 1, 2)))  # noqa: DTZ001  (the point)


def test_a_task_that_is_canceled(tmp_path: Path) -> None:
    """Canceling the task ends the run in good order too: strategies are told, the end is written."""

    class Ticks(Watcher):
        def on_start(self) -> None:
            super().on_start()
            self.every("20ms", name="tick")

    engine = make(tmp_path / "run", Ticks(), live())

    async def session() -> None:
        running = asyncio.create_task(engine.run())
        async for fact in engine.events():
            if isinstance(fact, f.TimerFired):
                break
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(session())
    ends = [f.StrategiesStopped, f.BarState, f.EngineStopped]
    assert [type(fact) for fact in facts_of(engine)[-3:]] == ends
    assert facts_of(engine)[-1].reason == "its task was canceled"
    asyncio.run(engine.run("10ms"))


def test_a_question_that_is_out_at_the_end(tmp_path: Path) -> None:
    """A run does not wait for an answer that nobody will use, and its late answer goes nowhere."""

    class Asks(Watcher):
        def on_start(self) -> None:
            super().on_start()
            self.ask(forever, then=self.note)

    async def forever() -> None:
        await asyncio.sleep(3600)

    engine = make(tmp_path / "run", Asks(), live())
    assert asyncio.run(engine.run("50ms")) == "the time was up"
    assert not facts_of(engine, f.Answered)


def test_a_question_that_fails(tmp_path: Path) -> None:
    """Whoever awaits it gets the error, with what the function said."""

    class Asks(Watcher):
        async def on_bar(self, bar: Bar) -> None:
            try:
                await self.ask(fails)
            except RuntimeError as error:
                self.note(f"it said {error}")

    def fails() -> None:
        raise ValueError("no such thing")

    engine = make(tmp_path / "run", Asks(), fast())
    asyncio.run(engine.run("3m"))
    assert {fact.text for fact in facts_of(engine, f.Noted)} == {"it said ValueError: no such thing"}


def test_a_fault_of_the_kernel_ends_the_run_aloud(tmp_path: Path) -> None:
    """After a report that cannot be understood nothing goes on as if all were well."""

    class Confused(FakeBroker):
        def send(self, command: Any) -> None:
            self.emit("this is no report")  # type: ignore[arg-type]

    class Buys(Watcher):
        def on_quote(self, quote: Quote) -> None:
            self.buy(1)

    stream = FakeStream(kinds=("quote",))
    engine = make(tmp_path / "run", Buys(), stream, broker=Confused())
    handle = engine.background()
    now = time.time_ns()
    stream.emit(Quote(make_instrument().id, 99.0, 101.0, 1.0, 1.0, now, now))
    with pytest.raises(KeyError):
        handle.wait(DEADLINE)


SCRIPT = """
    import asyncio, sys
    from stories import BTC, Cross
    from fairlead import LiveTradingEngine
    from fairlead_paper import PaperBroker
    from fairlead_streams import SyntheticStream

    class Ticks(Cross):
        def on_start(self):
            super().on_start()
            self.every("50ms", name="tick")

    engine = LiveTradingEngine(
        Ticks(BTC, 2, 5), plugins=[PaperBroker("100_000 USDT"), SyntheticStream(BTC, every="100ms")],
        run=sys.argv[1], breakers="none",
    )
    print("ended:", asyncio.run(engine.run()))
"""


def test_a_start_that_hangs_is_given_up(tmp_path: Path) -> None:
    """A signal during the start ends it: nothing is traded, and everything is let go of."""

    class Hangs(FakeStream):
        async def connect(self, emit: Any, clock: Any) -> None:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(3600)

    stream = Hangs(kinds=("quote",))
    engine = make(tmp_path / "run", Watcher(), stream, broker=FakeBroker())
    assert asyncio.run(engine.run()) == "SIGTERM"
    assert stream.closed
    assert not facts_of(engine, f.EngineStopped)


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end a run in good order: the last facts are written, the process leaves with 0."""
    kind = f.TimerFired  # it trades
    script = Path(__file__).parent / "stories"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "run")],
        cwd=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    engine = make(tmp_path / "run", Watcher(), live())
    try:
        until(lambda: bool(facts_of(engine, kind)) and child.poll() is None)
        child.send_signal(number)
        output, _ = child.communicate(timeout=DEADLINE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    assert (child.returncode, output.strip()) == (0, f"ended: {number.name}")
    assert facts_of(engine)[-1].reason == number.name


# --- the tail ---------------------------------------------------------------------------------------------------


def test_events(tmp_path: Path) -> None:
    """Facts can be followed while they come; leaving the loop ends the tail and nothing else."""
    engine = make(tmp_path / "run", Cross(BTC, 2, 5), fast())

    async def session() -> list[f.Fact]:
        running = asyncio.create_task(engine.run("60m"))
        seen: list[f.Fact] = []
        async for fact in engine.events():
            seen.append(fact)
            if isinstance(fact, f.Filled):
                break
        assert await running == "the time was up"
        return seen

    seen = asyncio.run(session())
    facts = facts_of(engine)
    assert [fact.seq for fact in seen] == [fact.seq for fact in facts[: len(seen)]]

    async def rest() -> list[int]:
        numbers = []
        async for fact in engine.events(since=seen[-1].seq):
            numbers.append(fact.seq)
            if isinstance(fact, f.EngineStopped):
                break
        return numbers

    assert asyncio.run(rest()) == [fact.seq for fact in facts[len(seen) :]]


# --- after a restart --------------------------------------------------------------------------------------------


class Protected(Watcher):
    """Buys once, with a stop and a trailing stop that the engine holds, and has timers."""

    def on_start(self) -> None:
        super().on_start()
        self.every("7m", name="seven")
        self.at("12m", name="once")

    def on_quote(self, quote: Quote) -> None:
        super().on_quote(quote)
        if not self.restored and self.seen == 1:
            self.buy(2)

    def on_fill(self, fill: Fill) -> None:
        if fill.side == "buy":
            self.sell(1, stop_price=fill.price * Decimal("0.99"), reduce_only=True)
            self.sell(1, trail="2%", reduce_only=True)


def quotes(prices: list[float], begin: int = 0) -> Iterator[Quote]:
    """A quote each minute."""
    for number, price in enumerate(prices):
        now = 1704067200_000000000 + (begin + number) * 60_000000000
        yield Quote(make_instrument(venue="sim").id, price, price + 0.1, 100.0, 100.0, now, now)


def plain_paper() -> PaperBroker:
    broker = PaperBroker("1_000_000 USDT")
    broker.profile = VenueProfile(
        venue="plain", environment="paper", exact=True, base_currency="USDT", reduce_only=True
    )
    return broker


def test_what_the_engine_held_is_armed_again(tmp_path: Path) -> None:
    """Stops and trails that were held before a restart are triggered after it, from where they stood."""
    instrument = make_instrument(venue="sim")
    before, after = [1000.0, 1000.0, 1100.0, 1099.0], [1090.0, 1075.0, 1070.0, 1000.0, 980.0, 980.0]
    first = make(
        tmp_path / "run",
        Protected(),
        ReplayStream.of(quotes(before), instrument=instrument),
        broker=plain_paper(),
    )
    asyncio.run(first.run())
    trailed = [fact.stop_price for fact in facts_of(first, f.TrailMoved)]
    assert trailed[-1] == 1100 - 22
    both = [*quotes(before), *quotes(after, 30)]
    second = make(
        tmp_path / "run", Protected(), ReplayStream.of(both, instrument=instrument), broker=plain_paper()
    )
    asyncio.run(second.run())
    last = facts_of(first, f.EngineStarted)[-1].seq
    triggered = [fact for fact in facts_of(second, f.OrderTriggered) if fact.seq > last]
    assert [fact.price for fact in triggered] == [1075.0, 980.0]
    state = State()
    for fact in facts_of(second):
        apply(state, fact)
    assert not state.open
    assert not [position for position in state.positions.values() if position.quantity]


def test_what_nobody_watches_any_more_is_still_protected(tmp_path: Path) -> None:
    """A held stop sees prices after a restart, and the position is valued, though no strategy asks for them."""
    instrument = make_instrument(venue="sim")
    before, after = [1000.0, 1000.0], [1000.0, 985.0, 985.0, 970.0, 970.0]

    class Leaves(Protected):
        def on_start(self) -> None:
            if not self.restored:
                super().on_start()

    for prices in (before, after):
        both = [*quotes(before), *quotes(after, 30)] if prices is after else quotes(before)
        engine = make(
            tmp_path / "run", Leaves(), ReplayStream.of(both, instrument=instrument), broker=plain_paper()
        )
        asyncio.run(engine.run())
    assert [fact.price for fact in facts_of(engine, f.OrderTriggered)] == [985.0, 970.0]
    assert len(facts_of(engine, f.Filled)) == 3


def test_timers_that_came_due_while_it_was_down(tmp_path: Path) -> None:
    """A durable timer that is overdue at the start fires once, and says that it is late."""
    clock = ManualClock()
    for _ in range(2):
        engine = make(tmp_path / "run", Protected(), FakeStream(kinds=("quote",)), clock, broker=FakeBroker())
        asyncio.run(engine.run("1m"))
        clock.advance("50m")
    fired = [(fact.name, fact.late) for fact in facts_of(engine, f.TimerFired)]
    assert fired == [("once", True), ("seven", True)]
    assert {fact.now for fact in facts_of(engine, f.TimerFired)} == {facts_of(engine, f.EngineStarted)[1].now}


# --- streams that misbehave, and feeds that nobody wants any more -------------------------------------------------


async def turns(condition: Callable[[], Any]) -> None:
    """Give the event loop its turns until something has happened."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


class Unknown(msgspec.Struct):
    """An event of a type that no engine knows."""

    instrument: str
    received_ns: int


def test_an_event_of_an_unknown_type_is_refused_and_trading_goes_on(tmp_path: Path) -> None:
    """The journal names stream and type once, and the quote that follows reaches the strategy."""
    stream = FakeStream(make_instrument(BTC), name="odd")
    watcher = Watcher()
    engine = make(tmp_path, watcher, stream)

    async def session() -> None:
        running = asyncio.create_task(engine.run(until="20s"))
        await turns(lambda: stream.subscribed)
        for event in (Unknown(f"{BTC}@fake", 1), object(), Unknown(f"{BTC}@fake", 2)):
            stream.emit(event)  # type: ignore[arg-type]
        stream.emit(Quote(f"{BTC}@fake", 100.0, 101.0, 1.0, 1.0, 1, 1))
        await turns(lambda: watcher.seen)
        engine.stop()
        await running

    asyncio.run(asyncio.wait_for(session(), DEADLINE))
    texts = [note.text for note in facts_of(engine, f.Noted) if "no market event" in note.text]
    assert len(texts) == 2
    assert "stream odd emits tests.test_sessions.Unknown" in texts[0]
    assert watcher.seen == 1


def test_the_last_unwatch_unsubscribes_at_the_stream(tmp_path: Path) -> None:
    """What another strategy still watches stays subscribed; the rest is given back, and can be had again."""
    stream = FakeStream(make_instrument(BTC))
    one, other = Watcher(name="one", allocation="10%"), Watcher(name="other", allocation="10%")
    engine = make(tmp_path, [one, other], stream)

    async def session() -> None:
        running = asyncio.create_task(engine.run(until="20s"))

        async def subscribed(*kinds: str) -> None:
            await turns(lambda: {sub.kind for sub in stream.subscribed} == set(kinds))

        def have(act: Callable[[], None]) -> None:
            engine._session.query(lambda kernel: kernel.turn(act))

        await subscribed("quote", "trade")
        have(lambda: one.unwatch(BTC))
        await asyncio.sleep(0)
        await subscribed("quote", "trade")
        have(lambda: other.unwatch(BTC))
        await subscribed()

        def again() -> None:
            one.watch(BTC, quotes=True)
            one.unwatch(BTC)
            one.watch(BTC, quotes=True)

        have(again)
        await subscribed("quote")
        engine.stop()
        await running

    asyncio.run(asyncio.wait_for(session(), DEADLINE))
