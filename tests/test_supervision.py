"""Connections that break: they are made again, with everything on them, and nothing of the time between is lost."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from fairlead import Bar, ConnectivityError, LiveTradingEngine, Order, Quote, Strategy, VenueError
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead.ports import StreamDown, StreamUp, Subscription
from fairlead.testing import (
    MARKET_AND_LIMIT,
    FakeBroker,
    FakeStream,
    VirtualClock,
    make_instrument,
    run_virtual,
)

REMOTE = attrs.evolve(MARKET_AND_LIMIT, exact=False)
BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"


class Breakable(FakeBroker):
    """A venue whose connection a test cuts."""

    def __init__(self) -> None:
        super().__init__(profile=REMOTE)
        self.connections = 0
        self.unreachable = 0
        self.tries: list[float] = []

    async def connect(self, emit: Any, clock: Any) -> None:
        self.tries.append(asyncio.get_running_loop().time())
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectivityError("nobody answers")
        await super().connect(emit, clock)
        self.connections += 1
        if self.connections > 1:
            emit(StreamUp(epoch=self.connections))


class Buyer(Strategy):
    """Buys once, and remembers what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.quotes = 0
        self.order: Order | None = None

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1
        if self.order is None:
            self.order = self.buy(1, limit_price=99)


def session(
    tmp_path: Path,
    story: Callable[[LiveTradingEngine, Breakable, FakeStream, Buyer], Any],
) -> list[Any]:
    """Run an engine and a story beside it on virtual time; the facts."""
    broker, stream, buyer = Breakable(), FakeStream(kinds=("quote",)), Buyer()
    engine = LiveTradingEngine(
        buyer, plugins=[broker, stream, VirtualClock()], run=tmp_path / "run", breakers="none"
    )

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run("10m"))
            await asyncio.sleep(1)
            quote(stream)
            await story(engine, broker, stream, buyer)
            engine.stop("the story ended")
            await running

    run_virtual(both())
    return list(read_facts(engine.folder.journal))


def quote(stream: FakeStream) -> None:
    now = VirtualClock().now()
    stream.emit(Quote(stream.listed[0].id, 100.0, 100.0, 1.0, 1.0, now, now))


def test_a_private_stream_that_broke_is_connected_again_and_its_fills_are_fetched(tmp_path: Path) -> None:
    """Tried ever later until it succeeds; the fill of the time between is booked once."""

    async def story(engine: Any, broker: Breakable, stream: FakeStream, buyer: Buyer) -> None:
        assert buyer.order is not None
        broker.unreachable = 3
        broker.emit(StreamDown(reason="cut"))
        broker.executed(buyer.order.client_order_id)
        await asyncio.sleep(30)
        assert engine.positions()[0].quantity == 1

    broker_tries: list[float] = []

    async def with_tries(engine: Any, broker: Breakable, stream: FakeStream, buyer: Buyer) -> None:
        await story(engine, broker, stream, buyer)
        broker_tries.extend(broker.tries[1:])

    facts = session(tmp_path, with_tries)
    assert [fact.up for fact in facts if isinstance(fact, f.StreamChanged)] == [False, True]
    assert [fact.fill.quantity for fact in facts if isinstance(fact, f.Filled)] == [Decimal(1)]
    gaps = [after - before for before, after in pairwise(broker_tries)]
    assert len(broker_tries) == 4
    assert gaps == sorted(gaps)


def test_an_adapter_that_comes_back_by_itself_is_left_alone(tmp_path: Path) -> None:
    """No second connection beside the one that is there."""

    async def story(engine: Any, broker: Breakable, stream: FakeStream, buyer: Buyer) -> None:
        broker.emit(StreamDown(reason="cut"))
        broker.emit(StreamUp(epoch=2))
        await asyncio.sleep(60)
        assert broker.connections == 1

    session(tmp_path, story)


def test_a_stream_that_broke_is_subscribed_again_with_all_that_is_watched(tmp_path: Path) -> None:
    """A new connection counts only when every feed is confirmed."""

    async def story(engine: Any, broker: Breakable, stream: FakeStream, buyer: Buyer) -> None:
        wanted = set(stream.subscribed)
        assert wanted
        stream.refused = set(wanted)
        stream.on_down("cut")
        assert stream.connections == 1
        await asyncio.sleep(10)
        assert stream.connections > 1
        assert not stream.subscribed
        stream.refused = set()
        await asyncio.sleep(40)
        assert stream.subscribed == wanted
        before = buyer.quotes
        quote(stream)
        assert buyer.quotes == before + 1

    facts = session(tmp_path, story)
    assert [fact.up for fact in facts if isinstance(fact, f.FeedChanged)] == [False, True]


def test_a_stream_without_data_is_connected_again(tmp_path: Path) -> None:
    """Half-open connections say nothing: silence is what gives them away."""

    async def story(engine: Any, broker: Breakable, stream: FakeStream, buyer: Buyer) -> None:
        await asyncio.sleep(59)
        assert stream.connections == 1
        await asyncio.sleep(10)
        assert stream.connections == 1, "it may be silent for a day"

    session(tmp_path / "patient", story)

    class Impatient(FakeStream):
        def __init__(self) -> None:
            super().__init__(kinds=("quote",))
            self.silence = "10s"

    stream = Impatient()
    engine = LiveTradingEngine(
        Buyer(), plugins=[Breakable(), stream, VirtualClock()], run=tmp_path / "run", breakers="none"
    )
    run_virtual(engine.run("15s"))
    down = [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, f.FeedChanged)]
    assert (down[0].up, down[0].reason) == (False, "it has been silent for 11 s")
    assert stream.connections == 2


# --- feeds that are asked for while the engine runs ---------------------------------------------------------------


class Moody(FakeStream):
    """A stream that fails, in any way that a test likes, to give what it offers."""

    def __init__(self) -> None:
        super().__init__(make_instrument(), make_instrument(ETH), kinds=("quote", "bar:1m"))
        self.feed_fails: list[Exception | None] = []
        self.history_fails: list[Exception | None] = []
        self.pasts: list[float] = []
        self.asked: list[Any] = []

    async def subscribe(self, subscriptions: Any) -> Any:
        self.asked.append(list(subscriptions))
        if any(s.instrument == self.listed[1].id for s in subscriptions) and self.feed_fails:
            failure = self.feed_fails.pop(0)
            if failure is None:
                await asyncio.Event().wait()
            else:
                raise failure
        return await super().subscribe(subscriptions)

    async def history(self, subscription: Any, start_ns: int, end_ns: int) -> Any:
        if self.history_fails:
            self.pasts.append(asyncio.get_running_loop().time())
            failure = self.history_fails.pop(0)
            if failure is None:
                await asyncio.Event().wait()
            else:
                raise failure
        return await super().history(subscription, start_ns, end_ns)


class Curious(Strategy):
    """Watches one instrument from the start, and another when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.bars: list[Bar] = []

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.seen.append(quote.instrument)

    def on_bar(self, bar: Bar) -> None:
        self.bars.append(bar)


def curious(
    tmp_path: Path,
    stream: Moody,
    story: Callable[[Any, Moody, Curious], Any],
    strategy: Curious | None = None,
) -> list[Any]:
    """Run an engine over such a stream and a story beside it; the facts."""
    strategy = strategy or Curious()
    engine = LiveTradingEngine(
        strategy,
        plugins=[FakeBroker(*stream.listed), stream, VirtualClock()],
        run=tmp_path / "run",
        breakers="none",
    )

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run("1h"))
            await asyncio.sleep(1)
            await story(engine, stream, strategy)
            engine.stop("the story ended")
            assert await running == "the story ended"

    run_virtual(both())
    return list(read_facts(engine.folder.journal))


def turn(engine: LiveTradingEngine, act: Callable[[], Any]) -> None:
    session = engine._session
    assert session is not None
    assert session.kernel is not None
    session._door.put(session.kernel.turn, act)


def emit(stream: Moody, number: int) -> None:
    now = VirtualClock().now()
    stream.emit(Quote(stream.listed[number].id, 100.0, 100.0, 1.0, 1.0, now, now))


def test_a_feed_that_is_refused_while_the_engine_runs_is_asked_for_until_it_comes(tmp_path: Path) -> None:
    """Whatever the stream raises, or where it hangs, the engine trades on, and says once what it lacks."""
    stream = Moody()

    async def story(engine: Any, stream: Moody, strategy: Curious) -> None:
        stream.feed_fails = [
            ConnectivityError("503"),
            VenueError("busy", code="1"),
            ValueError("what"),
            None,
            ConnectivityError("503 again"),
        ]
        turn(engine, lambda: strategy.watch(ETH, quotes=True))
        await asyncio.sleep(0.1)
        emit(stream, 0)
        assert strategy.seen == [stream.listed[0].id]
        await asyncio.sleep(120)
        assert not stream.feed_fails
        emit(stream, 1)
        assert strategy.seen[1:] == [stream.listed[1].id]
        asked = len(stream.asked)
        await asyncio.sleep(120)
        assert len(stream.asked) == asked, "it came: nobody asks again"
        stream.on_down("cut")
        await asyncio.sleep(10)
        assert len(stream.asked[-1]) == 2, "and it is a feed as any other"

    facts = curious(tmp_path, stream, story)
    noted = [fact.text for fact in facts if isinstance(fact, f.Noted)]
    text = f"feed quote of {stream.listed[1].id} could not be had, and is asked for again: 503"
    assert noted == [text]


def test_a_feed_that_is_refused_does_not_hold_up_the_connection(tmp_path: Path) -> None:
    """A stream that breaks meanwhile comes back with the feeds that it does give."""

    async def story(engine: Any, stream: Moody, strategy: Curious) -> None:
        stream.feed_fails = [VenueError("delisted") for _ in range(100)]
        turn(engine, lambda: strategy.watch(ETH, quotes=True))
        await asyncio.sleep(0.1)
        stream.on_down("cut")
        await asyncio.sleep(120)
        assert {s.instrument for s in stream.subscribed} == {stream.listed[0].id}
        emit(stream, 0)
        assert len(strategy.seen) == 1
        turn(engine, lambda: strategy.unwatch(ETH))
        await asyncio.sleep(60)
        left = len(stream.feed_fails)
        await asyncio.sleep(120)
        assert len(stream.feed_fails) == left, "nobody wants it any more"

    facts = curious(tmp_path, Moody(), story)
    assert [fact.up for fact in facts if isinstance(fact, f.FeedChanged)] == [False, True]


def test_a_history_that_fails_while_the_engine_runs_comes_later(tmp_path: Path) -> None:
    """Prices come at once; the strategy is warm when the past could be had."""

    async def story(engine: Any, stream: Moody, strategy: Curious) -> None:
        minute = 60_000_000_000
        last = VirtualClock().now() // minute * minute
        eth = stream.listed[1].id
        for end in (last - 2 * minute, last - minute, last):
            stream.past.append(Bar(eth, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, end - minute, end, end))
        stream.history_fails = [ConnectivityError("503"), ConnectivityError("503")]
        turn(engine, lambda: strategy.watch(ETH, bars="1m", warmup=3))
        await asyncio.sleep(0.1)
        assert any(s.instrument == eth and s.kind == "bar:1m" for s in stream.subscribed)
        await asyncio.sleep(20)
        assert len(strategy.history(instrument=ETH)) == 3

    noted = [fact.text for fact in curious(tmp_path, Moody(), story) if isinstance(fact, f.Noted)]
    assert len(noted) == 1
    assert noted[0].startswith("history bar:1m of ")


def test_a_history_that_hangs_while_the_engine_runs_is_given_up_and_asked_for_again(tmp_path: Path) -> None:
    """Bars wait for it 20 s and no longer; each try is given twice as long, in case it is only slow."""

    async def story(engine: Any, stream: Moody, strategy: Curious) -> None:
        minute = 60_000_000_000
        last = VirtualClock().now() // minute * minute
        eth = stream.listed[1].id
        stream.past += [
            Bar(eth, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, end - minute, end, end)
            for end in range(last - 5 * minute, last + 5 * minute, minute)
        ]
        stream.history_fails = [None, None, None]
        turn(engine, lambda: strategy.watch(ETH, bars="1m", warmup=3))
        await asyncio.sleep(19)
        assert {s.kind for s in stream.subscribed if s.instrument == eth} == {"quote"}
        await asyncio.sleep(2)
        assert {s.kind for s in stream.subscribed if s.instrument == eth} == {"quote", "bar:1m"}
        await asyncio.sleep(160)
        gaps = [after - before for before, after in pairwise(stream.pasts)]
        assert [round(gap // 20) for gap in gaps] == [1, 2], "20 s and 40 s, and a pause of a second or two"
        assert len(strategy.history(instrument=ETH)) == 3

    stream = Moody()
    facts = curious(tmp_path, stream, story)
    noted = [fact.text for fact in facts if isinstance(fact, f.Noted)]
    text = f"history bar:1m of {stream.listed[1].id} could not be had, and is asked for again"
    assert noted == [f"{text}: fake gave no answer within 20 s"]


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_a_feed_that_is_not_confirmed_is_asked_for_until_it_is(tmp_path: Path, when: str) -> None:
    """Neither a yes nor a no: it is said once, ends nothing, holds up no connection, and comes when it can."""
    stream = Moody()
    eth = stream.listed[1].id
    stream.refused = {Subscription(eth, "quote")}

    class Both(Curious):
        def on_start(self) -> None:
            super().on_start()
            if when == "at the start":
                self.watch(ETH, quotes=True)

    async def story(engine: Any, stream: Moody, strategy: Curious) -> None:
        if when == "later":
            turn(engine, lambda: strategy.watch(ETH, quotes=True))
        await asyncio.sleep(300)
        tries = [asked for asked in stream.asked if asked[0].instrument == eth]
        assert 8 <= len(tries) <= 30, "ever later, and never more than 30 s apart"
        stream.on_down("cut")
        await asyncio.sleep(10)
        assert {s.instrument for s in stream.subscribed} == {stream.listed[0].id}
        stream.refused = set()
        await asyncio.sleep(31)
        emit(stream, 1)
        assert strategy.seen == [eth]
        asked = len(stream.asked)
        await asyncio.sleep(120)
        assert len(stream.asked) == asked, "it came: nobody asks again"

    facts = curious(tmp_path, stream, story, Both())
    assert [fact.up for fact in facts if isinstance(fact, f.FeedChanged)] == [False, True]
    text = f"feed quote of {eth} could not be had, and is asked for again: fake did not confirm it"
    assert [fact.text for fact in facts if isinstance(fact, f.Noted)] == [text]


def test_a_start_that_lacks_a_feed_is_no_start(tmp_path: Path) -> None:
    """What strategies want when they start is there, or `run` raises what the stream said."""
    stream = Moody()
    stream.feed_fails = [ConnectivityError("503")]

    class Both(Curious):
        def on_start(self) -> None:
            self.watch(ETH, quotes=True)

    engine = LiveTradingEngine(
        Both(),
        plugins=[FakeBroker(*stream.listed), stream, VirtualClock()],
        run=tmp_path / "run",
        breakers="none",
    )
    with pytest.raises(ConnectivityError, match="503"):
        run_virtual(engine.run("1m"))
