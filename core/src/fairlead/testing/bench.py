"""A kernel on a bench: strategies, breakers and fake brokers, fed by hand, without a loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from fairlead._engine.assembly import build, introduce, open_accounts
from fairlead._engine.inquiries import Answer, failed, inquire
from fairlead._engine.intake import Intake
from fairlead._engine.parts import Parts, fresh
from fairlead._engine.recovery import OVERLAP_NS, first_books
from fairlead._kernel.runner import Runner
from fairlead._kernel.state import State, fingerprint
from fairlead._kernel.unfinished import carried_on
from fairlead._models.market import Bar, Book, MarketEvent, Quote, Trade
from fairlead._models.orders import Fill, Order
from fairlead._models.venue import Inquiry
from fairlead._strategy.strategy import Strategy
from fairlead.errors import FairleadError
from fairlead.facts import Fact
from fairlead.ports import CircuitBreaker, Reconciler, Subscription
from fairlead.testing.broker import FakeBroker
from fairlead.testing.facts import EventList, FactList
from fairlead.testing.market import FakeStream
from fairlead.testing.time import ManualClock
from fairlead.units import duration, duration_text

T = TypeVar("T")
F = TypeVar("F", bound=Fact)


class Puppet(Strategy):
    """A strategy that decides nothing: a test does it, with `bench.do`. `seen` is what it was told, in order."""

    def __init__(
        self,
        *symbols: str,
        bars: str | Sequence[str] = (),
        warmup: int = 0,
        name: str | None = None,
        allocation: str | None = None,
    ) -> None:
        super().__init__(name=name, allocation=allocation)
        self.symbols = symbols or ("BTC/USDT:USDT",)
        self.bars = bars
        self.warmup = warmup
        self.seen: list[Any] = []

    def on_start(self) -> None:
        """Watch its instruments: quotes and trades where it wants no bars."""
        for symbol in self.symbols:
            self.watch(symbol, bars=self.bars, warmup=self.warmup)

    def on_bar(self, bar: Bar) -> None:
        """Keep it."""
        self.seen.append(bar)

    def on_order(self, order: Order) -> None:
        """Keep its status as it was then."""
        self.seen.append((order.client_order_id, order.status))

    def on_fill(self, fill: Fill) -> None:
        """Keep it."""
        self.seen.append(fill)

    def on_timer(self, name: str) -> None:
        """Keep its name."""
        self.seen.append(name)


class Bench:
    """One kernel, wired as an engine wires it, that a test feeds synchronously.

    `clock` is its time, `journal` and `tape` what it wrote, `kernel` itself; `strategy` and `broker` are the first,
    `subscribed` the feeds asked for. Strategies have started when the constructor returns. A question that a
    strategy asks waits in `questions` until `answer` is called. `dead_man` are accounts that use their venue's
    dead-man switch, with its time in ns.
    """

    def __init__(
        self,
        *strategies: Strategy,
        broker: FakeBroker | Sequence[FakeBroker] | None = None,
        stream: FakeStream | None = None,
        breakers: Iterable[CircuitBreaker] = (),
        reconcilers: Iterable[Reconciler] = (),
        clock: ManualClock | None = None,
        journal: FactList | None = None,
        dead_man: Mapping[str, int] = {},
    ) -> None:
        self.strategies = list(strategies) or [Puppet()]
        brokers = [broker or FakeBroker()] if broker is None or isinstance(broker, FakeBroker) else broker
        self.brokers = list(brokers)
        self.stream = stream or FakeStream(*[i for b in self.brokers for i in b.listed])
        self.breakers = list(breakers)
        self.reconcilers = list(reconcilers)
        self.clock = clock or ManualClock()
        self.journal = journal or FactList()
        self.tape = EventList()
        self.dead_man = dead_man
        self.questions: list[tuple[Runner, int, Callable[..., Any], tuple[Any, ...]]] = []
        self.subscribed: list[Subscription] = []
        self._power_cut = False
        self._start()

    def _start(self) -> None:
        state = self.journal.fold() if self.journal.records else State()
        restored = state.seq > 0
        parts = Parts(
            self.strategies,
            {b.name: b for b in self.brokers},
            {"fake": self.stream},
            self.breakers,
            self.reconcilers,
            dead_man=self.dead_man,
        )
        self.kernel = kernel = build(
            parts, state=state, agenda=self.clock.agenda, journal=self.journal, tape=self.tape
        )
        kernel.unfinished.kept = True
        kernel.feeds.subscribe = lambda subscription, _: self.subscribed.append(subscription)
        self._intake = Intake(kernel, self.clock.agenda, self.brokers)
        kernel.recorder.now = max(kernel.recorder.now, self.clock.now())
        for broker in self.brokers:
            kernel.outbox.senders[broker.name] = broker.send
            finish(broker.connect(_reporter(kernel, broker.name), self.clock))
        finish(introduce(kernel, parts))
        since = max(0, self.clock.now() - OVERLAP_NS)
        new = [broker for broker in self.brokers if broker.name not in state.accounts]
        books = {broker.name: finish(first_books(broker, since)) for broker in new}
        snapshots = {name: snapshot for name, (snapshot, _) in books.items()}
        contained = {name: fills for name, (_, fills) in books.items()}

        def begin() -> None:
            open_accounts(
                kernel,
                parts,
                snapshots,
                namespace=1,
                epoch=state.epoch + 1,
                contained=contained,
                tail_lost=self._power_cut,
            )
            kernel.start_accounts()

        kernel.resolver.inquire = self._inquire
        kernel.turn(begin)
        self.clock.agenda.run(self.clock.now())
        for runner in kernel.runners.values():
            runner.ask_outside = lambda *question: self.questions.append(question)
        bars = carried_on(state.bars, self.tape.since(state.bars_seq), kernel.feeds.settle)
        if bars != state.bars:
            kernel.turn(lambda: kernel.unfinished.restore(bars))
        kernel.turn(lambda: kernel.start_strategies(restored=restored))

    def _inquire(self, account: str, inquiry: Inquiry) -> None:
        """Ask the venue at once; one that fails says only that it did."""
        broker = next(b for b in self.brokers if b.name == account)
        answer: Answer
        try:
            answer = finish(inquire(broker, inquiry, self.clock, self.kernel.reports.fills))
        except FairleadError as error:
            answer = failed(inquiry, self.clock.now(), str(error))
        self.kernel.report(account, answer)

    def restart(self, *, down: str = "1s", power_cut: bool = False) -> None:
        """Kill it and start again, `down` later, from the journal alone; the venue goes on meanwhile.

        With `power_cut` the machine was started anew: the journal's last records may be missing.
        """
        self._power_cut = power_cut
        self.clock = ManualClock(self.clock.now() + duration(down))
        self.strategies = [fresh(strategy) for strategy in self.strategies]
        self.questions, self.subscribed = [], []
        self._start()

    # --- looking --------------------------------------------------------------------------------------------

    @property
    def strategy(self) -> Any:
        """The first strategy."""
        return self.strategies[0]

    @property
    def broker(self) -> FakeBroker:
        """The first broker."""
        return self.brokers[0]

    @property
    def state(self) -> State:
        """The kernel's state."""
        return self.kernel.state

    @property
    def instrument(self) -> str:
        """The long form of the first instrument."""
        return self.broker.listed[0].id

    def of(self, kind: type[F]) -> list[F]:
        """The facts of one kind, as they are in the journal."""
        return self.journal.of(kind)

    def check(self) -> None:
        """Assert that folding the journal gives the live state, byte for byte, from a snapshot as well."""
        live, count = fingerprint(self.state), len(self.journal.facts)
        assert fingerprint(self.journal.fold()) == live, "fold and live state differ"
        for place in (count // 2, count - 1):
            assert fingerprint(self.journal.fold(place)) == live, (
                f"a snapshot after {place} facts changes the state"
            )

    # --- feeding --------------------------------------------------------------------------------------------

    def do(self, action: Callable[[Any], T], strategy: int = 0) -> T:
        """Let a strategy do something, as if one of its handlers did it; gives what `action` returns."""
        chosen = self.strategies[strategy]
        results: list[T] = []
        runner = self.kernel.runners[chosen.name]
        self.kernel.turn(lambda: runner.deliver(lambda: results.append(action(chosen)), None))
        if not results:
            raise AssertionError(f"strategy {chosen.name} was busy or raised: {self.state.halted}")
        return results[0]

    def take(self, event: MarketEvent) -> None:
        """Hand over any market event; the clock moves to its received time."""
        self._intake.take(event)

    def quote(self, bid: float, ask: float, *, instrument: str = "", size: float = 10.0) -> None:
        """A quote, now."""
        now = self.clock.now()
        self.take(Quote(instrument or self.instrument, float(bid), float(ask), size, size, now, now))

    def price(self, price: float, *, instrument: str = "") -> None:
        """A quote without a spread, now."""
        self.quote(price, price, instrument=instrument)

    def trade(self, price: float, size: float = 1.0, *, instrument: str = "", event_ns: int = 0) -> None:
        """A public trade, now."""
        now = self.clock.now()
        self.take(Trade(instrument or self.instrument, float(price), float(size), event_ns or now, now))

    def book(self, bid: float, ask: float, *, instrument: str = "") -> None:
        """A book of one level, now."""
        now = self.clock.now()
        self.take(Book(instrument or self.instrument, ((bid, 1.0),), ((ask, 1.0),), now, now))

    def bar(
        self,
        open: float,
        high: float,
        low: float,
        close: float,
        volume: float = 1.0,
        *,
        interval: str = "1m",
        instrument: str = "",
    ) -> None:
        """A stream's bar that opens now; the clock moves to its close."""
        start = self.clock.now()
        end = start + duration(interval)
        text = duration_text(duration(interval))
        name = instrument or self.instrument
        prices = (float(open), float(high), float(low), float(close))
        self.take(Bar(name, text, *prices, float(volume), start, end, end))

    def advance(self, by: str | int) -> None:
        """Let time pass, and what comes due happen."""
        self.clock.advance(by)

    def answer(self, value: object = None, error: str = "") -> None:
        """Answer the oldest question: with `value`, or with an error."""
        runner, number, _, _ = self.questions.pop(0)
        self.kernel.answer(runner.name, number, b"" if error else msgspec.msgpack.encode(value), error)


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("it waits for something, and on a bench nothing does")


def _reporter(kernel: Any, account: str) -> Callable[[Any], None]:
    return lambda report: kernel.report(account, report)
