"""What an account is worth and has been: rates, high-water marks, days; and the breakers that watch it."""

import itertools
from decimal import Decimal
from typing import ClassVar

import attrs
import pytest

from fairlead import Quote, TradingState
from fairlead.facts import (
    BreakerReset,
    BreakerSaved,
    BreakerTripped,
    DayStarted,
    EquitySampled,
    Filled,
    HighWaterMark,
)
from fairlead.ports import EQUITY, AccountChanged, Trip
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, ManualClock, Puppet, make_instrument
from fairlead.testing.time import START_NS

D = Decimal
HOUR = 3_600_000_000_000


def equity(bench):
    return bench.kernel.view.equity("fake")


# --- worth ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "cash", "worth"),
    [
        ("BTC/USDT", "1_000 USDT", 1010),
        ("BTC/USDT:USDT", "1_000 USDT", 1010),
        ("BTC/USD:BTC", "10 BTC", 10 + 1 / 100 - 1 / 110),
    ],
)
def test_equity_follows_the_mark(symbol, cash, worth):
    """Spot, linear and inverse, in the account's currency."""
    instrument = make_instrument(symbol)
    bench = Bench(Puppet(symbol), broker=FakeBroker(instrument, cash=cash))
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.price(110)
    assert equity(bench) == pytest.approx(worth)
    bench.check()


def two_currencies():
    broker = FakeBroker(make_instrument("ABC/EUR"), make_instrument("EUR/USDT"), cash="1_000 USDT")
    broker.balances["EUR"] = D(100)
    return Bench(Puppet("ABC/EUR", "EUR/USDT"), broker=broker)


def test_money_in_two_currencies_is_worth_nothing_known_until_there_is_a_rate():
    """Unknown is not zero: no new risk until the rate comes, and it may come late."""
    bench = two_currencies()
    abc, eur = (i.id for i in bench.broker.listed)
    bench.price(10, instrument=abc)
    assert equity(bench) is None
    bench.price(1.25, instrument=eur)
    assert equity(bench) == pytest.approx(1125)
    bench.price(1.5, instrument=eur)
    assert equity(bench) == pytest.approx(1150)


def test_an_old_rate_is_no_rate():
    """After five minutes without one, equity is unknown again."""
    bench = two_currencies()
    bench.price(1.25, instrument=bench.broker.listed[1].id)
    bench.advance("5m")
    bench.price(10, instrument=bench.broker.listed[0].id)
    assert equity(bench) == pytest.approx(1125)
    bench.advance("1s")
    bench.price(10, instrument=bench.broker.listed[0].id)
    assert equity(bench) is None


def test_a_position_that_settles_elsewhere_follows_both_prices():
    """Its profit goes through the rate of this moment, and is unknown before there is one."""
    perp, rate = make_instrument("ABC/EUR:EUR"), make_instrument("EUR/USDT")
    bench = Bench(Puppet("ABC/EUR:EUR", "EUR/USDT"), broker=FakeBroker(perp, rate))
    bench.price(10, instrument=perp.id)
    assert bench.do(lambda s: s.buy(10, instrument="ABC/EUR:EUR")).denied
    bench.price(2, instrument=rate.id)
    bench.do(lambda s: s.buy(10, instrument="ABC/EUR:EUR"))
    bench.price(11, instrument=perp.id)
    assert equity(bench) == pytest.approx(100_020)
    bench.price(3, instrument=rate.id)
    assert equity(bench) == pytest.approx(100_030)
    bench.restart()
    bench.price(12, instrument=perp.id)
    assert equity(bench) is None
    bench.price(3, instrument=rate.id)
    assert equity(bench) == pytest.approx(100_060)


# --- marks and days ---------------------------------------------------------------------------------------------


def test_the_high_water_mark_only_rises_and_survives():
    """It is recorded a little above what was reached, so that a restart is never more lenient."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    for price in (110, 120, 90, 115):
        bench.price(price)
    marks = [fact.equity for fact in bench.of(HighWaterMark)]
    assert marks == sorted(marks)
    assert 102_000 <= marks[-1] <= 102_000 * 1.0002
    bench.restart()
    bench.price(90)
    assert bench.kernel.view.high_water("fake") == marks[-1]
    bench.check()


def days(bench):
    return [(fact.day, fact.equity) for fact in bench.of(DayStarted)]


def test_a_day_begins_at_midnight_in_the_accounts_zone():
    """Once, whatever happens around it, also over a change of the clocks."""
    clock = ManualClock(START_NS - 11 * 24 * HOUR - 12 * HOUR)  # the noon before New York's clocks go back
    profile = attrs.evolve(MARKET_AND_LIMIT, zone="America/New_York")
    bench = Bench(broker=FakeBroker(profile=profile), clock=clock)
    bench.price(100)
    assert [day for day, _ in days(bench)] == ["2023-11-03"]
    for _ in range(72):
        bench.advance("1h")
        bench.price(100)
    assert [day for day, _ in days(bench)] == ["2023-11-03", "2023-11-04", "2023-11-05", "2023-11-06"]
    started = [(fact.now - bench.of(DayStarted)[1].now) // HOUR for fact in bench.of(DayStarted)[1:]]
    assert started == [0, 24, 49]


def test_a_day_that_cannot_be_valued_begins_with_the_first_price():
    """After a restart over midnight with a position, the day waits for its mark instead of being skipped."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    bench.restart(down="30h")
    assert [day for day, _ in days(bench)] == ["2023-11-15"]
    bench.advance("1h")
    bench.price(90)
    assert days(bench)[1:] == [("2023-11-16", 99_000)]
    bench.price(80)
    assert len(days(bench)) == 2
    bench.check()


def test_a_restart_does_not_begin_the_day_again():
    """The base of today's loss is the same before and after."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    bench.price(90)
    bench.restart()
    bench.price(80)
    assert len(days(bench)) == 1
    assert bench.kernel.view.day_start("fake") == 100_000


def test_samples_of_equity_thin_out():
    """Each minute at first, each two after a thousand: a long run stays small."""
    bench = Bench()
    bench.price(100)
    bench.advance("17h")
    times = [fact.now for fact in bench.of(EquitySampled)]
    steps = {(b - a) // 60_000_000_000 for a, b in itertools.pairwise(times)}
    assert steps == {1, 2}
    assert len(times) < 1_020


# --- breakers ---------------------------------------------------------------------------------------------------


@attrs.define
class Floor:
    """Trips below a level of equity, and is clean above another."""

    below: float = 99_000
    clean_above: float | None = None
    name: str = "floor"
    seen: list = attrs.Factory(list)
    wants: ClassVar = (EQUITY, Quote, Filled)

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        self.seen.append(item if isinstance(item, str) else type(item).__name__)
        worth = view.equity("fake")
        return (
            Trip("too low", TradingState.REDUCE_ONLY, "account:fake")
            if worth is not None and worth < self.below
            else None
        )

    def clean(self, scope, view):
        return self.clean_above is not None and (view.equity("fake") or 0) > self.clean_above

    def save(self):
        return b"remember"

    def load(self, saved):
        self.seen.append(saved)


def floored(**options):
    bench = Bench(breakers=[Floor(**options)])
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    bench.price(80)
    return bench


def test_a_breaker_sees_what_it_wants():
    """Equity, events and facts, each as it happens."""
    bench = floored()
    assert {"fake", "Quote", "Filled"} <= set(bench.breakers[0].seen)


def test_a_trip_is_one_fact_lowers_trading_and_holds():
    """However often it is found again, and through a restart, with what the breaker wants to remember."""
    bench = floored()
    bench.price(79)
    assert [(t.breaker, t.state) for t in bench.of(BreakerTripped)] == [("floor", TradingState.REDUCE_ONLY)]
    assert [fact.state for fact in bench.of(BreakerSaved)] == [b"remember"]
    bench.restart()
    bench.price(100)
    order = bench.do(lambda s: s.buy(1))
    assert "floor tripped: too low" in order.reasons[0]
    assert not bench.do(lambda s: s.sell(1)).denied
    assert bench.breakers[0].seen.count(b"remember") == 1
    bench.check()


def test_without_a_rule_only_a_person_resets():
    """With a name and a reason, and then trading goes on."""
    bench = floored()
    bench.price(100)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.kernel.command("reset", "me", "looked at it", breaker="floor")
    assert [(r.who, r.why) for r in bench.of(BreakerReset)] == [("me", "looked at it")]
    assert not bench.do(lambda s: s.buy(1)).denied


def test_a_clean_breaker_resets_before_an_order_is_judged():
    """By its own rule, and in its own name."""
    bench = floored(clean_above=99_500)
    assert bench.do(lambda s: s.buy(1)).denied
    bench.price(100)
    assert not bench.do(lambda s: s.buy(1)).denied
    assert [(r.who, r.why) for r in bench.of(BreakerReset)] == [("floor", "clean again")]


def test_a_breaker_that_cannot_watch_counts_as_tripped():
    """What is not watched is not safe."""

    class Broken(Floor):
        def watch(self, item, view):
            raise RuntimeError("blind")

    bench = Bench(breakers=[Broken()])
    bench.price(100)
    trips = bench.of(BreakerTripped)
    assert [(t.reason, t.scope) for t in trips] == [("it failed: RuntimeError: blind", "engine")]
    assert bench.do(lambda s: s.buy(1)).denied


def test_a_deposit_does_not_look_like_profit_nor_a_withdrawal_like_loss():
    """Limits measured from the day's start or from the high-water mark move with the money."""
    bench = Bench()
    bench.price(100)
    before = bench.kernel.view.high_water("fake")
    bench.broker.emit(AccountChanged(cause="withdrawal", currency="USDT", amount=D(-50_000)))
    assert bench.kernel.view.day_start("fake") == 50_000
    assert bench.kernel.view.high_water("fake") == pytest.approx(before - 50_000)
    assert equity(bench) == 50_000


@pytest.mark.parametrize("rate", [1.25, 2])
def test_a_day_begins_with_a_fresh_valuation(rate):
    """At an old rate equity is not known: until it is fresh again the day before is measured on."""
    bench = two_currencies()
    eur = bench.broker.listed[1].id
    bench.price(1.25, instrument=eur)
    account = bench.state.accounts["fake"]
    before = account.day
    bench.advance("23h")
    bench.advance("1h")
    assert (account.day, account.day_start) == (before, 1125)
    bench.price(rate, instrument=eur)
    bench.advance("1m")
    assert account.day > before
    assert account.day_start == pytest.approx(1000 + 100 * rate)
    bench.check()
