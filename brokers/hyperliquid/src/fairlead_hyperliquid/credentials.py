"""The account, and the wallet that signs for it."""

from __future__ import annotations

import re
from typing import Any

import attrs

from fairlead import ConfigurationError, Secret

Given = Secret | str | None
_PREFIX = "secret:"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")


@attrs.frozen
class Credentials:
    """An account's address, which is public, and the private key of the wallet that acts for it, never shown."""

    account: str
    key: Secret

    @classmethod
    def of(cls, account: str, key: Given) -> Credentials:
        """Take an address and a reference; raises ConfigurationError for what is missing or written out."""
        if not isinstance(account, str) or not _ADDRESS.fullmatch(account):
            raise ConfigurationError(
                f"HyperliquidBroker has no account ({account!r}): give account='0x...', the 42-character address that "
                f"holds the money, not that of its agent wallet"
            )
        if key is None:
            raise ConfigurationError(
                "HyperliquidBroker has no key: give key='secret:HYPERLIQUID_AGENT_KEY', the private key of an agent "
                "wallet (API wallet) of the account"
            )
        if isinstance(key, str):
            if not key.startswith(_PREFIX):
                raise ConfigurationError(
                    "HyperliquidBroker's key is written out: give a reference such as "
                    "key='secret:HYPERLIQUID_AGENT_KEY', and keep the text in the environment or a .env file"
                )
            key = Secret(key.removeprefix(_PREFIX))
        return cls(account.lower(), key)

    def wallet(self) -> Any:
        """What the SDK signs with. Raises ConfigurationError for what is no private key."""
        text = self.key.reveal().strip()
        if not _KEY.fullmatch(text):
            raise ConfigurationError(
                f"the secret {self.key.name} is no private key: give 64 hexadecimal digits, with 0x before them or not"
            )
        from eth_account import Account

        try:
            return Account.from_key(text)
        except (ValueError, TypeError):  # its text may have the key
            raise ConfigurationError(f"the secret {self.key.name} is no private key of this curve") from None
