"""What several breakers need: settings that name their owner when they are wrong, and what counts as reducing."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from decimal import Decimal

from fairlead import ConfigurationError, Instrument, Money, Order, OrderIntent, OrderStatus, Side, percent
from fairlead.facts import Fact
from fairlead.ports import Bar, Book, Quote, Trade, View

NEAR = 1 - 1e-9
"""What is allowed beforehand stays this much within a limit: two ways to the same float may end a hair apart."""

Wants = tuple[type[Fact] | type[Quote] | type[Trade] | type[Bar] | type[Book] | str, ...]


@contextmanager
def setting(breaker: str, name: str) -> Iterator[None]:
    """Whatever is wrong with a setting inside is said of this breaker."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{breaker}: {name}: {error}") from None


def next_full(every: int, view: View) -> int:
    """When the next full `every` (ns) of engine time begins: looks there do not depend on when a run began."""
    return view.now - view.now % every + every


def ratio(text: str | float | Decimal) -> Decimal:
    """A part of the whole, neither none nor all of it."""
    value = percent(text)
    if not 0 < value < 1:
        raise ConfigurationError(f"{text!r} must be above 0% and below 100%: write it like '10%'")
    return value


def loss_limit(limit: str | Money) -> tuple[Decimal, Money | None]:
    """A limit on a loss: a part of the whole and no money, or money and no part. Raises ConfigurationError."""
    if isinstance(limit, str) and limit.strip().endswith("%"):
        return ratio(limit), None
    money = Money.parse(limit)
    if money.amount <= 0:
        raise ConfigurationError(f"{limit!r} must be above 0: write '2_000 USDT' or '5%'")
    return Decimal(0), money


def price_of(item: object) -> float | None:
    """The price that an event tells: the middle of a quote, of a bar its close; None for anything else."""
    if isinstance(item, Quote):
        return (item.bid + item.ask) * 0.5
    if isinstance(item, Trade):
        return item.price
    return item.close if isinstance(item, Bar) else None


def figure(value: float) -> str:
    """An amount for people: cents where they matter, all digits of small ones."""
    return f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.8g}"


def reduces(intent: OrderIntent, view: View) -> bool:
    """Whether an order passes where only reducing is allowed, judged like the gate: by its strategy's position.

    The gate refuses a reduce-only order that would do more, so the flag can be believed here.
    """
    return intent.reduce_only or shrinks(intent, view, intent.strategy)


def shrinks(intent: OrderIntent, view: View, strategy: str | None = None) -> bool:
    """Whether an order can only make a position smaller, whatever else of it that may still fill does.

    The position is a strategy's, or the whole account's. Of a group only one order fills, so it counts once;
    what the engine holds has not left for the venue and counts when it does.
    """
    held = view.position(intent.account, intent.instrument, strategy)
    if not held or (held > 0) == (intent.side is Side.BUY):
        return False
    leaving: dict[str, Decimal] = {}
    for order in view.orders(intent.account):
        if order.instrument != intent.instrument or order.side is not intent.side:
            continue
        if order.status is OrderStatus.HELD or (strategy is not None and order.strategy != strategy):
            continue
        if order.client_order_id == intent.replaces:
            continue
        key = order.intent.group or order.client_order_id
        if key != intent.group:
            leaving[key] = max(leaving.get(key, Decimal(0)), order.remaining_quantity)
    return intent.quantity + sum(leaving.values()) <= abs(held)


def lessens(intent: OrderIntent, view: View, strategy: str | None = None) -> bool:
    """Whether a position ends smaller than it is, even where an order goes through it to the other side.

    Of an account a strategy's exit may do that, where another one holds the other side.
    """
    held = view.position(intent.account, intent.instrument, strategy)
    if not held or (held > 0) == (intent.side is Side.BUY):
        return False
    long, short = view.reach(intent.account, intent.instrument, strategy, intent)
    return (short if held > 0 else long) < abs(held)


def protects(intent: OrderIntent) -> bool:
    """Whether an order carries out a stop, a take-profit or a person's flatten: it must get through."""
    return intent.reduce_only and bool(intent.parent or intent.sweep)


def by_person(intent: OrderIntent) -> bool:
    """Whether a person wants to reduce something."""
    return intent.reduce_only and bool(intent.who)


def in_doubt(order: Order) -> bool:
    """Whether nobody knows that an order is at its venue: a cancel that was sent after it changes nothing of that."""
    if order.status is OrderStatus.PENDING_CANCEL:
        return not order.broker_order_id and not order.filled_quantity
    return order.status is OrderStatus.UNKNOWN


def is_called(instrument: Instrument, names: Container[str]) -> bool:
    """Whether an instrument is among names, in its long form, its short one or its venue's own."""
    return instrument.id in names or instrument.symbol in names or instrument.native in names
