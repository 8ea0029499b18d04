"""The key of an account, and the signature that opens a socket.

https://bybit-exchange.github.io/docs/v5/ws/connect#authentication
"""

from __future__ import annotations

import hashlib
import hmac

import attrs

from fairlead import ConfigurationError, Secret

Given = Secret | str | None
_PREFIX = "secret:"


@attrs.frozen
class Credentials:
    """A key with its secret; neither is ever shown."""

    key: Secret
    secret: Secret

    @classmethod
    def of(cls, key: Given, secret: Given) -> Credentials:
        """Take references. Raises ConfigurationError for what is missing or written out."""
        missing = [name for name, value in (("key", key), ("secret", secret)) if value is None]
        if missing:
            raise ConfigurationError(
                f"BybitBroker has no {' and no '.join(missing)}: give key='secret:BYBIT_KEY' and "
                f"secret='secret:BYBIT_SECRET'"
            )
        return cls(_reference("key", key), _reference("secret", secret))

    def opening(self, expires_ms: int) -> list[str | int]:
        """The args of an `auth` operation that is valid until then."""
        payload = f"GET/realtime{expires_ms}".encode()
        signature = hmac.new(self.secret.reveal().encode(), payload, hashlib.sha256).hexdigest()
        return [self.key.reveal(), expires_ms, signature]


def _reference(name: str, value: Given) -> Secret:
    if isinstance(value, Secret):
        return value
    text = str(value)
    if not text.startswith(_PREFIX):
        raise ConfigurationError(
            f"BybitBroker's {name} is written out: give a reference such as {name}='secret:BYBIT_KEY', and keep the "
            f"text in the environment or a .env file"
        )
    return Secret(text.removeprefix(_PREFIX))
