"""Keys and signatures of the WebSocket API.

What is signed are a request's parameters, sorted by name and percent-encoded:
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import quote

import attrs

from fairlead import ConfigurationError, Secret

Given = Secret | str | None
_PREFIX = "secret:"


@attrs.frozen
class Credentials:
    """A key with its secret (HMAC) or its private key in PEM (Ed25519 or RSA); none of them is ever shown."""

    key: Secret
    secret: Secret | None
    private_key: Secret | None

    @classmethod
    def of(cls, key: Given, secret: Given, private_key: Given) -> Credentials:
        """Take references; raises ConfigurationError for what is missing, doubled or written out."""
        words = {"key": key, "secret": secret, "private_key": private_key}
        found = {name: _reference(name, value) for name, value in words.items()}
        if found["key"] is None:
            raise ConfigurationError("BinanceBroker has no key: give key='secret:BINANCE_KEY'")
        if (found["secret"] is None) is (found["private_key"] is None):
            raise ConfigurationError(
                "BinanceBroker needs what signs its requests, and only one of it: give secret='secret:BINANCE_SECRET', "
                "or private_key='secret:BINANCE_PRIVATE_KEY' for an Ed25519 key"
            )
        return cls(found["key"], found["secret"], found["private_key"])


def _reference(name: str, value: Given) -> Secret | None:
    if value is None or isinstance(value, Secret):
        return value
    if not value.startswith(_PREFIX):
        raise ConfigurationError(
            f"BinanceBroker's {name} is written out: give a reference such as {name}='secret:BINANCE_KEY', and keep "
            f"the text in the environment or a .env file"
        )
    return Secret(value.removeprefix(_PREFIX))


class Signer:
    """Signs parameters. `sign` is for keys other than HMAC's; once `logged_on` a session needs no signatures."""

    def __init__(self, key: str, secret: str, sign: Callable[[str], str]) -> None:
        self.key = key
        self.logged_on = False
        self._sign = sign
        self._begun = hmac.new(secret.encode(), digestmod=hashlib.sha256) if secret else None

    def signed(self, params: Mapping[str, str], timestamp_ms: int, *, always: bool = False) -> dict[str, str]:
        """The parameters with all that a signed request needs."""
        if self.logged_on and not always:
            return {**params, "timestamp": str(timestamp_ms)}
        words = {**params, "apiKey": self.key, "timestamp": str(timestamp_ms)}
        text = "&".join([f"{name}={words[name]}" for name in sorted(words)])
        if not text.isascii():
            text = "&".join([f"{name}={quote(words[name], safe='')}" for name in sorted(words)])
        if self._begun is None:
            words["signature"] = self._sign(text)
            return words
        made = self._begun.copy()  # what the secret has to do with it is worked out already
        made.update(text.encode())
        words["signature"] = made.hexdigest()
        return words
