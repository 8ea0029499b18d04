"""What all latching breakers share: what a trip does, when it ends, what survives."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairlead_breakers as b
from fairlead import ConfigurationError, TradingState
from fairlead.facts import BreakerHalfOpened, BreakerReset, BreakerTripped, EngineLagged
from fairlead.testing import Bench
from fairlead.units import SECOND
from fairlead_breakers._latch import Window

LAG = 2 * SECOND


def lag(bench, lag_ns=LAG):
    """The shell tells of a lag."""
    bench.kernel.turn(lambda: bench.kernel.recorder.input(EngineLagged, lag_ns=lag_ns))


def lose(bench, by=1):
    """A trade that loses."""
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.price(100 - by)
    bench.do(lambda s: s.sell(1))


@pytest.mark.parametrize(
    ("action", "state", "does"),
    [
        ("reduce_only", TradingState.REDUCE_ONLY, ""),
        ("halt", TradingState.HALTED, ""),
        ("cancel", TradingState.REDUCE_ONLY, "cancel_entries"),
        ("flatten", TradingState.REDUCE_ONLY, "flatten"),
        ("reduce to 50%", TradingState.REDUCE_ONLY, "reduce to 50%"),
        ("kill", TradingState.KILLED, "flatten"),
    ],
)
def test_an_action_is_a_state_and_what_is_done_besides(action, state, does):
    """Each word does what it says."""
    bench = Bench(breakers=[b.LosingStreak(1, action=action)])
    lose(bench)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.state, trip.action) == (state, does)


def test_manual_is_reset_by_a_person_only():
    """However long it takes, and through a restart."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="manual")])
    lose(bench)
    bench.restart()
    bench.price(100)
    bench.advance("3d")
    assert bench.do(lambda s: s.buy(1)).denied
    bench.kernel.command("reset", "me", "seen", breaker="LosingStreak")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied


@pytest.mark.parametrize("down", [False, True])
def test_a_time_is_kept_to_the_nanosecond(down):
    """One before it is over orders are refused, then not; a restart between changes nothing."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="10m")])
    lose(bench)
    over = bench.of(BreakerTripped)[0].now + 600 * SECOND
    if down:
        bench.breakers[:] = [b.LosingStreak(1, reset="10m")]
        bench.restart()
    bench.clock.advance_to(over - 1)
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.clock.advance_to(over)
    assert [half.until_ns for half in bench.of(BreakerHalfOpened)] == [over + 60 * SECOND]
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.clock.advance_to(over + 60 * SECOND)
    assert [reset.who for reset in bench.of(BreakerReset)] == ["LosingStreak"]
    bench.check()


@pytest.mark.parametrize("down", [False, True])
def test_half_open_lets_one_order_that_adds_through_at_a_time(down):
    """What reduces always passes; when its time is over it is closed, a restart between changes nothing."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="10m")])
    lose(bench)
    bench.advance("10m")
    first = bench.do(lambda s: s.buy(1, limit_price=50))
    assert not first.denied
    if down:
        bench.breakers[:] = [b.LosingStreak(1, reset="10m")]
        bench.restart()
        first = bench.state.orders[first.client_order_id]
    bench.price(100)
    second = bench.do(lambda s: s.buy(1, limit_price=49))
    assert second.reasons == ("LosingStreak is half-open: one order that adds at a time",)
    bench.do(lambda s: s.cancel(first))
    assert not bench.do(lambda s: s.buy(1)).denied
    assert not bench.do(lambda s: s.sell(1, reduce_only=True)).denied
    bench.advance("1m")
    assert len(bench.of(BreakerReset)) == 1
    bench.price(100)
    for price in (50, 49):
        assert not bench.do(lambda s, at=price: s.buy(1, limit_price=at)).denied
    bench.check()


def test_half_open_trips_again_like_the_first_time():
    """The second trip is a fact of its own and lasts its whole time; its first end closes nothing."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="10m")])
    lose(bench)
    bench.advance("10m")
    lose(bench)
    assert len(bench.of(BreakerTripped)) == 2
    bench.advance("9m")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    assert not bench.of(BreakerReset)
    bench.advance("1m")
    assert len(bench.of(BreakerHalfOpened)) == 2
    bench.advance("1m")
    assert len(bench.of(BreakerReset)) == 1
    bench.check()


def test_a_person_closes_what_is_half_open():
    """With a reason, as always; then nothing is left of it."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="10m")])
    lose(bench)
    bench.advance("10m")
    with pytest.raises(ConfigurationError, match="reason"):
        bench.kernel.command("reset", "me", "", breaker="LosingStreak")
    bench.kernel.command("reset", "me", "fine", breaker="LosingStreak")
    bench.advance("5m")
    assert [reset.who for reset in bench.of(BreakerReset)] == ["me"]
    bench.check()


def test_next_day_is_the_accounts_own():
    """It ends at midnight, and not before."""
    bench = Bench(breakers=[b.LosingStreak(1, reset="next_day")])
    lose(bench)
    bench.advance("23h")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.advance("1h")
    assert not bench.of(BreakerReset)
    bench.advance("1ms")
    assert len(bench.of(BreakerReset)) == 1
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied


def test_what_happens_again_lasts_longer():
    """Each new lag begins the rest anew."""
    bench = Bench(breakers=[b.KernelLag(rest="1m")])
    lag(bench)
    bench.advance("50s")
    lag(bench)
    bench.advance("50s")
    assert not bench.of(BreakerReset)
    bench.advance("10s")
    assert len(bench.of(BreakerHalfOpened)) == 1
    bench.advance("6s")
    assert len(bench.of(BreakerReset)) == 1
    assert len(bench.of(BreakerTripped)) == 1


def test_a_lag_at_the_limit_is_none():
    """The limit is what may be reached."""
    bench = Bench(breakers=[b.KernelLag("2s")])
    lag(bench)
    assert not bench.of(BreakerTripped)
    lag(bench, LAG + 1)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.scope, trip.state) == ("engine", TradingState.REDUCE_ONLY)
    assert trip.reason == "the engine was 2.000 s late, over 2s: find what blocks it"


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 30))
def test_a_window_counts_what_is_younger_than_its_length(steps, length):
    """Compared with counting all of it each time."""
    window, times, now = Window(length), [], 0
    for step in steps:
        now += step
        times.append(now)
        assert window.add("x", now) == sum(when > now - length for when in times)
        later = now + step
        assert window.count("x", later) == sum(when > later - length for when in times)
        now = later


def test_orders_are_not_shown_to_what_has_nothing_to_check(view):
    """Its trip lowers trading: nothing is left to ask before an order."""
    allowed = b.LosingStreak().allows("paper", "BTC/USDT@x", view)
    assert (allowed.value, allowed.leverage, allowed.age_ns) == (float("inf"),) * 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: b.LosingStreak(0), "LosingStreak: losses: 0 is no whole number of at least 1: write"),
        (lambda: b.LosingStreak(True), "LosingStreak: losses: True is no whole number of at least 1: write"),
        (lambda: b.LosingStreak(per="pair"), "LosingStreak: per: 'pair' is no scope: write"),
        (lambda: b.LosingStreak(action="sell"), "LosingStreak: action: 'sell' is none: write one of"),
        (
            lambda: b.LosingStreak(action="reduce to half"),
            "LosingStreak: action: 'reduce to half': the share is a percentage",
        ),
        (lambda: b.LosingStreak(reset="soon"), "LosingStreak: reset"),
        (lambda: b.StopLossGuard(window="x"), "StopLossGuard: window: 'x' is not a duration: write"),
        (lambda: b.StopLossGuard(required_profit="x"), "StopLossGuard: required_profit: ratio 'x'"),
        (lambda: b.LowProfitInstrument(trades=1.5), "LowProfitInstrument: trades: 1.5 is no whole number"),
        (lambda: b.Cooldown("0s"), "Cooldown: rest: '0s' is below 1ms"),
        (lambda: b.OrderRate(window=1), "OrderRate: window: 1 is below 1ms (a bare number is nanoseconds)"),
        (lambda: b.RejectRate(-1), "RejectRate: most: -1 is no whole number"),
        (lambda: b.OrderErrors(window="0s"), "OrderErrors: window: '0s' is below 1ms"),
        (lambda: b.FillRate("0%"), "FillRate: least: '0%' must be above 0%"),
        (lambda: b.Slippage("200%"), "Slippage: limit: '200%' must be above 0% and below 100%"),
        (lambda: b.LossPerTrade("5"), "LossPerTrade: limit: '5' is not money: write"),
        (lambda: b.Spread(2), "Spread: limit: 2 must be above 0% and below 100%"),
        (lambda: b.BadTick(confirm=0), "BadTick: confirm: 0 is no whole number"),
        (lambda: b.ClockSkew("1"), "ClockSkew: limit: '1' is not a duration: write"),
        (lambda: b.Latency(ack="0ms"), "Latency: ack: '0ms' is below 1ms"),
        (lambda: b.DataGap(clean=0), "DataGap: clean: 0 is no whole number"),
        (lambda: b.PriceJump("x"), "PriceJump: limit: ratio 'x' is not a number"),
        (lambda: b.Volatility(samples=1), "Volatility: samples: 1 is no whole number of at least 2"),
        (lambda: b.Correlation(every="x"), "Correlation: every: 'x' is not a duration"),
        (lambda: b.FeedDisagreement(same=[["A@x"]]), "FeedDisagreement: same: one name alone"),
        (lambda: b.KernelLag(rest="x", name="Mine"), "Mine: rest: 'x' is not a duration"),
        (lambda: b.Disconnect("0s"), "Disconnect: after: '0s' is below 1ms"),
        (lambda: b.Mismatch("grave"), "Mismatch: severity: 'grave' is none: write one of minor"),
        (lambda: b.Mismatch(reset="1h"), "Mismatch: reset: '1h' is no rule: write"),
        (lambda: b.UnprotectedPosition("x"), "UnprotectedPosition: after: 'x' is not a duration"),
        (lambda: b.RollingLoss("5"), "RollingLoss: limit: '5' is not money: write"),
        (lambda: b.Drawdown(Decimal(2)), "Drawdown: limit: Decimal('2') must be above 0%"),
        (lambda: b.DailyLoss("5%", action="sell"), "DailyLoss: action: 'sell' is none: write one of"),
    ],
)
def test_bad_setting_names_breaker_rule_and_remedy(build, message):
    """A wrong setting says whose it is, what is wrong and what to write."""
    with pytest.raises(ConfigurationError) as caught:
        build()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
