"""What bites users of Hyperliquid and its SDK does not bite here: each trap sprung at a venue in a box."""

import asyncio
import hashlib
import logging
from decimal import Decimal

import pytest

from fairlead import ConfigurationError, ConnectivityError, OrderType, Secret, Side, TimeInForce, VenueError
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
    AccountChanged,
    ArmDeadMan,
    CancelAll,
    Canceled,
    CancelRejected,
    DeadManFired,
    DeadManSet,
    Expired,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replaced,
    StreamDown,
    StreamUp,
)

pytestmark = pytest.mark.slow
"""One in some dozens waits in vain for a fill, on a busy machine and on a quiet one; run them by name."""

BTC = "BTC/USDC:USDC@hyperliquid"
ETH = "ETH/USDC:USDC@hyperliquid"
KEY = hashlib.sha256(b"venue-secret").hexdigest()
SECOND = 1_000_000_000


def other(venue, action, **words):
    """An action of somebody else who has the same key: a person at the web page."""
    from eth_account import Account
    from hyperliquid.exchange import Exchange

    client = Exchange(
        Account.from_key(KEY), venue.addresses["rest"], account_address=venue.addresses["account"], timeout=5
    )
    try:
        return getattr(client, action)(**words)
    finally:
        client.session.close()
        client.info.session.close()


@pytest.mark.parametrize("variant", ["cancel_first", "open_first"])
def test_a_modification_cancels_no_live_order(venue_of, play, variant):
    """Somebody modifies our order: canceled(old) and open(new) in either order, and it works on under a new number."""
    venue = venue_of(variants={"modify": variant})

    async def story(desk):
        name = desk.limit(7)
        first = await desk.until(Accepted)
        await asyncio.to_thread(
            other, venue, "modify_order", oid=int(first.broker_order_id), name="BTC", is_buy=True, sz=0.02,
            limit_px=48_000, order_type={"limit": {"tif": "Gtc"}}, cloid=_cloid(name),
        )  # fmt: skip
        told = await desk.until(Replaced)
        assert (told.client_order_id, told.quantity, told.limit_price) == (name, Decimal("0.02"), 48_000)
        assert told.broker_order_id != first.broker_order_id
        await desk.quiet()
        assert desk.of(Canceled) == []
        desk.cancel(name)
        ended = await desk.until(Canceled)
        assert ended.broker_order_id == told.broker_order_id

    play(venue, story)


def _cloid(name):
    from hyperliquid.utils.types import Cloid

    return Cloid(f"0x{name}")


def test_a_cancel_by_somebody_else_is_told(venue, play):
    """It is verified that the order has no other number, and then said."""

    async def story(desk):
        name = desk.limit(1)
        await desk.until(Accepted)
        await asyncio.to_thread(other, venue, "cancel_by_cloid", name="BTC", cloid=_cloid(name))
        ended = await desk.until(Canceled)
        assert (ended.client_order_id, ended.filled_quantity) == (name, 0)

    play(venue, story)


def test_orders_in_one_millisecond_have_their_own_nonces(venue, play):
    """Sixty at once, none refused."""

    async def story(desk):
        for number in range(1, 61):
            desk.limit(number)
        await desk.until(Accepted, 60)
        assert desk.of(Rejected) == []
        nonces = [seen["params"]["nonce"] for seen in venue.requests("order")]
        assert len(set(nonces)) == 60 == len(nonces)

    play(venue, story)


def test_another_address_signs_for_what_was_chosen(venue_of, play):
    """Live is signed for as live, whatever URL it is reached by."""
    venue = venue_of(variants={"source": "mainnet"})

    async def story(desk):
        desk.limit(1)
        await desk.until(Accepted)

    play(venue, story, environment="live")


def test_partial_fills_come_from_the_list_of_fills(venue, play):
    """`orderUpdates` says nothing of them; the cancel has the sum."""

    async def story(desk):
        name = desk.limit(1)
        await desk.until(Accepted)
        venue.quote("BTC/USDC", 48_990.0, 48_991.0, ask_size=0.004)
        fill = await desk.until(FillReport)
        assert (fill.client_order_id, fill.quantity) == (name, Decimal("0.004"))
        desk.cancel(name)
        assert (await desk.until(Canceled)).filled_quantity == Decimal("0.004")

    play(venue, story)


@pytest.mark.parametrize("variants", [{}, {"fills": "cloid"}])
def test_a_fill_finds_its_order_after_a_restart(venue_of, play, variants):
    """Without a memory and without a cloid in the execution: whose the number is, is asked for."""
    venue = venue_of(variants=variants)

    async def before(desk):
        desk.limit(5)
        await desk.until(Accepted)

    async def after(desk):
        venue.quote("BTC/USDC", 48_990.0, 48_991.0)
        fill = await desk.until(FillReport)
        [listed] = await desk.broker.fills(0)
        assert fill.client_order_id == listed.client_order_id == f"{5:032x}"
        assert fill.fill_id == listed.fill_id

    play(venue, before)
    play(venue, after)


def test_a_lost_execution_is_asked_for(venue, play):
    """Filled, says the order, and no execution came: it is fetched."""
    venue.fault("lose", on="event:fill")

    async def story(desk):
        name = desk.order(1, type=OrderType.MARKET)
        fill = await desk.until(FillReport)
        assert (fill.client_order_id, fill.quantity) == (name, Decimal("0.01"))

    play(venue, story)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"price": "49000", "quantity": "0.0001"}, "min_notional"),
        ({"price": "49000", "quantity": "100"}, "insufficient_margin"),
        ({"price": "50100", "post_only": True}, "post_only"),
        ({"price": "51000", "side": Side.SELL, "reduce_only": True}, "reduce_only"),
    ],
)
def test_a_refusal_at_status_200_is_a_refusal(venue, play, words, code):
    """Nothing is raised by the SDK: the status in the answer decides."""

    async def story(desk):
        desk.limit(1, **words)
        refused = await desk.until(Rejected)
        assert refused.code == code
        assert desk.of(Accepted) == []

    play(venue, story)


def test_what_must_trade_at_once_and_cannot_has_expired(venue, play):
    """An IOC away from the market ends with nothing; one that gets a part ends with it."""

    async def story(desk):
        desk.limit(1, time_in_force=TimeInForce.IOC)
        assert (await desk.until(Expired)).filled_quantity == 0
        venue.quote("BTC/USDC", 49_999.0, 50_001.0, ask_size=0.004)
        name = desk.limit(2, price="50100", time_in_force=TimeInForce.IOC)
        ended = await desk.until(Expired, client_order_id=name)
        assert ended.filled_quantity == (await desk.until(FillReport)).quantity == Decimal("0.004")

    play(venue, story)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Too many cumulative requests sent (2 > 1)", "address_budget"),
        ("A sentence of next year", "unclassified"),
    ],
)
def test_a_whole_action_may_be_refused(venue, play, text, code):
    """An unknown sentence proves nothing: its code is none of the definitive ones."""
    venue.fault("refuse", on="order", code=text)

    async def story(desk):
        desk.limit(1)
        refused = await desk.until(Rejected)
        assert refused.code == code
        assert (code in desk.broker.profile.definitive_codes) is (code != "unclassified")

    play(venue, story)


def test_what_the_gateway_says_is_told_apart(venue, play):
    """429 was not carried out; 504 may have been; a page that is no answer ends the connection, and all is in doubt."""

    async def story(desk):
        venue.fault("rate_limit", on="order", lasts="1ms")
        desk.limit(1)
        assert (await desk.until(Rejected)).code == "rate_limit"
        venue.advance("1s")
        venue.fault("unknown", on="order")
        name = desk.limit(2)
        await desk.until(OutcomeUnknown, client_order_id=name)
        assert (await desk.broker.lookup([name]))[name].open
        venue.fault("garbage", on="order")
        name = desk.limit(3)
        await desk.until(OutcomeUnknown, client_order_id=name)
        await desk.until(StreamDown)

    play(venue, story)


def test_a_lost_answer_is_in_doubt_and_found_by_the_id(venue, play):
    """The connection breaks in the middle of an order: it is looked up by our id, on the next connection."""
    venue.fault("lose_answer", on="order")
    venue.fault("lose", on="event:order")

    async def story(desk):
        name = desk.limit(9)
        await asyncio.to_thread(venue.wait, "order", what="answers")
        venue.strike("drop")
        await desk.until(OutcomeUnknown, client_order_id=name)
        await desk.until(StreamDown)
        desk.limit(10)
        assert (await desk.until(NotSent)).client_order_id == f"{10:032x}"
        with pytest.raises(ConnectivityError):
            await desk.broker.snapshot()
        await desk.connect()
        await desk.until(StreamUp)
        found = await desk.broker.lookup([name, f"{10:032x}"])
        assert (found[name].open, found[f"{10:032x}"]) == (True, None)

    play(venue, story)


def test_one_id_is_sent_once(venue, play):
    """Hyperliquid would put both to work."""

    async def story(desk):
        desk.limit(1)
        desk.limit(1)
        assert (await desk.until(Rejected)).code == DUPLICATE_ID
        await desk.until(Accepted)
        assert len(venue.orders("perps")) == 1

    play(venue, story)


def test_a_market_order_has_our_bound(venue, play):
    """One percent unless said otherwise, not five; the book's own best price is where it is counted from."""

    async def story(desk):
        desk.order(1, type=OrderType.MARKET, side=Side.SELL)
        await desk.until(FillReport)
        [order] = venue.orders("perps")
        assert Decimal(order["limit_price"]) == 49_750

    play(venue, story, slippage="0.5%")


def test_numbers_leave_as_they_are(venue, play):
    """A price that a float cannot hold arrives exactly."""
    venue.quote("ETH/USDC", 3_000.0, 3_001.0)

    async def story(desk):
        desk.limit(1, price="2999.3", quantity="0.3", instrument=ETH)
        await desk.until(Accepted)
        [row] = venue.requests("order")
        [order] = row["params"]["action"]["orders"]
        assert (order["p"], order["s"]) == ("2999.3", "0.3")

    play(venue, story, "ETH/USDC:USDC")


def test_a_late_order_is_taken_by_nobody(venue, play):
    """Not written after its deadline; and the venue itself takes nothing after that moment."""

    async def story(desk):
        desk.limit(1, deadline_ns=desk.clock.now() - 1)
        await desk.until(NotSent)
        assert venue.requests("order") == []
        venue.fault("delay", on="order", lasts="400ms")
        desk.limit(2, deadline_ns=desk.clock.now() + SECOND // 5)
        assert (await desk.until(Rejected)).code == "expired"
        assert venue.orders("perps") == []

    play(venue, story)


def test_a_cancel_of_nothing_is_told_so(venue, play):
    """Never placed, already canceled or filled: the engine looks it up."""

    async def story(desk):
        desk.cancel(f"{4:032x}")
        assert (await desk.until(CancelRejected)).code == UNKNOWN_ORDER

    play(venue, story)


def test_a_cancel_ends_although_the_stream_is_silent(venue, play):
    """The answer said success: after a second it is believed."""

    async def story(desk):
        name = desk.limit(1)
        await desk.until(Accepted)
        venue.fault("lose", on="event:order")
        desk.cancel(name)
        assert (await desk.until(Canceled)).filled_quantity is None

    play(venue, story)


def test_all_orders_can_be_canceled(venue, play):
    """Those of somebody else too; each is told of."""

    async def story(desk):
        for number in (1, 2):
            desk.limit(number)
        await desk.until(Accepted, 2)
        venue.order("perps", BTC, "buy", "0.01", type="limit", limit_price="48000")
        desk.broker.send(CancelAll("", desk.clock.now() + 5 * SECOND))
        await desk.until(Canceled, 3)
        assert [order["status"] for order in venue.orders("perps")] == ["canceled"] * 3

    play(venue, story)


def test_the_dead_mans_switch_is_theirs(venue, play):
    """Set, called off, refused with the reason, and told of when it fires."""

    async def story(desk):
        name = desk.limit(1)
        await desk.until(Accepted)
        send = desk.broker.send
        send(ArmDeadMan(10 * SECOND, (BTC,), desk.clock.now() + SECOND))
        assert (await desk.until(DeadManSet)).until_ns > desk.clock.now()
        send(ArmDeadMan(0, (BTC,), desk.clock.now() + SECOND))
        assert (await desk.until(DeadManSet, 2)).until_ns == 0
        send(ArmDeadMan(SECOND, (BTC,), desk.clock.now() + SECOND))
        assert "at least 5 seconds" in (await desk.until(DeadManSet, 3)).reason
        send(ArmDeadMan(10 * SECOND, (BTC,), desk.clock.now() + SECOND))
        await desk.until(DeadManSet, 4)
        venue.advance("11s")
        await desk.until(DeadManFired)
        assert (await desk.until(Canceled)).client_order_id == name

    play(venue, story)


def test_garbage_on_the_accounts_stream_ends_the_connection(venue, play):
    """What it said is unknown: the engine connects again and asks for everything."""

    async def story(desk):
        venue.fault("garbage", on="event:fill")
        desk.order(1, type=OrderType.MARKET)
        assert "cannot be read" in (await desk.until(StreamDown)).reason
        await desk.connect()
        [fill] = await desk.broker.fills(0)
        assert fill.quantity == Decimal("0.01")

    play(venue, story)


def test_a_new_word_never_ends_an_order(venue, play):
    """A status that nobody documented puts the order in doubt; a new field changes nothing."""

    async def story(desk):
        venue.fault("unknown_field", on="event:*", times=0)
        venue.fault("unknown_enum", on="event:order")
        name = desk.limit(1)
        assert "BRAND_NEW" in (await desk.until(OutcomeUnknown)).reason
        assert (await desk.broker.lookup([name]))[name].open

    play(venue, story)


def test_strangers_orders_are_told_as_such(venue, play):
    """They are in the snapshot, under a name that no order of ours has, and their fills say so too."""

    async def story(desk):
        made = venue.order("perps", BTC, "buy", "0.01", type="limit", limit_price="49000")
        snapshot = await desk.broker.snapshot()
        [order] = snapshot.orders
        assert order.client_order_id == f"hl-{made['number']}"
        assert (await desk.broker.lookup([order.client_order_id]))[order.client_order_id].open
        venue.quote("BTC/USDC", 48_990.0, 48_991.0)
        assert (await desk.until(FillReport)).client_order_id == order.client_order_id

    play(venue, story)


def test_money_and_positions_are_theirs(venue, play):
    """Cash without open profit, signed positions, leverage; funding and deposits as they come, once."""

    async def story(desk):
        desk.order(1, type=OrderType.MARKET, quantity="0.1")
        await desk.until(FillReport)
        venue.quote("BTC/USDC", 51_000.0, 51_002.0)
        snapshot = await desk.broker.snapshot()
        assert snapshot.positions == {BTC: Decimal("0.1")}
        assert snapshot.entry_prices == {BTC: Decimal(50_001)}
        assert snapshot.balances["USDC"] == Decimal(venue.books()["perps"]["balances"]["USDC"])
        assert snapshot.modes[f"leverage {BTC}"] == "20"
        venue.mark("BTC/USDC", 50_000.0)
        venue.funding("BTC/USDC", 0.0001)
        venue.deposit("perps", "USDC", "1000")
        paid = await desk.until(AccountChanged, cause="funding")
        assert (paid.amount, paid.instrument) == (Decimal("-0.5"), BTC)
        assert (await desk.until(AccountChanged, cause="deposit")).amount == 1000
        await desk.broker.close()
        venue.funding("BTC/USDC", 0.0001)
        await desk.connect()
        await desk.until(AccountChanged, 2, cause="funding")
        await desk.quiet()
        assert len(desk.of(AccountChanged)) == 3

    play(venue, story)


# --- who may trade ----------------------------------------------------------------------------------------------


def refused(desk):
    async def whole():
        try:
            await desk.connect()
        finally:
            await desk.broker.close()

    with pytest.raises(ConfigurationError) as error:
        asyncio.run(whole())
    return str(error.value)


def test_a_key_of_somebody_else_is_refused_before_it_trades(venue, desk_of):
    """An agent of another account, or of another environment, and an account that is not there."""
    stranger = Secret.of("7" * 64)
    assert "approve it there" in refused(desk_of(venue, key=stranger))
    assert "deposit there first" in refused(desk_of(venue, account="0x" + "9" * 40))
    assert venue.requests("/exchange") == []


def test_a_key_that_may_withdraw_is_refused(venue, play, desk_of):
    """The account's own key is; unless that is said to be meant."""
    own = Secret.of(hashlib.sha256(b"venue-key").hexdigest())
    assert "may withdraw" in refused(desk_of(venue, key=own))

    async def story(desk):
        desk.limit(1)
        await desk.until(Accepted)

    play(venue, story, key=own, allow_withdrawal=True)


def test_nothing_is_sent_that_nobody_asked_for(venue, play):
    """To connect, ask and leave takes no action at all."""

    async def story(desk):
        await desk.broker.instruments()
        await desk.broker.snapshot()
        await desk.broker.fills(0)

    play(venue, story)
    assert venue.requests("/exchange") == []


def test_a_clock_that_is_off_is_made_up_for(venue, play, caplog):
    """Nonces and time limits go by the venue's clock; the person is told."""
    venue.skew(-30 * SECOND)

    async def story(desk):
        desk.limit(1)
        await desk.until(Accepted)

    with caplog.at_level(logging.WARNING):
        play(venue, story)
    assert "clock is 30.0 s off" in caplog.text


def test_a_silent_venue_blocks_nothing(venue, play):
    """Every question has an end, and the loop goes on meanwhile."""
    venue.fault("error", on="info:clearinghouseState", status=503)
    venue.fault("refuse", on="info:userFillsByTime", code="no", status=400)

    async def story(desk):
        with pytest.raises(ConnectivityError, match="status 503"):
            await desk.broker.snapshot()
        with pytest.raises(VenueError):
            await desk.broker.fills(0)

    play(venue, story)
