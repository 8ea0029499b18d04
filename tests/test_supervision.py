"""Connections that break: they are made again, with everything on them, and nothing of the time between is lost."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from fairlead import ConnectivityError, LiveTradingEngine, Order, Quote, Strategy
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead.ports import StreamDown, StreamUp
from fairlead.testing import MARKET_AND_LIMIT, FakeBroker, FakeStream, VirtualClock, run_virtual

REMOTE = attrs.evolve(MARKET_AND_LIMIT, exact=False)
BTC = "BTC/USDT:USDT"


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
