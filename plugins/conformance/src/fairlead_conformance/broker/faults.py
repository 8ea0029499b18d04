"""Cases about what goes wrong between an adapter and its venue: nothing is lost, nothing is guessed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from fairlead import FairleadError, OrderType, Side
from fairlead.ports import (
    Accepted,
    Canceled,
    CancelRejected,
    Expired,
    FillReport,
    NotSent,
    OutcomeUnknown,
    Rejected,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import SECOND, Desk
from fairlead_conformance.suite import Conformance
from fairlead_conformance.venue import Fault

DOWN = "a_broken_connection_is_reported_once"
MARKET, BUY = OrderType.MARKET, Side.BUY


class Faults(Conformance):
    """One thing at a time."""

    # --- answers --------------------------------------------------------------------------------------------

    @case(Tier.FAULTS, after="a_limit_order_rests", faults=Fault.LOSE_ANSWER)
    async def test_a_lost_answer_is_no_refusal(self, desk: Desk) -> None:
        """An order whose answer is lost is OutcomeUnknown, never refused, and a look-up finds it."""
        await desk.fault(Fault.LOSE_ANSWER)
        submit = await doubted(desk, desk.order())
        found = await desk.recover(submit)
        assert found is not None and found.open, "the venue has the order, and a look-up does not find it"

    @case(Tier.FAULTS, after="a_lost_answer_is_no_refusal", faults=Fault.LOSE)
    async def test_a_lost_order_is_not_found_after_the_lag(self, desk: Desk) -> None:
        """An order that never arrived is OutcomeUnknown, and after its validity and the lag the venue knows none."""
        await desk.fault(Fault.LOSE)
        submit = await doubted(desk, desk.order())
        await asyncio.sleep((desk.profile.validity_ns or 0) / 1e9)
        assert await desk.recover(submit) is None, "an order that never arrived is at the venue"
        await desk.quiet()
        assert not desk.of(submit, Accepted), "it was sent a second time: nobody asked for that"

    @case(Tier.FAULTS, after="a_cancel_ends_an_order", faults=Fault.LOSE_ANSWER)
    async def test_a_lost_answer_to_a_cancel_keeps_the_order_in_doubt(self, desk: Desk) -> None:
        """A cancel whose answer is lost is not taken for one that failed: a look-up says what became of the order."""
        submit = await desk.place()
        await desk.fault(Fault.LOSE_ANSWER)
        desk.cancel(submit)
        within = 2 * desk.profile.answer_ns + 2 * SECOND
        await desk.until(
            lambda: desk.of(submit, OutcomeUnknown, Canceled) or desk.heard(StreamDown),
            "the answer to a cancel is lost, and nothing says so",
            within,
        )
        refused = [said for said in desk.of(submit, CancelRejected) if said.code in ("", "unknown_order")]
        assert not refused, "a lost answer is taken for a refused cancel"
        found = await desk.recover(submit)
        assert found is None or not found.open, "the venue has canceled it, and a look-up says that it works"

    @case(Tier.FAULTS, after="a_market_order_fills", faults=Fault.DUPLICATE)
    async def test_what_comes_twice_counts_once(self, desk: Desk) -> None:
        """A fill that the venue says twice has one id both times."""
        await desk.fault(Fault.DUPLICATE)
        submit = desk.send(desk.order(MARKET))
        await desk.until(lambda: desk.filled(submit) >= submit.quantity, "an order at the market never fills")
        await desk.quiet()
        assert desk.filled(submit) == submit.quantity, "what the venue says twice counts twice"

    @case(Tier.FAULTS, after="a_market_order_fills", faults=Fault.REORDER)
    async def test_a_fill_may_come_before_its_acceptance(self, desk: Desk) -> None:
        """Both are reported, in whatever order."""
        await desk.fault(Fault.REORDER)
        submit = desk.send(desk.order(MARKET))
        await desk.until(
            lambda: desk.of(submit, Accepted) and desk.filled(submit) == submit.quantity,
            "a fill came before its acceptance, and one of both is lost",
        )

    # --- connections ----------------------------------------------------------------------------------------

    @case(Tier.FAULTS, after="it_connects", faults=Fault.CUT)
    async def test_a_broken_connection_is_reported_once(self, desk: Desk) -> None:
        """It says StreamDown once with a reason, tries nothing itself, and StreamUp in a later epoch when told to."""
        await cut(desk)
        await desk.quiet()
        downs = desk.heard(StreamDown)
        assert len(downs) == 1 and downs[0].reason, f"a connection broke once; it says {desk.words()}"
        assert not desk.heard(StreamUp), "it connects by itself, and the engine has not asked"
        await desk.reconnect()
        first = desk.heard(StreamUp)[-1].epoch
        await cut(desk)
        await desk.reconnect()
        assert desk.heard(StreamUp)[-1].epoch > first, (
            "the epoch of a new connection is not above the last one's"
        )

    @case(Tier.FAULTS, after=DOWN, faults=Fault.CUT)
    async def test_without_a_connection_nothing_is_sent(self, desk: Desk) -> None:
        """An order is NotSent, and what is asked says that nobody could be asked: it is not empty."""
        await cut(desk)
        submit = desk.send(desk.order())
        await desk.until(lambda: desk.ended(submit), "without a connection an order is answered by nothing")
        assert desk.of(submit, NotSent), f"without a connection an order is NotSent; it says {desk.words()}"
        try:
            taken = await desk.broker.snapshot()
            assert taken.orders is None and taken.balances is None, (
                "a snapshot without a connection is not None"
            )
        except FairleadError:
            pass
        try:
            answer = await desk.broker.lookup([submit.client_order_id])
            assert submit.client_order_id not in answer, (
                "a look-up without a connection says that there is no order"
            )
        except FairleadError:
            pass
        await desk.reconnect()
        assert await desk.look(submit) is None, "an order that was NotSent is at the venue"

    @case(Tier.FAULTS, of="own_fills", after=DOWN, faults=Fault.CUT)
    async def test_fills_of_the_meantime_are_backfilled_once(self, desk: Desk) -> None:
        """What filled while the connection was gone is listed, with the ids that it will always have."""
        submit = await desk.place()
        await cut(desk)
        await desk.market(desk.mid * 0.9)
        await asyncio.sleep(0.05)
        found = await desk.recover(submit)
        assert found is None or found.filled_quantity == submit.quantity
        assert desk.filled(submit) == submit.quantity, "what filled while the connection was gone is lost"
        listed = {fill.fill_id for fill in await desk.executed(submit)}
        assert {fill.fill_id for fill in desk.fills(submit)} == listed, (
            "listed and pushed, a fill has two ids"
        )

    @case(Tier.FAULTS, after=(DOWN, "a_lost_answer_is_no_refusal"), faults=(Fault.CUT, Fault.LOSE_ANSWER))
    async def test_what_was_in_flight_is_in_doubt(self, desk: Desk) -> None:
        """An order under way when the connection breaks is OutcomeUnknown, and evidence is found afterwards."""
        await desk.fault(Fault.LOSE_ANSWER)
        submit = desk.send(desk.order())
        await asyncio.sleep(0.005)
        await cut(desk)
        await desk.until(
            lambda: desk.about(submit), "an order was in flight when the connection broke: it says nothing"
        )
        assert not desk.ended(submit), f"nobody can know yet that it is not there; it says {desk.words()}"
        found = await desk.recover(submit)
        assert found is not None and found.open, "the venue has the order, and a look-up does not find it"

    @case(Tier.FAULTS, after=DOWN, faults=Fault.STALL)
    async def test_a_half_open_connection_hangs_nobody(self, desk: Desk) -> None:
        """Nothing comes any more: each question ends in an error of ours, each order in OutcomeUnknown, in time."""
        await desk.fault(Fault.STALL)
        submit = await doubted(desk, desk.order())
        within = (4 * desk.profile.answer_ns + 2 * SECOND) / 1e9
        for ask in (desk.broker.snapshot, lambda: desk.broker.lookup([submit.client_order_id])):
            try:
                answer = await asyncio.wait_for(ask(), within)
            except TimeoutError:
                raise AssertionError(
                    f"nothing comes any more, and a question waits beyond {within:g} s"
                ) from None
            except FairleadError as error:
                desk.errors.append(str(error))
                continue
            empty = getattr(answer, "orders", None) is None and not (isinstance(answer, dict) and answer)
            assert empty, "nothing comes any more, and a question is answered"
        await desk.reconnect()

    # --- refusals -------------------------------------------------------------------------------------------

    @case(Tier.FAULTS, of="rate_limits", after="a_refusal_has_a_code", faults=Fault.BAN)
    async def test_too_many_requests_have_a_name(self, desk: Desk) -> None:
        """An order that the venue refuses for its number is Rejected with a code, or in doubt; the next one works."""
        await desk.fault(Fault.BAN)
        submit = desk.send(desk.order())
        await desk.until(
            lambda: desk.about(submit), "an order is refused for its number, and nothing says so"
        )
        said = desk.about(submit)[0]
        assert isinstance(said, Rejected | OutcomeUnknown) and said.reason, f"it says {desk.words()}"
        assert not isinstance(said, Rejected) or said.code, "Rejected has no code"
        await desk.quiet()
        await desk.place()

    @case(Tier.FAULTS, after="a_limit_order_rests", faults=Fault.SKEW)
    async def test_a_wrong_clock_has_a_name(self, desk: Desk) -> None:
        """With the clocks apart, an order is refused by name, in doubt, or works as ever: it is not lost."""
        await desk.fault(Fault.SKEW)
        submit = desk.send(desk.order())
        await desk.until(lambda: desk.about(submit), "with the clocks apart, an order is answered by nothing")
        said = desk.about(submit)[0]
        assert isinstance(said, Accepted) or said.reason, f"it does not say why: {desk.words()}"

    # --- what cannot be understood --------------------------------------------------------------------------

    @case(Tier.FAULTS, after="a_market_order_fills", unless=DOWN, faults=Fault.GARBAGE)
    async def test_garbage_is_named_and_loses_nothing(self, desk: Desk) -> None:
        """What cannot be read is said by a report or in the log, raises nothing in the loop, and no fill is lost."""
        await self._understands(desk, Fault.GARBAGE)

    @case(Tier.FAULTS, after="a_market_order_fills", unless=DOWN, faults=Fault.UNKNOWN_WORD)
    async def test_an_unknown_word_is_named_and_loses_nothing(self, desk: Desk) -> None:
        """A word that nobody knows is not guessed at: it is said, and no fill is lost."""
        await self._understands(desk, Fault.UNKNOWN_WORD)

    @case(Tier.FAULTS, after="a_market_order_fills", unless=DOWN, faults=Fault.MISSING_FIELD)
    async def test_a_missing_field_is_named_and_loses_nothing(self, desk: Desk) -> None:
        """A field that is not there is not made up: it is said, and no fill is lost."""
        await self._understands(desk, Fault.MISSING_FIELD)

    async def _understands(self, desk: Desk, fault: Fault) -> None:
        submit = await desk.place()
        await desk.fault(fault)
        before, logged = len(desk.said), len(self.watch.log)
        await desk.market(desk.mid * 0.9)
        within = 2 * desk.profile.answer_ns + 2 * SECOND

        def named() -> bool:
            reported = [said for said in desk.said[before:] if isinstance(said, StreamDown | OutcomeUnknown)]
            return any(said.reason for said in reported) or len(self.watch.log) > logged

        await desk.until(named, f"the venue's {fault} is swallowed: no report and no log says so", within)
        refused = desk.of(submit, Rejected, NotSent, Canceled, Expired)
        assert not refused, f"the venue's {fault} is taken for an end of the order: {desk.words()}"
        await desk.recover(submit)
        assert desk.filled(submit) == submit.quantity, f"by the venue's {fault} a fill is lost"
        assert not self.watch.unhandled, f"the venue's {fault} raises in the loop: {self.watch.unhandled[0]}"
        again = await desk.place(MARKET)
        await desk.until(
            lambda: desk.filled(again) == again.quantity, f"after the venue's {fault} it works no more"
        )


async def doubted(desk: Desk, submit: Submit) -> Submit:
    """Send an order of which nothing will be heard, and wait until that is said."""
    desk.send(submit)
    within = 2 * desk.profile.answer_ns + 2 * SECOND
    await desk.until(
        lambda: desk.about(submit), "the answer to an order is lost, and nothing says so", within
    )
    said = desk.about(submit)[0]
    assert isinstance(said, OutcomeUnknown), f"nobody knows what became of an order; it says {desk.words()}"
    return submit


async def cut(desk: Desk) -> None:
    """Break the connection, and wait until that is said."""
    downs = len(desk.heard(StreamDown))
    await desk.fault(Fault.CUT)
    await desk.until(
        lambda: len(desk.heard(StreamDown)) > downs, "a connection breaks, and no StreamDown says so"
    )


def signed(fills: list[FillReport]) -> Decimal:
    """What fills add up to."""
    return sum((fill.quantity if fill.side is BUY else -fill.quantity for fill in fills), Decimal(0))
