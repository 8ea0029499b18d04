"""Request weight per minute and address, order counts per account: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from fairlead_venue.binance import rules
from fairlead_venue.binance.rules import Refused

_MINUTE = 60_000
_BAN_AFTER = 10
_BAN_MS = 120_000


@attrs.define
class Window:
    """What was used of a limit in the present interval."""

    name: str
    letter: str
    length_ms: int
    most: int
    began: int = 0
    used: int = 0

    def roll(self, now: int) -> None:
        """Begin a new interval where the old one is over."""
        begin = now // self.length_ms * self.length_ms
        if begin != self.began:
            self.began, self.used = begin, 0


class Limits:
    """The limits of one product. Refusals are 429 with Retry-After, and 418 for whoever goes on."""

    def __init__(
        self, *, weight: int, orders: Mapping[str, tuple[int, int]], now_ms: Callable[[], int]
    ) -> None:
        self._now = now_ms
        self._weight = Window("1 MINUTE", "1M", _MINUTE, weight)
        self._orders = [
            Window(_interval_name(letter), letter, length, most) for letter, (length, most) in orders.items()
        ]
        self._refused = 0
        self._banned_until = 0

    def use(self, weight: int) -> None:
        """Take so much weight. Raises Refused."""
        now = self._now()
        if now < self._banned_until:
            raise Refused(rules.BANNED, self._banned_until)
        self._weight.roll(now)
        if not self._weight.used:
            self._refused = 0
        self._weight.used += weight
        if self._weight.used > self._weight.most:
            self._refused += 1
            if self._refused > _BAN_AFTER:
                self._banned_until = now + _BAN_MS
                raise Refused(rules.BANNED, self._banned_until)
            raise Refused(rules.TOO_MANY_REQUESTS, self._weight.most)

    def order(self) -> None:
        """Count an order. Raises Refused."""
        now = self._now()
        for window in self._orders:
            window.roll(now)
            if window.used >= window.most:
                raise Refused(rules.TOO_MANY_ORDERS, window.most, window.name)
        for window in self._orders:
            window.used += 1

    def filled(self) -> None:
        """An order of the account traded: the counts are of unfilled orders, so they sink by one."""
        for window in self._orders:
            window.used = max(0, window.used - 1)

    def headers(self, *, orders: bool) -> dict[str, str]:
        """What a reply tells of them."""
        told = {"X-MBX-USED-WEIGHT": str(self._weight.used), "X-MBX-USED-WEIGHT-1M": str(self._weight.used)}
        if orders:
            told |= {f"X-MBX-ORDER-COUNT-{window.letter}": str(window.used) for window in self._orders}
        return told

    def retry_after(self) -> int:
        """Seconds until requests are taken again."""
        now = self._now()
        if now < self._banned_until:
            return -(-(self._banned_until - now) // 1000)
        return max(1, -(-(self._weight.began + _MINUTE - now) // 1000))

    def listed(self, *, counts: bool = False) -> list[dict[str, object]]:
        """The limits as exchangeInfo, or with counts a WebSocket reply, has them."""
        rows = [("REQUEST_WEIGHT", self._weight), *(("ORDERS", window) for window in self._orders)]
        units = {"M": "MINUTE", "S": "SECOND", "D": "DAY"}
        return [
            {
                "rateLimitType": kind, "interval": units[window.letter[-1]], "intervalNum": int(window.letter[:-1]),
                "limit": window.most, **({"count": window.used} if counts else {}),
            }
            for kind, window in rows
        ]  # fmt: skip


def _interval_name(letter: str) -> str:
    return {"10S": "TEN_SECONDS", "1M": "MINUTE", "1D": "DAY"}[letter]
