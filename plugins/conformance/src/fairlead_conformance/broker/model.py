"""Cases with random days: orders, cancels, a moving market and faults, judged by what must always hold."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fairlead import OrderType, Side
from fairlead.ports import DUPLICATE_ID, Canceled, FillReport, NotSent, Rejected, StreamDown, StreamUp, Submit
from fairlead_conformance.broker.faults import signed
from fairlead_conformance.cases import Tier, case
from fairlead_conformance.desk import Desk
from fairlead_conformance.suite import Conformance
from fairlead_conformance.venue import Fault

MISHAPS = (Fault.LOSE, Fault.LOSE_ANSWER, Fault.DUPLICATE, Fault.REORDER, Fault.CUT)
STEPS = 60
ROUNDS = 5
GROWTH = 2_000
"""How many objects more there may be after a long day."""


class Model(Conformance):
    """Many things at a time."""

    @case(Tier.MODEL, after=("a_cancel_ends_an_order", "positions_equal_the_fills"))
    async def test_random_days_add_up(self, desk: Desk) -> None:
        """After any day each order has an end or is open there, and fills, positions and orders agree."""
        for seed in range(3):
            await wander(desk, random.Random(seed), STEPS)
            await settle(desk)

    @case(Tier.SOAK, after="random_days_add_up")
    async def test_a_long_day_leaves_no_more_than_a_short_one(self, desk: Desk) -> None:
        """However many orders have come and gone, the adapter keeps no more than a few of them."""
        counts = []
        for seed in range(ROUNDS):
            await wander(desk, random.Random(seed), STEPS * 2)
            await settle(desk)
            desk.said.clear()
            desk.when.clear()
            gc.collect()
            counts.append(len(gc.get_objects()))
        grown = counts[-1] - counts[1]
        assert grown < GROWTH, f"{grown} objects more after {ROUNDS - 2} days like the ones before"


async def wander(desk: Desk, dice: random.Random, steps: int) -> None:
    """A day: each step is a likely thing, and sometimes a mishap that the venue can do."""
    mishaps = [fault for fault in MISHAPS if fault in desk.venue.faults]
    orders: list[Submit] = []
    attempts = itertools.count(1)

    async def market() -> None:
        await desk.market(desk.mid * dice.uniform(0.93, 1.07))

    async def limit() -> None:
        side = dice.choice(list(Side))
        orders.append(desk.send(desk.order(OrderType.LIMIT, side, away=dice.uniform(0.001, 0.05))))

    async def take() -> None:
        orders.append(desk.send(desk.order(OrderType.MARKET, dice.choice(list(Side)))))

    async def cancel() -> None:
        if orders:
            desk.cancel(dice.choice(orders))

    async def replace() -> None:
        chosen = dice.choice(orders) if orders else None
        if chosen is not None and chosen.intent.type is OrderType.LIMIT:
            price = desk.price(float(chosen.intent.limit_price or 0) * dice.uniform(0.98, 1.02))
            total = desk.quantity(dice.choice((1, 2)))
            desk.replace(chosen, total, attempt=next(attempts), limit_price=price)

    async def mishap() -> None:
        if mishaps:
            await desk.fault(dice.choice(mishaps))

    doing: list[Callable[[], Coroutine[Any, Any, None]]] = [
        market,
        market,
        limit,
        limit,
        take,
        cancel,
        cancel,
    ]
    if OrderType.LIMIT in desk.profile.replaces:
        doing.append(replace)
    for _ in range(steps):
        await (mishap if dice.random() < 0.08 else dice.choice(doing))()
        await asyncio.sleep(dice.choice((0, 0.002)))
        if down(desk):
            await desk.reconnect()
    await desk.market()


async def settle(desk: Desk) -> None:
    """Let everything come to its end, and judge the day."""
    wait = (desk.profile.validity_ns or desk.profile.answer_ns) + desk.profile.query_lag_ns
    await asyncio.sleep(wait / 1e9 if desk.venue.faults else 0.02)
    await desk.quiet()
    if down(desk):
        await desk.reconnect()
    desk.cancel_all()
    await desk.quiet()
    taken = await desk.snapshot()
    for fill in await desk.broker.fills(desk.began_ns):
        desk.hear(fill)
    fills = list({said.fill_id: said for said in desk.said if isinstance(said, FillReport)}.values())
    mine = [fill for fill in fills if fill.instrument == desk.instrument.id]
    held = (taken.positions or {}).get(desk.instrument.id, Decimal(0))
    assert held == signed(mine), f"{held} is held, and the fills add up to {signed(mine)}"
    assert not taken.orders, f"after CancelAll {len(taken.orders or ())} orders are open"
    by_order: dict[str, Decimal] = {}
    for fill in mine:
        by_order[fill.client_order_id] = by_order.get(fill.client_order_id, Decimal(0)) + fill.quantity
    known = await desk.broker.lookup(list(by_order))
    for name, quantity in by_order.items():
        found = known.get(name)
        assert found is None or found.filled_quantity == quantity, (
            f"{name}: {quantity} by fills, {found} by look-up"
        )
    for refused in desk.heard(NotSent) + desk.heard(Rejected):
        filled = refused.client_order_id in by_order and getattr(refused, "code", "") != DUPLICATE_ID
        assert not filled, f"{refused.client_order_id} was refused for certain, and has filled"
    for canceled in desk.heard(Canceled):
        total = by_order.get(canceled.client_order_id, Decimal(0))
        assert canceled.filled_quantity in (None, total), (
            f"Canceled says {canceled.filled_quantity}, the fills {total}"
        )


def down(desk: Desk) -> bool:
    """Whether the stream is down and nobody has connected it again."""
    states = [said for said in desk.said if isinstance(said, StreamDown | StreamUp)]
    return bool(states) and isinstance(states[-1], StreamDown)
