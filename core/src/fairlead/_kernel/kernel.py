"""The kernel: takes one input at a time, and leaves facts in the journal and commands at the brokers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec

from fairlead import facts as f
from fairlead._kernel.board import Board
from fairlead._kernel.budget import Budgets
from fairlead._kernel.clock import Agenda, Entry
from fairlead._kernel.commands import Commands
from fairlead._kernel.context import Context
from fairlead._kernel.deadman import DeadMen
from fairlead._kernel.desk import Desk
from fairlead._kernel.ending import Ending
from fairlead._kernel.equity import EquityBooks
from fairlead._kernel.exits import Exits
from fairlead._kernel.feeds import Feeds
from fairlead._kernel.gate import Gate, Refused
from fairlead._kernel.held import Held
from fairlead._kernel.market import Lane, Market
from fairlead._kernel.outbox import Outbox
from fairlead._kernel.reconciliation import Reconciliation
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.reports import Reports
from fairlead._kernel.resolver import Resolver
from fairlead._kernel.runner import Runner
from fairlead._kernel.state import AccountState, State
from fairlead._kernel.styles import Styles
from fairlead._kernel.sweeps import Sweeps
from fairlead._kernel.timers import Timers
from fairlead._kernel.unfinished import Unfinished
from fairlead._kernel.valuation import Valuer
from fairlead._kernel.view import KernelView
from fairlead._models.instrument import Instrument, named
from fairlead._models.market import MarketEvent
from fairlead._models.orders import CLOSED, Order, OrderIntent, OrderStatus, Verdict
from fairlead._models.reports import DUPLICATE_ID, UNKNOWN_ORDER, Report
from fairlead._models.venue import VenueProfile
from fairlead._secrets.scrub import hidden, known, said, scrub
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError, JournalError
from fairlead.ports import CircuitBreaker, Reconciler

_SAID = ("tag", "cause")
"""Arguments of a command that are a person's own words; all others are names of what there is, or numbers."""


class FactLog(Protocol):
    """Where a turn's facts are written; the journal, or a list in a test."""

    def append(self, facts: list[f.Fact]) -> None:
        """Write one record. Raises JournalError."""
        ...


class EventLog(Protocol):
    """Where market events are written; the tape."""

    def append(self, seq: int, event: MarketEvent) -> None:
        """Write one record. Raises JournalError."""
        ...


class Kernel:
    """Synchronous and deterministic: the same inputs give the same facts, byte for byte.

    The shell calls `event`, `report`, `answer` and `command`; what arrives while a turn is going on waits in
    order of arrival. Everything that happens at a time of its own is on the `agenda`, which the shell runs up to
    each input's time before handing it over.

    When the journal refuses a record, `fatal` says why, nothing is sent or written any more, `unwritten` are the
    orders that the record was about, and `failed` is called.
    """

    # With more than thirty attributes the interpreter gives up its fastest way to them, but for slots.
    __slots__ = (
        "_busy",
        "_inbox",
        "_tape",
        "_write",
        "agenda",
        "allocations",
        "board",
        "books",
        "budgets",
        "catalogue",
        "commands",
        "dead_men",
        "desk",
        "ending",
        "exits",
        "failed",
        "fatal",
        "feeds",
        "gate",
        "held",
        "market",
        "observers",
        "outbox",
        "profiles",
        "reconciliation",
        "recorder",
        "reports",
        "resolver",
        "runners",
        "starting",
        "state",
        "styles",
        "sweeps",
        "timers",
        "unfinished",
        "unwritten",
        "valuer",
        "view",
    )

    def __init__(
        self,
        *,
        state: State,
        agenda: Agenda,
        journal: FactLog,
        tape: EventLog | None,
        profiles: dict[str, VenueProfile],
        breakers: Sequence[CircuitBreaker],
        reconcilers: Sequence[Reconciler] = (),
        zones: dict[str, str] | None = None,
        equivalents: frozenset[frozenset[str]] = frozenset(),
        dead_man: Mapping[str, int] = {},
    ) -> None:
        self.state = state
        self.agenda = agenda
        self.profiles = profiles
        self.recorder = Recorder(state)
        self.market = Market()
        self.valuer = Valuer(self.recorder, self.market, equivalents)
        self.view = KernelView(self.recorder, self.market, self.valuer)
        self.books = EquityBooks(self.recorder, self.valuer, self.schedule, zones or {})
        self.board = Board(self.recorder, self.view, self.valuer, self.books, self.schedule, breakers)
        self.valuer.watchers = self.board.equity_moved
        self.valuer.settle = self.books.settle
        self.budgets = Budgets(self.recorder, profiles)
        self.gate = Gate(state, self.market, self.valuer, profiles, self.budgets, self.board.reasons)
        self.outbox = Outbox(self.recorder, self.schedule, profiles, self.budgets)
        self.held = Held(self.recorder, self.market, self.schedule, profiles)
        self.desk = Desk(
            self.recorder,
            self.gate,
            self.outbox,
            profiles,
            held=self.held.arm,
            ends=self.held.expire_later,
            changed=self.changed,
        )
        self.held.desk = self.desk
        self.exits = Exits(self.recorder, self.market, self.desk, self.schedule)
        self.styles = Styles(self.recorder, self.desk, self.market, self.schedule)
        self.dead_men = DeadMen(self, dead_man)
        if dead_man:
            self.gate.lapse = self.dead_men.lapse
        self.reports = Reports(self)
        self.sweeps = Sweeps(self)
        self.board.act = self.sweeps.trip
        self.resolver = Resolver(self, profiles)
        self.reconciliation = Reconciliation(self, profiles, reconcilers)
        self.starting = True
        self.commands = Commands(self)
        self.timers = Timers(self.recorder, self.schedule)
        self.feeds = Feeds(self.market, self.schedule, self.board.attach)
        self.unfinished = Unfinished(self.recorder, self.market, self.schedule)
        self.feeds.made = self.unfinished.made
        self.catalogue: dict[str, Instrument] = {}
        self.runners: dict[str, Runner] = {}
        self.ending = Ending(self)
        self.allocations: dict[str, Callable[[AccountState], float | None]] = {}
        self.observers: list[Callable[[list[f.Fact]], None]] = []
        self.fatal: str = ""
        self.unwritten: set[str] = set()
        self.failed: Callable[[str], None] = _nobody
        self._write = journal.append
        self._tape = tape
        self._busy = False
        self._inbox: deque[tuple[Callable[..., None] | None, tuple[Any, ...]]] = deque()
        self.market.refused = self._refused
        self.market.warm = self.feeds.warm
        self.feeds.working = lambda instrument: any(
            order.instrument == instrument for order in state.open.values()
        )

    @property
    def turn_in_hand(self) -> int:
        """A number that the next event changes, 0 between turns: how another thread sees that a turn goes on."""
        return self.recorder.seq + 1 if self._busy else 0

    # --- inputs ---------------------------------------------------------------------------------------------

    def event(self, event: MarketEvent) -> None:
        """A market event, stamped with the time at which it was received."""
        if self._busy:
            self._inbox.append((None, (event,)))
            return
        self._busy = True
        recorder, tape, market = self.recorder, self._tape, self.market
        upcoming: MarketEvent | None = event
        try:
            while upcoming is not None:
                event = upcoming
                recorder.seq = recorder.cause = seq = recorder.seq + 1
                if event.received_ns > recorder.now:
                    recorder.now = event.received_ns
                if tape is not None:
                    try:
                        tape.append(seq, event)
                    except JournalError as error:
                        tape = None
                        self._drop_tape(error)
                market.event(event)
                if recorder.batch:
                    self._commit()
                upcoming = self._drain() if self._inbox else None
        finally:
            self._busy = False

    def _drain(self) -> MarketEvent | None:
        """Take the turns that wait, up to the next market event, which is the caller's."""
        while self._inbox:
            turn, arguments = self._inbox.popleft()
            if turn is None:
                event: MarketEvent = arguments[0]
                return event
            turn(*arguments)
        return None

    def report(self, account: str, report: Report) -> None:
        """A broker's report, with no secret in what its venue said."""
        if known:
            ours = getattr(report, "code", "") in (UNKNOWN_ORDER, DUPLICATE_ID)
            report = hidden(report, "reason") if ours else hidden(report, "reason", "code")
        self._enter(self._report_turn, account, report, self.agenda.stamp())

    def answer(self, strategy: str, number: int, value: bytes, error: str = "") -> None:
        """An answer to a strategy's `ask`, in msgpack."""
        self._enter(self._answer_turn, strategy, number, value, error, self.agenda.stamp())

    def command(
        self, verb: str, who: str, why: str, request: str = "", /, **arguments: str
    ) -> dict[str, Any]:
        """What a person asks for, carried out at once; returns the answer.

        From inside a turn it is carried out after that turn: `seq` of its answer is 0 then. Raises
        ConfigurationError for what cannot be asked for, and JournalError where it could not be written down.
        """
        if known:  # names of what there is are checked, all else that is said is kept
            who, why, request = scrub(who), scrub(why), scrub(request)
            arguments |= {name: scrub(arguments[name]) for name in _SAID if name in arguments}
        if verb == "check":
            return self.commands.rehearse(who, arguments)
        answer: dict[str, Any] | None = {}
        if self._busy:
            self.commands.prepare(verb, who, why, arguments)
            answer = None
        self._enter(self._command_turn, verb, who, why, request, arguments, answer, self.agenda.stamp())
        if self.fatal:
            raise JournalError(self.fatal)
        return {"seq": 0, "repeated": False} if answer is None else answer

    def turn(self, action: Callable[[], object]) -> None:
        """Do something in a turn of its own: what starts and ends a run."""
        self._enter(self._timer_turn, self.agenda.stamp(), action)

    def schedule(self, due_ns: int, callback: Callable[[], None], rank: int, interval: int) -> Entry:
        """Have a callback run in a turn of its own when its time has come; what is overdue is due now."""
        if due_ns < self.recorder.now:
            due_ns = self.recorder.now
        return self.agenda.call_at(
            due_ns, lambda: self._enter(self._timer_turn, due_ns, callback), rank, interval
        )

    def _enter(self, turn: Callable[..., None], *arguments: Any) -> None:
        if self._busy:
            self._inbox.append((turn, arguments))
            return
        self._busy = True
        try:
            turn(*arguments)
            event = self._drain() if self._inbox else None
        finally:
            self._busy = False
        if event is not None:
            self.event(event)

    # --- turns ----------------------------------------------------------------------------------------------

    def _report_turn(self, account: str, report: Report, received_ns: int) -> None:
        self.recorder.now = max(self.recorder.now, received_ns)
        self.recorder.input(f.ReportReceived, account=account, report=report)
        self.reports.handle(account, report)
        self._commit()

    def _answer_turn(self, strategy: str, number: int, value: bytes, error: str, received_ns: int) -> None:
        self.recorder.now = max(self.recorder.now, received_ns)
        came = self.recorder.input(f.Answered, strategy=strategy, ask=number, value=value, error=error)
        runner = self.runners.get(strategy)
        if runner is not None:  # as it is written down, so that a replay says the same
            runner.answered(number, msgspec.msgpack.decode(value) if value else None, came.error)
        self._commit()

    def _command_turn(
        self,
        verb: str,
        who: str,
        why: str,
        request: str,
        arguments: dict[str, str],
        answer: dict[str, Any] | None,
        received_ns: int,
    ) -> None:
        recorder = self.recorder
        recorder.now = max(recorder.now, received_ns)
        try:
            found = self.commands.act(verb, who, why, request, arguments)
            if answer is not None:
                answer.update(found)
        except ConfigurationError as error:
            if answer is not None:
                raise  # to whoever asked, and nothing was done
            recorder.input(f.Noted, source="command", text=f"{verb} by {who} came to nothing: {error}")
        if recorder.batch:
            self._commit()

    def _timer_turn(self, due_ns: int, callback: Callable[[], object]) -> None:
        recorder = self.recorder
        if due_ns > recorder.now:
            recorder.now = due_ns
        recorder.cause = recorder.seq
        callback()
        if recorder.batch:
            self._commit()

    def _commit(self) -> None:
        """End a turn: breakers see its facts, the journal gets its record, then commands leave."""
        if self.fatal:  # what depends on a record that was refused must not be written either
            self._drop()
            return
        recorder = self.recorder
        if self.ending.why:
            self.ending.look()
        batch = recorder.batch
        show = self.board.fact
        for fact in batch:  # what breakers record joins it, and is shown to them in its turn
            show(fact)
        if self.outbox.waiting and (self.state.lowered or self.state.tripped):
            shown = len(batch)
            for order in self.outbox.withdraw(self.gate.still):
                self.changed(order)
            for fact in islice(batch, shown, None):
                show(fact)
        recorder.batch = []
        write = self._write
        try:
            write(batch)
        except JournalError as error:
            self._stop_sending(str(error), batch)
            return
        if self.outbox.waiting:
            self.outbox.release()
        self.valuer.prepare()
        for observe in self.observers:
            observe(batch)
        if self.ending.why:
            self.ending.tell()

    def _stop_sending(self, reason: str, batch: list[f.Fact]) -> None:
        """Nothing that is not in the journal may be sent: drop what waits, and let nothing more through."""
        self.unwritten = {name for fact in batch if (name := getattr(fact, "client_order_id", ""))}
        self.fatal = f"the journal cannot be written: {reason}"
        self.gate.blocked = self.fatal
        for _, command in self.outbox.waiting:
            order = self.state.orders.get(getattr(command, "client_order_id", ""))
            if order is not None and order.status is OrderStatus.SUBMITTED:
                self.recorder.record(
                    f.OrderRejected, client_order_id=order.client_order_id, reason=f"not sent: {self.fatal}"
                )
        self._drop()
        self.failed(self.fatal)

    def _drop(self) -> None:
        self.outbox.waiting.clear()
        self.recorder.batch = []

    def _drop_tape(self, error: JournalError) -> None:
        """Market data that cannot be kept are no reason to stop trading: say it, and go on without a tape."""
        self._tape = None
        text = f"the tape is switched off, and trading goes on: {error}"
        self.recorder.record(f.Noted, source="tape", text=text)

    # --- orders ---------------------------------------------------------------------------------------------

    def place(self, intent: OrderIntent, after: tuple[str, ...] = ()) -> Order:
        """Judge an intent and make an order of it."""
        if known:
            intent = _unspoken(intent)
        if self.state.tripped:
            self.board.refresh()
        if self.ending.refuses(intent):
            verdict = self.gate.review(intent)
            reasons = verdict.reasons if isinstance(verdict, Refused) else ()
            return self.desk.refuse(intent, (*reasons, self.ending.why))
        order = self.desk.place(intent, after)
        if intent.style and order.status not in CLOSED:
            self.styles.work(order)
        return order

    def verdict(self, intent: OrderIntent) -> Verdict:
        """What would become of an intent now; nothing is written down, reserved or sent."""
        with self.board.rehearsal():
            found = self.gate.review(intent)
        reasons = found.reasons if isinstance(found, Refused) else ()
        late = (self.ending.why,) if self.ending.refuses(intent) else ()
        return Verdict(intent, (*reasons, *late))

    def changed(self, order: Order) -> None:
        """An order changed: tell its strategy, and let go what waited for its end."""
        runner = self.runners.get(order.strategy)
        if runner is not None:
            runner.deliver(runner.strategy.on_order, order)
            runner.order_changed(order)
        if order.closed:
            self.held.settle(order)
            self.held.ended(order)
            self.exits.changed(order)
        self.styles.changed(order)
        if self.state.sweeps:
            self.sweeps.changed(order)

    # --- starting and ending --------------------------------------------------------------------------------

    def resolve(self, symbol: str) -> Instrument:
        """The instrument of a long or short name, known from now on. Raises ConfigurationError as `find` does."""
        found = self.state.instruments.get(symbol)
        if found is not None and found.id in self.market.lanes:
            return found
        return self.define(self.find(symbol)).instrument

    def rules(self, instrument: str) -> Instrument | None:
        """The rules of an instrument by its long form, used here already or not; None if it is unknown."""
        return self.state.instruments.get(instrument) or self.catalogue.get(instrument)

    def find(self, symbol: str) -> Instrument:
        """The instrument of a long or short name. Raises ConfigurationError for none, or more than one."""
        return named(symbol, self.catalogue)

    def define(self, instrument: Instrument) -> Lane:
        """Make an instrument known, if its rules are new."""
        if self.state.instruments.get(instrument.id) != instrument:
            self.recorder.record(f.InstrumentDefined, instrument=instrument)
        new, version = instrument.id not in self.market.lanes, self.market.version
        lane = self.market.lane(instrument)
        if self.market.version != version:
            self.valuer.defined(new=new)
        if new:
            self.dead_men.widen()
        return lane

    def add_strategy(self, strategy: Strategy, account: str) -> Runner:
        """Make a runner for a strategy, not yet open."""
        runner = Runner(strategy, strategy.name, self.recorder, self.schedule)
        runner.look_up = self.resolver.inform
        self.runners[strategy.name] = runner
        strategy._context = Context(self, runner, account)
        return runner

    def start_accounts(self) -> None:
        """Value the accounts and begin to keep their days; re-arm what the engine holds."""
        for instrument in list(self.state.instruments.values()):
            self.define(self.catalogue.get(instrument.id, instrument))
        for account in self.state.accounts:
            self.valuer.rebuild(account)
            self.books.start(account)
        self.board.start()
        for order in list(self.state.open.values()):
            self.held.expire_later(order)
            if order.status is not OrderStatus.HELD:
                continue
            if order.intent.style:
                self.styles.work(order)
            elif not order.after:
                self.held.arm(order)
        self.exits.start()
        self.dead_men.recover()
        self.resolver.start()

    def start_strategies(self, *, restored: bool, stand_by: bool = False) -> None:
        """Give strategies back what they saved and call `on_start`; to `stand_by`, start none of them.

        What protects positions and what a person asks for works from here on, either way.
        """
        self.recorder.input(f.StrategiesStarted, restored=restored, stand_by=stand_by)
        self.exits.recovered()
        self.sweeps.start()
        self.ending.idle = stand_by
        if not stand_by:
            self._start_runners(restored)
        self._follow_holdings()
        self.dead_men.start()
        self.starting = False
        self.reconciliation.keep_watch()

    def _start_runners(self, restored: bool) -> None:
        self.unfinished.start()
        for runner in self.runners.values():
            strategy = runner.strategy
            saved = self.state.saved.get(runner.name)
            if strategy._context is not None:
                strategy._context.restored = restored
            if saved is not None:
                try:
                    strategy.load(msgspec.msgpack.decode(saved))
                except Exception as error:  # half restored it must not trade, whatever its error policy
                    runner.halt(f"load() failed, {said(error)}")
                    runner.keeps_saved()
            runner.start()
            self._say_if_idle(runner)
        self.unfinished.forget()
        self.timers.restore(self.runners)

    def _say_if_idle(self, runner: Runner) -> None:
        """A strategy that nothing will ever wake trades nothing: that is hardly what was meant."""
        context = runner.strategy._context
        if runner.halted or runner.waiting or (context is not None and context.watched):
            return
        if not any(owner == runner.name for owner, _ in self.state.timers):
            text = f"{runner.name} watches nothing and has no timer: call self.watch(...) in on_start"
            self.recorder.record(f.Noted, source="idle", text=text)

    def _follow_holdings(self) -> None:
        """Have prices of all that is held or worked, so that it is valued and its stops see them come."""
        names = [o.instrument for o in self.state.open.values()]
        names += [key.instrument for key, position in self.state.positions.items() if position.quantity]
        for name in dict.fromkeys(names):
            self.feeds.follow(self.market.lanes[name])

    def _refused(self, lane: Lane, event: MarketEvent, rule: str) -> None:
        if lane.refused == 1:
            text = f"{type(event).__name__} of {lane.id} refused: {rule}"
            self.recorder.record(f.Noted, source="market", text=text)


def _unspoken(intent: OrderIntent) -> OrderIntent:
    """An intent with no secret in it. Raises ConfigurationError where it cannot be sent without the secret."""
    for option, value in intent.venue_options.items():
        if scrub(value) != value:
            raise ConfigurationError(
                f"the venue option {option!r} of an order for {intent.instrument} is the text of a secret, and orders "
                f"are kept in the journal: give it to the broker instead"
            )
    return hidden(intent, "tag")


def _nobody(_: str) -> None:
    pass
