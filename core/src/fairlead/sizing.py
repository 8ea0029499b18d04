"""How large an order is to be: small objects for `size=` of `Strategy.buy` and `sell`.

    self.buy(size=RiskPerTrade("1%"), stop_loss=0.97 * bar.close)
    self.sell(size=VolatilityTarget("15%"))
    self.buy(size=lambda intent, account, market: account.equity / market.price / 3)

A sizing is a function of the intent, the account and the market that gives a quantity in base units, 0 while that
cannot be told yet (the gate then denies the order). What it gives is rounded down to the lot, and judged by the
gate as any other quantity. It is the same in a backtest and live, and it may be any function of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from math import log, sqrt
from statistics import stdev

import attrs

from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar
from fairlead._models.orders import OrderIntent, Side
from fairlead.errors import ConfigurationError
from fairlead.units import DAY, Money, Number, decimal, duration, percent, share

_ZERO = Decimal(0)


@attrs.frozen
class Account:
    """What a sizing may know of the account: the strategy's own share of it where it has an allocation.

    `equity` and `cash` are floats in `currency`, None while unknown; `position` is the strategy's signed quantity of
    the instrument.
    """

    name: str
    currency: str
    equity: float | None
    cash: float | None
    position: Decimal


@attrs.frozen
class Market:
    """What a sizing may know of the market.

    `price` is where the order would be entered: its own limit or stop price, else what it would trade at now; None
    while unknown. `rate` is what one unit of the instrument's settlement currency is worth in the account's, None
    without a price for it. `bars(count, interval)` are the last closed bars that the strategy watches, oldest first;
    the interval may be left out where it watches one.
    """

    instrument: Instrument
    price: float | None
    rate: float | None
    bars: Callable[[int, str], Sequence[Bar]]


Sizing = Callable[[OrderIntent, Account, Market], Number]
"""Gives a quantity in base units. The intent's own quantity is 0: it is what is asked for."""


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ConfigurationError(f"{value} is not above 0: a size is a number above 0")
    return value


def _money(value: str | Money) -> Money:
    money = Money.parse(value)
    _positive(money.amount)
    return money


def _number(value: Number) -> Decimal:
    return _positive(decimal(value))


def _portion(value: Number) -> Decimal:
    return _positive(share(value))


def _bars(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise ConfigurationError(f"{value!r} is no count of bars: write a whole number from 2 on")
    return value


def _risk(value: str | Number | Money) -> Money | Decimal:
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, Money) or (" " in text and not text.endswith("%")):
        return _money(value)  # type: ignore[arg-type]
    ratio = _positive(percent(value))
    if ratio >= 1:
        raise ConfigurationError(f"a risk of {value} is all there is: write a part of equity such as '1%'")
    return ratio


@attrs.frozen
class FixedQuantity:
    """Always the same quantity, in base units."""

    quantity: Decimal = attrs.field(converter=_number)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """The quantity."""
        return self.quantity


@attrs.frozen
class FixedValue:
    """Always the same value, such as `"1_000 USDT"`, in the account's currency or the instrument's own."""

    value: Money = attrs.field(converter=_money)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """As many as it buys. Raises ConfigurationError for money of another currency."""
        return _worth(_settled(self.value, account, market), market)


@attrs.frozen
class EquityPercent:
    """A part of equity, such as `"10%"`; above all of it, as leverage allows, written as `"150%"`."""

    part: Decimal = attrs.field(converter=_portion)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """As many as that buys."""
        return _worth(_part(self.part, account, market), market)


@attrs.frozen
class RiskPerTrade:
    """As many as lose `risk` when the stop-loss fills at its price, both fees included.

    `risk` is a part of equity (`"1%"`) or money (`"100 USDT"`). The order needs a `stop_loss`. `most` bounds what the
    order may be worth, as a part of equity: a near stop would buy without end.
    """

    risk: Money | Decimal = attrs.field(converter=_risk)
    most: Decimal = attrs.field(default=Decimal(1), converter=_portion)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """The risk over what one unit loses. Raises ConfigurationError for an order without a stop_loss."""
        if intent.stop_loss is None:
            raise ConfigurationError(
                f"RiskPerTrade of an order for {intent.instrument} needs a stop_loss: give one, or size it by AtrRisk"
            )
        if not market.price:
            return _ZERO
        return _by_loss(self.risk, self.most, intent.stop_loss, account, market)


@attrs.frozen
class AtrRisk:
    """As many as lose `risk` on a move of `multiple` average true ranges against the order, both fees included.

    The range is the mean of the true ranges (Wilder 1978) of the last `period` bars; until there are so many the
    quantity is 0. `most` is as in RiskPerTrade.
    """

    risk: Money | Decimal = attrs.field(converter=_risk)
    period: int = attrs.field(default=14, converter=_bars)
    multiple: Decimal = attrs.field(default=Decimal(2), converter=_number)
    bars: str = ""
    most: Decimal = attrs.field(default=Decimal(1), converter=_portion)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """The risk over what one unit loses on that move."""
        last = market.bars(self.period + 1, self.bars)
        if len(last) <= self.period or not market.price:
            return _ZERO
        ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(last)]
        away = Decimal(sum(ranges) / len(ranges)) * self.multiple
        entry = _price(market)
        stop = entry - away if intent.side is Side.BUY else entry + away
        tick = market.instrument.tick
        return _by_loss(self.risk, self.most, max(stop, tick), account, market)


@attrs.frozen
class VolatilityTarget:
    """So much that the order by itself moves equity by `target` a year, one standard deviation.

    Volatility is that of the logarithmic returns of the last `period` bars, scaled by the root of time; until there
    are so many, and while nothing moves, the quantity is 0. `most` bounds the order as a part of equity. `year` is how
    much market time a year has: `"365d"`, or for instance `"1638h"` for 252 sessions of six and a half hours.
    """

    target: Decimal = attrs.field(converter=_portion)
    period: int = attrs.field(default=20, converter=_bars)
    bars: str = ""
    most: Decimal = attrs.field(default=Decimal(1), converter=_portion)
    year: int = attrs.field(default=365 * DAY, converter=duration)

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """The part of equity that has this volatility."""
        last = market.bars(self.period + 1, self.bars)
        if len(last) <= self.period:
            return _ZERO
        moves = [log(bar.close / before.close) for before, bar in pairwise(last)]
        span = (last[-1].event_ns - last[0].event_ns) / self.period
        volatility = stdev(moves) * sqrt(self.year / span) if span > 0 else 0.0
        if not volatility:
            return _ZERO
        return _worth(_part(min(self.target / Decimal(volatility), self.most), account, market), market)


@attrs.frozen
class Kelly:
    """The part of equity that grows it fastest in the long run, or a `fraction` of that part (Kelly 1956).

    `win_rate` is how often a trade wins, `payoff` how many times as much a win is as a loss. It is 0 without an edge,
    and never more than all of equity. The two are estimates: half of Kelly or less is usual.
    """

    win_rate: Decimal = attrs.field(converter=_portion)
    payoff: Decimal = attrs.field(converter=_number)
    fraction: Decimal = attrs.field(default=Decimal("0.5"), converter=_portion)

    def __attrs_post_init__(self) -> None:
        if self.win_rate >= 1 or self.fraction > 1:
            raise ConfigurationError(
                f"Kelly of win_rate {self.win_rate} and fraction {self.fraction}: write a rate below 1, and at most 1"
            )

    def __call__(self, intent: OrderIntent, account: Account, market: Market) -> Decimal:
        """As many as that part buys."""
        part = self.win_rate - (1 - self.win_rate) / self.payoff
        return _worth(_part(max(part, _ZERO) * self.fraction, account, market), market)


def _part(part: Decimal, account: Account, market: Market) -> Decimal:
    """A part of equity in the settlement currency; 0 while equity or a rate is unknown, or nothing is left."""
    if account.equity is None or not market.rate or account.equity <= 0:
        return _ZERO
    return Decimal(account.equity) / Decimal(market.rate) * part


def _settled(money: Money, account: Account, market: Market) -> Decimal:
    """Money in the settlement currency; 0 without a rate."""
    if money.currency == market.instrument.settle:
        return money.amount
    if money.currency != account.currency:
        raise ConfigurationError(
            f"{money} for {market.instrument.id} must be in {account.currency} or {market.instrument.settle}"
        )
    return money.amount / Decimal(market.rate) if market.rate else _ZERO


def _price(market: Market) -> Decimal:
    return Decimal(repr(market.price))


def _worth(amount: Decimal, market: Market) -> Decimal:
    """How many units an amount of the settlement currency buys."""
    if not market.price:
        return _ZERO
    return amount / market.instrument.notional(Decimal(1), _price(market))


def _by_loss(
    risk: Money | Decimal, most: Decimal, stop: Decimal, account: Account, market: Market
) -> Decimal:
    """How many units lose the risk from the price to the stop, and are worth no more than a part of equity."""
    found, entry = market.instrument, _price(market)
    fees = (found.notional(Decimal(1), entry) + found.notional(Decimal(1), stop)) * max(
        found.taker_fee, _ZERO
    )
    loss = abs(found.profit(Decimal(1), entry, stop)) + fees
    if isinstance(risk, Money):
        amount = _settled(risk, account, market)
    else:
        amount = _part(risk, account, market)
    bound = _worth(_part(most, account, market), market)
    return min(amount / loss, bound) if loss else bound
