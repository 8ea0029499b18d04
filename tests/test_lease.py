"""A lease that has a deadline: renewed in time, and once it is not, no order leaves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fairlead import ConfigurationError, LeaseLost, LiveTradingEngine, Quote, Strategy
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead.ports import Lease
from fairlead.testing import FakeBroker, FakeLease, FakeStream, VirtualClock, run_virtual
from fairlead.testing.time import START_NS

LATER = START_NS + 3_600_000_000_000


class Buyer(Strategy):
    """Buys every second."""

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", quotes=True)
        self.every("1s", self.buy_one)

    def buy_one(self) -> None:
        self.buy(1, limit_price=50)


class Setting:
    """An engine with a lease, at a venue whose orders rest."""

    def __init__(self, path: Path, start_ns: int = START_NS, **settings: Any) -> None:
        self.clock = VirtualClock(start_ns)
        self.lease = FakeLease(self.clock, **settings)
        self.broker = FakeBroker()
        self.stream = FakeStream(*self.broker.listed)
        plugins = [self.broker, self.stream, self.clock, self.lease]
        self.engine = LiveTradingEngine(Buyer(), plugins, run=path / "run", breakers="none")

    def run(self, until: str, *, then: Any = None, at: str = "3s") -> None:
        """Run it; at some time, something happens."""
        subscribe = self.stream.subscribe

        async def subscribed(wanted: Any) -> Any:
            now = self.clock.now()
            found = await subscribe(wanted)
            self.stream.emit(Quote(self.broker.listed[0].id, 100.0, 101.0, 1.0, 1.0, now, now))
            if then is not None:
                self.clock.call_at(now + int(at.rstrip("s")) * 1_000_000_000, then)
            return found

        self.stream.subscribe = subscribed  # type: ignore[method-assign]
        run_virtual(self.engine.run(until))

    def facts(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in read_facts(self.engine.folder.journal) if isinstance(fact, kind)]


def test_a_lease_is_renewed_for_as_long_as_the_engine_runs(tmp_path: Path) -> None:
    """It is in the wiring table, gives the epoch where it is the higher one, and is given back at the end."""
    setting = Setting(tmp_path, epoch=7)
    assert isinstance(setting.lease, Lease)
    assert "lease" in setting.engine.describe()
    setting.run("31s")
    assert setting.lease.renewals >= 10
    assert len(setting.broker.submits) == 31
    assert setting.facts(f.EngineStarted)[0].epoch == 7
    assert not setting.lease.held
    setting = Setting(tmp_path, LATER, epoch=2)
    setting.run("1s")
    assert setting.facts(f.EngineStarted)[1].epoch == 8, "it never goes back"


def test_a_lease_that_another_takes_ends_the_engine(tmp_path: Path) -> None:
    """It says so, and what it ended for is its last fact."""
    setting = Setting(tmp_path)

    def take() -> None:
        setting.lease.lost = "another engine has it"

    with pytest.raises(LeaseLost, match="the lease is lost: another engine has it; nothing is sent any more"):
        setting.run("1h", then=take)
    stopped = setting.facts(f.EngineStopped)[0]
    assert stopped.failed
    assert "another engine has it" in stopped.reason
    assert len(setting.broker.submits) < 6


def test_a_lease_out_of_reach_holds_until_its_deadline(tmp_path: Path) -> None:
    """Orders go on until then; a short failure does no harm; at the deadline it is over."""
    setting = Setting(tmp_path)

    def part() -> None:
        setting.lease.reachable = False
        setting.clock.call_at(setting.clock.now() + 3_000_000_000, join)

    def join() -> None:
        setting.lease.reachable = True

    setting.run("20s", then=part)
    assert len(setting.broker.submits) == 20

    setting = Setting(tmp_path, LATER)

    def leave() -> None:
        setting.lease.reachable = False

    with pytest.raises(LeaseLost, match="could not be renewed before its deadline"):
        setting.run("1h", then=leave)
    assert 3 <= len(setting.broker.submits) <= 10


def test_a_renewal_that_never_answers_ends_the_engine_at_the_deadline(tmp_path: Path) -> None:
    """A database that takes the question and says nothing is as good as none."""
    setting = Setting(tmp_path)

    async def hang() -> int | None:
        await asyncio.Event().wait()
        return None

    def leave() -> None:
        setting.lease.renew = hang  # type: ignore[method-assign]

    with pytest.raises(LeaseLost, match="could not be renewed before its deadline"):
        setting.run("1h", then=leave)
    assert 3 <= len(setting.broker.submits) <= 10


def test_a_deadline_that_has_passed_when_it_is_given_ends_the_engine(tmp_path: Path) -> None:
    """Clocks that disagree by more than a lease lasts cannot keep one."""
    setting = Setting(tmp_path)

    def age() -> None:
        setting.lease._lasts_ns = 0

    with pytest.raises(LeaseLost, match="has passed already by this engine's clock"):
        setting.run("1h", then=age)


def test_no_order_leaves_after_the_deadline_whatever_the_engine_has_noticed(tmp_path: Path) -> None:
    """The clock itself is asked before each command; the order is told as not sent, and the cancel not at all."""
    setting = Setting(tmp_path)
    sent: list[int] = []

    def stall() -> None:
        session = setting.engine._session
        assert session is not None
        sent.append(len(setting.broker.commands))
        session._lease.deadline_ns = setting.clock.now()  # type: ignore[union-attr]
        setting.lease.reachable = False
        kernel = session.kernel
        assert kernel is not None
        kernel.turn(kernel.runners["Buyer"].strategy.buy_one)  # type: ignore[attr-defined]
        kernel.command("cancel_all", "jo", "to be sure")

    with pytest.raises(LeaseLost):
        setting.run("1h", then=stall)
    assert len(setting.broker.commands) == sent[0]
    refused = setting.facts(f.OrderRejected)
    assert refused
    assert "the lease of the account has ended" in refused[0].reason


def test_a_lease_that_is_refused_lets_nothing_start(tmp_path: Path) -> None:
    """No broker is connected."""
    setting = Setting(tmp_path)
    setting.lease.lost = "another engine has it"
    with pytest.raises(LeaseLost, match="another engine has it"):
        setting.run("1s")
    assert setting.facts(f.Fact) == []


def test_an_engine_has_one_lease() -> None:
    """Two are refused when it is made."""
    clock = VirtualClock(START_NS)
    broker = FakeBroker()
    plugins = [broker, FakeStream(*broker.listed), FakeLease(clock), FakeLease(clock)]
    with pytest.raises(ConfigurationError, match="two leases, FakeLease and FakeLease: an engine has one"):
        LiveTradingEngine(Buyer(), plugins, breakers="none")
