"""The same strategy and data, as a backtest and in the asynchronous engine under a time moved by hand."""

import asyncio
import os
import random
import re
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead import Bar, Fill, LiveTradingEngine, Order, Quote, Strategy, Trade
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead.ports import BrokerAdapter, VenueProfile
from fairlead_breakers import Drawdown, Limits
from fairlead_paper import PaperBroker
from fairlead_sim import SimulatedBroker
from fairlead_streams import ReplayStream, SyntheticStream

DATA = Path(os.environ.get("FAIRLEAD_DATA", Path(__file__).parents[2] / "shared" / "data"))
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
APART = (f.EngineStarted, f.EngineStopped, f.StrategiesStarted, f.StrategiesStopped, f.StreamChanged)
ORDER_ID = re.compile(r"\b[0-9a-f]{8}(?=[0-9a-f]{24}\b)")


# --- comparing --------------------------------------------------------------------------------------------------


def comparable(facts: Iterable[f.Fact]) -> list[str]:
    """Facts without what tells one run from another: namespace and epoch in ids, gaps in the numbers."""
    kept = [fact for fact in facts if not isinstance(fact, APART)]
    numbers = sorted({fact.seq for fact in kept} | {fact.cause for fact in kept})
    rank = {number: index for index, number in enumerate(numbers)}
    lines = []
    for fact in kept:
        plain = msgspec.to_builtins(fact)
        plain["seq"], plain["cause"] = rank[fact.seq], rank[fact.cause]
        lines.append(ORDER_ID.sub("", msgspec.json.encode(plain, order="sorted").decode()))
    return lines


def both(
    tmp_path: Path,
    strategies: Sequence[Strategy] | Strategy,
    stream: Any,
    *,
    broker: BrokerAdapter | None = None,
    plugins: Sequence[Any] = (),
) -> tuple[list[f.AnyFact], list[f.AnyFact]]:
    """Facts of a backtest and of the asynchronous engine on the same data."""
    engine = LiveTradingEngine(
        strategies,
        plugins=[broker or PaperBroker("1_000_000 USDT"), stream, *plugins],
        run=tmp_path / "run",
        breakers=None if plugins else "none",
    )
    tested = list(engine.backtest().facts())
    asyncio.run(asyncio.wait_for(engine.run(), 50))
    return tested, list(read_facts(engine.folder.journal))


def agree(facts: tuple[list[f.AnyFact], list[f.AnyFact]], *kinds: type[f.Fact]) -> list[f.AnyFact]:
    """Assert that both runs have the same facts, and that those of these kinds are among them."""
    tested, traded = map(comparable, facts)
    for number, (one, other) in enumerate(zip(tested, traded, strict=False)):
        assert one == other, f"fact {number} of {len(tested)} and {len(traded)}"
    assert len(tested) == len(traded)
    seen = {type(fact) for fact in facts[0]}
    assert not [kind.__name__ for kind in kinds if kind not in seen]
    assert not [fact.reason for fact in facts[0] if isinstance(fact, f.StrategyHalted)]
    return facts[0]


# --- data -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ticks() -> tuple[list[Any], list[Any]]:
    """Two instruments, quotes and trades every second for three hours; and the instruments."""
    made = SyntheticStream([BTC, ETH], seed=11, volatility="20%", duration="3h")
    return list(made.replay()), list(asyncio.run(made.instruments()))


def ticking(ticks: tuple[list[Any], list[Any]]) -> ReplayStream:
    events, instruments = ticks
    return ReplayStream.of(events, instrument=instruments)


# --- strategies -------------------------------------------------------------------------------------------------


class Cross(Strategy):
    def __init__(self, symbol: str, fast: int, slow: int, **more: Any) -> None:
        super().__init__(**more)
        self.symbol, self.fast = symbol, fast
        self.closes: deque[float] = deque(maxlen=slow)

    def on_start(self) -> None:
        self.watch(self.symbol, bars="1m", warmup=self.closes.maxlen or 0)

    def on_bar(self, bar: Bar) -> None:
        self.closes.append(bar.close)
        closes = list(self.closes)
        fast, slow = sum(closes[-self.fast :]) / self.fast, sum(closes) / len(closes)
        if fast > slow and self.position() <= 0:
            self.target(percent="40%")
        elif fast < slow and self.position() >= 0:
            self.target(percent="-40%")


class Dice(Strategy):
    """Every kind of order, at moments that only depend on what it sees."""

    def __init__(self, symbol: str, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.symbol, self.seed = symbol, seed
        self.dice = random.Random(seed)
        self.seen = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "5m", "15m"], quotes=True, trades=True)
        self.every("7s", self.tick)
        self.every("1m", name="minute")

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.dice.random() < 0.01:
            self.buy(0.5, limit_price=quote.bid * 0.9995, time_in_force="GTD", expires="40s")

    def on_trade(self, trade: Trade) -> None:
        if self.dice.random() < 0.003:
            self.sell(0.3, post_only=True, limit_price=trade.price * 1.0004)

    def on_bar(self, bar: Bar) -> None:
        self.note(f"{bar.interval} {bar.close} {self.seen}")
        roll = self.dice.random()
        if bar.interval == "5m":
            self.close()
        elif roll < 0.3:
            self.buy(1, take_profit=bar.close * 1.001, stop_loss=bar.close * 0.999)
        elif roll < 0.6:
            self.sell(1, stop_price=bar.close * 0.9995)
        elif roll < 0.8:
            self.oco("buy", 0.4, limit_price=bar.close * 0.999, stop_price=bar.close * 1.001)

    def tick(self) -> None:
        if self.position() and self.dice.random() < 0.2:
            side = self.sell if self.position() > 0 else self.buy
            side(abs(self.position()), trail="0.05%", reduce_only=True)
        for order in self.orders():
            if self.dice.random() < 0.05:
                self.cancel(order)

    def on_timer(self, name: str) -> None:
        self.note(f"{name} {self.equity}")

    def on_fill(self, fill: Fill) -> None:
        if self.dice.random() < 0.2:
            self.note(f"filled {fill.quantity} at {fill.price}")

    def on_order(self, order: Order) -> None:
        self.seen += 1

    def save(self) -> Any:
        return {"seen": self.seen}


class Patient(Strategy):
    """Coroutines that sleep, wait for orders and ask."""

    def __init__(self, symbol: str, **more: Any) -> None:
        super().__init__(**more)
        self.symbol = symbol
        self.bars = 0

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "5m"], quotes=True)
        self.every("90s", self.later)
        self.ask(told, "at the start", then=self.noted)

    async def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        advice = await self.ask(advise, bar.close, self.bars)
        order = self.buy(1) if advice["buy"] else self.sell(1, limit_price=bar.close * 1.0002)
        await self.sleep("3s")
        order = await self.wait(order, within="20s")
        self.note(f"{order.status} {self.now}")
        if not order.closed:
            self.cancel(order)
        answer = await self.ask(told, str(order.status))
        self.note(answer)

    def later(self) -> None:
        self.ask(advise, 1.0, 1, then=self.noted)
        self.ask(told, "second", then=self.noted)
        self.ask(fail, then=self.noted)

    def on_quote(self, quote: Quote) -> None:
        if quote.event_ns // 1_000_000_000 % 600 == 30:
            self.ask(told, f"{quote.bid}", then=self.noted)

    def noted(self, answer: Any) -> None:
        self.note(f"{answer} {self.now}")


async def advise(close: float, bars: int) -> dict[str, bool]:
    await asyncio.sleep(0.001 * (bars % 3))
    return {"buy": bool(bars % 2)}


def told(text: str) -> str:
    return f"you said {text}"


def fail() -> None:
    raise ValueError("no answer")


class Wanderer(Strategy):
    """Watches another market half-way, with a past, and lets the first one go later."""

    def __init__(self, first: str, second: str) -> None:
        self.symbols = (first, second)
        self.bars = 0

    def on_start(self) -> None:
        self.watch(self.symbols[0], bars="1m", warmup=5)

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        self.note(f"{bar.instrument} {bar.interval} {bar.close}")
        if self.bars == 20:
            self.watch(self.symbols[1], bars="1m", warmup=10)
            self.watch(self.symbols[1], bars="5m")
        if self.bars == 90:
            self.note(str(len(self.history(None, bars="1m", instrument=self.symbols[1]))))
            self.unwatch(self.symbols[0])
        if self.bars % 7 == 0:
            self.target(percent="10%" if self.bars % 2 else "0%", instrument=bar.instrument)


# --- stories ----------------------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.skipif(
    not DATA.is_dir(), reason="no recorded data: FAIRLEAD_DATA names the folder that has them"
)
def test_real_bars(tmp_path: Path) -> None:
    """A moving-average cross on a month of real bars decides the same."""
    stream = ReplayStream(
        DATA / "btc-perp-1m.csv", symbol=BTC, tz="UTC", volume_unit="quote", bar_label="close"
    )
    facts = both(
        tmp_path,
        Cross(BTC, 30, 200),
        stream,
        plugins=[Limits(max_order_value="2_000_000 USDT", max_leverage=3)],
    )
    assert len([fact for fact in agree(facts, f.Filled) if isinstance(fact, f.Filled)]) > 300


def test_every_kind_of_order(tmp_path: Path, ticks: Any) -> None:
    """Limit, stop, trailing, linked and bracket orders, timers, bars of three intervals: nothing differs."""
    facts = both(tmp_path, Dice(BTC, 3), ticking(ticks))
    agree(facts, f.Filled, f.OrderHeld, f.OrderCanceled, f.OrderExpired, f.TimerFired)


def test_orders_held_by_the_engine(tmp_path: Path, ticks: Any) -> None:
    """At a venue without stops, time in force and links the engine holds them, in both alike."""
    plain = VenueProfile(venue="plain", environment="paper", base_currency="USDT", reduce_only=True)
    broker = SimulatedBroker("1_000_000 USDT", profile=plain, latency="30ms")
    facts = both(tmp_path, Dice(BTC, 4), ticking(ticks), broker=broker)
    agree(facts, f.OrderHeld, f.OrderTriggered, f.TrailMoved, f.HeldResized)


def test_answers_and_sleeping(tmp_path: Path, ticks: Any) -> None:
    """While a question is out, a time that is moved by hand stands still: answers come at the same place."""
    facts = both(tmp_path, Patient(BTC), ticking(ticks))
    answers = [fact for fact in agree(facts, f.Asked, f.Answered, f.Filled) if isinstance(fact, f.Answered)]
    assert len(answers) > 400
    assert any(answer.error for answer in answers)


def test_latency(tmp_path: Path, ticks: Any) -> None:
    """Commands that travel 50 ms, and answers 20 ms, arrive at the same place."""
    broker = PaperBroker("1_000_000 USDT", latency="50ms", report_delay="20ms", slippage="1 tick")
    facts = both(tmp_path, [Dice(BTC, 5, allocation="50%", name="dice"), Patient(BTC, allocation="50%")],
                 ticking(ticks), broker=broker)  # fmt: skip
    agree(facts, f.Filled, f.OrderCanceled, f.Answered)


def test_two_strategies(tmp_path: Path, ticks: Any) -> None:
    """Strategies that share an account, each on its own part of it and with breakers, decide the same."""
    strategies = [
        Dice(BTC, 7, name="dice", allocation="30%"),
        Cross(BTC, 3, 10, name="btc", allocation="30%"),
        Cross(ETH, 2, 7, name="eth", allocation="20%"),
        Patient(ETH, name="patient", allocation="20%"),
    ]
    breakers = [Limits(max_order_value="500_000 USDT", max_leverage=3), Drawdown("20%")]
    agree(both(tmp_path, strategies, ticking(ticks), plugins=breakers), f.Filled, f.Answered, f.OrderDenied)


def test_a_changing_universe(tmp_path: Path, ticks: Any) -> None:
    """A market that is watched from the middle on begins at the same event, with the same past."""
    facts = agree(both(tmp_path, Wanderer(BTC, ETH), ticking(ticks)), f.Filled)
    notes = [fact.text for fact in facts if isinstance(fact, f.Noted)]
    assert any(note.startswith(f"{BTC}@") for note in notes[25:50])
    assert any(note.startswith(f"{ETH}@") for note in notes[25:50])


def test_an_invented_market_as_it_is(tmp_path: Path) -> None:
    """A synthetic stream that brings its own time gives the same in both, its faults included."""
    stream = SyntheticStream(
        BTC,
        seed=5,
        volatility="30%",
        speed="max",
        duration="2h",
        faults=["gap", "stale", "duplicate", "bad_tick"],
    )
    agree(both(tmp_path, Dice(BTC, 9), stream), f.Filled, f.OrderCanceled)


def test_two_streams(tmp_path: Path, ticks: Any) -> None:
    """Events of two streams at the same moment come in the order of the streams' list."""
    events, instruments = ticks
    streams = [
        ReplayStream.of([e for e in events if e.instrument == i.id], instrument=i, name=i.base)
        for i in instruments
    ]
    strategies = [Dice(BTC, 2, name="btc", allocation="40%"), Patient(ETH, name="eth", allocation="40%")]
    agree(both(tmp_path, strategies, streams[1], plugins=[streams[0], Drawdown("20%")]), f.Filled, f.Answered)
