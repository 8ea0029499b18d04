"""What breakers are for, played through a running engine: false prices, broken breakers, midnight, restarts."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from stage import BTC, CASH, HOUR, START, Stage, of, real_time, tell

from fairlead import OrderIntent, OrderStatus, TradingState
from fairlead import facts as f
from fairlead.ports import Trip, View
from fairlead.testing import MARKET_AND_LIMIT, FakeBroker, VirtualClock, make_instrument
from fairlead.units import MINUTE
from fairlead_breakers import BadTick, ClockSkew, DailyLoss, Drawdown, Limits

NEW_YORK = attrs.evolve(MARKET_AND_LIMIT, zone="America/New_York")
MIDNIGHT = 5 * HOUR
"""Of New York, after the start of the stage: it is winter."""


# --- prices that cannot be true ---------------------------------------------------------------------------------


def test_a_bad_tick_opens_nothing_and_is_forgotten(tmp_path: Path) -> None:
    """A tenth of the price for one tick: whoever buys the dip, or adds, is refused until three good ones came."""
    prices: list[Any] = [100, 100.5, 100, 100, 10, 100, 100.2, 100.1, 100]
    script = [
        (4, "buy", {"quantity": 1}),
        (5, "buy", {"quantity": 100}),
        (6, "buy", {"quantity": 1}),
        (7, "sell", {"quantity": "0.5"}),
        (9, "buy", {"quantity": 2}),
    ]
    facts, stage = tell(tmp_path, lambda: [BadTick("10%")], prices, script)
    (trip,), (reset,) = of(facts, f.BreakerTripped), of(facts, f.BreakerReset)
    assert "price 10 of" in trip.reason
    assert (trip.now, reset.now) == (stage.quotes[4].received_ns, stage.quotes[8].received_ns)
    assert [d.intent.quantity for d in of(facts, f.OrderDenied)] == [100, 1]
    assert stage.held == Decimal("2.5")


# --- breakers that are broken -----------------------------------------------------------------------------------


class Faulty:
    """Works until a test breaks it."""

    name = "Faulty"

    def __init__(self, *, check: bool = False, watch: bool = False) -> None:
        self.breaks = {"check": check, "watch": watch}
        self.wants = (f.Filled,)

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        if self.breaks["check"]:
            raise ZeroDivisionError("division by zero")
        return None

    def watch(self, item: object, view: View) -> Trip | None:
        if self.breaks["watch"]:
            raise KeyError("no such thing")
        return None


def test_a_breaker_that_raises_in_a_check_lets_nothing_pass(tmp_path: Path) -> None:
    """Nobody can say what it would have said: each order is refused, and says whose fault that is."""
    script = [
        (2, "buy", {"quantity": 1}),
        (3, "sell", {"quantity": 1}),
        (4, "buy", {"quantity": 1, "limit_price": 90}),
    ]
    facts, stage = tell(tmp_path, lambda: [Limits("5_000 USDT"), Faulty(check=True)], [100] * 5, script)
    assert [d.reasons for d in of(facts, f.OrderDenied)] == [
        ("Faulty failed: ZeroDivisionError: division by zero",)
    ] * 3
    assert not stage.broker.commands


def test_a_stop_that_a_broken_breaker_refuses_is_tried_again(tmp_path: Path) -> None:
    """It is said aloud and stays held; as soon as somebody can judge it, it goes out and closes the position."""
    breaker = Faulty()

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(10, stop_loss=90))
        breaker.breaks["check"] = True
        await stage.price(80)
        assert stage.held == 10
        breaker.breaks["check"] = False
        await asyncio.sleep(10)
        assert stage.held == 0

    facts = Stage(tmp_path / "run", breaker).play(story)
    assert any(
        "protects a position, is refused and stays held: Faulty failed" in n.text for n in of(facts, f.Noted)
    )


def test_a_breaker_that_raises_in_a_watch_has_tripped(tmp_path: Path) -> None:
    """What it should have seen may have happened: the engine only reduces, until a person says otherwise."""
    script = [
        (2, "buy", {"quantity": 10}),
        (3, "buy", {"quantity": 1}),
        (4, "sell", {"quantity": 4}),
        (5, "buy", {"quantity": 1}),
    ]
    facts, stage = tell(tmp_path, lambda: [Faulty(watch=True)], [100] * 6, script)
    (trip,) = of(facts, f.BreakerTripped)
    assert (trip.scope, trip.state) == ("engine", TradingState.REDUCE_ONLY)
    assert "KeyError" in trip.reason
    assert len(of(facts, f.OrderDenied)) == 2
    assert stage.held == 6


# --- midnight ---------------------------------------------------------------------------------------------------


def daily_loss() -> list[DailyLoss]:
    return [DailyLoss("1_000 USDT", reset="next_day")]


def test_each_midnight_begins_one_day_and_resets_once(tmp_path: Path) -> None:
    """From ten minutes before midnight in New York to ten after it, then two quiet days: one reset for each loss.

    The midnight of UTC, hours earlier, is none for this account.
    """
    day_of_silence = 24 * 3_600
    prices: list[Any] = [100, (100, 1), (80, 3_600), (80, 2_990), (80, 1_200), (80, 5), (60, 1), (60, 30)]
    prices += [(60, 2 * day_of_silence), (60, 120), (60, 1)]
    script = [(number, "buy", {"quantity": 100}) for number in (2, 6)]
    script += [(number, "buy", {"quantity": 1}) for number in (4, 5, 8, 10, 11)]
    facts, stage = tell(tmp_path, daily_loss, prices, script, profile=NEW_YORK, later=MIDNIGHT - 2 * HOUR)
    days = of(facts, f.DayStarted)
    assert [day.day for day in days] == ["2023-11-14", "2023-11-15", "2023-11-16", "2023-11-17"]
    trips, resets = of(facts, f.BreakerTripped), of(facts, f.BreakerReset)
    assert (len(trips), len(resets)) == (2, 2)
    for reset, day in zip(resets, days[1:], strict=False):
        assert day.now == START + MIDNIGHT + (days.index(day) - 1) * 24 * HOUR
        assert day.now <= reset.now <= day.now + MINUTE
    assert [denied.now for denied in of(facts, f.OrderDenied)] == [
        stage.quotes[n].received_ns for n in (3, 4, 7)
    ]


class Jumping(VirtualClock):
    """A clock that a test moves on while everything else is held up."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return super().call_at(when_ns - self.ahead, callback)


@pytest.mark.parametrize("jump", [20 * MINUTE, 3 * 24 * HOUR], ids=["twenty_minutes", "three_days"])
def test_a_jump_over_midnight_resets_once(tmp_path: Path, jump: int) -> None:
    """An engine held up over midnight, or over three, wakes up once: nothing is open in between, and one reset."""
    clock = Jumping(START + MIDNIGHT - 10 * MINUTE)
    broker = FakeBroker(make_instrument(BTC), cash=CASH, profile=NEW_YORK)
    stage = Stage(tmp_path / "run", daily_loss(), broker=broker, clock=clock)

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(100))
        await stage.price(80)
        assert (await stage.do(lambda s: s.buy(1), price=80)).denied
        clock.ahead = jump
        await stage.price(80, after=61)
        assert not (await stage.do(lambda s: s.buy(1), price=80)).denied

    facts = stage.play(story)
    assert len(of(facts, f.BreakerTripped)) == len(of(facts, f.BreakerReset)) == 1
    days = [fact.day for fact in of(facts, f.DayStarted)]
    assert days == sorted(set(days))
    assert stage.held == 101


def test_a_step_of_the_wall_clock_over_midnight_is_no_new_day(tmp_path: Path) -> None:
    """Somebody sets the clock of the machine to tomorrow: that is said, and the day and its loss go on as they were."""
    stepped = [0]
    clock = real_time(stepped=lambda: stepped[0])
    stage = Stage(tmp_path / "run", [*daily_loss(), ClockSkew()], clock=clock)

    async def story(stage: Stage) -> None:
        await stage.price(100)
        await stage.price(100)
        await stage.do(lambda s: s.buy(100))
        await stage.price(80)
        stepped[0] = 24 * HOUR
        await asyncio.sleep(200)
        order = await stage.do(lambda s: s.buy(1), price=80)
        assert any("DailyLoss" in reason for reason in order.reasons)

    facts = stage.play(story)
    (step,) = of(facts, f.ClockStepped)
    assert step.step_ns == 24 * HOUR
    assert len(of(facts, f.DayStarted)) == 1
    assert [trip.breaker for trip in of(facts, f.BreakerTripped)] == ["DailyLoss", "ClockSkew"]
    assert [reset.breaker for reset in of(facts, f.BreakerReset)] == ["ClockSkew"]


# --- restarts ---------------------------------------------------------------------------------------------------


def test_a_loss_outlives_the_process_until_its_day_ends(tmp_path: Path) -> None:
    """Tripped, killed, started again an hour later: still tripped. Started in the next day: reset, once."""
    broker = FakeBroker(make_instrument(BTC), cash=CASH, profile=NEW_YORK)

    def stage(hours: int) -> Stage:
        return Stage(tmp_path / "run", daily_loss(), broker=broker, later=hours * HOUR)

    async def lose(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(100))
        await stage.price(80)

    async def still(stage: Stage) -> None:
        assert "lost 2,000.00 today" in " ".join((await stage.do(lambda s: s.buy(1), price=80)).reasons)

    async def again(stage: Stage) -> None:
        await asyncio.sleep(61)
        assert not (await stage.do(lambda s: s.buy(1), price=80)).denied

    assert len(of(stage(0).play(lose), f.BreakerTripped)) == 1
    facts = stage(1).play(still, first=80)
    assert not of(facts, f.BreakerTripped) + of(facts, f.BreakerReset) + of(facts, f.DayStarted)  # type: ignore[operator]
    facts = stage(6).play(again, first=80)
    assert [fact.day for fact in of(facts, f.DayStarted)] == ["2023-11-15"]
    assert len(of(facts, f.BreakerReset)) == 1
    assert not of(facts, f.BreakerTripped)


def test_a_restart_while_tripped_is_half_open(tmp_path: Path) -> None:
    """What trips on single prices asks for good ones first: until three in a row came, only reducing passes.

    A bad one in between begins the count anew, and the trip of the life before stands until then.
    """
    broker = FakeBroker(make_instrument(BTC), cash=CASH)
    breakers = lambda: [BadTick("10%")]  # noqa: E731

    async def trip(stage: Stage) -> None:
        await stage.price(100)
        await stage.price(100)
        await stage.do(lambda s: s.buy(10))
        await stage.price(20)

    async def half_open(stage: Stage) -> None:
        first = await stage.do(lambda s: s.buy(1))  # the second good price; the first came at the start
        assert first.status is OrderStatus.DENIED
        assert not (await stage.do(lambda s: s.sell(1), price=20)).denied
        for _ in range(2):
            assert (await stage.do(lambda s: s.buy(1))).denied
        assert not (await stage.do(lambda s: s.buy(1))).denied

    first = Stage(tmp_path / "run", breakers(), broker=broker).play(trip)
    assert len(of(first, f.BreakerTripped)) == 1
    second = Stage(tmp_path / "run", breakers(), broker=broker, later=HOUR).play(half_open)
    (reset,) = of(second, f.BreakerReset)
    assert reset.who == "BadTick"
    assert reset.now > of(second, f.OrderDenied)[-1].now
    assert sum(broker.positions.values()) == 10


def test_a_person_resets_and_the_loss_that_stands_goes_on_refusing(tmp_path: Path) -> None:
    """A reset has a name and a reason; it is no permission to lose more."""

    async def story(stage: Stage) -> None:
        await stage.do(lambda s: s.buy(100))
        await stage.price(80)
        stage.engine.reset("Drawdown", "looked at it", who="eve")
        assert "below its highest" in (await stage.do(lambda s: s.buy(1), price=80)).reasons[0]
        assert not (await stage.do(lambda s: s.sell(50), price=80)).denied
        await stage.price(150)
        stage.engine.reset("Drawdown", "it is gone", who="eve")
        assert not (await stage.do(lambda s: s.buy(1), price=150)).denied

    facts = Stage(tmp_path / "run", Drawdown("1%")).play(story)
    resets = of(facts, f.BreakerReset)
    assert [(reset.who, reset.why) for reset in resets] == [("eve", "looked at it"), ("eve", "it is gone")]
    assert len(of(facts, f.BreakerTripped)) == 2
