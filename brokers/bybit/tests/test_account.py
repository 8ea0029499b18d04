"""A broker at Bybit in a box: every command, what is told of it, and what is asked."""

from decimal import Decimal

import pytest
from attrs import asdict

from fairlead import ConfigurationError, Liquidity, Secret
from fairlead.ports import (
    Accepted,
    AccountChanged,
    CancelAll,
    Canceled,
    CancelRejected,
    Expired,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replaced,
    ReplaceRejected,
    StreamDown,
    StreamUp,
    Triggered,
)
from fairlead_bybit import BybitBroker
from fairlead_venue import Venue

LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"
BOTH = pytest.mark.parametrize("symbol", [LINEAR, SPOT])
WAYS = pytest.mark.parametrize("orders", ["websocket", "rest"])


@BOTH
@WAYS
def test_a_market_order_is_accepted_and_filled(play, venue, symbol, orders):
    """The stream alone says so; fee, side, liquidity and ids are the venue's."""

    async def story(trading):
        name = trading.submit(symbol=symbol)
        fill = await trading.until(FillReport, name)
        [accepted] = trading.told(Accepted, name)
        assert (fill.quantity, fill.price, fill.side, fill.instrument) == (
            Decimal("0.01"), Decimal(50_001), "buy", f"{symbol}@bybit",
        )  # fmt: skip
        assert fill.liquidity is Liquidity.TAKER
        assert (fill.fee > 0, fill.fee_currency) == (True, "BTC" if symbol == SPOT else "USDT")
        found = (await trading.broker.lookup([name]))[name]
        assert found is not None
        assert (found.broker_order_id, found.open) == (accepted.broker_order_id, False)
        assert [one.fill_id for one in await trading.broker.fills(fill.event_ns)] == [fill.fill_id]

    play(story, orders=orders)


@BOTH
@WAYS
def test_an_order_is_replaced_in_place_and_canceled(play, venue, symbol, orders):
    """The change is told with its number and terms; a cancel is told by the stream."""

    async def story(trading):
        name = trading.submit(symbol=symbol, limit="49000")
        await trading.until(Accepted, name)
        trading.replace(name, "0.02", "49100", symbol=symbol)
        changed = await trading.until(Replaced, name)
        assert (changed.attempt, changed.quantity, changed.limit_price) == (
            1,
            Decimal("0.02"),
            Decimal(49_100),
        )
        trading.replace(name, "0.02", "49100", attempt=2, symbol=symbol)
        refused = await trading.until(ReplaceRejected, name)
        assert (refused.attempt, refused.code) == (2, "10001")
        trading.cancel(name, symbol=symbol)
        canceled = await trading.until(Canceled, name)
        assert canceled.filled_quantity == 0
        trading.cancel(name, symbol=symbol)
        gone = await trading.until(CancelRejected, name)
        assert gone.code in ("unknown_order", "170142")
        assert [row["status"] for row in await trading.there("orders", "unified")] == ["canceled"]

    play(story, orders=orders)


@BOTH
@pytest.mark.parametrize("limit", ["", "50990"])
def test_a_stop_waits_at_the_venue(play, venue, symbol, limit):
    """Accepted as it waits, triggered by the price, filled; a waiting one is replaced and canceled as any other."""

    async def story(trading):
        name = trading.submit("sell", symbol=symbol, stop="49000", limit="48990" if limit else "")
        gone = trading.submit("buy", symbol=symbol, stop="51000", limit=limit)
        for one in (name, gone):
            await trading.until(Accepted, one)
        trading.replace(gone, "0.01", limit, stop="51500", symbol=symbol)
        assert (await trading.until(Replaced, gone)).stop_price == Decimal(51_500)
        trading.cancel(gone, symbol=symbol)
        await trading.until(Canceled, gone)
        if symbol == LINEAR:
            trading.submit(symbol=symbol)
        await trading.there("quote", "BTC/USDT", 48_995.0, 48_997.0)
        await trading.there("trade", "BTC/USDT", 48_996.0)
        await trading.until(Triggered, name)
        assert (await trading.until(FillReport, name)).price == Decimal(48_995)

    play(story)


def test_what_cannot_be_done_at_once_expires(play):
    """IOC and FOK orders end as Expired with what was filled, a post-only order that would take as Rejected."""

    async def story(trading):
        ioc = trading.submit(limit="49000", time_in_force="IOC")
        fok = trading.submit(limit="49000", time_in_force="FOK", symbol=SPOT)
        for name in (ioc, fok):
            assert (await trading.until(Expired, name)).filled_quantity == 0
        post = trading.submit(limit="50500", post_only=True)
        assert (await trading.until(Rejected, post)).code == "EC_PostOnlyWillTakeLiquidity"
        assert trading.told(Accepted, post) == []

    play(story)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"quantity": "900", "limit": "50000"}, "110007"),
        ({"quantity": "900", "limit": "50000", "symbol": SPOT}, "170131"),
        ({"reduce_only": True}, "110017"),
        ({"limit": "60000"}, "110003"),
    ],
)
def test_a_refusal_has_the_venues_code(play, words, code):
    """It is definitive by the profile."""

    async def story(trading):
        name = trading.submit(**words)
        refused = await trading.until(Rejected, name)
        assert refused.code == code
        assert code in trading.broker.profile.definitive_codes

    play(story)


def test_everything_is_canceled(play):
    """Of one instrument, then of all: conditional orders of spot too."""

    async def story(trading):
        names = [
            trading.submit(limit="49000"), trading.submit(symbol=SPOT, limit="49000"),
            trading.submit(symbol=SPOT, stop="51000"), trading.submit(stop="51000"),
        ]  # fmt: skip
        for name in names:
            await trading.until(Accepted, name)
        trading.broker.send(CancelAll(f"{SPOT}@bybit", trading.clock.now() + 5_000_000_000))
        for name in names[1:3]:
            await trading.until(Canceled, name)
        trading.broker.send(CancelAll("", trading.clock.now() + 5_000_000_000))
        for name in (names[0], names[3]):
            await trading.until(Canceled, name)

    play(story)


def test_a_snapshot_is_the_account(play, venue):
    """Open orders, strangers' too; positions with entries, balances, and how the account is set."""

    async def story(trading):
        mine, spot = trading.submit(limit="49000"), trading.submit(symbol=SPOT, stop="51000")
        await trading.until(Accepted, mine)
        await trading.until(Accepted, spot)
        filled = trading.submit("sell")
        await trading.until(FillReport, filled)
        await trading.there(
            "order", "unified", f"{LINEAR}@bybit", "buy", "0.02", limit_price="48000", type="limit"
        )
        taken = await trading.broker.snapshot()
        orders = {order.client_order_id: order for order in taken.orders}
        assert {mine, spot} < set(orders)
        [strange] = set(orders) - {mine, spot}
        assert (orders[strange].broker_order_id, orders[strange].limit_price) == (strange, Decimal(48_000))
        assert (orders[spot].stop_price, orders[spot].open) == (Decimal(51_000), True)
        assert taken.positions == {f"{LINEAR}@bybit": Decimal("-0.01")}
        assert taken.entry_prices == {f"{LINEAR}@bybit": Decimal(49_999)}
        assert (taken.balances["BTC"], taken.balances["USDT"] < 100_000) == (Decimal(1), True)
        assert taken.modes == {
            "position_mode": "net", "margin_mode": "cross", f"leverage {LINEAR}@bybit": "10"
        }  # fmt: skip

    play(story)


def test_lists_are_read_to_their_last_page(play):
    """More executions and open orders than a page holds are all there, and none twice."""

    async def story(trading):
        fills = [trading.submit("buy" if number % 2 else "sell") for number in range(130)]
        await trading.until(FillReport, fills[-1], within=10)
        names = [trading.submit(limit="49000") for _ in range(60)]
        await trading.until(Accepted, names[-1], within=10)
        listed = await trading.broker.fills(trading.clock.now() - 60_000_000_000)
        assert [one.client_order_id for one in listed] == fills
        assert {order.client_order_id for order in (await trading.broker.snapshot()).orders} == set(names)

    with Venue("bybit", cash=["100_000 USDT", "1 BTC"], variants={"limit_scale": "50"}) as quick:
        quick.quote("BTC/USDT", 49_999.0, 50_001.0)
        play(story, LINEAR, at=quick)


def test_an_order_of_which_nothing_is_known_is_none(play):
    """It is looked for in all three lists, and found in none; one that ended long ago is in the history."""

    async def story(trading):
        name = trading.submit(limit="49000")
        await trading.until(Accepted, name)
        trading.cancel(name)
        await trading.until(Canceled, name)
        found = await trading.broker.lookup(["f" * 32, name])
        assert found["f" * 32] is None
        assert found[name].status == "Cancelled"

    play(story)


def test_funding_is_told_once(play, venue):
    """It moves money that no fill moved; what was paid while the connection was broken is told afterwards."""

    async def story(trading):
        name = trading.submit("buy")
        await trading.until(FillReport, name)
        await trading.there("funding", f"{LINEAR}@bybit", 0.001)
        paid = await trading.until(AccountChanged)
        assert (paid.cause, paid.currency, paid.instrument) == ("funding", "USDT", f"{LINEAR}@bybit")
        assert paid.amount < 0
        await trading.there("disconnect")
        await trading.until(StreamDown)
        await trading.there("funding", f"{LINEAR}@bybit", -0.001)
        await trading.connect()
        second = (await trading.until(AccountChanged, count=2))[1]
        assert second.amount > 0
        assert len(trading.told(AccountChanged)) == 2
        assert trading.told(StreamUp)[0].epoch == 2

    play(story)


def test_a_deadline_that_has_passed_writes_nothing(play, venue):
    """By socket and by REST: NotSent, and the venue heard nothing."""

    async def story(trading):
        name = trading.submit(deadline_ns=trading.clock.now() - 1)
        await trading.until(NotSent, name)
        assert await trading.there("requests", "order") == []

    for orders in ("websocket", "rest"):
        play(story, orders=orders)


def test_a_connection_that_is_lost_is_told_once(play):
    """Nothing is sent without one; it connects again when it is told to, with a higher epoch."""

    async def story(trading):
        await trading.there("disconnect")
        await trading.until(StreamDown)
        name = trading.submit()
        await trading.until(NotSent, name)
        await trading.connect()
        await trading.until(StreamUp)
        assert len(trading.told(StreamDown)) == 1
        again = trading.submit()
        await trading.until(FillReport, again)

    play(story)


def refused(play, at, text, *symbols, **options):
    """Connecting is refused with this text."""

    async def story(trading):
        with pytest.raises(ConfigurationError, match=text):
            await trading.connect()

    play(story, *symbols, connect=False, at=at, **options)


@pytest.mark.parametrize(
    ("variants", "options", "text"),
    [
        ({"key": "read"}, {}, "may only read"),
        ({"key": "withdraw"}, {}, "may withdraw"),
        ({"position_mode": "hedge"}, {}, "hedge mode"),
        ({}, {"account_id": "1"}, "not of account_id='1'"),
        ({}, {"secret": Secret.of("a secret of nobody")}, "does not take this key"),
        ({}, {"disconnect_cancel": "10s"}, "Permission denied|does not take this key"),
    ],
)
def test_an_account_that_cannot_be_traded_is_refused(play, variants, options, text):
    """With what is wrong and what to do."""
    with Venue("bybit", cash="100_000 USDT", variants=variants) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        refused(play, venue, text, LINEAR, **options)


def test_what_is_allowed_connects(play):
    """A key that may withdraw where that is said, hedge mode where no contracts are traded, and the right account."""

    async def story(trading):
        await trading.until(FillReport, trading.submit(symbol=SPOT))

    with Venue("bybit", cash="100_000 USDT", variants={"key": "withdraw", "position_mode": "hedge"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        play(story, SPOT, at=venue, allow_withdrawal=True, account_id="24617703")


def test_protection_is_armed_where_it_was_granted(play):
    """The venue cancels all when the connection is gone for so long."""

    async def story(trading):
        name = trading.submit(limit="49000")
        await trading.until(Accepted, name)
        await trading.there("disconnect")
        await trading.until(StreamDown)
        while trading.venue.streams("dcp.*"):
            pass
        await trading.there("advance", "6s")
        [row] = await trading.there("orders", "unified")
        assert row["status"] == "canceled"

    with Venue("bybit", cash=["100_000 USDT", "1 BTC"], variants={"dcp": "on"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        play(story, at=venue, disconnect_cancel="5s")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({}, "no key and no secret"),
        ({"key": "secret:A"}, "has no secret"),
        ({"key": "abc", "secret": "def"}, "written out"),
        ({"environment": "paper"}, "none of Bybit's"),
        ({"orders": "pigeon"}, "no way that they go"),
        ({"valid": "2m"}, "none that Bybit takes"),
        ({"disconnect_cancel": "1s"}, "3s to 300s"),
        ({"margin_mode": "cros"}, "'cross', 'isolated' or 'portfolio'"),
        ({"url": "ftp://x"}, "no base address"),
        ({"symbols": ()}, "trades nothing"),
        ({"symbols": ("BTCUSDT",)}, "is no symbol"),
        ({"symbols": ("BTC/USD:BTC",)}, "inverse"),
        ({"symbols": (SPOT,), "leverage": 5}, "of contracts"),
    ],
)
def test_wrong_words_are_refused_at_once(words, text):
    """Before anything is connected, with the remedy."""
    keys = {} if {"key", "secret"} & set(words) or not words else {"key": "secret:A", "secret": "secret:B"}
    options = {**keys, **words}
    with pytest.raises(ConfigurationError, match=text):
        BybitBroker(*options.pop("symbols", (LINEAR,)), **options)


def test_secrets_never_show(play, venue, caplog):
    """Neither in a repr, nor in an error or the log."""

    async def story(trading):
        with pytest.raises(ConfigurationError) as refusal:
            await trading.connect()
        shown = f"{refusal.value!r} {trading.broker!r} {caplog.text} {asdict(trading.broker.profile)}"
        assert "s3cr3t" not in shown

    play(story, connect=False, secret=Secret.of("s3cr3t"))


@WAYS
def test_an_unknown_outcome_is_no_refusal(play, venue, orders):
    """10016 after the order was taken, by either way: OutcomeUnknown, and the look-up finds it."""

    async def story(trading):
        name = trading.submit(limit="49000")
        doubt = await trading.until(OutcomeUnknown, name)
        assert "10016" in doubt.reason
        assert (await trading.broker.lookup([name]))[name].open

    venue.fault("unknown", on="order")
    play(story, orders=orders)
