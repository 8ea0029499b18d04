"""What a run comes to: its journal folded once more, and prices beside it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal

import attrs

from fairlead import facts as f
from fairlead._engine.priceline import Line, Points
from fairlead._engine.roundtrips import RoundTrip, round_trips
from fairlead._kernel.apply import apply
from fairlead._kernel.market import PATIENCE_NS, Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import DOUBT, State
from fairlead._kernel.valuation import Valuer
from fairlead._models import market
from fairlead._models.accounts import Position
from fairlead._models.instrument import Instrument
from fairlead._models.market import MarketEvent
from fairlead._models.orders import Fill, OrderStatus
from fairlead._report.phrases import Event, event_of
from fairlead._storage.journal import decode_facts
from fairlead._storage.reading import payload_hash, read
from fairlead._storage.run import RunFolder
from fairlead._storage.tape import read_tape
from fairlead.errors import JournalError

TAPE_BYTES = 512 << 20
"""A larger tape is left alone: prices are then those of the fills."""

EVENTS = 200

_LISTED = frozenset(
    {"breaker", "strategy", "state", "unknown", "rejected", "denied", "command", "clock", "account"}
)


@attrs.define
class StrategyDigest:
    """What one strategy did. Money is in the settlement currency of what it trades; `deepest` the worst fall of
    its profit from its best, positive.
    """

    name: str
    currency: str = ""
    orders: int = 0
    denied: int = 0
    fills: int = 0
    trades: int = 0
    won: int = 0
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    unrealised: float = 0.0
    deepest: float = 0.0
    line: Line = attrs.field(factory=Line, repr=False)
    best: float = 0.0

    @property
    def total(self) -> float:
        """Realised and unrealised less fees and funding."""
        return float(self.realised - self.fees - self.funding) + self.unrealised


@attrs.define
class AccountDigest:
    """One account's equity over time; `drawdown` is the worst fall from the highest over all sessions, as a ratio.

    Within a session it is what the engine saw at each event; from one session to the next, what was sampled.
    """

    name: str
    currency: str
    opening: float | None = None
    equity: float | None = None
    drawdown: float = 0.0
    fees: Decimal = Decimal(0)
    line: Line = attrs.field(factory=Line, repr=False)
    highest: float = 0.0
    flows: float = 0.0

    def look(self, equity: float) -> None:
        """Equity at a moment, on top of all sessions before."""
        self.highest = max(self.highest, equity - self.flows, self.opening or 0.0)
        peak = self.highest + self.flows
        if peak > 0:
            self.drawdown = max(self.drawdown, 1 - equity / peak)


@attrs.define
class Digest:
    """Everything that a report or a summary says of a run; `session_ns` is when its last session began."""

    name: str
    kind: str = ""
    label: str = ""
    start_ns: int = 0
    end_ns: int = 0
    session_ns: int = 0
    starts: int = 0
    ended: str = ""
    facts: int = 0
    journal_hash: str = ""
    damage: str = ""
    accounts: dict[str, AccountDigest] = attrs.Factory(dict)
    strategies: dict[str, StrategyDigest] = attrs.Factory(dict)
    instruments: dict[str, Instrument] = attrs.Factory(dict)
    prices: dict[str, Points] = attrs.Factory(dict)
    prices_from: str = ""
    fills: list[Fill] = attrs.Factory(list)
    trips: list[RoundTrip] = attrs.Factory(list)
    orders: Counter[str] = attrs.Factory(Counter)
    breakers: list[Event] = attrs.Factory(list)
    tripped: Counter[str] = attrs.Factory(Counter)
    standing: list[str] = attrs.Factory(list)
    halted: dict[str, str] = attrs.Factory(dict)
    events: deque[Event] = attrs.field(factory=lambda: deque(maxlen=EVENTS))
    denials: Counter[str] = attrs.Factory(Counter)


def digest(
    folder: RunFolder, *, prices: Mapping[str, Points] | None = None, kind: str = "", label: str = ""
) -> Digest:
    """Fold a run's journal. What is damaged ends the fold there, and the digest says so."""
    info = folder.read_info()
    found = Digest(
        _name(folder),
        kind=kind or str(info.get("kind", "")) or ("BACKTEST" if _is_backtest(folder) else ""),
        label=label or ", ".join(str(text) for text in info.get("data", ())),
    )
    fold = _Fold(found, _marks(folder, prices, found))
    hashed = payload_hash()
    try:
        for record in read(folder.journal):
            for fact in decode_facts(record):
                fold.take(fact)
            hashed.update(record.payload)
    except JournalError as error:
        found.damage = str(error)
    found.journal_hash = hashed.hexdigest()
    fold.finish(prices)
    return found


def _is_backtest(folder: RunFolder) -> bool:
    return folder.path.parent.name == "backtests"


def _name(folder: RunFolder) -> str:
    return (
        f"{folder.path.parent.parent.name}, backtest {folder.name}" if _is_backtest(folder) else folder.name
    )


Mark = tuple[int, int, str, float]
"""Sequence number (0 where only the time is known), time, instrument, price."""


def _marks(folder: RunFolder, prices: Mapping[str, Points] | None, found: Digest) -> Iterator[Mark]:
    if prices:
        found.prices_from = "the data"
        return iter(sorted((0, now, name, price) for name, line in prices.items() for now, price in line))
    size = sum(path.stat().st_size for path in folder.tape.glob("*")) if folder.tape.is_dir() else 0
    if not size or size > TAPE_BYTES:
        found.prices_from = "our fills"
        return iter(())
    found.prices_from = "the tape"
    return _from_tape(folder, found)


def _from_tape(folder: RunFolder, found: Digest) -> Iterator[Mark]:
    """What valued positions: as in the kernel a lesser source counts only where a better one has fallen silent."""
    best: dict[str, tuple[int, int]] = {}
    try:
        for seq, event in read_tape(folder.tape):
            rank, price = _price(event)
            now, name = event.received_ns, event.instrument
            known, since = best.get(name, (rank, now))
            if price and (rank >= known or now - since > PATIENCE_NS):
                best[name] = rank, now
                yield seq, now, name, price
    except JournalError as error:
        found.damage = found.damage or f"the tape: {error}"


def _price(event: MarketEvent) -> tuple[int, float]:
    """How good a source this is, and its price: a venue's mark, the middle of a quote, a trade, a bar's close."""
    match event:
        case market.Mark():
            return 3, event.price
        case market.Quote():
            return 2, (event.bid + event.ask) / 2
        case market.Trade():
            return 1, event.price
        case market.Bar():
            return 0, event.close
        case _:
            return 0, 0.0


class _Fold:
    """The journal and the marks side by side, in the order in which they came."""

    def __init__(self, found: Digest, marks: Iterator[Mark]) -> None:
        self.found = found
        self.state = State()
        self._marks = marks
        self._next = next(marks, None)
        self._last: dict[str, float] = {}
        self._lines: dict[str, Line] = {}
        self._open: set[str] = set()

    def take(self, fact: f.AnyFact) -> None:
        """One fact, after the marks that came before it."""
        found, state = self.found, self.state
        self._reach(fact.seq, fact.now)
        apply(state, fact)
        found.facts += 1
        found.start_ns = found.start_ns or fact.now
        found.end_ns = max(found.end_ns, fact.now)
        found.ended = ""
        match fact:
            case f.EngineStarted():
                found.starts += 1
                found.session_ns = fact.now
                for spec in fact.strategies:
                    self._strategy(spec.name)
            case f.EngineStopped():
                found.ended = fact.reason or "in good order"
            case f.AccountOpened():
                found.accounts[fact.account] = AccountDigest(fact.account, fact.currency)
            case f.CashChanged() | f.FlowSettled() if fact.flow:
                found.accounts[fact.account].flows += fact.flow  # paid in or out: no gain and no loss
            case f.EquitySampled():
                self._sample(fact)
            case f.Filled():
                self._fill(fact.fill)
            case f.OrderDenied():
                self._strategy(fact.intent.strategy).denied += 1
                for reason in fact.reasons:
                    found.denials[reason.partition(":")[0]] += 1
            case f.OrderSubmitted():
                self._strategy(fact.intent.strategy).orders += 1
            case f.BreakerTripped():
                found.tripped[fact.breaker] += 1
            case _:
                pass
        self._follow_order(getattr(fact, "client_order_id", ""))
        event = event_of(fact)
        if event is not None and event.kind in _LISTED:
            found.events.append(event)
            if event.kind == "breaker":
                found.breakers.append(event)

    def finish(self, prices: Mapping[str, Points] | None) -> None:
        """After the last fact: what stands, and what it is worth."""
        found, state = self.found, self.state
        self._reach(1 << 62, 1 << 62)
        found.instruments = dict(state.instruments)
        found.prices = dict(prices) if prices else {name: line.points for name, line in self._lines.items()}
        found.trips = round_trips(found.fills, state.instruments.__getitem__)
        for identity in self._open:
            order = state.orders.get(identity)
            if order is not None:
                found.orders[str(order.status)] += 1
        for name, account in found.accounts.items():
            account.opening = state.accounts[name].opening
            net = [p for k, p in state.positions.items() if k.account == name and k.strategy]
            account.fees = sum((p.fees for p in net), Decimal(0))
            equity = self._equity(name)
            if equity is not None:
                account.equity = equity
                account.look(equity)
                account.line.points.append((found.end_ns, equity))
        for trip in found.trips:
            own = self._strategy(trip.strategy)
            own.trades += 1
            own.won += trip.profit > 0
        self._revalue(found.end_ns)
        for key, position in state.positions.items():
            if key.strategy:
                own = self._strategy(key.strategy)
                own.currency = own.currency or state.instruments[key.instrument].settle
                own.realised += position.realised
                own.fees += position.fees
                own.funding += position.funding
                own.unrealised += self._unrealised(position)
        found.standing = [
            f"{t.scope.replace(':', ' ')} is in doubt"
            if t.breaker == DOUBT
            else f"{t.breaker} on {t.scope}: {t.reason}"
            for t in state.tripped.values()
        ]
        found.halted = dict(state.halted)
        found.standing += [f"strategy {name} halted: {why}" for name, why in state.halted.items()]

    def _equity(self, account: str) -> float | None:
        """What an account is worth at the last prices; None where one is wanting."""
        lanes = Market()
        for name, price in self._last.items():
            if name in self.state.instruments:
                lanes.lane(self.state.instruments[name]).mark = price
        valuer = Valuer(Recorder(self.state), lanes, frozenset())
        valuer.rebuild(account)
        value = valuer.accounts[account]
        return None if value.missing else value.equity

    # --- parts ----------------------------------------------------------------------------------------------

    def _strategy(self, name: str) -> StrategyDigest:
        return self.found.strategies.setdefault(name, StrategyDigest(name))

    def _reach(self, seq: int, now: int) -> None:
        mark = self._next
        while mark is not None and (mark[0] < seq if mark[0] else mark[1] <= now):
            _, at, instrument, price = mark
            self._last[instrument] = price
            self._line(instrument).add(at, price)
            mark = next(self._marks, None)
        self._next = mark

    def _line(self, instrument: str) -> Line:
        line = self._lines.get(instrument)
        if line is None:
            line = self._lines[instrument] = Line()
        return line

    def _fill(self, fill: Fill) -> None:
        self.found.fills.append(fill)
        self._strategy(fill.strategy).fills += 1
        if self.found.prices_from == "our fills":
            self._last[fill.instrument] = float(fill.price)
            self._line(fill.instrument).add(fill.event_ns, float(fill.price))

    def _sample(self, fact: f.EquitySampled) -> None:
        account = self.found.accounts[fact.account]
        account.equity = fact.equity
        account.opening = self.state.accounts[fact.account].opening
        account.drawdown = max(account.drawdown, fact.drawdown)
        account.look(fact.equity)
        account.line.add(fact.now, fact.equity)
        self._revalue(fact.now)

    def _revalue(self, now: int) -> None:
        totals: dict[str, float] = {}
        for key, position in self.state.positions.items():
            if key.strategy:
                earned = float(position.realised - position.fees - position.funding)
                earned += self._unrealised(position)
                totals[key.strategy] = totals.get(key.strategy, 0.0) + earned
        for name, total in totals.items():
            own = self._strategy(name)
            own.best = max(own.best, total)
            own.deepest = max(own.deepest, own.best - total)
            own.line.add(now, total)

    def _unrealised(self, position: Position) -> float:
        mark = self._last.get(position.key.instrument)
        if not position.quantity or not mark:
            return 0.0
        rules = self.state.instruments[position.key.instrument]
        return float(rules.profit(position.quantity, position.average_price, Decimal(mark)))

    def _follow_order(self, identity: str) -> None:
        if not identity:
            return
        order = self.state.orders.get(identity)
        if order is None:
            return
        if not order.closed:
            self._open.add(identity)
        elif identity in self._open or order.status is OrderStatus.DENIED:
            self._open.discard(identity)
            self.found.orders[str(order.status)] += 1
