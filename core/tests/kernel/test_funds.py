"""What an order is worth, and what the account must have for it: margin, cash, the least and the most."""

from decimal import Decimal

from fairlead import OrderIntent, OrderStatus, OrderType, Side
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument

D = Decimal
HEAVY = make_instrument("AAA/USDT:USDT", initial_margin=D("0.5"))
LIGHT = make_instrument("BBB/USDT:USDT", initial_margin=D("0.01"))
SPOT = make_instrument("CCC/USDT", initial_margin=D("1"))


def priced(*instruments, cash="100_000 USDT", price=100):
    bench = Bench(Puppet(*(i.symbol for i in instruments)), broker=FakeBroker(*instruments, cash=cash))
    for instrument in instruments:
        bench.price(price, instrument=instrument.id)
    return bench


def buy(bench, quantity, instrument, **more):
    return bench.do(lambda s: s.buy(quantity, instrument=instrument.symbol, **more))


def test_margin_is_each_instruments_own():
    """A light order does not make a heavy position light, nor a heavy order a light position heavy."""
    bench = priced(HEAVY, LIGHT)
    assert buy(bench, 1_900, HEAVY).status is OrderStatus.FILLED
    order = buy(bench, 10_000, LIGHT)
    assert order.reasons == ("margin of 105,000.00 is more than the equity of 100,000.00",)
    bench = priced(HEAVY, LIGHT)
    assert buy(bench, 5_000, LIGHT).status is OrderStatus.FILLED
    assert buy(bench, 10, HEAVY).status is OrderStatus.FILLED
    bench.check()


def test_margin_counts_what_works_on_either_side():
    """Sells that rest are as much of a risk as buys, beside a position on the other side as well."""
    bench = priced(HEAVY)
    buy(bench, 100, HEAVY)
    bench.do(lambda s: s.sell(1_100, limit_price=110))
    assert bench.kernel.view.exposure("fake") == 100 * 1_000
    assert bench.do(lambda s: s.sell(1_100, limit_price=111)).denied
    assert not bench.do(lambda s: s.sell(900, limit_price=111)).denied
    bench.check()


def test_spot_takes_no_margin():
    """It is paid for: what it is worth still counts as exposure, and as equity behind what is on margin."""
    bench = priced(SPOT, HEAVY)
    assert buy(bench, 900, SPOT).status is OrderStatus.FILLED
    assert buy(bench, 1_900, HEAVY).status is OrderStatus.FILLED
    assert bench.kernel.view.exposure("fake") == 280_000
    bench.check()


def test_a_spot_contract_costs_all_of_its_size():
    """A hundred units in a contract are a hundred times the money, and a hundred times what must be there to sell."""
    big = make_instrument("CCC/USDT", contract_size=D(100))
    bench = priced(big)
    assert "needs 5,000,000" in buy(bench, 500, big).reasons[0]
    assert buy(bench, 5, big).status is OrderStatus.FILLED
    assert bench.state.accounts["fake"].balances["CCC"] == 500
    assert bench.do(lambda s: s.sell(6)).denied
    assert bench.do(lambda s: s.sell(5)).status is OrderStatus.FILLED
    bench.check()


def intent(instrument, quantity, limit, side=Side.SELL):
    return OrderIntent(
        strategy="Puppet",
        account="fake",
        instrument=instrument.id,
        side=side,
        quantity=D(quantity),
        type=OrderType.LIMIT,
        limit_price=D(limit),
    )


def test_an_inverse_order_is_worth_most_at_the_lower_price():
    """Its value goes with one over the price, so a limit far above the market makes it no smaller."""
    inverse = make_instrument("BTC/USD:BTC", contract_size=D(100))
    bench = priced(inverse, cash="1_000 BTC", price=50_000)
    view = bench.kernel.view
    assert view.value(intent(inverse, 50_000, 500_000)) == 100
    assert view.value(intent(inverse, 50_000, 25_000)) == 200
    linear = make_instrument()
    bench = priced(linear)
    assert bench.kernel.view.value(intent(linear, 1, 200)) == 200
    assert bench.kernel.view.value(intent(linear, 1, 50)) == 100


def test_the_least_that_a_venue_takes_is_measured_at_the_worse_price():
    """An order that would be too small at its own price is refused, whatever the market's is; inverse ones too."""
    linear = make_instrument(min_notional=D(100))
    bench = priced(linear)
    assert buy(bench, 1, linear, limit_price=100).status is OrderStatus.ACCEPTED
    assert "value below the minimum" in buy(bench, 1, linear, limit_price=50).reasons[0]
    inverse = make_instrument("BTC/USD:BTC", contract_size=D(100), min_notional=D(1))
    bench = priced(inverse, cash="1_000 BTC", price=100)
    assert not bench.do(lambda s: s.sell(1, limit_price=100)).denied
    assert "value below the minimum" in bench.do(lambda s: s.sell(1, limit_price=200)).reasons[0]
    bench.check()
