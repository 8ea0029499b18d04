"""Where Hyperliquid is.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api
"""

from __future__ import annotations

import attrs

from fairlead import ConfigurationError

PERPS, SPOT = "perps", "spot"
_HOSTS = {"testnet": "https://api.hyperliquid-testnet.xyz", "live": "https://api.hyperliquid.xyz"}


@attrs.frozen
class Places:
    """The addresses of an environment. `mainnet` is what is signed for, whatever the address."""

    rest: str
    ws: str
    mainnet: bool

    def all(self) -> tuple[str, ...]:
        """Each of them."""
        return self.rest, self.ws


def places(product: str, environment: str, url: str) -> Places:
    """The addresses; `url` puts them elsewhere. Raises ConfigurationError."""
    if product not in (PERPS, SPOT):
        raise ConfigurationError(f"Hyperliquid has no product {product!r}: write 'perps' or 'spot'")
    if environment not in _HOSTS:
        raise ConfigurationError(f"Hyperliquid has no {environment!r}: write 'testnet' or 'live'")
    rest = (url or _HOSTS[environment]).rstrip("/")
    if not rest.startswith(("http://", "https://")):
        raise ConfigurationError(f"url={url!r} is no address: write one such as http://127.0.0.1:9000")
    return Places(rest, f"ws{rest[4:]}/ws", environment == "live")
