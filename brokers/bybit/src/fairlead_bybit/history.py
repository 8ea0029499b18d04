"""Bars of the past: https://bybit-exchange.github.io/docs/v5/market/kline"""

from __future__ import annotations

from typing import Any

from fairlead import Bar, Instrument, VenueError, duration
from fairlead_bybit.instruments import product_of
from fairlead_bybit.rest import Rest

INTERVALS = {
    "1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240", "6h": "360",
    "12h": "720", "1d": "D",
}  # fmt: skip
"""Those that begin where ours do, at whole multiples since 1970, UTC, and Bybit's names of them."""

_PAGE = 1000
_MS = 1_000_000


async def closed(rest: Rest, instrument: Instrument, interval: str, start_ns: int, end_ns: int) -> list[Bar]:
    """The bars that closed in [start_ns, end_ns), oldest first. Raises as `Rest.ask` does."""
    size = duration(interval)
    begin, found = max(0, start_ns - size), list[Bar]()
    while begin < end_ns:
        until = min(begin + (_PAGE - 1) * size, end_ns)
        answer = await rest.ask(
            "get_kline", category=product_of(instrument.symbol), symbol=instrument.native,
            interval=INTERVALS[interval], start=begin // _MS, end=until // _MS, limit=_PAGE,
        )  # fmt: skip
        now = rest.clock.now()
        bars = sorted(
            (_bar(row, instrument, interval, size) for row in answer.get("list") or ()), key=_opened
        )
        found += [bar for bar in bars if start_ns <= bar.event_ns < end_ns and bar.event_ns <= now]
        begin = until + size
    return found


def _opened(bar: Bar) -> int:
    return bar.open_ns


def _bar(row: list[Any], instrument: Instrument, interval: str, size: int) -> Bar:
    try:
        opened = int(row[0]) * _MS
        first, high, low, last, volume = (float(text) for text in row[1:6])
    except (TypeError, ValueError, IndexError) as error:
        raise VenueError(f"Bybit's bar of {instrument.symbol} cannot be read: {error}") from error
    at = opened + size
    return Bar(instrument.id, interval, first, high, low, last, volume, opened, at, at)
