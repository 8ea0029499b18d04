"""Every hard check on orders in one object: defaults, and tables for instruments, groups and strategies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Any

from fairlead import ConfigurationError, Money, OrderIntent
from fairlead.facts import BreakerReset, CancelRequested, Fact, Filled, OrderSubmitted, ReplaceRequested
from fairlead.ports import Allowance, Reference, Trip, View
from fairlead_breakers._shared import Wants, next_full, setting
from fairlead_breakers.limits import exposure, likeness, permission, position, price, rate, size, stops
from fairlead_breakers.limits.hours import TradingHours
from fairlead_breakers.limits.rule import AmountRule, Rule
from fairlead_breakers.limits.scopes import Scope, group_scope, instrument_scope, strategy_scope

_ACCOUNT, _STRATEGY = "account", "strategy"

_KINDS: dict[str, tuple[type[Rule], str]] = {
    "max_order_value": (size.OrderValue, ""),
    "max_order_quantity": (size.OrderQuantity, ""),
    "price_collar": (price.PriceCollar, ""),
    "max_position_quantity": (position.PositionQuantity, ""),
    "max_position_value": (position.PositionValue, ""),
    "max_positions": (position.Positions, ""),
    "max_exposure": (exposure.Exposure, ""),
    "max_net_exposure": (exposure.NetExposure, ""),
    "max_leverage": (exposure.Leverage, _ACCOUNT),
    "max_margin": (exposure.Margin, _ACCOUNT),
    "min_free": (exposure.FreeFunds, _ACCOUNT),
    "max_open_orders": (rate.OpenOrders, ""),
    "max_unknown_orders": (rate.UnknownOrders, ""),
    "max_order_rate": (rate.OrderRate, ""),
    "max_cancel_rate": (rate.CancelRate, ""),
    "max_identical": (rate.Identical, ""),
    "max_executions": (rate.Executions, _STRATEGY),
    "restricted": (permission.Restricted, ""),
    "allowed": (permission.Allowed, ""),
    "hours": (permission.Hours, ""),
    "long_only": (position.LongOnly, ""),
    "require_stop": (stops.RequireStop, ""),
    "min_stop": (stops.MinStop, ""),
    "max_stop": (stops.StopDistance, ""),
    "max_risk": (stops.RiskPerTrade, ""),
    "max_correlation": (likeness.Correlation, ""),
}
"""Each limit, and where it can stand besides the defaults: everywhere, nowhere (account) or at a strategy only."""

_REPLACED = frozenset(
    {
        "max_order_value", "max_order_quantity", "price_collar", "max_position_quantity", "max_position_value",
        "hours", "min_stop", "max_stop", "max_risk",
    }
)  # fmt: skip
"""Limits of one order or one position: an instrument's own entry takes the place of the default."""

_COUNTING = (OrderSubmitted, ReplaceRequested, CancelRequested, Filled, BreakerReset)

Table = Mapping[str, Any]
Tables = Mapping[str, Mapping[str, Any]]


class Limits:
    """Refuses orders that go beyond a limit; all limits that are given are checked, and every reason is told.

    The defaults hold for all orders. `instruments`, `groups` and `strategies` are tables of the same limits by name,
    which hold besides, and count what is in them together; only where a limit is of one order or one position, an
    instrument's own entry takes the place of the default. A group is `base:BTC`, `venue:binance` or `tag:breakout`,
    or any name with `members=[...]`.

    What is worth something is money in the account's currency or a part of equity (`"25%"`); rates are `"10/1s"`.
    Positions and exposures are worst cases: what works or is in doubt counts as filled. Orders that only reduce pass
    where that is not about the order itself, and exits that protect a position are never refused. What is not known
    is not fine.

    - Of one order: `max_order_value`, `max_order_quantity`, `price_collar` (how far through the mark it may be priced,
      market orders too), `require_stop`, `min_stop` and `max_stop` (distance of the stop_loss), `max_risk` (what is
      lost at it).
    - Of a position: `max_position_value`, `max_position_quantity`, `max_positions` (how many), `long_only`,
      `max_correlation` (of an entry with what is held).
    - Of the account: `max_leverage`, `max_exposure` (gross; at a strategy, its budget), `max_net_exposure`,
      `max_margin` (part of equity), `min_free` (funds that stay).
    - How often: `max_order_rate`, `max_cancel_rate`, `max_identical` (orders of the same terms), `max_open_orders`,
      `max_unknown_orders`, `max_executions` (then the strategy is halted until a person resets it).
    - Whether at all: `restricted`, `allowed` (lists of instruments), `hours` (`TradingHours`, or its text:
      `"mon-fri 09:30-16:00 America/New_York"`, in UTC where it names no zone).

    Amounts, numbers and rates may be changed by a person while it runs. Raises ConfigurationError.
    """

    def __init__(
        self,
        max_order_value: str | Money | None = None,
        max_leverage: float | str | Decimal | None = None,
        name: str = "Limits",
        *,
        max_order_quantity: float | str | Decimal | None = None,
        price_collar: float | str | Decimal | None = None,
        max_position_quantity: float | str | Decimal | None = None,
        max_position_value: str | Money | None = None,
        max_positions: int | None = None,
        max_exposure: str | Money | None = None,
        max_net_exposure: str | Money | None = None,
        max_margin: float | str | Decimal | None = None,
        min_free: str | Money | None = None,
        max_open_orders: int | None = None,
        max_unknown_orders: int | None = None,
        max_order_rate: str | None = None,
        max_cancel_rate: str | None = None,
        max_identical: str | None = None,
        max_executions: int | str | None = None,
        restricted: Sequence[str] = (),
        allowed: Sequence[str] = (),
        hours: TradingHours | str | Mapping[str, Any] | None = None,
        long_only: bool = False,
        require_stop: bool = False,
        min_stop: float | str | Decimal | None = None,
        max_stop: float | str | Decimal | None = None,
        max_risk: str | Money | None = None,
        max_correlation: float | str | Decimal | None = None,
        instruments: Tables | None = None,
        groups: Tables | None = None,
        strategies: Tables | None = None,
    ) -> None:
        given = {key: value for key, value in locals().items() if key in _KINDS}
        self.name = name
        self._rules: list[Rule] = []
        own = instruments or {}
        for key, value in given.items():
            without = frozenset(
                symbol for symbol, table in own.items() if key in _REPLACED and _is_said(table.get(key))
            )
            self._add("", Scope(without=without), key, value, "")
        for symbol, table in own.items():
            self._add_table(f"instruments.{symbol}.", "instrument", table, lambda: instrument_scope(symbol))  # noqa: B023
        for group, table in (groups or {}).items():
            members = table.get("members", ())
            rest = {key: value for key, value in table.items() if key != "members"}
            self._add_table(f"groups.{group}.", "group", rest, lambda: group_scope(group, members))  # noqa: B023
        for strategy, table in (strategies or {}).items():
            self._add_table(f"strategies.{strategy}.", _STRATEGY, table, lambda: strategy_scope(strategy))  # noqa: B023
        if not self._rules:
            raise ConfigurationError(
                f"{name} limits nothing: give max_order_value, max_leverage or another limit"
            )
        self._by_name = {rule.name: rule for rule in self._rules}
        self._counting = [rule for rule in self._rules if isinstance(rule, rate.RateRule)]
        self._likeness = [rule for rule in self._rules if isinstance(rule, likeness.Correlation)]
        self._seen = -1
        """The last fact that was counted; before the first, nothing was."""
        self.wants: Wants = _COUNTING if self._counting else ()
        if self._likeness:  # the engine looks for `due`; without it nothing is looked at between orders
            self.due = self._due
        if any(isinstance(rule, rate.Executions) for rule in self._counting):
            self.save, self.load = self._save, self._load

    def _add_table(self, prefix: str, what: str, table: Table, scope: Callable[[], Scope]) -> None:
        with setting(self.name, prefix[:-1]):
            for key in table:
                if key not in _KINDS:
                    raise ConfigurationError(f"there is no limit {key!r}: write one of {', '.join(_KINDS)}")
            found = scope()
        for key, value in table.items():
            self._add(prefix, found, key, value, what)

    def _add(self, prefix: str, scope: Scope, key: str, value: object, what: str) -> None:
        if not _is_said(value):
            return
        kind, where = _KINDS[key]
        with setting(self.name, prefix + key):
            if what and where and where != what:
                only = "a strategy" if where == _STRATEGY else "the account as a whole"
                raise ConfigurationError(f"this is a limit of {only}: write it there")
            if scope.tag and not kind.of_orders:
                raise ConfigurationError(
                    "a tag is of orders, and positions have none: use members or a strategy"
                )
            self._rules.append(kind(prefix + key, scope, value))

    def refers(self) -> Iterable[Reference]:
        """The currencies, instruments, bases, venues and strategies that its settings name."""
        for rule in self._rules:
            yield from rule.refers()

    # --- judging ---------------------------------------------------------------------------------------------

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse an order above any limit, with all the figures; it changes no trading state."""
        if self._counting:
            self._catch_up(view)
        found = []
        for rule in self._rules:
            if rule.scope.covers(intent, view):
                why = rule.why(intent, view)
                if why:
                    found.append(why + rule.scope.words)
        return Trip("; ".join(found)) if found else None

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """What is within all limits; nothing can be told beforehand where one must see each order."""
        value = leverage = most = inf
        for rule in self._rules:
            said = rule.allows(account, instrument, view)
            if said is None:
                return None
            value, leverage = min(value, said.value), min(leverage, said.leverage)
            most = min(most, said.exposure)
        return Allowance(value=value, leverage=leverage, exposure=most)

    def watch(self, item: object, view: View) -> Trip | None:
        """Count what happened; too many executions trip."""
        if isinstance(item, Fact):
            if self._seen < 0:
                self._catch_up(view)
            return self._fold(item, view)
        for rule in self._likeness:
            rule.sample(view)
        return None

    def _catch_up(self, view: View) -> None:
        """Count what happened in this turn already, and at first what is remembered from before it."""
        facts = view.facts(max(self._seen, 0))
        if self._seen < 0:  # what is remembered has them already
            self._seen = facts[-1].seq if facts else 0
        else:
            for fact in facts:
                self._fold(fact, view)
        for rule in self._counting:
            if rule.stale:
                rule.stale = False
                rule.resume(view)

    def _fold(self, fact: Fact, view: View) -> Trip | None:
        first = None
        if fact.seq <= self._seen:
            return self._over(fact, view)
        self._seen = fact.seq
        if isinstance(fact, BreakerReset) and fact.breaker != self.name:
            return None
        for rule in self._counting:
            trip = rule.fold(fact, view)
            first = first or trip
        return first

    def _over(self, fact: Fact, view: View) -> Trip | None:
        """A fill that an order of its own turn was judged by has been counted, and may have been one too many."""
        if not isinstance(fact, Filled):
            return None
        return next((trip for rule in self._counting if (trip := rule.over(fact, view))), None)

    # --- changing, and looking -------------------------------------------------------------------------------

    def limits(self) -> Mapping[str, str]:
        """The limits that a person may change, each as it would be written."""
        return {rule.name: rule.text for rule in self._rules if rule.changes}

    def used(self, account: str, view: View) -> Mapping[str, float | None]:
        """The part of each limit that an account uses, 1 at the limit; None where that is unknown."""
        return {rule.name: rule.used(account, view) for rule in self._rules if rule.changes}

    def looser(self, name: str, text: str) -> float:
        """By what factor another setting lets more through; below 1 it is tighter. Raises ConfigurationError."""
        with setting(self.name, name):
            return self._by_name[name].looser(text)

    def change(self, name: str, text: str) -> None:
        """Take another setting over, for the next order on. Raises ConfigurationError."""
        with setting(self.name, name):
            self._by_name[name].set(text)

    def gauge(self, view: View) -> tuple[float | None, str]:
        """How much of the leverage is used, on the account that uses most of it; and the limits in words."""
        words = [_in_words(rule) for rule in self._rules]
        leverage = self._by_name.get("max_leverage")
        used: list[float] = []
        for account in view.accounts() if isinstance(leverage, exposure.Leverage) else ():
            equity, worst = view.equity(account), view.exposure(account)
            if equity is None or worst is None:
                return None, ", ".join(words)
            used.append(worst / (equity * leverage.most) if equity > 0 else 1.0)  # type: ignore[union-attr]
        return max(used, default=None), ", ".join(words)

    def _due(self, view: View) -> int:
        return next_full(likeness.EVERY_NS, view)

    def _save(self) -> bytes:
        since = {rule.name: rule.since for rule in self._counting if isinstance(rule, rate.Executions)}
        return json.dumps(since).encode()

    def _load(self, saved: bytes) -> None:
        for name, since in json.loads(saved).items():
            rule = self._by_name.get(name)
            if isinstance(rule, rate.Executions):
                rule.since = dict(since)


def _is_said(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _in_words(rule: Rule) -> str:
    text = str(rule.amount.money or rule.text) if isinstance(rule, AmountRule) else rule.text
    if rule.name == "max_order_value":
        return text
    return f"{rule.text}x leverage" if rule.name == "max_leverage" else f"{rule.name} {text}"
