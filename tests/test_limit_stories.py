"""What limits are for, played through a running engine: wild strategies, fat fingers, stops in a halt, restarts."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from stage import HOUR, Stage, of, tell

from fairlead import ConfigurationError
from fairlead import facts as f
from fairlead._engine.risk import last_risk
from fairlead_breakers import Limits, OrderRate


def test_a_runaway_strategy_is_stopped_by_its_rate(tmp_path: Path) -> None:
    """Fifty orders at every quote: ten a second leave, and not one more; in a backtest the same ones."""
    script = [(number, "buy", {"quantity": "0.001"}) for number in range(2, 32) for _ in range(50)]
    facts, stage = tell(tmp_path, lambda: [Limits(max_order_rate="10/1s")], [100] * 31, script)
    sent = [fact.now for fact in of(facts, f.OrderSubmitted)]
    assert 20 <= len(sent) <= 40
    assert all(sum(now - 1_000_000_000 < when <= now for when in sent) <= 10 for now in sent)
    assert stage.held == Decimal("0.001") * len(sent)


def test_a_runaway_strategy_is_stopped_for_good_by_a_breaker(tmp_path: Path) -> None:
    """Where a rate beyond belief trips: what came before it stands, nothing follows but what reduces."""
    script = [(number, "buy", {"quantity": 1}) for number in range(2, 32) for _ in range(4)]
    script += [(40, "buy", {"quantity": 1}), (41, "sell", {"quantity": 20})]
    facts, stage = tell(tmp_path, lambda: [OrderRate(30, "1s")], [100] * 42, script)
    (trip,) = of(facts, f.BreakerTripped)
    assert (trip.scope, trip.state) == ("strategy:s0", "reduce_only")
    assert [submit.intent.side for submit in stage.broker.submits] == ["buy"] * 28 + ["sell"]
    assert stage.held == 8


def test_what_trips_a_rate_takes_its_whole_burst_back(tmp_path: Path) -> None:
    """Fifty orders in one breath: none of them is on the wire yet when the last one trips, so none goes."""
    facts, stage = tell(
        tmp_path, lambda: [OrderRate(30, "1s")], [100] * 3, [(2, "buy", {"quantity": 1}) for _ in range(50)]
    )
    assert len(of(facts, f.BreakerTripped)) == 1
    assert not stage.broker.submits


def test_a_fat_finger_is_refused_with_the_figures(tmp_path: Path) -> None:
    """A thousand times too large: by its value, its quantity and what it would make of the position."""

    def limits():
        return [Limits("5_000 USDT", max_order_quantity=50, max_position_value="20_000 USDT", max_leverage=2)]

    script = [(2, "buy", {"quantity": 10}), (3, "buy", {"quantity": 10_000})]
    facts, stage = tell(tmp_path, limits, [100] * 4, script)
    (denied,) = of(facts, f.OrderDenied)
    told = " ".join(denied.reasons)
    for words in (
        "order value 1,000,000.00",
        "order quantity 10000",
        "position value 1,001,000.00",
        "leverage",
    ):
        assert words in told
    assert stage.held == 10


def test_a_fat_fingered_price_is_refused(tmp_path: Path) -> None:
    """A buy at ten times the market, and a sale at a tenth of it, would trade at once at any price."""
    script = [
        (2, "buy", {"quantity": 1, "limit_price": 1_000}),
        (3, "sell", {"quantity": 1, "limit_price": 10}),
        (4, "buy", {"quantity": 1, "limit_price": "100.5"}),
    ]
    facts, stage = tell(tmp_path, lambda: [Limits(price_collar="1%")], [100] * 5, script)
    assert len(of(facts, f.OrderDenied)) == 2
    assert [order.submit.intent.limit_price for order in stage.broker.working.values()] == [Decimal("100.5")]


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
    budgets = {name: {"max_exposure": "1_000 USDT"} for name in ("s0", "s1")}
    scripts = [
        [
            (2, "buy", {"quantity": 10}),
            (4, "buy", {"quantity": 1}),
            (6, "sell", {"quantity": 2, "limit_price": 101}),
        ],
        [
            (3, "sell", {"quantity": 10}),
            (5, "sell", {"quantity": 1}),
            (7, "buy", {"quantity": 2, "limit_price": 102}),
        ],
    ]
    limits = lambda: [Limits(max_leverage=1, strategies=budgets)]  # noqa: E731
    facts, stage = tell(tmp_path, limits, [100] * 8, *scripts)
    denied = [fact.reasons[0] for fact in of(facts, f.OrderDenied)]
    for reason, words in zip(
        denied, ["(strategy s0)", "(strategy s1)", "would cross your own sell"], strict=True
    ):
        assert words in reason
    assert stage.held == 0
    assert [fact.fill.strategy for fact in of(facts, f.Filled)] == ["s0", "s1"]


def test_reduce_only_beyond_the_position_is_refused_and_up_to_it_passes(tmp_path: Path) -> None:
    """Whatever else speaks against orders by then."""
    limits = Limits(max_position_quantity=10)

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
