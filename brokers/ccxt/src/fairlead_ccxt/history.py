"""The past, page by page."""

from __future__ import annotations

from typing import Any

from fairlead import duration
from fairlead_ccxt.sdk import Sdk

_PAGE = 500


async def fetch_bars(sdk: Sdk, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> list[list[Any]]:
    """Rows of bars that open from about `start_ms` on, and before `end_ms`.

    Raises ConnectivityError or VenueError.
    """
    if not sdk.exchange.has.get("fetchOHLCV"):
        return []
    size = duration(timeframe) // 1_000_000
    since, found = start_ms - size, dict[int, list[Any]]()
    while since < end_ms:
        rows = await sdk.ask("fetch_ohlcv", symbol, timeframe, since, _PAGE)
        new = [row for row in rows if int(row[0]) not in found and int(row[0]) < end_ms]
        found |= {int(row[0]): row for row in new}
        if not new:
            break
        since = max(int(row[0]) for row in rows) + size
    return [found[opened] for opened in sorted(found) if opened >= start_ms - size]


async def fetch_trades(sdk: Sdk, symbol: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Public trades in [start_ms, end_ms), as far as the exchange lists them. Raises as `fetch_bars` does."""
    since, found = start_ms, dict[str, dict[str, Any]]()
    while since < end_ms:
        rows = await sdk.ask("fetch_trades", symbol, since, _PAGE)
        new = [row for row in rows if str(row["id"]) not in found and int(row["timestamp"]) < end_ms]
        found |= {str(row["id"]): row for row in new}
        if not new:
            break
        last = max(int(row["timestamp"]) for row in rows)
        since = last if last > since else last + 1
    return sorted(found.values(), key=lambda row: int(row["timestamp"]))
