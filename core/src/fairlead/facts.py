"""Facts: everything that happened to an account, in the order in which it happened.

A fact is one msgpack map `{t: name, seq, now, cause, …}` in the journal. `seq` is its sequence number, `now` the
engine's time in nanoseconds UTC, `cause` the sequence number of the input that led to it; an input is a fact
whose cause is itself. Fields are only added, each with a default; a name is never used again. Which version of this
schema a fact was written in stands in the header of its segment.

The account's state is a fold of these facts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs
import msgspec

from fairlead._models.accounts import TradingState
from fairlead._models.instrument import Instrument
from fairlead._models.orders import Fill, OrderIntent
from fairlead._models.reconciliation import Action, Discrepancy
from fairlead._models.reports import Report

SCHEMA = 1
"""The version of all facts together: it rises with a release whose facts an older one could misunderstand."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t"):
    """What all facts carry."""

    seq: int
    now: int
    cause: int


# --- inputs: facts that are their own cause -----------------------------------------------------------------


class ReportReceived(Fact, frozen=True, kw_only=True):
    """A broker said something."""

    account: str
    report: Report


class TimerFired(Fact, frozen=True, kw_only=True):
    """A strategy's named timer came due; `late` says that it was overdue when the engine started."""

    strategy: str
    name: str
    due_ns: int
    late: bool = False


class Commanded(Fact, frozen=True, kw_only=True):
    """A person asked for something: who, why, and the verb with its arguments.

    `request` is the asker's own id of it, if there is one: the same one is not carried out again.
    """

    verb: str
    who: str
    why: str = ""
    arguments: Mapping[str, str] = {}
    request: str = ""


class Answered(Fact, frozen=True, kw_only=True):
    """An `ask` came back: `value` is its answer in msgpack, or `error` says how it failed."""

    strategy: str
    ask: int
    value: bytes = b""
    error: str = ""


# --- the run --------------------------------------------------------------------------------------------------


@attrs.frozen
class StrategySpec:
    """How to build a strategy again: module, qualified name and JSON-able arguments."""

    name: str
    module: str
    qualname: str
    arguments: str


class EngineStarted(Fact, frozen=True, kw_only=True):
    """An engine took the accounts; `epoch` rises with each start.

    `tail_lost` says that a power cut may have taken the journal's last records: orders that were in them are ours.
    `waived` is what real money needs and this start did without, by a person's word.
    """

    namespace: int
    epoch: int
    strategies: tuple[StrategySpec, ...] = ()
    accounts: tuple[str, ...] = ()
    tail_lost: bool = False
    waived: tuple[str, ...] = ()


class EngineStopped(Fact, frozen=True, kw_only=True):
    """The engine ended, in good order unless it `failed`."""

    reason: str = ""
    failed: bool = False


class JournalCut(Fact, frozen=True, kw_only=True):
    """This start found a torn end of the journal and cut it: `size` bytes of a record that was never whole.

    `other_boot` says that the machine was started anew since: then more than the torn record may be missing.
    """

    size: int
    other_boot: bool = False


class AccountDoubted(Fact, frozen=True, kw_only=True):
    """The journal does not explain an account (any more): it is HALTED until a person adopts it."""

    account: str
    reason: str


class AccountAdopted(Fact, frozen=True, kw_only=True):
    """A person takes the venue's word for a doubted account: the next start opens its books anew.

    What was latched is lost with the old journal, so the account is REDUCE_ONLY until it is resumed.
    """

    account: str
    who: str
    why: str


class AccountMoved(Fact, frozen=True, kw_only=True):
    """An account went on in another run, and all that is known of it with it; here it can never be traded again."""

    account: str
    to: str
    who: str
    why: str = ""


class StrategiesStarted(Fact, frozen=True, kw_only=True):
    """An input: strategies begin, on the state of an earlier run if `restored`.

    With `stand_by` none does: an account is in doubt, and only protection and a person act.
    """

    restored: bool = False
    stand_by: bool = False


class EngineStopping(Fact, frozen=True, kw_only=True):
    """An input: the run ends. Nothing new is opened, strategies stop, what is in flight may settle until `until_ns`.

    `leaves` says that no strategy's `on_exit` acts: a backtest leaves all as it stands, and values it.
    """

    reason: str = ""
    until_ns: int = 0
    leaves: bool = False


class StrategiesStopped(Fact, frozen=True, kw_only=True):
    """An input: strategies have seen their last event, and say what to remember."""


class InstrumentDefined(Fact, frozen=True, kw_only=True):
    """The rules of an instrument, from now on."""

    instrument: Instrument


class AccountOpened(Fact, frozen=True, kw_only=True):
    """The first snapshot of an account: totals by currency, and the currency that it is measured in.

    `contained` are the ids of recent fills that these totals already contain: told again, they are not booked.
    """

    account: str
    currency: str
    balances: Mapping[str, Decimal]
    contained: tuple[str, ...] = ()


class StreamChanged(Fact, frozen=True, kw_only=True):
    """The private stream of an account went down or came up."""

    account: str
    up: bool
    reason: str = ""


class FeedChanged(Fact, frozen=True, kw_only=True):
    """An input: the connection of a data stream broke, or is there again with all that is subscribed confirmed."""

    stream: str
    up: bool
    reason: str = ""


class KilledOutside(Fact, frozen=True, kw_only=True):
    """A process of its own killed the account at `at_ns`: `fairlead kill --standalone`.

    `canceled` are ids of orders, `closed` what it sent to close positions, `left` what it could not do, in words; they
    are complete when it was `done`.
    """

    account: str
    who: str
    why: str
    at_ns: int
    canceled: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    done: bool = False


class DeadManChanged(Fact, frozen=True, kw_only=True):
    """The account's venue cancels every order at `until_ns` unless it hears of the engine before; 0 for never."""

    account: str
    until_ns: int


class DeadManTripped(Fact, frozen=True, kw_only=True):
    """The account's venue was not told in time, and cancels every order."""

    account: str
    reason: str = ""


class FillsListed(Fact, frozen=True, kw_only=True):
    """The venue has listed all fills of an account that were there to see at `until_ns`, and they are booked."""

    account: str
    until_ns: int


class AccountRecovered(Fact, frozen=True, kw_only=True):
    """What happened on an account while no engine ran is known; until then nothing new is sent there.

    `unresolved` are orders that are still in doubt: the account may only reduce until they are resolved.
    """

    account: str
    unresolved: tuple[str, ...] = ()


# --- reconciliation -----------------------------------------------------------------------------------------


class DiscrepancyFound(Fact, frozen=True, kw_only=True):
    """Our books and the venue's differ, and nothing in flight explains it."""

    discrepancy: Discrepancy


class DiscrepancyResolved(Fact, frozen=True, kw_only=True):
    """What was decided about a discrepancy, and by whom; `adjustment` names what explains one."""

    discrepancy: str
    action: Action
    who: str
    adjustment: str = ""
    why: str = ""


class ResolutionEnded(Fact, frozen=True, kw_only=True):
    """What was owed for a DiscrepancyResolved, whose number is `resolution`, was sent, as `order`, or why not."""

    resolution: int
    order: str = ""
    why: str = ""


class DiscrepancyGone(Fact, frozen=True, kw_only=True):
    """The two agree again."""

    discrepancy: str


class OrderAdopted(Fact, frozen=True, kw_only=True):
    """An order is as its venue has it: one that nobody here placed is reserved for from now on, ours has new terms."""

    client_order_id: str
    intent: OrderIntent
    broker_order_id: str = ""
    filled_quantity: Decimal = Decimal(0)


# --- orders -----------------------------------------------------------------------------------------------------


class OrderDenied(Fact, frozen=True, kw_only=True):
    """The gate refused an intent; nothing was sent."""

    client_order_id: str
    intent: OrderIntent
    reasons: tuple[str, ...]


class OrderHeld(Fact, frozen=True, kw_only=True):
    """The engine keeps an order until its trigger, or until the orders in `after` have all ended."""

    client_order_id: str
    intent: OrderIntent
    after: tuple[str, ...] = ()


class OrderSubmitted(Fact, frozen=True, kw_only=True):
    """An approved order is about to be sent: written before it is on the wire."""

    client_order_id: str
    intent: OrderIntent
    quantity: Decimal
    deadline_ns: int
    reduce_only: bool = False


class OrderAccepted(Fact, frozen=True, kw_only=True):
    """The venue has it."""

    client_order_id: str
    broker_order_id: str = ""


NOT_ACCEPTED = "not_accepted"
"""The code of an OrderRejected that rests on proof: the venue does not have it, and takes it no more."""


class OrderRejected(Fact, frozen=True, kw_only=True):
    """The venue refused it, never got it (NOT_ACCEPTED), or it was never sent ("not_sent")."""

    client_order_id: str
    code: str = ""
    reason: str = ""


class OrderUnknown(Fact, frozen=True, kw_only=True):
    """Nobody knows whether it works: its answer was lost, or its venue does not know it any more."""

    client_order_id: str
    reason: str = ""


class OrderTriggered(Fact, frozen=True, kw_only=True):
    """A held order met its condition at this price; it waits for the end of the orders in `after`, if any."""

    client_order_id: str
    price: float
    after: tuple[str, ...] = ()


class OrderReleased(Fact, frozen=True, kw_only=True):
    """The orders that a held order waited for have ended."""

    client_order_id: str


class TrailMoved(Fact, frozen=True, kw_only=True):
    """A held trailing stop followed the price: `extreme` is the price it followed, `stop_price` where it stands."""

    client_order_id: str
    extreme: float
    stop_price: Decimal


class HeldResized(Fact, frozen=True, kw_only=True):
    """A held order, or one that its venue shrinks with another, now has this quantity."""

    client_order_id: str
    quantity: Decimal


class CancelRequested(Fact, frozen=True, kw_only=True):
    """A cancel is about to be sent; `expires` says that the engine ends the order because its time is over."""

    client_order_id: str
    expires: bool = False


class CancelRefused(Fact, frozen=True, kw_only=True):
    """The venue would not cancel."""

    client_order_id: str
    code: str = ""
    reason: str = ""


class ReplaceRequested(Fact, frozen=True, kw_only=True):
    """A change of an order in place is about to be sent: its `attempt`, and the terms; `quantity` is the total."""

    client_order_id: str
    attempt: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    deadline_ns: int


class OrderReplaced(Fact, frozen=True, kw_only=True):
    """It works on these terms; the venue may have given it another id."""

    client_order_id: str
    attempt: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    broker_order_id: str = ""


class ReplaceRefused(Fact, frozen=True, kw_only=True):
    """It stands as it did: the venue would not change it, never got the request (NOT_ACCEPTED), or it was not sent."""

    client_order_id: str
    attempt: int
    code: str = ""
    reason: str = ""


class OrderCanceled(Fact, frozen=True, kw_only=True):
    """It works no more."""

    client_order_id: str
    reason: str = ""


class OrderExpired(Fact, frozen=True, kw_only=True):
    """Its time ended."""

    client_order_id: str
    reason: str = ""


# --- money ------------------------------------------------------------------------------------------------------


class Filled(Fact, frozen=True, kw_only=True):
    """We traded. `reason` is empty where we ordered it, else what did (liquidation, ...).

    It is `inferred` where the venue told a cumulative quantity and listed no execution: the true one takes its place.
    `total` is what the order had filled with it, where the venue says.
    """

    fill: Fill
    reason: str = ""
    inferred: bool = False
    total: Decimal | None = None


class FillDisowned(Fact, frozen=True, kw_only=True):
    """The venue took an execution back that it had not told of yet: told later, it is not booked."""

    client_order_id: str
    fill_id: str


class FillReversed(Fact, frozen=True, kw_only=True):
    """The venue voided a fill; it is taken back exactly."""

    fill: Fill


class CashChanged(Fact, frozen=True, kw_only=True):
    """Money that no fill moved; `shares` splits it over the strategies whose positions caused it.

    `flow` is the amount in the account's currency where it is nobody's profit (a deposit, say), else 0. It is not
    `valued` while there is no rate: a FlowSettled tells later what it was.
    """

    account: str
    reason: str
    currency: str
    amount: Decimal
    flow: float = 0.0
    instrument: str = ""
    shares: Mapping[str, Decimal] = {}
    valued: bool = True


class FlowSettled(Fact, frozen=True, kw_only=True):
    """Cash in a currency that had come or gone without a rate has one: `flow` is its worth, as in CashChanged."""

    account: str
    currency: str
    amount: Decimal
    flow: float


class EquitySampled(Fact, frozen=True, kw_only=True):
    """Equity of an account at this moment's marks, and its deepest fall (a ratio) since the engine started.

    The fall is measured from the highest equity until then, cash flows taken out.
    """

    account: str
    equity: float
    drawdown: float


class HighWaterMark(Fact, frozen=True, kw_only=True):
    """Equity never seen before, rounded up on record so that a restart is never more lenient."""

    account: str
    equity: float


class DayStarted(Fact, frozen=True, kw_only=True):
    """A trading day of an account began, with this equity.

    `profits` are what each strategy had earned on each instrument until then, as (strategy, instrument, profit).
    """

    account: str
    day: str
    equity: float
    profits: tuple[tuple[str, str, float], ...] = ()


# --- strategies ---------------------------------------------------------------------------------------------------


class StrategySaved(Fact, frozen=True, kw_only=True):
    """What a strategy's `save()` returned, in msgpack."""

    strategy: str
    state: bytes


class StrategyHalted(Fact, frozen=True, kw_only=True):
    """A strategy gets no more events: it raised, blocked or awaited what it may not."""

    strategy: str
    reason: str


class StrategyFaulted(Fact, frozen=True, kw_only=True):
    """A strategy raised, and its error policy goes on."""

    strategy: str
    reason: str
    count: int


class StrategyPaused(Fact, frozen=True, kw_only=True):
    """A strategy, or each in `scope`, opens nothing new (or may again, where `paused` is false).

    `scope` is "engine", "account:NAME" or "instrument:ID"; empty where it is one strategy.
    """

    strategy: str
    paused: bool
    who: str = ""
    why: str = ""
    scope: str = ""


class TimerSet(Fact, frozen=True, kw_only=True):
    """A named, durable timer; `every_ns` repeats it, 0 fires once. `function` is what it calls, else `on_timer`."""

    strategy: str
    name: str
    due_ns: int
    every_ns: int = 0
    function: str = ""


class TimerCanceled(Fact, frozen=True, kw_only=True):
    """A named timer fires no more."""

    strategy: str
    name: str


class BarProgress(msgspec.Struct, frozen=True):
    """How far the bars of an interval have got: those begun, as (start in ns, open, high, low, close, volume).

    `source` is the feed that they are made of, `counted` what of its size a bar by count has, `done` the start of the
    newest time bar that is closed, in ns, -1 before the first.
    """

    instrument: str
    interval: str
    source: str
    begun: tuple[tuple[int, float, float, float, float, float], ...] = ()
    counted: float = 0.0
    done: int = -1


class BarState(Fact, frozen=True, kw_only=True):
    """The bars in progress that are made here, all of them; an input where the tape had more than the journal."""

    bars: tuple[BarProgress, ...]


class Asked(Fact, frozen=True, kw_only=True):
    """A strategy sent a question out; its answer comes back as an input."""

    strategy: str
    ask: int
    function: str


class Noted(Fact, frozen=True, kw_only=True):
    """A strategy or a part of the engine wrote something down."""

    source: str
    text: str


# --- breakers -------------------------------------------------------------------------------------------------------


class BreakerTripped(Fact, frozen=True, kw_only=True):
    """A breaker found its limit passed: what it measured, what it lowers trading to, and where.

    `action` is what is done besides, "cancel_entries", "flatten" or "reduce to 50%": a SweepStarted of the same input
    follows.
    """

    breaker: str
    reason: str
    state: TradingState
    scope: str
    action: str = ""


class BreakerHalfOpened(Fact, frozen=True, kw_only=True):
    """A tripped breaker's rule lets trading go on, one order that adds at a time; it is reset at `until_ns`.

    A trip before that is one like any other.
    """

    breaker: str
    scope: str
    until_ns: int


class BreakerReset(Fact, frozen=True, kw_only=True):
    """A tripped breaker is closed again, by its rule or by a person with a reason."""

    breaker: str
    who: str
    why: str
    scope: str = ""


class BreakerSaved(Fact, frozen=True, kw_only=True):
    """What a breaker must remember over a restart, in msgpack."""

    breaker: str
    state: bytes


class LimitChanged(Fact, frozen=True, kw_only=True):
    """A person changed a limit of a breaker; `configured` is what its configuration said then."""

    breaker: str
    limit: str
    old: str
    new: str
    configured: str
    who: str
    why: str


class StateChanged(Fact, frozen=True, kw_only=True):
    """The trading state of a scope changed."""

    scope: str
    state: TradingState
    reason: str = ""
    who: str = ""


class CommandAnswered(Fact, frozen=True, kw_only=True):
    """What a command with a request id was answered, in JSON: it is the answer to whoever asks the same again.

    `asked` is a digest of `verb` and its arguments: under this id nothing else can be asked for.
    """

    request: str
    command: int
    answer: str
    verb: str = ""
    asked: str = ""


class PositionTarget(msgspec.Struct, frozen=True):
    """The most, without its sign, that is to be left of a strategy's position."""

    account: str
    instrument: str
    strategy: str
    quantity: Decimal


class SweepStarted(Fact, frozen=True, kw_only=True):
    """The orders of a scope are withdrawn, as a person, a breaker or an `on_exit` wanted, until all is done.

    Restarts do not end it. `verb` is "cancel_all", "cancel_entries", "flatten", "reduce", "kill", "stop", or "exit" for
    a strategy's `on_exit`; `closes` says that what is held is closed too. A stop ends at `until_ns`, if that is not 0,
    whatever is left. Of a reduction `targets` are what may be left of the positions that there are; of any other
    position nothing may.
    """

    verb: str
    scope: str
    who: str
    why: str = ""
    closes: bool = False
    until_ns: int = 0
    targets: tuple[PositionTarget, ...] = ()


class SweepEnded(Fact, frozen=True, kw_only=True):
    """A sweep, named by the sequence number of its start, is over; `reason` says how it stood."""

    sweep: int
    reason: str = ""


class ClockStepped(Fact, frozen=True, kw_only=True):
    """The wall clock and the engine's clock parted by this many nanoseconds."""

    step_ns: int


class EngineLagged(Fact, frozen=True, kw_only=True):
    """The engine came to what was due this many nanoseconds late."""

    lag_ns: int


AnyFact = (
    ReportReceived
    | TimerFired
    | Commanded
    | Answered
    | EngineStarted
    | EngineStopped
    | JournalCut
    | AccountDoubted
    | AccountAdopted
    | AccountMoved
    | StrategiesStarted
    | EngineStopping
    | StrategiesStopped
    | InstrumentDefined
    | AccountOpened
    | StreamChanged
    | FeedChanged
    | KilledOutside
    | DeadManChanged
    | DeadManTripped
    | FillsListed
    | AccountRecovered
    | DiscrepancyFound
    | DiscrepancyResolved
    | ResolutionEnded
    | DiscrepancyGone
    | OrderAdopted
    | OrderDenied
    | OrderHeld
    | OrderSubmitted
    | OrderAccepted
    | OrderRejected
    | OrderUnknown
    | OrderTriggered
    | OrderReleased
    | TrailMoved
    | HeldResized
    | CancelRequested
    | CancelRefused
    | ReplaceRequested
    | OrderReplaced
    | ReplaceRefused
    | OrderCanceled
    | OrderExpired
    | Filled
    | FillDisowned
    | FillReversed
    | CashChanged
    | FlowSettled
    | EquitySampled
    | HighWaterMark
    | DayStarted
    | StrategySaved
    | StrategyHalted
    | StrategyFaulted
    | StrategyPaused
    | TimerSet
    | TimerCanceled
    | BarState
    | Asked
    | Noted
    | BreakerTripped
    | BreakerHalfOpened
    | BreakerReset
    | BreakerSaved
    | LimitChanged
    | StateChanged
    | CommandAnswered
    | SweepStarted
    | SweepEnded
    | ClockStepped
    | EngineLagged
)

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder: msgspec.msgpack.Decoder[AnyFact] = msgspec.msgpack.Decoder(AnyFact)


def encode(fact: Fact) -> bytes:
    """The journal's bytes of a fact."""
    return _encoder.encode(fact)


def decode(data: bytes) -> AnyFact:
    """The fact of the journal's bytes. Raises msgspec.ValidationError where they are none of ours."""
    return _decoder.decode(data)
