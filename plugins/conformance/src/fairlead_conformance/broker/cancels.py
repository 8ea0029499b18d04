"""Cases about taking orders back."""

from __future__ import annotations

from fairlead import OrderType
from fairlead.ports import UNKNOWN_ORDER, Canceled, CancelRejected, FillReport, Submit
from fairlead_conformance.broker.orders import filled
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import Desk
from fairlead_conformance.suite import Conformance


class Cancels(Conformance):
    """What happens to a cancel."""

    @case(Tier.CORE, after="a_limit_order_rests")
    async def test_a_cancel_ends_an_order(self, desk: Desk) -> None:
        """It is Canceled once, and is open nowhere any more."""
        submit = await desk.place()
        await taken_back(desk, submit)
        [said] = desk.of(submit, Canceled)
        assert said.filled_quantity in (None, 0), f"nothing of it filled, and {said.filled_quantity} is said"
        found = await desk.look(submit)
        assert found is None or not found.open, "an order that was Canceled works at the venue"

    @case(Tier.CORE, after="a_cancel_ends_an_order")
    async def test_a_cancel_may_be_repeated(self, desk: Desk) -> None:
        """Sent again and again, it ends the order once, and every further one is a CancelRejected or nothing."""
        submit = await desk.place()
        for _ in range(3):
            desk.cancel(submit)
        await desk.until(
            lambda: desk.of(submit, Canceled), "an order that is canceled three times is never Canceled"
        )
        await desk.quiet()
        assert len(desk.of(submit, Canceled)) == 1, "one order is Canceled twice"

    @case(Tier.CORE, after="it_connects")
    async def test_a_cancel_of_nothing_says_so(self, desk: Desk) -> None:
        """Of an order that never was, a cancel is CancelRejected as UNKNOWN_ORDER."""
        submit = desk.order()
        desk.cancel(submit)
        await desk.until(
            lambda: desk.about(submit), "of a cancel for an order that never was it says nothing"
        )
        said = desk.about(submit)[0]
        assert isinstance(said, CancelRejected) and said.code == UNKNOWN_ORDER, f"it says {desk.words()}"

    @case(Tier.CORE, after=("a_market_order_fills", "a_cancel_of_nothing_says_so"))
    async def test_a_cancel_that_comes_too_late_says_so(self, desk: Desk) -> None:
        """Of an order that has filled, a cancel is CancelRejected, and the order stays filled."""
        submit = await filled(desk, OrderType.MARKET)
        desk.cancel(submit)
        await desk.until(
            lambda: desk.of(submit, CancelRejected), "of a cancel that comes too late it says nothing"
        )
        await desk.quiet()
        assert not desk.of(submit, Canceled), "an order that has filled is Canceled"

    @case(Tier.CORE, after="a_cancel_ends_an_order")
    async def test_a_cancel_after_a_part_has_filled(self, desk: Desk) -> None:
        """The part stays filled, Canceled says how much that is, and nothing more fills."""
        submit = await desk.place(quantity=desk.quantity(4))
        part = desk.quantity()
        await desk.fill(submit, part)
        await desk.until(
            lambda: desk.filled(submit) == part, f"{part} filled at the venue; it says otherwise"
        )
        await taken_back(desk, submit)
        [said] = desk.of(submit, Canceled)
        assert said.filled_quantity in (None, part), (
            f"{part} had filled, and Canceled says {said.filled_quantity}"
        )
        found = await desk.look(submit)
        assert found is None or (not found.open and found.filled_quantity == part), (
            "the look-up says otherwise"
        )

    @case(Tier.CORE, after="a_cancel_ends_an_order")
    async def test_a_cancel_and_a_fill_at_once_have_one_end(self, desk: Desk) -> None:
        """In a race one of both wins: fills and remainder add up, and the venue says the same."""
        submit = await desk.place(quantity=desk.quantity(2))
        desk.cancel(submit)
        await desk.market(desk.mid * 0.9)
        await desk.until(
            lambda: desk.of(submit, Canceled) or desk.filled(submit) == submit.quantity,
            "a cancel and a fill at once: the order has no end",
        )
        await desk.quiet()
        found = await desk.look(submit)
        assert found is None or not found.open, "the order has ended here and works there"
        if desk.of(submit, Canceled):
            assert desk.filled(submit) < submit.quantity, "an order that has filled is Canceled"
        assert found is None or desk.filled(submit) == found.filled_quantity, "fills were lost or invented"

    @case(Tier.CORE, after="a_cancel_ends_an_order")
    async def test_cancel_all_takes_all_back(self, desk: Desk) -> None:
        """Every open order of the account is Canceled."""
        orders = [await desk.place() for _ in range(3)]
        desk.cancel_all()
        await desk.until(
            lambda: all(desk.of(one, Canceled) for one in orders), "after CancelAll not all are Canceled"
        )
        ours = {one.client_order_id for one in orders}
        assert not [one for one in (await desk.snapshot()).orders or () if one.client_order_id in ours]

    @case(Tier.CORE, after="cancel_all_takes_all_back")
    async def test_cancel_all_of_one_instrument_leaves_the_others(self, desk: Desk) -> None:
        """Only the orders of the instrument that is named are Canceled."""
        if desk.other is None:
            return
        kept = await desk.place()
        desk.cancel_all(desk.other.id)
        await desk.quiet()
        assert not desk.of(kept, Canceled), (
            f"CancelAll of {desk.other.id} cancels orders of {desk.instrument.id}"
        )
        desk.cancel_all(desk.instrument.id)
        await desk.until(lambda: desk.of(kept, Canceled), "CancelAll of its instrument leaves an order")

    @case(Tier.CORE, after="a_cancel_ends_an_order")
    async def test_a_fill_is_never_left_out(self, desk: Desk) -> None:
        """Several parts that fill one after the other are all reported, the last one after a cancel was sent."""
        submit = await desk.place(quantity=desk.quantity(4))
        part = desk.quantity()
        for count in (1, 2):
            await desk.fill(submit, part)
            await desk.until_filled(submit, part * count)
        ids = [fill.fill_id for fill in desk.of(submit, FillReport)]
        assert len(set(ids)) == len(ids), "two executions have one id, or one was reported twice"


async def taken_back(desk: Desk, submit: Submit) -> None:
    """Cancel an order and wait until it is."""
    desk.cancel(submit)
    await desk.until(lambda: desk.of(submit, Canceled), "an order that is canceled is never Canceled")
