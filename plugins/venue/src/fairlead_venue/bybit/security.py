"""Keys, signatures and clocks.

REST: https://bybit-exchange.github.io/docs/v5/guide#authentication. Sockets:
https://bybit-exchange.github.io/docs/v5/ws/connect#authentication
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

from fairlead_venue.bybit import rules
from fairlead_venue.bybit.rules import Refused
from fairlead_venue.fronts import Settings
from fairlead_venue.keys import PublicKey, hmac_sha256
from fairlead_venue.wire import Call

_AHEAD_MS = 1000
_WINDOW_MS = 5000


class Security:
    """Checks who asks; `now_ms` is the venue's clock."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._key = settings.key
        self._secret = settings.secret
        self._public = PublicKey(settings.public_key) if settings.public_key else None
        self._now = now_ms

    def rest(self, call: Call) -> None:
        """Check the headers of an HTTP request. Raises Refused."""
        headers = {name.lower(): value for name, value in call.headers.items()}
        key, sent = headers.get("x-bapi-api-key", ""), headers.get("x-bapi-timestamp", "")
        window = headers.get("x-bapi-recv-window", str(_WINDOW_MS))
        self._check_key(key)
        self.clock(sent, window)
        said = call.query if call.method == "GET" else call.body.decode("utf-8", "replace")
        payload = f"{sent}{key}{window}{said}"
        if not self._signed(headers.get("x-bapi-sign", ""), payload):
            raise Refused(rules.SIGNATURE, payload.replace(key, "***"))

    def socket(self, args: Sequence[Any]) -> None:
        """Check the args of an `auth` operation: key, expiry, signature. Raises Refused."""
        if len(args) != 3:
            raise Refused(rules.PARAMETER, "args")
        key, expires, signature = args
        self._check_key(str(key))
        if not isinstance(expires, int) or expires <= self._now():
            raise Refused(rules.SIGNATURE, "expires is in the past")
        if not self._signed(str(signature), f"GET/realtime{expires}"):
            raise Refused(rules.SIGNATURE, "GET/realtime")

    def clock(self, sent: object, window: object) -> None:
        """Refuse a request that is too old, or from the future: server - window <= sent < server + 1 s."""
        text, within = str(sent or ""), str(window or _WINDOW_MS)
        now = self._now()
        if not text.isdecimal() or not within.isdecimal():
            raise Refused(rules.PARAMETER, "timestamp or recv_window invalid")
        if not now - int(within) <= int(text) < now + _AHEAD_MS:
            raise Refused(rules.WINDOW, text, now, within)

    def _check_key(self, key: str) -> None:
        if not key.isascii() or not hmac.compare_digest(key, self._key):
            raise Refused(rules.KEY)

    def _signed(self, signature: str, payload: str) -> bool:
        if self._public is not None:
            return self._public.verifies(signature, payload.encode())
        wanted = hmac_sha256(self._secret, payload.encode())
        return signature.isascii() and hmac.compare_digest(signature.lower(), wanted)
