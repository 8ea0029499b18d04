"""Cases about connecting, leaving, and what is listed."""

from __future__ import annotations

from fairlead import ConfigurationError, Side
from fairlead.ports import Accepted, CancelRejected, FillReport, NotSent, StreamDown
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.checks import distinct, exact_instrument
from fairlead_conformance.desk import Desk
from fairlead_conformance.suite import Conformance


class Connection(Conformance):
    """Connect, close, connect again."""

    @case(Tier.CORE)
    async def test_it_connects(self, desk: Desk) -> None:
        """It connects, reports nothing that did not happen, and is not down."""
        await desk.quiet()
        assert not desk.said, f"nothing has happened yet, and it says {desk.words()}"

    @case(Tier.CORE, after="it_connects")
    async def test_instruments_are_exact(self, desk: Desk) -> None:
        """Each instrument has exact rules, and each name stands once."""
        listed = await desk.broker.instruments()
        for instrument in listed:
            exact_instrument(instrument)
        distinct([instrument.id for instrument in listed], "instrument")

    @case(Tier.CORE, after="it_connects")
    async def test_it_closes_twice(self, desk: Desk) -> None:
        """To close again does no harm, and what is closed reports nothing."""
        await desk.broker.close()
        await desk.broker.close()
        await desk.quiet()
        assert not [said for said in desk.said if isinstance(said, StreamDown)], (
            "it was told to close: nothing is down"
        )

    @case(Tier.CORE, after=("it_closes_twice", "a_limit_order_rests"))
    async def test_it_connects_again(self, desk: Desk) -> None:
        """After close, and while it is still connected, it can be connected; each report comes once."""
        resting = await desk.place()
        for leave in (True, False):
            if leave:
                await desk.broker.close()
            await desk.broker.connect(desk.hear, desk.clock)
            await desk.market()
        found = await desk.look(resting)
        assert found is not None and found.open, "what rested before it was closed is not there any more"
        again = await desk.place()
        await desk.quiet()
        assert len(desk.of(again, Accepted)) == 1, "connected again, it says everything twice"

    @case(Tier.CORE, after="it_closes_twice")
    async def test_what_cannot_leave_was_not_sent(self, desk: Desk) -> None:
        """Closed, `send` raises nothing; an order is NotSent or nobody is told, and it is not at the venue later."""
        await desk.broker.close()
        try:
            submit = desk.send(desk.order())
            desk.cancel(submit)
            desk.cancel_all()
        except ConfigurationError as error:
            raise AssertionError(f"send raises, and must not: {error}") from error
        said = desk.about(submit)
        assert all(isinstance(found, NotSent | CancelRejected) for found in said), f"it says {desk.words()}"
        await desk.broker.connect(desk.hear, desk.clock)
        await desk.quiet()
        assert await desk.look(submit) is None, "what was sent while it was closed is at the venue"

    @case(Tier.CORE, after="it_connects")
    async def test_a_late_command_is_not_sent(self, desk: Desk) -> None:
        """Past its deadline an order is NotSent and never at the venue, however the clock of its arrival stands."""
        late = desk.send(desk.order(deadline_ns=desk.clock.now() - 1))
        await desk.until(lambda: desk.ended(late), "of an order past its deadline it says nothing")
        assert desk.of(late, NotSent), f"an order past its deadline is NotSent; it says {desk.words()}"
        await desk.quiet()
        assert await desk.look(late) is None, "an order past its deadline is at the venue"

    @case(Tier.CORE, after=("a_late_command_is_not_sent", "a_limit_order_rests"))
    async def test_a_late_cancel_is_not_sent(self, desk: Desk) -> None:
        """Past its deadline a cancel leaves its order as it is, and that is said."""
        submit = await desk.place()
        desk.cancel(submit, deadline_ns=desk.clock.now() - 1)
        await desk.until(
            lambda: desk.of(submit, CancelRejected), "of a cancel past its deadline it says nothing"
        )
        found = await desk.look(submit)
        assert found is not None and found.open, "a cancel past its deadline was sent"

    @case(Tier.CORE, after="a_market_order_fills")
    async def test_after_close_nothing_is_reported(self, desk: Desk) -> None:
        """What the venue says after close reaches nobody."""
        submit = await desk.place(side=Side.BUY)
        await desk.broker.close()
        count = len(desk.said)
        if hasattr(desk.broker, "market"):
            return  # the market of one that simulates stands still while it is closed
        await desk.market(desk.mid * 0.9)
        await desk.quiet()
        assert not [said for said in desk.said[count:] if isinstance(said, FillReport)], (
            "it reports after close"
        )
        await desk.broker.connect(desk.hear, desk.clock)
        assert sum(fill.quantity for fill in await desk.executed(submit)) == submit.quantity
