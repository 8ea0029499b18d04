"""Candles as a user's function returns them, read into one form; what cannot be one is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

from fairlead import Bar, ConnectivityError
from fairlead_streams.text import to_ns, when
from fairlead_streams.times import unit_of

_NAMES = (
    ("timestamp", "time", "open_time", "opentime", "date", "t"),
    ("open", "o"),
    ("high", "h"),
    ("low", "l"),
    ("close", "c"),
    ("volume", "v"),
)
_ROLES = tuple(names[0] for names in _NAMES)


class Candle(NamedTuple):
    """One candle; `open_ns` is the beginning of the time that it covers."""

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def bar(self, instrument: str, interval: str, size: int, received_ns: int | None = None) -> Bar:
        """As the engine has it, received at its close where nothing else is said."""
        close_ns = self.open_ns + size
        return Bar(instrument, interval, *self[1:], self.open_ns, close_ns, received_ns or close_ns)


def read_candles(answer: Any, size: int, whose: str) -> list[Candle]:
    """The candles of an answer, oldest first and each once. `whose` names them in a message.

    A candle is a mapping, an object, or a sequence in the order time, open, high, low, close, volume. Raises
    ConnectivityError that names the first candle that cannot be.
    """
    if isinstance(answer, Mapping | str | bytes) or not isinstance(answer, Iterable):
        raise ConnectivityError(
            f"{whose}: the answer is {type(answer).__name__}, and candles are a list: return a list of them, empty "
            f"where there are none"
        )
    found: dict[int, Candle] = {}
    for place, item in enumerate(answer):
        try:
            candle = _candle(item)
        except (ValueError, TypeError, OverflowError) as fault:
            raise ConnectivityError(
                f"{whose}: candle {place} of the answer cannot be read ({fault}): return time, open, high, low, close "
                f"and volume of each, the time being its beginning in UTC"
            ) from None
        named = f"{whose}: the candle that opens at {when(candle.open_ns)}"
        if candle.open_ns % size:
            raise ConnectivityError(
                f"{named} does not open on its interval: return candles whose times are multiples of it, in UTC"
            )
        if wrong := _impossible(candle):
            raise ConnectivityError(f"{named} cannot be ({wrong}): return what the venue says")
        if found.setdefault(candle.open_ns, candle) != candle:
            raise ConnectivityError(f"{named} comes twice, and not the same: return each candle once")
    return [found[key] for key in sorted(found)]


def _candle(item: Any) -> Candle:
    if isinstance(item, Mapping):
        lower = {str(key).lower(): value for key, value in item.items()}
        cells = [_pick(lower, names) for names in _NAMES]
    elif isinstance(item, Sequence) and not isinstance(item, str | bytes):
        cells = list(item[:6])
    else:
        cells = [_pick({n: getattr(item, n) for n in names if hasattr(item, n)}, names) for names in _NAMES]
    if len(cells) == 5:
        cells.append(None)
    if len(cells) < 5:
        raise ValueError(f"it has {len(cells)} values")
    missing = [role for role, cell in zip(_ROLES[:5], cells, strict=False) if cell is None]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    return Candle(_time(cells[0]), *(0.0 if cell is None else _number(cell) for cell in cells[1:]))


def _pick(cells: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((cells[name] for name in names if cells.get(name) is not None), None)


def _number(cell: Any) -> float:
    if isinstance(cell, bool):
        raise TypeError(f"{cell!r} is a truth value")
    return float(cell)


def _time(cell: Any) -> int:
    """Nanoseconds of a time: aware, ISO text with a zone, or s, ms, us, ns since 1970 by size."""
    if isinstance(cell, str) and not cell.strip().isdecimal():
        cell = datetime.fromisoformat(cell.strip())
    if isinstance(cell, datetime):
        if cell.tzinfo is None:
            raise ValueError(f"its time {cell} names no zone")
        return to_ns(cell)
    number = int(cell)
    unit = unit_of(number)
    if isinstance(cell, bool) or unit is None or number != float(cell):
        raise ValueError(f"its time {cell!r} is in none of s, ms, us, ns since 1970")
    return number * unit[1]


def _impossible(candle: Candle) -> str:
    prices = candle[1:5]
    if not all(isfinite(price) and price > 0 for price in prices):
        return f"open, high, low and close are {prices}, and prices are finite and above 0"
    if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
        return f"open, high, low and close are {prices}, and open and close lie between low and high"
    if not (isfinite(candle.volume) and candle.volume >= 0):
        return f"its volume is {candle.volume}, and one is finite and not below 0"
    return ""
