"""Cases about the account: fills, positions and money add up, and every question has one answer."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from fairlead import Instrument, OrderType, Side
from fairlead.ports import FillReport, Snapshot
from fairlead_conformance.broker.contract import decimals
from fairlead_conformance.broker.orders import filled, stock
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import Desk
from fairlead_conformance.suite import Conformance

BUY, SELL = Side.BUY, Side.SELL
CENT = Decimal("0.00000001")
"""What money may be off by, because a venue rounds."""


class Account(Conformance):
    """What an account says of itself."""

    @case(Tier.CORE, after="it_connects")
    async def test_a_snapshot_is_whole(self, desk: Desk) -> None:
        """Orders, positions and balances are there, exact; the account of a test has money."""
        taken = await desk.snapshot()
        assert taken.balances, "the account has no money, or its balances are left out"
        for part in (taken.balances, taken.positions, taken.entry_prices):
            assert decimals(*(part or {}).values()), f"a snapshot brings floats: {part}"

    @case(Tier.CORE, after="a_market_order_fills")
    async def test_positions_equal_the_fills(self, desk: Desk) -> None:
        """A position grows and shrinks by what filled; a flat one is left out or zero."""
        await stock(desk)
        name, sizes = desk.instrument.id, desk.quantity(2)
        before = _held(await desk.snapshot(), name)
        for side, sign in ((BUY, 1),) if desk.instrument.spot else ((BUY, 1), (SELL, -1)):
            await filled(desk, OrderType.MARKET, side, sizes)
            held = _held(await desk.snapshot(), name) - before
            assert held == sign * sizes, f"{sign * sizes} has filled, and the position has changed by {held}"
            for _ in range(2):
                await filled(desk, OrderType.MARKET, side.opposite)
            assert _held(await desk.snapshot(), name) == before, (
                "traded back, the position is not what it was"
            )

    @case(Tier.CORE, after="a_market_order_fills")
    async def test_balances_equal_the_fills(self, desk: Desk) -> None:
        """Bought and sold again, the money has changed by just what the fills say: profit less fees."""
        await stock(desk)
        before = (await desk.snapshot()).balances or {}
        trades = [await filled(desk, OrderType.MARKET, BUY)]
        await desk.market(desk.mid * 1.01)
        trades.append(await filled(desk, OrderType.MARKET, SELL))
        fills = [fill for submit in trades for fill in desk.fills(submit)]
        after = (await desk.snapshot()).balances or {}
        for currency, change in money_of(desk.instrument, fills).items():
            moved = after.get(currency, Decimal(0)) - before.get(currency, Decimal(0))
            assert abs(moved - change) <= CENT, (
                f"{currency} has changed by {moved}, and the fills say {change}"
            )

    @case(Tier.CORE, after="a_market_order_fills")
    async def test_lists_agree(self, desk: Desk) -> None:
        """Snapshot and look-up say the same of an order; what has ended is in no snapshot."""
        resting, done = await desk.place(), await filled(desk, OrderType.MARKET)
        orders = {order.client_order_id: order for order in (await desk.snapshot()).orders or ()}
        assert done.client_order_id not in orders, "an order that has filled is open in the snapshot"
        listed, found = orders.get(resting.client_order_id), await desk.look(resting)
        assert listed is not None and found is not None, (
            "an order that rests is in one list and not in the other"
        )
        same = ("broker_order_id", "instrument", "open", "quantity", "filled_quantity")
        differ = [name for name in same if getattr(listed, name) != getattr(found, name)]
        assert not differ, f"snapshot and look-up differ in {', '.join(differ)}"

    @case(Tier.CORE, after="it_connects")
    async def test_an_order_that_never_was_is_none(self, desk: Desk) -> None:
        """A look-up gives None for an id that nobody sent, and leaves none out."""
        names = [desk.order().client_order_id for _ in range(2)]
        answer = await desk.broker.lookup(names)
        assert set(answer) == set(names), "a look-up leaves an order out though the venue was asked"
        assert list(answer.values()) == [None, None], "an order that nobody sent is there"

    @case(Tier.CORE, after="a_fill_is_never_left_out")
    async def test_totals_grow_with_each_fill(self, desk: Desk) -> None:
        """`cumulative_quantity`, where a fill has it, is what the order had filled by then; look-ups say the same."""
        submit = await desk.place(quantity=desk.quantity(3))
        total = Decimal(0)
        for _ in range(2):
            await desk.fill(submit, desk.quantity())
            total += desk.quantity()
            await desk.until_filled(submit, total)
            found = await desk.look(submit)
            assert found is not None and found.open, "an order with a part left is not open"
            assert found.filled_quantity == total, (
                f"{total} has filled, and the look-up says {found.filled_quantity}"
            )
        running = Decimal(0)
        for fill in desk.fills(submit):
            running += fill.quantity
            assert fill.cumulative_quantity in (None, running), (
                f"{running} had filled by then, and cumulative_quantity is {fill.cumulative_quantity}"
            )

    @case(Tier.CORE, of="own_fills", after="a_market_order_fills")
    async def test_fills_are_listed_as_they_were_reported(self, desk: Desk) -> None:
        """The same ids, quantities, prices and fees, each once, oldest first, from the moment asked for."""
        await stock(desk)
        first = await filled(desk, OrderType.MARKET, BUY)
        await desk.quiet()
        second = await filled(desk, OrderType.MARKET, SELL)
        listed = await desk.broker.fills(desk.began_ns)
        ids = [fill.fill_id for fill in listed]
        assert len(set(ids)) == len(ids), "an execution is listed twice"
        times = [fill.event_ns for fill in listed]
        assert times == sorted(times), "executions are not listed oldest first"
        pushed = {fill.fill_id: fill for submit in (first, second) for fill in desk.fills(submit)}
        by_id = {fill.fill_id: fill for fill in listed}
        for name, fill in pushed.items():
            assert name in by_id, f"execution {name} was reported and is not listed under this id"
            differ = [field for field in _TERMS if getattr(fill, field) != getattr(by_id[name], field)]
            assert not differ, f"execution {name} is listed with another {', '.join(differ)}"
        again = [fill.fill_id for fill in await desk.broker.fills(desk.began_ns)]
        assert again == ids, "asked again, executions have other ids"
        late = max(times)
        since = await desk.broker.fills(late)
        assert [fill.fill_id for fill in since] == [f.fill_id for f in listed if f.event_ns >= late], (
            "`fills` does not begin at the moment asked for, that moment included"
        )

    @case(Tier.CORE, after="it_connects")
    async def test_modes_are_as_the_profile_wants(self, desk: Desk) -> None:
        """Each setting that the profile wants is in the snapshot, as it wants it."""
        wanted = desk.profile.modes
        modes = (await desk.snapshot()).modes or {}
        for name, value in wanted.items():
            found = [modes[key] for key in modes if key == name or key.startswith(f"{name} ")]
            assert found, f"the profile wants {name} {value}, and no snapshot tells of it"
            assert set(found) == {value}, (
                f"the profile wants {name} {value}, and the account has {', '.join(found)}"
            )
        type(self).book.declared -= {f"mode:{name}" for name in wanted}


_TERMS = ("client_order_id", "instrument", "side", "quantity", "price", "fee", "fee_currency")


def _held(taken: Snapshot, instrument: str) -> Decimal:
    return (taken.positions or {}).get(instrument, Decimal(0))


def money_of(instrument: Instrument, fills: list[FillReport]) -> dict[str, Decimal]:
    """By how much each balance changes with fills that begin and end flat."""
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    held = entry = Decimal(0)
    for fill in fills:
        signed = fill.quantity if fill.side is BUY else -fill.quantity
        changes[fill.fee_currency] -= fill.fee
        if instrument.spot:
            changes[instrument.base] += signed * instrument.contract_size
            changes[instrument.quote] -= instrument.notional(signed, fill.price)
        elif held * signed >= 0:
            entry = instrument.average(held, entry, signed, fill.price)
        else:
            changes[instrument.settle] += instrument.profit(-signed, entry, fill.price)
        held += signed
    return dict(changes)
