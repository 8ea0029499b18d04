"""Sizes: what each comes to, never more than was meant, and judged by the gate as any quantity."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead import ConfigurationError, OrderIntent, Side
from fairlead.sizing import (
    Account,
    AtrRisk,
    EquityPercent,
    FixedQuantity,
    FixedValue,
    Kelly,
    Market,
    RiskPerTrade,
    VolatilityTarget,
)
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument
from fairlead_breakers import Limits

PERPETUAL, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"


def bench_with(symbol=PERPETUAL, *, bars=(), breakers=(), allocation=None, **rules):
    broker = FakeBroker(make_instrument(symbol, **rules), cash="100_000 USDT")
    bench = Bench(Puppet(symbol, bars=bars, allocation=allocation), broker=broker, breakers=breakers)
    bench.price(100)
    return bench


@pytest.mark.parametrize(
    ("size", "more", "quantity"),
    [
        (FixedQuantity("1.2345"), {}, "1.234"),
        (FixedValue("1_000 USDT"), {}, "10"),
        (FixedValue("1_000 USDT"), {"limit_price": 90}, "11.111"),
        (EquityPercent("10%"), {}, "100"),
        (RiskPerTrade("1%"), {"stop_loss": 90}, "100"),
        (RiskPerTrade("500 USDT"), {"stop_loss": 97}, "166.666"),
        (RiskPerTrade("1%"), {"stop_loss": "99.9"}, "1000"),
        (RiskPerTrade("1%", most="200%"), {"stop_loss": "99.9"}, "2000"),
        (Kelly("60%", 1), {}, "100"),
        (Kelly("40%", 1), {}, "0"),
        (lambda intent, account, market: account.equity / market.price / 4, {}, "250"),
    ],
)
def test_a_size_becomes_a_quantity(size, more, quantity):
    """An account of 100,000, a price of 100."""
    order = bench_with().do(lambda s: s.buy(size=size, **more))
    assert order.intent.quantity == Decimal(quantity)
    assert order.denied == (quantity == "0")


def test_fees_are_part_of_what_is_lost():
    """With a taker fee of 1 % a stop at half the price loses 51.5, of which 19 make 1,000."""
    bench = bench_with(taker_fee=Decimal("0.01"))
    order = bench.do(lambda s: s.buy(size=RiskPerTrade("1%"), stop_loss=50))
    assert order.intent.quantity == Decimal("19.417")


def test_equity_is_the_strategys_own_share():
    """With half of the account, a percent of equity is half a percent of the account."""
    bench = bench_with(allocation="50%")
    assert bench.do(lambda s: s.buy(size=EquityPercent("10%"))).intent.quantity == 50


def test_sizes_by_bars_wait_for_them():
    """Ranges of 4 around 100: risk 1,000 over twice the range is 125; before there are bars it is nothing."""
    bench = bench_with(bars="1m")
    size = AtrRisk("1%", period=5)
    assert bench.do(lambda s: s.buy(size=size)).denied
    for _ in range(6):
        bench.bar(100, 102, 98, 100)
    assert bench.do(lambda s: s.buy(size=size)).intent.quantity == 125
    assert bench.do(lambda s: s.buy(size=VolatilityTarget("10%", period=5))).denied, "nothing moves"
    for number in range(6):
        bench.bar(100, 102, 98, 100 + number % 2)
    quantity = bench.do(lambda s: s.buy(size=VolatilityTarget("10%", period=5))).intent.quantity
    assert 10 < quantity < 15


def test_the_gate_has_the_last_word():
    """A size is bounded by the limits."""
    bench = bench_with(breakers=[Limits(max_order_value="5_000 USDT")])
    assert "order value" in bench.do(lambda s: s.buy(size=EquityPercent("10%"))).reasons[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: s.buy(size=RiskPerTrade("1%")), "needs a stop_loss"),
        (lambda s: s.buy(1, size=FixedQuantity(1)), "exactly one of quantity="),
        (lambda s: s.buy(size=lambda *_: float("nan")), "not finite"),
        (lambda s: s.buy(size=lambda *_: -1), "below 0"),
        (lambda s: s.buy(size=FixedValue("10 EUR")), "for BTC/USDT:USDT@fake must be in USDT"),
        (lambda s: s.buy(value="10 EUR"), "for BTC/USDT:USDT@fake must be in USDT"),
        (lambda s: s.buy(10**30), "quantity 1e+30 of BTC/USDT:USDT@fake is too large to be exact"),
    ],
)
def test_a_size_that_makes_no_sense_says_why(call, words):
    """It is the strategy's fault, as any order that makes no sense is."""
    bench = bench_with()
    caught = []

    def act(strategy):
        with pytest.raises(ConfigurationError) as error:
            call(strategy)
        caught.append(str(error.value))

    bench.do(act)
    assert words in caught[0]
    assert not bench.broker.submits


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedQuantity(0),
        lambda: FixedValue("ten"),
        lambda: EquityPercent(50),
        lambda: RiskPerTrade("100%"),
        lambda: RiskPerTrade("-1%"),
        lambda: AtrRisk("1%", period=0),
        lambda: Kelly("110%", 1),
        lambda: Kelly("50%", 1, fraction="150%"),
    ],
)
def test_a_wrong_setting_is_refused(make):
    """Before anything is traded."""
    with pytest.raises(ConfigurationError):
        make()


prices = st.decimals(1, 100_000, places=1)


@given(
    equity=st.floats(1, 1e8),
    risk=st.decimals("0.001", "0.5", places=3),
    entry=prices,
    stop=prices,
    fee=st.decimals(0, "0.01", places=4),
    symbol=st.sampled_from([PERPETUAL, INVERSE]),
    rate=st.floats(0.01, 1e5),
)
def test_the_loss_at_the_stop_is_never_more_than_the_risk(equity, risk, entry, stop, fee, symbol, rate):
    """Whatever prices, fees, contract and rate: after rounding to the lot."""
    assume(entry != stop)
    found = make_instrument(symbol, taker_fee=fee, lot="0.000001")
    side = Side.BUY if stop < entry else Side.SELL
    intent = OrderIntent(
        strategy="s", account="a", instrument=found.id, side=side, quantity=Decimal(0), stop_loss=stop
    )
    account = Account("a", "USDT", equity, equity, Decimal(0))
    market = Market(found, float(entry), rate, lambda *_: [])
    quantity = found.quantity(RiskPerTrade(str(risk))(intent, account, market))
    paid = (found.notional(quantity, entry) + found.notional(quantity, stop)) * fee
    lost = (abs(found.profit(quantity, entry, stop)) + paid) * Decimal(rate)
    assert lost <= Decimal(equity) * risk * (1 + Decimal("1e-20"))
    assert found.notional(quantity, entry) * Decimal(rate) <= Decimal(equity) * (1 + Decimal("1e-20"))


@given(
    equity=st.floats(-1e6, 1e8),
    part=st.decimals("0.001", "1", places=3),
    price=prices,
    rate=st.floats(0.01, 1e5),
)
def test_a_part_of_equity_is_never_more_than_that(equity, part, price, rate):
    """Nothing where nothing is left; else at most the part, after rounding."""
    found = make_instrument(PERPETUAL, lot="0.000001")
    intent = OrderIntent(strategy="s", account="a", instrument=found.id, side=Side.BUY, quantity=Decimal(0))
    account = Account("a", "USDT", equity, None, Decimal(0))
    for size in (EquityPercent(str(part)), Kelly("70%", 2, fraction=str(part))):
        quantity = found.quantity(size(intent, account, Market(found, float(price), rate, lambda *_: [])))
        value = quantity * price * Decimal(rate)
        assert 0 <= value <= max(Decimal(equity), Decimal(0)) * part * (1 + Decimal("1e-20"))


def test_what_is_unknown_is_nothing():
    """Without equity, a rate or a price there is no quantity, and so no order."""
    found = make_instrument(PERPETUAL)
    intent = OrderIntent(
        strategy="s",
        account="a",
        instrument=found.id,
        side=Side.BUY,
        quantity=Decimal(0),
        stop_loss=Decimal(90),
    )
    for equity, price, rate in ((None, 100.0, 1.0), (1e5, None, 1.0), (1e5, 100.0, None)):
        account, market = (
            Account("a", "USDT", equity, None, Decimal(0)),
            Market(found, price, rate, lambda *_: []),
        )
        for size in (EquityPercent("1%"), RiskPerTrade("1%")):
            assert size(intent, account, market) == 0
