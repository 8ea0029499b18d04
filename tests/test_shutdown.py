"""How a run ends: in bounded time, by each strategy's policy, with everything named that could not be settled."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from fairlead import ConfigurationError, LiveTradingEngine, OrderStatus, Quote, Strategy
from fairlead import facts as f
from fairlead._engine import shutdown
from fairlead._engine.replay import replay
from fairlead._storage.journal import read_facts
from fairlead.testing import (
    MARKET_AND_LIMIT,
    Bench,
    FakeBroker,
    FakeStream,
    ManualClock,
    Puppet,
    VirtualClock,
    run_virtual,
    silence,
)
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

D = Decimal
REMOTE = attrs.evolve(MARKET_AND_LIMIT, exact=False, answer_ns=2_000_000_000)
BTC = "BTC/USDT:USDT"


class Trader(Strategy):
    """Buys at the market with a stop, works a bid below, and does at the end what `last` says."""

    def __init__(self, last: str = "", **more: Any) -> None:
        super().__init__(**more)
        self.last = last
        self.quotes = 0
        self.heard: list[Any] = []

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1
        if self.quotes == 1 and not self.restored:
            self.buy(2, stop_loss=90)
            self.buy(1, limit_price=95)

    def on_order(self, order: Any) -> None:
        self.heard.append(order.status)

    async def on_stop(self) -> None:
        match self.last:
            case "buy":
                self.heard.append(self.buy(1).status)
            case "close":
                closing = self.close()
                assert closing is not None
                closed = await self.wait(closing, within="1s")
                self.heard.append(f"waited: {closed.status}")
            case "sleep":
                await self.sleep("1h")
            case "raise":
                raise RuntimeError("I do not want to stop")


Story = Callable[[LiveTradingEngine, FakeBroker, FakeStream], Any]


def quote(stream: FakeStream, price: float = 100.0) -> None:
    now = VirtualClock().now()
    stream.emit(Quote(stream.listed[0].id, price, price, 10.0, 10.0, now, now))


def session(
    path: Path, strategy: Any, broker: FakeBroker, story: Story | None = None, lasts: int = 1, **settings: Any
) -> tuple[str, float, list[Any]]:
    """Run an engine and a story on virtual time; why it ended, how long that took, and its facts."""
    stream = FakeStream(kinds=("quote",))
    engine = LiveTradingEngine(
        strategy, plugins=[broker, stream, VirtualClock()], run=path, breakers="none", **settings
    )
    took: list[float] = []

    async def both() -> str:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run())
            while engine._session is None or not engine._session.started.is_set():  # noqa: ASYNC110  (virtual time)
                await asyncio.sleep(0.1)
            quote(stream)
            await asyncio.sleep(lasts)
            began = loop.time()
            engine.stop("enough")
            if story is not None:
                await asyncio.sleep(0.1)
                await story(engine, broker, stream)
            reason = await running
            took.append(loop.time() - began)
            return reason

    reason = run_virtual(both())
    facts = list(read_facts(engine.folder.journal))
    return reason, took[0], facts


def of(facts: list[Any], kind: type[Any]) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


# --- policies ---------------------------------------------------------------------------------------------------


def test_leave_is_the_default(tmp_path: Path) -> None:
    """Orders and positions stay as they are; what the engine held for them is named, and back at the next start."""
    broker = FakeBroker(profile=REMOTE)
    reason, took, facts = session(tmp_path / "run", Trader(), broker)
    assert (reason, took) == ("enough", 0)
    assert [type(fact) for fact in facts if fact.seq >= of(facts, f.EngineStopping)[0].seq] == [
        f.EngineStopping,
        f.StrategiesStopped,
        f.Noted,
        f.EngineStopped,
    ]
    assert "protects nothing until the next start" in of(facts, f.Noted)[-1].text
    assert len(broker.working) == 1
    assert broker.positions["BTC/USDT:USDT@fake"] == 2


def test_cancel_takes_back_what_could_open_something(tmp_path: Path) -> None:
    """Bids are gone at the venue before the run ends; what protects the position stays held for the next start."""
    broker = FakeBroker(profile=REMOTE)
    reason, _, facts = session(tmp_path / "run", Trader(on_exit="cancel"), broker)
    assert reason == "enough"
    assert not broker.working
    assert broker.positions["BTC/USDT:USDT@fake"] == 2
    assert [fact.verb for fact in of(facts, f.SweepStarted)] == ["exit"]
    assert of(facts, f.SweepEnded)
    assert "protects nothing" in of(facts, f.Noted)[-1].text


def test_flatten_leaves_nothing(tmp_path: Path) -> None:
    """Orders are taken back and the position is closed, before the run ends."""
    broker = FakeBroker(profile=REMOTE)
    reason, took, facts = session(tmp_path / "run", Trader(on_exit="flatten"), broker)
    assert reason == "enough"
    assert not broker.working
    assert broker.positions["BTC/USDT:USDT@fake"] == 0
    assert 1 <= took < 3
    assert isinstance(facts[-1], f.EngineStopped)
    assert not [fact for fact in of(facts, f.Noted) if "protects nothing" in fact.text]


def test_each_strategy_has_its_own(tmp_path: Path) -> None:
    """One goes flat, the other keeps what it has."""
    broker = FakeBroker(profile=REMOTE)
    pair = [Trader(name="goes", allocation="50%", on_exit="flatten"), Trader(name="stays", allocation="50%")]
    session(tmp_path / "run", pair, broker)
    assert broker.positions["BTC/USDT:USDT@fake"] == 2
    assert len(broker.working) == 1


def test_a_policy_that_is_none_is_refused() -> None:
    """So is a handler by that name: it would never be called."""
    with pytest.raises(ConfigurationError, match=r"on_exit='sell': write one of leave, cancel, flatten"):
        LiveTradingEngine(Trader(on_exit="sell"), [FakeBroker(), FakeStream()], breakers="none")  # type: ignore[arg-type]

    class Wrong(Puppet):
        def on_exit(self) -> None:  # type: ignore[override]
            pass

    with pytest.raises(ConfigurationError, match="on_exit is no handler: the handlers are on_start"):
        LiveTradingEngine(Wrong(), [FakeBroker(), FakeStream()], breakers="none")


# --- what strategies do at the end ------------------------------------------------------------------------------


def test_nothing_new_is_opened(tmp_path: Path) -> None:
    """An order that would open something is denied, and says why."""
    trader = Trader("buy")
    _, _, facts = session(tmp_path / "run", trader, FakeBroker(profile=REMOTE))
    assert trader.heard[-1] is OrderStatus.DENIED
    assert of(facts, f.OrderDenied)[-1].reasons == ("the engine is ending (enough)",)


def test_on_stop_may_close_and_wait_for_it(tmp_path: Path) -> None:
    """A strategy that closes its position in on_stop sees it closed."""
    trader, broker = Trader("close"), FakeBroker(profile=REMOTE)
    reason, _, _ = session(tmp_path / "run", trader, broker)
    assert "waited: filled" in trader.heard
    assert broker.positions["BTC/USDT:USDT@fake"] == 0
    assert reason == "enough"


def test_on_stop_that_waits_too_long(tmp_path: Path) -> None:
    """It has half of the time; then its policy acts all the same."""
    broker = FakeBroker(profile=REMOTE)
    reason, took, facts = session(tmp_path / "run", Trader("sleep", on_exit="flatten"), broker)
    assert reason == "enough"
    assert 5 <= took < 8
    assert "still waits in a handler" in of(facts, f.Noted)[0].text
    assert broker.positions["BTC/USDT:USDT@fake"] == 0


def test_on_stop_that_raises(tmp_path: Path) -> None:
    """The strategy is halted, its policy acts, the run ends in good order."""
    broker = FakeBroker(profile=REMOTE)
    reason, _, facts = session(tmp_path / "run", Trader("raise", on_exit="cancel"), broker)
    assert reason == "enough"
    assert "I do not want to stop" in of(facts, f.StrategyHalted)[0].reason
    assert not broker.working
    assert isinstance(facts[-1], f.EngineStopped)


def test_a_strategy_sees_no_more_market(tmp_path: Path) -> None:
    """While its orders settle the market goes on without it, and its timers wait for the next start."""
    trader, broker = Trader(), FakeBroker(profile=REMOTE)
    broker.answers.append(silence())
    order: list[str] = []

    async def story(engine: LiveTradingEngine, broker: FakeBroker, stream: FakeStream) -> None:
        seen = trader.quotes
        quote(stream, 101)
        order.append(broker.submits[0].client_order_id)
        broker.accept(order[0])
        broker.fill(order[0], price=100)
        assert trader.quotes == seen

    reason, took, _ = session(tmp_path / "run", trader, broker, story)
    assert reason == "enough"
    assert took < 1
    assert OrderStatus.FILLED in trader.heard


def test_a_person_may_still_reduce(tmp_path: Path) -> None:
    """Commands are carried out until the end; one that would open something is denied."""
    broker = FakeBroker(profile=REMOTE)
    answers: list[Any] = []
    broker.script = silence()

    async def story(engine: LiveTradingEngine, broker: FakeBroker, stream: FakeStream) -> None:
        first = broker.submits[0].client_order_id
        broker.accept(first)
        broker.fill(first, price=100)
        wanted = {"instrument": BTC, "quantity": 1, "strategy": "Trader", "account": "fake"}
        answers.append(engine.submit(side="sell", reduce_only=True, **wanted))  # type: ignore[arg-type]
        answers.append(engine.submit(side="buy", **wanted))  # type: ignore[arg-type]

    reason, took, _ = session(tmp_path / "run", Trader(), broker, story)
    assert [answer["status"] for answer in answers] == ["submitted", "denied"]
    assert "the engine is ending" in answers[1]["reasons"][0]
    assert reason == "enough"  # the venue was asked what became of them
    assert took < 10


# --- what does not settle ---------------------------------------------------------------------------------------


class BlackHole(FakeBroker):
    """A venue that takes everything and never says a word again, once it is `dark`."""

    dark = False

    def send(self, command: Any) -> None:
        if not self.dark:
            super().send(command)

    async def snapshot(self) -> Any:
        return await self._answer(super().snapshot())

    async def lookup(self, names: Any) -> Any:
        return await self._answer(super().lookup(names))

    async def fills(self, since: int) -> Any:
        return await self._answer(super().fills(since))

    async def close(self) -> None:
        await self._answer(super().close())

    async def _answer(self, answer: Any) -> Any:
        if self.dark:
            answer.close()
            await asyncio.Event().wait()
        return await answer


class Darkening(Trader):
    """Its venue goes dark with the order to stop."""

    hole: BlackHole | None = None

    async def on_stop(self) -> None:
        assert self.hole is not None
        self.hole.dark = True
        await super().on_stop()


def test_a_black_hole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ten seconds for what is in flight, five to close, and it is over; the next start goes on with the flatten."""
    trader, broker = Darkening(on_exit="flatten"), BlackHole(profile=REMOTE)
    trader.hole = broker
    reason, took, facts = session(tmp_path / "run", trader, broker)
    assert reason.startswith("enough; left unresolved: ")
    assert "is pending_cancel: buy 1 BTC/USDT:USDT@fake of Darkening" in reason
    assert "Darkening holds 2 BTC/USDT:USDT@fake on fake" in reason
    assert took == pytest.approx(15)
    assert facts[-1].reason == reason
    assert "account fake has not closed within 5 s" in caplog.text
    assert not of(facts, f.SweepEnded)
    again, other = FakeBroker(profile=REMOTE), Darkening()
    other.hole = broker
    again.working, again._orders = broker.working, broker._orders
    again.positions, again.executions = broker.positions, broker.executions
    reason, _, facts = session(tmp_path / "run", other, again, lasts=60)
    assert of(facts, f.SweepEnded)[0].reason == "flat"
    assert again.positions["BTC/USDT:USDT@fake"] == 0
    assert not again.working


def test_the_end_can_be_replayed(tmp_path: Path) -> None:
    """All of it is decided by the kernel: policies, what waits and what is given up."""
    path = tmp_path / "run"
    for last in ("sleep", "close"):
        session(path, Trader(last, on_exit="flatten"), FakeBroker(profile=REMOTE))
        facts = list(read_facts(path / "journal"))
        assert len(of(facts, f.EngineStopped)) == 1
        stream = FakeStream(kinds=("quote",))
        engine = LiveTradingEngine(
            Trader(last, on_exit="flatten"),
            plugins=[FakeBroker(profile=REMOTE), stream, VirtualClock()],
            run=path,
            breakers="none",
        )
        again = replay(engine)
        assert again.first_difference is None, str(again.first_difference)
        path = tmp_path / "other"


def test_how_long_is_up_to_the_user(tmp_path: Path) -> None:
    """`stop_within` bounds the wait."""
    trader, broker = Darkening(on_exit="flatten"), BlackHole(profile=REMOTE)
    trader.hole = broker
    _, took, _ = session(tmp_path / "run", trader, broker, stop_within="3s")
    assert took == pytest.approx(3 + shutdown.CLOSE_SECONDS)


def test_a_canceled_task_does_not_wait(tmp_path: Path) -> None:
    """Who cancels has no time: strategies stop, the end is written, and names what is in flight."""
    broker = FakeBroker(profile=REMOTE)
    broker.script = silence()
    stream = FakeStream(kinds=("quote",))
    engine = LiveTradingEngine(
        Trader(), plugins=[broker, stream, VirtualClock()], run=tmp_path / "run", breakers="none"
    )

    async def both() -> float:
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(1)
        quote(stream)
        began = asyncio.get_running_loop().time()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.get_running_loop().time() - began

    assert run_virtual(both()) == 0
    facts = list(read_facts(engine.folder.journal))
    assert "is submitted: buy 2" in facts[-1].reason


class Stubborn(FakeStream):
    """Its close raises, or never returns and does not want to be ended."""

    def __init__(self, how: str) -> None:
        super().__init__(kinds=("quote",))
        self.how = how
        self.free = asyncio.Event()

    async def close(self) -> None:
        if self.how == "raises":
            raise RuntimeError("I stay open")
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                continue


@pytest.mark.parametrize(("how", "seconds"), [("raises", 0), ("hangs", 5)])
def test_a_stream_that_does_not_close(
    tmp_path: Path, how: str, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker is closed all the same, the locks are free, and the log says who it was."""
    broker, stream = FakeBroker(profile=REMOTE), Stubborn(how)
    engine = LiveTradingEngine(
        Trader(), plugins=[broker, stream, VirtualClock()], run=tmp_path / "run", breakers="none"
    )

    async def both() -> float:
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        engine.stop("enough")
        assert await running == "enough"
        stream.free.set()
        return asyncio.get_running_loop().time() - began

    assert run_virtual(both()) == seconds
    assert "stream fake" in caplog.text
    with pytest.raises(RuntimeError, match="not connected"):
        broker.emit(None)  # type: ignore[arg-type]
    engine.folder.lock()
    engine.folder.unlock()


# --- what blocks ------------------------------------------------------------------------------------------------


class Blocking(Strategy):
    """Never returns from a handler."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.blocks = False

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if self.where == "on_quote":
            self._block()

    def on_stop(self) -> None:
        if self.where == "on_stop":
            self._block()

    def _block(self) -> None:
        self.blocks = True
        while self.blocks:
            pass


@pytest.mark.parametrize("where", ["on_quote", "on_stop"])
def test_a_handler_that_never_returns(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended by an exception in its own code, its strategy is halted, and the run ends in good order."""
    monkeypatch.setattr(shutdown, "GRACE_SECONDS", 0.3)
    strategy = Blocking(where)
    engine = LiveTradingEngine(
        strategy,
        plugins=[PaperBroker("1_000_000 USDT"), SyntheticStream(BTC, seed=1, every="20ms")],
        run=tmp_path / "run",
        breakers="none",
        stop_within="100ms",
    )
    handle = engine.background()
    deadline = time.monotonic() + 10
    while where == "on_quote" and not strategy.blocks:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    handle.stop(10)
    facts = list(read_facts(engine.folder.journal))
    assert "blocked the end of the run" in of(facts, f.StrategyHalted)[0].reason
    assert isinstance(facts[-1], f.EngineStopped)


def test_what_cannot_be_ended_ends_with_the_process(tmp_path: Path) -> None:
    """Blocked in code that no exception reaches: a process of the engine's own is left as it stands, and can go on."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, sys, time
            from fairlead import LiveTradingEngine, Strategy
            from fairlead._engine import shutdown
            from fairlead_paper import PaperBroker
            from fairlead_streams import SyntheticStream
            shutdown.GRACE_SECONDS, shutdown.CLOSE_SECONDS = 0.1, 0.1

            class Deaf(Strategy):
                def on_start(self):
                    self.watch("BTC/USDT", quotes=True)
                def on_quote(self, quote):
                    print("ready", flush=True)
                def on_stop(self):
                    time.sleep(600)

            engine = LiveTradingEngine(Deaf(), [PaperBroker(), SyntheticStream(seed=1)], run=sys.argv[1],
                                       breakers="none", stop_within="100ms")
            if __name__ == "__main__":
                asyncio.run(engine.run())
            """
        )
    )
    words = [sys.executable, str(script), str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == 128 + signal.SIGTERM
    assert b"ended at once" in errors
    assert time.monotonic() - began < 15
    assert not of(list(read_facts(tmp_path / "run" / "journal")), f.EngineStopped)


# --- a crash on the way -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["cancel", "flatten"])
def test_a_kill_at_any_fact_of_the_end(policy: str) -> None:
    """What a policy began goes on at the next start, from wherever it was."""
    whole = _ending(policy)
    for kept in range(len(whole.journal.records)):
        bench = _ending(policy)
        seqs = [f.decode(record[-1]).seq for record in bench.journal.records]
        began = bench.of(f.SweepStarted)[0].seq
        if seqs[kept] < began:
            continue
        del bench.journal.records[kept + 1 :]
        bench.restart()
        for _ in range(10):
            bench.price(100)
            bench.advance("1s")
        assert not bench.state.sweeps, kept
        held = bench.state.quantity("fake", bench.instrument, "Puppet")
        assert held == (0 if policy == "flatten" else 2), kept
        assert not [o for o in bench.state.open.values() if o.side == "buy"], kept
        bench.check()


def _ending(policy: str) -> Bench:
    """A bench on which a strategy with a position, a stop and a bid has just been stopped."""
    puppet = Puppet()
    puppet.on_exit = policy
    bench = Bench(puppet, clock=ManualClock())
    bench.price(100)
    bench.do(lambda s: s.buy(2, stop_loss=90))
    bench.do(lambda s: s.buy(1, limit_price=95))
    bench.kernel.turn(lambda: bench.kernel.ending.begin("the end", 10_000_000_000))
    bench.advance("3s")
    return bench


def test_what_waits_in_a_mailbox_does_not_delay_the_end() -> None:
    """Market events that came while a handler waited are forgotten; fills are not; on_stop comes at once."""

    class Sleeper(Puppet):
        def on_start(self) -> None:
            self.watch(BTC, quotes=True)

        async def on_quote(self, quote: Quote) -> None:
            self.seen.append("quote")
            await self.sleep("1h")

        async def on_fill(self, fill: Any) -> None:
            self.seen.append("fill")
            await self.sleep("1h")

        def on_stop(self) -> None:
            self.seen.append("stop")

    bench = Bench(Sleeper())
    bench.price(100)
    bench.kernel.command("submit", "me", "test", strategy="Sleeper", side="buy", quantity="1", instrument=BTC)
    bench.price(101)
    bench.kernel.turn(lambda: bench.kernel.ending.begin("the end", 10))
    assert [one for one in bench.strategy.seen if isinstance(one, str)] == ["quote", "fill", "stop"]
    assert bench.kernel.ending.left() == []
