"""The broker against the venue: orders of each kind, what is told of them, and the account."""

import asyncio
from decimal import Decimal

import pytest

from fairlead import ConfigurationError, ConnectivityError, Liquidity, OrderType, TimeInForce, Trail
from fairlead.ports import (
    Accepted,
    CancelAll,
    Canceled,
    CancelRejected,
    Expired,
    FillReport,
    NotSent,
    Rejected,
    Replaced,
    ReplaceRejected,
    StreamDown,
    StreamUp,
    Triggered,
)
from fairlead_ib import IbBroker

AAPL, EURUSD = "AAPL.NASDAQ@ib", "EUR/USD@ib"


def test_instruments_have_the_rules_of_the_venue(run):
    """Tick from the market rule, whole lots, IB's number of the contract; asked for before it is connected."""

    async def story(bench):
        stock, pair = await bench.broker.instruments()
        assert (stock.id, stock.tick, stock.lot, stock.quote) == (AAPL, Decimal("0.01"), Decimal(1), "USD")
        assert (pair.id, pair.tick, pair.base, pair.settle) == (EURUSD, Decimal("0.00005"), "EUR", "USD")
        assert stock.native.isdigit()
        await bench.connect()
        assert len(bench.venue.requests("connect")) == 1

    run(story, connect=False)


def test_an_order_rests_and_fills(run):
    """Accepted under the permanent id, filled with its fee, the side that made or took, and the cumulative quantity."""

    async def story(bench):
        name = bench.submit()
        accepted = await bench.told(Accepted)
        assert (accepted.client_order_id, accepted.broker_order_id[:4]) == (name, "1854")
        await bench.venue_does("quote", "AAPL.NASDAQ", 189.0, 189.5)
        fill = await bench.told(FillReport)
        [done] = bench.venue.executions("tws")
        assert (fill.quantity, fill.price, fill.fee) == (Decimal(10), Decimal(190), Decimal(done["fee"]))
        assert (fill.cumulative_quantity, fill.liquidity, fill.client_order_id) == (10, Liquidity.MAKER, name)

    run(story)


@pytest.mark.parametrize(
    ("words", "price", "kinds"),
    [
        ({"type": OrderType.STOP, "limit": None, "stop_price": Decimal(195)}, 194.0, [Accepted, Triggered, FillReport]),
        ({"type": OrderType.STOP_LIMIT, "limit": "190", "stop_price": Decimal(195)}, 194.0,
         [Accepted, Triggered, FillReport]),
        ({"type": OrderType.TRAILING_STOP, "limit": None, "trail": Trail(Decimal(4))}, 194.0,
         [Accepted, Triggered, FillReport]),
        ({"limit": "201", "tif": TimeInForce.IOC}, None, [Accepted, Expired]),
        ({"limit": None}, None, [Accepted, FillReport]),
    ],
    ids=["stop", "stop-limit", "trailing", "ioc", "market"],
)  # fmt: skip
def test_orders_of_each_kind(run, words, price, kinds):
    """What is told of an order that waits for a price, of one that may not rest, and of one that fills at once."""

    async def story(bench):
        bench.submit(limit=None)
        await bench.told(FillReport)
        bench.reports.clear()
        bench.submit("sell", **words)
        await bench.told(Accepted)
        if price is not None:
            await bench.venue_does("quote", "AAPL.NASDAQ", price, price + 0.02)
        await bench.told(kinds[-1])
        assert [type(report) for report in bench.reports] == kinds

    run(story)


def test_an_order_is_changed_and_canceled(run):
    """Replaced once the new terms are told, canceled with what had filled; a cancel of what is done is refused."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.replace(name, quantity="20", limit="191", attempt=3)
        replaced = await bench.told(Replaced)
        assert (replaced.attempt, replaced.quantity, replaced.limit_price) == (3, 20, 191)
        bench.cancel(name)
        assert (await bench.told(Canceled)).filled_quantity == 0
        bench.cancel(name)
        assert (await bench.told(CancelRejected)).code == "10148"
        bench.replace(name, attempt=4)
        assert (await bench.told(ReplaceRejected)).attempt == 4

    run(story)


@pytest.mark.parametrize(
    ("words", "code"),
    [({"limit": "190.005"}, "110"), ({"quantity": "1000000"}, "201"), ({"quantity": "1.5"}, "321")],
)
def test_a_refusal_is_definitive(run, words, code):
    """Its code is one that the profile vouches for, and the order is not there."""

    async def story(bench):
        bench.submit(**words)
        refused = await bench.told(Rejected)
        assert refused.code == code
        assert code in bench.broker.profile.definitive_codes
        assert not bench.of(Accepted)

    run(story)


def test_a_change_that_is_refused_leaves_the_order(run):
    """The old terms hold, and can be changed again."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.replace(name, limit="191.005")
        assert (await bench.told(ReplaceRejected)).code == "110"
        bench.replace(name, limit="191", attempt=2)
        assert (await bench.told(Replaced)).attempt == 2
        assert [order["limit_price"] for order in bench.venue.orders("tws")] == ["191"]

    run(story)


def test_nothing_is_written_too_late_or_into_the_void(run):
    """A deadline that has passed, and no connection: NotSent, and the venue never hears of it."""

    async def story(bench):
        bench.submit(deadline_ns=1)
        assert "deadline" in (await bench.told(NotSent)).reason
        bench.venue.disconnect()
        await bench.told(StreamDown)
        bench.submit()
        assert len(bench.of(NotSent)) == 2
        assert bench.venue.requests("order") == []

    run(story)


def test_the_account_is_as_the_venue_has_it(run):
    """Open orders with their terms, positions, shares and cash as balances; strangers' orders too."""

    async def story(bench):
        bench.submit(quantity="100", limit=None)
        await bench.told(FillReport)
        name = bench.submit()
        await bench.told(Accepted, 2)
        await bench.venue_does(
            "order", "tws", AAPL, "buy", "5", type="limit", limit_price="180", client_id="hand"
        )
        found = await bench.broker.snapshot()
        rows = {row.client_order_id: row for row in found.orders}
        assert (rows[name].limit_price, rows[name].quantity, rows[name].open) == (Decimal(190), 10, True)
        assert rows["hand"].limit_price == 180
        books = bench.venue.books()["tws"]["balances"]
        assert found.positions == {AAPL: 100}
        assert {key: str(value) for key, value in found.balances.items()} == {
            "USD": books["USD"],
            "AAPL": "100",
        }

    run(story)


def test_a_part_that_is_not_answered_is_none(run, monkeypatch):
    """Not empty: positions that could not be had are no flat account."""
    monkeypatch.setattr("fairlead_ib.gateway.PATIENCE", 0.2)

    async def story(bench):
        bench.venue.fault("lose", on="reqPositions")
        ask = bench.broker._gateway.ask_once
        monkeypatch.setattr(
            bench.broker._gateway,
            "ask_once",
            lambda what, write, patience=0.2: ask(what, write, patience=patience),
        )
        found = await bench.broker.snapshot()
        assert (found.positions, found.balances, found.orders) == (None, None, ())

    run(story)


def test_orders_are_looked_up_by_our_id(run):
    """Open, filled, canceled, and one that nobody knows."""

    async def story(bench):
        resting = bench.submit()
        filled = bench.submit(limit=None)
        canceled = bench.submit()
        await bench.told(Accepted, 3)
        bench.cancel(canceled)
        await bench.told(Canceled)
        await bench.told(FillReport)
        found = await bench.broker.lookup([resting, filled, canceled, "f" * 32])
        assert [(row.status, row.filled_quantity) if row else None for row in found.values()] == [
            ("Submitted", 0), ("Filled", 10), ("Cancelled", 0), None,
        ]  # fmt: skip

    run(story)


def test_everything_of_an_instrument_or_of_all_is_canceled(run):
    """Of an instrument our own orders, of the account everybody's."""

    async def story(bench):
        bench.submit()
        bench.submit(instrument=EURUSD, limit="1.05", quantity="1000")
        await bench.told(Accepted, 2)
        bench.broker.send(CancelAll(AAPL, 1 << 62))
        await bench.told(Canceled)
        bench.broker.send(CancelAll("", 1 << 62))
        await bench.told(Canceled, 2)
        assert {order["status"] for order in bench.venue.orders("tws")} == {"canceled"}

    run(story)


def test_what_was_there_before_can_still_be_canceled(run):
    """After a restart the ids of open orders are learned from the venue, and new ids are above all that were seen."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        await bench.broker.close()
        bench.broker = bench.make_broker()
        await bench.connect()
        bench.submit(limit="180")
        await bench.told(Accepted, 2)
        bench.cancel(name)
        assert (await bench.told(Canceled)).client_order_id == name
        assert [order["status"] for order in bench.venue.orders("tws")] == ["canceled", "new"]

    run(story)


def test_the_number_of_the_account_decides_what_is_paper(venue):
    """A paper account on live, a live one on paper and one that is not logged in are refused, each with the remedy."""
    url = venue.addresses["tws"]
    for number, environment, remedy in (
        ("DU1234567", "live", "environment='paper'"),
        ("U1234567", "paper", "'live'"),
    ):
        with pytest.raises(ConfigurationError, match=remedy):
            IbBroker("AAPL.NASDAQ", account=number, environment=environment, url=url)
    other = IbBroker("AAPL.NASDAQ", account="DU7654321", url=url)

    async def connect():
        with pytest.raises(ConfigurationError, match="logged in to DU1234567"):
            await other.connect(print, None)
        await other.close()

    asyncio.run(connect())


def test_a_client_id_that_is_in_use_is_named(run):
    """Not a timeout: who has it is asked for."""

    async def story(bench):
        second = bench.make_broker()
        with pytest.raises(ConnectivityError, match="client id 1 is in use"):
            await second.connect(print, None)
        await second.close()

    run(story)


def test_it_comes_back_after_a_break(run):
    """Down, connected again, up under the next number; orders that it has there are known."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.venue.disconnect()
        await bench.told(StreamDown)
        await bench.connect()
        assert (await bench.told(StreamUp)).epoch == 2
        bench.cancel(name)
        await bench.told(Canceled)

    run(story)
