"""A step of the wall clock is recorded by a running engine, and does not move its time."""

import asyncio

from fairlead import LiveTradingEngine
from fairlead._engine import clockwatch
from fairlead._kernel.clock import SystemTime
from fairlead.facts import ClockStepped
from fairlead.testing import FakeBroker, FakeStream, Puppet, make_instrument


def test_a_step_of_the_wall_clock_is_a_fact(tmp_path, monkeypatch):
    """The engine records by how much the wall clock stepped, and its own time goes on from where it was."""
    monkeypatch.setattr(clockwatch, "LOOK_SECONDS", 0.01)
    wall = [1_700_000_000_000_000_000]
    ticks = [0]
    time = SystemTime(wall=lambda: wall[0] + ticks[0], monotonic=lambda: ticks[0])
    instrument = make_instrument("BTC/USDT")
    engine = LiveTradingEngine(
        Puppet("BTC/USDT"),
        plugins=[FakeBroker(instrument), FakeStream(instrument)],
        run=tmp_path,
        breakers="none",
    )

    async def run():
        session = engine.session()
        session._time = session._agenda.time = time
        running = asyncio.create_task(session.run(None))
        await asyncio.to_thread(session.started.wait, 10)
        before = time.now()
        wall[0] += 5_000_000_000
        async for fact in engine.events():
            if isinstance(fact, ClockStepped):
                break
        session.stop("seen")
        await running
        return fact.step_ns, time.now() - before

    step, moved = asyncio.run(asyncio.wait_for(run(), 20))
    assert step == 5_000_000_000
    assert moved == 0
