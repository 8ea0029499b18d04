"""What bites users of Binance and of its SDK does not bite this broker: one test for each."""

import asyncio
import logging
from decimal import Decimal

import pytest

from fairlead import ConnectivityError, Liquidity, VenueError
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
    Canceled,
    CancelRejected,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replaced,
    StreamDown,
    StreamUp,
)
from fairlead_binance.places import places


def test_after_24_hours_the_account_is_heard_again(accounts):
    """The venue closes every stream: that is told, the next connection subscribes again, and nothing is missed."""

    async def story(trading):
        await trading.there("advance", "24h")
        await trading.down()
        await trading.there("order", trading.wallet, trading.instrument, "buy", "0.01")
        await trading.connect()
        assert trading.told(StreamUp)[0].epoch == 2
        trading.submit()
        await trading.until(FillReport)
        missed = await trading.broker.fills(trading.clock.now() - 10**9)
        assert len(missed) == 2

    accounts.play(story)


def test_a_late_error_reply_harms_nothing(accounts):
    """An answer that comes when nobody waits for it any more is what it is; later orders go out and are answered."""

    async def story(trading):
        await trading.there("fault", "delay_answer", on="cancel", lasts="200ms")
        trading.cancel("f" * 32)
        market = trading.submit()
        await trading.until(FillReport, market)
        refused = await trading.until(CancelRejected)
        assert refused.code == UNKNOWN_ORDER
        trading.submit()
        await trading.until(FillReport, count=2)

    accounts.play(story)


def test_a_client_id_of_a_conditional_order_is_ours(usdm):
    """At the algo endpoint too it is the one we chose; it is looked up, listed, and canceled by it."""

    async def story(trading):
        name = trading.submit("sell", stop="45000")
        told = await trading.until(Accepted, name)
        assert told.broker_order_id.startswith("algo:")
        found = (await trading.broker.lookup([name]))[name]
        assert (found.open, found.stop_price) == (True, Decimal(45000))
        assert [order.client_order_id for order in (await trading.broker.snapshot()).orders] == [name]
        trading.cancel(name, told.broker_order_id)
        assert (await trading.until(Canceled, name)).filled_quantity == 0
        assert not (await trading.broker.lookup([name]))[name].open

    usdm.play(story)


def test_a_triggered_stop_goes_on_under_our_id(usdm):
    """It becomes an order with a number of its own, and its fills are ours: on the stream, listed, and looked up."""

    async def story(trading):
        trading.submit()
        await trading.until(FillReport)
        name = trading.submit("sell", stop="49000", reduce_only=True)
        await trading.until(Accepted, name)
        await trading.there("quote", "BTC/USDT", 48_000.0, 48_001.0)
        await trading.there("trade", "BTC/USDT", 48_000.0)
        await trading.until(FillReport, name)
        found = (await trading.broker.lookup([name]))[name]
        assert (found.open, found.filled_quantity) == (False, Decimal("0.01"))
        assert found.broker_order_id.isdecimal()

    usdm.play(story)

    async def after_a_restart(trading):
        await trading.broker.instruments()
        names = [fill.client_order_id for fill in await trading.broker.fills(trading.clock.now() - 10**11)]
        assert names == [f"{1:032x}", f"{2:032x}"]
        found = await trading.broker.lookup(names)
        assert [found[name].filled_quantity for name in names] == [Decimal("0.01")] * 2

    usdm.play(after_a_restart)


def test_the_window_ends_with_the_deadline(accounts):
    """What reaches Binance after an order's deadline is refused there: no other window goes out."""

    async def story(trading):
        now = trading.clock.now()
        trading.submit(deadline_ns=now + 2_000_000_000)
        await trading.until(FillReport)
        [seen] = await trading.there("requests", "order.place")
        assert 1500 < int(seen["params"]["recvWindow"]) <= 2000
        late = trading.submit(deadline_ns=now - 1)
        assert trading.told(NotSent, late)

    accounts.play(story)


def test_a_jump_of_the_clock_is_made_up_for(accounts):
    """An order that is refused for its time has the clock measured anew: the next one is taken."""

    async def story(trading):
        await trading.there("skew", -3_000_000_000)
        first = trading.submit()
        assert (await trading.until(Rejected, first)).code == "-1021"
        await trading.there("wait", "GET /*/time", 5)
        async with asyncio.timeout(20):
            while not trading.fills():
                trading.submit()
                await asyncio.sleep(0.05)

    accounts.play(story)


def test_an_unknown_outcome_is_no_refusal(accounts):
    """-1007 leaves a live order: it is said to be unknown, and is found by its id."""

    async def story(trading):
        await trading.there("fault", "unknown", on="order")
        name = trading.submit(limit="49000")
        assert "-1007" in (await trading.until(OutcomeUnknown, name)).reason
        assert (await trading.broker.lookup([name]))[name].open
        assert not trading.told(Rejected)

    accounts.play(story)


def test_a_page_from_the_gateway_is_an_unknown_outcome(accounts):
    """HTML with 502 after the order was taken has no code: nobody knows, so nothing is said to be refused."""

    async def story(trading):
        await trading.there("fault", "error", on="order", status=502)
        name = trading.submit(limit="49000")
        await trading.until(OutcomeUnknown, name)
        assert (await trading.broker.lookup([name]))[name].open

    accounts.play(story, orders="rest")


def test_an_order_whose_answer_is_lost_is_unknown(accounts):
    """The connection breaks before the answer: what was on its way is unknown, and then the stream is down."""

    async def story(trading):
        await trading.there("fault", "lose_answer", on="order", lasts="50ms")
        name = trading.submit(limit="49000")
        await trading.until(StreamDown)
        kinds = [type(report) for report in trading.reports if not isinstance(report, Accepted)]
        assert kinds.index(OutcomeUnknown) < kinds.index(StreamDown)
        await trading.connect()
        assert (await trading.broker.lookup([name]))[name].open
        lost = trading.submit(limit="48000")
        assert (await trading.until(Accepted, lost)).broker_order_id

    accounts.play(story)


def test_an_order_that_was_lost_on_its_way_is_nowhere(accounts):
    """A look-up says None, which is what proves it once it can arrive no more."""

    async def story(trading):
        await trading.there("fault", "lose", on="order")
        name = trading.submit()
        await trading.there("wait", "order.place", 1)
        assert await trading.broker.lookup([name]) == {name: None}

    accounts.play(story)


@pytest.mark.parametrize("fault", ["events_first", "answer_first", "coalesce"])
def test_event_and_answer_in_any_order_are_one_fill(accounts, fault):
    """Whichever comes first, and with TRADE_LITE and ACCOUNT_UPDATE around it, a fill is told once."""

    async def story(trading):
        await trading.there("fault", fault, on="order", lasts="20ms")
        name = trading.submit()
        await trading.until(Accepted, name)
        await trading.until(FillReport, name)
        await trading.there("wait", "order.place", what="answers")
        assert len(trading.fills()) == 1
        [listed] = await trading.broker.fills(trading.clock.now() - 10**10)
        [told] = trading.fills()
        same = (
            "client_order_id",
            "fill_id",
            "instrument",
            "side",
            "quantity",
            "price",
            "fee",
            "fee_currency",
        )
        assert [getattr(listed, field) for field in same] == [getattr(told, field) for field in same]
        assert told.liquidity is listed.liquidity is Liquidity.TAKER
        assert told.cumulative_quantity == Decimal("0.01")

    accounts.play(story)


def test_a_limit_and_a_ban_are_respected(accounts):
    """After a 429 nothing is sent until Binance takes something again: a ban cannot follow."""

    async def story(trading):
        await trading.there("fault", "rate_limit", on="order", lasts="30s")
        first = trading.submit()
        assert (await trading.until(Rejected, first)).code == "-1003"
        seen = len(await trading.there("requests"))
        second = trading.submit()
        trading.cancel(first)
        assert trading.told(NotSent, second)
        assert trading.told(CancelRejected, first)[0].code == "not_sent"
        assert len(await trading.there("requests")) == seen

    accounts.play(story)


def test_an_overload_is_a_refusal(accounts):
    """-1008 comes with a status of 503, and says for certain that nothing was done."""

    async def story(trading):
        await trading.there("fault", "refuse", on="order")
        refused = await trading.until(Rejected, trading.submit())
        assert refused.code == "-1008"
        assert refused.code in trading.broker.profile.definitive_codes

    accounts.play(story)


def test_a_duplicate_is_known_by_code_or_text(accounts):
    """-4116 of futures, and -2010 of spot by its text; once done, an id is taken again, so that none is ever reused."""

    async def story(trading):
        name = trading.submit(limit="49000")
        await trading.until(Accepted, name)
        trading.submit(name=name, limit="49000")
        assert (await trading.until(Rejected, name)).code == DUPLICATE_ID

    accounts.play(story)


def test_a_cancel_has_an_id_of_its_own(accounts):
    """On spot the report of a cancel is under the cancel's id, and the order's is another field."""

    async def story(trading):
        name = trading.submit(limit="49000")
        told = await trading.until(Accepted, name)
        trading.cancel(name, told.broker_order_id)
        await trading.until(Canceled, name)
        assert {report.client_order_id for report in trading.reports} == {name}

    accounts.play(story)


def test_an_order_that_is_refused_after_it_was_taken(accounts):
    """Both are told; what became of it is a look-up's to say."""

    async def story(trading):
        await trading.there("fault", "reject_later", on="order")
        name = trading.submit(limit="49000")
        await trading.until(Accepted, name)
        await trading.until(Rejected, name)
        found = (await trading.broker.lookup([name]))[name]
        assert (found.open, found.status, found.filled_quantity) == (False, "REJECTED", 0)

    accounts.play(story)


def test_futures_change_a_limit_order_in_place(usdm):
    """One request with the new total; told once, although answer and stream both tell; the number stays."""

    async def story(trading):
        name = trading.submit(limit="49000")
        number = (await trading.until(Accepted, name)).broker_order_id
        trading.replace(name, "0.02", "48900")
        told = await trading.until(Replaced, name)
        assert (told.quantity, told.limit_price, told.broker_order_id) == (Decimal("0.02"), 48900, number)
        trading.cancel(name, number)
        await trading.until(Canceled, name)
        assert len(trading.told(Replaced)) == 1

    usdm.play(story)


def test_spot_changes_nothing_in_place(spot):
    """cancelReplace can cancel without placing: it is not used, and the profile does not claim it."""

    async def story(trading):
        assert trading.broker.profile.replaces == frozenset()
        trading.replace("f" * 32, "0.02", "48900")
        await asyncio.sleep(0)
        assert [request["labels"][0] for request in await trading.there("requests", "amend")] == []

    spot.play(story)


def test_a_client_is_closed_while_it_connects(accounts):
    """The SDK waits for ever here; this does not."""

    async def story(trading):
        await trading.there("fault", "lose", on="userDataStream.*")
        seen = len(await trading.there("requests", "userDataStream.*"))
        connecting = asyncio.create_task(trading.connect())
        await trading.there("wait", "userDataStream.*", seen + 1)
        connecting.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(connecting, return_exceptions=True)
            await trading.broker.close()

    accounts.play(story)


@pytest.mark.parametrize("fault", ["garbage", "unknown_enum"])
def test_what_cannot_be_understood_is_a_broken_stream(accounts, fault):
    """A private frame that makes no sense may have been a fill: the stream counts as down, and fills are listed."""

    async def story(trading):
        await trading.there("fault", fault, on="event:order")
        trading.submit()
        await trading.down()
        await trading.connect()
        assert len(await trading.broker.fills(trading.clock.now() - 10**10)) == 1

    accounts.play(story)


def test_a_field_that_nobody_documented_is_passed_over(accounts):
    """Binance adds fields whenever it likes."""

    async def story(trading):
        await trading.there("fault", "unknown_field", on="event:order", times=0)
        await trading.there("fault", "unknown_field", on="order", times=0)
        await trading.until(FillReport, trading.submit())
        assert not trading.told(StreamDown)

    accounts.play(story)


@pytest.mark.parametrize("fault", ["expire", "shutdown", "drop", "close"])
def test_every_end_of_the_stream_is_told_once(accounts, fault):
    """What authorised it ended, it was announced, or it just broke: StreamDown, and nothing tried by itself."""

    async def story(trading):
        await trading.there("strike", fault)
        await trading.down()
        requests = len(await trading.there("requests"))
        name = trading.submit()
        assert trading.told(NotSent, name)
        assert len(trading.told(StreamDown)) == 1
        assert len(await trading.there("requests")) == requests

    accounts.play(story)


def test_no_secret_is_ever_shown(accounts, caplog):
    """Neither key nor secret, nor a signature, in what is logged, raised or reported."""
    caplog.set_level(logging.DEBUG, "fairlead")

    async def story(trading):
        await trading.there("fault", "error", on="account", times=0)
        with pytest.raises(VenueError) as refused:
            await trading.broker.snapshot()
        trading.broker._places = places(trading.product, "testnet", "http://127.0.0.1:1")
        with pytest.raises(ConnectivityError) as caught:
            await trading.connect()
        text = (
            f"{caught.value!r} {refused.value!r} {trading.broker!r} {vars(trading.broker)} {trading.reports}"
        )
        for hidden in (trading.venue.secret, trading.venue.key, "signature", "listenKey"):
            assert hidden not in text
            assert hidden not in caplog.text

    accounts.play(story)
