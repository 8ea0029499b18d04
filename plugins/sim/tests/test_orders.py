"""Every order type on every kind of event."""

from decimal import Decimal

import pytest

from fairlead import OrderType, TimeInForce, Trail
from fairlead.ports import Canceled, CancelRejected, Expired, Rejected
from fairlead_sim import FillByQueue, FillBySize

MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
STOP_LIMIT, TRAILING = OrderType.STOP_LIMIT, OrderType.TRAILING_STOP

BUY_LIMIT = {"side": "buy", "kind": LIMIT, "limit": "99"}
SELL_LIMIT = {"side": "sell", "kind": LIMIT, "limit": "101"}
BUY_STOP = {"side": "buy", "kind": STOP, "stop": "102"}
SELL_STOP = {"side": "sell", "kind": STOP, "stop": "98"}
BUY_STOP_LIMIT = {"side": "buy", "kind": STOP_LIMIT, "stop": "102", "limit": "103"}
SELL_TRAIL = {"side": "sell", "kind": TRAILING, "trail": Trail(Decimal(2))}
BUY_TRAIL = {"side": "buy", "kind": TRAILING, "trail": Trail(Decimal("0.02"), percent=True)}

QUOTES = [
    # order, quotes after it was sent at 100.0 / 100.1, price of its fill (None: it works on)
    ({"side": "buy", "kind": MARKET}, [], "100.1"),
    ({"side": "sell", "kind": MARKET}, [], "100"),
    ({"side": "buy", "kind": LIMIT, "limit": "100.5"}, [], "100.1"),
    ({"side": "sell", "kind": LIMIT, "limit": "99"}, [], "100"),
    (BUY_LIMIT, [(99.0, 99.1)], None),
    (BUY_LIMIT, [(98.9, 99.0)], "99"),
    (BUY_LIMIT, [(97.0, 97.1)], "99"),
    (SELL_LIMIT, [(101.0, 101.1)], "101"),
    (SELL_LIMIT, [(100.9, 101.1)], None),
    (BUY_STOP, [(101.8, 101.9)], None),
    (BUY_STOP, [(101.9, 102.0)], "102"),
    (BUY_STOP, [(105.0, 105.1)], "105.1"),
    (SELL_STOP, [(98.1, 98.2)], None),
    (SELL_STOP, [(98.0, 98.1)], "98"),
    (SELL_STOP, [(90.0, 90.1)], "90"),
    ({"side": "sell", "kind": STOP, "stop": "100.5"}, [], "100"),
    (BUY_STOP_LIMIT, [(102.4, 102.5)], "102.5"),
    (BUY_STOP_LIMIT, [(105.0, 105.1)], None),
    (BUY_STOP_LIMIT, [(105.0, 105.1), (102.9, 103.0)], "103"),
    (SELL_TRAIL, [(104.0, 104.1), (102.1, 102.2)], None),
    (SELL_TRAIL, [(104.0, 104.1), (102.0, 102.1)], "102"),
    (SELL_TRAIL, [(98.0, 98.1)], "98"),
    (BUY_TRAIL, [(96.9, 97.0), (98.8, 98.9)], None),
    (BUY_TRAIL, [(96.9, 97.0), (98.9, 99.0)], "99"),
]


@pytest.mark.parametrize(("order", "quotes", "price"), QUOTES)
def test_quotes(bench, order, quotes, price):
    """On quotes an order takes the other side when sent, and makes at its own price once it rested."""
    on = bench()
    on.quote(100.0, 100.1)
    on.order(quantity="1", **order)
    for bid, ask in quotes:
        on.quote(bid, ask)
    assert on.trades == ([] if price is None else [(order["side"], "1", price)])
    assert len(on.snapshot().orders) == (price is None)


TRADES = [
    ({"side": "buy", "kind": MARKET}, [], "100"),
    (BUY_LIMIT, [99.1], None),
    (BUY_LIMIT, [99.0], "99"),
    (BUY_LIMIT, [95.0], "99"),
    (SELL_LIMIT, [101.5], "101"),
    (BUY_STOP, [101.9], None),
    (BUY_STOP, [103.0], "103"),
    (SELL_STOP, [98.0], "98"),
    (BUY_STOP_LIMIT, [104.0, 103.5], None),
    (BUY_STOP_LIMIT, [104.0, 102.5], "103"),
    (SELL_TRAIL, [104.0, 101.0], "101"),
    (BUY_TRAIL, [95.0, 97.0], "97"),
]


@pytest.mark.parametrize(("order", "prices", "price"), TRADES)
def test_trades(bench, order, prices, price):
    """With public trades alone, the last trade's price is both sides of the market."""
    on = bench()
    on.trade(100.0)
    on.order(quantity="1", **order)
    for each in prices:
        on.trade(each)
    assert [trade[2] for trade in on.trades] == ([] if price is None else [price])


BARS = [
    # order sent at the close (100) of a bar, the bars after it, price
    ({"side": "buy", "kind": MARKET}, [(100.5, 101, 100, 100.2)], "100.5"),
    ({"side": "sell", "kind": MARKET}, [(99.5, 101, 99, 100.2)], "99.5"),
    ({"side": "buy", "kind": LIMIT, "limit": "101"}, [(100.5, 101, 100, 100.2)], "100.5"),
    (BUY_LIMIT, [(100, 101, 99.1, 100)], None),
    (BUY_LIMIT, [(100, 101, 99, 100)], "99"),
    (BUY_LIMIT, [(98, 98.5, 97, 98)], "98"),
    (BUY_LIMIT, [(100, 101, 99.5, 100), (98, 98.5, 97, 98)], "99"),
    (SELL_LIMIT, [(100, 102, 99.5, 100)], "101"),
    (BUY_STOP, [(100, 101.9, 99, 100)], None),
    (BUY_STOP, [(100, 103, 99, 100)], "102"),
    (BUY_STOP, [(104, 105, 103, 104)], "104"),
    (SELL_STOP, [(100, 101, 97, 100)], "98"),
    (SELL_STOP, [(95, 96, 94, 95)], "95"),
    (BUY_STOP_LIMIT, [(100, 104, 99, 100)], "102"),
    (BUY_STOP_LIMIT, [(104, 105, 103.5, 104)], None),
    (BUY_STOP_LIMIT, [(104, 105, 102, 104)], "103"),
    (SELL_TRAIL, [(100, 104, 99.9, 103), (103, 103, 101, 101)], "102"),
    (SELL_TRAIL, [(100, 104, 99.9, 103), (103, 103, 102.5, 103)], None),
    (BUY_TRAIL, [(100, 101, 90, 91), (91, 92, 91, 92)], "91.8"),
]


@pytest.mark.parametrize(("order", "bars", "price"), BARS)
def test_bars(bench, order, bars, price):
    """On bars an order first meets the next bar's open, then the bar's path."""
    on = bench()
    on.bar(100, 101, 99.5, 100)
    on.order(quantity="1", **order)
    for each in bars:
        on.bar(*each)
    assert [trade[2] for trade in on.trades] == ([] if price is None else [price])


def test_fill_at_close(bench):
    """With fill_at="close" a market order trades at the close of the bar that was just seen."""
    on = bench(fill_at="close")
    on.bar(100, 101, 99, 100.7)
    on.buy("1")
    assert on.trades == [("buy", "1", "100.7")]


@pytest.mark.parametrize(
    ("position", "bar", "expected"),
    [
        ("buy", (100, 110, 90, 100), ["stop"]),
        ("sell", (100, 110, 90, 100), ["stop"]),
        ("", (100, 102, 90, 100), ["high"]),
        ("", (100, 110, 98, 100), ["low"]),
        ("", (100, 110, 90, 100), ["low"]),
    ],
)
def test_the_path_goes_against_the_position_first(bench, position, bar, expected):
    """A bar first goes where it hurts the position, and without one to the extreme nearer its open."""
    on = bench()
    on.bar(100, 100, 100, 100)
    if position:
        on.order(position, "1")
        on.bar(100, 100, 100, 100)
        out = {"buy": "sell", "sell": "buy"}[position]
        worse, better = ("95", "105") if position == "buy" else ("105", "95")
        on.stop(out, "1", worse, reduce_only=True, group="exits", name="stop")
        on.limit(out, "1", better, reduce_only=True, group="exits", name="profit")
    else:
        on.stop("buy", "1", "101.5", group="entries", name="high")
        on.stop("sell", "1", "98.5", group="entries", name="low")
    on.bar(*bar)
    closed = [fill.client_order_id for fill in on.fills if not fill.client_order_id.startswith("c")]
    assert closed == expected


def test_coarser_bars_are_left_out(bench):
    """Where bars of two intervals come, only the finer ones are matched against, and quotes go before both."""
    on = bench()
    on.bar(100, 100, 100, 100)
    on.limit("buy", "1", "90")
    on.bar(100, 100, 80, 100, interval="1h")
    assert on.trades == []
    on.bar(100, 100, 80, 100)
    assert len(on.trades) == 1
    on.quote(100, 100.1)
    on.limit("buy", "1", "90")
    on.bar(100, 100, 80, 100)
    assert len(on.trades) == 1


def test_partial_fills_against_size(bench):
    """A market order takes the size shown, the rest waits for the next quote; a book is walked level by level."""
    on = bench()
    on.quote(100.0, 100.1, ask_size=2)
    on.buy("3")
    on.buy("1")
    on.quote(100.2, 100.3, ask_size=5)
    assert on.trades == [("buy", "2", "100.1"), ("buy", "1", "100.3"), ("buy", "1", "100.3")]
    on.book([(100.0, 1), (99.9, 5)], [(100.1, 1), (100.2, 5)])
    on.sell("3")
    assert on.trades[3:] == [("sell", "1", "100"), ("sell", "2", "99.9")]


def test_price_time_priority(bench):
    """Own resting orders share a trade by price, then by age."""
    on = bench()
    on.quote(100.0, 100.1)
    for name, price in (("late", "99"), ("best", "99.5"), ("later", "99")):
        on.limit("buy", "1", price, name=name)
    on.trade(98.0, size=2.5)
    assert [(fill.client_order_id, float(fill.quantity)) for fill in on.fills] == [
        ("best", 1.0), ("late", 1.0), ("later", 0.5),
    ]  # fmt: skip


def test_queue_position(bench):
    """Under a queue model the size shown ahead must trade first; a price beyond fills at once."""
    on = bench(fills=FillByQueue())
    on.quote(100.0, 100.1, bid_size=5)
    on.limit("buy", "1", "100")
    on.trade(100.0, size=4)
    assert on.trades == []
    on.trade(100.0, size=1.5)
    assert on.trades == [("buy", "0.5", "100")]
    on.limit("buy", "1", "99.5")
    on.trade(99.0, size=10)
    assert [trade[2] for trade in on.trades] == ["100", "100", "99.5"]


FORCES = [
    (TimeInForce.IOC, "3", ["Accepted", "FillReport", "Expired"]),
    (TimeInForce.IOC, "2", ["Accepted", "FillReport"]),
    (TimeInForce.FOK, "3", ["Accepted", "Expired"]),
    (TimeInForce.FOK, "2", ["Accepted", "FillReport"]),
    (TimeInForce.GTC, "3", ["Accepted", "FillReport"]),
]


@pytest.mark.parametrize(("force", "quantity", "kinds"), FORCES)
def test_immediate_orders(bench, force, quantity, kinds):
    """IOC takes what is there and ends, FOK takes all or nothing."""
    on = bench(fills=FillBySize())
    on.quote(100.0, 100.1, ask_size=2)
    on.limit("buy", quantity, "100.1", time_in_force=force)
    assert on.kinds == kinds


def test_immediate_orders_on_bars_wait_for_the_next_open(bench):
    """On bars an IOC order has its one look at the next open."""
    on = bench()
    on.bar(100, 100, 100, 100)
    on.limit("buy", "1", "99.5", time_in_force=TimeInForce.IOC)
    on.bar(100, 101, 90, 100)
    assert on.kinds == ["Accepted", "Expired"]


def test_day_orders_end_at_midnight(bench):
    """A DAY order ends at UTC midnight, a GTD order at its time, a bar that closes then still meets both."""
    day = 86_400 * 10**9
    on = bench()
    on.clock.advance(day - 5)
    on.quote(100.0, 100.1)
    on.limit("buy", "1", "99", time_in_force=TimeInForce.DAY, name="day")
    on.limit("buy", "1", "99", time_in_force=TimeInForce.GTD, expires_ns=day + 7, name="gtd")
    on.clock.advance(day)
    assert on.kinds == ["Accepted", "Accepted"]
    on.clock.advance(day + 1)
    assert isinstance(on.reports[-1], Expired)
    assert on.reports[-1].client_order_id == "day"
    on.clock.advance(day + 100)
    assert [order.client_order_id for order in on.snapshot().orders] == []
    on.limit("buy", "1", "99", time_in_force=TimeInForce.GTD, expires_ns=day + 100)
    assert on.reports[-1].code == "expired"
    assert on.clock.pending == 0


def test_post_only(bench):
    """A post-only order that would take is rejected; else it rests and makes."""
    on = bench()
    on.quote(100.0, 100.1)
    on.limit("buy", "1", "100.1", post_only=True)
    assert isinstance(on.reports[-1], Rejected)
    assert on.reports[-1].code == "would_cross"
    on.limit("buy", "1", "100", post_only=True)
    on.quote(99.8, 99.9)
    assert on.trades == [("buy", "1", "100")]
    assert on.fills[0].liquidity == "maker"


def test_reduce_only_shrinks_and_ends(bench):
    """A reduce-only order is checked again at its fill: it takes what is left of the position and ends."""
    on = bench()
    on.quote(100.0, 100.1)
    on.sell("1", reduce_only=True)
    assert on.reports[-1].code == "would_not_reduce"
    on.buy("2")
    on.limit("sell", "2", "105", reduce_only=True, name="exit")
    on.sell("1.5")
    on.quote(105.0, 105.1)
    assert on.position == 0
    assert on.trades[-1] == ("sell", "0.5", "105")
    assert isinstance(on.reports[-1], Canceled)
    assert on.reports[-1].filled_quantity == Decimal("0.5")
    on.buy("1")
    on.limit("sell", "1", "107", reduce_only=True)
    on.sell("1")
    on.quote(107.0, 107.1)
    assert on.position == 0
    assert isinstance(on.reports[-1], Canceled)


def test_linked_orders_shrink_together(bench):
    """What one order of a group fills is taken from the others, which end at zero."""
    on = bench()
    on.quote(100.0, 100.1)
    on.buy("3")
    on.limit("sell", "3", "105", group="g", reduce_only=True, name="profit")
    on.stop("sell", "3", "95", group="g", reduce_only=True, name="loss")
    on.quote(105.0, 105.1, bid_size=2)
    on.quote(95.0, 95.1)
    assert on.position == 0
    assert on.trades[1:] == [("sell", "2", "105"), ("sell", "1", "95")]
    ends = [
        (report.client_order_id, report.filled_quantity)
        for report in on.reports
        if isinstance(report, Canceled)
    ]
    assert ends == [("profit", Decimal(2)), ("loss", Decimal(1))]
    assert on.snapshot().orders == ()


def test_a_linked_order_that_comes_late(bench):
    """What its mate filled before it came is not left to it; with nothing left it ends at once."""
    on = bench()
    on.quote(100.0, 100.1)
    on.buy("6")
    on.limit("sell", "3", "99", group="g", reduce_only=True)
    assert on.position == 3
    on.stop("sell", "3", "95", group="g", reduce_only=True, name="late")
    assert on.kinds[-2:] == ["Accepted", "Canceled"]
    assert on.snapshot().orders == ()
    on.quote(105.0, 105.1, bid_size=1)
    on.limit("sell", "3", "104", group="h", reduce_only=True)
    on.stop("sell", "3", "95", group="h", reduce_only=True, name="rest")
    on.stop("sell", "2", "95", group="h", reduce_only=True, name="anew", repeats="rest")
    remaining = {name: order.remaining for name, order in on.desk.orders.items()}
    assert (remaining["rest"], remaining["anew"]) == (Decimal(2), Decimal(2))


def test_triggered_is_told(bench):
    """A stop says that it was set off before its fill."""
    on = bench()
    on.quote(100.0, 100.1)
    on.stop("sell", "1", "99")
    on.quote(98.0, 98.1)
    assert on.kinds == ["Accepted", "Triggered", "FillReport"]


def test_cancel(bench):
    """A cancel ends a working order; one that works no more, or never did, is refused."""
    on = bench()
    on.quote(100.0, 100.1)
    name = on.limit("buy", "1", "99")
    on.cancel(name)
    on.cancel(name)
    on.cancel("nobody")
    assert on.kinds == ["Accepted", "Canceled", "CancelRejected", "CancelRejected"]
    assert [report.code for report in on.reports if isinstance(report, CancelRejected)] == [
        "too_late",
        "unknown_order",
    ]
    on.limit("buy", "1", "99")
    on.limit("buy", "1", "98")
    on.cancel_all("OTHER@x")
    assert len(on.snapshot().orders) == 2
    on.cancel_all()
    assert on.snapshot().orders == ()


def test_senseless_prices_move_nothing(bench):
    """Crossed, empty and non-finite prices neither fill nor raise."""
    nan, inf = float("nan"), float("inf")
    on = bench()
    on.quote(100.0, 100.1)
    on.limit("buy", "1", "99")
    on.stop("sell", "1", "90")
    for bid, ask in ((nan, nan), (0.0, 0.0), (99.5, 98.0), (inf, -inf)):
        on.quote(bid, ask)
    for price in (nan, inf, -1.0, 0.0):
        on.trade(price)
    on.book([], [])
    assert on.kinds == ["Accepted", "Accepted"]
