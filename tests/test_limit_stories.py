"""What limits are for, played through a running engine: wild strategies, fat fingers, stops in a halt, restarts."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead import ConfigurationError, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._engine.risk import last_risk
from fairlead._storage.journal import read_facts
from fairlead.testing import FakeBroker, FakeStream, VirtualClock, make_instrument, run_virtual
from fairlead_breakers import Limits

BTC = "BTC/USDT:USDT"
START = 1_700_006_400_000_000_000
HOUR = 3_600_000_000_000


class Acting(Strategy):
    """Does what a test says at the next quote, or at every one; keeps the orders."""

    def __init__(self, name: str | None = None, allocation: str | None = None) -> None:
        super().__init__(name=name, allocation=allocation)
        self.act: Callable[[Strategy], Any] | None = None
        self.always = False
        self.placed: list[Any] = []

    def on_start(self) -> None:
        self.watch(BTC, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        if self.act is not None:
            found = self.act(self)
            self.placed += found if isinstance(found, list) else [found]
            if not self.always:
                self.act = None


class Stage:
    """A running engine, its venue, its market, and what happened so far."""

    def __init__(
        self, folder: Path, limits: Limits, *strategies: Acting, broker: Any = None, later: int = 0
    ) -> None:
        self.strategies = strategies or (Acting(),)
        self.broker = broker or FakeBroker(make_instrument(BTC), cash="100_000 USDT")
        self.stream = FakeStream(*self.broker.listed, kinds=("quote",))
        self.clock = VirtualClock(START + later)
        self.engine = LiveTradingEngine(
            list(self.strategies), plugins=[self.broker, self.stream, self.clock, limits], run=folder
        )

    async def price(self, price: float) -> None:
        now = self.clock.now()
        self.stream.emit(Quote(self.stream.listed[0].id, price, price, 1_000.0, 1_000.0, now, now))
        await asyncio.sleep(0.1)

    async def do(self, act: Callable[[Strategy], Any], strategy: int = 0, price: float = 100.0) -> Any:
        chosen = self.strategies[strategy]
        chosen.act = act
        await self.price(price)
        return chosen.placed[-1]

    def play(self, story: Callable[["Stage"], Awaitable[None]]) -> list[Any]:
        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.engine.run("10m"))
                await asyncio.sleep(1)
                await self.price(100)
                await story(self)
                self.engine.stop("the story ended")
                await running

        run_virtual(both())
        return list(read_facts(self.engine.folder.journal))


def of(facts: list[Any], kind: type[Any]) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


def test_a_runaway_strategy_is_stopped_by_its_rate(tmp_path: Path) -> None:
    """Fifty orders at every quote: ten a second leave, and not one more."""

    async def story(stage: Stage) -> None:
        one = stage.strategies[0]
        one.always, one.act = True, lambda s: [s.buy("0.001") for _ in range(50)]
        for _ in range(30):
            await stage.price(100)

    facts = Stage(tmp_path / "run", Limits(max_order_rate="10/1s")).play(story)
    sent = [fact.now for fact in of(facts, f.OrderSubmitted)]
    assert 20 <= len(sent) <= 40
    assert all(sum(now - 1_000_000_000 < when <= now for when in sent) <= 10 for now in sent)


def test_a_fat_finger_is_refused_with_the_figures(tmp_path: Path) -> None:
    """A thousand times too large: by its value, its quantity and what it would make of the position."""
    limits = Limits("5_000 USDT", max_order_quantity=50, max_position_value="20_000 USDT", max_leverage=2)

    async def story(stage: Stage) -> None:
        assert not (await stage.do(lambda s: s.buy(10))).denied
        order = await stage.do(lambda s: s.buy(10_000))
        told = " ".join(order.reasons)
        for words in (
            "order value 1,000,000.00",
            "order quantity 10000",
            "position value 1,001,000.00",
            "leverage",
        ):
            assert words in told

    facts = Stage(tmp_path / "run", limits).play(story)
    assert len(of(facts, f.OrderSubmitted)) == 1


def test_a_margin_account_fifty_times_over_its_limit_may_only_get_smaller(tmp_path: Path) -> None:
    """The limit is tightened far below what is held: nothing is added, all of it can be closed."""
    limits = Limits(max_leverage=5, max_margin="50%")

    async def story(stage: Stage) -> None:
        assert not (await stage.do(lambda s: s.buy(5_000))).denied
        stage.engine.limit("max_leverage", "0.1", "calmer")
        stage.engine.limit("max_margin", "1%", "calmer")
        assert (await stage.do(lambda s: s.buy("0.001"))).denied
        assert (await stage.do(lambda s: s.sell(10_000))).denied
        assert not (await stage.do(lambda s: s.sell(100))).denied
        assert not (await stage.do(lambda s: s.close())).denied
        assert stage.engine.positions() == []

    Stage(tmp_path / "run", limits).play(story)


def test_two_strategies_on_opposite_sides_keep_to_their_own_budgets(tmp_path: Path) -> None:
    """Together they are flat, and neither grows beyond its own; they do not trade with each other."""
    budgets = {name: {"max_exposure": "1_000 USDT"} for name in ("long", "short")}
    limits = Limits(max_leverage=1, strategies=budgets)
    pair = (Acting("long", "50%"), Acting("short", "50%"))

    async def story(stage: Stage) -> None:
        assert not (await stage.do(lambda s: s.buy(10))).denied
        assert not (await stage.do(lambda s: s.sell(10), 1)).denied
        assert "(strategy long)" in (await stage.do(lambda s: s.buy(1))).reasons[0]
        assert "(strategy short)" in (await stage.do(lambda s: s.sell(1), 1)).reasons[0]
        assert not (await stage.do(lambda s: s.sell(2, limit_price=101))).denied
        crossing = await stage.do(lambda s: s.buy(2, limit_price=102), 1)
        assert "would cross your own sell" in crossing.reasons[0]

    Stage(tmp_path / "run", limits, *pair).play(story)


def test_reduce_only_beyond_the_position_is_refused_and_up_to_it_passes(tmp_path: Path) -> None:
    """Whatever else speaks against orders by then."""
    limits = Limits(max_position_quantity=10, restricted=["ETH/USDT"])

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(10))
        stage.engine.limit("max_position_quantity", 1, "calmer")
        more = await stage.do(lambda s: s.sell(11, reduce_only=True))
        assert "would do more than reduce 10" in more.reasons[0]
        assert not (await stage.do(lambda s: s.sell(10, reduce_only=True))).denied
        assert stage.engine.positions() == []

    Stage(tmp_path / "run", limits).play(story)


def test_a_stop_that_the_engine_holds_fires_in_a_halt_and_through_every_limit(tmp_path: Path) -> None:
    """The venue has no stops; trading is halted; the rate is spent, and the position too large by now."""
    limits = Limits(
        "100_000 USDT", max_order_rate="1/1h", max_identical="1/1h", price_collar="1%", max_open_orders=1
    )

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(10, stop_loss=90))
        stage.engine.limit("max_order_value", "100 USDT", "calmer")
        stage.engine.halt("news")
        await stage.price(80)
        assert stage.engine.positions() == []

    facts = Stage(tmp_path / "run", limits).play(story)
    assert [fact.intent.reduce_only for fact in of(facts, f.OrderSubmitted)] == [False, True]


def test_a_restart_keeps_a_trip_and_a_changed_limit(tmp_path: Path) -> None:
    """Halted after three executions, by a limit that was tightened: the next engine begins so, until a reset."""

    def limits() -> Limits:
        return Limits("50_000 USDT", max_executions=3)

    async def first(stage: Stage) -> None:
        stage.engine.limit("max_order_value", "2_000 USDT", "calmer")
        for _ in range(3):
            assert not (await stage.do(lambda s: s.buy(1))).denied
        assert (await stage.do(lambda s: s.buy(1))).denied

    async def second(stage: Stage) -> None:
        told = " ".join((await stage.do(lambda s: s.buy(30))).reasons)
        assert "trading is halted" in told
        assert "above 2,000.00 USDT" in told
        with pytest.raises(ConfigurationError, match="confirm"):
            stage.engine.limit("max_order_value", "50_000 USDT", "more")
        stage.engine.reset("Limits", "looked at it")
        assert not (await stage.do(lambda s: s.buy(1))).denied
        assert (await stage.do(lambda s: s.buy(30))).denied

    stage = Stage(tmp_path / "run", limits())
    stage.play(first)
    Stage(tmp_path / "run", limits(), broker=stage.broker, later=HOUR).play(second)


def test_a_snapshot_of_the_risk_is_kept_every_thirty_seconds(tmp_path: Path) -> None:
    """One a line, and the last one at the end."""

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(10))
        await asyncio.sleep(95)

    stage = Stage(tmp_path / "run", Limits(max_leverage=2))
    stage.play(story)
    lines = (tmp_path / "run" / "risk.jsonl").read_text().splitlines()
    assert len(lines) == 4
    (account,) = last_risk(tmp_path / "run")["accounts"]
    assert (account["exposure"], account["limits"][0]["used"]) == ("1000", "0.005")
