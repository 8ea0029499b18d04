"""The figures of what is at risk, worked out by hand."""

from fairlead import Bar
from fairlead._engine.risk import risk
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument
from fairlead.units import MINUTE
from fairlead_breakers import Limits

BTC, ETH = "BTC/USDT:USDT@fake", "ETH/USDT:USDT@fake"


def holding():
    """Ten long at 100 and ten short at 50, of equity 10,000, and a bid for five more."""
    broker = FakeBroker(
        make_instrument("BTC/USDT:USDT"), make_instrument("ETH/USDT:USDT"), cash="10_000 USDT"
    )
    limits = Limits(
        max_leverage=1, max_exposure="3_000 USDT", max_position_value="20%", max_order_value="5_000 USDT"
    )
    strategy = Puppet("BTC/USDT:USDT", "ETH/USDT:USDT", bars="1m", name="one")
    bench = Bench(strategy, broker=broker, breakers=[limits])
    bench.price(100, instrument=BTC)
    bench.price(50, instrument=ETH)
    bench.do(lambda s: s.buy(10, instrument=BTC))
    bench.do(lambda s: s.sell(10, instrument=ETH))
    bench.do(lambda s: s.buy(5, instrument=BTC, limit_price=90))
    return bench


def test_exposure_leverage_margin_and_concentration():
    """1,000 long and 500 short; with the bid that may fill 2,000."""
    (account,) = risk(holding().kernel)["accounts"]
    assert account["equity"] == "10000"
    assert (account["exposure"], account["net_exposure"], account["worst_exposure"]) == (
        "1500",
        "500",
        "2000",
    )
    assert (account["leverage"], account["worst_leverage"]) == ("0.15", "0.2")
    assert (account["margin"], account["margin_used"], account["free"]) == ("200", "0.02", "9800")
    assert (account["maintenance_margin"], account["margin_ratio"]) == ("7.5", "0.00075")
    assert (account["largest"], account["concentration"]) == (BTC, "0.66666667")


def test_distance_to_liquidation_is_exact():
    """At that move equity is the maintenance margin; a long that is paid for three times over has none."""
    bench = holding()
    (account,) = risk(bench.kernel)["accounts"]
    long, short = account["positions"]
    assert long["liquidation_distance"] is None
    away = float(short["liquidation_distance"])
    price = 50 * (1 + away)
    equity, maintenance = 10_000 - 10 * (price - 50), 0.005 * (1_000 + 10 * price)
    assert abs(equity - maintenance) < 1e-3
    assert account["liquidation_distance"] == short["liquidation_distance"]


def test_each_limit_has_the_part_that_is_used():
    """Limits of single orders have none."""
    (account,) = risk(holding().kernel)["accounts"]
    used = {row["limit"]: row["used"] for row in account["limits"]}
    assert used == {
        "max_leverage": "0.2",
        "max_exposure": "0.66666667",
        "max_position_value": "0.75",
        "max_order_value": None,
    }


def test_liquidity_and_correlation():
    """How often the touch would have to be filled, and how alike two positions moved."""
    bench = holding()
    assert risk(bench.kernel)["accounts"][0]["correlations"][0]["correlation"] is None
    for minute in range(25):
        start = bench.clock.now()
        end = start + MINUTE
        for name, price, factor in ((BTC, 100, 1.0), (ETH, 50, -0.4)):
            close = price + (minute * 3) % 7 * factor
            bench.take(Bar(name, "1m", price, price + 9, price - 9, close, 1.0, start, end, end))
    (account,) = risk(bench.kernel)["accounts"]
    assert float(account["correlations"][0]["correlation"]) < -0.9
    assert account["positions"][0]["times_the_touch"] == "1"


def test_without_a_price_figures_are_unknown():
    """None, and never 0."""
    bench = holding()
    bench.restart()
    (account,) = risk(bench.kernel)["accounts"]
    assert (
        account["equity"]
        is account["exposure"]
        is account["leverage"]
        is account["liquidation_distance"]
        is None
    )
    assert account["positions"][0]["value"] is None
