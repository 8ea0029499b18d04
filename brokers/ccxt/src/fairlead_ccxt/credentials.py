"""What an exchange needs to know who asks: references to secrets, never their text."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs

from fairlead import ConfigurationError, Secret

Given = Secret | str | None
_PREFIX = "secret:"
_THEIRS = {
    "key": "apiKey",
    "secret": "secret",
    "password": "password",
    "uid": "uid",
    "wallet": "walletAddress",
    "private_key": "privateKey",
}
"""Our words, and ccxt's."""


@attrs.frozen
class Credentials:
    """What was given, by our words; none of it is ever shown."""

    given: dict[str, Secret] = attrs.field(repr=False)

    @classmethod
    def of(cls, **words: Given) -> Credentials:
        """Take references. Raises ConfigurationError for one that is written out, and where there is none at all."""
        found = {name: _reference(name, value) for name, value in words.items() if value is not None}
        if not found:
            raise ConfigurationError(
                "CcxtBroker has no key: give what the exchange wants, such as key='secret:BINANCE_KEY' and "
                "secret='secret:BINANCE_SECRET'"
            )
        return cls(found)

    def words(self) -> dict[str, str]:
        """All of it by ccxt's words, in plain text. Raises ConfigurationError for a secret that is nowhere."""
        return {_THEIRS[name]: secret.reveal() for name, secret in self.given.items()}

    def check(self, exchange: Any) -> None:
        """Name what an exchange needs besides. Raises ConfigurationError."""
        ours = {theirs: name for name, theirs in _THEIRS.items()}
        wanted = [
            ours[name] for name, needed in exchange.requiredCredentials.items() if needed and name in ours
        ]
        missing = [name for name in wanted if name not in self.given]
        if missing:
            raise ConfigurationError(
                f"{exchange.id} wants {', '.join(wanted)}, and CcxtBroker has no {', '.join(missing)}: "
                f"give {missing[0]}='secret:NAME'"
            )

    def fingerprint(self, exchange: str) -> str:
        """A digest of what names the account: its address, else its key."""
        named = self.given.get("wallet") or self.given.get("key") or next(iter(self.given.values()))
        return hashlib.sha256(f"{exchange}:{named.reveal()}".encode()).hexdigest()[:16]


def _reference(name: str, value: Secret | str) -> Secret:
    if isinstance(value, Secret):
        return value
    if not value.startswith(_PREFIX):
        raise ConfigurationError(
            f"CcxtBroker's {name} is written out: give a reference such as {name}='secret:EXCHANGE_KEY', and keep "
            f"the text in the environment or a .env file"
        )
    return Secret(value.removeprefix(_PREFIX))
