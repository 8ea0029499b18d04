"""An engine that comes late to what is due says so in a fact."""

import asyncio

from fairlead._engine import lagwatch


def test_only_what_is_late_is_said(monkeypatch):
    """A loop held up by more than the limit is told by how much, one that is on time never."""
    monkeypatch.setattr(lagwatch, "LOOK_SECONDS", 0.01)
    late = []

    async def run():
        loop = asyncio.get_running_loop()
        now = [loop.time()]
        monkeypatch.setattr(loop, "time", lambda: now[0])
        with lagwatch.LagWatch(loop, late.append):
            now[0] += 0.01
            for _ in range(3):
                await asyncio.sleep(0)
            assert late == []
            now[0] += 0.51
            for _ in range(3):
                await asyncio.sleep(0)
        assert [round(one / 1e9, 3) for one in late] == [0.5]

    asyncio.run(run())
