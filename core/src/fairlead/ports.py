"""The ports: narrow typed protocols that plugins fill, and the values that pass through them.

A plugin is an object with the right methods; nothing is inherited. `send`, `market` and every `emit` are plain
functions that neither block nor raise, `profile` and `name` are data, what waits is a coroutine. Whatever runs
in another thread enters by `loop.call_soon_threadsafe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Protocol, runtime_checkable

import attrs
import msgspec

from fairlead._models.accounts import Position, TradingState
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar, Book, Funding, Mark, MarketEvent, Quote, Trade
from fairlead._models.orders import Order, OrderIntent
from fairlead._models.reconciliation import Action, Discrepancy, DiscrepancyKind, Resolution, Severity
from fairlead._models.reports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
    AccountChanged,
    Canceled,
    CancelRejected,
    DeadManFired,
    DeadManSet,
    Expired,
    FillReport,
    FillVoided,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replaced,
    ReplaceRejected,
    Report,
    StreamDown,
    StreamUp,
    Triggered,
)
from fairlead._models.venue import (
    ArmDeadMan,
    Cancel,
    CancelAll,
    Command,
    OrderReport,
    RateLimit,
    Replace,
    Snapshot,
    Submit,
    VenueProfile,
)
from fairlead._strategy.styles import Again, GiveUp, Place, Step, Style, Withdraw, Work
from fairlead.errors import ConfigurationError
from fairlead.facts import Fact
from fairlead.units import percent

API_VERSION = 1
"""The version of these ports; it rises when a plugin that worked would work no more."""


class Handle(Protocol):
    """Something scheduled that can be taken back."""

    def cancel(self) -> None:
        """Never run it; harmless to repeat."""
        ...


@runtime_checkable
class Clock(Protocol):
    """The one clock of an engine: integer nanoseconds UTC, never backwards."""

    def now(self) -> int:
        """The time now."""
        ...

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Handle:
        """Run `callback` once, at `when_ns` or as soon after as can be; ties run in the order they were asked for.

        What is called this way runs before strategies' timers and market events of the same moment.
        """
        ...


@runtime_checkable
class Time(Protocol):
    """A source of time, which an engine's plugins may replace: integer nanoseconds UTC, never backwards."""

    def now(self) -> int:
        """The time now."""
        ...

    def reach(self, when_ns: int) -> None:
        """Something due at `when_ns` is about to run: a time that is moved by hand moves there."""
        ...

    def delay(self, when_ns: int) -> float:
        """Real seconds until `when_ns`; 0 or less when it is due."""
        ...


@attrs.frozen
class Subscription:
    """One feed of one instrument: `kind` is quote, trade, book, mark, funding or `bar:INTERVAL`."""

    instrument: str
    kind: str


@runtime_checkable
class BrokerAdapter(Protocol):
    """An account at a venue. Its answers to `send` are reports, given to `emit` whenever they come.

    Off paper it needs `fingerprint`, a plain text of letters, digits and `. _ -` that is the same for one account of
    the venue under whatever name, and never for two: a digest of the venue's id for it, say. It is the key of the lock
    that keeps a second engine out, and the engine starts without it on paper only (where its name serves).

    What a broker may have besides, all plain: `endpoints()`, the addresses that it connects to (URLs or
    `host:port`), so that `fairlead doctor` can try them. One that simulates also has `market(event)`, called before
    the kernel gets the event; `learn(instrument)`, called with every instrument of the streams before it is asked for
    its own; and `persist(folder)`, called before `connect` in a live run, with the folder that is to hold its books.
    """

    @property
    def name(self) -> str:
        """The account's name, unique in an engine; it stands in the facts, so it should not change."""
        ...

    @property
    def profile(self) -> VenueProfile:
        """What the venue promises and can do; the engine obeys it."""
        ...

    async def instruments(self) -> Sequence[Instrument]:
        """What can be traded, with exact rules. Raises ConnectivityError or VenueError."""
        ...

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Open the private stream; from its return on, reports arrive. Raises ConnectivityError or VenueError.

        Called again after a StreamDown, ever later, until it succeeds and a StreamUp is reported: the adapter itself
        tries nothing. A connection that is still open is closed first.
        """
        ...

    def send(self, command: Command) -> None:
        """Write a command once, checking its deadline against the clock last of all; never raise, never block."""
        ...

    async def snapshot(self) -> Snapshot:
        """The account as the venue sees it; a part that could not be had is None."""
        ...

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, OrderReport | None]:
        """What the venue knows of these orders; None where it knows none, absent where it could not be asked."""
        ...

    async def fills(self, since_ns: int) -> Sequence[FillReport]:
        """Our executions since then, oldest first."""
        ...

    async def close(self) -> None:
        """Leave in good order; harmless to repeat."""
        ...


@runtime_checkable
class DataStream(Protocol):
    """A source of market events: quotes, trades, bars, books, marks and funding as `fairlead.ports` has them.

    An event of any other type, a subclass included, is refused and noted in the stream's name.

    What a stream may have besides:

    - `replay(subscriptions) -> Iterator[MarketEvent]`, see `Replayable`: it can be read at once and without a
      loop, so it can serve a backtest.
    - `time()`, plain: the time that a recording brings, an object with `start_ns` (ns UTC) and `speed` (a factor
      on real time; None is as fast as possible). None where it runs on the clock on the wall.
    - `resume(after_ns)`, plain: called after `connect` where a run goes on, with the time of its last fact; what
      came until then has been seen.
    - `on_end`, an attribute that the engine sets to a function without arguments; the stream calls it once after
      its last event. The run ends when every stream that has an `on_end` has called it. `exhausted` says
      whether it has.
    - `endpoints()`, plain: the addresses that it connects to, URLs or `host:port`, for `fairlead doctor` to try.
    - `on_down`, an attribute that the engine sets to a function of a reason; the stream calls it when its connection
      broke. Then, and after `silence` (a duration, `"60s"` unless it says so) without any data, the engine calls
      `connect` and `subscribe` again, ever later, until all is confirmed. The stream itself tries nothing.
    - `label`, a text for people: what these data are. It stands in the wiring table and in results.
    - `settle`, ns or a duration such as `"500ms"`: how long after its end a time bar made from this feed waits for
      late prints; without it bars close at their end, as a file's do.
    """

    @property
    def name(self) -> str:
        """Its name, unique in an engine."""
        ...

    async def instruments(self) -> Sequence[Instrument]:
        """What it can serve."""
        ...

    def offers(self, instrument: str) -> tuple[str, ...]:
        """The kinds of feed it has for an instrument's symbol or long form, finest first; empty if none."""
        ...

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Open the feed. Raises ConnectivityError."""
        ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Ask for feeds; returns those the source has confirmed. The engine asks for the others again, ever later."""
        ...

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of them: nobody watches them any longer. They may be subscribed again later."""
        ...

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """What happened in [start_ns, end_ns), oldest first; empty where the source keeps none.

        While the engine runs it gives up after 20 s, and asks again with twice as much time at each try.
        """
        ...

    async def close(self) -> None:
        """Leave in good order; harmless to repeat."""
        ...


@runtime_checkable
class Replayable(Protocol):
    """A stream that can be read without a loop, as fast as the reader goes."""

    def replay(self, subscriptions: Sequence[Subscription]) -> Iterator[MarketEvent]:
        """The events of these feeds in the order of `received_ns`, each on the engine's own instrument names."""
        ...


_REDUCE_TO = "reduce to "


def reduction(action: str) -> Decimal | None:
    """The share of "reduce to 50%", which is above 0 and below 1; None for an action that is no reduction.

    Raises ConfigurationError.
    """
    if not action.startswith(_REDUCE_TO):
        return None
    try:
        found = percent(action.removeprefix(_REDUCE_TO))
    except ConfigurationError:
        found = Decimal(0)
    if not 0 < found < 1:
        raise ConfigurationError(
            f"{action!r}: the share is a percentage above 0% and below 100%: write 'reduce to 50%'"
        )
    return found


def _is_action(_trip: Trip, _attribute: attrs.Attribute[str], action: str) -> None:
    try:
        known = action in ("", "cancel_entries", "flatten") or reduction(action) is not None
    except ConfigurationError as error:
        raise ValueError(f"action {error}") from None
    if not known:
        raise ValueError(f"action {action!r} is none: write 'cancel_entries', 'flatten' or 'reduce to 50%'")


@attrs.frozen
class Trip:
    """A breaker's finding.

    `state` is what trading is lowered to; None refuses the one order that was checked and changes nothing
    else. `scope` is "engine", "account:NAME", "strategy:NAME" or "instrument:ID"; "" means the account of the
    intent or event in hand. `action` is what a trip does besides, in its scope: "cancel_entries" withdraws the orders
    that could open or add, "flatten" withdraws all and closes what is held, and "reduce to 50%" withdraws what could
    open or add and reduces positions, the riskiest first, until what is left of their gross value is that share, at the
    prices of the trip. All go on until done, restarts included. Raises ValueError for another.
    """

    reason: str
    state: TradingState | None = attrs.field(default=None, converter=attrs.converters.optional(TradingState))
    scope: str = ""
    action: str = attrs.field(default="", validator=_is_action)


class Allowance(msgspec.Struct, frozen=True):
    """What a breaker's `check` has nothing against: every order that stays within all four.

    `value` is the most that one may be worth, in the account's currency; `leverage` the most of equity that the
    account's worst-case exposure may be with it, and `exposure` the most that this may be in money; `age_ns` how old
    at most what gave its instrument's mark may be.
    """

    value: float = inf
    leverage: float = inf
    age_ns: float = inf
    exposure: float = inf


@attrs.frozen
class Reference:
    """What a setting of a breaker names: a "currency", a "strategy", an "instrument", a "base" or a "venue"."""

    setting: str
    kind: str
    name: str


@attrs.frozen
class Calm:
    """Bounds of an instrument's market within which a breaker's `watch` would find nothing, and its `check` neither.

    An event lies within when the engine's time is before `until_ns`, the price (the middle of a quote, the price of a
    trade) and the instrument's mark are neither below `low` nor above `high`, ask less bid of a quote is at most
    `spread` (like the prices, in the quote currency), and it was received at most `early_ns` before its own time and
    at most `late_ns` after it.
    """

    low: float = 0.0
    high: float = inf
    spread: float = inf
    until_ns: float = inf
    early_ns: float = inf
    late_ns: float = inf


class View(Protocol):
    """What a breaker may look at: the account's state and the market, read only, as of now.

    Money that depends on a mark is a float in the account's currency; None means that it is not known
    (no price or no conversion rate yet), which a breaker must not take for "fine".
    """

    @property
    def now(self) -> int:
        """The engine's time."""
        ...

    def accounts(self) -> Sequence[str]:
        """The accounts there are."""
        ...

    def currency(self, account: str) -> str:
        """The currency that the account is measured in."""
        ...

    def equity(self, account: str) -> float | None:
        """Cash and open profit at the marks of this moment."""
        ...

    def day_start(self, account: str) -> float | None:
        """Equity when the trading day began, cash flows since then added."""
        ...

    def high_water(self, account: str) -> float | None:
        """The highest equity there was."""
        ...

    def exposure(self, account: str) -> float | None:
        """The worst-case gross value of positions, working and unknown orders."""
        ...

    def value(self, intent: OrderIntent) -> float | None:
        """What an order is worth at the worse of its own price and the mark, in the account's currency."""
        ...

    def exposure_with(self, intent: OrderIntent) -> float | None:
        """`exposure` as it would be if this order were working too."""
        ...

    def margin(self, account: str) -> float | None:
        """The initial margin that `exposure` takes, each instrument's own; spot is paid for, and takes none."""
        ...

    def margin_with(self, intent: OrderIntent) -> float | None:
        """`margin` as it would be if this order were working too."""
        ...

    def instrument(self, name: str) -> Instrument:
        """The rules of an instrument, by its long form. Raises KeyError for one that is not traded here."""
        ...

    def price(self, intent: OrderIntent) -> float | None:
        """Its own limit or stop price, else what it would trade at now; in the instrument's quote currency."""
        ...

    def market_value(self, account: str, instrument: str, quantity: Decimal) -> float | None:
        """What a quantity of an instrument is worth at its mark, in the account's currency."""
        ...

    def reach(
        self, account: str, instrument: str, strategy: str | None = None, more: OrderIntent | None = None
    ) -> tuple[Decimal, Decimal]:
        """How long and how short (as a positive quantity) a position can get, of the account or of one strategy.

        All that works or is in doubt counts, of linked orders the largest, and `more` as if it were working too.
        """
        ...

    def mark(self, instrument: str) -> float | None:
        """The price that values a position."""
        ...

    def age(self, instrument: str) -> int | None:
        """Nanoseconds since what gave its mark was received; None before the first."""
        ...

    def cadence(self, instrument: str) -> int:
        """How far apart its events are by nature: the interval of its bars, 0 for ticks."""
        ...

    def watched(self) -> Sequence[str]:
        """The instruments that strategies watch: the same object for as long as they are the same."""
        ...

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Decimal:
        """Signed quantity, of the whole account or of one strategy."""
        ...

    def positions(self, account: str) -> Sequence[Position]:
        """The open virtual positions."""
        ...

    def orders(self, account: str) -> Sequence[Order]:
        """Orders that may still fill."""
        ...

    def recent(self, since_ns: int) -> Sequence[Order]:
        """Orders to which anything happened since then, however they ended: open ones, and at most 1,000 more."""
        ...

    def facts(self, after: int) -> Sequence[Fact]:
        """The facts of the turn in hand after the one with this `seq`, whether `watch` has seen them yet or not.

        What is counted from facts is behind by one turn without it: a turn may place any number of orders.
        """
        ...

    def order(self, client_order_id: str) -> Order | None:
        """An order by our id, open or closed not long ago; None where it is not known (any more)."""
        ...


EQUITY = "equity"
"""In `CircuitBreaker.wants`: call `watch` whenever the equity of an account changed."""


@runtime_checkable
class CircuitBreaker(Protocol):
    """A limit that holds.

    `wants` lists what `watch` is called with: fact types, market event types, or `EQUITY` (the item is then the
    account's name). A breaker may also have `due(view) -> int`, the time at which it wants to look next:
    `watch(None, view)` is called then, and `due` asked again after each look and each fact that it wanted
    (a `due` that is never ahead of now trips the breaker, until a person resets it);
    `clean(scope, view) -> bool`, which resets what it tripped (asked at each
    look and before each order; without it only a person does); `probe(scope, view) -> int`, for how many ns that reset
    leaves it half-open first: one order that adds may work at a time, and another trip is like the first; and
    `save() -> bytes`, `load(bytes)` for what must
    survive a restart: what `save` returns is written down with each trip, and whenever it is another after a look
    or a fact that it wanted. One that wants EQUITY may have `quiet(account, view) -> (low, high)`: while
    equity stays between the two, and no fact moves its limit, `watch` and `check` have nothing to find and are not
    called. One whose `check` only compares may have `allows(account, instrument, view) -> Allowance | None`, asked
    once for each account and instrument: orders within it are never shown to `check`, as long as equity is known and
    quiet. A class that brings a `check` of its own and inherits `allows` is always asked.

    One that wants quotes or trades may have `calm(instrument, view) -> Calm | None`, asked after such an event of the
    instrument was shown; None shows each to it. While quotes and trades stay within what all such breakers call calm
    they are held back from them, and orders of the instrument are not shown to `check` (equity being known and quiet,
    and the order within what others allow). The first event that does not, and any other that one of them wants, ends
    the calm: of each kind `watch` sees the lowest, the highest and, after these, the last of what was held back, with
    the present `view`, then this one; and `calm` is asked anew. So a range, the last price and the last time lose
    nothing; a sum or a count would, and has no `calm`. A fact that it wanted, a look and the change of a limit end the
    calm with the next event. A class that brings a `watch` (`check`) of its own and inherits `calm` sees every event
    (order).

    A breaker whose limits a person may change while it runs has `limits() -> Mapping[str, str]`, each by its name;
    `looser(name, text) -> float`, by what factor a new one lets more through, which raises ConfigurationError for what
    makes no sense; and `change(name, text)`. The engine writes each change down and makes it again after a restart.
    With `used(account, view) -> Mapping[str, float | None]` the part of each that is used stands in `fairlead risk`.

    One whose settings name something may have `refers() -> Iterable[Reference]`: a strategy that there is not, and a
    currency that no account is kept in, refuse the engine; of an instrument, a base or a venue that nobody lists it
    warns.

    Real money needs a breaker whose `guards`, a tuple of texts, has "daily_loss", and one whose `guards` has
    "stale_data": that is how one says what it is there for.
    """

    @property
    def name(self) -> str:
        """Its name, unique in an engine; trips are kept under it, so it should not change."""
        ...

    @property
    def wants(self) -> Sequence[type[Fact] | type[Quote] | type[Trade] | type[Bar] | type[Book] | str]:
        """What `watch` is called with; a class attribute `wants = (EQUITY,)` will do."""
        ...

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Judge one order before it is sent; a Trip refuses it, an exception does too.

        It changes nothing by itself: it is asked as well about orders that a person only has checked.
        """
        ...

    def watch(self, item: Fact | MarketEvent | str | None, view: View) -> Trip | None:
        """See one thing happen; a Trip with a state trips the breaker, an exception does too."""
        ...


@runtime_checkable
class Reconciler(Protocol):
    """Decides what is done about a difference between our books and a venue's.

    A pure function: it may look, and must not trade, wait or remember. Reconcilers are asked in the user's order, and
    the first that does not answer None decides; where none does, the difference is told and nothing else.
    """

    @property
    def name(self) -> str:
        """Its name, unique in an engine; decisions are written down under it."""
        ...

    @property
    def every_ns(self) -> int:
        """How often accounts are compared, in ns; 0 is as often as their venues' profiles say."""
        ...

    def resolve(self, discrepancy: Discrepancy, view: View) -> Resolution | None:
        """What to do about one difference; None leaves it to the next reconciler."""
        ...


@runtime_checkable
class Lease(Protocol):
    """The exclusive right to trade the accounts of an engine.

    The lock on an account's home is one that every engine has. Another one, put among the plugins, holds besides:
    then nothing leaves after its deadline that was not renewed.
    """

    def acquire(self) -> tuple[int, int | None]:
        """Take it: the new epoch, and the deadline in ns if it has one. Raises LeaseLost if another holds it."""
        ...

    async def renew(self) -> int | None:
        """Extend it: the new deadline. Raises LeaseLost where it is lost; anything else is tried again until then."""
        ...

    def release(self) -> None:
        """Give it back; harmless to repeat."""
        ...


__all__ = [
    "API_VERSION",
    "DUPLICATE_ID",
    "EQUITY",
    "UNKNOWN_ORDER",
    "Accepted",
    "AccountChanged",
    "Action",
    "Again",
    "Allowance",
    "ArmDeadMan",
    "Bar",
    "Book",
    "BrokerAdapter",
    "Calm",
    "Cancel",
    "CancelAll",
    "CancelRejected",
    "Canceled",
    "CircuitBreaker",
    "Clock",
    "Command",
    "DataStream",
    "DeadManFired",
    "DeadManSet",
    "Discrepancy",
    "DiscrepancyKind",
    "Expired",
    "FillReport",
    "FillVoided",
    "Funding",
    "GiveUp",
    "Handle",
    "Lease",
    "Mark",
    "MarketEvent",
    "NotSent",
    "OrderReport",
    "OutcomeUnknown",
    "Place",
    "Quote",
    "RateLimit",
    "Reconciler",
    "Reference",
    "Rejected",
    "Replace",
    "ReplaceRejected",
    "Replaced",
    "Replayable",
    "Report",
    "Resolution",
    "Severity",
    "Snapshot",
    "Step",
    "StreamDown",
    "StreamUp",
    "Style",
    "Submit",
    "Subscription",
    "Time",
    "Trade",
    "Triggered",
    "Trip",
    "VenueProfile",
    "View",
    "Withdraw",
    "Work",
    "reduction",
]
