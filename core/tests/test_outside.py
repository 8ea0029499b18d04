"""Kills from outside: an engine that cannot write them down, and adapters that fail in any way."""

import asyncio
import time

import attrs
import pytest

from fairlead._engine.outside import Outside, learn_kills
from fairlead._engine.standalone import Order, kill
from fairlead._storage.home import AccountHome
from fairlead._storage.outside import OutsideKill, read_kill, write_kill
from fairlead._storage.run import RunFolder
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker

REMOTE = attrs.evolve(MARKET_AND_LIMIT, exact=False)
DONE = OutsideKill(at_ns=1, who="ann", why="it hung", pid=2**22 + 1, done=True)


class Door:
    """As much of a door as a kill needs."""

    closed = False

    def note(self, act, *arguments):
        act(*arguments)


@pytest.mark.parametrize("broken", ["", "the disk is full"])
def test_word_of_a_kill_stays_until_the_journal_has_it(tmp_path, broken):
    """What the journal does not take the next start takes up: the latch must not be lost between the two."""
    home = AccountHome(tmp_path, "fake.paper.fake", run=tmp_path)
    write_kill(home.folder, DONE)
    bench = Bench()
    loop = asyncio.new_event_loop()
    try:
        with Outside(bench.kernel, {"fake": home}, loop) as outside:
            bench.journal.broken = broken
            outside.started(Door())
            outside._look()
    finally:
        loop.close()
    bench.journal.broken = ""
    latched = ("kill", "account:fake") in bench.journal.fold().tripped
    assert latched is not bool(broken)
    assert (read_kill(home.folder) is None) is latched
    assert bool(learn_kills({"fake": home})) is not latched


class Failing(FakeBroker):
    """A venue whose adapter fails as no adapter should: once, or whenever it is asked."""

    def __init__(self, name, times):
        super().__init__(profile=REMOTE, name=name)
        self.times = times

    async def snapshot(self):
        if self.times:
            self.times -= 1
            raise KeyError("data")
        return await super().snapshot()

    async def instruments(self):
        if self.times > 1:
            raise KeyError("result")
        return self.listed


@pytest.mark.parametrize("times", [1, 10**6])
def test_an_adapter_that_fails_in_any_way_holds_up_no_other_account(tmp_path, times):
    """Each account is killed to its end: one that fails is asked again, or named."""
    brokers = {"good": FakeBroker(profile=REMOTE, name="good"), "bad": Failing("bad", times)}
    order = Order(who="ann", why="now", within_seconds=20.0)
    began = time.monotonic()
    good, bad = asyncio.run(kill(brokers, RunFolder(tmp_path / "run"), order, lambda text: None))
    assert time.monotonic() - began < 10
    assert good.left == []
    assert bad.left == ([] if times == 1 else ["KeyError: 'result'"])
