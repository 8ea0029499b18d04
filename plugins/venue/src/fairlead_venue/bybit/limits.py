"""Requests per second and account, and per five seconds and address: https://bybit-exchange.github.io/docs/v5/rate-limit"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.rules import Refused

ORDERS = {"linear": 10, "spot": 20}
"""Creates, amends and cancels each, of a product per second."""
_OTHERS = {"query": 50, "account": 50, "position": 50, "setting": 10, "cancel-all": 10, "user": 10, "dcp": 5}
_SECOND = 1_000
_IP = 600
_IP_WINDOW = 5_000
_BAN = 600_000


@attrs.define
class Window:
    """What was used of a limit in the present second."""

    most: int
    began: int = 0
    used: int = 0

    def roll(self, now: int) -> None:
        """Begin a new second where the old one is over."""
        if now >= self.began + _SECOND:
            self.began, self.used = now, 0


class Limits:
    """The limits of the one account, and of the one address. `scale` multiplies both."""

    def __init__(self, now_ms: Callable[[], int], scale: int = 1) -> None:
        self._now = now_ms
        self._scale = scale
        self._groups: dict[str, Window] = {}
        self._asked: list[int] = []
        self._closed_until = 0

    def address(self) -> None:
        """Count a request of the address. Raises Refused with 403, for ten minutes, from 600 in 5 s on."""
        now = self._now()
        if now < self._closed_until:
            raise Refused(rules.IP_LIMIT)
        self._asked = [at for at in self._asked if at > now - _IP_WINDOW]
        self._asked.append(now)
        if len(self._asked) > _IP * self._scale:
            self._closed_until = now + _BAN
            raise Refused(rules.IP_LIMIT)

    def use(self, group: str, count: int = 1) -> Mapping[str, str]:
        """Count requests of the account; returns what a reply tells of it. Raises Refused."""
        window = self._groups.setdefault(group, Window(self._most(group)))
        now = self._now()
        window.roll(now)
        if window.used + count > window.most:
            raise Refused(rules.TOO_MANY)
        window.used += count
        return self.headers(group)

    def headers(self, group: str) -> Mapping[str, str]:
        """What a reply tells: what there is, what is left, and when there will be more."""
        window = self._groups.get(group)
        if window is None:
            return {}
        full = window.used >= window.most
        reset = window.began + _SECOND if full else self._now()
        return {
            "X-Bapi-Limit": str(window.most), "X-Bapi-Limit-Status": str(window.most - window.used),
            "X-Bapi-Limit-Reset-Timestamp": str(reset),
        }  # fmt: skip

    def _most(self, group: str) -> int:
        kind, _, product = group.partition(":")
        return (ORDERS[product] if product in ORDERS else _OTHERS[kind]) * self._scale
