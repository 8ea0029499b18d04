"""Who may act, once each: wallets, nonces, time limits and the address's budget of requests."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead_venue.fronts import Settings
from fairlead_venue.hyperliquid import rules
from fairlead_venue.hyperliquid.rules import UNREADABLE, Refused, Unreadable
from fairlead_venue.hyperliquid.signing import address_of, as_read, signer

_KEPT = 100
_BEFORE_MS, _AFTER_MS = 2 * 86_400_000, 86_400_000
_CANCELS = frozenset({"cancel", "cancelByCloid"})
_SLOW_MS = 10_000


class Security:
    """Checks actions. The account is `settings.key` (an address, or what one is made of), its agent `settings.secret`.

    `source=mainnet` wants signatures for the main net, where anything but its own URL makes the SDK sign for the
    test net.
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], int], volume: Callable[[], Decimal]) -> None:
        self.account = address_of(settings.key)
        self.agent = address_of(settings.secret)
        self._mainnet = settings.variants.get("source") == "mainnet"
        self._now = now_ms
        self._volume = volume
        self._buffer = int(settings.variants.get("address_budget", 10_000))
        self._nonces: dict[str, list[int]] = {}
        self._used = 0
        self._last_ms = 0

    def check(self, body: dict[str, Any]) -> dict[str, Any]:
        """The action of a request that may be carried out. Raises Refused or Unreadable."""
        action = body.get("action")
        if not isinstance(action, dict) or not isinstance(body.get("nonce"), int):
            raise Unreadable(UNREADABLE)
        found = as_read(action)
        who = signer(body, found, mainnet=self._mainnet)
        if who not in {self.account, self.agent} or body.get("vaultAddress"):
            raise Refused(rules.WALLET, who)
        self._nonce(who, body["nonce"])
        expires, now = body.get("expiresAfter"), self._now()
        stale = expires is not None and expires < now
        self._spend(found, weight=5 if stale else 1)
        if stale:
            raise Refused(rules.EXPIRED, expires, now)
        return found

    def _nonce(self, who: str, nonce: int) -> None:
        now, seen = self._now(), self._nonces.setdefault(who, [])
        if not now - _BEFORE_MS < nonce < now + _AFTER_MS:
            raise Refused(rules.NONCE_TIME, nonce, now)
        if nonce in seen:
            raise Refused(rules.NONCE_TWICE, nonce)
        if len(seen) >= _KEPT and nonce < seen[0]:
            raise Refused(rules.NONCE_OLD, nonce, seen[0])
        seen.append(nonce)
        seen.sort()
        del seen[:-_KEPT]

    def _spend(self, action: dict[str, Any], *, weight: int) -> None:
        """One request per USDC traded and a buffer; beyond it one in ten seconds, and cancels up to twice as many."""
        cap = self.cap
        cancels = action["type"] in _CANCELS
        most = min(cap + 100_000, cap * 2) if cancels else cap
        many = len(action.get("orders") or action.get("cancels") or action.get("modifies") or [0])
        now = self._now()
        if self._used + many * weight > most and now - self._last_ms < _SLOW_MS:
            raise Refused(rules.BUDGET, self._used + many, cap, f"{self._volume():.2f}")
        self._used += many * weight
        self._last_ms = now

    @property
    def cap(self) -> int:
        """How many requests the address may have sent by now."""
        return self._buffer + int(self._volume())

    def budget(self) -> dict[str, Any]:
        """What `userRateLimit` says."""
        return {
            "cumVlm": f"{self._volume():.2f}", "nRequestsUsed": self._used, "nRequestsCap": self.cap,
            "nRequestsSurplus": max(0, self.cap - self._used),
        }  # fmt: skip
