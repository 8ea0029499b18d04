"""Pages and spans of lists, newest first: https://bybit-exchange.github.io/docs/v5/intro#pagination"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import unquote

from fairlead_venue.bybit.params import Params
from fairlead_venue.bybit.rules import PARAMETER, Refused

T = TypeVar("T")
_WEEK_MS = 7 * 86_400_000


def page(
    params: Params, oldest_first: Sequence[T], usual: int, most: int, number: Callable[[T], int]
) -> tuple[list[T], str]:
    """One page, newest first, and the cursor of the next, empty after the last; it is escaped, as Bybit's are."""
    limit, cursor = params.limit(usual, most), unquote(params.text("cursor", ""))
    rows = list(reversed(oldest_first))
    if cursor:
        if not cursor.removeprefix("page:").isdecimal():
            raise Refused(PARAMETER, "cursor invalid")
        rows = [row for row in rows if number(row) < int(cursor.removeprefix("page:"))]
    found = rows[:limit]
    return found, f"page%3A{number(found[-1])}" if len(rows) > limit else ""


def within(params: Params, now_ns: int) -> tuple[int, int]:
    """The span that is asked for, in ms: seven days at most, the last ones unless said otherwise. Raises Refused."""
    now = now_ns // 1_000_000
    if "startTime" in params and "endTime" in params:
        begin, end = params.integer("startTime"), params.integer("endTime")
    elif "startTime" in params:
        begin = params.integer("startTime")
        end = begin + _WEEK_MS
    else:
        end = params.integer("endTime", now + 1_000)
        begin = end - _WEEK_MS
    if end - begin > _WEEK_MS or end < begin:
        raise Refused(PARAMETER, "The time range between startTime and endTime cannot exceed 7 days")
    return begin, end
