"""What bites users of ib_async, reproduced: each named trap under the fault that springs it."""

import asyncio
import time

import pytest


async def placed(sdk, ib, order):
    """A trade that the venue has taken."""
    trade = ib.placeOrder(sdk.stock, order)
    await sdk.until(lambda: trade.orderStatus.status in ("Submitted", "Filled"), trade.statusEvent)
    return trade


async def answered(venue, label, count=1, what="answers"):
    """Until the venue has answered so many requests."""
    await asyncio.to_thread(venue.wait, label, count, what=what)


@pytest.mark.parametrize("code", [10147, 10148, 161, 104, 103, 201, 10349])
def test_messages_about_a_live_order_show_it_canceled(sdk, venue, code):
    """The SDK says Cancelled, the venue that it works; the fill afterwards turns it into Filled."""

    async def story(ib):
        venue.fault("notice", on="order", code=code)
        trade = ib.placeOrder(sdk.stock, sdk.limit())
        await sdk.until(lambda: trade.orderStatus.status == "Cancelled", trade.statusEvent)
        assert [row["status"] for row in venue.orders("tws")] == ["new"]
        await asyncio.to_thread(venue.quote, "AAPL.NASDAQ", 188.0, 188.02)
        await sdk.until(lambda: trade.orderStatus.status == "Filled", trade.statusEvent)

    sdk.run(story)


@pytest.mark.parametrize("code", [399, 404])
def test_messages_that_an_order_is_held_make_up_a_status(sdk, venue, code):
    """ValidationError is no status of TWS."""

    async def story(ib):
        venue.fault("notice", on="order", code=code)
        trade = ib.placeOrder(sdk.stock, sdk.limit())
        await sdk.until(lambda: trade.orderStatus.status == "ValidationError", trade.statusEvent)
        assert [row["status"] for row in venue.orders("tws")] == ["new"]

    sdk.run(story)


def test_a_lost_order_is_pending_for_ever(sdk, venue):
    """Neither an answer nor an error; the same once more is an order once more."""

    async def story(ib):
        venue.fault("lose", on="order")
        trade = ib.placeOrder(sdk.stock, sdk.limit())
        await answered(venue, "order", what="requests")
        assert (trade.orderStatus.status, venue.orders("tws")) == ("PendingSubmit", [])

    sdk.run(story)


def test_what_fills_while_it_is_away_is_never_announced(sdk, venue):
    """The old trade stands still, no event is fired, and the fill lies in a list."""

    async def story(ib):
        trade = await placed(sdk, ib, sdk.limit())
        told = []
        ib.execDetailsEvent += lambda *args: told.append(args)
        venue.strike("drop")
        await sdk.until(lambda: not ib.isConnected(), ib.disconnectedEvent)
        assert (ib.trades(), ib.fills(), ib.positions()) == ([], [], [])
        await asyncio.to_thread(venue.quote, "AAPL.NASDAQ", 188.0, 188.02)
        await sdk.connect(ib)
        assert (told, trade.filled(), len(ib.fills())) == ([], 0, 1)

    sdk.run(story)


def test_a_correction_counts_twice(sdk, venue):
    """The id with another last part is another fill: ten shares are twenty."""

    async def story(ib):
        trade = await placed(sdk, ib, sdk.market())
        venue.strike("correct", ticks=1)
        await sdk.until(lambda: len(trade.fills) == 2, ib.execDetailsEvent)
        ids = [fill.execution.execId for fill in trade.fills]
        assert [name.rpartition(".")[0] for name in ids] == [ids[0][:-3]] * 2
        assert [name[-2:] for name in ids] == ["01", "02"]
        assert (trade.filled(), trade.fills[1].execution.cumQty) == (20, 10)
        assert [fill["busted"] for fill in venue.executions("tws")] == [True, False]

    sdk.run(story)


def test_an_execution_that_is_taken_back_has_no_shares(sdk, venue):
    """The same id with its last part one higher, and nothing executed."""

    async def story(ib):
        trade = await placed(sdk, ib, sdk.market())
        venue.strike("bust")
        await sdk.until(lambda: len(trade.fills) == 2, ib.execDetailsEvent)
        last = trade.fills[1].execution
        assert (last.execId[-2:], last.shares, last.cumQty) == ("02", 0, 0)

    sdk.run(story)


def test_startup_goes_on_without_an_answer(sdk, venue):
    """It says connected, and there are no open orders; only one who asks for it is told."""

    async def story(ib):
        await placed(sdk, ib, sdk.limit())
        ib.disconnect()
        venue.fault("lose", on="reqOpenOrders", times=2)
        await sdk.connect(ib, timeout=0.3)
        assert (ib.isConnected(), ib.openTrades()) == (True, [])
        ib.disconnect()
        with pytest.raises(ConnectionError, match="open orders request timed out"):
            await sdk.connect(ib, timeout=0.3, raiseSyncErrors=True)

    sdk.run(story)


@pytest.mark.full
def test_an_order_waits_behind_data(sdk, venue):
    """Ninety subscriptions first: the order leaves after a second and more."""

    async def story(ib):
        for _ in range(90):
            ib.reqContractDetailsAsync(sdk.stock)
        waiting = len(ib.client._msgQ)
        assert waiting > 40
        began = time.monotonic()
        await placed(sdk, ib, sdk.market())
        assert time.monotonic() - began > 0.9

    sdk.run(story)


def test_a_half_open_link_is_not_noticed(sdk, venue):
    """Nothing comes, and it says that it is connected; only who asks for the time and waits finds out."""

    async def story(ib):
        venue.strike("half_open")
        ib.placeOrder(sdk.stock, sdk.limit())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.3)
        assert ib.isConnected()

    sdk.run(story)


@pytest.mark.parametrize(("restored", "lives"), [(1101, False), (1102, True)])
def test_who_subscribes_again_after_1101(sdk, venue, restored, lives):
    """Nobody: it stays connected all the while, and after 1101 no tick comes any more."""

    async def story(ib):
        codes = []
        ib.errorEvent += lambda number, code, *_: codes.append((number, code))
        await ib.qualifyContractsAsync(sdk.stock)
        ticker = ib.reqMktData(sdk.stock)
        await answered(venue, "reqMktData")
        await sdk.until(lambda: ticker.ask == 200.01, ib.pendingTickersEvent)
        venue.strike("notice", code=1100)
        venue.quote("AAPL.NASDAQ", 100.0, 100.02)
        trade = ib.placeOrder(sdk.stock, sdk.market())
        await answered(venue, "order", what="requests")
        assert venue.executions("tws") == []
        venue.strike("notice", code=restored)
        await sdk.until(lambda: trade.orderStatus.status == "Filled", trade.statusEvent)
        venue.quote("AAPL.NASDAQ", 101.0, 101.02)
        assert ib.isConnected()
        await ib.reqCurrentTimeAsync()
        assert (ticker.ask == 101.02) is lives
        assert [(-1, 1100), (-1, restored)] == codes[-2:]

    sdk.run(story)


def test_a_second_client_of_an_id_sees_a_timeout(sdk, venue):
    """TWS says 326 and closes; the SDK says that it took too long."""

    async def story(ib):
        other = sdk.module.IB()
        codes = []
        other.errorEvent += lambda number, code, *_: codes.append(code)
        with pytest.raises(TimeoutError):
            await sdk.connect(other, timeout=0.3)
        assert codes == [326]
        assert ib.isConnected()

    sdk.run(story)


def test_a_frame_that_is_torn_is_never_read(sdk, venue):
    """Half an execution, then a reset: it is not there until somebody asks for it again."""

    async def story(ib):
        venue.fault("tear", on="execDetails")
        trade = ib.placeOrder(sdk.stock, sdk.market())
        await sdk.until(lambda: not ib.isConnected(), ib.disconnectedEvent)
        assert (trade.fills, len(venue.executions("tws"))) == ([], 1)
        await sdk.connect(ib)
        assert len(ib.fills()) == 1

    sdk.run(story)


def test_events_come_twice_late_and_out_of_order(sdk, venue):
    """The status twice and before its execution; what it cost after everything, or never."""

    async def story(ib):
        venue.fault("duplicate", on="orderStatus", at=3)
        venue.fault("delay", on="execDetails", lasts="50ms")
        venue.fault("delay", on="commissionReport", lasts="100ms")
        venue.fault("lose", on="commissionReport", at=2)
        seen = []
        ib.orderStatusEvent += lambda trade: seen.append(trade.orderStatus.status)
        ib.execDetailsEvent += lambda *_: seen.append("execution")
        ib.commissionReportEvent += lambda *_: seen.append("commission")
        await placed(sdk, ib, sdk.market())
        await sdk.until(lambda: "commission" in seen, ib.commissionReportEvent)
        assert [seen.index(name) for name in ("Filled", "execution", "commission")] == sorted(
            seen.index(name) for name in ("Filled", "execution", "commission")
        )
        assert [row["path"] for row in venue.requests("order")] == ["placeOrder"]
        second = await placed(sdk, ib, sdk.market())
        await ib.reqCurrentTimeAsync()
        assert second.fills[0].commissionReport.execId == ""

    sdk.run(story)


@pytest.mark.parametrize("kind", ["garbage", "unknown_enum", "unknown_field"])
def test_what_it_cannot_read_it_leaves_out(sdk, venue, kind):
    """A log, no event: the trade never learns of its fill."""

    async def story(ib):
        venue.fault(kind, on="execDetails")
        trade = await placed(sdk, ib, sdk.market())
        await ib.reqCurrentTimeAsync()
        assert len(trade.fills) == (1 if kind == "unknown_field" else 0)
        assert trade.orderStatus.status == "Filled"

    sdk.run(story)


def test_an_order_is_refused_by_a_code_of_ones_choice(sdk, venue):
    """A refusal before the books: 201, and no order there."""

    async def story(ib):
        venue.fault("refuse", on="order", code=201)
        trade = ib.placeOrder(sdk.stock, sdk.limit())
        await sdk.until(trade.isDone, trade.statusEvent)
        assert (trade.log[-1].errorCode, venue.orders("tws")) == (201, [])

    sdk.run(story)
