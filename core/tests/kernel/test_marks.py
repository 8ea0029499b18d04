"""What values a position, and for how long: marks, rates, and cash that comes or goes without a rate."""

from decimal import Decimal

import attrs
import pytest

from fairlead import Bar, Mark, OrderIntent, Side, TradingState
from fairlead._report.digest import digest
from fairlead._storage.journal import Journal
from fairlead._storage.run import RunFolder
from fairlead.facts import BreakerTripped, CashChanged, DayStarted, EquitySampled, FlowSettled
from fairlead.ports import EQUITY, AccountChanged, Trip
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, make_instrument
from fairlead_breakers import DailyLoss, StaleData

D = Decimal
ETH = "ETH/USDT@fake"


def equity(bench):
    return bench.kernel.view.equity("fake")


def mark(bench, price):
    now = bench.clock.now()
    bench.take(Mark(bench.instrument, float(price), now, now))


def mark_of(bench):
    return bench.kernel.view.mark(bench.instrument)


# --- marks ------------------------------------------------------------------------------------------------------


def test_trades_value_a_position_when_quotes_have_stopped():
    """A quote holds for five seconds; then the market that goes on is believed, and limits see the loss."""
    bench = Bench(breakers=[DailyLoss("1_000 USDT")])
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    bench.advance("5s")
    bench.trade(50)
    assert mark_of(bench) == 100
    bench.advance("1ms")
    bench.trade(50)
    assert mark_of(bench) == 50
    assert bench.of(BreakerTripped)
    bench.price(90)
    assert mark_of(bench) == 90
    bench.check()


def test_quotes_value_a_position_when_marks_have_stopped():
    """One mark long ago does not silence the quotes for ever; the next one is believed again at once."""
    bench = Bench()
    bench.price(100)
    mark(bench, 101)
    bench.advance("3s")
    bench.price(50)
    assert mark_of(bench) == 101
    bench.advance("2001ms")
    bench.price(50)
    assert mark_of(bench) == 50
    mark(bench, 102)
    assert mark_of(bench) == 102
    bench.check()


def test_a_bar_values_a_position_when_nothing_finer_came():
    """A source of long bars is waited for as long as two of them take."""
    bench = Bench()
    lane = bench.kernel.market.lanes[bench.instrument]
    lane.cadence = 60_000_000_000
    mark(bench, 100)
    bench.bar(90, 90, 90, 90)
    bench.bar(90, 90, 90, 90)
    assert mark_of(bench) == 100
    bench.bar(80, 80, 80, 80)
    assert mark_of(bench) == 80


def test_the_age_of_data_is_that_of_what_values_a_position():
    """Trades that move no mark and a book do not make an old mark young; a mark that repeats itself does."""
    bench = Bench(breakers=[StaleData("2s")])
    bench.price(100)
    bench.advance("3s")
    bench.trade(99)
    bench.book(99, 101)
    assert bench.kernel.view.age(bench.instrument) == 3_000_000_000
    assert bench.do(lambda s: s.buy(1)).denied
    bench.price(100)
    assert bench.kernel.view.age(bench.instrument) == 0
    assert not bench.do(lambda s: s.buy(1)).denied
    mark(bench, 100)
    bench.advance("1s")
    mark(bench, 100)
    assert bench.kernel.view.age(bench.instrument) == 0
    bench.check()


def test_an_order_is_priced_by_a_quote_only_while_that_is_fresh():
    """Where the venue's marks go on and its quotes do not, the mark is what is known."""
    bench = Bench()
    bench.quote(99, 101)
    mark(bench, 100)
    lane = bench.kernel.market.lanes[bench.instrument]
    assert lane.price(buying=True) == 101
    bench.advance("6s")
    mark(bench, 50)
    assert lane.price(buying=True) == 50


# --- rates ------------------------------------------------------------------------------------------------------


def rates(*symbols):
    """A bench that watches EUR in several forms, and holds 100 of it."""
    broker = FakeBroker(*map(make_instrument, symbols), cash="1_000 USDT")
    broker.balances["EUR"] = D(100)
    return Bench(Puppet(*symbols), broker=broker)


def test_spot_is_a_rate_before_a_perpetual_and_nothing_with_a_date_is():
    """A future or an option has a price of its own, which no money is worth."""
    bench = rates("EUR/USDT:USDT-240329", "EUR/USDT:USDT-240329-2-C")
    for found in bench.broker.listed:
        bench.price(3, instrument=found.id)
    assert equity(bench) is None
    bench = rates("EUR/USDT:USDT", "EUR/USDT")
    bench.price(3, instrument="EUR/USDT:USDT@fake")
    assert equity(bench) == 1_300
    bench.price(2, instrument="EUR/USDT@fake")
    bench.kernel.turn(lambda: bench.kernel.valuer.rebuild("fake"))
    assert equity(bench) == 1_200
    assert bench.kernel.valuer.rate("EUR", "USDT") == 2


def test_a_rate_that_is_too_old_is_none():
    """Orders, exposure and shares go by it as equity does; a perpetual that is fresh is better than old spot."""
    bench = rates("EUR/USDT", "EUR/USDT:USDT", "ABC/EUR:EUR")
    spot, future, other = (i.id for i in bench.broker.listed)
    bench.price(2, instrument=spot)
    bench.price(10, instrument=other)
    intent = OrderIntent(strategy="Puppet", account="fake", instrument=other, side=Side.BUY, quantity=D(1))
    view = bench.kernel.view
    assert (view.value(intent), view.exposure_with(intent)) == (20, 20)
    bench.advance("301s")
    bench.price(10, instrument=other)
    assert bench.kernel.valuer.rate("EUR", "USDT") is None
    assert view.value(intent) is None
    assert view.exposure_with(intent) is None
    bench.price(3, instrument=future)
    assert bench.kernel.valuer.rate("EUR", "USDT") == 3


class Quiet:
    """A breaker that is quiet unless it is asked, and then refuses."""

    name = "Quiet"
    wants = (EQUITY,)

    def check(self, intent, view):
        return Trip("asked")

    def watch(self, item, view):
        return None

    def quiet(self, account, view):
        return float("-inf"), float("inf")


def test_breakers_are_asked_when_the_rate_behind_equity_is_too_old():
    """Equity inside its quiet band is no excuse once nobody knows what it is."""
    bench = rates("EUR/USDT", "BTC/USDT:USDT")
    bench = Bench(bench.strategy, broker=FakeBroker(*bench.broker.listed), breakers=[Quiet()])
    bench.broker.emit(AccountChanged(cause="interest", currency="EUR", amount=D(1)))
    for instrument in bench.broker.listed:
        bench.price(100, instrument=instrument.id)
    bench.price(101, instrument="EUR/USDT@fake")
    assert not bench.do(lambda s: s.buy(1, instrument="BTC/USDT:USDT")).denied
    bench.advance("301s")
    bench.price(100, instrument="BTC/USDT:USDT@fake")
    assert any("asked" in why for why in bench.do(lambda s: s.buy(1, instrument="BTC/USDT:USDT")).reasons)


# --- cash that comes and goes -----------------------------------------------------------------------------------


def unrated(cause="deposit", amount=100):
    """A bench without a rate for ETH, on which some of it has come or gone."""
    broker = FakeBroker(make_instrument(), make_instrument("ETH/USDT"))
    bench = Bench(broker=broker, breakers=[DailyLoss("1_000 USDT")])
    bench.price(100)
    bench.broker.emit(AccountChanged(cause=cause, currency="ETH", amount=D(amount)))
    return bench


def test_a_deposit_without_a_rate_is_settled_when_there_is_one():
    """Until then equity is unknown and nothing is risked; afterwards the day's loss is no more lenient than before."""
    bench = unrated()
    assert not bench.of(CashChanged)[0].valued
    assert equity(bench) is None
    assert bench.do(lambda s: s.buy(1)).denied
    bench.kernel.turn(lambda: bench.kernel.resolve("ETH/USDT"))
    bench.price(100, instrument=ETH)
    assert [(fact.amount, fact.flow) for fact in bench.of(FlowSettled)] == [(100, 10_000)]
    assert equity(bench) == bench.kernel.view.day_start("fake") == 110_000
    assert not bench.do(lambda s: s.buy(1)).denied
    bench.price(80, instrument=ETH)
    assert bench.of(BreakerTripped)
    bench.check()


def test_a_settled_withdrawal_is_no_loss_in_a_report(tmp_path):
    """What a fall is measured from moves with it, as it does where the rate was known."""
    bench = unrated("withdrawal", -100)
    bench.advance("1m")
    bench.kernel.turn(lambda: bench.kernel.resolve("ETH/USDT"))
    bench.price(100, instrument=ETH)
    bench.advance("1m")
    bench.broker.emit(AccountChanged(cause="withdrawal", currency="USDT", amount=D(-50_000)))
    bench.advance("1m")
    folder = RunFolder(tmp_path)
    journal = Journal.open(folder.journal, boot_id="", sync_behind=False)
    journal.append(bench.journal.facts)
    journal.close()
    assert digest(folder).accounts["fake"].drawdown == pytest.approx(0, abs=1e-9)


def test_an_unsettled_deposit_waits_over_a_restart():
    """It is in the journal that its worth was not known."""
    bench = unrated()
    bench.restart()
    bench.price(100)
    assert equity(bench) is None
    bench.kernel.turn(lambda: bench.kernel.resolve("ETH/USDT"))
    bench.price(100, instrument=ETH)
    assert [fact.flow for fact in bench.of(FlowSettled)] == [10_000]
    assert bench.kernel.view.day_start("fake") == 110_000
    bench.check()


def test_a_deposit_that_went_again_needs_no_rate():
    """What is not there any more need not be valued."""
    bench = unrated()
    bench.broker.emit(AccountChanged(cause="withdrawal", currency="ETH", amount=D(-100)))
    assert equity(bench) == 100_000
    assert not bench.of(FlowSettled)
    bench.check()


def test_a_deposit_with_an_old_rate_is_settled_with_a_fresh_one():
    """Also where the fresh price is the same as the old one."""
    bench = Bench(Puppet("ETH/USDT"), broker=FakeBroker(make_instrument("ETH/USDT")))
    bench.price(100)
    bench.advance("301s")
    bench.broker.emit(AccountChanged(cause="deposit", currency="ETH", amount=D(1)))
    assert equity(bench) is None
    bench.price(100)
    bench.advance("1m")
    assert [fact.flow for fact in bench.of(FlowSettled)] == [100]
    assert equity(bench) == 100_100
    bench.check()


def test_a_withdrawal_is_no_drawdown():
    """The peak moves with what came or went, as the high-water mark does; a loss counts as before."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(100))
    bench.broker.emit(AccountChanged(cause="withdrawal", currency="USDT", amount=D(-50_000)))
    bench.price(101)
    assert bench.kernel.valuer.accounts["fake"].max_drawdown == 0
    bench.price(96)
    assert bench.kernel.valuer.accounts["fake"].max_drawdown == pytest.approx(500 / 50_100)
    bench.price(101)
    bench.advance("1m")
    assert bench.of(EquitySampled)[-1].drawdown == pytest.approx(500 / 50_100)
    bench.broker.emit(AccountChanged(cause="deposit", currency="USDT", amount=D(50_000)))
    assert bench.kernel.valuer.accounts["fake"].peak == pytest.approx(100_100)
    bench.check()


class Floor:
    """A breaker that is quiet above a floor, which a fact of one kind raises."""

    name = "Floor"

    def __init__(self, kind):
        self.wants = (EQUITY, kind)
        self.floor = float("-inf")

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        if not isinstance(item, str):
            self.floor = 100_000.0
            return None
        return Trip("below", TradingState.REDUCE_ONLY) if view.equity(item) < self.floor else None

    def quiet(self, account, view):
        return self.floor, float("inf")


@pytest.mark.parametrize("kind", [DayStarted, CashChanged])
def test_what_a_quiet_breaker_waits_for_is_asked_anew_after_a_fact_that_moves_it(kind):
    """A new day and a movement of cash set other limits: the next move of equity is shown, however small."""
    floor = Floor(kind)
    bench = Bench(breakers=[floor])
    floor.floor = float("-inf")
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    for price in (90, 95, 94):  # the deepest fall first, so that the next moves are inside every band
        bench.price(price)
    assert not bench.of(BreakerTripped)
    if kind is CashChanged:
        bench.broker.emit(AccountChanged(cause="fee", currency="USDT", amount=D(-1)))
    else:
        bench.advance("24h")
    bench.price(93)
    assert [fact.breaker for fact in bench.of(BreakerTripped)] == ["Floor"]
    bench.check()


# --- instruments that are defined anew --------------------------------------------------------------------------


def test_an_instrument_redefined_while_it_is_held_is_valued_anew():
    """Its size and margin count from then on, in equity, exposure and margin alike."""
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.buy(1))
    bench.do(lambda s: s.buy(1, limit_price=90))
    found = bench.broker.listed[0]
    bench.kernel.turn(lambda: bench.kernel.define(attrs.evolve(found, contract_size=D(10))))
    bench.price(101)
    assert equity(bench) == 100_010
    assert bench.kernel.view.exposure("fake") == 2 * 10 * 101
    bench.check()


def test_an_order_is_valued_at_the_prices_of_its_moment():
    """The same order asked for again after the market moved is worth something else, and so is the whole account."""
    bench = Bench()
    bench.price(100)
    intent = OrderIntent(
        strategy="Puppet", account="fake", instrument=bench.instrument, side=Side.BUY, quantity=D(1)
    )
    assert bench.kernel.view.exposure_with(intent) == 100
    bench.price(110)
    assert bench.kernel.view.exposure_with(intent) == 110
    bench.do(lambda s: s.buy(2))
    assert bench.kernel.view.exposure_with(intent) == 330


def test_a_position_in_another_currency_waits_for_any_rate():
    """Whichever of several rates comes first gives it a value."""
    profile = attrs.evolve(MARKET_AND_LIMIT, equivalents=(("USD", "USDT"),))
    symbols = ("ABC/EUR:EUR", "EUR/USDT", "EUR/USD:USD")
    bench = Bench(Puppet(*symbols), broker=FakeBroker(*map(make_instrument, symbols), profile=profile))
    for symbol in symbols:
        bench.price(2, instrument=f"{symbol}@fake")
    bench.do(lambda s: s.buy(10, instrument="ABC/EUR:EUR"))
    bench.restart()
    bench.price(3, instrument="ABC/EUR:EUR@fake")
    assert equity(bench) is None
    bench.price(2, instrument="EUR/USD:USD@fake")
    assert equity(bench) == 100_020
    bench.check()


def test_a_bar_of_the_same_close_keeps_data_young():
    """A mark that does not move is a mark all the same."""
    bench = Bench(Puppet(bars="1m"))
    bench.bar(100, 100, 100, 100)
    bench.bar(100, 100, 100, 100)
    assert bench.kernel.view.age(bench.instrument) == 0
    now = bench.clock.now()
    bench.take(Bar(bench.instrument, "1m", 9.0, 9.0, 9.0, 9.0, 1.0, now - 1, now, now))  # not a new one
    assert mark_of(bench) == 100
