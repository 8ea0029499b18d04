"""ib_async, unmodified, trades at the venue: contracts, orders of every kind, the account and market data."""

import asyncio
from decimal import Decimal

import pytest


async def push(venue, name, *args, **words):
    """Let something happen at the venue, and not stop this loop for it."""
    await asyncio.to_thread(getattr(venue, name), *args, **words)


def test_it_asks_for_these_seven_when_it_connects(sdk, venue):
    """The session, positions, open and completed orders, values, those of the account, and executions."""

    async def story(ib):
        assert ib.isConnected()
        assert ib.managedAccounts() == ["DU1234567"]
        seen = [row["path"] for row in venue.requests() if row["path"] != "tws"]
        assert set(seen) == {
            "startApi", "reqPositions", "reqOpenOrders", "reqCompletedOrders", "reqAccountUpdates",
            "reqAccountUpdatesMulti", "reqExecutions",
        }  # fmt: skip

    sdk.run(story, raiseSyncErrors=True)


def test_it_reads_contracts_and_their_rules(sdk):
    """A stock, a pair and a future are found, each with its market rule; what is not listed is code 200."""

    async def story(ib):
        module = sdk.module
        future = module.Future("ES", "202612", "CME")
        stock, pair, es = await ib.qualifyContractsAsync(sdk.stock, module.Forex("EURUSD"), future)
        assert (stock.primaryExchange, pair.localSymbol, es.localSymbol) == ("NASDAQ", "EUR.USD", "ESZ6")
        [details] = await ib.reqContractDetailsAsync(pair)
        [rule] = await ib.reqMarketRuleAsync(int(details.marketRuleIds))
        assert (details.minTick, rule.increment) == (0.00005, 0.00005)
        assert await ib.qualifyContractsAsync(module.Stock("NONE", "SMART", "USD")) == [None]

    sdk.run(story)


@pytest.mark.parametrize(
    ("make", "price", "status"),
    [
        (lambda m: m.StopOrder("SELL", 10, 195.0, tif="GTC"), 194.0, "PreSubmitted"),
        (lambda m: m.StopLimitOrder("SELL", 10, 190.0, 195.0), 194.0, "PreSubmitted"),
        (lambda m: m.Order(action="SELL", totalQuantity=10, orderType="TRAIL", auxPrice=4.0), 194.0, "PreSubmitted"),
        (lambda m: m.LimitOrder("SELL", 10, 201.0, tif="IOC"), None, "Cancelled"),
        (lambda m: m.LimitOrder("SELL", 10, 199.0, tif="FOK"), None, "Filled"),
        (lambda m: m.LimitOrder("SELL", 10, 201.0), 202.0, "Submitted"),
    ],
    ids=["stop", "stop-limit", "trailing", "ioc", "fok", "day"],
)  # fmt: skip
def test_orders_of_each_kind(sdk, venue, make, price, status):
    """They wait as PreSubmitted until their price is reached, rest, or end at once."""

    async def story(ib):
        bought = ib.placeOrder(sdk.stock, sdk.market())
        await sdk.until(lambda: bought.orderStatus.status == "Filled", bought.statusEvent)
        trade = ib.placeOrder(sdk.stock, make(sdk.module))
        await sdk.until(lambda: trade.orderStatus.status == status, trade.statusEvent)
        if price is not None:
            await push(venue, "quote", "AAPL.NASDAQ", price, price + 0.02)
            await sdk.until(lambda: trade.orderStatus.status == "Filled", trade.statusEvent)
        if trade.orderStatus.status == "Filled":
            assert trade.filled() == 10
            assert trade.order.orderType in ("STP", "STP LMT", "TRAIL", "LMT")

    sdk.run(story)


def test_it_reads_back_what_it_wrote(sdk):
    """After a reconnect an open order has its terms, its id and our reference; a filled one only its permanent id."""

    async def story(ib):
        order = sdk.limit(tif="GTC")
        trade = ib.placeOrder(sdk.stock, order)
        await sdk.until(lambda: trade.orderStatus.status == "Submitted", trade.statusEvent)
        done = ib.placeOrder(sdk.stock, sdk.market())
        await sdk.until(lambda: done.orderStatus.status == "Filled", done.statusEvent)
        number, perm = order.orderId, done.order.permId
        ib.disconnect()
        await sdk.connect(ib, raiseSyncErrors=True)
        [found] = ib.openTrades()
        shown = found.order
        assert (shown.orderId, shown.orderRef, shown.lmtPrice, shown.totalQuantity, shown.tif) == (
            number, "mine", 190.0, 10, "GTC",
        )  # fmt: skip
        [completed] = [other for other in ib.trades() if other.isDone()]
        assert (completed.order.orderId, completed.order.permId) == (0, perm)
        assert (completed.order.filledQuantity, completed.orderStatus.status) == (10, "Filled")

    sdk.run(story)


def test_orders_are_changed_and_canceled(sdk, venue):
    """The same id with another price is a change; a cancel ends it, and is told with 202."""

    async def story(ib):
        order = sdk.limit()
        trade = ib.placeOrder(sdk.stock, order)
        await sdk.until(lambda: trade.orderStatus.status == "Submitted", trade.statusEvent)
        order.lmtPrice = 191.0
        ib.placeOrder(sdk.stock, order)
        await asyncio.to_thread(venue.wait, "amend", what="answers")
        assert [(row["limit_price"], row["status"]) for row in venue.orders("tws")] == [("191.0", "new")]
        codes = []
        ib.errorEvent += lambda number, code, *_: codes.append((number, code))
        ib.cancelOrder(order)
        await sdk.until(lambda: codes == [(order.orderId, 202)], ib.errorEvent)
        assert trade.orderStatus.status == "Cancelled"

    sdk.run(story)


def test_the_account_adds_up(sdk, venue):
    """Positions with their cost, cash by currency, the portfolio and the summary agree with the venue's books."""

    async def story(ib):
        for contract in (sdk.stock, sdk.module.Forex("EURUSD")):
            trade = ib.placeOrder(contract, sdk.market(quantity=100))
            await sdk.until(lambda trade=trade: trade.orderStatus.status == "Filled", trade.statusEvent)
        ib.disconnect()
        await sdk.connect(ib, raiseSyncErrors=True)
        held = {position.contract.symbol: position.position for position in ib.positions()}
        assert held == {"AAPL": 100, "EUR": 100}
        values = {(value.tag, value.currency): value.value for value in ib.accountValues()}
        books = venue.books()["tws"]["balances"]
        assert {currency: values["CashBalance", currency] for currency in ("USD", "EUR")} == {
            "USD": books["USD"], "EUR": books["EUR"],
        }  # fmt: skip
        assert [row.position for row in ib.portfolio()] == [100, 100]
        summary = {row.tag: row.value for row in await ib.accountSummaryAsync()}
        assert Decimal(summary["NetLiquidation"]) > 900_000

    sdk.run(story)


def test_ticks_depth_and_trades_are_told(sdk, venue):
    """Level one, tick by tick of both kinds, and rows of the book."""

    async def story(ib):
        await ib.qualifyContractsAsync(sdk.stock)
        ticker = ib.reqMktData(sdk.stock)
        both = ib.reqTickByTickData(sdk.stock, "BidAsk")
        ib.reqTickByTickData(sdk.stock, "AllLast")
        ib.reqMktDepth(sdk.stock, 3)
        await sdk.until(lambda: bool(ticker.domBids and ticker.ask == 200.01), ib.pendingTickersEvent)
        await push(venue, "book", "AAPL.NASDAQ", [(199.0, 5.0), (198.0, 6.0)], [(201.0, 7.0)])
        await sdk.until(lambda: len(ticker.domBids) == 2 and ticker.bid == 199.0, ib.pendingTickersEvent)
        assert [(row.price, row.size) for row in ticker.domAsks] == [(201.0, 7.0)]
        await push(venue, "trade", "AAPL.NASDAQ", 200.5, 3.0)
        await sdk.until(lambda: ticker.last == 200.5, ib.pendingTickersEvent)
        assert both is ticker
        assert (ticker.lastSize, ticker.volume) == (3.0, 3.0)

    sdk.run(story)


def test_bars_are_told_with_their_history(sdk, venue):
    """Bars of the past, the one that grows, and five-second bars as they end; none of what never traded."""
    for price in (200.0, 201.0):
        venue.trade("AAPL.NASDAQ", price, 2.0)
        venue.advance("1m")

    async def story(ib):
        ask = {"durationStr": "600 S", "barSizeSetting": "1 min", "whatToShow": "TRADES", "useRTH": False}
        bars = await ib.reqHistoricalDataAsync(sdk.stock, "", keepUpToDate=True, formatDate=2, **ask)
        assert [bar.close for bar in bars] == [200.0, 201.0]
        await push(venue, "trade", "AAPL.NASDAQ", 202.0, 2.0)
        await sdk.until(lambda: len(bars) == 3, bars.updateEvent)
        live = ib.reqRealTimeBars(sdk.stock, 5, "TRADES", False)
        await asyncio.to_thread(venue.wait, "reqRealTimeBars", what="answers")
        await push(venue, "advance", "10s")
        await sdk.until(lambda: len(live) >= 1, live.updateEvent)
        none = await ib.reqHistoricalDataAsync(sdk.module.Stock("MSFT", "SMART", "USD"), "", **ask)
        assert len(none) == 0

    sdk.run(story)
