"""Execution styles: small objects that carry one order out by several, the same in a backtest and live.

A style is an attrs class with one method, `plan`, which looks at the work and says what to do next. It keeps no
state of its own: everything it needs is in the order, its children and the time, so a restart goes on where the
work stood. Pass one as `style=` to `buy` or `sell`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from typing import Protocol, runtime_checkable

import attrs

from fairlead._models.instrument import Instrument
from fairlead._models.orders import Order, Side
from fairlead.errors import ConfigurationError
from fairlead.units import Number, decimal, duration


@attrs.frozen
class Place:
    """Place a child order; without a price it is a market order."""

    quantity: Decimal
    limit_price: Decimal | None = None
    post_only: bool = False


@attrs.frozen
class Withdraw:
    """Cancel a child order."""

    order: Order


@attrs.frozen
class Again:
    """Ask for the plan again at this time (ns)."""

    at_ns: int


@attrs.frozen
class GiveUp:
    """Cancel what remains."""

    reason: str


Step = Place | Withdraw | Again | GiveUp


@attrs.frozen
class Work:
    """How far an order has got: its open children, what has filled, the market now.

    `waiting` is what neither filled nor stands in an open child. `tried` says whether a child was ever placed.
    """

    order: Order
    children: tuple[Order, ...]
    instrument: Instrument
    bid: float
    ask: float
    now: int
    tried: bool

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self.order.side

    @property
    def waiting(self) -> Decimal:
        """The quantity that is neither filled nor working."""
        working = sum((child.remaining_quantity for child in self.children), Decimal(0))
        return self.order.remaining_quantity - working

    def passive(self, offset: Decimal = Decimal(0)) -> Decimal:
        """A price on the order's own side of the market, `offset` (a ratio) further away."""
        if self.side is Side.BUY:
            return self.instrument.price_for(self.side, Decimal(repr(self.bid)) * (1 - offset))
        return self.instrument.price_for(self.side, Decimal(repr(self.ask)) * (1 + offset))


@runtime_checkable
class Style(Protocol):
    """One method; fields must be JSON-able, so that the style can be built again after a restart."""

    def plan(self, work: Work) -> Iterator[Step]:
        """What to do now. Called at the start, when a child changed, and at the times asked for by `Again`."""
        ...


def _ratio(text: Number) -> Decimal:
    """`"5bp"`, `"0.1%"` or a bare ratio."""
    cleaned = str(text).strip()
    if cleaned.endswith("bp"):
        return decimal(cleaned[:-2], "offset") / 10_000
    if cleaned.endswith("%"):
        return decimal(cleaned[:-1], "offset") / 100
    return decimal(text, "offset")


@attrs.frozen
class LimitAt:
    """One limit order, `offset` ("5bp", "0.1%") behind the best price of its own side."""

    offset: str = "0bp"

    def plan(self, work: Work) -> Iterator[Step]:
        """Place once; what the venue ends is ended."""
        if not work.tried:
            yield Place(work.order.quantity, work.passive(_ratio(self.offset)))
        elif not work.children:
            yield GiveUp("its limit order ended")


@attrs.frozen
class LimitThenMarket:
    """A limit order at the best price of its own side; what is left after `within` goes to the market."""

    within: str = "30s"
    offset: str = "0bp"

    def plan(self, work: Work) -> Iterator[Step]:
        """First patient, then not."""
        deadline = work.order.created_ns + duration(self.within)
        if work.now < deadline:
            if not work.tried:
                yield Place(work.order.quantity, work.passive(_ratio(self.offset)))
            yield Again(deadline)
            return
        for child in work.children:
            if child.limit_price is not None:
                yield Withdraw(child)
        if not work.children and work.waiting > 0:
            yield Place(work.waiting)


@attrs.frozen
class Chase:
    """A post-only order that follows the best price of its own side, looked at each `every`.

    What is left after `within` goes to the market, or is canceled with `then="cancel"`.
    """

    every: str = "5s"
    within: str = "2m"
    then: str = "market"

    def __attrs_post_init__(self) -> None:
        if self.then not in ("market", "cancel"):
            raise ConfigurationError(f"Chase(then={self.then!r}): write 'market' or 'cancel'")

    def plan(self, work: Work) -> Iterator[Step]:
        """Stay at the front of the queue."""
        deadline = work.order.created_ns + duration(self.within)
        if work.now >= deadline:
            yield from self._finish(work)
            return
        price = work.passive()
        for child in work.children:
            if child.limit_price != price:
                yield Withdraw(child)
        if not work.children and work.waiting > 0:
            yield Place(work.waiting, price, post_only=True)
        yield Again(min(work.now + duration(self.every), deadline))

    def _finish(self, work: Work) -> Iterator[Step]:
        for child in work.children:
            if child.limit_price is not None:
                yield Withdraw(child)
        if not work.children:
            yield Place(work.waiting) if self.then == "market" else GiveUp("the time for chasing is over")


@attrs.frozen
class TimeSlices:
    """Market orders of equal size, spread evenly `over` a time, the first at once."""

    slices: int = 5
    over: str = "5m"

    def __attrs_post_init__(self) -> None:
        if self.slices < 1:
            raise ConfigurationError(f"TimeSlices(slices={self.slices}): there must be at least one slice")

    def plan(self, work: Work) -> Iterator[Step]:
        """Bring what is filled and working up to what is due by now."""
        step = duration(self.over) // self.slices
        due = min((work.now - work.order.created_ns) // step + 1, self.slices)
        share = work.order.quantity * due / self.slices
        goal = work.order.quantity if due == self.slices else work.instrument.quantity(share)
        missing = goal - (work.order.quantity - work.waiting)
        if missing > 0:
            yield Place(missing)
        if due < self.slices:
            yield Again(work.order.created_ns + due * step)


def describe(style: Style) -> str:
    """A style as JSON, to be built again from."""
    kind = type(style)
    if not attrs.has(kind):
        raise ConfigurationError(
            f"style {kind.__qualname__} is no attrs class: decorate it with @attrs.frozen"
        )
    fields = {field.name: getattr(style, field.name) for field in attrs.fields(kind)}
    return json.dumps({"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}, sort_keys=True)


def rebuild(text: str) -> Style:
    """The style of its JSON. Raises ConfigurationError where its class is gone."""
    described = json.loads(text)
    module, _, name = described["class"].partition(":")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise ConfigurationError(
            f"style {described['class']} is not there any more: an open order needs it"
        ) from None
    style: Style = kind(**described["fields"])
    return style
