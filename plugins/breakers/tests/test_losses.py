"""DailyLoss, Drawdown and RollingLoss: an account that has lost too much."""

from datetime import UTC, datetime
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import ConfigurationError, TradingState
from fairlead.facts import BreakerReset, BreakerTripped, DayStarted, StrategiesStarted
from fairlead.ports import EQUITY, AccountChanged
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, ManualClock
from fairlead.units import DAY, HOUR, MINUTE
from fairlead_breakers import DailyLoss, Drawdown, RollingLoss

paths = st.lists(st.integers(-200_000, 200_000) | st.none(), min_size=1, max_size=50)


def day(account="paper", equity=100_000.0):
    return DayStarted(seq=1, now=1, cause=1, account=account, day="2026-01-02", equity=equity)


def first_trip(breaker, view, path):
    """Where along a path of equity the breaker trips first, None if nowhere."""
    for step, equity in enumerate(path):
        view.equity_now = None if equity is None else float(equity)
        trip = breaker.watch("paper", view)
        if trip is not None:
            assert trip.state is TradingState.REDUCE_ONLY
            assert trip.scope == "account:paper"
            return step
    return None


def first(path, rule):
    return next((step for step, equity in enumerate(path) if equity is not None and rule(equity)), None)


@given(paths, st.integers(1, 200_000), st.integers(1, 100_000))
def test_daily_loss_in_money_trips_at_the_first_equity_below(make_view, path, start, amount):
    """It trips exactly where equity is first below day start less the amount, never before, never on unknown."""
    tripped = first_trip(DailyLoss(f"{amount} USDT"), make_view(start=float(start)), path)
    assert tripped == first(path, lambda equity: equity < start - amount)


@given(paths, st.integers(1, 200_000), st.sampled_from([1, 5, 10, 25, 99]))
def test_daily_loss_in_percent_is_of_the_day_start(make_view, path, start, percent):
    """The same with a part of day-start equity (in steps of 100, where floats round to the exact figure)."""
    start *= 100
    tripped = first_trip(DailyLoss(f"{percent}%"), make_view(start=float(start)), path)
    assert tripped == first(path, lambda equity: equity * 100 < start * (100 - percent))


@given(paths, st.sampled_from([1, 5, 10, 25, 99]))
def test_drawdown_trips_at_the_first_equity_below(make_view, path, percent):
    """It trips exactly where equity first falls by more than the limit from its highest so far."""
    view, breaker = make_view(peak=None), Drawdown(f"{percent}%")
    peak, expected, tripped = None, None, None
    for step, equity in enumerate(path):
        if equity is not None and (peak is None or equity * 100 > peak):
            peak = equity * 100
        view.peak = None if peak is None else float(peak)
        if expected is None and equity is not None and peak and equity * 10_000 < peak * (100 - percent):
            expected = step
        if (
            tripped is None
            and first_trip(breaker, view, [None if equity is None else equity * 100]) is not None
        ):
            tripped = step
    assert tripped == expected


def test_reasons_give_the_figures(view):
    """A trip says what was measured and what it was measured against."""
    view.equity_now = 97_999.5
    assert DailyLoss("2_000 USDT").watch("paper", view).reason == (
        "lost 2,000.50 today, more than 2,000 USDT: equity 97,999.50, day start 100,000.00"
    )
    view.equity_now = 0.5
    assert Drawdown("12.5%").watch("paper", view).reason == (
        "equity 0.5 is more than 12.5 % below its highest of 100,000.00"
    )


@pytest.fixture(
    params=[DailyLoss("2_000 USDT"), DailyLoss("2%"), Drawdown("2%")], ids=["money", "percent", "drawdown"]
)
def breaker(request):
    return request.param


@pytest.mark.parametrize("unknown", ["equity_now", "start peak"])
def test_unknown_equity_refuses_but_does_not_trip(view, intent, breaker, unknown):
    """While equity or its measure is unknown nothing new is opened, what reduces passes, and nothing is latched."""
    for field in unknown.split():
        setattr(view, field, None)
    trip = breaker.check(intent(), view)
    assert "unknown" in trip.reason
    assert trip.state is None
    assert breaker.check(intent("sell", reduce_only=True), view) is None
    assert breaker.watch("paper", view) is None


def test_reset_while_the_loss_stands_lets_no_order_through(view, intent, breaker):
    """After a person's reset `check` refuses what does not reduce, and the next price trips again."""
    view.equity_now, view.held = 90_000.0, {"s": Decimal(1)}
    assert breaker.watch("paper", view)
    trip = breaker.check(intent(), view)
    assert "90,000.00" in trip.reason
    assert trip.state is None
    assert breaker.check(intent("sell"), view) is None
    assert breaker.check(intent("sell", 2), view)
    assert breaker.watch("paper", view)


def test_order_passes_while_the_loss_is_small(view, intent, breaker):
    """Exactly at the limit an order still passes."""
    view.equity_now = 98_000.0
    assert breaker.check(intent(), view) is None
    assert breaker.watch("paper", view) is None


def test_only_equity_is_wanted_and_only_a_person_resets(breaker):
    """Without `clean` the engine leaves the reset to a person; without `due` it is not called in between."""
    assert breaker.wants == (EQUITY,)
    assert not hasattr(breaker, "clean")
    assert not hasattr(breaker, "due")


def test_reducing_is_judged_by_the_strategy(view, intent, working):
    """As for the gate, a strategy reduces its own position whatever another one holds."""
    view.equity_now, view.held = 90_000.0, {"s": Decimal(3), "other": Decimal(-3)}
    view.working = [working("a", "sell", 3, strategy="other"), working("b", "sell", 1)]
    assert DailyLoss("2%").check(intent("sell", 2), view) is None
    assert DailyLoss("2%").check(intent("sell", 3), view)


def test_limit_in_another_currency_is_refused_and_never_trips(view, intent):
    """An amount of another currency measures nothing: no order opens until it is written right."""
    view.home, view.equity_now = "USD", 1.0
    breaker = DailyLoss("2_000 USDT", reset="next_day")
    assert breaker.watch("paper", view) is None
    assert breaker.check(intent(), view).reason == (
        "the limit is in USDT: write it in percent, or in the USD of paper"
    )


def test_next_day_resets_when_asked_to(view):
    """A new trading day of this account clears it; the same day, another account's day or a deposit do not."""
    breaker = DailyLoss("2_000 USDT", reset="next_day")
    assert breaker.wants == (EQUITY, DayStarted)
    assert breaker.due(view) == (view.now // MINUTE + 1) * MINUTE
    breaker.watch(day(), view)
    view.equity_now = 97_000.0
    assert breaker.watch("paper", view)
    assert not breaker.clean("account:paper", view)
    view.start = 99_000.0
    assert not breaker.clean("account:paper", view)
    breaker.watch(day("other"), view)
    assert not breaker.clean("account:paper", view)
    view.start = 97_000.0
    assert breaker.watch(day(equity=97_000.0), view) is None
    assert breaker.clean("account:paper", view)


def test_next_day_does_not_reset_a_new_loss(view):
    """What is lost again before the reset keeps it tripped, and so does an equity that is unknown."""
    breaker = DailyLoss("2_000 USDT", reset="next_day")
    view.equity_now = 97_000.0
    assert breaker.watch("paper", view)
    view.start = 97_000.0
    breaker.watch(day(equity=97_000.0), view)
    view.equity_now = None
    assert not breaker.clean("account:paper", view)
    view.equity_now = 90_000.0
    assert not breaker.clean("account:paper", view)
    assert breaker.watch("paper", view)
    view.equity_now = 97_000.0
    assert not breaker.clean("account:paper", view)


def test_other_facts_are_nothing_to_it(view):
    """Looks and facts that it did not ask for are not findings."""
    view.equity_now = 1.0
    assert DailyLoss("5%").watch(None, view) is None
    assert Drawdown("5%").watch(None, view) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DailyLoss("2_000"), "DailyLoss: limit: '2_000' is not money: write"),
        (lambda: DailyLoss("-1 USDT"), "DailyLoss: limit: '-1 USDT' must be above 0: write"),
        (lambda: DailyLoss("100%"), "DailyLoss: limit: '100%' must be above 0% and below 100%: write"),
        (lambda: DailyLoss("x%", name="Mine"), "Mine: limit: percentage 'x' is not a number: pass"),
        (lambda: DailyLoss("5%", reset="soon"), "DailyLoss: reset: 'soon' is no rule: write"),
        (lambda: Drawdown(10), "Drawdown: limit: 10 must be above 0% and below 100%: write"),
        (lambda: Drawdown("0%"), "Drawdown: limit: '0%' must be above 0% and below 100%: write"),
        (lambda: Drawdown("ten"), "Drawdown: limit: 'ten' is not money: write"),
    ],
)
def test_bad_setting_names_breaker_rule_and_remedy(build, message):
    """A wrong setting says whose it is, what is wrong and what to write."""
    with pytest.raises(ConfigurationError) as caught:
        build()
    assert str(caught.value).startswith(message)


# --- what it is measured from -------------------------------------------------------------------------------


def account(bench):
    """Equity of the bench's account."""
    return bench.kernel.view.equity("fake")


def buy(bench, quantity=100):
    bench.price(100)
    bench.do(lambda s: s.buy(quantity))


def deposit(bench, amount):
    bench.broker.emit(AccountChanged(cause="deposit", currency="USDT", amount=Decimal(amount)))


@given(paths, st.integers(1, 100_000))
def test_drawdown_in_money_trips_below_the_mark_less_the_amount(make_view, path, amount):
    """The same in the account's currency."""
    view = make_view(peak=150_000.0)
    assert first_trip(Drawdown(f"{amount} USDT"), view, path) == first(path, lambda e: e < 150_000 - amount)


def test_drawdown_in_another_currency_refuses(view, intent):
    """Nothing is measured in it, and the reason says what to write."""
    trip = Drawdown("5 EUR").check(intent(), view)
    assert "write it in percent, or in the USDT" in trip.reason
    assert Drawdown("5 EUR").watch("paper", view) is None


def test_static_drawdown_is_measured_from_the_beginning():
    """A profit gives no room and a day does not either; cash moves it, a restart does not."""
    make = lambda: Drawdown("5_000 USDT", trailing=False)  # noqa: E731
    bench = Bench(breakers=[make(), Drawdown("20%", name="other")])
    buy(bench)
    bench.price(200)
    bench.advance("2d")
    deposit(bench, 1_000)
    bench.breakers[0] = make()
    bench.restart()
    bench.price(50.01)
    assert not bench.of(BreakerTripped)
    assert account(bench) == pytest.approx(96_001)
    bench.price(49.9)
    assert [(t.breaker, t.scope) for t in bench.of(BreakerTripped)] == [("Drawdown", "account:fake")]
    assert bench.of(BreakerTripped)[0].reason == (
        "equity 95,990.00 is more than 5,000 USDT below its first of 101,000.00")  # fmt: skip
    bench.check()


def test_static_drawdown_of_a_run_that_goes_on_begins_today(view, intent):
    """A breaker that is new to an account measures from its day start; until then it is unknown."""
    breaker = Drawdown("10%", trailing=False)
    assert "starting point" in breaker.check(intent(), view).reason
    breaker.watch(StrategiesStarted(seq=1, now=1, cause=1), view)
    assert breaker.check(intent(), view) is None
    view.equity_now = 89_999.0
    assert breaker.watch("paper", view)
    again = Drawdown("10%", trailing=False)
    again.load(breaker.save())
    assert again.watch("paper", view)


def test_an_action_beside_the_loss():
    """A daily loss, or a fall, may close what is held."""
    for breaker in (DailyLoss("1_000 USDT", action="flatten"), Drawdown("1%", action="flatten")):
        bench = Bench(breakers=[breaker])
        buy(bench)
        bench.price(80)
        bench.advance("5s")
        assert bench.state.quantity("fake", bench.instrument) == 0


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 400)), min_size=1, max_size=25), st.integers(0, 25)
)
def test_rolling_loss_is_that_of_the_window(make_view, intent, path, crash):
    """Any path of equity and pauses, a restart between: compared with the sample of a day ago."""
    view, breaker, samples = make_view(), RollingLoss("5 USDT"), []
    view.now -= view.now % DAY
    for number, (change, minutes) in enumerate(path):
        if number == crash:
            saved, breaker = breaker.save(), RollingLoss("5 USDT")
            breaker.load(saved)
        view.equity_now += change
        view.now = breaker.due(view) + minutes * MINUTE
        if not samples or view.now // (15 * MINUTE) > samples[-1][0] // (15 * MINUTE):
            samples.append((view.now, view.equity_now))
        older = [one for one in samples if one[0] <= view.now - DAY] or samples
        before = older[-1][1] if older is not samples else samples[0][1]
        lost = before - view.equity_now > 5
        assert (breaker.watch(None, view) is not None) == lost
        assert (breaker.check(intent(), view) is not None) == lost
        assert breaker.check(intent("sell", reduce_only=True), view) is None


def test_rolling_loss_spans_midnight():
    """What a new day forgives to the day, it does not forgive here; a deposit hides nothing."""
    bench = Bench(breakers=[RollingLoss("1_500 USDT"), DailyLoss("1_500 USDT")])
    bench.price(100)
    bench.advance("23h")
    buy(bench)
    bench.advance("1m")
    bench.price(90)
    bench.advance("2h")
    deposit(bench, 50_000)
    bench.restart()
    bench.price(84)
    bench.advance("2m")
    assert [trip.breaker for trip in bench.of(BreakerTripped)] == ["RollingLoss"]
    bench.check()


@pytest.mark.parametrize("reset", ["10m", "next_day"])
def test_rolling_loss_goes_on_looking_where_it_resets_itself(reset):
    """A reset by time or day takes nothing from its looks: orders pass, a loss trips, and again the loss after it."""
    bench = Bench(breakers=[RollingLoss("1_500 USDT", "1h", reset=reset)])
    bench.price(100)
    bench.advance("1m")
    assert not bench.do(lambda s: s.buy(100)).denied
    for number, price in ((1, 80), (2, 60)):
        bench.price(price)
        bench.advance("2m")
        assert len(bench.of(BreakerTripped)) == number
        bench.advance("25h")
        bench.price(price)
        assert len(bench.of(BreakerReset)) >= number
        assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()


def test_rolling_loss_is_unknown_at_first(view, intent):
    """Before the first look nothing is opened, and never in another currency."""
    breaker = RollingLoss("5%")
    assert "was not seen yet" in breaker.check(intent(), view).reason
    breaker.watch(None, view)
    assert breaker.check(intent(), view) is None
    view.home = "USD"
    assert "write it in percent" in RollingLoss("5 USDT").check(intent(), view).reason


@pytest.mark.parametrize(
    ("night", "hours"), [("2026-03-08T05:00", 23), ("2026-11-01T04:00", 25), ("2026-06-01T04:00", 24)]
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_trading_day_is_as_long_as_its_zone_says(night, hours, restart):
    """In New York: the day that loses an hour, the one that gains one, and any other; an hour before its end
    today's loss still counts, at its end it does not.
    """
    begin = int(datetime.fromisoformat(night).replace(tzinfo=UTC).timestamp()) * 10**9
    profile = attrs.evolve(MARKET_AND_LIMIT, zone="America/New_York")
    breaker = DailyLoss("1_500 USDT", reset="next_day")
    bench = Bench(broker=FakeBroker(profile=profile), breakers=[breaker], clock=ManualClock(begin))
    buy(bench)
    bench.price(80)
    assert len(bench.of(BreakerTripped)) == 1
    if restart:
        bench.breakers[:] = [DailyLoss("1_500 USDT", reset="next_day")]
        bench.restart()
    bench.clock.advance_to(begin + (hours - 1) * HOUR)
    bench.price(80)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.clock.advance_to(begin + hours * HOUR)
    bench.price(80)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert len(bench.of(DayStarted)) == 2
    bench.check()
