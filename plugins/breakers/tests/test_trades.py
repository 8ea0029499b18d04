"""Breakers of closed trades and of open positions."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import TradingState
from fairlead.facts import BreakerTripped, SweepStarted
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument
from fairlead.units import HOUR, MINUTE, SECOND
from fairlead_breakers import Cooldown, LosingStreak, LossPerTrade, LowProfitInstrument, StopLossGuard
from fairlead_breakers._trades import WANTS, Trades

ETH = "ETH/USDT:USDT"


def trade(bench, profit, *, instrument="", quantity=1):
    """Buy at 100 and sell with this profit per unit."""
    bench.price(100, instrument=instrument)
    symbol = instrument.partition("@")[0] or None
    bench.do(lambda s: s.buy(quantity, instrument=symbol))
    bench.price(100 + profit, instrument=instrument)
    bench.do(lambda s: s.sell(quantity, instrument=symbol))


def stopped(bench, at=90):
    """Buy at 100, and be stopped out."""
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.sell(1, stop_price=at, reduce_only=True))
    bench.price(at)


class Ear:
    """Keeps what trades end in."""

    name = "ear"
    wants = WANTS

    def __init__(self):
        self.trades, self.closed = Trades(), []

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        closed = self.trades.see(item, view)
        if closed is not None:
            self.closed.append(closed)


steps = st.lists(st.tuples(st.integers(-5, 5).filter(bool), st.integers(50, 150)), max_size=25)


def naive(fills):
    """Profits of trades from flat to flat, by cash: what came in less what went out."""
    held, cash, spent, found = 0, Decimal(0), Decimal(0), []
    for signed, price in fills:
        parts = [signed]
        if held and (held > 0) != (signed > 0) and abs(signed) > abs(held):
            parts = [-held, signed + held]
        for part in parts:
            if not held or (held > 0) == (part > 0):
                spent += abs(part) * price
            held += part
            cash -= part * Decimal(price)
            if not held:
                found.append((cash, float(cash / spent)))
                cash = spent = Decimal(0)
    return found


@settings(max_examples=25)
@given(steps, st.integers(0, 25))
def test_trades_are_those_of_a_count_of_cash(path, crash):
    """Any path of fills, a restart somewhere in between: the same profits, to the last digit."""
    bench = Bench(breakers=[Ear()])
    closed = []
    for number, (signed, price) in enumerate(path):
        if number == crash:
            bench.restart()
        bench.price(price)
        bench.do(lambda s, n=signed: s.buy(n) if n > 0 else s.sell(-n))
    closed = bench.breakers[0].closed
    assert [(one.profit, pytest.approx(one.ratio)) for one in closed] == naive(path)


def test_fees_and_funding_belong_to_a_trade():
    """What came in at a price and was lost in fees is a loss."""
    broker = FakeBroker()
    broker.fee = Decimal("0.01")
    bench = Bench(broker=broker, breakers=[Ear()])
    trade(bench, 1)
    (closed,) = bench.breakers[0].closed
    assert closed.profit == Decimal(1) - Decimal("1.00") - Decimal("1.01")
    assert not closed.stopped


def test_a_breaker_new_to_a_run_takes_positions_over():
    """What is held when it first sees the account is a trade that began at its entry price."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(2))
    bench.breakers[:] = [Ear()]
    bench.restart()
    bench.price(90)
    bench.do(lambda s: s.sell(2))
    (closed,) = bench.breakers[0].closed
    assert (closed.profit, closed.ratio) == (-20, -0.1)


def test_a_stop_is_told_from_a_sale():
    """Only a trade that a stop order ended counts as stopped."""
    bench = Bench(breakers=[Ear()])
    trade(bench, -10)
    stopped(bench)
    assert [one.stopped for one in bench.breakers[0].closed] == [False, True]


@settings(max_examples=25)
@given(st.lists(st.integers(-2, 2), max_size=30), st.integers(1, 4), st.integers(0, 30))
def test_a_streak_trips_where_it_is_long_enough(profits, losses, crash):
    """Any path of trades: it trips at the first streak, counts from there, and a crash changes nothing."""
    bench = Bench(breakers=[LosingStreak(losses, reset="1ms")])
    expected, streak = 0, 0
    for number, profit in enumerate(profits):
        if number == crash:
            bench.breakers[:] = [LosingStreak(losses, reset="1ms")]
            bench.restart()
        trade(bench, profit)
        bench.advance("1s")
        streak = streak + 1 if profit < 0 else 0
        if streak == losses:
            expected, streak = expected + 1, 0
        assert len(bench.of(BreakerTripped)) == expected
    bench.check()


def test_a_streak_is_a_strategys_own():
    """One that loses is stopped, the other trades on."""
    one, other = Puppet(name="one", allocation="50%"), Puppet(name="other", allocation="50%")
    bench = Bench(one, other, breakers=[LosingStreak(2)])
    for _ in range(2):
        trade(bench, -1)
    (trip,) = bench.of(BreakerTripped)
    assert (trip.scope, trip.reason) == ("strategy:one", "2 losses in a row")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    assert not bench.do(lambda s: s.buy(1), strategy=1).denied


@pytest.mark.parametrize(("apart", "trips"), [(HOUR // 3 - 1, 1), (HOUR // 3, 0)])
def test_stops_count_within_the_window(apart, trips):
    """Four stops in less than an hour trip; exactly an hour apart the first is gone. A restart forgets none."""
    bench = Bench(breakers=[StopLossGuard(4, "1h")])
    for number in range(4):
        if number == 2:
            bench.breakers[:] = [StopLossGuard(4, "1h")]
            bench.restart(down="1ms")
            bench.advance(apart - 1_000_000)
        elif number:
            bench.advance(apart)
        stopped(bench)
    assert len(bench.of(BreakerTripped)) == trips
    if trips:
        assert bench.of(BreakerTripped)[0].scope == "engine"
        assert bench.of(BreakerTripped)[0].reason == "4 stops within 1h"


def test_sales_and_good_stops_do_not_count():
    """A loss that was sold is none of its business, nor a stop that secured a profit."""
    bench = Bench(breakers=[StopLossGuard(1)])
    trade(bench, -10)
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.price(130)
    bench.do(lambda s: s.sell(1, stop_price=120, reduce_only=True))
    bench.price(120)
    assert not bench.of(BreakerTripped)
    stopped(bench)
    assert len(bench.of(BreakerTripped)) == 1


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 40)), max_size=20))
def test_low_profit_sums_the_window(path):
    """Any path of trades and pauses, compared with a sum over all of it."""
    bench = Bench(breakers=[LowProfitInstrument("0%", 3, "1h", reset="1ms")])
    kept, expected = [], 0
    for profit, minutes in path:
        trade(bench, profit)
        now = bench.clock.now()
        kept = [one for one in kept if one[0] > now - HOUR] + [(now, profit / 100)]
        if len(kept) >= 3 and sum(ratio for _, ratio in kept) < 0:
            expected, kept = expected + 1, []
        assert len(bench.of(BreakerTripped)) == expected
        bench.advance(minutes * MINUTE + SECOND)


def test_low_profit_is_an_instruments_own():
    """The other instrument trades on."""
    broker = FakeBroker(make_instrument(), make_instrument(ETH))
    bench = Bench(Puppet("BTC/USDT:USDT", ETH), broker=broker, breakers=[LowProfitInstrument("2%", trades=2)])
    for _ in range(2):
        trade(bench, 0.5, instrument=broker.listed[0].id)
        trade(bench, 3, instrument=broker.listed[1].id)
    assert [trip.scope for trip in bench.of(BreakerTripped)] == [f"instrument:{broker.listed[0].id}"]


def test_cooldown_rests_after_each_trade():
    """No entry for as long as it says, also after a restart; what is open is not its business."""
    bench = Bench(breakers=[Cooldown("10m")])
    trade(bench, 5)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.breakers[:] = [Cooldown("10m")]
    bench.restart(down="9m")
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.advance("1m")
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.check()


@pytest.mark.parametrize("contract", ["BTC/USDT:USDT", "BTC/USD:BTC"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@settings(max_examples=15)
@given(prices=st.lists(st.integers(80, 125), min_size=1, max_size=20), limit=st.sampled_from(["5%", "6"]))
def test_loss_per_trade_trips_at_the_first_price_beyond(contract, side, prices, limit):
    """Bought or sold, linear or inverse, in percent of the entry or in money: where it is first more, once."""
    instrument = make_instrument(contract, contract_size=Decimal(1) if "USDT" in contract else Decimal(1000))
    broker = FakeBroker(instrument, cash=f"1_000_000 {instrument.settle}")
    written = limit if "%" in limit else f"{limit if 'USDT' in contract else 0.5} {instrument.settle}"
    bench = Bench(Puppet(contract), broker=broker, breakers=[LossPerTrade(written, action="reduce_only")])
    bench.price(100)
    bench.do(lambda s: getattr(s, side)(1))
    signed = Decimal(1 if side == "buy" else -1)
    sign = float(signed)
    expected = 0
    for price in prices:
        bench.price(price)
        if "%" in written:
            beyond = sign * (price - 100) < -5
        else:
            beyond = instrument.profit(signed, Decimal(100), Decimal(price)) < -Decimal(written.split()[0])
        expected = expected or int(beyond)
        assert len(bench.of(BreakerTripped)) == expected


def test_loss_per_trade_closes_the_position():
    """As a rule it flattens the instrument, and a restart in between forgets nothing."""
    bench = Bench(breakers=[LossPerTrade("5%")])
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.breakers[:] = [LossPerTrade("5%")]
    bench.restart()
    bench.price(95)
    assert not bench.of(BreakerTripped)
    bench.price(94.9)
    bench.advance("3s")
    (trip,) = bench.of(BreakerTripped)
    assert (trip.scope, trip.action, trip.state) == (
        f"instrument:{bench.instrument}", "flatten", TradingState.REDUCE_ONLY)  # fmt: skip
    assert bench.state.quantity("fake", bench.instrument) == 0
    assert len(bench.of(SweepStarted)) == 1


def test_a_loss_in_another_currency_cannot_be_told():
    """It says so when a position is opened, and lets nothing more in."""
    bench = Bench(breakers=[LossPerTrade("5 EUR")])
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    (trip,) = bench.of(BreakerTripped)
    assert "write it in percent" in trip.reason
    assert bench.do(lambda s: s.buy(1)).denied
