"""Bars from Binance: their intervals, and those of the past.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#klinecandlestick-data
"""

from __future__ import annotations

from typing import Any

from fairlead import Bar, Instrument, VenueError, duration
from fairlead_binance.rest import Rest

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Those that begin where ours do: at whole multiples since 1970, UTC."""

_MS = 1_000_000


class Klines:
    """Bars of the past, by pages."""

    def __init__(self, rest: Rest, *, spot: bool) -> None:
        self._rest = rest
        self._path = "v3/klines" if spot else "v1/klines"
        self._weight, self._page = (2, 1000) if spot else (10, 1500)

    async def closed(self, instrument: Instrument, interval: str, start_ns: int, end_ns: int) -> list[Bar]:
        """The bars that closed in [start_ns, end_ns), oldest first. Raises as `Rest.ask` does."""
        size = duration(interval)
        begin, found = max(0, start_ns - size), list[Bar]()
        while begin < end_ns:
            rows = await self._rest.ask(
                "get",
                self._path,
                {
                    "symbol": instrument.native,
                    "interval": interval,
                    "startTime": begin // _MS,
                    "endTime": end_ns // _MS,
                    "limit": self._page,
                },
                weight=self._weight,
                signed=False,
            )
            bars = [_bar(row, instrument, interval, size) for row in rows]
            now = self._rest.clock.now()
            found += [bar for bar in bars if start_ns <= bar.event_ns < end_ns and bar.event_ns <= now]
            if len(rows) < self._page:
                break
            begin = bars[-1].open_ns + size
        return found


def _bar(row: list[Any], instrument: Instrument, interval: str, size: int) -> Bar:
    try:
        opened = int(row[0]) * _MS
        first, high, low, last, volume = (float(text) for text in row[1:6])
    except (TypeError, ValueError, IndexError) as error:
        raise VenueError(f"Binance's bar of {instrument.symbol} cannot be read: {error}") from error
    closed = opened + size
    return Bar(instrument.id, interval, first, high, low, last, volume, opened, closed, closed)
