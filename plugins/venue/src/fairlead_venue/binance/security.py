"""Keys, signatures and clocks of requests.

Rules: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security. Since January 2026 what is
signed is percent-encoded as it is sent; the variant `signing=either` also takes a signature of the decoded text, as
older documents have it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from urllib.parse import quote, unquote_plus

from fairlead_venue.binance import rules
from fairlead_venue.binance.params import Params
from fairlead_venue.binance.rules import Refused
from fairlead_venue.fronts import Settings
from fairlead_venue.keys import PublicKey, hmac_sha256
from fairlead_venue.wire import Call

_AHEAD_MS = 1000
_WINDOW_MS = 5000
_MOST_MS = 60_000
_SIGNATURE = re.compile(r"(^|&)signature=[^&]*")


class Security:
    """Checks who asks; `now_ms` is the venue's clock."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._key = settings.key
        self._secret = settings.secret
        self._public = PublicKey(settings.public_key) if settings.public_key else None
        self._either = settings.variants.get("signing") == "either"
        self._now = now_ms

    def key(self, sent: str) -> None:
        """Refuse a key that is none, or not the account's."""
        if not sent or not sent.isascii() or any(mark.isspace() for mark in sent):
            raise Refused(rules.KEY_FORMAT)
        if not hmac.compare_digest(sent, self._key):
            raise Refused(rules.KEY)

    def rest(self, call: Call, params: Params) -> None:
        """Check key, clock and signature of an HTTP request."""
        headers = {name.lower(): value for name, value in call.headers.items()}
        self.key(headers.get("x-mbx-apikey", ""))
        self.clock(params)
        sent = "".join(
            _SIGNATURE.sub("", part) for part in (call.query, call.body.decode("utf-8", "replace"))
        )
        self._signed(params, [sent.lstrip("&"), unquote_plus(sent).lstrip("&") if self._either else ""])

    def ws(self, params: Params) -> None:
        """Check key, clock and signature of a WebSocket request: of all its params but the signature, sorted."""
        self.key(params.text("apiKey", "") if "apiKey" in params else "")
        self.clock(params)
        words = sorted((name, value) for name, value in params.words.items() if name != "signature")
        plain = "&".join(f"{name}={value}" for name, value in words)
        encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in words)
        self._signed(params, [encoded, plain])

    def logon(self, params: Params) -> None:
        """Check a session's logon, which takes an Ed25519 key alone."""
        if self._public is None or not self._public.is_ed25519:
            raise Refused(rules.SIGNATURE)
        self.ws(params)

    def clock(self, params: Params) -> None:
        """Refuse a request that is from the future, or too old."""
        window = params.integer("recvWindow", _WINDOW_MS)
        if not 0 <= window <= _MOST_MS:
            raise Refused(rules.RECV_WINDOW)
        sent, now = params.integer("timestamp"), self._now()
        if sent >= now + _AHEAD_MS:
            raise Refused(rules.TIMESTAMP_EARLY)
        if now - sent > window:
            raise Refused(rules.TIMESTAMP_LATE)

    def _signed(self, params: Params, payloads: list[str]) -> None:
        signature = params.text("signature")
        for payload in filter(None, payloads):
            if self._public is not None:
                if self._public.verifies(signature, payload.encode()):
                    return
            elif hmac.compare_digest(
                signature.lower().encode(), hmac_sha256(self._secret, payload.encode()).encode()
            ):
                return
        raise Refused(rules.SIGNATURE)
