"""What bites users of Bybit does not bite here: each named trap under the fault that springs it."""

from decimal import Decimal

import pytest

from fairlead import ConfigurationError
from fairlead.ports import (
    Accepted,
    Canceled,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    StreamDown,
)
from fairlead_venue import Venue

LINEAR, SPOT = "BTC/USDT:USDT", "BTC/USDT"


def test_an_acknowledged_order_that_is_rejected_is_rejected(play, venue):
    """The answer had ids, and accepted nothing: the stream alone decides."""
    venue.fault("reject_later", on="order")

    async def story(trading):
        name = trading.submit()
        refused = await trading.until(Rejected, name)
        assert (refused.code, trading.told(Accepted, name)) == ("EC_Others", [])

    play(story)


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
def test_an_id_that_is_used_again_is_a_duplicate(play, symbol):
    """Whatever code the product has for it, and after the first one ended too."""

    async def story(trading):
        name = trading.submit(symbol=symbol, limit="49000")
        await trading.until(Accepted, name)
        trading.cancel(name, symbol=symbol)
        await trading.until(Canceled, name)
        trading.submit(symbol=symbol, limit="49000", name=name)
        assert (await trading.until(Rejected, name)).code == "duplicate_id"

    play(story)


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_quantities_are_of_the_base_and_exact(play, venue, symbol, side):
    """No market order is taken for money, and nothing goes out with an exponent."""

    async def story(trading):
        quantity = "0.000110" if symbol == SPOT else "0.001"
        fill = await trading.until(FillReport, trading.submit(side, quantity, symbol=symbol))
        assert fill.quantity == Decimal(quantity)
        [seen] = await trading.there("requests", "order")
        assert seen["params"]["qty"] == f"{Decimal(quantity).normalize():f}"

    play(story)


@pytest.mark.parametrize("fault", ["events_first", "answer_first", "coalesce", "duplicate", "reorder"])
def test_the_order_of_things_does_not_matter(play, venue, fault):
    """Answer, order and execution in any order, twice or in one segment: one order, and one fill by its id."""
    venue.fault(fault, on="event:*" if fault in ("duplicate", "reorder") else "order", lasts="50ms")

    async def story(trading):
        name = trading.submit()
        await trading.until(FillReport, name)
        await trading.until(Accepted, name)
        assert len({fill.fill_id for fill in trading.fills(name)}) == 1

    play(story)


def test_several_executions_of_one_frame_all_count(play, venue):
    """Three levels are three fills, each with an id of its own."""
    venue.book("BTC/USDT", [(49_999.0, 5.0)], [(50_001.0, 1.0), (50_002.0, 1.0), (50_003.0, 5.0)])

    async def story(trading):
        name = trading.submit(quantity="2.5")
        fills = await trading.until(FillReport, name, count=3)
        assert [fill.price for fill in fills] == [50_001, 50_002, 50_003]
        assert len({fill.fill_id for fill in fills}) == 3

    play(story)


@pytest.mark.parametrize("orders", ["websocket", "rest"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("lose_answer", {}),
        ("unknown", {}),
        ("unknown", {"executed": False}),
        ("lose", {}),
        ("garbage", {}),
        ("error", {"status": 502}),
    ],
)
def test_what_nobody_knows_is_unknown_and_never_sent_twice(play, venue, orders, fault, words):
    """No answer, one that cannot be read, a gateway's page: OutcomeUnknown, one request, and a look-up that tells."""
    venue.fault(fault, on="order", **words)

    async def story(trading):
        name = trading.submit(limit="49000")
        await trading.until(OutcomeUnknown, name, within=8)
        if trading.told(StreamDown):
            await trading.connect()
        there = await trading.there("orders", "unified")
        found = (await trading.broker.lookup([name]))[name]
        assert (found is not None) == bool(there)
        assert len(await trading.there("requests", "order")) == 1

    play(story, orders=orders, answer="300ms")


def test_a_limit_is_respected_until_it_resets(play, venue):
    """10006 with a time: until then nothing is sent. One whose time has passed breaks nothing."""
    venue.fault("rate_limit", on="order", lasts="5s")

    async def story(trading):
        assert (await trading.until(Rejected, trading.submit(limit="49000"))).code == "10006"
        await trading.until(NotSent, trading.submit(limit="49000"))

    play(story, orders="rest")
    venue.clear()
    venue.skew(-700_000_000)
    venue.fault("rate_limit", on="order", lasts="100ms")

    async def past(trading):
        assert (await trading.until(Rejected, trading.submit(limit="49000"))).code == "10006"

    play(past, orders="rest")


@pytest.mark.parametrize("orders", ["websocket", "rest"])
def test_a_clock_that_is_behind_is_made_up_for(play, venue, orders):
    """Three seconds slow: requests, sockets and orders go through."""
    venue.skew(3_000_000_000)

    async def story(trading):
        await trading.until(FillReport, trading.submit())
        assert (await trading.broker.snapshot()).orders == ()

    play(story, orders=orders)


def test_a_clock_that_is_ahead_is_refused_by_name(play, venue):
    """What is from the future is refused by Bybit: it is said at once, with the remedy."""
    venue.skew(-2_000_000_000)

    async def story(trading):
        with pytest.raises(ConfigurationError, match=r"2\.0 s ahead of Bybit's.*NTP"):
            await trading.connect()

    play(story, connect=False)


@pytest.mark.parametrize("topic", ["order", "execution"])
@pytest.mark.parametrize("fault", ["garbage", "unknown_enum"])
def test_what_cannot_be_understood_ends_the_connection(play, venue, topic, fault):
    """It is named, and after the next connection the list of executions has what was in it."""
    venue.fault(fault, on=f"event:{topic}")

    async def story(trading):
        began = trading.clock.now() - 1_000_000_000
        name = trading.submit()
        down = await trading.until(StreamDown)
        assert down.reason
        await trading.connect()
        assert [fill.client_order_id for fill in await trading.broker.fills(began)] == [name]

    play(story)


@pytest.mark.parametrize("orders", ["websocket", "rest"])
def test_unknown_fields_disturb_nobody(play, venue, orders):
    """Bybit adds some every month."""
    venue.fault("unknown_field", on="*", times=0)

    async def story(trading):
        await trading.until(FillReport, trading.submit())
        assert (await trading.broker.snapshot()).positions == {f"{LINEAR}@bybit": Decimal("0.01")}

    play(story, orders=orders)


@pytest.mark.parametrize(("side", "currency"), [("buy", "BTC"), ("sell", "USDT")])
def test_the_currency_of_a_fee_is_known_without_being_told(play, side, currency):
    """Older answers leave it out: spot takes fees in what one gets."""

    async def story(trading):
        fill = await trading.until(FillReport, trading.submit(side, symbol=SPOT))
        assert fill.fee_currency == currency

    with Venue("bybit", cash=["100_000 USDT", "1 BTC"], variants={"fee_currency": "absent"}) as venue:
        venue.quote("BTC/USDT", 49_999.0, 50_001.0)
        play(story, at=venue)
