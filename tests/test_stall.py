"""A strategy that blocks is named, with its stack, while it blocks: in real time, from another thread."""

import asyncio
import logging
import time

import pytest

from fairlead import LiveTradingEngine, Quote, Strategy, facts
from fairlead.testing import FakeBroker, FakeStream, Recorder

pytestmark = pytest.mark.full

BLOCK_SECONDS = 1.8


def block_for_a_while(ended: list[float]) -> None:
    time.sleep(BLOCK_SECONDS)
    ended.append(time.time())


class Ticking(FakeStream):
    """A stream with a quote every 100 ms of real time."""

    async def connect(self, emit, clock):
        await super().connect(emit, clock)
        name = self.listed[0].id

        def tick() -> None:
            now = clock.now()
            self.emit(Quote(name, 99.0, 101.0, 1.0, 1.0, now, now))
            clock.call_at(now + 100_000_000, tick)

        clock.call_at(clock.now() + 100_000_000, tick)


class Blocker(Strategy):
    """Blocks in one of its handlers, once."""

    allocation = "10%"

    def __init__(self, where: str) -> None:
        self.where = where
        self.began = 0.0
        self.ended: list[float] = []
        self.seen_after = 0

    def on_start(self):
        self.watch("BTC/USDT:USDT", quotes=True)
        if self.where == "on_start":
            self.block()

    async def on_quote(self, quote):
        if self.where == "on_quote" and not self.began:
            self.block()
        if self.where == "after a wait" and not self.began:
            await self.sleep("100ms")
            self.block()
        self.seen_after += bool(self.ended)

    def block(self) -> None:
        self.began = time.time()
        block_for_a_while(self.ended)


class Idle(Strategy):
    """Does nothing, and must not be blamed."""

    allocation = "10%"


class Slow:
    """A breaker that blocks."""

    name = "slow"
    wants = (Quote,)

    def __init__(self) -> None:
        self.began = 0.0
        self.ended: list[float] = []

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        if not self.began:
            self.began = time.time()
            block_for_a_while(self.ended)


def stalls(
    engine: LiveTradingEngine, caplog: pytest.LogCaptureFixture, seconds: str
) -> list[logging.LogRecord]:
    """What the log says of stalls when the engine runs for so long."""
    with caplog.at_level(logging.INFO, "fairlead"):
        asyncio.run(engine.run(until=seconds))
    return [
        record for record in caplog.records if "nothing else can be done meanwhile" in record.getMessage()
    ]


@pytest.mark.parametrize("where", ["on_start", "on_quote", "after a wait"])
def test_a_strategy_that_blocks_is_named_with_its_stack_while_it_blocks(tmp_path, caplog, where):
    """Within 2 seconds and before the handler returns; once; and afterwards trading goes on."""
    strategy, recorder = Blocker(where), Recorder()
    engine = LiveTradingEngine(
        [Idle(), strategy], [FakeBroker(), Ticking(), recorder], run=tmp_path / "run", breakers="none"
    )
    [said] = stalls(engine, caplog, "1400ms" if where == "on_start" else "2400ms")
    text = said.getMessage()
    handler = where if where.startswith("on_") else "on_quote"
    assert text.startswith(
        f"strategy Blocker blocks for 1 s so far (in {handler}, block_for_a_while, test_stall.py:"
    )
    assert "self.ask(...)" in text
    assert "block_for_a_while" in text
    assert "time.sleep(BLOCK_SECONDS)" in text
    assert 0.5 < said.created - strategy.began < 2.0
    assert said.created < strategy.ended[0]
    assert strategy.seen_after > 0
    assert [fact.text for fact in recorder.of(facts.Noted) if fact.source == "stall"] == [
        text.partition("\n")[0]
    ]
    assert len(text.partition("\n")[0]) < 200


def test_a_breaker_that_blocks_is_shown_by_the_stack(tmp_path, caplog):
    """Where no strategy is at fault none is named; the stack shows who is."""
    breaker = Slow()
    engine = LiveTradingEngine(Blocker("nowhere"), [FakeBroker(), Ticking(), breaker], run=tmp_path / "run")
    [said] = stalls(engine, caplog, "2100ms")
    assert said.getMessage().startswith(
        "the engine's thread is blocked for 1 s so far (in block_for_a_while, test_stall"
    )
    assert "in watch" in said.getMessage()
    assert said.created < breaker.ended[0]


def test_an_engine_that_is_merely_busy_is_not_named(tmp_path, caplog):
    """Many quick turns are no stall."""

    class Busy(Blocker):
        def on_quote(self, quote):
            time.sleep(0.05)

    engine = LiveTradingEngine(
        Busy("nowhere"), [FakeBroker(), Ticking()], run=tmp_path / "run", breakers="none"
    )
    assert stalls(engine, caplog, "1700ms") == []
