"""Positions and cash equal an independent computation, and the account is the sum of its parts."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import EXTERNAL, Contract, Side
from fairlead._kernel.ledger import trade, untrade
from fairlead._kernel.state import fingerprint
from fairlead._models.accounts import Position, PositionKey
from fairlead.facts import CashChanged, Filled
from fairlead.ports import AccountChanged, FillReport
from fairlead.testing import Bench, FakeBroker, Puppet, make_instrument, silence

D = Decimal
SYMBOLS = {"spot": "BTC/USDT", "linear": "BTC/USDT:USDT", "inverse": "BTC/USD:BTC"}
KINDS = pytest.mark.parametrize("kind", SYMBOLS)

fills = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", ""]),
        st.sampled_from(list(Side)),
        st.integers(1, 50).map(lambda n: D(n) / 10),
        st.integers(500, 1500).map(lambda n: D(n) / 10),
        st.integers(-5, 20).map(lambda n: D(n) / 1000),
    ),
    min_size=1,
    max_size=25,
)


def report(n, name, side, quantity, price, fee, instrument, cause=""):
    return FillReport(
        client_order_id=name,
        fill_id=f"f{n}",
        instrument=instrument.id,
        side=side,
        quantity=quantity,
        price=price,
        fee=fee,
        fee_currency=instrument.settle,
        cause=cause,
    )


def two_strategies(kind):
    instrument = make_instrument(SYMBOLS[kind])
    one, two = (Puppet(instrument.symbol, name=n, allocation="50%") for n in ("one", "two"))
    broker = FakeBroker(instrument, cash=f"1_000_000_000 {instrument.settle}")
    broker.balances.setdefault("BTC", D(1_000_000))
    bench = Bench(one, two, broker=broker)
    bench.price(100)
    return bench, instrument


def place(bench, side, quantity, price, index):
    return bench.do(lambda s: getattr(s, side.value)(quantity, limit_price=price), index)


def play(kind, story):
    """Each strategy places an order for each of its fills; what has no strategy nobody here ordered."""
    bench, instrument = two_strategies(kind)
    bench.broker.script = silence()
    for n, (strategy, side, quantity, price, fee) in enumerate(story):
        name = ""
        if strategy:
            index = 0 if strategy == "one" else 1
            far = D(1) if side is Side.BUY else D(100_000)
            order = place(bench, side, quantity, far, index)
            name = order.client_order_id
        made = report(n, name, side, quantity, price, fee, instrument)
        bench.broker.emit(made)
        bench.broker.emit(made)
    return bench, instrument


@KINDS
@given(story=fills)
def test_positions_and_cash_equal_a_computation_from_the_fills_alone(kind, story):
    """Average cost, done again with fractions: quantities exact, money to a billionth."""
    bench, instrument = play(kind, story)
    cash: dict[str, D] = {}
    books: dict[str, tuple[D, D, D]] = {}  # quantity, cost (inverse: base value), realised
    for strategy, side, quantity, price, fee in story:
        signed = quantity if side is Side.BUY else -quantity
        cash[instrument.settle] = cash.get(instrument.settle, D(0)) - fee
        if kind == "spot":
            cash["BTC"] = cash.get("BTC", D(0)) + signed
            cash["USDT"] -= signed * price
        for key in ("", strategy or EXTERNAL):
            held, cost, realised = books.get(key, (D(0), D(0), D(0)))
            unit = 1 / price if kind == "inverse" else price
            closing = min(abs(signed), abs(held)) if held * signed < 0 else D(0)
            if closing:
                share = cost * closing / abs(held)
                value = unit * closing * (1 if held > 0 else -1)
                earned = share - value if kind == "inverse" else value - share
                realised += earned
                cost -= share
                if not key and kind != "spot":
                    cash[instrument.settle] += earned
            opening = abs(signed) - closing
            cost += unit * opening * (1 if signed > 0 else -1)
            books[key] = (held + signed, cost if held + signed else D(0), realised)
    balances = bench.state.accounts["fake"].balances
    for currency, change in cash.items():
        start = bench.broker.balances.get(currency, D(0))
        assert abs(balances.get(currency, D(0)) - start - change) < D("1e-9"), currency
    for key, (held, cost, realised) in books.items():
        position = bench.state.position("fake", instrument.id, key)
        assert position.quantity == held
        assert abs(position.realised - realised) < D("1e-9")
        if held:
            entry = held / cost if kind == "inverse" else cost / held
            assert abs(position.average_price - entry) < D("1e-9")


@KINDS
@given(story=fills)
def test_strategies_and_external_add_up_to_the_account_and_the_fold_is_the_state(kind, story):
    """Virtual positions are a partition of the account's, and the journal alone gives all of it."""
    bench, instrument = play(kind, story)
    parts = [p for k, p in bench.state.positions.items() if k.strategy]
    whole = bench.state.position("fake", instrument.id)
    assert sum(p.quantity for p in parts) == whole.quantity
    assert sum(p.fees for p in parts) == whole.fees
    assert len(bench.of(Filled)) == len(story)
    assert fingerprint(bench.journal.fold()) == fingerprint(bench.state)


@given(
    story=st.lists(
        st.tuples(st.integers(-30, 30).filter(bool), st.integers(500, 1500)), min_size=1, max_size=8
    ),
    last=st.tuples(st.integers(-30, 30).filter(bool), st.integers(500, 1500)),
)
def test_taking_the_last_fill_back_restores_total_profit(story, last):
    """At any mark, realised and open profit together are what they were; exactly so for an opening fill."""
    instrument = make_instrument()
    held = Position(key=PositionKey("a", instrument.id, "s"))
    for quantity, price in story:
        trade(held, D(quantity), D(price), instrument, 0)
    before = (held.quantity, held.average_price, held.realised)
    trade(held, D(last[0]), D(last[1]), instrument, 0)
    untrade(held, -D(last[0]), D(last[1]), instrument, 0)
    total = held.realised + held.quantity * (1000 - held.average_price)
    assert held.quantity == before[0]
    assert abs(total - before[2] - before[0] * (1000 - before[1])) < D("1e-12")
    if before[0] * last[0] > 0:
        assert abs(held.average_price - before[1]) < D("1e-12")
        assert held.realised == before[2]


def test_a_liquidation_is_shared_by_those_whose_positions_it_shrinks():
    """Pro rata on the lot grid; what nobody held is EXTERNAL; told again it changes nothing."""
    bench, instrument = two_strategies("linear")
    bench.do(lambda s: s.buy(1), 0)
    bench.do(lambda s: s.buy(2), 1)
    for _ in range(2):
        bench.broker.emit(report(1, "", Side.SELL, D("2"), D(90), D("0.5"), instrument, "liquidation"))
    left = {n: bench.state.quantity("fake", instrument.id, n) for n in ("one", "two", EXTERNAL, "")}
    assert left == {"one": D("0.334"), "two": D("0.666"), EXTERNAL: 0, "": 1}
    assert sum(f.fill.fee for f in bench.of(Filled)) == D("0.5")
    bench.broker.emit(report(2, "", Side.SELL, D("3"), D(90), D(0), instrument, "liquidation"))
    left = {n: bench.state.quantity("fake", instrument.id, n) for n in ("one", "two", EXTERNAL, "")}
    assert left == {"one": 0, "two": 0, EXTERNAL: -2, "": -2}
    bench.check()


def test_a_liquidation_spares_those_on_the_other_side():
    """It sells what the account is long; a strategy that is short caused none of it."""
    bench, instrument = two_strategies("linear")
    bench.do(lambda s: s.buy(3), 0)
    bench.do(lambda s: s.sell(1), 1)
    bench.broker.emit(report(1, "", Side.SELL, D(2), D(90), D(0), instrument, "liquidation"))
    assert bench.state.quantity("fake", instrument.id, "one") == 1
    assert bench.state.quantity("fake", instrument.id, "two") == -1


def test_funding_is_shared_to_the_last_digit():
    """What strategies pay adds up to what the account paid."""
    bench, instrument = two_strategies("linear")
    bench.do(lambda s: s.buy(1), 0)
    bench.do(lambda s: s.buy(2), 1)
    bench.broker.emit(
        AccountChanged(cause="funding", currency="USDT", amount=D("-1"), instrument=instrument.id)
    )
    paid = {n: bench.state.position("fake", instrument.id, n).funding for n in ("one", "two")}
    assert sum(paid.values()) == bench.state.position("fake", instrument.id).funding == 1
    assert round(paid["one"], 6) == round(D(1) / 3, 6)
    bench.check()


def test_a_deposit_is_nobodys_profit():
    """It moves cash, the day's flows and the high-water mark alike."""
    bench, _ = two_strategies("linear")
    account = bench.state.accounts["fake"]
    mark = account.high_water
    bench.broker.emit(AccountChanged(cause="deposit", currency="USDT", amount=D(500)))
    assert account.flows == 500
    assert account.high_water == pytest.approx(mark + 500)
    assert bench.of(CashChanged)[0].flow == 500
    assert bench.kernel.view.day_start("fake") == account.day_start + 500


def test_a_fee_in_kind_leaves_less_to_sell():
    """Spot venues may take the fee from what was bought: position and balance agree, and it can be closed."""
    instrument = make_instrument("BTC/USDT")
    bench = Bench(Puppet("BTC/USDT"), broker=FakeBroker(instrument))
    bench.price(100)
    bench.broker.script = silence()
    order = bench.do(lambda s: s.buy(1, stop_loss=90))
    made = report(1, order.client_order_id, Side.BUY, D(1), D(100), D("0.0015"), instrument)
    bench.broker.emit(msgspec.structs.replace(made, fee_currency="BTC"))
    assert bench.state.quantity("fake", instrument.id, "Puppet") == D("0.9985")
    assert bench.state.accounts["fake"].balances["BTC"] == D("0.9985")
    assert bench.state.position("fake", instrument.id).fees == D("0.15")
    stop = next(o for o in bench.state.open.values() if o.intent.exits)
    assert stop.quantity == D("0.998")
    assert bench.do(lambda s: s.close()).quantity == D("0.998")


@given(
    value=st.decimals(D("0.0001"), D("99999"), allow_nan=False, places=7),
    tick=st.sampled_from(["0.1", "0.25", "0.00001", "5"]),
)
def test_the_grid_never_rounds_to_the_riskier_side(value, tick):
    """Quantities towards zero, buy prices down, sell prices up; what is on the grid stays."""
    instrument = make_instrument(tick=tick, lot=tick)
    grid = D(tick)
    for side in Side:
        price = instrument.price_for(side, value)
        assert price % grid == 0
        assert abs(price - value) < grid
        assert price <= value if side is Side.BUY else price >= value
        assert instrument.price_for(side, price) == price
    for signed in (value, -value):
        assert abs(instrument.quantity(signed)) <= value
        assert instrument.quantity(signed) % grid == 0
        assert instrument.quantity(-signed) == -instrument.quantity(signed)


def test_kinds_of_contract_follow_from_symbols():
    """What settles in its base is inverse, in another currency linear, nowhere spot."""
    assert [make_instrument(s).contract for s in SYMBOLS.values()] == list(Contract)
