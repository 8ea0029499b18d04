"""Every breaker trips at the same events in a backtest, in the running engine, in a replay and after a restart.

Each has a row: how it is set so that the market here, or what a test does to the engine, trips it. A breaker without
a row fails.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from stage import CASH, HOUR, Scripted, Stage, of, outcomes, real_time
from stage import START as MIDNIGHT

import fairlead_breakers
from fairlead import LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine.replay import replay
from fairlead._storage.journal import read_facts
from fairlead.ports import CircuitBreaker, StreamDown
from fairlead.testing import MARKET_AND_LIMIT, FakeBroker, lose, make_instrument
from fairlead.units import SECOND
from fairlead_breakers import (
    BadTick,
    ClockSkew,
    Cooldown,
    Correlation,
    DailyLoss,
    DataGap,
    Disconnect,
    Drawdown,
    FeedDisagreement,
    FillRate,
    KernelLag,
    Latency,
    Limits,
    LosingStreak,
    LossPerTrade,
    LowProfitInstrument,
    Manual,
    Mismatch,
    OrderErrors,
    OrderRate,
    PriceJump,
    RejectRate,
    RollingLoss,
    Slippage,
    Spread,
    StaleData,
    StopLossGuard,
    UnprotectedPosition,
    Volatility,
)
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

pytestmark = pytest.mark.full

# --- a market in which everything happens twice -----------------------------------------------------------------

BTC, ETH = make_instrument("BTC/USDT:USDT", "a"), make_instrument("ETH/USDT:USDT", "a")
OTHER = make_instrument("BTC/USDT:USDT", "b")
BLOCKS = (60, 980)
"""At which seconds it begins to happen; the engine is stopped between the two, and a new day begins."""
START, RESTART, AGAIN, END = MIDNIGHT - 900 * SECOND, 780, 960, 1_600
EVERY = 2


def market() -> list[Quote]:
    """Quotes of three instruments every two seconds: two venues and a second market that moves along."""
    dice, price, quotes = random.Random(3), 40_000.0, list[Quote]()
    for second in range(0, END, EVERY):
        since = second - max((begin for begin in BLOCKS if begin <= second), default=0)
        falling = 400 <= since < 520
        price *= 1 + dice.gauss(0, 0.0001) - (0.0014 if falling else 0) + (0.03 if since == 300 else 0)
        now = START + second * SECOND
        spread = 0.005 if 60 <= since < 66 else 0.00005
        event = now - 8 * SECOND if 100 <= since < 108 else now + 3 * SECOND if since in (140, 142) else now
        shown = price * 1.3 if since == 20 else price
        if not 92 <= since < 100:  # eight seconds of them come later
            quotes.append(quote(BTC.id, shown, spread, event, now))
        quotes.append(quote(OTHER.id, price * (1.03 if 340 <= since < 360 else 1), 0.00005, now, now))
        if not 180 <= since < 260:
            quotes.append(quote(ETH.id, price / 20, 0.00005, now, now))
    return quotes


def quote(name: str, price: float, spread: float, event: int, now: int) -> Quote:
    return Quote(name, round(price * (1 - spread), 1), round(price * (1 + spread), 1), 50.0, 50.0, event, now)


class Clockwork(Strategy):
    """Acts by the second alone, so that a restart changes nothing of what it does."""

    def on_start(self) -> None:
        for one in (BTC, ETH, OTHER):
            self.watch(one.id, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        second = (quote.received_ns - START) // SECOND
        begin = max((begin for begin in BLOCKS if begin <= second), default=END)
        if quote.instrument == BTC.id and (second < RESTART or second >= AGAIN):
            self.act(second - begin, self.price(BTC.id) or 0.0)

    def act(self, since: int, price: float) -> None:
        if since % 20 == 8:
            self.buy("0.5", instrument=BTC.id, stop_loss=price * 0.997)
        elif since % 20 == 18:
            self.close(BTC.id)
        elif since == 30:
            self.buy(2, instrument=ETH.id)
        elif since == 380:
            self.close(ETH.id)
        elif since in (264, 266, 270, 272):
            self.buy("0.1", instrument=BTC.id, limit_price=price * 1.01, post_only=True)
        elif since in (280, 282, 284, 286):
            self.buy("0.1", instrument=BTC.id, limit_price=price * 0.9)
        elif since == 294:
            for order in self.orders():
                if not order.intent.exits:
                    self.cancel(order)
        elif since == 320:
            for _ in range(8):
                self.buy("0.01", instrument=BTC.id)


MARKET = market()
TRIPPED: dict[str, Callable[[], CircuitBreaker]] = {
    "BadTick": lambda: BadTick("10%"),
    "ClockSkew": lambda: ClockSkew("1s"),
    "Cooldown": lambda: Cooldown("30s"),
    "Correlation": lambda: Correlation("80%", 10, "10s"),
    "DailyLoss": lambda: DailyLoss("800 USDT", reset="next_day"),
    "DataGap": lambda: DataGap("1m"),
    "Drawdown": lambda: Drawdown("2%"),
    "FeedDisagreement": lambda: FeedDisagreement("1%"),
    "FillRate": lambda: FillRate("70%", 8, reset="1m"),
    "Latency": lambda: Latency("5s"),
    "Limits": lambda: Limits(max_executions=80),
    "LosingStreak": lambda: LosingStreak(3, reset="1m"),
    "LossPerTrade": lambda: LossPerTrade("0.2%", reset="1m"),
    "LowProfitInstrument": lambda: LowProfitInstrument("0%", 3, "2m", reset="1m"),
    "OrderRate": lambda: OrderRate(6, "1s", reset="1m"),
    "PriceJump": lambda: PriceJump("2%", "1m"),
    "RejectRate": lambda: RejectRate(3, "1m", reset="1m"),
    "RollingLoss": lambda: RollingLoss("300 USDT", "5m", reset="1m"),
    "Slippage": lambda: Slippage("0.04%", 3, reset="1m"),
    "Spread": lambda: Spread("0.5%"),
    "StaleData": lambda: StaleData("30s"),
    "StopLossGuard": lambda: StopLossGuard(2, "2m", reset="1m"),
    "UnprotectedPosition": lambda: UnprotectedPosition("10s"),
    "Volatility": lambda: Volatility("1%", 10, "10s"),
}
"""What the market or the strategy's own trades trip."""


def engine_of(name: str, folder: Path, events: Sequence[Quote], broker: PaperBroker) -> LiveTradingEngine:
    stream = ReplayStream.of(events, instrument=[BTC, ETH, OTHER])
    return LiveTradingEngine(Clockwork(), plugins=[broker, stream, TRIPPED[name]()], run=folder)


def late(facts: Iterable[Any]) -> list[tuple[Any, ...]]:
    """What was decided well after the restart."""
    return [one for one in outcomes(facts) if one[0] >= START + AGAIN * SECOND]


@pytest.mark.parametrize("name", sorted(TRIPPED))
def test_it_trips_at_the_same_events(tmp_path: Path, name: str) -> None:
    """Backtest, running engine, replay of that from journal and tape, and an engine that was started anew half-way."""
    broker = PaperBroker("100_000 USDT", slippage="5 bp")
    engine = engine_of(name, tmp_path / "run", MARKET, broker)
    tested = outcomes(engine.backtest().facts())
    asyncio.run(engine.run())
    assert outcomes(read_facts(engine.folder.journal)) == tested
    assert replay(engine).first_difference is None

    split = next(n for n, event in enumerate(MARKET) if event.received_ns >= START + RESTART * SECOND)
    for events in (MARKET[:split], MARKET[split:]):
        broker = PaperBroker("100_000 USDT", slippage="5 bp")
        again = engine_of(name, tmp_path / "again", events, broker)
        asyncio.run(again.run())
    facts = list(read_facts(again.folder.journal))
    assert len(of(facts, f.EngineStarted)) == 2
    expected = [one for one in tested if one[0] >= START + AGAIN * SECOND]
    assert late(facts) == expected
    said = [
        one
        for one in expected
        if one[1] == name or any(name in reason for reason in one[-1] if one[1] == "OrderDenied")
    ]
    assert said, "nothing of it was seen after the restart"


# --- what no market brings about --------------------------------------------------------------------------------


async def hold_up(stage: Stage, breaker: Any) -> None:
    """Something blocks the loop for three seconds."""
    asyncio.get_running_loop()._now_ns += 3 * SECOND  # type: ignore[attr-defined]
    await asyncio.sleep(2)


async def disconnect(stage: Stage, breaker: Any) -> None:
    """The private stream goes away, and comes back."""
    stage.broker.emit(StreamDown(reason="reset by peer"))
    await asyncio.sleep(15)


async def call(stage: Stage, breaker: Any) -> None:
    """Somebody's own code trips it."""
    breaker.trip("news")
    await asyncio.sleep(2)


async def drift(stage: Stage, breaker: Any) -> None:
    """A position moves without a trade."""
    stage.broker.positions[stage.broker.listed[0].id] = Decimal(5)
    stage.engine.reconcile("to see")
    await asyncio.sleep(30)


async def lose_answers(stage: Stage, breaker: Any) -> None:
    """Three orders in a row get lost."""
    stage.broker.answers += [lose(arrived=False)] * 3
    for _ in range(3):
        await stage.price(100)
    await asyncio.sleep(30)


Cause = Callable[[Stage, Any], Awaitable[None]]
CAUSED: dict[str, tuple[Callable[[], CircuitBreaker], Cause]] = {
    "Disconnect": (lambda: Disconnect("5s"), disconnect),
    "KernelLag": (lambda: KernelLag("1s"), hold_up),
    "Manual": (Manual, call),
    "Mismatch": (lambda: Mismatch("minor"), drift),
    "OrderErrors": (lambda: OrderErrors(3), lose_answers),
}
"""What venues, machines and people trip: a backtest has none of them."""


def trips(facts: Iterable[Any]) -> list[tuple[Any, ...]]:
    facts = list(facts)
    begin = next(fact.now for fact in facts if isinstance(fact, f.EngineStarted))
    return [(fact.now - begin, fact.reason, fact.scope, fact.state) for fact in of(facts, f.BreakerTripped)]


@pytest.mark.parametrize("name", sorted(CAUSED))
def test_it_trips_at_what_is_done_to_the_engine(tmp_path: Path, name: str) -> None:
    """Running, in a replay of that, and the same way again after a restart; in a backtest nothing is done to it."""
    make, cause = CAUSED[name]
    profile = attrs.evolve(MARKET_AND_LIMIT, exact=name != "Mismatch", query_lag_ns=0)
    told = []
    for hours in (0, 1):
        broker = FakeBroker(make_instrument(), cash=CASH, profile=profile)
        breaker = make()
        clock = real_time(MIDNIGHT + hours * HOUR)
        buys = Scripted([(number, "buy", {"quantity": 1}) for number in (2, 3, 4)])
        stage = Stage(tmp_path / "run", breaker, buys, broker=broker, clock=clock)

        async def story(stage: Stage, breaker: Any = breaker) -> None:
            await cause(stage, breaker)
            stage.engine.reset(name, "seen")

        told.append(stage.play(story, agrees=False))
    assert trips(told[0]) == trips(told[1])
    assert len(trips(told[0])) == 1
    difference = replay(stage.engine).first_difference
    if name == "Manual":  # nobody calls it there
        assert difference is not None
        assert isinstance(difference.journal, f.BreakerTripped)
    else:
        assert difference is None

    data = ReplayStream.of(stage.quotes, instrument=stage.broker.listed)
    plugins = [PaperBroker("100_000 USDT"), data, make()]
    tested = LiveTradingEngine(buys, plugins=plugins, run=tmp_path / "tested").backtest()
    assert not of(list(tested.facts()), f.BreakerTripped)


def test_every_breaker_has_a_row() -> None:
    """A new one is proved here, or this fails."""
    assert sorted([*TRIPPED, *CAUSED]) == fairlead_breakers.__all__
