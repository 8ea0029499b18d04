"""A run as another process sees it: its journal folded, its tape followed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from fairlead import facts as f
from fairlead._cli.gauges import Limits
from fairlead._kernel.apply import apply
from fairlead._kernel.market import Market
from fairlead._kernel.recorder import Recorder
from fairlead._kernel.state import State
from fairlead._kernel.valuation import Valuer
from fairlead._kernel.view import KernelView
from fairlead._models.accounts import Position, TradingState
from fairlead._models.market import Bar, History
from fairlead._models.orders import Fill, Order
from fairlead._report.phrases import Event, event_of
from fairlead._storage.journal import decode_facts
from fairlead._storage.reading import Tail
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import Kind
from fairlead._storage.tape import decode_event

_LONG_RUN = 100_000
"""With so many numbers given already, the tape is followed from its end only: older prices are of no use here."""

_CURVE = 2_000


@attrs.frozen
class Gauge:
    """A breaker: the part of its limit that is used (None where that cannot be told), its limit, and its trips."""

    name: str
    used: float | None
    limit: str
    tripped: str


class Mirror:
    """Follows a run's folder; `poll` takes in what is new. It shares nothing with the engine but the files.

    `limits` is what somebody who asked the engine knows of its breakers.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.state = State()
        self.market = Market()
        self.fills: deque[Fill] = deque(maxlen=50)
        self.events: deque[Event] = deque(maxlen=50)
        self.curve: deque[tuple[int, float]] = deque(maxlen=_CURVE)
        self.orders = self.filled = self.denied = 0
        self.trips = 0
        self.running = False
        self.limits: Limits = {}
        self._folder = folder
        self._recorder = Recorder(self.state)
        self._valuer = Valuer(self._recorder, self.market, frozenset())
        self._view = KernelView(self._recorder, self.market, self._valuer)
        self._journal = Tail(folder.journal)
        self._tape: Tail | None = None

    @property
    def now(self) -> int:
        """The engine's time as far as it is written."""
        return self._recorder.now

    def poll(self) -> list[f.AnyFact]:
        """Take in what has been written since. Raises JournalError."""
        new: list[f.AnyFact] = []
        for record in self._journal.poll():
            new += decode_facts(record)
        for fact in new:
            self._take(fact)
        if self._tape is None:
            since = self.state.seq if self.state.seq > _LONG_RUN else 0
            self._tape = Tail(self._folder.tape, since, kind=Kind.TAPE)
        for record in self._tape.poll():
            self._price(decode_event(record))
        for account in self.state.accounts:
            self._valuer.rebuild(account)
        self._follow()
        return new

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()
        if self._tape is not None:
            self._tape.close()

    # --- looking --------------------------------------------------------------------------------------------

    @property
    def trading(self) -> TradingState:
        """The most severe state anywhere."""
        states = [*self.state.lowered.values(), *(trip.state for trip in self.state.tripped.values())]
        return max(states, key=lambda state: state.severity, default=TradingState.ACTIVE)

    def equity(self) -> tuple[float | None, float | None, str]:
        """Equity now, at first, and its currency; of the first account."""
        for name, account in self.state.accounts.items():
            return self._view.equity(name), account.opening, account.currency
        return None, None, ""

    def positions(self) -> list[tuple[Position, float | None]]:
        """Open positions of strategies, each with its open profit."""
        held = [p for k, p in self.state.positions.items() if k.strategy and p.quantity]
        return [(position, self._open_profit(position)) for position in held]

    def working(self) -> list[Order]:
        """Orders that are not closed, the newest first."""
        return sorted(self.state.open.values(), key=lambda order: -order.created_ns)

    def profits(self) -> dict[str, tuple[float, float]]:
        """Profit and fees of each strategy."""
        found = {spec.name: (0.0, 0.0) for spec in self.state.strategies}
        for key, position in self.state.positions.items():
            if key.strategy:
                total, fees = found.get(key.strategy, (0.0, 0.0))
                total += float(position.realised - position.fees - position.funding)
                found[key.strategy] = (
                    total + (self._open_profit(position) or 0.0),
                    fees + float(position.fees),
                )
        return found

    def gauges(self) -> list[Gauge]:
        """All breakers that are known, and those that tripped."""
        tripped = {trip.breaker: trip.scope for trip in self.state.tripped.values() if not trip.until_ns}
        names = dict.fromkeys([*self.limits, *tripped])
        return [Gauge(name, *self.limits.get(name, (None, "")), tripped.get(name, "")) for name in names]

    def marks(self) -> Sequence[tuple[str, float]]:
        """Symbols and prices."""
        return [(lane.instrument.symbol, lane.mark) for lane in self.market.lanes.values() if lane.mark]

    # --- parts ----------------------------------------------------------------------------------------------

    def _take(self, fact: f.AnyFact) -> None:
        apply(self.state, fact)
        self._recorder.now = max(self._recorder.now, fact.now)
        self.running = True
        match fact:
            case f.InstrumentDefined():
                self.market.lane(fact.instrument)
            case f.OrderSubmitted():
                self.orders += 1
            case f.OrderDenied():
                self.denied += 1
            case f.Filled():
                self.filled += 1
                self.fills.append(fact.fill)
            case f.BreakerTripped():
                self.trips += 1
            case f.EngineStopped():
                self.running = False
            case _:
                pass
        event = event_of(fact)
        if event is not None and event.kind != "fill":
            self.events.append(event)

    def _price(self, event: object) -> None:
        if isinstance(event, History) or not hasattr(event, "received_ns"):
            return
        self._recorder.now = max(self._recorder.now, event.received_ns)
        self.market.event(event)  # type: ignore[arg-type]
        lane = self.market.lanes.get(event.instrument)  # type: ignore[attr-defined]
        if lane is not None:
            if not lane.watched:
                self.market.watch(lane, 1)
            if isinstance(event, Bar):
                lane.cadence = event.event_ns - event.open_ns

    def _follow(self) -> None:
        equity = self.equity()[0]
        if equity is not None and (not self.curve or self.curve[-1][0] < self.now):
            self.curve.append((self.now, equity))

    def _open_profit(self, position: Position) -> float | None:
        lane = self.market.lanes.get(position.key.instrument)
        if lane is None or not lane.mark:
            return None
        rules = lane.instrument
        return float(rules.profit(position.quantity, position.average_price, rules.price(lane.mark)))
