"""What holds whatever happens: money is conserved, nothing is over-filled, and a seed decides everything."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Funding, OrderType, TimeInForce, Trail
from fairlead.ports import AccountChanged, Canceled, Expired, FillReport
from fairlead_sim import FillByChance, FillByQueue, UniformLatency

prices = st.integers(900, 1100).map(lambda ticks: ticks / 10)
exact = prices.map(str)
sides = st.sampled_from(["buy", "sell"])
amounts = st.integers(1, 20).map(str)
rarely = st.sampled_from([False, False, True])
groups = st.sampled_from(["", "", "g", "h"])
forces = st.sampled_from(
    [TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY]
)

orders = st.one_of(
    st.fixed_dictionaries(
        {"side": sides, "quantity": amounts, "reduce_only": rarely, "group": groups, "time_in_force": forces}
    ),
    st.fixed_dictionaries(
        {
            "side": sides, "quantity": amounts, "kind": st.just(OrderType.LIMIT), "limit": exact, "group": groups,
            "reduce_only": rarely, "time_in_force": forces,
        }
    ),
    st.fixed_dictionaries(
        {
            "side": sides, "quantity": amounts, "kind": st.just(OrderType.STOP), "stop": exact, "group": groups,
            "reduce_only": rarely,
        }
    ),
    st.fixed_dictionaries(
        {
            "side": sides, "quantity": amounts, "kind": st.just(OrderType.STOP_LIMIT), "stop": exact, "limit": exact,
        }
    ),
    st.fixed_dictionaries(
        {
            "side": sides, "quantity": amounts, "kind": st.just(OrderType.TRAILING_STOP), "reduce_only": rarely,
            "trail": st.integers(1, 5).map(lambda distance: Trail(Decimal(distance))),
        }
    ),
)  # fmt: skip
quotes = st.tuples(st.just("quote"), prices, st.integers(1, 30), st.integers(1, 30))
trades = st.tuples(st.just("trade"), prices, st.integers(1, 30))
bars = st.tuples(st.just("bar"), st.lists(prices, min_size=4, max_size=4))
steps = st.one_of(
    st.tuples(st.just("order"), orders),
    st.tuples(st.just("order"), orders),
    st.tuples(st.just("order"), orders),
    st.tuples(st.just("cancel"), st.integers(1, 20)),
    st.tuples(st.just("funding"), st.sampled_from([0.001, -0.002])),
)
ticks = st.lists(st.one_of(steps, steps, quotes, trades), min_size=15, max_size=60)
paths = st.lists(st.one_of(steps, bars), min_size=15, max_size=60)
stories = st.one_of(ticks, paths)


def play(on, story):
    on.quote(100.0, 100.1) if not any(step[0] == "bar" for step in story) else on.bar(100, 100, 100, 100)
    for step in story:
        match step:
            case ("order", order):
                on.order(**order)
            case ("cancel", number):
                on.cancel(f"c{number}")
            case ("quote", price, bid_size, ask_size):
                on.clock.advance(on.clock.time + 10**9)
                on.quote(price, price + 0.1, bid_size, ask_size)
            case ("trade", price, size):
                on.trade(price, size)
            case ("bar", (first, *rest, last)):
                on.bar(first, max(first, last, *rest), min(first, last, *rest), last)
            case ("funding", rate):
                now = on.clock.time
                on.broker.market(Funding(on.instrument.id, rate, now, now))
    return on


@given(story=stories)
@settings(max_examples=80, deadline=None)
def test_money_is_conserved(bench, story):
    """Cash and the value at cost of what is held change by fills, fees and funding only."""
    for symbol in ("BTC/USDT:USDT", "BTC/USDT"):
        on = play(bench("2_000 USDT", symbol, fees=("-0.0001", "0.0005")), story)
        cash = Decimal(2000)
        held = Decimal(0)
        for report in on.reports:
            if isinstance(report, AccountChanged):
                cash += report.amount
            elif isinstance(report, FillReport):
                signed = report.quantity if report.side == "buy" else -report.quantity
                cash -= signed * report.price + report.fee
                held += signed
        holding = on.desk.ledger.holdings.get(on.instrument.id)
        if holding is None:
            assert not on.fills
            continue
        assert holding.quantity == held
        carried = Decimal(0) if symbol == "BTC/USDT" else held * holding.average_price
        assert abs(on.cash() - cash - carried) < Decimal("1e-15")
        if symbol == "BTC/USDT":
            assert on.cash("BTC") == held
            assert on.cash() >= 0 <= held


@given(story=stories)
@settings(max_examples=80, deadline=None)
def test_fills_add_up(bench, story):
    """Fills of an order add up to what it reports, never beyond its quantity, and nothing follows its end."""
    on = play(bench("20_000 USDT"), story)
    filled, ended, seen = {}, set(), set()
    for report in on.reports:
        if isinstance(report, FillReport) and not report.cause:
            name = report.client_order_id
            assert name not in ended
            assert report.fill_id not in seen
            seen.add(report.fill_id)
            filled[name] = filled.get(name, Decimal(0)) + report.quantity
            assert report.cumulative_quantity == filled[name]
        elif isinstance(report, Canceled | Expired):
            assert report.client_order_id not in ended
            ended.add(report.client_order_id)
    for name, quantity in filled.items():
        order = on.lookup(name)[name]
        assert order.filled_quantity == quantity <= order.quantity


@given(story=stories)
@settings(max_examples=80, deadline=None)
def test_reduce_only_never_grows_or_flips(bench, story):
    """A reduce-only fill brings the position nearer to zero and never past it."""
    on = bench("20_000 USDT")
    held = Decimal(0)
    reducing = set()
    play(on, story)
    count = 0
    for step in story:
        if step[0] == "order":
            count += 1
            if step[1].get("reduce_only"):
                reducing.add(f"c{count}")
    for fill in on.fills:
        after = held + (fill.quantity if fill.side == "buy" else -fill.quantity)
        if fill.client_order_id in reducing:
            assert abs(after) < abs(held)
            assert after * held >= 0
        held = after


@given(story=stories)
@settings(max_examples=60, deadline=None)
def test_groups_never_over_fill(bench, story):
    """Orders that joined a group while it was whole never fill more than the largest of them."""
    story = [step for step in story if not (step[0] == "order" and step[1].get("group"))]
    on = bench("20_000 USDT")
    on.quote(100.0, 100.1)
    on.limit("buy", "7", "95", group="g", name="low")
    on.stop("buy", "5", "105", group="g", name="high")
    on.limit("sell", "6", "104", group="g", name="top")
    play(on, story)
    total = sum(fill.quantity for fill in on.fills if fill.client_order_id in {"low", "high", "top"})
    assert total <= 7


@given(story=ticks, seed=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_a_seed_decides_everything(bench, story, seed):
    """The same seed and inputs give the same reports, also from models that were used before."""
    latency, fills = UniformLatency("1ms", "3s", seed=seed), FillByChance(0.5, seed=seed)
    runs = [play(bench(latency=latency, fills=fills), story).reports for _ in range(2)]
    assert runs[0] == runs[1]


@given(story=ticks)
@settings(max_examples=50, deadline=None)
def test_waking_changes_nothing(bench, story):
    """Skipping events that cannot matter gives the same reports as looking at every one."""
    for fills in (None, FillByQueue()):
        quick = play(bench(fills=fills), story).reports
        slow = bench(fills=fills)
        market = slow.broker.venue.market

        def every(event, slow=slow, market=market):
            for one in slow.desk.markets.values():
                one.low = float("inf")
            market(event)

        slow.broker.market = every
        assert play(slow, story).reports == quick
