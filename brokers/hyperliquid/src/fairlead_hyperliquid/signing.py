"""Actions, signed by the SDK, each under a number of its own.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Signer:
    """Signs actions with one wallet; `now` is the venue's time in ns.

    Nonces are milliseconds that only ever rise: two actions in one millisecond have two of them. One wallet belongs to
    one process, since another one's nonces are not known here.
    """

    def __init__(self, wallet: Any, now: Callable[[], int], *, mainnet: bool) -> None:
        self.address = str(wallet.address).lower()
        self._wallet = wallet
        self._now = now
        self._mainnet = mainnet
        self._last = 0

    def signed(self, action: Mapping[str, Any], expires_ms: int | None) -> dict[str, Any]:
        """The payload of an action, which nobody takes after `expires_ms`."""
        from hyperliquid.utils.signing import sign_l1_action

        self._last = nonce = max(self._last + 1, self._now() // 1_000_000)
        signature = sign_l1_action(self._wallet, action, None, nonce, expires_ms, self._mainnet)
        return {
            "action": action, "nonce": nonce, "signature": signature, "vaultAddress": None,
            "expiresAfter": expires_ms,
        }  # fmt: skip
