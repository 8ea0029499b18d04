"""The state is a fold of the facts, small after a long run, and apart for each account."""

from decimal import Decimal

import pytest

from fairlead import InvariantViolation, OrderStatus, Side
from fairlead._kernel.apply import apply
from fairlead._kernel.state import REMEMBERED_ORDERS, State, fingerprint
from fairlead.facts import EngineStarted, OrderAccepted
from fairlead.ports import FillReport
from fairlead.testing import Bench, FakeBroker, make_instrument

D = Decimal


def test_a_fact_about_an_order_that_nobody_placed_is_a_contradiction():
    """A journal that says so is not believed."""
    with pytest.raises(InvariantViolation, match="which nobody placed"):
        apply(State(), OrderAccepted(seq=1, now=1, cause=1, client_order_id="x"))


def test_folding_reads_nothing_but_the_facts():
    """Twice the same facts, twice the same bytes; one fact more, other bytes."""
    started = EngineStarted(seq=1, now=1, cause=1, namespace=7, epoch=2)
    one, two = State(), State()
    for state in (one, two):
        apply(state, started)
    assert fingerprint(one) == fingerprint(two)
    apply(two, EngineStarted(seq=2, now=1, cause=2, namespace=7, epoch=3))
    assert fingerprint(one) != fingerprint(two)


@pytest.mark.full
def test_closed_orders_are_forgotten_in_time():
    """A thousand are kept, with what belongs to them; the journal has them all, and the fold forgets alike."""
    bench = Bench()
    bench.price(100)
    for _ in range(REMEMBERED_ORDERS // 2):
        bench.do(lambda s: s.buy(1, stop_loss=50, take_profit=200))
        bench.do(lambda s: s.sell(1))
    assert len(bench.state.orders) == REMEMBERED_ORDERS
    assert not bench.state.open
    assert len(bench.state.children) <= REMEMBERED_ORDERS // 3
    bench.check()


def test_a_fill_of_an_order_long_forgotten_is_external():
    """It is booked all the same, and once."""
    bench = Bench()
    bench.price(100)
    report = FillReport(
        client_order_id="f" * 32,
        fill_id="x",
        instrument=bench.instrument,
        side=Side.BUY,
        quantity=D(1),
        price=D(100),
        fee=D(0),
        fee_currency="USDT",
    )
    for _ in range(2):
        bench.broker.emit(report)
    assert bench.state.quantity("fake", bench.instrument, "EXTERNAL") == 1
    bench.check()


def test_accounts_are_apart():
    """Orders, positions, cash and funds of one account are of no concern to another."""
    one, two = FakeBroker(name="one", cash="1_000 USDT"), FakeBroker(name="two", cash="100_000 USDT")
    bench = Bench(broker=[one, two])
    bench.price(100)
    assert bench.do(lambda s: s.buy(200)).denied
    order = bench.do(lambda s: s.buy(200, account="two", stop_loss=90))
    assert order.status is OrderStatus.FILLED
    assert not one.commands
    assert (bench.strategy.position(), bench.strategy.position(account="two")) == (0, 200)
    bench.price(95)
    assert bench.kernel.view.equity("one") == 1_000
    assert bench.kernel.view.equity("two") == 99_000
    bench.price(90)
    assert two.positions[bench.instrument] == 0
    bench.check()


def test_an_instrument_whose_rules_change_is_defined_anew():
    """After a restart with another tick, orders follow the new grid."""
    bench = Bench()
    bench.price(100)
    bench.broker.listed = bench.stream.listed = (make_instrument(tick="0.5"),)
    bench.restart()
    bench.price(100)
    assert bench.do(lambda s: s.buy(1, limit_price=99.9)).limit_price == D("99.5")
    bench.check()
