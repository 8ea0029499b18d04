"""Orders that are replaced in place count as messages, and not twice as orders."""

import attrs
import pytest

from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker
from fairlead_breakers import Limits, OrderRate

IN_PLACE = attrs.evolve(MARKET_AND_LIMIT, replaces=frozenset({"limit"}))


def ready(breaker):
    bench = Bench(broker=FakeBroker(profile=IN_PLACE), breakers=[breaker])
    bench.price(100)
    return bench


def replaced(bench, order, price):
    return bench.do(lambda s: s.replace(order, limit_price=price))


def test_the_only_order_that_may_be_open_can_be_replaced():
    """It is not there beside what takes its place."""
    bench = ready(Limits(max_open_orders=1))
    order = bench.do(lambda s: s.buy(1, limit_price=99))
    assert replaced(bench, order, 98) is order
    assert order.limit_price == 98


@pytest.mark.parametrize("breaker", [Limits(max_order_rate="3/1s"), OrderRate(3)], ids=["limit", "breaker"])
def test_each_replacement_is_one_more_message(breaker):
    """A venue counts them like orders."""
    bench = ready(breaker)
    order = bench.do(lambda s: s.buy(1, limit_price=99))
    assert replaced(bench, order, 98) is order
    assert replaced(bench, order, 97) is order
    assert replaced(bench, order, 96).denied
    assert order.limit_price == 97


def test_a_reduction_can_be_replaced_while_only_reductions_pass():
    """Its old terms do not count beside its new ones."""
    bench = ready(Limits(max_position_value="100 USDT"))
    bench.do(lambda s: s.buy(1))
    out = bench.do(lambda s: s.sell(1, limit_price=110, reduce_only=True))
    assert replaced(bench, out, 105) is out
    assert out.limit_price == 105
