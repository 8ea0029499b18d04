"""How a live session begins: the first books of an account, a journal that was lost, a doubt about an order."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead import LiveTradingEngine, Side, Strategy
from fairlead import facts as f
from fairlead._storage.journal import read_facts
from fairlead.ports import AccountChanged, Clock, FillReport, Report, Snapshot
from fairlead.testing import FakeBroker, FakeStream, ManualClock

D = Decimal


class Watcher(Strategy):
    """Watches, and that is all."""

    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", quotes=True)


class Hasty(FakeBroker):
    """A venue where somebody trades by hand and moves money just while its books are opened."""

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Report what has happened already: it is in the totals, and told all the same."""
        await super().connect(emit, clock)
        self._clock = clock
        self.moves = 1
        self.trade("before")
        self.deposit(10)

    def trade(self, fill_id: str) -> None:
        """A fill by hand for a fee of 1."""
        report = FillReport(
            client_order_id="",
            fill_id=fill_id,
            instrument=self.listed[0].id,
            side=Side.BUY,
            quantity=D(1),
            price=D(100),
            fee=D(1),
            fee_currency="USDT",
            event_ns=self._clock.now() if self._clock is not None else 0,
        )
        self.executions.append(report)
        self.balances["USDT"] -= 1
        self.emit(report)

    def deposit(self, amount: int) -> None:
        """Money from outside."""
        self.balances["USDT"] += amount
        self.emit(AccountChanged(cause="deposit", currency="USDT", amount=D(amount)))

    async def snapshot(self) -> Snapshot:
        """The totals; while the first are on their way, money comes."""
        found = await super().snapshot()
        if self.moves:
            self.moves -= 1
            self.deposit(20)
        return found


def make(path: Path, broker: FakeBroker) -> LiveTradingEngine:
    stream = FakeStream(*broker.listed)
    return LiveTradingEngine(
        Watcher(), plugins=[broker, stream, ManualClock()], run=path, breakers="none", live=True
    )


def facts_of(engine: LiveTradingEngine, kind: type[Any]) -> list[Any]:
    return [fact for fact in read_facts(engine.folder.journal) if isinstance(fact, kind)]


def test_what_the_first_books_contain_is_not_booked_again(tmp_path: Path) -> None:
    """Fills and deposits that were told before the totals came are in them; what comes afterwards is news."""
    broker = Hasty()
    engine = make(tmp_path / "run", broker)

    async def main() -> None:
        task = asyncio.create_task(engine.run())
        await asyncio.sleep(0.05)
        broker.deposit(5)
        broker.trade("after")
        broker.emit(broker.executions[0])
        kernel = engine._session.kernel  # type: ignore[union-attr]
        assert kernel.state.accounts["fake"].balances == broker.balances  # type: ignore[union-attr]
        engine.stop()
        await task

    asyncio.run(main())
    opened = facts_of(engine, f.AccountOpened)[0]
    assert (dict(opened.balances), opened.contained) == ({"USDT": 100_029}, ("before",))
    assert [fact.fill.fill_id for fact in facts_of(engine, f.Filled)] == ["after"]
    assert [fact.amount for fact in facts_of(engine, f.CashChanged)] == [5]
