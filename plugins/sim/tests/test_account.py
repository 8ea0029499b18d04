"""Money: admission, fees, margin, funding and liquidation."""

from decimal import Decimal

import pytest

from fairlead import ConfigurationError, Funding, Liquidity, Mark, OrderType, TimeInForce
from fairlead.ports import AccountChanged, BrokerAdapter
from fairlead_sim import (
    FillByChance,
    FillByVolume,
    FillEverything,
    FixedFees,
    FixedLatency,
    InstrumentFees,
    SimulatedBroker,
    UniformLatency,
    VolumeSlippage,
)

LIMIT, STOP, TRAILING = OrderType.LIMIT, OrderType.STOP, OrderType.TRAILING_STOP
STRICT = {
    "min_quantity": Decimal("0.01"), "max_quantity": Decimal(50), "min_notional": Decimal(5),
    "initial_margin": Decimal("0.1"), "taker_fee": Decimal("0.001"),
}  # fmt: skip

REFUSALS = [
    ("unknown_instrument", {"quantity": "1", "instrument": "NONE@x"}),
    ("bad_lot", {"quantity": "0.0005"}),
    ("bad_lot", {"quantity": "0"}),
    ("bad_lot", {"quantity": "-1"}),
    ("bad_lot", {"quantity": "NaN"}),
    ("bad_lot", {"quantity": "1e60"}),
    ("min_quantity", {"quantity": "0.001"}),
    ("max_quantity", {"quantity": "51"}),
    ("bad_tick", {"quantity": "1", "kind": LIMIT, "limit": "99.95"}),
    ("bad_tick", {"quantity": "1", "kind": LIMIT, "limit": "Infinity"}),
    ("bad_tick", {"quantity": "1", "kind": STOP, "stop": "0"}),
    ("bad_order", {"quantity": "1", "kind": LIMIT}),
    ("bad_order", {"quantity": "1", "kind": STOP}),
    ("bad_order", {"quantity": "1", "kind": TRAILING}),
    ("bad_order", {"quantity": "1", "post_only": True}),
    ("unsupported", {"quantity": "1", "time_in_force": TimeInForce.OPG}),
    ("min_notional", {"quantity": "0.01"}),
    ("would_cross", {"quantity": "1", "kind": LIMIT, "limit": "101", "post_only": True}),
    ("would_not_reduce", {"quantity": "1", "reduce_only": True}),
    ("insufficient_margin", {"quantity": "11"}),
    (
        "expired",
        {"quantity": "1", "kind": LIMIT, "limit": "9", "time_in_force": TimeInForce.GTD, "expires_ns": 0},
    ),
]


@pytest.mark.parametrize(("code", "order"), REFUSALS)
def test_refusals(bench, code, order):
    """The venue refuses what its rules do not allow, with a code, and a sentence."""
    on = bench("100 USDT", rules=STRICT)
    on.clock.advance(5)
    on.quote(100.0, 100.1)
    on.buy(**order) if code != "expired" else on.buy(**{**order, "expires_ns": 1})
    (report,) = on.reports
    assert report.code == code
    assert report.reason
    assert on.snapshot().orders == ()


def test_an_id_is_used_once(bench):
    """A client order id is never taken twice, whatever became of the first order."""
    on = bench()
    on.buy("1", name="a")
    on.quote(100.0, 100.1)
    on.buy("1", name="b")
    on.limit("buy", "1", "90", name="c")
    for name in "abc":
        on.buy("1", name=name)
    assert [report.code for report in on.reports if hasattr(report, "code")] == [
        "no_market",
        *["duplicate_id"] * 3,
    ]


def test_deadlines(bench):
    """A command past its deadline is not sent; one that passes it on the way is rejected on arrival."""
    on = bench(latency="10ms")
    on.clock.advance(100)
    on.quote(100.0, 100.1)
    on.buy("1", deadline=99)
    assert on.kinds == ["NotSent"]
    on.buy("1", deadline=101)
    on.clock.advance(10**9)
    assert on.reports[-1].code == "expired"


def test_spot_is_paid_in_full(bench):
    """Spot needs the cost and fee of a buy and the quantity of a sell, beyond what open orders reserve."""
    on = bench("1_000 USDT", "BTC/USDT", rules={"taker_fee": Decimal("0.01")})
    on.quote(100.0, 100.0)
    on.buy("10")
    assert on.reports[-1].code == "insufficient_funds"
    on.limit("buy", "5", "90")
    on.buy("6")
    assert on.reports[-1].code == "insufficient_funds"
    on.buy("5")
    assert (on.cash(), on.cash("BTC")) == (Decimal(495), Decimal(5))
    on.sell("6")
    assert on.reports[-1].code == "insufficient_funds"
    on.limit("sell", "5", "120", group="g")
    on.stop("sell", "5", "95", group="g")
    assert len(on.snapshot().orders) == 3
    on.sell("1")
    assert on.reports[-1].code == "insufficient_funds"


def test_a_gap_cannot_overdraw_spot(bench):
    """A market buy that opens far above fills what the cash pays for, and no more."""
    on = bench("1_000 USDT", "BTC/USDT", rules={"taker_fee": Decimal("0.001")})
    on.bar(100, 100, 100, 100)
    on.buy("9.9")
    on.bar(200, 200, 200, 200)
    assert on.kinds == ["Accepted", "FillReport", "Canceled"]
    assert 0 <= on.cash() < 1
    assert on.fills[0].quantity == Decimal("4.995")


def test_borrowed_spot(bench):
    """With borrow=True spot is sold short against margin, and liquidated like any debt."""
    on = bench("1_000 USDT", "BTC/USDT", borrow=True, rules={"initial_margin": Decimal("0.5")})
    on.quote(100.0, 100.0)
    on.sell("21")
    assert on.reports[-1].code == "insufficient_margin"
    on.sell("15")
    assert on.cash("BTC") == -15
    on.quote(200.0, 200.0)
    assert on.cash("BTC") == 0
    assert on.fills[-1].cause == "liquidation"


FEES = [
    (None, "BTC/USDT", "taker", ("0.2002", "USDT")),
    (("-0.001", "0.002"), "BTC/USDT", "maker", ("-0.198", "USDT")),
    ("0.01", "BTC/USDT", "maker", ("1.98", "USDT")),
    (InstrumentFees(spot_buys_in_base=True), "BTC/USDT", "taker", ("0.002", "BTC")),
    (FixedFees("0.5", minimum=2), "BTC/USDT", "taker", ("2", "USDT")),
    (None, "BTC/USD:BTC", "taker", (None, "BTC")),
]


@pytest.mark.parametrize(("fees", "symbol", "liquidity", "fee"), FEES)
def test_fees(bench, fees, symbol, liquidity, fee):
    """Fees follow liquidity, in the settlement currency unless a model says otherwise; a rebate is negative."""
    cash = ["1_000 USDT", "100 BTC"] if symbol != "BTC/USD:BTC" else "100 BTC"
    on = bench(cash, symbol, fees=fees, rules={"taker_fee": Decimal("0.001"), "maker_fee": Decimal(0)})
    on.quote(100.0, 100.1)
    if liquidity == "taker":
        on.buy("2")
    else:
        on.limit("buy", "2", "99")
        on.quote(98.0, 98.1)
    (fill,) = on.fills
    assert fill.liquidity == Liquidity(liquidity)
    assert fill.fee_currency == fee[1]
    expected = Decimal(fee[0]) if fee[0] else Decimal(2) / Decimal("100.1") * Decimal("0.001")
    assert fill.fee == expected


def test_inverse_profit(bench):
    """An inverse position averages harmonically and earns its base currency."""
    on = bench("1 BTC", "BTC/USD:BTC", rules={"lot": Decimal(1), "contract_size": Decimal(100)})
    on.quote(100.0, 100.0)
    on.buy("1")
    on.quote(200.0, 200.0)
    on.buy("1")
    on.quote(400.0, 400.0)
    on.sell("2")
    assert on.cash("BTC") == pytest.approx(Decimal(1) + Decimal("1.5") - Decimal("0.5"))


def test_margin_counts_the_worst_case(bench):
    """Initial margin covers the worse side of position and open orders; what reduces is always let through."""
    on = bench("100 USDT", rules={"initial_margin": Decimal("0.1")})
    on.quote(100.0, 100.0)
    on.buy("6")
    on.limit("buy", "3", "99")
    on.limit("buy", "2", "98")
    assert on.reports[-1].code == "insufficient_margin"
    on.limit("sell", "12", "101")
    assert on.kinds[-1] == "Accepted"
    on.limit("sell", "5", "102")
    assert on.reports[-1].code == "insufficient_margin"


def test_conversion(bench, instrument):
    """Margin in another currency counts at the last mark; without a rate the order is refused."""
    on = bench("1 BTC", rules={"initial_margin": Decimal("0.1")})
    on.quote(100.0, 100.0)
    on.buy("1", name="first")
    assert on.kinds[-1] == "FillReport"
    other = instrument("ETH/EUR:EUR")
    on.broker.learn(other)
    on.quote(10.0, 10.0, instrument=other.id)
    on.buy("1", instrument=other.id)
    assert on.reports[-1].code == "no_rate"


def test_leverage(bench):
    """`leverage` replaces the instruments' initial margin."""
    on = bench("100 USDT", leverage=2)
    on.quote(100.0, 100.0)
    on.buy("3")
    assert on.reports[-1].code == "insufficient_margin"
    on.buy("2")
    assert on.position == 2


def test_funding(bench):
    """Longs pay rate × notional at the mark, shorts get it."""
    on = bench()
    on.quote(100.0, 100.0)
    on.broker.market(Mark(on.instrument.id, 200.0, 0, 0))
    on.broker.market(Funding(on.instrument.id, 0.01, 0, 0))
    assert on.reports == []
    on.sell("2")
    before = on.cash()
    on.broker.market(Funding(on.instrument.id, 0.01, 0, 0))
    report = on.reports[-1]
    assert isinstance(report, AccountChanged)
    assert (report.cause, report.amount, report.currency) == ("funding", Decimal(4), "USDT")
    assert on.cash() == before + 4
    assert on.desk.ledger.holdings[on.instrument.id].funding == -4


LIQUIDATION = {
    "initial_margin": Decimal("0.1"),
    "maintenance_margin": Decimal("0.05"),
    "tick": Decimal("0.01"),
}


def test_liquidation_on_a_bar_path(bench):
    """Inside a bar a position is liquidated at the very price where equity meets maintenance."""
    on = bench("1_000 USDT", rules=LIQUIDATION)
    on.bar(100, 100, 100, 100)
    on.buy("50")
    on.bar(100, 100, 100, 100)
    on.limit("buy", "1", "70")
    on.bar(100, 120, 60, 100)
    # 1000 + 50 × (p − 100) = 0.05 × 50 × p  →  p = 4000 / 47.5
    assert on.trades[-1] == ("sell", "50", "84.21")
    assert (on.fills[-1].client_order_id, on.fills[-1].cause) == ("", "liquidation")
    assert on.kinds[-2:] == ["Canceled", "FillReport"]
    assert on.position == 0


def test_liquidation_follows_every_fill(bench):
    """A position that grew is liquidated earlier, one that shrank later."""
    on = bench("1_000 USDT", rules=LIQUIDATION)
    on.quote(100.0, 100.0)
    on.buy("25")
    on.buy("25")
    on.quote(84.2, 84.2)
    assert on.position == 0
    on = bench("1_000 USDT", rules=LIQUIDATION)
    on.quote(100.0, 100.0)
    on.buy("50")
    on.sell("25")
    on.quote(84.2, 84.2)
    assert on.position == 25
    on.quote(63.0, 63.0)
    assert on.position == 0


@pytest.mark.parametrize(("side", "calm", "crash"), [("buy", 84.3, 84.2), ("sell", 114.2, 114.3)])
def test_liquidation_on_quotes(bench, side, calm, crash):
    """On quotes a position is liquidated at the first that no longer covers maintenance."""
    on = bench("1_000 USDT", rules=LIQUIDATION)
    on.quote(100.0, 100.0)
    on.order(side, "50")
    on.quote(calm, calm)
    assert on.position
    on.quote(crash, crash)
    assert on.position == 0
    assert on.fills[-1].cause == "liquidation"


def test_marks_decide_liquidation(bench):
    """Where the venue has a mark, quotes alone liquidate nobody."""
    on = bench("1_000 USDT", rules=LIQUIDATION)
    on.broker.market(Mark(on.instrument.id, 100.0, 0, 0))
    on.quote(100.0, 100.0)
    on.buy("50")
    on.quote(70.0, 70.1)
    assert on.position == 50
    on.broker.market(Mark(on.instrument.id, 84.0, 0, 0))
    assert on.position == 0


def test_liquidation_of_several_positions(bench, instrument):
    """All positions share the account: the largest goes first, and the rest stays if that is enough."""
    on = bench("1_000 USDT", rules=LIQUIDATION)
    other = instrument("ETH/USDT:USDT", **LIQUIDATION)
    on.broker.learn(other)
    on.quote(100.0, 100.0)
    on.quote(10.0, 10.0, instrument=other.id)
    on.buy("40")
    on.buy("50", instrument=other.id)
    for price in range(1000, 700, -1):
        on.quote(price / 10, price / 10)
    assert on.position == 0
    assert on.desk.ledger.quantity(other.id) == 50
    assert sum(fill.cause == "liquidation" for fill in on.fills) == 1


def test_liquidation_of_inverse_positions(bench):
    """An inverse long is liquidated where its coins no longer cover maintenance."""
    rules = {**LIQUIDATION, "lot": Decimal(1), "contract_size": Decimal(100)}
    on = bench("1 BTC", "BTC/USD:BTC", rules=rules)
    on.bar(100, 100, 100, 100)
    on.buy("8")
    on.bar(100, 100, 100, 100)
    on.bar(100, 100, 50, 100)
    # 1 + 800 × (1/100 − 1/p) = 0.05 × 800 / p  →  p = 840 / 9
    assert on.trades[-1] == ("sell", "8", "93.33")


def test_latency(bench):
    """With latency a command meets the market of its arrival, and a later one never overtakes it."""
    on = bench(latency="10ms", report_delay="5ms")
    on.quote(100.0, 100.1)
    on.buy("1")
    on.clock.advance(5_000_000)
    on.quote(101.0, 101.1)
    on.clock.advance(10_000_000)
    assert on.reports == []
    on.clock.advance(15_000_000)
    assert on.trades == [("buy", "1", "101.1")]
    assert on.fills[0].event_ns == 10_000_000


def test_seeded_latency_keeps_order(bench):
    """A random latency never lets commands overtake each other."""
    on = bench(latency=UniformLatency("1ms", "50ms", seed=3))
    on.quote(100.0, 100.1)
    names = [on.limit("buy", "1", "99") for _ in range(20)]
    on.clock.advance(10**9)
    assert [report.client_order_id for report in on.reports] == names


SLIPPAGE = [
    ("1 tick", "100.2"),
    ("2 ticks", "100.3"),
    ("100 bp", "101.1"),
    ("1%", "101.1"),
    (VolumeSlippage(), "100.1"),
]


@pytest.mark.parametrize(("slippage", "price"), SLIPPAGE)
def test_slippage(bench, slippage, price):
    """Slippage makes an aggressive order's price worse."""
    on = bench(slippage=slippage)
    on.quote(100.0, 100.1)
    on.buy("1")
    assert on.trades == [("buy", "1", price)]


def test_slippage_by_volume(bench):
    """The larger its share of a bar's volume, the worse the price."""
    on = bench(slippage=VolumeSlippage("0.1"))
    on.bar(100, 100, 100, 100)
    on.buy("5")
    on.bar(100, 100, 100, 100, volume=10)
    assert on.trades == [("buy", "5", "102.5")]


def test_slippage_never_passes_the_limit(bench):
    """A limit order's price is never worse than its limit."""
    on = bench(slippage="10%")
    on.quote(100.0, 100.1)
    on.limit("buy", "1", "100.5")
    assert on.trades == [("buy", "1", "100.5")]


def test_fills_by_volume(bench):
    """Participation limits what all own orders together take of a bar."""
    on = bench(fills=FillByVolume("10%"))
    on.bar(100, 100, 100, 100)
    on.buy("2")
    on.buy("2")
    on.bar(100, 100, 100, 100, volume=30)
    on.bar(100, 100, 100, 100, volume=30)
    assert [trade[1] for trade in on.trades] == ["2", "1", "1"]


def test_fills_by_chance(bench):
    """A touched order fills by chance, one that is traded through always."""
    on = bench(fills=FillByChance(0.0))
    on.quote(100.0, 100.1)
    on.limit("buy", "1", "99")
    on.trade(99.0)
    assert on.trades == []
    on.trade(98.9)
    assert len(on.trades) == 1


def test_fill_everything(bench):
    """A model may leave sizes out."""
    on = bench(fills=FillEverything())
    on.quote(100.0, 100.1, ask_size=1)
    on.buy("50")
    assert on.trades == [("buy", "50", "100.1")]


def test_like(instrument):
    """A backtest's account keeps name, cash, fees, models and profile of the broker it stands for."""
    first = SimulatedBroker(["5 BTC", "10 USDT"], name="mine", fees=("0", "0.01"), latency="1ms", leverage=3)
    first.learn(instrument())
    again = SimulatedBroker.like(first)
    assert isinstance(again, BrokerAdapter)
    assert (again.name, again.cash, again.latency, again.leverage) == ("mine", first.cash, "1ms", 3)
    assert again.profile == first.profile
    assert again.profile.base_currency == "BTC"
    with pytest.raises(ConfigurationError, match="cash"):
        SimulatedBroker.like(type("Broker", (), {"name": "live"})())


BAD = [
    {"cash": ""}, {"cash": "100"}, {"cash": "-1 USDT"}, {"cash": []}, {"fees": ("1", "2", "3")}, {"slippage": "2 pigs"},
    {"fill_at": "noon"}, {"leverage": "0.5"}, {"latency": "soon"},
]  # fmt: skip


@pytest.mark.parametrize("options", BAD)
def test_bad_options(options):
    """An option that makes no sense is refused in one sentence."""
    with pytest.raises(ConfigurationError):
        SimulatedBroker(**options)


@pytest.mark.parametrize("cash", [20_000, [20_000]])
def test_a_number_is_no_cash(cash):
    """Which currency it is in must be said, and the message shows how."""
    with pytest.raises(ConfigurationError, match="20000 is not money: write '20_000 USDT'"):
        SimulatedBroker(cash)


def test_models_that_contradict_themselves():
    """A model refuses numbers outside its range."""
    with pytest.raises(ConfigurationError):
        UniformLatency("2s", "1s")
    with pytest.raises(ConfigurationError):
        FillByChance(2)
    assert FixedLatency("1ms").delay(None) == 1_000_000


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"fees": -1}, "fees -1 is -100 %"),
        ({"fees": "5%"}, "fees '5%' is 5 %"),
        ({"fees": (0.0001, 2)}, "fees: taker fee 2 is 200 %"),
        ({"slippage": "-1 tick"}, "makes prices better"),
        ({"slippage": "-2 bp"}, "no worsening"),
        ({"slippage": "100%"}, "no worsening"),
    ],
)
def test_costs_that_cannot_be_are_refused(settings, rule):
    """No venue pays for all trading, and none trades at better prices than its own."""
    with pytest.raises(ConfigurationError, match=rule):
        SimulatedBroker(**settings)


def test_a_rebate_and_a_percentage_are_fees():
    """What venues charge, as people write it."""
    assert SimulatedBroker(fees="0.05%")._rates == (Decimal("0.0005"), Decimal("0.0005"))
    assert SimulatedBroker(fees=(-0.0001, 0.0005))._rates == (Decimal("-0.0001"), Decimal("0.0005"))
