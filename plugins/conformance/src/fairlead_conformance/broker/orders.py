"""Cases about orders: each type, time in force and flag that the profile declares."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from fairlead import OrderType, Side, TimeInForce, Trail
from fairlead.ports import (
    DUPLICATE_ID,
    Accepted,
    Canceled,
    CancelRejected,
    Expired,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Submit,
)
from fairlead_conformance.broker.contract import decimals
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import MILLISECOND, Desk
from fairlead_conformance.suite import Conformance

MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
BUY, SELL = Side.BUY, Side.SELL
SHORT_NS = 60 * MILLISECOND


class Orders(Conformance):
    """What happens to an order."""

    # --- types ----------------------------------------------------------------------------------------------

    @case(Tier.CORE, of="order_type:limit", after="it_connects")
    async def test_a_limit_order_rests(self, desk: Desk) -> None:
        """Away from the market it is Accepted once, with the venue's id, open in the snapshot, and has not filled."""
        submit = await desk.place()
        await desk.quiet()
        said = desk.about(submit)
        assert [type(found) for found in said] == [Accepted], f"it says {desk.words()}"
        assert said[0].broker_order_id, "Accepted has no broker_order_id"
        orders = (await desk.snapshot()).orders or ()
        [found] = [order for order in orders if order.client_order_id == submit.client_order_id]
        assert found.open and found.instrument == desk.instrument.id
        assert (found.quantity, found.filled_quantity) == (submit.quantity, Decimal(0)), (
            "it rests with another quantity"
        )

    @case(Tier.CORE, of="order_type:market", after="it_connects")
    async def test_a_market_order_fills(self, desk: Desk) -> None:
        """It is Accepted and fills whole at the other side of the market, buys as well as sells."""
        await stock(desk)
        for side in (BUY, SELL):
            submit = await filled(desk, MARKET, side)
            for fill in desk.fills(submit):
                assert fill.side is side, "a fill is on the other side than its order"
                far = abs(float(fill.price) / desk.mid - 1)
                assert far < 0.02, f"it fills at {fill.price}, and the market is at {desk.mid}"

    @case(Tier.CORE, of="order_type:limit", after=("a_limit_order_rests",))
    async def test_a_limit_order_fills_at_its_price_or_better(self, desk: Desk) -> None:
        """When the market comes to it, it fills, and never at a worse price."""
        await stock(desk)
        for side, there in ((BUY, 0.9), (SELL, 1.1)):
            submit = await desk.place(side=side)
            await desk.market(desk.mid * there)
            await desk.until_filled(submit)
            limit = submit.intent.limit_price or Decimal(0)
            worst = max(desk.fills(submit), key=lambda fill: fill.price if side is BUY else -fill.price).price
            assert worst <= limit if side is BUY else worst >= limit, f"a limit of {limit} fills at {worst}"
            await desk.market()

    @case(Tier.CORE, of="order_type:stop", after="a_market_order_fills")
    async def test_a_stop_waits_and_fills(self, desk: Desk) -> None:
        """It rests until the market reaches its price, and then fills; sells as well as buys."""
        await stock(desk)
        for side, away in ((SELL, 0.95), (BUY, 1.05)):
            submit = await desk.place(STOP, side, stop_price=desk.price(desk.mid * away))
            await waits_and_fills(desk, submit, desk.mid * (away - 0.02 if side is SELL else away + 0.02))

    @case(Tier.CORE, of="order_type:stop_limit", after="a_limit_order_rests")
    async def test_a_stop_limit_waits_and_fills(self, desk: Desk) -> None:
        """It rests until the market reaches its price, then is a limit order."""
        stop, limit = desk.price(desk.mid * 1.05), desk.price(desk.mid * 1.2)
        submit = await desk.place(OrderType.STOP_LIMIT, BUY, stop_price=stop, limit_price=limit)
        await waits_and_fills(desk, submit, desk.mid * 1.07)
        assert all(fill.price <= limit for fill in desk.fills(submit)), "it fills beyond its limit"

    @case(Tier.CORE, of="order_type:trailing_stop", after="a_market_order_fills")
    async def test_a_trailing_stop_follows(self, desk: Desk) -> None:
        """It follows the market up and not down, and fills when the market has turned by its distance."""
        await stock(desk)
        distance = desk.price(desk.mid * 0.04)
        submit = await desk.place(OrderType.TRAILING_STOP, SELL, trail=Trail(distance))
        for there in (1.1, 1.08):
            await desk.market(desk.mid * there)
            await desk.quiet()
            assert not desk.filled(submit), "it fills before the market has turned by its distance"
        await desk.market(desk.mid * 1.05)
        await desk.until(
            lambda: desk.filled(submit) == submit.quantity, "the market turned, and it never fills"
        )

    # --- times in force -------------------------------------------------------------------------------------

    @case(Tier.CORE, of="time_in_force:GTC", after="it_connects")
    async def test_good_till_cancel_stays(self, desk: Desk) -> None:
        """It rests until somebody takes it back."""
        submit = await desk.place()
        await desk.quiet()
        found = await desk.look(submit)
        assert found is not None and found.open and not desk.ended(submit), "a GTC order has ended by itself"

    @case(Tier.CORE, of="time_in_force:IOC", after="a_limit_order_rests")
    async def test_immediate_or_cancel_never_rests(self, desk: Desk) -> None:
        """What does not fill at once is Canceled or Expired; what reaches the market fills."""
        await never_rests(desk, TimeInForce.IOC)

    @case(Tier.CORE, of="time_in_force:FOK", after="a_limit_order_rests")
    async def test_fill_or_kill_fills_whole_or_not_at_all(self, desk: Desk) -> None:
        """Without enough on the other side nothing of it fills; with enough, all of it."""
        await never_rests(desk, TimeInForce.FOK)
        size = desk.quantity(4)
        await desk.market(size=float(size / 2))
        submit = desk.send(desk.order(LIMIT, BUY, size, away=-0.01, time_in_force=TimeInForce.FOK))
        await desk.until(lambda: desk.ended(submit), "a FOK order that cannot fill whole does not end")
        assert not desk.filled(submit), "a part of a FOK order fills"

    @case(Tier.CORE, of="time_in_force:DAY", after="a_limit_order_rests")
    async def test_a_day_order_is_taken(self, desk: Desk) -> None:
        """It is Accepted, and rests today."""
        await desk.place(time_in_force=TimeInForce.DAY)

    @case(Tier.CORE, of="time_in_force:GTD", after="a_limit_order_rests")
    async def test_good_till_date_ends_by_itself(self, desk: Desk) -> None:
        """It rests until its time, then is Expired, and not before."""
        ends = desk.clock.now() + SHORT_NS
        submit = await desk.place(time_in_force=TimeInForce.GTD, expires_ns=ends)
        await desk.until(lambda: desk.ended(submit), "a GTD order outlives its time")
        assert desk.clock.now() >= ends, "a GTD order ends before its time"
        assert isinstance(desk.ended(submit)[0], Expired | Canceled), f"it says {desk.words()}"

    # --- flags ----------------------------------------------------------------------------------------------

    @case(Tier.CORE, of="post_only", after="a_limit_order_rests")
    async def test_post_only_never_takes(self, desk: Desk) -> None:
        """Where it would trade at once it is refused or canceled, without a fill; away from the market it rests."""
        crossing = desk.send(desk.order(away=-0.02, post_only=True))
        await desk.until(lambda: desk.ended(crossing), "a post-only order that crosses does not end")
        assert not desk.filled(crossing), "a post-only order takes"
        await desk.place(post_only=True)

    @case(Tier.CORE, of="reduce_only", after="a_market_order_fills")
    async def test_reduce_only_never_opens(self, desk: Desk) -> None:
        """Flat it does nothing; beyond a position it fills at most what is held."""
        flat = desk.send(desk.order(MARKET, SELL, reduce_only=True))
        await desk.until(lambda: desk.ended(flat), "a reduce-only order without a position does not end")
        assert not desk.filled(flat), "a reduce-only order opens a position"
        held = await filled(desk, MARKET, BUY)
        more = desk.send(desk.order(MARKET, SELL, held.quantity * 2, reduce_only=True))
        await desk.until(
            lambda: desk.ended(more) or desk.filled(more), "of a reduce-only order nothing is said"
        )
        await desk.quiet()
        assert desk.filled(more) <= held.quantity, "a reduce-only order turns the position over"

    @case(Tier.CORE, of="oco", after=("a_limit_order_rests", "a_market_order_fills"))
    async def test_of_linked_orders_one_fills(self, desk: Desk) -> None:
        """When one of a group fills, the venue takes the other back."""
        held = await filled(desk, MARKET, BUY)
        [low, high] = [
            await desk.place(LIMIT, SELL, held.quantity, away=away, group="exit:1") for away in (0.02, 0.3)
        ]
        await desk.market(desk.mid * 1.1)
        await desk.until(
            lambda: desk.filled(low) == low.quantity, "the nearer of two linked orders never fills"
        )
        await desk.until(
            lambda: desk.ended(high), "one of two linked orders filled, and the other still works"
        )
        assert not desk.filled(high)

    # --- ids and numbers ------------------------------------------------------------------------------------

    @case(Tier.CORE, after=("a_limit_order_rests", "a_market_order_fills"))
    async def test_reports_have_our_id(self, desk: Desk) -> None:
        """Every report of an order names it by the id that was sent, letter by letter, and so do all answers."""
        resting, done = await desk.place(), await filled(desk, MARKET, BUY)
        names = {resting.client_order_id, done.client_order_id}
        strange = [
            said for said in desk.said if getattr(said, "client_order_id", next(iter(names))) not in names
        ]
        assert not strange, f"it reports an order that nobody sent: {strange[0]}"
        for submit in (resting, done):
            found = await desk.look(submit)
            assert found is not None, "an order that was Accepted cannot be looked up by our id"
            assert found.client_order_id == submit.client_order_id
            assert found.broker_order_id == desk.of(submit, Accepted)[0].broker_order_id, (
                "the venue's id is another one"
            )

    @case(Tier.CORE, after="a_limit_order_rests")
    async def test_numbers_stay_exact(self, desk: Desk) -> None:
        """Quantity and price are at the venue digit by digit as they were sent, and every number back is a Decimal."""
        quantity = desk.quantity(3) + desk.instrument.lot
        price = desk.price(desk.mid * 0.95) + desk.instrument.tick * 3
        submit = await desk.place(quantity=quantity, limit_price=price)
        found = await desk.look(submit)
        assert found is not None
        assert decimals(found.quantity, found.filled_quantity), "a look-up brings floats"
        assert found.quantity == quantity, f"{quantity} was sent, and {found.quantity} is there"
        assert found.limit_price in (None, price), (
            f"a limit of {price} was sent, and {found.limit_price} is there"
        )
        await desk.market(desk.mid * 0.9)
        await desk.until(lambda: desk.fills(submit), "a limit that the market passed never fills")
        for fill in desk.fills(submit):
            assert decimals(fill.quantity, fill.price, fill.fee), f"a fill brings floats: {fill}"
            assert fill.fill_id and fill.instrument == desk.instrument.id and fill.quantity > 0
            assert fill.fee_currency or not fill.fee, "a fee has no currency"

    @case(Tier.CORE, after="a_market_order_fills")
    async def test_times_are_nanoseconds_of_now(self, desk: Desk) -> None:
        """The time of an event is in integer ns UTC, within a minute of the clock."""
        submit = await filled(desk, MARKET, BUY)
        for said in desk.about(submit):
            away = abs(said.event_ns - desk.clock.now())
            assert isinstance(said.event_ns, int) and away < 60_000 * MILLISECOND, (
                f"event_ns of {type(said).__name__} is {said.event_ns}, and now is {desk.clock.now()}"
            )

    @case(Tier.CORE, after="a_limit_order_rests")
    async def test_an_id_acts_once(self, desk: Desk) -> None:
        """The same order sent again makes no second one: it is refused as DUPLICATE_ID, or nothing more happens."""
        submit = await desk.place()
        desk.send(submit)
        await desk.quiet()
        refused = desk.of(submit, Rejected)
        assert not [said for said in refused if said.code != DUPLICATE_ID], (
            f"a repeated id is refused as {refused[0].code!r}, which kills the first order: say DUPLICATE_ID"
        )
        orders = Counter(order.client_order_id for order in (await desk.snapshot()).orders or ())
        assert orders[submit.client_order_id] == 1, (
            f"one id, and {orders[submit.client_order_id]} orders at the venue"
        )
        await desk.market(desk.mid * 0.9)
        await desk.until(lambda: desk.fills(submit), "a limit that the market passed never fills")
        await desk.quiet()
        assert desk.filled(submit) == submit.quantity, (
            f"{submit.quantity} was ordered, and {desk.filled(submit)} filled"
        )

    @case(Tier.CORE, after="a_limit_order_rests")
    async def test_a_refusal_has_a_code(self, desk: Desk) -> None:
        """What the account cannot pay for is Rejected with the venue's code and its words, and is not there."""
        money = max((await desk.snapshot()).balances.values())  # type: ignore[union-attr]
        huge = desk.instrument.quantity(1000 * money / Decimal(desk.mid))
        submit = desk.send(desk.order(LIMIT, BUY, huge))
        await desk.until(lambda: desk.ended(submit), "of an order that nobody can pay for it says nothing")
        said = desk.ended(submit)[0]
        assert isinstance(said, Rejected), (
            f"an order that nobody can pay for is Rejected; it says {desk.words()}"
        )
        assert said.code and said.reason, "Rejected has no code or no reason"
        codes = desk.profile.definitive_codes
        assert codes is None or said.code in codes, (
            f"{said.code!r} is a refusal, and not among the definitive_codes"
        )
        found = await desk.look(submit)
        assert found is None or not found.open, "an order that was Rejected works at the venue"

    @case(Tier.CORE, after="it_connects")
    async def test_an_unknown_instrument_is_refused(self, desk: Desk) -> None:
        """An order for what the venue does not list raises nothing, and is Rejected or NotSent."""
        submit = desk.send(desk.order(instrument=f"NOSUCH/THING@{desk.instrument.venue}"))
        await desk.until(lambda: desk.ended(submit), "of an order for an unknown instrument it says nothing")
        assert isinstance(desk.ended(submit)[0], Rejected | NotSent), f"it says {desk.words()}"
        assert not desk.of(submit, Accepted, FillReport, OutcomeUnknown, CancelRejected)


async def stock(desk: Desk) -> None:
    """Hold enough to sell, where what is sold must be held; a fee may be taken from what is bought."""
    if desk.instrument.spot:
        await filled(desk, MARKET, BUY, desk.quantity(10))


async def filled(desk: Desk, *words: object, **fields: object) -> Submit:
    """An order that has filled whole."""
    submit = await desk.place(*words, **fields)
    await desk.until(
        lambda: desk.filled(submit) == submit.quantity,
        f"{submit.quantity} was ordered at the market, and it never fills whole",
    )
    return submit


async def waits_and_fills(desk: Desk, submit: Submit, there: float) -> None:
    """Assert that an order does nothing until the market is there."""
    await desk.quiet()
    assert not desk.filled(submit) and not desk.ended(submit), (
        f"it does not wait for its price: {desk.words()}"
    )
    await desk.market(there)
    await desk.until(
        lambda: desk.filled(submit) == submit.quantity, "its price was reached, and it never fills"
    )
    await desk.market()


async def never_rests(desk: Desk, time_in_force: TimeInForce) -> None:
    """Assert that an order of this time in force fills at once or ends."""
    away = desk.send(desk.order(time_in_force=time_in_force))
    await desk.until(lambda: desk.ended(away), f"a {time_in_force} order rests")
    assert isinstance(desk.ended(away)[0], Canceled | Expired | Rejected) and not desk.filled(away)
    found = await desk.look(away)
    assert found is None or not found.open, f"a {time_in_force} order works at the venue"
    across = desk.send(desk.order(away=-0.01, time_in_force=time_in_force))
    await desk.until(
        lambda: desk.filled(across) == across.quantity, f"a {time_in_force} order at the market never fills"
    )
