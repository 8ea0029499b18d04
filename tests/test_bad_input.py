"""Bad input to a running engine: what is refused, what is said, and that nothing is lost."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest

from fairlead import (
    Bar,
    ConfigurationError,
    JournalError,
    LiveTradingEngine,
    OrderStatus,
    Quote,
    Strategy,
    Trade,
    facts,
)
from fairlead._storage import segments
from fairlead._storage.journal import read_facts
from fairlead.testing import (
    EVERYTHING,
    FakeBroker,
    FakeStream,
    Recorder,
    VirtualClock,
    make_instrument,
    run_virtual,
)
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

BTC = make_instrument()
SECOND = 1_000_000_000
START_NS = 1_700_006_400 * SECOND


class Scripted(FakeStream):
    """A stream that emits given events, each at its own received time."""

    def __init__(self, *events: Any, kinds: tuple[str, ...] = ("quote", "trade"), name: str = "fake") -> None:
        super().__init__(BTC, kinds=kinds, name=name)
        self.script = events

    async def connect(self, emit, clock):
        await super().connect(emit, clock)
        for event in self.script:
            clock.call_at(event.received_ns, lambda event=event: self.emit(event))


def quote(second: float, bid: float, ask: float, *, event: float | None = None) -> Quote:
    """A quote received so many seconds after the start."""
    now = START_NS + int(second * SECOND)
    happened = now if event is None else START_NS + int(event * SECOND)
    return Quote(BTC.id, bid, ask, 5.0, 5.0, happened, now)


def trade(second: float, price: float, size: float = 1.0) -> Trade:
    """A public trade received so many seconds after the start."""
    now = START_NS + int(second * SECOND)
    return Trade(BTC.id, price, size, now, now)


def bar(minute: int, close: float = 100.0, **prices: float) -> Bar:
    """A minute bar that closes so many minutes after the start."""
    end = START_NS + minute * 60 * SECOND
    all_prices = {"open": close, "high": close, "low": close, **prices}
    return Bar(BTC.id, "1m", *all_prices.values(), close, 1.0, end - 60 * SECOND, end, end)


class Watcher(Strategy):
    """Keeps the prices it is shown, and buys one at the third event."""

    def __init__(
        self, bars: str = "", *, trades: bool = False, name: str | None = None, allocation: str | None = None
    ) -> None:
        super().__init__(name=name, allocation=allocation)
        self.bars = bars
        self.trades = trades
        self.seen: list[float] = []
        self.order: Any = None

    def on_start(self):
        self.watch("BTC/USDT:USDT", bars=self.bars or (), quotes=not self.bars, trades=self.trades)

    def on_quote(self, quote):
        self.see(quote.mid)

    def on_trade(self, trade):
        self.see(trade.price)

    def on_bar(self, bar):
        self.see(bar.close)

    def see(self, price: float) -> None:
        self.seen.append(price)
        if len(self.seen) == 3:
            self.order = self.buy(1)


def run(
    tmp_path: Path, strategy: Any, *plugins: Any, until: str = "1m", **settings: Any
) -> LiveTradingEngine:
    """Run an engine without breakers on virtual time."""
    engine = LiveTradingEngine(
        strategy, [*plugins, VirtualClock(START_NS)], run=tmp_path / "run", breakers="none", **settings
    )
    run_virtual(engine.run(until=until))
    return engine


# --- prices that cannot be true -----------------------------------------------------------------------------

GOOD = (quote(1, 99, 101), quote(2, 100, 102), quote(9, 101, 103))


@pytest.mark.parametrize("broker", [FakeBroker, PaperBroker], ids=["fake", "paper"])
@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (quote(3, math.nan, 101), "finite"),
        (quote(3, 99, math.inf), "finite"),
        (quote(3, -99, 101), "above 0"),
        (quote(3, 0, 101), "above 0"),
        (quote(3, 103, 101), "not crossed"),
        (quote(3, 50, 52, event=1.5), "older than"),
        (trade(3, math.nan), "finite"),
        (trade(3, -5.0), "above 0"),
        (trade(3, 100.0, math.nan), "size"),
    ],
    ids=["nan", "inf", "negative", "zero", "crossed", "old", "nan-trade", "negative-trade", "nan-size"],
)
def test_a_price_that_cannot_be_true_is_refused_and_trading_goes_on(tmp_path, bad, rule, broker):
    """It reaches no strategy and no venue, is counted each time and noted once; the next good one trades."""
    health: list[dict[str, Any]] = []
    repeated = [type(bad)(**{**_fields(bad), "received_ns": bad.received_ns + n}) for n in range(3)]

    class Looks(Watcher):
        def on_stop(self):
            health.append(engine.health())

    strategy, recorder = Looks(trades=True), Recorder()
    account = broker()
    engine = LiveTradingEngine(
        strategy,
        [account, Scripted(*GOOD[:2], *repeated, GOOD[2]), recorder, VirtualClock(START_NS)],
        run=tmp_path / "run",
        breakers="none",
    )
    run_virtual(engine.run(until="1m"))
    assert strategy.seen == [100, 101, 102]
    assert strategy.order.status is OrderStatus.FILLED
    assert strategy.order.average_price in (102, 103)
    [note] = [fact.text for fact in recorder.of(facts.Noted) if fact.source == "market"]
    assert BTC.id in note
    assert rule in note
    assert health[0]["refused_events"] == {BTC.id: 3}


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


@pytest.mark.parametrize("broker", [FakeBroker, PaperBroker], ids=["fake", "paper"])
@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (bar(2, 101.0), "seen before"),
        (bar(1, 99.0), "seen before"),
        (bar(3, math.nan), "finite"),
        (bar(3, 100.0, high=90.0), "between its low and high"),
        (bar(3, -100.0), "above 0"),
    ],
    ids=["duplicate", "earlier", "nan", "inside-out", "negative"],
)
def test_a_bar_that_cannot_be_true_is_refused_and_trading_goes_on(tmp_path, bad, rule, broker):
    """Duplicate, late and impossible bars reach no strategy; the bars after them do."""
    strategy, recorder = Watcher(bars="1m"), Recorder()
    bad = Bar(**{**_fields(bad), "received_ns": START_NS + 150 * SECOND})
    stream = Scripted(bar(1), bar(2, 101.0), bad, bar(3, 102.0), bar(4, 103.0), kinds=("bar:1m",))
    run(tmp_path, strategy, broker(), stream, recorder, until="5m")
    assert strategy.seen == [100, 101, 102, 103]
    assert strategy.order.status is OrderStatus.FILLED
    [note] = [fact.text for fact in recorder.of(facts.Noted) if fact.source == "market"]
    assert rule in note


# --- files --------------------------------------------------------------------------------------------------

ROWS = "time,bid,ask,bid_size,ask_size\n" + "".join(
    f"{(START_NS + n * SECOND) // 1_000_000},{99 + n},{101 + n},5,5\n" for n in range(5)
)


def backtest_of(tmp_path: Path, path: Path, **said: Any) -> Any:
    """Backtest a file through the engine."""
    engine = LiveTradingEngine(
        Watcher(), [PaperBroker(), FakeStream()], run=tmp_path / "run", breakers="none"
    )
    return engine.backtest(ReplayStream(path, symbol="BTC/USDT:USDT", **said))


def refused_file(tmp_path: Path, name: str, data: bytes) -> str:
    """What a backtest says of such a file."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        backtest_of(tmp_path, path)
    assert name in str(caught.value)
    assert path.read_bytes() == data
    return str(caught.value)


def test_a_good_file_trades(tmp_path):
    """The file that the refusals below spoil runs as it is."""
    path = tmp_path / "quotes.csv"
    path.write_text(ROWS)
    assert backtest_of(tmp_path, path).fills_count == 1


def test_an_empty_file_is_refused(tmp_path):
    """A backtest over nothing is a mistake and no result."""
    assert "empty" in refused_file(tmp_path, "quotes.csv", b"")


def test_a_truncated_parquet_file_is_refused(tmp_path):
    """A file that was cut in a download is named, with what to do."""
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    whole = tmp_path / "whole.parquet"
    columns = {"time": [START_NS // 1_000_000], "bid": [99.0], "ask": [101.0]}
    parquet.write_table(arrow.table(columns), whole)
    message = refused_file(tmp_path, "cut.parquet", whole.read_bytes()[:-20])
    assert "Parquet" in message


def test_times_without_a_zone_are_refused(tmp_path):
    """A time that could be any zone's is refused until the zone is said."""
    naive = b"time,bid,ask\n2024-01-01 00:00:00,99,101\n2024-01-01 00:00:01,99,101\n"
    assert "tz=" in refused_file(tmp_path, "naive.csv", naive)
    assert backtest_of(tmp_path, tmp_path / "naive.csv", tz="UTC").events == 2


def test_a_naive_start_is_refused(tmp_path):
    """The bounds of a backtest have a zone too."""
    engine = LiveTradingEngine(Watcher(), [PaperBroker(), FakeStream()], run=tmp_path, breakers="none")
    with pytest.raises(ConfigurationError, match=r"start '2024-01-01' has no time zone: add one"):
        engine.backtest(Scripted(), start="2024-01-01")


def test_a_stream_that_cannot_be_replayed_is_refused_for_a_backtest(tmp_path):
    """A live feed has no past: the message says to pass data."""
    engine = LiveTradingEngine(
        Watcher(), [PaperBroker(), FakeStream()], run=tmp_path / "run", breakers="none"
    )
    with pytest.raises(ConfigurationError, match=r"stream fake cannot be replayed: pass data=\.\.\."):
        engine.backtest()


def test_data_of_an_unknown_kind_are_refused(tmp_path):
    """What is neither a path nor a stream is named by its type."""
    engine = LiveTradingEngine(Watcher(), [PaperBroker(), FakeStream()], run=tmp_path, breakers="none")
    with pytest.raises(ConfigurationError, match="data=int is neither a path nor a stream"):
        engine.backtest(7)


# --- strategies ---------------------------------------------------------------------------------------------


def test_a_strategy_that_raises_halts_alone(tmp_path, caplog):
    """It gets no more events, its fault is a fact with its place and in the log; the others go on trading."""

    class Broken(Watcher):
        def see(self, price):
            super().see(price)
            if len(self.seen) == 2:
                raise ValueError("bad day")

    broken, well = Broken(name="broken", allocation="10%"), Watcher(name="well", allocation="50%")
    recorder = Recorder()
    run(tmp_path, [broken, well], FakeBroker(), Scripted(*GOOD), recorder)
    [halted] = recorder.of(facts.StrategyHalted)
    [said] = [record for record in caplog.records if record.name == "fairlead.facts"]
    assert said.getMessage() == f"strategy: broken halted: {halted.reason}"
    assert said.levelno == logging.ERROR
    assert halted.strategy == "broken"
    assert halted.reason.startswith("ValueError: bad day (in see, test_bad_input.py:")
    assert broken.seen == [100, 101]
    assert well.order.status is OrderStatus.FILLED


def test_a_strategy_that_raises_in_a_backtest_is_named(tmp_path, caplog):
    """A result without trades does not hide why: the log says it, and so does the result."""

    class Broken(Watcher):
        def see(self, price):
            raise ValueError("bad day")

    engine = LiveTradingEngine(Broken(), [PaperBroker(), FakeStream()], run=tmp_path / "run", breakers="none")
    result = engine.backtest(ReplayStream.of(GOOD, instrument=BTC))
    assert list(result.halted) == ["Broken"]
    assert any("Broken halted: ValueError: bad day" in record.getMessage() for record in caplog.records)


def test_a_strategy_may_go_on_until_so_many_faults(tmp_path):
    """With `errors = 3` two faults drop their events, and the third halts it."""

    class Stumbles(Watcher):
        errors = 3

        def see(self, price):
            super().see(price)
            raise ValueError

    strategy, recorder = Stumbles(), Recorder()
    run(tmp_path, strategy, FakeBroker(), Scripted(*GOOD, quote(10, 1, 2)), recorder)
    assert [fact.count for fact in recorder.of(facts.StrategyFaulted)] == [1, 2]
    assert len(recorder.of(facts.StrategyHalted)) == 1
    assert len(strategy.seen) == 3


def test_a_strategy_that_cannot_load_what_it_saved_halts_alone(tmp_path):
    """Half-restored it must not trade; the others and the engine start."""

    class Forgets(Watcher):
        def save(self):
            return {"seen": len(self.seen)}

        def load(self, saved):
            raise KeyError("sene")

    pair = [Forgets(name="forgets", allocation="10%"), Watcher(name="well", allocation="50%")]
    run(tmp_path, pair, FakeBroker(), Scripted(*GOOD))
    pair = [Forgets(name="forgets", allocation="10%"), Watcher(name="well", allocation="50%")]
    recorder = Recorder()
    run(tmp_path, pair, FakeBroker(), Scripted(*GOOD), recorder)
    [halted] = recorder.of(facts.StrategyHalted)
    assert halted.strategy == "forgets"
    assert "KeyError: 'sene'" in halted.reason
    assert pair[0].seen == []
    assert pair[1].seen == [100, 101, 102]


def test_a_strategy_that_awaits_what_it_may_not_is_halted_with_the_remedy(tmp_path):
    """Only ask, wait and sleep can be awaited: anything else has no place in a journal."""
    import asyncio

    class Impatient(Watcher):
        async def on_quote(self, quote):
            await asyncio.sleep(0.1)

    recorder = Recorder()
    run(tmp_path, Impatient(), FakeBroker(), Scripted(*GOOD), recorder)
    [halted] = recorder.of(facts.StrategyHalted)
    assert "a handler may await only self.ask(...), self.wait(...) and self.sleep(...)" in halted.reason


def test_a_question_that_is_dropped_halts_with_the_remedy(tmp_path):
    """`self.ask(...)` without await and without then= would lose its answer."""

    class Careless(Watcher):
        def on_quote(self, quote):
            self.ask(len, "x")

    recorder = Recorder()
    run(tmp_path, Careless(), FakeBroker(), Scripted(*GOOD), recorder)
    assert "neither awaited nor given then=" in recorder.of(facts.StrategyHalted)[0].reason


def test_an_argument_that_json_cannot_hold_is_refused(tmp_path):
    """A strategy must be buildable again elsewhere: the culprit and the remedy are named before anything runs."""

    class Holds(Watcher):
        def __init__(self, thing: object) -> None:
            super().__init__()

    broker = FakeBroker()
    with pytest.raises(
        ConfigurationError, match=r"strategy Holds was made with .* JSON cannot hold .*: pass "
    ):
        run(tmp_path, Holds(object()), broker, Scripted(*GOOD))
    assert broker.submits == []


# --- disks and folders --------------------------------------------------------------------------------------


class Full:
    """A disk that has no room for new segments from `fill()` on; what was allocated before can be used up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        self.full = False
        allocate = segments._allocate

        def refuse(path: Path, size: int) -> int:
            if self.full and path.parent.name == kind:
                raise segments._no_room(path.parent, size, OSError(28, "No space left on device"))
            return allocate(path, size)

        monkeypatch.setattr(segments, "_allocate", refuse)
        for owner in ("Journal.open", "Tape.__init__"):
            module = "journal" if owner.startswith("Journal") else "tape"
            target = __import__(f"fairlead._storage.{module}", fromlist=["x"])
            function = getattr(getattr(target, owner.split(".")[0]), owner.split(".")[1])
            function = getattr(function, "__func__", function)
            small = {**function.__kwdefaults__, "segment_bytes": 8 << 10}
            monkeypatch.setattr(function, "__kwdefaults__", small)

    def fill(self) -> None:
        self.full = True


class Spender(Strategy):
    """Buys on every quote and says so at length; knows when the disk fills."""

    def __init__(self) -> None:
        self.disk: Any = None
        self.orders_made: list[Any] = []

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)

    def on_quote(self, quote):
        if len(self.orders_made) == 1:
            self.disk.fill()
        self.note("x" * 1000)
        self.orders_made.append(self.buy(1))


def test_on_a_full_disk_no_order_leaves_and_the_engine_says_so_and_stops(tmp_path, monkeypatch, caplog):
    """What is not in the journal is never sent; the engine ends with the reason, which is its last fact."""
    disk, strategy, broker = Full(monkeypatch, "journal"), Spender(), FakeBroker()
    strategy.disk = disk
    quotes = [quote(n, 99, 101) for n in range(1, 40)]
    with (
        caplog.at_level(logging.CRITICAL),
        pytest.raises(JournalError, match=r"cannot be written.*free some"),
    ):
        run(tmp_path, strategy, broker, Scripted(*quotes))
    kept = list(read_facts(tmp_path / "run" / "journal"))
    written = [fact.client_order_id for fact in kept if isinstance(fact, facts.OrderSubmitted)]
    assert [submit.client_order_id for submit in broker.submits] == written
    assert 2 <= len(written) < 39
    lost = strategy.orders_made[len(written)]
    assert lost.status is OrderStatus.REJECTED
    assert isinstance(kept[-1], facts.EngineStopped)
    assert "the journal cannot be written" in kept[-1].reason
    assert "No space left on device" in kept[-1].reason
    assert any("the engine stops: the journal cannot be written" in r.getMessage() for r in caplog.records)


class Careful(Strategy):
    """Bids far away and has a stop under what it holds; the disk fills while it goes on."""

    def __init__(self) -> None:
        self.disk: Any = None
        self.seen = 0

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)

    def on_quote(self, quote):
        self.seen += 1
        if self.seen == 1:
            self.buy(1, stop_loss=50)
            self.buy(1, limit_price=40)
        if self.seen == 5:
            self.disk.fill()
        self.note("x" * 1000)


def test_on_a_full_disk_the_halt_is_recorded_and_what_could_add_is_taken_back(tmp_path, monkeypatch):
    """The reserve takes the halt, the cancels and the end; the stop stays; after it only a person lifts the halt."""
    disk, strategy, broker = Full(monkeypatch, "journal"), Careful(), FakeBroker(profile=EVERYTHING)
    strategy.disk = disk
    with pytest.raises(JournalError):
        run(tmp_path, strategy, broker, Scripted(*[quote(n, 99, 101) for n in range(1, 40)]))
    kept = list(read_facts(tmp_path / "run" / "journal"))
    [far] = [s.client_order_id for s in broker.submits if s.intent.limit_price == 40]
    assert [fact.client_order_id for fact in kept if isinstance(fact, facts.CancelRequested)] == [far]
    assert [cancel.client_order_id for cancel in broker.canceling] == [far]
    assert [resting.submit.intent.type for resting in broker.working.values()] == ["stop"]
    assert isinstance(kept[-1], facts.EngineStopped)
    assert kept[-1].failed
    [halt] = [fact for fact in kept if isinstance(fact, facts.StateChanged)]
    assert (halt.scope, halt.state) == ("engine", "halted")
    assert "the journal cannot be written" in halt.reason
    disk.full = False
    states: list[Any] = []
    again = Watcher(name="Careful")
    again.on_stop = lambda: states.append(again.buy(1).reasons)
    stream = Scripted(*[quote(n, 99, 101) for n in range(60, 62)])
    engine = LiveTradingEngine(
        again, [broker, stream, VirtualClock(START_NS + 60 * SECOND)], run=tmp_path / "run", breakers="none"
    )
    run_virtual(engine.run(until="5s"))
    assert "trading is halted" in states[0][0]


def test_on_a_disk_that_is_full_already_nothing_starts(tmp_path, monkeypatch):
    """Without room for a journal no broker is connected, and the message says which folder lacks it."""
    disk, told = Full(monkeypatch, "journal"), []
    disk.fill()

    class Waits(FakeBroker):
        async def connect(self, emit, clock):
            told.append("connected")

    with pytest.raises(JournalError, match=r"journal cannot take .* bytes more .*: free some of the disk"):
        run(tmp_path, Watcher(), Waits(), Scripted(*GOOD))
    assert told == []


def test_after_a_full_disk_a_restart_goes_on_from_the_journal(tmp_path, monkeypatch):
    """With room again the run starts as if nothing had been: same orders, same position."""
    disk, strategy, broker = Full(monkeypatch, "journal"), Spender(), FakeBroker()
    strategy.disk = disk
    with pytest.raises(JournalError):
        run(tmp_path, strategy, broker, Scripted(*[quote(n, 99, 101) for n in range(1, 40)]))
    disk.full = False
    sent, again = len(broker.submits), Watcher(name="Spender")
    held: list[Any] = []
    again.on_stop = lambda: held.append(again.position())
    engine = LiveTradingEngine(
        again,
        [broker, Scripted(), VirtualClock(START_NS + 120 * SECOND)],
        run=tmp_path / "run",
        breakers="none",
    )
    run_virtual(engine.run(until="1s"))
    assert held == [sent]


def test_a_tape_that_cannot_be_written_is_switched_off_and_trading_goes_on(tmp_path, monkeypatch, caplog):
    """Market data that cannot be kept are no reason to stop: it is said once, in the log and in the journal."""
    disk, strategy, broker, recorder = Full(monkeypatch, "tape"), Spender(), FakeBroker(), Recorder()
    strategy.disk = disk
    quotes = [quote(n / 10, 99, 101) for n in range(1, 400)]
    with caplog.at_level(logging.WARNING, "fairlead"):
        run(tmp_path, strategy, broker, Scripted(*quotes), recorder)
    assert len(broker.submits) == 399
    [note] = [fact.text for fact in recorder.of(facts.Noted) if fact.source == "tape"]
    assert "the tape is switched off, and trading goes on" in note
    assert [r.getMessage() for r in caplog.records if "tape" in r.getMessage()] == [f"note: tape: {note}"]


def test_a_backtest_on_a_full_disk_ends_in_the_reason(tmp_path, monkeypatch):
    """A result that is not in a journal is no result."""
    disk = Full(monkeypatch, "journal")

    class Greedy(Spender):
        def on_quote(self, quote):
            disk.fill()
            self.note("x" * 1000)

    engine = LiveTradingEngine(Greedy(), [PaperBroker(), FakeStream()], run=tmp_path / "run", breakers="none")
    data = ReplayStream.of([quote(n, 99, 101) for n in range(1, 40)], instrument=BTC)
    with pytest.raises(JournalError, match="the journal cannot be written"):
        engine.backtest(data)


def test_a_run_folder_that_cannot_be_made_is_refused(tmp_path):
    """Where nothing can be written the engine does not start, and says where and what to do."""
    (tmp_path / "file").write_text("in the way")
    broker = FakeBroker()
    engine = LiveTradingEngine(
        Watcher(),
        [broker, Scripted(*GOOD), VirtualClock(START_NS)],
        run=tmp_path / "file" / "run",
        breakers="none",
    )
    with pytest.raises(ConfigurationError, match=r"cannot be written .*: .*run="):
        run_virtual(engine.run(until="1s"))
    with pytest.raises(ConfigurationError, match=r"cannot be written .*: .*run="):
        engine.backtest(ReplayStream.of(GOOD, instrument=BTC))
    assert broker.submits == []


def test_a_run_folder_in_use_is_refused(tmp_path):
    """Two engines in one folder would write one journal; the first is not disturbed."""
    errors: list[str] = []

    class Second(Watcher):
        def on_start(self):
            super().on_start()
            self.ask(start_another, then=errors.append)

    async def start_another() -> str:
        other = LiveTradingEngine(
            Watcher(),
            [FakeBroker(), Scripted(), VirtualClock(START_NS)],
            run=tmp_path / "run",
            breakers="none",
        )
        try:
            await other.run(until="1s")
        except ConfigurationError as error:
            return str(error)
        return "it ran"

    strategy = Second()
    run(tmp_path, strategy, FakeBroker(), Scripted(*GOOD))
    assert "is in use by process" in errors[0]
    assert "run=" in errors[0]
    assert strategy.seen == [100, 101, 102]


def test_an_object_runs_in_one_engine_at_a_time(tmp_path):
    """A broker given to two engines is refused to the second, named with the run that has it; then it is free again."""
    import asyncio

    def engine(name: str, broker: FakeBroker) -> LiveTradingEngine:
        plugins = [broker, Scripted(*GOOD), VirtualClock(START_NS)]
        return LiveTradingEngine(Watcher(), plugins, run=tmp_path / name, breakers="none")

    broker = FakeBroker()

    async def both() -> str:
        first = asyncio.ensure_future(engine("one", broker).run(until="20s"))
        await asyncio.sleep(1)
        refusal = "broker fake runs already, in the engine of .*one: make one for each engine"
        with pytest.raises(ConfigurationError, match=refusal):
            await engine("two", broker).run(until="1s")
        return await first

    assert run_virtual(both()) == "the time was up"
    assert run_virtual(engine("three", broker).run(until="1s")) == "the time was up"


def test_one_engine_runs_once_at_a_time(tmp_path):
    """A second `run()` of a running engine is refused; the first goes on."""
    import asyncio

    engine = LiveTradingEngine(
        Watcher(),
        [FakeBroker(), Scripted(*GOOD), VirtualClock(START_NS)],
        run=tmp_path / "run",
        breakers="none",
    )

    async def both() -> str:
        first = asyncio.ensure_future(engine.run(until="20s"))
        await asyncio.sleep(1)
        with pytest.raises(ConfigurationError, match="this engine is running already"):
            await engine.run(until="1s")
        return await first

    assert run_virtual(both()) == "the time was up"
