"""The account's state: what a fold of the journal yields, and nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from decimal import Decimal

import attrs
import msgspec

from fairlead._models.accounts import EXTERNAL, Position, PositionKey, TradingState
from fairlead._models.instrument import Instrument
from fairlead._models.orders import AT_VENUE, Order, OrderIntent, OrderStatus, Side
from fairlead._models.reconciliation import Action, Discrepancy
from fairlead.facts import BarProgress, PositionTarget, StrategySpec

REMEMBERED_FILLS = 10_000
"""Ids of fills that nobody here ordered: more than come within the time that lists of fills overlap."""

REMEMBERED_ORDERS = 1_000
"""Closed orders kept in the state, ids of fills that nobody here ordered, timers that fired; the journal has all."""

REMEMBERED_REQUESTS = 1_000
"""Answered commands kept in the state by their request ids: older ones count as new."""

REMEMBERED_STARTS = 16
"""Starts kept in the state that did not end in good order."""

DOUBT = "journal"
"""What a doubt about an account is tripped under, as breakers are under their names; only adopting it ends that."""

ZERO = Decimal(0)


@attrs.define
class Working:
    """What may still fill on one instrument of one account.

    `buy` and `sell` are the remaining quantities of ungrouped orders at the venue; of a group (OCO) only one
    order can fill, so its orders are kept apart and count by their largest.
    """

    buy: Decimal = ZERO
    sell: Decimal = ZERO
    groups: dict[str, dict[str, Order]] = attrs.Factory(dict)

    def quantity(self, side: Side, more: OrderIntent | None = None) -> Decimal:
        """The most that can still fill on a side, `more` included."""
        total = self.buy if side is Side.BUY else self.sell
        extra = more.quantity if more is not None and more.side is side else ZERO
        for name, members in self.groups.items():
            largest = max((o.remaining_quantity for o in members.values() if o.side is side), default=ZERO)
            if more is not None and more.group == name:
                largest, extra = max(largest, extra), ZERO
            total += largest
        return total + extra


@attrs.define
class AccountState:
    """One account: its cash, its net positions as the venue holds them, its marks of the day and of all time.

    `opening`, `high_water`, `day_start` are equity in `currency`: the first ever, the highest, today's first;
    `flows` is the cash that came or went since the day began (deposits and the like), nobody's profit; `unsettled`
    is what came or went by currency while it had no rate. All fills up to `fills_until_ns` are booked.
    Its venue cancels every order at `dead_man_ns`, 0 for never, and last did at `dead_man_fired_ns`.
    """

    name: str
    currency: str
    balances: dict[str, Decimal] = attrs.Factory(dict)
    working: dict[str, Working] = attrs.Factory(dict)
    opening: float | None = None
    high_water: float | None = None
    day: str = ""
    day_start: float | None = None
    flows: float = 0.0
    unsettled: dict[str, Decimal] = attrs.Factory(dict)
    stream_up: bool = True
    fills_until_ns: int = 0
    samples: int = 0
    dead_man_ns: int = 0
    dead_man_fired_ns: int = 0


@attrs.define
class Timer:
    """A strategy's named timer; `function` names what it calls, empty for `on_timer`."""

    strategy: str
    name: str
    due_ns: int
    every_ns: int
    function: str = ""


@attrs.define
class Tripped:
    """A breaker that holds trading down; half-open until `until_ns`, it is ACTIVE, and so is its `state`."""

    breaker: str
    scope: str
    state: TradingState
    reason: str
    since_ns: int
    until_ns: int = 0

    def __str__(self) -> str:
        if self.breaker == DOUBT:
            return f"{self.scope.replace(':', ' ')} is in doubt: {self.reason}"
        how = "is half-open after a trip" if self.until_ns else "tripped"
        return f"{self.breaker} {how} on {self.scope}: {self.reason}"


@attrs.define
class ChangedLimit:
    """A limit that a person changed while its breaker's configuration said `configured`."""

    breaker: str
    limit: str
    value: str
    configured: str


@attrs.define
class Sweep:
    """The orders of a scope on their way out, and with `closes` its positions too, until all is done.

    `number` is the sequence number of its start, `mark` the number of intents by then, `until_ns` when a stop ends
    whatever is left, 0 for never. Of a reduction `targets` are what may be left of positions.
    """

    number: int
    verb: str
    scope: str
    who: str
    why: str
    closes: bool
    mark: int
    since_ns: int
    until_ns: int = 0
    targets: tuple[PositionTarget, ...] = ()

    def target(self, account: str, instrument: str, strategy: str) -> Decimal:
        """What may be left of a position: nothing of one that a reduction did not know."""
        key = (account, instrument, strategy)
        found = (t.quantity for t in self.targets if (t.account, t.instrument, t.strategy) == key)
        return next(found, ZERO)

    def covers(self, account: str, instrument: str, strategy: str) -> bool:
        """Whether what a strategy has of an instrument on an account is in its scope."""
        return self.scope in scopes_of(account, instrument, strategy)


@attrs.define
class Decided:
    """What was decided about a discrepancy as it stands, by whom and why."""

    action: Action
    who: str
    why: str = ""


@attrs.define
class Owed:
    """What a resolution still has to send: once the account may trade."""

    discrepancy: Discrepancy
    action: Action


@attrs.define
class Handled:
    """A command that had a request id: its sequence number, what was answered, in JSON, and what had been asked.

    `asked` is a digest of verb and arguments, "" where a journal of before knows neither.
    """

    command: int
    answer: str = ""
    verb: str = ""
    asked: str = ""


@attrs.define
class State:
    """Everything durable. Only `apply` changes it.

    `bars` is how far bars in progress had got at the fact `bars_seq`.

    `entries` is what each order with exits still has in its strategy's position. `epochs` are the last starts, each
    with how many intents there had been before it.
    `uncertain` are accounts of which not all is known since the start: None while that is being found out, then the
    orders that it left in doubt. `paused` says by scope why strategies open nothing new, `lowered` what a person
    lowered trading to. `discrepancies` are the differences between our books and venues' that still are, `decided` what
    was decided about them, and `owed`, by the number of the decision, what of that is still to be sent.
    `lost_tails` are the starts, each with its time, before which a power cut may have taken the journal's last records;
    `tail_lost` says that no start has compared its accounts with their venues since. `unfinished` are the times of the
    last starts that did not end in good order, the one that goes on among them. `lowered_why` says by scope why trading
    was lowered there. `orphans` are the orders that were open
    when a person adopted their account: what they still fill is booked, as nobody's.
    """

    seq: int = 0
    now: int = 0
    namespace: int = 0
    epoch: int = 0
    tail_lost: bool = False
    lost_tails: dict[int, int] = attrs.Factory(dict)
    intents: int = 0
    epochs: dict[int, int] = attrs.Factory(dict)
    asks: int = 0
    strategies: tuple[StrategySpec, ...] = ()
    instruments: dict[str, Instrument] = attrs.Factory(dict)
    accounts: dict[str, AccountState] = attrs.Factory(dict)
    orders: dict[str, Order] = attrs.Factory(dict)
    open: dict[str, Order] = attrs.Factory(dict)
    children: dict[str, list[Order]] = attrs.Factory(dict)
    entries: dict[str, Decimal] = attrs.Factory(dict)
    closed: deque[str] = attrs.Factory(deque)
    positions: dict[PositionKey, Position] = attrs.Factory(dict)
    day_profits: dict[PositionKey, float] = attrs.Factory(dict)
    external_fills: deque[str] = attrs.Factory(lambda: deque(maxlen=REMEMBERED_FILLS))
    orphans: deque[str] = attrs.Factory(lambda: deque(maxlen=REMEMBERED_ORDERS))
    timers: dict[tuple[str, str], Timer] = attrs.Factory(dict)
    done: dict[tuple[str, str], int] = attrs.Factory(dict)
    saved: dict[str, bytes] = attrs.Factory(dict)
    bars: tuple[BarProgress, ...] = ()
    bars_seq: int = 0
    halted: dict[str, str] = attrs.Factory(dict)
    paused: dict[str, str] = attrs.Factory(dict)
    faults: dict[str, int] = attrs.Factory(dict)
    tripped: dict[tuple[str, str], Tripped] = attrs.Factory(dict)
    lowered: dict[str, TradingState] = attrs.Factory(dict)
    lowered_why: dict[str, str] = attrs.Factory(dict)
    uncertain: dict[str, tuple[str, ...] | None] = attrs.Factory(dict)
    discrepancies: dict[str, Discrepancy] = attrs.Factory(dict)
    decided: dict[str, Decided] = attrs.Factory(dict)
    owed: dict[int, Owed] = attrs.Factory(dict)
    breakers: dict[str, bytes] = attrs.Factory(dict)
    limits: dict[tuple[str, str], ChangedLimit] = attrs.Factory(dict)
    sweeps: dict[int, Sweep] = attrs.Factory(dict)
    requests: dict[str, Handled] = attrs.Factory(dict)
    unfinished: list[int] = attrs.Factory(list)

    @property
    def doubted(self) -> dict[str, str]:
        """The accounts that the journal does not explain, each with the reason."""
        prefix = "account:"
        return {
            scope.removeprefix(prefix): trip.reason
            for (name, scope), trip in self.tripped.items()
            if name == DOUBT and scope.startswith(prefix)
        }

    def position(self, account: str, instrument: str, strategy: str = "") -> Position | None:
        """The position under a key (no strategy: the account's net one), None when it never was."""
        return self.positions.get(PositionKey(account, instrument, strategy))

    def quantity(self, account: str, instrument: str, strategy: str = "") -> Decimal:
        """Signed quantity under a key, 0 when flat."""
        position = self.positions.get(PositionKey(account, instrument, strategy))
        return ZERO if position is None else position.quantity

    def working(self, account: str, instrument: str, side: Side, more: OrderIntent | None = None) -> Decimal:
        """The most that can still fill on a side of an instrument, over all strategies, `more` included."""
        working = self.accounts[account].working.get(instrument)
        more = None if more is None else self.beyond(more)
        if working is None:
            return more.quantity if more is not None and more.side is side else ZERO
        return working.quantity(side, more)

    def beyond(self, intent: OrderIntent) -> OrderIntent:
        """An intent with no more than what it adds to the working order that it replaces in place, if it does."""
        replaced = self.open.get(intent.replaces) if intent.replaces else None
        if replaced is None or replaced.status not in AT_VENUE or replaced.intent.group:
            return intent
        added = max(intent.quantity - replaced.remaining_quantity, ZERO)
        return msgspec.structs.replace(intent, quantity=added)

    def carried_out(self, order: Order) -> Order | None:
        """The order with an execution style that this one is a part of."""
        parent = self.orders.get(order.intent.parent)
        return parent if parent is not None and parent.intent.style and not order.intent.exits else None

    def trading(self, intent: OrderIntent) -> tuple[TradingState, str]:
        """The most severe state over everything an order belongs to, and the reason for it."""
        worst, why = TradingState.ACTIVE, ""
        if intent.account in self.uncertain:
            worst, why = self._certainty(intent.account)
            if worst is TradingState.RECOVERING:  # nothing passes, be the rest as it may
                return worst, why
        if not self.lowered and not self.tripped:
            return worst, why
        scopes = scopes_of(intent.account, intent.instrument, intent.strategy)
        return self._worst(scopes, worst, why)

    def standing(self, account: str) -> tuple[TradingState, str]:
        """The most severe state that holds for all of an account, and the reason for it."""
        worst, why = TradingState.ACTIVE, ""
        if account in self.uncertain:
            worst, why = self._certainty(account)
        return self._worst(("engine", f"account:{account}"), worst, why)

    def _worst(self, scopes: Collection[str], worst: TradingState, why: str) -> tuple[TradingState, str]:
        for scope, state in self.lowered.items():
            if scope in scopes and state.severity > worst.severity:
                worst, why = state, f"{scope} is {state}"
        for trip in self.tripped.values():
            if trip.scope in scopes and trip.state.severity > worst.severity:
                tripped = "" if trip.breaker == DOUBT else f"{trip.breaker} tripped: "
                worst, why = trip.state, f"{tripped}{trip.reason}"
        return worst, why

    def why_paused(self, intent: OrderIntent) -> str:
        """What is paused that an order belongs to, "" for nothing. Orders of no strategy are not."""
        if self.paused and intent.strategy != EXTERNAL:
            for scope in scopes_of(intent.account, intent.instrument, intent.strategy):
                if scope in self.paused:
                    kind, _, name = scope.partition(":")
                    return f"strategy {name}" if kind == "strategy" else scope
        return ""

    def is_paused(self, strategy: str) -> bool:
        """Whether a strategy opens nothing new, by its own pause or the engine's."""
        return "engine" in self.paused or f"strategy:{strategy}" in self.paused

    def _certainty(self, account: str) -> tuple[TradingState, str]:
        left = self.uncertain[account]
        if left is None:
            return TradingState.RECOVERING, f"what happened on account {account} is not known yet"
        if self.tail_lost:
            why = f"orders that a power cut took from the journal may work on account {account}"
            return TradingState.RECOVERING, why
        for name in left:
            order = self.open.get(name)
            if order is not None and order.status in (OrderStatus.UNKNOWN, OrderStatus.SUBMITTED):
                return TradingState.REDUCE_ONLY, f"order {name} has been in doubt since the start"
        return TradingState.ACTIVE, ""


def scopes_of(account: str, instrument: str, strategy: str) -> tuple[str, str, str, str]:
    """The scopes that something belongs to, the widest first."""
    return ("engine", f"account:{account}", f"strategy:{strategy}", f"instrument:{instrument}")


def fingerprint(state: State) -> bytes:
    """The state as canonical bytes: two states are equal when these are, and only then."""
    plain = {
        name: getattr(state, name)
        for name in attrs.fields_dict(State)
        if name not in ("positions", "open", "orders", "children")
    }
    plain["timers"] = list(state.timers.values())
    plain["done"] = list(state.done.items())
    plain["tripped"] = list(state.tripped.values())
    plain["limits"] = list(state.limits.values())
    plain["day_profits"] = list(state.day_profits.items())
    plain["positions"] = list(state.positions.values())
    plain["orders"] = list(state.orders.values())
    plain["open"] = list(state.open)
    plain["children"] = [(name, [o.client_order_id for o in c]) for name, c in state.children.items()]
    plain["closed"] = list(state.closed)
    plain["external_fills"] = list(state.external_fills)
    plain["orphans"] = list(state.orphans)
    plain["requests"] = list(state.requests.items())
    return msgspec.msgpack.encode(plain)
