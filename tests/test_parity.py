"""The same strategy and data, as a backtest and in the asynchronous engine under a time moved by hand."""

import asyncio
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stories import BTC, ETH, Cross, Dice, Patient, Wanderer

from fairlead import LiveTradingEngine, Strategy
from fairlead import facts as f
from fairlead._kernel.unfinished import Unfinished
from fairlead._report.digest import digest
from fairlead._storage.journal import read_facts
from fairlead.ports import BrokerAdapter, VenueProfile
from fairlead_breakers import (
    BadTick,
    Correlation,
    DataGap,
    Drawdown,
    FeedDisagreement,
    Latency,
    Limits,
    LosingStreak,
    LossPerTrade,
    PriceJump,
    Slippage,
    Spread,
    UnprotectedPosition,
    Volatility,
)
from fairlead_paper import PaperBroker
from fairlead_sim import SimulatedBroker
from fairlead_streams import ReplayStream, SyntheticStream

DATA = Path(os.environ.get("FAIRLEAD_DATA", Path(__file__).parents[2] / "shared" / "data"))
APART = (
    f.EngineStarted, f.EngineStopping, f.EngineStopped, f.StrategiesStarted, f.StrategiesStopped, f.StreamChanged
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_bar_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backtest has no next start to keep bars in progress for: apart from that both number facts alike."""
    monkeypatch.setattr(Unfinished, "keep", lambda self: None)


ORDER_ID = re.compile(r"\b[0-9a-f]{8}(?=[0-9a-f]{24}\b)")


# --- comparing --------------------------------------------------------------------------------------------------


def comparable(facts: Iterable[f.Fact]) -> list[str]:
    """Facts without what tells one run from another: namespace and epoch in ids, gaps in the numbers."""
    kept = [fact for fact in facts if not isinstance(fact, APART) and not _of_the_next_start(fact)]
    numbers = sorted({fact.seq for fact in kept} | {fact.cause for fact in kept})
    rank = {number: index for index, number in enumerate(numbers)}
    lines = []
    for fact in kept:
        plain = msgspec.to_builtins(fact)
        plain["seq"], plain["cause"] = rank[fact.seq], rank[fact.cause]
        lines.append(ORDER_ID.sub("", msgspec.json.encode(plain, order="sorted").decode()))
    return lines


def _of_the_next_start(fact: f.Fact) -> bool:
    """Whether it says what nobody guards until the next start: a backtest has none."""
    return isinstance(fact, f.Noted) and fact.text.endswith("until the next start")


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
    """Two instruments, quotes and trades every second for an hour and a half; and the instruments."""
    made = SyntheticStream([BTC, ETH], seed=11, volatility="20%", duration="90m")
    return list(made.replay()), list(asyncio.run(made.instruments()))


def ticking(ticks: tuple[list[Any], list[Any]]) -> ReplayStream:
    events, instruments = ticks
    return ReplayStream.of(events, instrument=instruments)


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
    plain = VenueProfile(
        venue="plain", environment="paper", exact=True, base_currency="USDT", reduce_only=True
    )
    broker = SimulatedBroker("1_000_000 USDT", profile=plain, latency="30ms")
    facts = both(tmp_path, Dice(BTC, 4), ticking(ticks), broker=broker)
    agree(facts, f.OrderHeld, f.OrderTriggered, f.TrailMoved, f.HeldResized)


def test_breakers_of_the_market(tmp_path: Path, ticks: Any) -> None:
    """Breakers that look at prices, set so that they trip now and then, do so at the same event."""
    breakers = [
        BadTick("0.07%"),
        Correlation("50%", 5, "10s"),
        DataGap("1m"),
        FeedDisagreement(),
        Latency("1s"),
        LosingStreak(3, reset="5m"),
        LossPerTrade("0.05%", reset="1m"),
        PriceJump("0.3%", "30s"),
        Slippage("0.01%", reset="1m"),
        Spread("0.022%"),
        UnprotectedPosition("30s"),
        Volatility("0.25%", 10, "10s"),
    ]
    facts = agree(both(tmp_path, Dice(BTC, 3), ticking(ticks), plugins=breakers), f.Filled, f.BreakerReset)
    tripped = {fact.breaker for fact in facts if isinstance(fact, f.BreakerTripped)}
    assert {"BadTick", "PriceJump", "Volatility", "UnprotectedPosition"} <= tripped


def test_answers_and_sleeping(tmp_path: Path, ticks: Any) -> None:
    """While a question is out, a time that is moved by hand stands still: answers come at the same place."""
    facts = both(tmp_path, Patient(BTC), ticking(ticks))
    answers = [fact for fact in agree(facts, f.Asked, f.Answered, f.Filled) if isinstance(fact, f.Answered)]
    assert len(answers) > 200
    assert any(answer.error for answer in answers)


@pytest.mark.full
def test_latency(tmp_path: Path, ticks: Any) -> None:
    """Commands that travel 50 ms, and answers 20 ms, arrive at the same place."""
    broker = PaperBroker("1_000_000 USDT", latency="50ms", report_delay="20ms", slippage="1 tick")
    facts = both(tmp_path, [Dice(BTC, 5, allocation="50%", name="dice"), Patient(BTC, allocation="50%")],
                 ticking(ticks), broker=broker)  # fmt: skip
    agree(facts, f.Filled, f.OrderCanceled, f.Answered)


@pytest.mark.full
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


@pytest.mark.full
def test_two_streams(tmp_path: Path, ticks: Any) -> None:
    """Events of two streams at the same moment come in the order of the streams' list."""
    events, instruments = ticks
    streams = [
        ReplayStream.of([e for e in events if e.instrument == i.id], instrument=i, name=i.base)
        for i in instruments
    ]
    strategies = [Dice(BTC, 2, name="btc", allocation="40%"), Patient(ETH, name="eth", allocation="40%")]
    agree(both(tmp_path, strategies, streams[1], plugins=[streams[0], Drawdown("20%")]), f.Filled, f.Answered)


class Holder(Strategy):
    """Has a position when it ends."""

    def on_start(self) -> None:
        self.watch("BTC/USDT", quotes=True, trades=True)

    def on_quote(self, quote: Any) -> None:
        if not self.position():
            self.buy("0.5")


def test_a_run_is_worth_in_its_report_what_it_was_worth_to_its_strategy(tmp_path: Path) -> None:
    """At the end, position included: a trade between two quotes values nothing, there as here."""
    stream = SyntheticStream("BTC/USDT", seed=42, speed="max", duration="1m")
    holder = Holder()
    engine = LiveTradingEngine(holder, [PaperBroker(), stream], run=tmp_path / "run", breakers="none")
    asyncio.run(engine.run())
    [account] = digest(engine.folder).accounts.values()
    assert account.equity == pytest.approx(holder.equity, abs=1e-6)
    result = engine.backtest()
    assert account.equity == pytest.approx(result.accounts[0].equity_end, abs=1e-6)
