"""How often: orders, cancels, the same order, executions, and how many may be open."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable
from decimal import Decimal

from fairlead import ConfigurationError, Order, OrderIntent, OrderStatus, TradingState, duration
from fairlead.facts import BreakerReset, CancelRequested, Fact, Filled, OrderSubmitted, ReplaceRequested
from fairlead.ports import Trip, View
from fairlead_breakers._shared import by_person, in_doubt, protects
from fairlead_breakers.limits.rule import NumberRule, Rule, positive

_RATE = re.compile(r"\s*(\d[\d_]*)\s*/\s*(.+?)\s*")


class Recent:
    """The times at which something happened last: as many as a limit allows, for more are not needed to judge."""

    def __init__(self, most: int) -> None:
        self._times: deque[int] = deque(maxlen=most)

    def add(self, now: int) -> None:
        """It happened."""
        self._times.append(now)

    def resize(self, most: int) -> Recent:
        """The same for another limit."""
        other = Recent(most)
        other._times.extend(self._times)
        return other

    def past(self, now: int, window_ns: int) -> bool:
        """Whether all of it is too long ago to count."""
        return self._times[-1] <= now - window_ns

    def full(self, now: int, window_ns: int) -> bool:
        """Whether it happened as often as is allowed."""
        times = self._times
        return len(times) == times.maxlen and (not window_ns or times[0] > now - window_ns)


def _in_turn(view: View, window_ns: int) -> list[Order]:
    """What is remembered of a window, in the order in which it happened."""
    return sorted(view.recent(view.now - window_ns), key=lambda order: order.updated_ns)


class RateRule(Rule):
    """A rule whose setting is so many in any period: `"10/1s"`. What it counts stands in `_recent`, by `key`.

    While it is `stale` what it has counted is not enough for its setting: `resume` counts what is remembered.
    """

    stale = True

    def set(self, setting: object) -> None:
        """Take a rate over, and what was counted with it."""
        self.count, self.window_ns, self._text = self._read(setting)
        self._recent = {key: old.resize(self.count) for key, old in getattr(self, "_recent", {}).items()}
        self.stale = True

    def _read(self, setting: object) -> tuple[int, int, str]:
        match = _RATE.fullmatch(setting) if isinstance(setting, str) else None
        try:
            if match is None:
                raise ConfigurationError
            period = f"1{match[2]}" if match[2].isalpha() else match[2]
            window = duration(period)
        except ConfigurationError:
            raise ConfigurationError(
                f"{setting!r} is not a rate: write a count and a period, such as '10/1s'"
            ) from None
        if window <= 0:
            raise ConfigurationError(f"{setting!r} has no period: write for example '10/1s'")
        return int(positive(match[1], "'10/1s'")), window, f"{match[1]}/{period}"

    @property
    def text(self) -> str:
        """The rate."""
        return self._text

    def looser(self, setting: object) -> float:
        """How many times as many it lets through: the worse of the burst and of the mean."""
        count, window, _ = self._read(setting)
        more = count / self.count
        return max(more, more * self.window_ns / window)

    def over(self, fact: Filled, view: View) -> Trip | None:
        """Whether a fill that was counted already was one too many."""
        return None

    def key(self, intent: OrderIntent) -> Hashable:
        """What counts together."""
        return intent.account

    def count_one(self, intent: OrderIntent, now: int) -> None:
        """One more."""
        key = self.key(intent)
        recent = self._recent.get(key)
        if recent is None:
            self._forget(now)
            recent = self._recent[key] = Recent(self.count)
        recent.add(now)

    def _forget(self, now: int) -> None:
        """Keys that nothing in the window belongs to take no memory."""
        if len(self._recent) > 1_000:
            self._recent = {k: r for k, r in self._recent.items() if not r.past(now, self.window_ns)}

    def is_full(self, intent: OrderIntent, now: int) -> bool:
        """Whether one more is too many."""
        recent = self._recent.get(self.key(intent))
        return recent is not None and recent.full(now, self.window_ns)


class OrderRate(RateRule):
    """How many orders may be sent in a period (RTS 6 15(1)(d))."""

    what = "orders were sent"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Count those in the window. A person's reductions and what protects a position always pass."""
        if protects(intent) or by_person(intent) or not self.is_full(intent, view.now):
            return ""
        return f"{self.short}: {self.count} {self.what} within {self._text.partition('/')[2]}, and no more are allowed"

    def fold(self, fact: Fact, view: View) -> Trip | None:
        """An order was sent, or one was replaced in place: that is an order on new terms."""
        intent = fact.intent if isinstance(fact, OrderSubmitted) else None
        if isinstance(fact, ReplaceRequested) and (order := view.order(fact.client_order_id)) is not None:
            left = max(fact.quantity - order.filled_quantity, Decimal(0))
            intent = _on_new_terms(order.intent, left, fact)
        if intent is not None and self.scope.covers(intent, view):
            self.count_one(intent, fact.now)
        return None

    def resume(self, view: View) -> None:
        """Count the orders that are remembered, as if each was sent when last something happened to it."""
        self._recent.clear()
        for order in _in_turn(view, self.window_ns):
            if order.deadline_ns and self.scope.covers(order.intent, view):
                self.count_one(order.intent, order.updated_ns)


def _on_new_terms(intent: OrderIntent, quantity: Decimal, fact: ReplaceRequested) -> OrderIntent:
    fields = {name: getattr(intent, name) for name in intent.__struct_fields__}
    fields |= {"quantity": quantity, "limit_price": fact.limit_price, "stop_price": fact.stop_price}
    return OrderIntent(**fields)


class Identical(OrderRate):
    """How many orders of the very same terms may be sent in a period: a loop that repeats itself."""

    what = "orders of these very terms were sent"

    def key(self, intent: OrderIntent) -> Hashable:
        """All that makes two orders the same."""
        return (
            intent.account, intent.strategy, intent.instrument, intent.side, intent.type,
            intent.quantity, intent.limit_price, intent.stop_price,
        )  # fmt: skip


class CancelRate(OrderRate):
    """How many cancels may be sent in a period before new orders are refused: a cancel itself always passes.

    What was canceled before a restart, or before a rate with a larger count was set, is not counted.
    """

    what = "cancels were sent"

    def fold(self, fact: Fact, view: View) -> Trip | None:
        """A cancel was sent."""
        if isinstance(fact, CancelRequested):
            order = view.order(fact.client_order_id)
            if order is not None and self.scope.covers(order.intent, view):
                self.count_one(order.intent, fact.now)
        return None

    def resume(self, view: View) -> None:
        """Nothing is known of cancels from before this turn."""
        if not self._recent:
            for fact in view.facts(0):
                self.fold(fact, view)


class Executions(RateRule):
    """After so many executed orders a strategy is halted until a person resets it (RTS 6 15(3)).

    `"50"` counts for as long as the strategy runs, `"50/1d"` within a period. Exits that protect do not count, and an
    order counts once, however many parts it fills in. At most 1,000 are remembered over a restart.
    """

    def _read(self, setting: object) -> tuple[int, int, str]:
        if isinstance(setting, str) and "/" in setting:
            return super()._read(setting)
        count = positive(setting, "50")
        if count % 1:
            raise ConfigurationError(f"{count:f} is no count: write for example 50, or '50/1d'")
        return int(count), 0, f"{count:f}"

    def set(self, setting: object) -> None:
        """Take a count over."""
        super().set(setting)
        self.since: dict[str, int] = getattr(self, "since", {})
        """When a person reset each strategy's count."""
        self._counted: dict[str, deque[str]] = {}

    def looser(self, setting: object) -> float:
        """How many times as many."""
        count, window, _ = self._read(setting)
        more = count / self.count
        if bool(window) != bool(self.window_ns):
            return max(more, 2.0) if window else more
        return max(more, more * self.window_ns / window) if window else more

    def key(self, intent: OrderIntent) -> Hashable:
        """Each strategy by itself."""
        return intent.strategy

    def why(self, intent: OrderIntent, view: View) -> str:
        """Refuse one that is over, even before it is halted."""
        if protects(intent) or by_person(intent) or not self.is_full(intent, view.now):
            return ""
        return f"{self._said(intent.strategy)}: reset {intent.strategy} to go on"

    def _said(self, strategy: str) -> str:
        return f"{self.count} orders of {strategy} were executed, as many as {self.short}={self.text} allows"

    def fold(self, fact: Fact, view: View) -> Trip | None:
        """An order was executed, or a person reset the strategy."""
        if isinstance(fact, BreakerReset):
            kind, _, name = fact.scope.partition(":")
            if kind == "strategy":
                self.since[name] = fact.now
                self._recent.pop(name, None)
            return None
        if not isinstance(fact, Filled) or fact.reason:
            return None
        fill = fact.fill
        for order in view.recent(fact.now):
            if order.client_order_id == fill.client_order_id:
                return self._executed(order.intent, order.client_order_id, fact.now, view)
        return None

    def _executed(self, intent: OrderIntent, order: str, now: int, view: View) -> Trip | None:
        counted = self._counted.setdefault(intent.strategy, deque(maxlen=self.count))
        if order in counted or protects(intent) or not self.scope.covers(intent, view):
            return None
        counted.append(order)
        self.count_one(intent, now)
        return self._trip(intent.strategy, now)

    def over(self, fact: Filled, view: View) -> Trip | None:
        """The same, found after the count."""
        return self._trip(fact.fill.strategy, fact.now)

    def _trip(self, strategy: str, now: int) -> Trip | None:
        recent = self._recent.get(strategy)
        if recent is None or not recent.full(now, self.window_ns):
            return None
        return Trip(self._said(strategy), TradingState.HALTED, f"strategy:{strategy}")

    def resume(self, view: View) -> None:
        """Count the executed orders that are remembered, since the last reset."""
        self._recent.clear()
        self._counted.clear()
        for order in _in_turn(view, self.window_ns or view.now):
            if order.filled_quantity and order.updated_ns >= self.since.get(order.strategy, 0):
                self._executed(order.intent, order.client_order_id, order.updated_ns, view)


class OpenOrders(NumberRule):
    """How many orders may work at the venue at once; those that the engine holds are counted by themselves.

    A held order is judged again when it is sent, and is one of the held then: of them there may be one more.
    """

    whole = True
    example = "50"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Count those that are open, but for the exits that protect."""
        if protects(intent) or by_person(intent):
            return ""
        there = held = 0
        for order in self.scope.orders(intent.account, view):
            if order.client_order_id == intent.replaces:  # it is not there beside what takes its place
                continue
            if order.status is OrderStatus.HELD:
                held += not protects(order.intent)
            else:
                there += not protects(order.intent)
        if there < self.number and held <= self.number:
            return ""
        return f"{there} orders are open and {held} are held, and max_open_orders is {self.text}"

    def used(self, account: str, view: View) -> float | None:
        """How many work, over how many may."""
        working = (order.status is not OrderStatus.HELD for order in self.scope.orders(account, view))
        return sum(working) / self.most


class UnknownOrders(NumberRule):
    """How many orders may be in doubt at once before no new one is sent."""

    whole = True
    example = "1"

    def why(self, intent: OrderIntent, view: View) -> str:
        """Count those whose answer was lost, or that are being canceled before there was one."""
        if protects(intent) or by_person(intent):
            return ""
        orders = self.scope.orders(intent.account, view)
        there = sum(map(in_doubt, orders))
        return (
            ""
            if there < self.number
            else f"{there} orders are in doubt, and max_unknown_orders is {self.text}"
        )
