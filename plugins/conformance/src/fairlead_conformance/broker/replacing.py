"""Cases about changing an order by one request, and about the switch that cancels all of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from fairlead import OrderType
from fairlead.ports import (
    Canceled,
    DeadManFired,
    DeadManSet,
    OutcomeUnknown,
    Rejected,
    Replaced,
    ReplaceRejected,
    StreamDown,
    Submit,
)
from fairlead_conformance.broker.orders import filled
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import SECOND, Desk
from fairlead_conformance.suite import Conformance
from fairlead_conformance.venue import Fault

STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
LONGEST_NS = 3 * SECOND
"""A switch that takes no shorter time than this is not waited for in real time."""


class Replacing(Conformance):
    """What happens to a replace, and to a dead-man switch."""

    @case(Tier.CORE, of="replace:limit", after=("a_limit_order_rests", "a_cancel_ends_an_order"))
    async def test_a_limit_order_is_replaced(self, desk: Desk) -> None:
        """One order works on, under the same id of ours, at the new price and the new total; then it fills whole."""
        submit = await desk.place(quantity=desk.quantity(2))
        price, total = desk.price(desk.mid * 0.93), desk.quantity(3)
        await replaced(desk, submit, total, limit_price=price)
        [order] = (await desk.snapshot()).orders or ()
        assert (order.quantity, order.filled_quantity) == (total, Decimal(0)), (
            f"replaced by {total}, it is {order}"
        )
        assert order.limit_price in (None, price), f"replaced at {price}, it works at {order.limit_price}"
        assert not desk.ended(submit), f"an order that was replaced is ended: {desk.words()}"
        await desk.market(desk.mid * 0.9)
        await desk.until_filled(submit, total)

    @case(Tier.CORE, of="replace:limit", after=("a_limit_order_is_replaced", "a_fill_is_never_left_out"))
    async def test_a_replaced_total_has_what_has_filled(self, desk: Desk) -> None:
        """Of an order that has filled in part the new quantity is the total: never more than that fills."""
        submit = await desk.place(quantity=desk.quantity(4))
        await desk.fill(submit, desk.quantity())
        await desk.until_filled(submit, desk.quantity())
        total = desk.quantity(2)
        await replaced(desk, submit, total, limit_price=submit.intent.limit_price)
        await desk.market(desk.mid * 0.9)
        await desk.until_filled(submit, total)
        await desk.quiet()
        assert desk.filled(submit) == total, (
            f"replaced by a total of {total}, {desk.filled(submit)} has filled"
        )

    @case(Tier.CORE, of="replace:limit", after=("a_limit_order_is_replaced", "a_market_order_fills"))
    async def test_a_replace_that_comes_too_late_says_so(self, desk: Desk) -> None:
        """Of an order that has filled, a replace is ReplaceRejected with its attempt, and opens nothing."""
        submit = await filled(desk, OrderType.MARKET)
        desk.replace(submit, desk.quantity(2), attempt=7, limit_price=desk.price(desk.mid * 0.9))
        await desk.until(
            lambda: desk.of(submit, ReplaceRejected), "of a replace that comes too late it says nothing"
        )
        said = desk.of(submit, ReplaceRejected)[0]
        assert said.attempt in (0, 7), f"attempt 7 is answered as {said.attempt}"
        assert not (await desk.snapshot()).orders, "a replace of an order that has filled opens another"

    @case(Tier.CORE, of="replace:limit", after="a_limit_order_is_replaced")
    async def test_a_late_replace_is_not_sent(self, desk: Desk) -> None:
        """Past its deadline a replace is ReplaceRejected as not_sent, and its order stands as it did."""
        submit = await desk.place()
        desk.replace(
            submit, desk.quantity(2), limit_price=submit.intent.limit_price, deadline_ns=desk.clock.now() - 1
        )
        await desk.until(
            lambda: desk.of(submit, ReplaceRejected), "of a replace past its deadline it says nothing"
        )
        assert desk.of(submit, ReplaceRejected)[0].code == "not_sent", f"it says {desk.words()}"
        found = await desk.look(submit)
        assert found is not None and found.quantity == submit.quantity, "a replace past its deadline was sent"

    @case(Tier.CORE, of="replace:stop", after="a_stop_waits_and_fills")
    async def test_a_stop_is_replaced(self, desk: Desk) -> None:
        """It waits for its new price."""
        submit = await desk.place(STOP, stop_price=desk.price(desk.mid * 1.05))
        await replaced(desk, submit, submit.quantity, stop_price=desk.price(desk.mid * 1.15))
        await _waits_for_the_new_price(desk, submit)

    @case(Tier.CORE, of="replace:stop_limit", after="a_stop_limit_waits_and_fills")
    async def test_a_stop_limit_is_replaced(self, desk: Desk) -> None:
        """It waits for its new price."""
        limit = desk.price(desk.mid * 1.4)
        submit = await desk.place(STOP_LIMIT, stop_price=desk.price(desk.mid * 1.05), limit_price=limit)
        await replaced(
            desk, submit, submit.quantity, stop_price=desk.price(desk.mid * 1.15), limit_price=limit
        )
        await _waits_for_the_new_price(desk, submit)

    @case(Tier.FAULTS, of="replace:limit", after="a_limit_order_is_replaced", faults=Fault.LOSE_ANSWER)
    async def test_a_lost_answer_to_a_replace_is_no_refusal(self, desk: Desk) -> None:
        """It is in doubt, and a look-up tells which of the two terms hold."""
        submit = await desk.place()
        await desk.fault(Fault.LOSE_ANSWER)
        total = desk.quantity(2)
        desk.replace(submit, total, limit_price=submit.intent.limit_price)
        within = 2 * desk.profile.answer_ns + 2 * SECOND
        await desk.until(
            lambda: desk.of(submit, OutcomeUnknown, Replaced) or desk.heard(StreamDown),
            "the answer to a replace is lost, and nothing says so",
            within,
        )
        assert not desk.of(submit, ReplaceRejected, Rejected), (
            f"a lost answer is taken for a refusal: {desk.words()}"
        )
        found = await desk.recover(submit)
        assert found is not None and found.open and found.quantity == total, (
            f"it was replaced, and is {found}"
        )

    @case(Tier.CORE, of="dead_man", after="a_cancel_ends_an_order")
    async def test_a_dead_man_switch_is_set_and_called_off(self, desk: Desk) -> None:
        """Armed it says until when, called off that it is not, and then it cancels nothing."""
        shortest, _ = desk.profile.dead_man or (SECOND, SECOND)
        submit = await desk.place()
        desk.arm(shortest)
        await desk.until(lambda: desk.heard(DeadManSet), "a dead-man switch is armed, and nothing says so")
        until = desk.heard(DeadManSet)[-1].until_ns
        assert abs(until - desk.clock.now() - shortest) < SECOND, (
            f"armed for {shortest} ns, it says until {until}"
        )
        desk.arm(0)
        await desk.until(
            lambda: len(desk.heard(DeadManSet)) > 1, "a dead-man switch is called off: nothing says so"
        )
        assert not desk.heard(DeadManSet)[-1].until_ns, "it was called off, and says that it is set"
        if desk.venue.virtual:
            await asyncio.sleep(2 * shortest / 1e9)
            assert not desk.of(submit, Canceled), "a dead-man switch that was called off cancels"

    @case(Tier.CORE, of="dead_man", after="a_dead_man_switch_is_set_and_called_off")
    async def test_a_dead_man_switch_cancels_all(self, desk: Desk) -> None:
        """Not told in time it says DeadManFired, and every order is Canceled; told in time it does not."""
        shortest, _ = desk.profile.dead_man or (SECOND, SECOND)
        if not desk.venue.virtual and shortest > LONGEST_NS:
            return
        submit = await desk.place()
        for _ in range(3):
            desk.arm(shortest)
            await asyncio.sleep(shortest * 0.6 / 1e9)
        assert not desk.of(submit, Canceled), "a dead-man switch fires though it was told in time"
        await desk.until(
            lambda: desk.of(submit, Canceled), "a dead-man switch does not fire", 2 * shortest + SECOND
        )
        assert desk.heard(DeadManFired), "a dead-man switch has canceled, and nothing says why"


async def replaced(desk: Desk, submit: Submit, total: Decimal, **prices: Decimal | None) -> None:
    """Replace an order, and wait until that is said."""
    desk.replace(submit, total, **prices)  # type: ignore[arg-type]
    await desk.until(lambda: desk.of(submit, Replaced), "an order that is replaced is never Replaced")
    said = desk.of(submit, Replaced)[-1]
    assert said.attempt in (0, 1), f"attempt 1 is answered as {said.attempt}"
    assert said.quantity in (None, total), f"replaced by {total}, it says {said.quantity}"


async def _waits_for_the_new_price(desk: Desk, submit: Submit) -> None:
    await desk.market(desk.mid * 1.1)
    await desk.quiet()
    assert not desk.filled(submit), "it fills at the price that it had before"
    await desk.market(desk.mid * 1.2)
    await desk.until_filled(submit)
