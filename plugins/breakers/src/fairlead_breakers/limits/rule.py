"""What every limit has in common, and the amounts that limits are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf

from fairlead import ConfigurationError, Money, OrderIntent, decimal, percent
from fairlead.facts import Fact
from fairlead.ports import Allowance, Reference, Trip, View
from fairlead_breakers._shared import NEAR, figure
from fairlead_breakers.limits.scopes import Scope

NOTHING = Allowance()
"""A limit that has nothing against any order of an account and instrument."""


class Rule:
    """One limit on one scope.

    `why` gives the reason against an order, "" for none; only orders that its scope covers are shown to it.
    `allows` says which orders it need not be shown, None where that cannot be told beforehand. A rule with `changes`
    may be changed while it runs.
    """

    changes = True
    of_orders = True
    """Whether a tag, which only orders have, can narrow it."""

    def __init__(self, name: str, scope: Scope, setting: object) -> None:
        self.name = name
        self.short = name.rpartition(".")[2]
        self.scope = scope
        self.set(setting)

    def set(self, setting: object) -> None:
        """Take a setting over. Raises ConfigurationError, and changes nothing then."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The setting as it would be written."""
        raise NotImplementedError

    def looser(self, setting: object) -> float:
        """By what factor another setting lets more through. Raises ConfigurationError."""
        raise ConfigurationError(
            f"{self.name} cannot be changed while the engine runs: change the configuration"
        )

    def why(self, intent: OrderIntent, view: View) -> str:
        """The reason against an order, "" where there is none."""
        raise NotImplementedError

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:
        """What it has nothing against, NOTHING where it concerns no such order, None where it must see each."""
        return None

    def used(self, account: str, view: View) -> float | None:
        """The part of it that an account uses now; None where that is unknown, or it is of single orders."""
        return None

    def refers(self) -> Iterator[Reference]:
        """What its scope names."""
        return self.scope.refers(self.name)

    def fold(self, fact: Fact, view: View) -> Trip | None:
        """See a fact happen; only rules that count do."""
        return None

    def resume(self, view: View) -> None:
        """Count what was done before it looked."""


def positive(setting: object, example: str) -> Decimal:
    """A number above 0. Raises ConfigurationError."""
    amount = decimal(setting)  # type: ignore[arg-type]
    if amount <= 0:
        raise ConfigurationError(f"{amount:f} must be above 0: write for example {example}")
    return amount


def part(setting: object, example: str) -> Decimal:
    """A part of the whole, of which one above 1 must be written as a percentage. Raises ConfigurationError."""
    ratio = positive(percent(setting), example)  # type: ignore[arg-type]
    if ratio > 1 and not isinstance(setting, str):
        raise ConfigurationError(
            f"{setting} is {ratio * 100:f} %: write it as a percentage, such as {example}"
        )
    return ratio


class Amount:
    """Money in the account's currency, or with `shares` a part of equity: `"10_000 USDT"`, `"25%"`."""

    def __init__(self, setting: object, *, shares: bool = True) -> None:
        self.money: Money | None = None
        self.share = 0.0
        if shares and isinstance(setting, str) and setting.strip().endswith("%"):
            self.share = float(part(setting, "'25%'"))
            self.text = setting.strip()
            self.most = inf
        else:
            self.money = Money.parse(setting)  # type: ignore[arg-type]
            self.most = float(positive(self.money.amount, "'10_000 USDT'"))
            self.text = f"{self.money.amount:f} {self.money.currency}"

    def of(self, name: str, account: str, view: View) -> float | str:
        """What it comes to on an account; a text says why that cannot be told."""
        if self.money is None:
            equity = view.equity(account)
            return f"{name} is unknown: the equity of {account} is" if equity is None else equity * self.share
        currency = view.currency(account)
        if currency != self.money.currency:
            return f"{name} is in {self.money.currency}: write it in the {currency} of {account}"
        return self.most

    def looser(self, other: Amount) -> float:
        """How many times as much another amount is. Raises ConfigurationError where the two cannot be compared."""
        mine, theirs = self.money, other.money
        if (mine and mine.currency) != (theirs and theirs.currency):
            raise ConfigurationError(
                f"{other.text} cannot be compared with {self.text}: write it in the same unit"
            )
        return float(theirs.amount / mine.amount) if mine and theirs else other.share / self.share


class AmountRule(Rule):
    """A rule whose setting is an amount."""

    shares = True

    def set(self, setting: object) -> None:
        """Take an amount over."""
        self.amount = Amount(setting, shares=self.shares)

    def refers(self) -> Iterator[Reference]:
        """What its scope names, and the currency of money."""
        yield from super().refers()
        if self.amount.money is not None:
            yield Reference(self.name, "currency", self.amount.money.currency)

    @property
    def text(self) -> str:
        """The amount."""
        return self.amount.text

    def looser(self, setting: object) -> float:
        """How many times as much it is."""
        return self.amount.looser(Amount(setting, shares=self.shares))

    def part(self, have: float | None, account: str, view: View) -> float | None:
        """A figure over the amount; None where either is unknown."""
        most = self.amount.of(self.short, account, view)
        if have is None or isinstance(most, str):
            return None
        return have / most if most > 0 else 1.0

    def compare(self, what: str, have: float, intent: OrderIntent, view: View) -> str:
        """The reason where a figure is above the amount."""
        most = self.amount.of(self.short, intent.account, view)
        if isinstance(most, str):
            return most
        if have <= most:
            return ""
        currency = view.currency(intent.account)
        of = f", {self.text} of equity" if self.amount.share else ""
        return f"{what} {figure(have)} is above {figure(most)} {currency}{of}"

    def bounded(self, account: str, instrument: str, view: View) -> Allowance | None:
        """The account's exposures below the amount, for what is never above them; of a strategy's nothing is known."""
        if not self.scope.holds(instrument, view):
            return NOTHING
        return None if self.scope.strategy else self.spared(account, view, _exposures)

    def spared(self, account: str, view: View, share: Callable[[Amount], Allowance]) -> Allowance | None:
        """An allowance made of the amount; None where it is in another currency."""
        money = self.amount.money
        if money is not None and money.currency != view.currency(account):
            return None
        return share(self.amount)


def _exposures(amount: Amount) -> Allowance:
    if amount.money is None:
        return Allowance(leverage=amount.share * NEAR)
    return Allowance(exposure=amount.most * NEAR)


class NumberRule(Rule):
    """A rule whose setting is a number; with `percent` a part of the whole, with `whole` a count.

    `least` says that it is a minimum, so that a smaller one lets more through.
    """

    percent = False
    whole = False
    least = False
    example = "2"

    def set(self, setting: object) -> None:
        """Take a number over."""
        self.number = self._read(setting)
        self.most = float(self.number)

    def _read(self, setting: object) -> Decimal:
        if self.percent:
            return part(setting, self.example)
        number = positive(setting, self.example)
        if self.whole and number % 1:
            raise ConfigurationError(f"{number:f} is no count: write for example {self.example}")
        return number

    @property
    def text(self) -> str:
        """The number."""
        return f"{(self.number * 100).normalize():f}%" if self.percent else f"{self.number:f}"

    def looser(self, setting: object) -> float:
        """How many times as much it is, or how many times as little where it is a minimum."""
        other = self._read(setting)
        return float(self.number / other if self.least else other / self.number)


class Switch(Rule):
    """A rule that is there or not."""

    changes = False

    def set(self, setting: object) -> None:
        """Only True makes one."""
        if setting is not True:
            raise ConfigurationError(f"{setting!r} is not true: write true, or leave it out")

    @property
    def text(self) -> str:
        """It is on."""
        return "true"
