"""Backtest, live engine and replay agree: markets, venues, delays and strategies thrown together by dice."""

import asyncio
import os
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stories import BTC, ETH, Dice, Patient, Wanderer

from fairlead import LiveTradingEngine
from fairlead import facts as f
from fairlead._engine.replay import replay
from fairlead._kernel.unfinished import Unfinished
from fairlead._storage.journal import read_facts
from fairlead.ports import VenueProfile
from fairlead_breakers import DailyLoss, Drawdown, Limits, StaleData
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream, SyntheticStream

pytestmark = pytest.mark.prove

APART = (
    f.EngineStarted, f.EngineStopping, f.EngineStopped, f.StrategiesStarted, f.StrategiesStopped, f.StreamChanged
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_bar_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backtest has no next start to keep bars in progress for: apart from that both number facts alike."""
    monkeypatch.setattr(Unfinished, "keep", lambda self: None)


ORDER_ID = re.compile(r"\b[0-9a-f]{8}(?=[0-9a-f]{24}\b)")
ROUNDS = {"full": 300, "ci": 20}.get(os.environ.get("FAIRLEAD_PROVE", ""), 20)


def comparable(facts: list[Any]) -> list[str]:
    """Facts without namespace and epoch; their numbers stay, for even those are the same."""
    kept = [fact for fact in facts if not isinstance(fact, APART) and not _of_the_next_start(fact)]
    return [ORDER_ID.sub("", msgspec.json.encode(msgspec.to_builtins(fact)).decode()) for fact in kept]


def _of_the_next_start(fact: Any) -> bool:
    """Whether it says what nobody guards until the next start: a backtest has none."""
    return isinstance(fact, f.Noted) and fact.text.endswith("until the next start")


def thrown(dice: random.Random, folder: Path) -> LiveTradingEngine:
    """An engine by dice, on data in memory."""
    seed = dice.randrange(1_000_000)
    made = SyntheticStream(
        [BTC, ETH],
        seed=seed,
        volatility=dice.choice(["5%", "25%", "80%"]),
        every=dice.choice(["1s", "250ms"]),
        duration="40m",
        faults=["gap", "duplicate", "bad_tick"],
    )
    stream = ReplayStream.of(made.replay(), instrument=asyncio.run(made.instruments()))
    broker = PaperBroker(
        "1_000_000 USDT",
        latency=dice.choice(["0ms", "30ms", "1s", "7s"]),
        report_delay=dice.choice(["0ms", "20ms", "3s"]),
        slippage=dice.choice([None, "2 bp"]),
    )
    if dice.random() < 0.5:
        broker.profile = VenueProfile(
            venue="plain",
            environment="paper",
            exact=True,
            base_currency="USDT",
            reduce_only=dice.random() < 0.7,
        )
    strategies = [
        Dice(dice.choice([BTC, ETH]), seed, name="one", allocation="30%"),
        Dice(BTC, seed + 1, name="two", allocation="20%"),
        Patient(dice.choice([BTC, ETH]), name="patient", allocation="20%"),
        Wanderer(BTC, ETH, name="wanderer", allocation="20%"),
    ]
    breakers = [
        Limits(max_order_value="300_000 USDT", max_leverage=2),
        Drawdown("3%"),
        DailyLoss("30_000 USDT"),
        StaleData(after="5s"),
    ]
    chosen = dice.sample(strategies, dice.randint(1, len(strategies)))
    return LiveTradingEngine(chosen, plugins=[broker, stream, *breakers], run=folder)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_all_three_agree(tmp_path: Path, seed: int) -> None:
    """The same facts from all, numbers included; the replay byte for byte."""
    engine = thrown(random.Random(seed), tmp_path / "run")
    tested = comparable(list(engine.backtest().facts()))
    asyncio.run(asyncio.wait_for(engine.run(), 100))
    traded = comparable(list(read_facts(engine.folder.journal)))
    for one, other in zip(tested, traded, strict=False):
        assert one == other
    assert len(tested) == len(traded) > 50
    replayed = replay(engine)
    assert replayed.first_difference is None, str(replayed.first_difference)
