"""The tools for tests do what they say."""

import asyncio
from decimal import Decimal

import pytest

from fairlead import OrderStatus
from fairlead.facts import Filled, OrderSubmitted
from fairlead.ports import BrokerAdapter, Clock, DataStream
from fairlead.testing import (
    Bench,
    FakeBroker,
    FakeStream,
    ManualClock,
    VirtualClock,
    accept,
    duplicated,
    fill,
    lose,
    reject,
    reordered,
    run_virtual,
)


def test_the_fakes_fill_the_ports():
    """What stands in for a plugin is one."""
    assert isinstance(ManualClock(), Clock)
    assert isinstance(VirtualClock(), Clock)
    assert isinstance(FakeBroker(), BrokerAdapter)
    assert isinstance(FakeStream(), DataStream)


def test_a_manual_clock_runs_what_comes_due_at_its_own_time():
    """Moving the clock runs each callback when its moment has come, ties in the order asked for."""
    clock, seen = ManualClock(0), []
    for name, due in (("late", 5), ("early", 1), ("tie", 5), ("never", 9)):
        clock.call_at(due, lambda name=name: seen.append((name, clock.now())))
    clock.advance_to(5)
    assert seen == [("early", 1), ("late", 5), ("tie", 5)]
    assert clock.now() == 5


def test_a_virtual_loop_leaps_and_keeps_the_order_of_ties():
    """An hour of sleeping takes no time, and equal timers run in the order they were set."""
    seen = []

    async def wait(name: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append(name)

    async def main() -> float:
        await asyncio.gather(*(wait(n, 3600) for n in range(20)), wait(-1, 10))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3600
    assert seen == [-1, *range(20)]


def test_a_virtual_loop_says_when_nothing_can_happen_any_more():
    """A deadlock is an error, not a hang."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run_virtual(main())


@pytest.mark.parametrize(
    ("script", "status", "filled"),
    [
        (accept(), OrderStatus.ACCEPTED, 0),
        (fill(), OrderStatus.FILLED, 1),
        (fill(quantity="0.4"), OrderStatus.PARTIALLY_FILLED, Decimal("0.4")),
        (reject("X", "no"), OrderStatus.REJECTED, 0),
        (lose(), OrderStatus.UNKNOWN, 0),
        (duplicated(fill()), OrderStatus.FILLED, 1),
        (reordered(fill(quantity="0.4")), OrderStatus.PARTIALLY_FILLED, Decimal("0.4")),
    ],
)
def test_a_scripted_broker_answers_as_told(script, status, filled):
    """Each script leads to its status, and a report given twice or in another order counts once."""
    bench = Bench()
    bench.price(100)
    bench.broker.answers.append(script)
    order = bench.do(lambda s: s.buy(1))
    assert (order.status, order.filled_quantity) == (status, filled)
    assert len(bench.of(OrderSubmitted)) == len(bench.broker.submits) == 1
    assert len(bench.of(Filled)) == (1 if filled else 0)
    bench.check()
