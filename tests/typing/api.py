"""Example calls, as users write them. A test has mypy check this file with --strict, and another runs it.

A line with an ignore is a mistake that the type checker must see: an ignore that is not needed is an error too.
"""

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal

from fairlead import (
    Bar,
    Fill,
    LimitAt,
    LiveTradingEngine,
    Money,
    Order,
    OrderIntent,
    OrderStatus,
    Position,
    Profit,
    Quote,
    Result,
    RoundTrip,
    Secret,
    Strategy,
    TradingState,
    decimal,
    duration,
    percent,
)
from fairlead.facts import Fact, Filled, OrderDenied
from fairlead.hookspecs import hookimpl
from fairlead.ports import (
    EQUITY,
    BrokerAdapter,
    CircuitBreaker,
    DataStream,
    Place,
    Step,
    Style,
    Trip,
    View,
    Work,
)
from fairlead.testing import Bench, FakeBroker, FakeStream, VirtualClock, run_virtual


class Cross(Strategy):
    """Handlers may be plain or coroutines."""

    def __init__(self, symbol: str, fast: int = 10) -> None:
        super().__init__(name="cross", allocation="10_000 USDT")
        self.symbol = symbol
        self.fast = fast
        self.last: Order | None = None

    def on_start(self) -> None:
        self.watch(self.symbol, bars=["1m", "1h"], quotes=True, warmup=5)
        self.every("1h", self.hourly)

    def hourly(self) -> None:
        held: Decimal = self.position()
        cash: float | None = self.cash
        self.note(f"{held} {cash}")

    def on_quote(self, quote: Quote) -> None:
        if self.last is None:
            self.last = self.buy(1, limit_price=quote.bid, stop_loss="90", take_profit=Decimal(200))
            status: OrderStatus = self.last.status
            assert status is not OrderStatus.DENIED

    async def on_bar(self, bar: Bar) -> None:
        order = self.sell(percent="50%", style=LimitAt("1bp"), time_in_force="IOC", reduce_only=True)
        closed = await self.wait(order, within="5s")
        if not closed.closed:
            self.cancel(closed)
        answer = await self.ask(len, [1, 2])
        await self.sleep("100ms")
        self.rebalance({self.symbol: "50%"}, band="1%")
        take, stop = self.oco("sell", 1, limit_price=110, stop_price=90)
        self.note(f"{answer} {take.status} {stop.status}")

    def on_fill(self, fill: Fill) -> None:
        fee: Decimal = fill.fee
        self.note(str(fee))


class MostOrders:
    """A breaker is any object with the right members: nothing is inherited."""

    wants = (EQUITY, Filled)

    def __init__(self, most: int, name: str = "most_orders") -> None:
        self.name = name
        self.most = most

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        if len(view.orders(intent.account)) >= self.most:
            return Trip(f"{self.most} orders are open")
        return None

    def watch(self, item: object, view: View) -> Trip | None:
        equity = view.equity("fake")
        return Trip("nothing left", TradingState.HALTED) if equity is not None and equity <= 0 else None


class NoWatch:
    """Not a breaker: it lacks `watch`."""

    name = "no_watch"
    wants = ()

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        return None


class Halves:
    """A style of one's own."""

    def plan(self, work: Work) -> Iterator[Step]:
        yield Place(work.waiting / 2)


class Prints:
    """An observer."""

    @hookimpl
    def fairlead_fact(self, fact: Fact) -> None:
        if isinstance(fact, OrderDenied):
            reasons: tuple[str, ...] = fact.reasons
            print(reasons)


breaker: CircuitBreaker = MostOrders(10)
broken: CircuitBreaker = NoWatch()  # type: ignore[assignment]
broker: BrokerAdapter = FakeBroker()
stream: DataStream = FakeStream()
style: Style = Halves()


def main() -> None:
    """Make it, run it, look at it."""
    engine = LiveTradingEngine(
        Cross("BTC/USDT:USDT"), plugins=[broker, stream, breaker, Prints(), VirtualClock()], run="runs/typed"
    )
    table: str = engine.describe()
    assert "MostOrders" in table
    reason: str = run_virtual(engine.run(until="1s"))
    assert reason == "the time was up"
    held: list[Position] = engine.positions()
    orders: Sequence[Order] = engine.orders()
    assert not held
    assert not orders


def looks(engine: LiveTradingEngine) -> tuple[Profit, Result]:
    """What can be asked of a running engine, and of a backtest."""
    result = engine.backtest("data.csv", start="2024-01-01T00:00:00+00:00", end=None)
    trips: list[RoundTrip] = result.round_trips()
    print(trips, result.accounts[0].realised)
    return engine.pnl(strategy="cross"), result


def composed() -> LiveTradingEngine:
    """From a file, with a profile and settings."""
    return LiveTradingEngine.from_file("fairlead.toml", "paper", ["breaker.limits.max_leverage=2"])


async def follows(engine: LiveTradingEngine) -> None:
    """Facts as they come."""
    async for fact in engine.events(since=10):
        print(fact.seq, fact.now)
    task: asyncio.Task[str] = asyncio.create_task(engine.run(until="1h"))
    engine.halt(why="lunch", who="me")
    await task


def steers(engine: LiveTradingEngine) -> None:
    """Threads, too."""
    with engine.background() as handle:
        running: bool = handle.running
        print(running, engine.health())
        engine.pause("a look", scope="strategy:cross")
        engine.resume("looked", who="me", scope="strategy:cross")
        verdict = engine.check(instrument="BTC/USDT", side="buy", value="1_000 USDT")
        placed = engine.submit(instrument="BTC/USDT", side="buy", quantity=Decimal("0.1"), limit_price=100)
        engine.submit(instrument="BTC/USDT", side="buy", leverage=5)  # type: ignore[call-arg]
        engine.replace(placed["order"], limit_price="101")
        engine.cancel(placed["order"])
        print(verdict["reasons"], engine.flatten("enough")["orders"])
        engine.cancel_all("all of it", scope="account:paper")
        engine.kill("a fire", flatten=True)
        engine.reset("kill", "it is out", scope="engine")
        engine.stop("going home", when="flat", within="1h")
        reason: str = handle.stop(when="flat", within="10m")
        print(reason)


ns: int = duration("5s")
ratio: Decimal = percent("10%")
exact: Decimal = decimal("1_000.50")
money: Money = Money.parse("2_000 USDT")
key: Secret = Secret("EXAMPLE_KEY")
key_of_a_vault: str = Secret.of("from a vault").reveal()
plain_key: str = key  # type: ignore[assignment]
mistyped: int = percent("10%")  # type: ignore[assignment]

bench = Bench(Cross("BTC/USDT:USDT"))
bench.quote(99.9, 100.1)
bench.advance("1s")
bench.check()

if __name__ == "__main__":
    main()
