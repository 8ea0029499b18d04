"""Reducing to a share: which positions give way, the riskiest first, how far, and what makes room for that.

Risk is value times volatility: the standard deviation of the logarithmic returns of the last bars that there are of an
instrument, per root of time. One without enough bars counts as volatile as the worst that is known, and where no
volatility is known value alone decides. What has no price or rate gives way by the share of its quantity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from math import log, sqrt
from statistics import stdev
from typing import TYPE_CHECKING

import attrs

from fairlead._kernel.state import ZERO, State
from fairlead._models.accounts import PositionKey
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar
from fairlead._models.orders import AT_VENUE, STOPS, Order
from fairlead.facts import PositionTarget

if TYPE_CHECKING:
    from fairlead._kernel.kernel import Kernel

REDUCE = "reduce"
"""The verb of a sweep that reduces to a share."""

_LEAST_BARS, _MOST_BARS = 20, 200

_Covers = Callable[[str, str, str], bool]


@attrs.frozen
class _Stake:
    """What can give way together: a strategy's position, or all that make up an account's net one."""

    instrument: Instrument
    members: Sequence[tuple[PositionKey, Decimal]]
    quantity: Decimal
    value: float | None
    volatility: float | None


def plan(kernel: Kernel, scope: str, covers: _Covers, share: Decimal) -> tuple[PositionTarget, ...]:
    """How much of each position may be left, so that gross exposure is at most a share of what it is now.

    On each account by itself. Of an instrument that several strategies hold the account's net position counts, and
    what stands on its side gives way, so that the net never turns; of a strategy's scope its own positions do.
    """
    stakes: dict[str, list[_Stake]] = {}
    left = {
        key: abs(position.quantity)
        for key, position in kernel.state.positions.items()
        if key.strategy and position.quantity and covers(key.account, key.instrument, key.strategy)
    }
    for account, name, keys in _together(left, apart=scope.startswith("strategy:")):
        if (stake := _stake(kernel, account, name, keys)) is not None:
            stakes.setdefault(account, []).append(stake)
    for found in stakes.values():
        for stake, cut in _cuts(found, share):
            _take(stake, cut, left)
    return tuple(PositionTarget(key.account, key.instrument, key.strategy, q) for key, q in left.items())


def _together(
    keys: Iterable[PositionKey], *, apart: bool
) -> Iterator[tuple[str, str, Sequence[PositionKey]]]:
    groups: dict[tuple[str, str, str], list[PositionKey]] = {}
    for key in keys:
        groups.setdefault((key.account, key.instrument, key.strategy if apart else ""), []).append(key)
    for (account, name, _), members in groups.items():
        yield account, name, members


def _stake(kernel: Kernel, account: str, name: str, keys: Sequence[PositionKey]) -> _Stake | None:
    """The positions on the side of their sum, the largest first; None where they cancel each other out."""
    held = {key: kernel.state.positions[key].quantity for key in keys}
    net = sum(held.values(), ZERO)
    if not net:
        return None
    same = [(key, abs(quantity)) for key, quantity in held.items() if (quantity > 0) == (net > 0)]
    same.sort(key=lambda pair: -pair[1])
    lane = kernel.market.lanes.get(name)
    value = kernel.view.market_value(account, name, abs(net))
    volatility = None if lane is None else _volatility(lane.history)
    return _Stake(kernel.state.instruments[name], same, abs(net), value, volatility)


def _cuts(stakes: Sequence[_Stake], share: Decimal) -> Iterator[tuple[_Stake, Decimal]]:
    """How much of each gives way."""
    priced = [(stake, stake.value) for stake in stakes if stake.value]
    worst = max((stake.volatility or 0.0 for stake, _ in priced), default=0.0) or 1.0
    priced.sort(key=lambda pair: -pair[1] * (worst if pair[0].volatility is None else pair[0].volatility))
    need = sum(value for _, value in priced) * float(1 - share)
    for stake, value in priced:
        if need > 0:
            part = Decimal(min(1.0, need / value))
            yield stake, stake.quantity if part == 1 else _up(stake.instrument, stake.quantity * part)
            need -= value
    for stake in stakes:
        if not stake.value:
            yield stake, _up(stake.instrument, stake.quantity * (1 - share))


def _take(stake: _Stake, cut: Decimal, left: dict[PositionKey, Decimal]) -> None:
    """Spread it over the members; what would be left too small for an order of its own goes as well."""
    least = stake.instrument.min_quantity
    cut = min(max(cut, least), stake.quantity)
    if stake.quantity - cut < least:
        cut = stake.quantity
    for key, quantity in stake.members:
        taken = min(cut, quantity)
        cut -= taken
        left[key] = quantity - taken


def _up(found: Instrument, quantity: Decimal) -> Decimal:
    """The quantity on the lot grid, rounded up."""
    return (quantity / found.lot).to_integral_value(ROUND_CEILING) * found.lot


def _volatility(history: Mapping[str, Iterable[Bar]]) -> float | None:
    """Of the interval with the most bars, per root of a nanosecond."""
    bars = max((list(kept)[-_MOST_BARS:] for kept in history.values()), key=len, default=list[Bar]())
    if len(bars) <= _LEAST_BARS:
        return None
    span = (bars[-1].event_ns - bars[0].event_ns) / (len(bars) - 1)
    moves = [log(bar.close / before.close) for before, bar in pairwise(bars) if before.close > 0 < bar.close]
    return stdev(moves) / sqrt(span) if span > 0 and len(moves) >= _LEAST_BARS else None


# --- one position ---------------------------------------------------------------------------------------------


def surplus(state: State, key: tuple[str, str, str], target: Decimal) -> Decimal:
    """What of a position is to go that can be ordered: on the grid, and no less than the least order.

    A rest below that goes as a least order, unless it would turn the account's net position.
    """
    held, found = state.quantity(*key), state.instruments[key[1]]
    over, there = abs(held) - target, found.quantity(abs(held))
    if over <= 0:
        return ZERO
    over = min(_up(found, over), there)
    if over >= found.min_quantity:
        return over
    net = state.quantity(key[0], key[1])
    turns = (net > 0) != (held > 0) or abs(net) < found.min_quantity
    return ZERO if turns or there < found.min_quantity else found.min_quantity


def in_the_way(resting: Iterable[Order], room: Decimal) -> Iterator[tuple[Order, Decimal]]:
    """What on a position's exit side takes more of it than there is room for, and what each may still take.

    Plain orders make way before stops and the exits of a bracket; of linked ones only one fills, so they shrink as one.
    """
    groups: dict[str, list[Order]] = {}
    for order in resting:
        if order.status in AT_VENUE:
            groups.setdefault(order.intent.group or order.client_order_id, []).append(order)
    sizes = {name: max(order.remaining_quantity for order in legs) for name, legs in groups.items()}
    excess = sum(sizes.values(), ZERO) - room
    for name, legs in sorted(groups.items(), key=lambda item: _protects(item[1][0])):
        if excess <= 0:
            return
        cut = min(excess, sizes[name])
        excess -= cut
        for order in legs:
            if order.remaining_quantity > sizes[name] - cut:
                yield order, sizes[name] - cut


def _protects(order: Order) -> int:
    return 2 if order.intent.exits else 1 if order.type in STOPS else 0
