"""The step between prices, or between quantities, that a formatting function lets through: found by trying."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import reduce

from fairlead import ConfigurationError, FairleadError, decimal

Format = Callable[[float], Awaitable[object]]

_BASES = (1, 100, 10_000)
"""Where a step is looked for. A float of the last has twelve digits to spare: what is finer is looked for below."""
_PROBES = ("1.2345678901234", "1.4142135623731", "1.7320508075689")
_STEPS, _WIDEST, _FINEST = 64, 10**7, 8


async def increment(form: Format, what: str, remedy: str) -> Decimal:
    """The one step of all that `form` returns. Raises ConfigurationError where there is none or more than one.

    `what` names the function and its symbol, `remedy` says what to pass instead.
    """
    found: dict[Decimal, int] = {}
    digits = 0
    for base in _BASES:
        if base == _BASES[-1] and digits > _FINEST:
            break
        digits = max(digits, await _digits(form, base, what))
        step = await _step(form, base, digits, what)
        if step:
            found.setdefault(step, base)
    if len(found) != 1:
        steps = " and ".join(f"{step:f} near {base:,}" for step, base in found.items())
        why = f"it changes with the number ({steps})" if found else "it returns the same for every number"
        raise ConfigurationError(f"{what} has no one step: {why}: {remedy}")
    return next(iter(found)).normalize()


async def _digits(form: Format, base: int, what: str) -> int:
    """How many digits after the point a result has at most."""
    places = [0]
    for probe in _PROBES:
        result = await _formatted(form, float(Decimal(probe) * base), what)
        places.append(-int(result.normalize().as_tuple().exponent))
    return max(places)


async def _step(form: Format, base: int, digits: int, what: str) -> Decimal | None:
    """The step near a number: what all differences of results have in common. None where none was seen."""
    width = Decimal(1).scaleb(-digits)
    while width <= _WIDEST:
        numbers = [float(base + index * width) for index in range(_STEPS + 1)]
        results = [await _formatted(form, number, what) for number in numbers]
        ahead = sorted(set(results))
        if len(ahead) > 2:  # the step between two could be cut short where the numbers begin
            return reduce(_common, [b - a for a, b in itertools.pairwise(ahead)])
        width *= 8
    return None


async def _formatted(form: Format, number: float, what: str) -> Decimal:
    result = await form(number)
    try:
        return decimal(result, "result")  # type: ignore[arg-type]
    except FairleadError:
        raise ConfigurationError(
            f"{what} returns {result!r} for {number}, and a formatted number is digits and a point: return such a text"
        ) from None


def _common(one: Decimal, other: Decimal) -> Decimal:
    while other:
        one, other = other, one % other
    return one
