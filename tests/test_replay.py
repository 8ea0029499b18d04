"""Replay: journal and tape through a fresh kernel give the same facts again, byte for byte."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stories import BTC, ETH, Cross, Dice, Patient, Wanderer

from fairlead import ConfigurationError, LiveTradingEngine
from fairlead import facts as f
from fairlead._engine.replay import Replayed, replay
from fairlead._storage.journal import Journal, read_facts
from fairlead.ports import VenueProfile
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_sim import SimulatedBroker
from fairlead_streams import SyntheticStream


def paper(*, plain: bool = False, **settings: Any) -> SimulatedBroker:
    """An account on paper; a plain venue has market and limit orders only."""
    broker = PaperBroker("1_000_000 USDT", **settings)
    if plain:
        broker.profile = VenueProfile(
            venue="plain", environment="paper", exact=True, base_currency="USDT", reduce_only=True
        )
    return broker


def strategies() -> list[Any]:
    return [
        Dice(BTC, 3, name="dice", allocation="30%"),
        Patient(BTC, name="patient", allocation="30%"),
        Cross(ETH, 2, 5, name="cross", allocation="20%"),
        Wanderer(BTC, ETH, name="wanderer", allocation="10%"),
    ]


def engine(path: Path, stream: SyntheticStream, broker: Any, *, traders: Any = None) -> LiveTradingEngine:
    breakers = [
        Limits(max_order_value="400_000 USDT", max_leverage=2),
        DailyLoss("20_000 USDT"),
        Drawdown("5%"),
        StaleData(after="5s"),
    ]
    return LiveTradingEngine(traders or strategies(), plugins=[broker, stream, *breakers], run=path / "run")


def same(result: Replayed) -> Replayed:
    assert result.first_difference is None, str(result.first_difference)
    return result


@pytest.mark.full
@pytest.mark.parametrize("plain", [False, True], ids=["all orders at the venue", "held by the engine"])
def test_a_paper_session(tmp_path: Path, plain: bool) -> None:
    """Orders of every kind, answers, timers and breakers come out again, over a day's end and a restart."""

    def run(until: str) -> LiveTradingEngine:
        stream = SyntheticStream(
            [BTC, ETH], seed=5, volatility="40%", speed="max", start="2024-01-01T23:30+00:00"
        )
        trader = engine(tmp_path, stream, paper(plain=plain, latency="30ms"))
        asyncio.run(asyncio.wait_for(trader.run(until), 50))
        return trader

    run("45m")
    trader = run("20m")
    journal = list(read_facts(trader.folder.journal))
    result = same(replay(trader))
    assert result.starts == 2
    assert [f.encode(fact) for fact in result.facts] == [f.encode(fact) for fact in journal]
    seen = {type(fact) for fact in journal}
    wanted = {
        f.Filled,
        f.Answered,
        f.TimerFired,
        f.DayStarted,
        f.OrderDenied,
        f.StrategySaved,
        f.OrderCanceled,
    }
    assert wanted | ({f.OrderTriggered, f.TrailMoved} if plain else set()) <= seen


@pytest.mark.full
def test_a_session_in_real_time(tmp_path: Path) -> None:
    """On the clock on the wall, where timers and answers come when they come, the order of inputs decides."""
    stream = SyntheticStream([BTC, ETH], seed=5, volatility="90%", every="10ms")
    trader = engine(tmp_path, stream, paper(plain=True, latency="3ms", report_delay="1ms"), traders=[
        Hasty(BTC, 3, name="hasty", allocation="40%"), Patient(BTC, name="patient", allocation="30%"),
    ])  # fmt: skip

    async def session() -> None:
        running = asyncio.create_task(trader.run("2500ms"))
        await asyncio.sleep(0.8)
        trader.pause("to see it in the journal", scope="strategy:patient")
        await asyncio.sleep(0.4)
        trader.resume("seen", scope="strategy:patient")
        trader.halt("a look at the market")
        trader.resume("looked")
        assert trader._session is not None
        trader._session._stalled("a note from outside of the kernel", "")
        await running

    asyncio.run(asyncio.wait_for(session(), 20))
    result = same(replay(trader))
    seen = {type(fact) for fact in result.facts}
    assert any(isinstance(fact, f.Noted) and fact.source == "stall" for fact in result.facts)
    assert {f.Commanded, f.Filled, f.TimerFired, f.Answered, f.OrderTriggered} <= seen
    assert result.events > 300


def test_a_difference_is_found(tmp_path: Path) -> None:
    """A journal that says anything else is found out at the first fact that differs."""
    stream = SyntheticStream([BTC, ETH], seed=5, speed="max")
    trader = engine(tmp_path, stream, paper())
    asyncio.run(trader.run("20m"))
    facts = list(read_facts(trader.folder.journal))
    noted = next(fact for fact in facts[len(facts) // 2 :] if isinstance(fact, f.Noted))
    for segment in trader.folder.journal.iterdir():
        segment.unlink()
    journal = Journal.open(trader.folder.journal, boot_id="", sync_behind=False)
    for fact in facts:
        journal.append([msgspec.structs.replace(fact, text="otherwise") if fact is noted else fact])
    journal.close()
    found = replay(trader).first_difference
    assert found is not None
    assert found.seq == noted.seq
    assert "otherwise" in str(found.journal)
    assert found.replayed == noted


def test_another_script_is_refused(tmp_path: Path) -> None:
    """A run can only be decided again by the strategies that decided it."""
    stream = SyntheticStream([BTC, ETH], seed=5, speed="max")
    asyncio.run(engine(tmp_path, stream, paper()).run("5m"))
    other = engine(tmp_path, stream, paper(), traders=[Dice(BTC, 4, name="dice")])
    with pytest.raises(ConfigurationError, match="with the script that ran"):
        replay(other)
    with pytest.raises(ConfigurationError, match="nothing to replay"):
        replay(other, tmp_path / "elsewhere")


class Hasty(Dice):
    """Dice on a market of milliseconds."""

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["50ms", "250ms"], quotes=True, trades=True)
        self.every("20ms", self.tick)
        self.every("70ms", name="seventy")

    def on_bar(self, bar: Any) -> None:
        super().on_bar(msgspec.structs.replace(bar, interval="1m" if bar.interval == "50ms" else "5m"))
