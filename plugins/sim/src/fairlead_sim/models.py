"""The models of the venue: fees, slippage, latency and fills, each an object with one method.

Write your own by giving a class that method. A model may keep state; a venue copies the models it is given, so two
runs begin alike. Random ones take a seed.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Protocol

from fairlead import Bar, ConfigurationError, Instrument, Liquidity, Trade, decimal, duration, percent
from fairlead.ports import Command
from fairlead_sim.market import Market
from fairlead_sim.orders import WorkingOrder

Number = int | float | str | Decimal


class FeeModel(Protocol):
    """What a fill costs."""

    def fee(
        self,
        order: WorkingOrder,
        price: Decimal,
        quantity: Decimal,
        liquidity: Liquidity,
        instrument: Instrument,
    ) -> tuple[Decimal, str]:
        """The fee and its currency; a rebate is negative."""
        ...


class SlippageModel(Protocol):
    """How much worse than the market an aggressive order trades."""

    def price(self, order: WorkingOrder, reference_price: float, market: Market) -> float | Decimal:
        """The price it gets; the venue puts it on the tick grid and never past the order's own limit."""
        ...


class LatencyModel(Protocol):
    """How long a command travels."""

    def delay(self, command: Command) -> int:
        """Nanoseconds until it arrives."""
        ...


class FillModel(Protocol):
    """How much of an order fills."""

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """What fills at a price it can trade at, where `available` is offered (infinite: the data do not say).

        The venue caps it by what remains of the order and puts it on the lot grid. `market.event` is the event
        in hand; `order.fresh` tells an order that takes from one that was resting.
        """
        ...


# --- fees -----------------------------------------------------------------------------------------------------


class InstrumentFees:
    """The instrument's own maker and taker rates on notional, in its settlement currency.

    With `spot_buys_in_base` a spot buy pays in what it bought, as spot venues often charge.
    """

    def __init__(self, *, spot_buys_in_base: bool = False) -> None:
        self._in_base = spot_buys_in_base

    def fee(
        self,
        order: WorkingOrder,
        price: Decimal,
        quantity: Decimal,
        liquidity: Liquidity,
        instrument: Instrument,
    ) -> tuple[Decimal, str]:
        """Rate × notional."""
        rate = instrument.maker_fee if liquidity is Liquidity.MAKER else instrument.taker_fee
        if self._in_base and order.buy and instrument.spot:
            return quantity * instrument.contract_size * rate, instrument.base
        return instrument.notional(quantity, price) * rate, instrument.settle


class FixedFees:
    """One amount per contract or share, with a minimum per fill, as listed markets charge."""

    def __init__(self, per_unit: Number, *, minimum: Number = 0) -> None:
        self._per_unit = decimal(per_unit, "fee per unit")
        self._minimum = decimal(minimum, "minimum fee")

    def fee(
        self,
        order: WorkingOrder,
        price: Decimal,
        quantity: Decimal,
        liquidity: Liquidity,
        instrument: Instrument,
    ) -> tuple[Decimal, str]:
        """Amount × quantity, at least the minimum."""
        return max(self._per_unit * quantity, self._minimum), instrument.settle


# --- slippage --------------------------------------------------------------------------------------------------


class NoSlippage:
    """The market's own price."""

    def price(self, order: WorkingOrder, reference_price: float, market: Market) -> float:
        """The reference price."""
        return reference_price


class TickSlippage:
    """A fixed number of ticks worse."""

    def __init__(self, ticks: Number = 1) -> None:
        self._ticks = float(decimal(ticks, "ticks"))
        if self._ticks < 0:
            raise ConfigurationError(f"slippage of {ticks} ticks makes prices better: write 0 or more")

    def price(self, order: WorkingOrder, reference_price: float, market: Market) -> float:
        """Reference ± ticks."""
        step = self._ticks * float(market.rules.tick)
        return reference_price + step if order.buy else reference_price - step


class RatioSlippage:
    """A fixed ratio worse: `"0.01%"`, or 0.0001, is one basis point."""

    def __init__(self, ratio: Number) -> None:
        self._ratio = float(percent(ratio))
        if not 0 <= self._ratio < 1:
            raise ConfigurationError(
                f"slippage of {ratio} is no worsening of a price: write a part of it, from 0 to below 100%, as '0.01%'"
            )

    def price(self, order: WorkingOrder, reference_price: float, market: Market) -> float:
        """Reference × (1 ± ratio)."""
        return reference_price * (1 + self._ratio if order.buy else 1 - self._ratio)


class VolumeSlippage:
    """Worse by `impact` × (share of the event's traded volume)², as small and large orders differ in what they move."""

    def __init__(self, impact: Number = "0.1", *, largest_share: Number = "1") -> None:
        self._impact = float(decimal(impact, "impact"))
        self._largest = float(percent(largest_share))

    def price(self, order: WorkingOrder, reference_price: float, market: Market) -> float:
        """Reference × (1 ± impact × share²); a volume that is not known counts as deep."""
        volume = market.volume
        share = min(self._largest, float(order.remaining) / volume) if volume > 0 else self._largest
        move = self._impact * share * share
        return reference_price * (1 + move if order.buy else 1 - move)


# --- latency ---------------------------------------------------------------------------------------------------


class FixedLatency:
    """Always the same, such as `"5ms"`."""

    def __init__(self, delay: str | int = 0) -> None:
        self._delay = duration(delay)

    def delay(self, command: Command) -> int:
        """That time."""
        return self._delay


class UniformLatency:
    """Evenly spread between two durations."""

    def __init__(self, least: str | int, most: str | int, *, seed: int = 0) -> None:
        self._least, self._most = duration(least), duration(most)
        if self._least > self._most:
            raise ConfigurationError(
                f"latency from {least} to {most}: the first must not be above the second"
            )
        self._random = random.Random(seed)

    def delay(self, command: Command) -> int:
        """A time between the two."""
        return self._random.randint(self._least, self._most)


# --- fills -------------------------------------------------------------------------------------------------------


class FillEverything:
    """All of it, whatever the size shown."""

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """All that remains."""
        return order.remaining


class FillBySize:
    """Never more than the size shown or traded; bars show no size at a price, so they fill all."""

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """What remains or what is there, whichever is less."""
        if isinstance(market.event, Bar):
            return order.remaining
        return min(order.remaining, max(available, Decimal(0)))


class FillByQueue(FillBySize):
    """As `FillBySize`, and a resting order first waits for the size that was shown before it to trade.

    Trades at its price shorten the queue, and a price beyond its own ends it. Cancels ahead are not seen, so the
    wait is rather too long than too short.
    """

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """What reaches the order."""
        event = market.event
        if not order.fresh and isinstance(event, Trade) and event.price == order.limit:
            waiting = Decimal(str(order.ahead))
            order.ahead = max(0.0, float(waiting - available))
            available -= min(waiting, available)
        return super().quantity(order, available, market)


class FillByVolume:
    """At most a share of a bar's volume or a trade's size, such as `"10%"`, for all own orders together."""

    def __init__(self, share: Number = "10%") -> None:
        self._share = percent(share)

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """What the share leaves; `available` itself where the event has no volume."""
        if isinstance(market.event, Bar | Trade):
            available = Decimal(str(market.volume)) * self._share - market.taken
        return min(order.remaining, max(available, Decimal(0)))


class FillByChance(FillBySize):
    """A resting order that is only touched, not traded through, fills with a probability."""

    def __init__(self, probability: float = 0.5, *, seed: int = 0) -> None:
        if not 0 <= probability <= 1:
            raise ConfigurationError(f"probability {probability} must be between 0 and 1")
        self._probability = probability
        self._random = random.Random(seed)

    def quantity(self, order: WorkingOrder, available: Decimal, market: Market) -> Decimal:
        """All or nothing of what `FillBySize` gives."""
        event = market.event
        if isinstance(event, Bar):
            reached = event.low if order.buy else event.high
        else:
            reached = event.price if isinstance(event, Trade) else market.touch()[order.buy] or 0.0
        if not order.fresh and reached == order.limit and self._random.random() >= self._probability:
            return Decimal(0)
        return super().quantity(order, available, market)
